"""datatrove's own near-deduplication over a folder of Parquet files; run by `perf/dedup.py` and `perf/dedup_quality.py`.

Needs an environment of its own
(`pip install "datatrove[io]==0.10.1" spacy tokenizers xxhash==3.5.0 regex`), whose Python is given to those scripts.
`python datatrove_dedup.py FOLDER OUT WORKERS`: writes OUT/kept/*.jsonl.gz, prints the seconds by the clock.

Its configuration: word 5-grams, 14 bands of 8 hashes of 64 bits, no verification, connected components.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupBuckets
from datatrove.pipeline.readers import ParquetReader
from datatrove.pipeline.writers import JsonlWriter
from datatrove.utils.hashing import HashConfig


def main() -> None:
    """Run the four steps."""
    folder, out, workers = sys.argv[1], sys.argv[2], int(sys.argv[3])
    config = MinhashConfig(
        n_grams=5, num_buckets=14, hashes_per_bucket=8, hash_config=HashConfig(precision=64)
    )
    files = len(list(Path(folder).glob("*.parquet")))
    reader = ParquetReader(folder, text_key="text", id_key="id")
    steps = [
        (files, [reader, MinhashDedupSignature(f"{out}/signatures", config)]),
        (14, [MinhashDedupBuckets(f"{out}/signatures", f"{out}/buckets", config=config)]),
        (1, [MinhashDedupCluster(f"{out}/buckets", f"{out}/remove", config=config)]),
        (files, [reader, MinhashDedupFilter(f"{out}/remove"), JsonlWriter(f"{out}/kept")]),
    ]
    start = time.perf_counter()
    for number, (tasks, pipeline) in enumerate(steps):
        logs = f"{out}/logs/{number}"
        LocalPipelineExecutor(pipeline, tasks=tasks, workers=workers, logging_dir=logs).run()
    print(f"seconds {time.perf_counter() - start:.2f}")


if __name__ == "__main__":
    main()
