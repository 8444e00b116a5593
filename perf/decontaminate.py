"""Speed and memory of `decontaminate`: `python perf/decontaminate.py --benchmarks 'benchmarks/*.jsonl' FILES...`.

Extracts the files, then times the parts of the stage as a user runs it (scan, count, cut, study) in megabytes of text a second, and
gives the memory of the largest worker. The compiled kernels are loaded before.
"""

from __future__ import annotations

import os
import tempfile
import time

import click
from line import Memory
from parts import Parts

from curation import store
from curation.engine.local import LocalEngine
from curation.pipeline import line as pipeline
from curation.recipe import reading as recipe


def warm(_: int) -> int:
    """Load the compiled kernels in a worker, which takes it a second."""
    import numpy as np
    import pyarrow as pa

    from curation.kernels import buffers, grams, ngrams

    texts = buffers.text_buffers(pa.array(["to be or not to be"]))
    table, _, _ = ngrams.build_ngrams(ngrams.normalised_texts(["to be"]), [2])
    ngrams.mark_seen(*texts, table, np.zeros(len(table), bool))
    return len(grams.scan(*texts, grams.build_table(["to be"], [0], 2)).document)


@click.command()
@click.argument("files", nargs=-1, required=True)
@click.option("--benchmarks", required=True)
@click.option("--workers", default=1, show_default=True)
def main(files: tuple[str, ...], benchmarks: str, workers: int) -> None:
    """Time the parts of `decontaminate`."""
    datasets = [{"name": f"d{i}", "files": os.path.abspath(file)} for i, file in enumerate(files)]
    tables = {"dataset": datasets, "decontaminate": {"benchmarks": os.path.abspath(benchmarks)}}
    made = recipe.parse({"stages": ["extract", "decontaminate"], **tables})
    parts = Parts()
    memory = Memory()
    with tempfile.TemporaryDirectory() as out:
        engine = LocalEngine(workers, 1.0, parts)
        try:
            pipeline.run(made, out + "/run", engine, until="extract", say=lambda _: None)
            engine.map("start", warm, [0] * workers)
            memory.take()
            start = time.perf_counter()
            rundir, plan = pipeline.run(made, out + "/run", engine, say=lambda _: None)
            whole = time.perf_counter() - start
        finally:
            engine.close()
        size = sum(
            len(text.as_buffer())
            for shard in plan.shards
            for text in store.read_table(rundir.documents(shard), ["text"]).column(0)
        )
        card = store.read_json(rundir.path("decontaminate", "benchmarks", "card.json"))
        click.echo(
            f"{size / 1e6:.1f} MB of text, {card['examples']:,} examples, {card['grams']:,} grams, table {card['bytes'] / 1e6:.0f} MB"
        )
        click.echo("\n".join(parts.lines(size / 1e6, "MB", "decontaminate")))
        click.echo(f"with making the tables {whole:.1f} s")
        click.echo(
            "largest worker {} MB, parent {} MB (maps of the tables counted)".format(*memory.take())
        )


if __name__ == "__main__":
    main()
