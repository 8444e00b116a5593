"""Speed of signatures beside `rensa` and `fastsketchlsh`: `python perf/signatures.py TEXTS.parquet`.

Each side makes 128 values of each text's set of hashed shingles of five words, which are made before; one thread, in turn, the
least processor time of the rounds. A peer that is not installed is left out
(`pip install --no-deps --target FOLDER rensa fastsketchlsh`, and FOLDER in PYTHONPATH). `texts to signatures` is ours with
canonical form, words and shingles.

Trap: fastsketchlsh makes another kind of signature, whose cost hardly depends on how many values it has.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import pyarrow.parquet as pq

from curation.kernels.buffers import text_buffers
from curation.kernels.minhash import feature_sets, permutations, signatures

VALUES = 128  # fastsketchlsh takes powers of two only


@click.command()
@click.argument("texts", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--rounds", default=3, show_default=True)
def main(texts: Path, rounds: int) -> None:
    """Print MB of text a second for each side."""
    buffers = text_buffers(pq.read_table(texts, columns=["text"])["text"])
    megabytes = (buffers[0][-1] - buffers[0][0]) / 1e6
    indptr, values = feature_sets(*buffers, "shingle")
    print(
        f"{len(indptr) - 1:,} texts, {megabytes:.1f} MB, {len(values) / 1e6:.2f} million shingles"
    )
    shapes = permutations(0, VALUES)
    sides: dict[str, Callable[[], Any]] = {
        "curation": lambda: signatures(indptr, values, *shapes),
        "curation, texts to signatures": lambda: signatures(
            *feature_sets(*buffers, "shingle"), *shapes
        ),
        **peers(indptr, values),
    }
    best = dict.fromkeys(sides, float("inf"))
    for turn in range(rounds + 1):  # the first loads and compiles
        for name, side in sides.items():
            start = time.process_time()
            side()
            if turn:
                best[name] = min(best[name], time.process_time() - start)
    for name, seconds in best.items():
        print(f"{name:32} {seconds:7.3f} s {megabytes / seconds:9.1f} MB/s")


def peers(indptr: Any, values: Any) -> dict[str, Callable[[], Any]]:
    """The peers that are installed."""
    out: dict[str, Callable[[], Any]] = {}
    hashes = np.ascontiguousarray(values).view(np.uint64)
    offsets = np.ascontiguousarray(indptr).astype(np.uint64)
    try:
        made = importlib.import_module("FastSketchLSH").FastSimilaritySketch(VALUES)
        out["fastsketchlsh"] = lambda: made.batch_csr(hashes, offsets, True, 1)
    except ModuleNotFoundError:
        print("fastsketchlsh: not installed, left out")
    try:
        minhash = importlib.import_module("rensa").RMinHash
        tokens, rows = hashes & np.uint64(0xFFFFFFFF), offsets
        out["rensa"] = lambda: minhash.digest_matrix_from_flat_token_hashes(tokens, rows, VALUES, 1)
    except ModuleNotFoundError:
        print("rensa: not installed, left out")
    return out


if __name__ == "__main__":
    main()
