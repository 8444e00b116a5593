"""datatrove reads and extracts: `python datatrove_reading.py FOLDER` (archives in FOLDER/in), run by perf/reading.py.

In an environment of its own. Its defaults: WarcReader, Trafilatura (favour precision, a second a page, in a process of its own),
JsonlWriter; one task, one worker. It identifies no language, since its model would have to be fetched. The last line says seconds by
the clock, of the processor, and documents, as JSON.
"""

from __future__ import annotations

import gzip
import importlib.metadata
import json
import resource
import sys
import time
from pathlib import Path

from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.extractors import Trafilatura
from datatrove.pipeline.readers import WarcReader
from datatrove.pipeline.writers import JsonlWriter


def processor() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    pipeline = [
        WarcReader(str(folder / "in"), glob_pattern="*.warc.gz"),
        Trafilatura(),
        JsonlWriter(str(folder / "out")),
    ]
    began, before = time.perf_counter(), processor()
    LocalPipelineExecutor(pipeline, tasks=1, workers=1, logging_dir=str(folder / "logs")).run()
    seconds, used = time.perf_counter() - began, processor() - before
    written = sum(
        gzip.decompress(path.read_bytes()).count(b"\n") for path in (folder / "out").glob("*.gz")
    )
    version = importlib.metadata.version("datatrove")
    print(
        json.dumps(
            {"version": version, "seconds": seconds, "processor": used, "documents": written}
        )
    )
