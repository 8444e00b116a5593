"""Speed of the kernels on one core: `python perf/kernels.py texts.parquet [--benchmarks FOLDER]`.

Prints MB of text a second of processor time for each kernel, the best of three runs, after a run that compiles.
The Parquet file needs a column `text`; the folder holds benchmarks as JSONL, of which every string is a field.
Trap: a loaded machine shares its caches and slows the scan most.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from curation.kernels.buffers import text_buffers
from curation.kernels.grams import build_table, scan
from curation.kernels.hashingtf import NUM_FEATURES, logits, term_counts
from curation.kernels.minhash import band_keys, feature_sets, permutations, signatures
from curation.kernels.repeats import repeated_chars


def main() -> None:
    """Print one line a kernel."""
    parser = argparse.ArgumentParser(description="Speed of the kernels on one core.")
    parser.add_argument("texts", type=Path, help="Parquet file with a column `text`")
    parser.add_argument(
        "--benchmarks", type=Path, help="folder of benchmarks as JSONL, for the gram scan"
    )
    options = parser.parse_args()
    offsets, data = text_buffers(pq.read_table(options.texts, columns=["text"])["text"])
    megabytes = (offsets[-1] - offsets[0]) / 1e6
    print(f"{options.texts.name}: {len(offsets) - 1:,} texts, {megabytes:.1f} MB")
    weights = np.random.default_rng(0).normal(size=NUM_FEATURES)

    def fingerprints(features: Any, bands: int, rows: int) -> None:
        sets = feature_sets(offsets, data, features)
        band_keys(signatures(*sets, *permutations(0, bands * rows)), bands, rows)

    runs: dict[str, Callable[[], Any]] = {
        "logits, tf": lambda: logits(offsets, data, weights, 0.0, "tf"),
        "logits, log-l2": lambda: logits(offsets, data, weights, 0.0, "log-l2"),
        "term_counts": lambda: term_counts(offsets, data),
        "unigrams, 10 hashes, 5 x 2": lambda: fingerprints("unigram", 5, 2),
        "shingles, 120 hashes, 20 x 6": lambda: fingerprints("shingle", 20, 6),
        "repeated lines, paragraphs": lambda: repeated_chars(offsets, data),
    }
    if options.benchmarks:
        fields, examples = zip(*benchmark_fields(options.benchmarks), strict=True)
        table = build_table(fields, examples)
        print(f"{examples[-1] + 1:,} benchmark examples, {len(table):,} grams of 13 words")
        runs["scan, 13 words"] = lambda: scan(offsets, data, table)
    for name, run in runs.items():
        print(f"{name:30} {megabytes / best_seconds(run):8.1f} MB/s")


def best_seconds(run: Callable[[], Any]) -> float:
    """Return the least processor time of three runs, after one that compiles."""
    run()
    seconds = []
    for _ in range(3):
        start = time.process_time()
        run()
        seconds.append(time.process_time() - start)
    return min(seconds)


def benchmark_fields(folder: Path) -> Iterator[tuple[str, int]]:
    """Yield (text, example) for every string of every line."""
    example = 0
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").split("\n"):
            if line:
                yield from ((text, example) for text in strings(json.loads(line)))
                example += 1


def strings(value: Any) -> Iterator[str]:
    """Yield the strings inside a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from strings(part)


if __name__ == "__main__":
    main()
