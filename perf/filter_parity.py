"""Decisions of our filter signals beside datatrove's filters, and the time that both take:
`python perf/filter_parity.py --datatrove PYTHON TEXTS.parquet...`.

PYTHON is that of an environment with datatrove (`perf/peers/datatrove_filters.py` says how). Takes
English documents from the files (columns id and text, and kind or language where there are any),
as many from each, and prints for each filter the share of equal decisions to keep or remove, and
where both remove, of equal reasons; for C4 the share of texts that the line rules leave exactly
equal; the chain of FineWeb; seconds of both sides and their ratio; and the kinds of differences with
an example each. Rules are datatrove's defaults. Both sides use one thread, and only their own time
counts (`process_time`); kernels are compiled and spaCy is loaded before. Ours is best of three.
"""

from __future__ import annotations

import collections
import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from curation.kernels.quality import measure

PEER = Path(__file__).with_name("peers") / "datatrove_filters.py"
Columns = dict[str, pa.Array]
Rules = tuple[tuple[str, str, float, str], ...]
# Reason as datatrove has it, signal, threshold, and on which side of it a document is removed.
RULES: dict[str, Rules] = {
    "gopher": (
        ("gopher_short_doc", "words", 50, "<"),
        ("gopher_long_doc", "words", 100000, ">"),
        ("gopher_below_avg_threshold", "mean_word_length", 3, "<"),
        ("gopher_above_avg_threshold", "mean_word_length", 10, ">"),
        ("gopher_too_many_hashes", "hash_ratio", 0.1, ">"),
        ("gopher_too_many_ellipsis", "ellipsis_ratio", 0.1, ">"),
        ("gopher_too_many_bullets", "bullet_lines", 0.9, ">"),
        ("gopher_too_many_end_ellipsis", "ellipsis_lines", 0.3, ">"),
        ("gopher_below_alpha_threshold", "alpha_words", 0.8, "<"),
        ("gopher_enough_stop_words", "stop_words", 2, "<"),
    ),
    "gopher_repetition": (
        ("empty", "dup_para_frac", 0, "null"),
        ("dup_para_frac", "dup_para_frac", 0.3, ">"),
        ("dup_para_char_frac", "dup_para_char_frac", 0.2, ">"),
        ("dup_line_frac", "dup_line_frac", 0.3, ">"),
        ("dup_line_char_frac", "dup_line_char_frac", 0.2, ">"),
        *((f"top_{n}_gram", f"top_{n}_gram", x, ">") for n, x in ((2, 0.2), (3, 0.18), (4, 0.16))),
        *(
            (f"duplicated_{n}_n_grams", f"dup_{n}_gram", x, ">")
            for n, x in ((5, 0.15), (6, 0.14), (7, 0.13), (8, 0.12), (9, 0.11), (10, 0.10))
        ),
    ),
    "c4": (
        ("lorem_ipsum", "lorem_ipsum", 1, "="),
        ("curly_bracket", "curly_bracket", 1, "="),
        ("too_few_sentences", "sentences", 5, "<"),
    ),
    "c4_any_ending": (
        ("lorem_ipsum", "lorem_ipsum_any_ending", 1, "="),
        ("curly_bracket", "curly_bracket_any_ending", 1, "="),
        ("too_few_sentences", "sentences_any_ending", 5, "<"),
    ),
    "fineweb": (
        ("empty", "line_punct_ratio", 0, "null"),
        ("line_punct_ratio", "line_punct_ratio", 0.12, "<"),
        ("short_line_ratio", "short_line_ratio", 0.67, ">"),
        ("char_dup_ratio", "char_dup_ratio", 0.01, ">"),
        ("list_ratio", "newline_ratio", 0.3, ">"),
    ),
}
CHAIN = ("gopher_repetition", "gopher", "c4_any_ending", "fineweb")


def reasons(signals: Columns, filter_name: str) -> list[str | None]:
    """The first rule that removes each document."""
    rules = RULES[filter_name]
    fired = []
    for _, signal, threshold, side in rules:
        null = np.asarray(signals[signal].is_null())
        values = np.asarray(signals[signal].cast(pa.float64()).fill_null(np.nan))
        with np.errstate(invalid="ignore"):
            sides = {
                "<": values < threshold,
                ">": values > threshold,
                "=": values == threshold,
                "null": null,
            }
        fired.append(sides[side])
    first = np.argmax(np.array(fired), axis=0)
    some = np.any(np.array(fired), axis=0)
    return [rules[k][0] if any_ else None for k, any_ in zip(first, some, strict=True)]


def without(texts: pa.Array, spans: pa.Array) -> pa.Array:
    """The texts without their spans."""
    left = []
    for text, removed in zip(texts.to_pylist(), spans.to_pylist(), strict=True):
        at, parts = 0, []
        for span in removed:
            parts.append(text[at : span["start"]])
            at = span["end"]
        left.append("".join([*parts, text[at:]]))
    return pa.array(left, pa.large_string())


def chain(texts: pa.Array) -> list[str | None]:
    """FineWeb's chain: the first reason of each document; the last filter reads what C4 leaves."""
    signals = measure(texts, CHAIN[:3])
    signals |= measure(without(texts, signals["c4_lines_any_ending"]), CHAIN[3:])
    by_filter = [[why and f"{name}: {why}" for why in reasons(signals, name)] for name in CHAIN]
    return [next(filter(None, row), None) for row in zip(*by_filter, strict=True)]


def documents(files: tuple[Path, ...], count: int, longest: int) -> pa.Table:
    """English documents of at most `longest` characters, as many of each file, at equal steps
    through it."""
    tables = []
    for file in files:
        table = pq.read_table(file)
        if "language" in table.column_names:
            table = table.filter(pc.equal(table["language"], "en"))
        table = table.filter(pc.less_equal(pc.utf8_length(table["text"]), longest))
        each = min(table.num_rows, count // len(files))
        steps = np.linspace(0, table.num_rows - 1, each).astype(np.int64)
        texts = table["text"].take(steps).cast(pa.large_string())
        ids = [f"{file.stem} {value}" for value in table["id"].take(steps).to_pylist()]
        tables.append(pa.table({"id": pa.array(ids), "text": texts}))
    return pa.concat_tables(tables).combine_chunks()


def differences(
    names: list[str], ours: list[Any], theirs: list[Any]
) -> Iterator[tuple[str, int, str]]:
    """(kind, how many, an example) of decisions that differ."""
    kinds = collections.defaultdict(list)
    for name, own, other in zip(names, ours, theirs, strict=True):
        if (own is None) != (other is None):
            kinds[f"{own or 'kept'} / {other or 'kept'}"].append(name)
    for kind, examples in sorted(kinds.items(), key=lambda item: -len(item[1])):
        yield kind, len(examples), examples[0]


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--datatrove", required=True, help="The Python of an environment with datatrove.")
@click.option("--count", default=5000, show_default=True)
@click.option("--longest", default=1_000_000, show_default=True, help="Characters of a document.")
def main(files: tuple[Path, ...], datatrove: str, count: int, longest: int) -> None:
    """Measure both sides on the same documents."""
    table = documents(files, count, longest)
    texts = table["text"].combine_chunks()
    texts = texts.chunk(0) if isinstance(texts, pa.ChunkedArray) else texts
    size = pc.sum(pc.binary_length(texts)).as_py() / 1e6
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder, "texts.parquet"), Path(folder, "reasons.parquet")
        pq.write_table(table, source)
        command = [datatrove, str(PEER), str(source), str(out)]
        run = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        seconds = json.loads(run.stdout.splitlines()[-1])
        theirs = pq.read_table(out).to_pydict()
    report(table["id"].to_pylist(), texts, size, theirs, seconds)


def best_seconds(texts: pa.Array, groups: tuple[str, ...]) -> tuple[float, Columns]:
    """The least time of three for the signals of the groups, and the signals."""
    signals = measure(texts, groups)
    best = float("inf")
    for _ in range(3):
        begun = time.process_time()
        measure(texts, groups)
        best = min(best, time.process_time() - begun)
    return best, signals


def report(
    names: list[str],
    texts: pa.Array,
    size: float,
    theirs: dict[str, list[str | None]],
    seconds: dict[str, float],
) -> None:
    """Print the tables."""
    console = Console(width=120)
    table = Table(
        "filter", "equal decisions", "equal reasons", "kept: ours", "theirs", "s", "s", "ratio"
    )
    lists = Table("filter", "ours / theirs", "documents", "for example")
    all_seconds, signals = best_seconds(texts, tuple(RULES))
    own = {name: reasons(signals, name) for name in RULES} | {"chain": chain(texts)}
    for name, ours in own.items():
        other = theirs[name]
        equal = np.mean([(a is None) == (b is None) for a, b in zip(ours, other, strict=True)])
        both = [a == b for a, b in zip(ours, other, strict=True) if a and b]
        times = []
        if name in RULES:
            time_s = best_seconds(texts, (name,))[0]
            times = [f"{time_s:.2f}", f"{seconds[name]:.1f}", f"{seconds[name] / time_s:.0f}"]
        table.add_row(
            name,
            f"{equal:.2%}",
            f"{np.mean(both):.2%}" if both else "",
            *(str(sum(r is None for r in side)) for side in (ours, other)),
            *times,
        )
        for kind, number, example in differences(names, ours, other):
            lists.add_row(name, kind, str(number), example)
    together = sum(seconds[name] for name in RULES)
    console.print(f"{len(names):,} documents, {size:.1f} MB")
    console.print(table)
    console.print(
        f"all five groups in one call: {all_seconds:.2f} s, {size / all_seconds:.0f} MB/s; "
        f"datatrove's five filters {together:.1f} s, {together / all_seconds:.0f} times as long"
    )
    for name, column in (("c4", "c4_lines"), ("c4_any_ending", "c4_lines_any_ending")):
        left = without(texts, signals[column]).to_pylist()
        unequal = [
            k for k, (a, b) in enumerate(zip(left, theirs[f"{name}_text"], strict=True)) if a != b
        ]
        console.print(
            f"{name}: the text left is equal for {1 - len(unequal) / len(left):.2%}; "
            f"not for {', '.join(names[k] for k in unequal[:3]) or 'none'}"
        )
    console.print(lists)


if __name__ == "__main__":
    main()
