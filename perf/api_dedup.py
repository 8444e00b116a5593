"""`curation.dedup` of a DataFrame against text-dedup and rensa, in one process: `python perf/api_dedup.py`.

Each gets the same 10,000 rows in memory and gives back the rows that stay: word 5-grams, 20 bands of 6
(rensa, which has no rows to set: 20 bands of 120 hashes), threshold 0.8. text-dedup needs its data set
on disk and writes one; what is timed is its `main`. rensa is also timed on single words, as its
README has it, where it has less to hash. Both call a document a duplicate by its signature; here the
similarity is measured.

A round runs all of them, one after another; shown is the median of rounds after the first, in seconds
of the clock and of the processor. `--texts` names Parquet files with a column `text`; without it the
rows are made up. text-dedup and rensa are no dependencies: install them beside.
"""

from __future__ import annotations

import contextlib
import io
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import pandas as pd
import pyarrow.parquet as pq

import curation

BANDS, ROWS, WORDS, THRESHOLD = 20, 6, 5, 0.8
PIECE_CHARS = 2000
DUPLICATES = 0.15


def made_up(chance: random.Random, count: int) -> list[str]:
    """Texts of some 300 words from a vocabulary of 20,000."""
    words = [f"{chance.choice('bcdfglmnprst')}o{number:x}" for number in range(20_000)]
    return [" ".join(chance.choices(words, k=chance.randrange(100, 500))) for _ in range(count)]


def frame(texts: list[str], count: int) -> pd.DataFrame:
    """Rows of which some are copies of others with up to six words changed."""
    chance = random.Random(0)
    if not texts:
        texts = made_up(chance, count)
    pieces = [t[i : i + PIECE_CHARS] for t in texts for i in range(0, len(t), PIECE_CHARS)]
    chance.shuffle(pieces)
    rows = pieces[: count - int(DUPLICATES * count)]
    while len(rows) < count:
        words = chance.choice(rows).split(" ")
        for _ in range(chance.choice([0, 1, 3, 6])):
            words[chance.randrange(len(words))] = "changed"
        rows.append(" ".join(words))
    chance.shuffle(rows)
    return pd.DataFrame({"id": [f"d{i}" for i in range(count)], "text": rows})


def by_curation(rows: pd.DataFrame) -> int:
    return int(curation.dedup(rows, workers=1).kept.num_rows)


def by_rensa(rows: pd.DataFrame, words: int) -> int:
    from rensa import RMinHash, RMinHashDeduplicator

    bands = BANDS
    dedup = RMinHashDeduplicator(THRESHOLD, BANDS * ROWS, True, bands)
    kept = 0
    for key, text in zip(rows["id"], rows["text"], strict=True):
        tokens = text.split()
        if words > 1:
            tokens = [
                " ".join(tokens[i : i + words]) for i in range(max(1, len(tokens) - words + 1))
            ]
        signature = RMinHash(num_perm=BANDS * ROWS, seed=42)
        signature.update(tokens)
        kept += dedup.add(key, signature)
    return kept


def by_text_dedup(rows: pd.DataFrame) -> int:
    import datasets

    datasets.disable_caching()
    datasets.disable_progress_bars()
    from text_dedup import logger, minhash

    logger.setLevel("ERROR")
    minhash.uf = minhash.UnionFind()
    with tempfile.TemporaryDirectory() as folder:
        given, out = str(Path(folder, "in")), str(Path(folder, "out"))
        datasets.Dataset.from_pandas(rows).save_to_disk(given)
        options = {"path": given, "local": "", "output": out, "column": "text", "num_proc": 1,
                   "b": BANDS, "r": ROWS, "ngram": WORDS, "num_perm": BANDS * ROWS,
                   "threshold": THRESHOLD, "min_length": 1}  # fmt: skip
        args = [part for k, v in options.items() for part in (f"--{k}", str(v)) if part]
        with contextlib.redirect_stderr(io.StringIO()):
            minhash.main(args, standalone_mode=False)
        return len(datasets.load_from_disk(out))


@click.command()
@click.option("--texts", multiple=True, help="Parquet with a column `text`.  May be repeated.")
@click.option("--rows", "count", default=10_000, show_default=True)
@click.option("--rounds", default=3, show_default=True, help="After one that warms up.")
@click.option("--without", multiple=True, help="A contender to leave out. May be repeated.")
def main(texts: tuple[str, ...], count: int, rounds: int, without: tuple[str, ...]) -> None:
    given = [pq.read_table(path, columns=["text"]).column(0).to_pylist() for path in texts]
    rows = frame([text for part in given for text in part], count)
    print(f"{len(rows):,} rows, {rows['text'].str.len().sum() / 1e6:.1f} million characters")
    contenders: dict[str, Callable[[pd.DataFrame], int]] = {"curation.dedup": by_curation}
    if find_spec("rensa"):
        contenders["rensa, 5-grams"] = lambda rows: by_rensa(rows, WORDS)
        contenders["rensa, words"] = lambda rows: by_rensa(rows, 1)
    if find_spec("text_dedup"):
        contenders["text-dedup"] = by_text_dedup
    contenders = {name: run for name, run in contenders.items() if name not in without}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    kept: dict[str, Any] = {}
    for number in range(rounds + 1):
        for name, run in contenders.items():
            wall, processor = time.perf_counter(), sum(os.times()[:4])  # and of ended children
            kept[name] = run(rows)
            if number:
                spent = (time.perf_counter() - wall, sum(os.times()[:4]) - processor)
                times[name].append(spent)
    walls = {name: statistics.median(wall for wall, _ in some) for name, some in times.items()}
    cpus = {name: statistics.median(cpu for _, cpu in some) for name, some in times.items()}
    print(f"{'':<16}{'kept':>8}{'seconds':>9}{'ratio':>8}{'processor':>11}{'ratio':>8}")
    for name in contenders:
        ratios = walls[name] / walls["curation.dedup"], cpus[name] / cpus["curation.dedup"]
        print(
            f"{name:<16}{kept[name]:>8,}{walls[name]:>9.2f}{ratios[0]:>8.2f}"
            f"{cpus[name]:>11.2f}{ratios[1]:>8.2f}"
        )


if __name__ == "__main__":
    sys.exit(main())
