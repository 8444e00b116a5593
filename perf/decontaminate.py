"""Speed and memory of `decontaminate`: `python perf/decontaminate.py --benchmarks 'benchmarks/*.jsonl' FILES...`.

Extracts the files, then times the parts of the stage as a user runs it (scan, count, cut, study) in
megabytes of text a second, and gives the memory of the largest worker. The compiled kernels are
loaded before.

`--grow 60,300` does it for other numbers of benchmark files: those given, and copies of them in
which each letter is another one, so that their grams are new. For each number a first run makes the
gram tables, a second one finds them where runs keep them, and a third one has one file changed. The
last line says with which power of the number of files each time grows.
"""

from __future__ import annotations

import math
import os
import string
import tempfile
from pathlib import Path
from typing import Any

import click
import orjson
from line import Memory
from parts import Parts

from curation import store
from curation.engine.local import LocalEngine
from curation.pipeline import line as pipeline
from curation.recipe import reading as recipe

LETTERS = string.ascii_lowercase


def warm(_: int) -> int:
    """Load the compiled kernels in a worker, which takes it a second."""
    import numpy as np
    import pyarrow as pa

    from curation.kernels import buffers, grams, ngrams

    texts = buffers.text_buffers(pa.array(["to be or not to be"]))
    table, _, _ = ngrams.build_ngrams(ngrams.normalised_texts(["to be"]), [2])
    seen, wanted = np.zeros(len(table), bool), np.ones(1, bool)
    cuts = grams.build_table(["to be"], [0], 2)
    return len(grams.scan(*texts, cuts, table, wanted, seen).document)


def grown(files: list[Path], number: int, folder: Path) -> str:
    """Write so many benchmark files; returns a pattern for them."""
    folder.mkdir()
    for i in range(number):
        file, turn = files[i % len(files)], i // len(files)
        turned = LETTERS[turn:] + LETTERS[:turn]
        letters = str.maketrans(LETTERS + LETTERS.upper(), turned + turned.upper())
        lines = file.read_bytes().splitlines()
        rows = [orjson.dumps(_translated(orjson.loads(row), letters)) for row in lines if row]
        name = file.name if not turn else f"{turn}_{file.name}"
        (folder / name).write_bytes(b"".join(row + b"\n" for row in rows))
    return str(folder / "*.jsonl")


def _translated(value: Any, letters: dict[int, int]) -> Any:
    """A value of JSON with the letters of its texts, not of its keys, replaced."""
    if isinstance(value, str):
        return value.translate(letters)
    if isinstance(value, list):
        return [_translated(item, letters) for item in value]
    if isinstance(value, dict):
        return {key: _translated(item, letters) for key, item in value.items()}
    return value


def measured(files: tuple[str, ...], benchmarks: str, out: str, workers: int) -> dict[str, Any]:
    """One run of the stage into a new folder: its parts, its memory, and what its tables hold."""
    datasets = [{"name": f"d{i}", "files": os.path.abspath(file)} for i, file in enumerate(files)]
    tables = {"dataset": datasets, "decontaminate": {"benchmarks": benchmarks}}
    made = recipe.parse({"stages": ["extract", "decontaminate"], **tables})
    parts, memory = Parts(), Memory()
    engine = LocalEngine(workers, 1.0, parts)
    try:
        pipeline.run(made, out, engine, until="extract", say=lambda _: None)
        engine.map("start", warm, [0] * workers)
        memory.take()
        before = parts.used()
        rundir, plan = pipeline.run(made, out, engine, say=lambda _: None)
        whole = parts.used() - before
    finally:
        engine.close()
    columns = [store.read_table(rundir.documents(s), ["text"]).column(0) for s in plan.shards]
    size = sum(len(text.as_buffer()) for column in columns for text in column) / 1e6
    card = store.read_json(rundir.path("decontaminate", "benchmarks", "card.json"))
    worker, parent = memory.take()
    return {"parts": parts, "whole": whole, "size": size, "card": card, "worker": worker,
            "parent": parent}  # fmt: skip


@click.command()
@click.argument("files", nargs=-1, required=True)
@click.option("--benchmarks", required=True)
@click.option("--workers", default=1, show_default=True)
@click.option("--grow", help="Numbers of benchmark files, with commas between.")
def main(files: tuple[str, ...], benchmarks: str, workers: int, grow: str | None) -> None:
    """Time the parts of `decontaminate`."""
    with tempfile.TemporaryDirectory() as out:
        os.environ["CURATION_CACHE"] = f"{out}/cache"
        if grow:
            show_growth(
                files, benchmarks, [int(part) for part in grow.split(",")], Path(out), workers
            )
            return
        for run in ("makes the gram tables", "finds them"):
            one = measured(files, os.path.abspath(benchmarks), f"{out}/{run[:5]}", workers)
            card, size = one["card"], one["size"]
            click.echo(
                f"A run that {run}: {size:.1f} MB of text, {card['examples']:,} examples, "
                f"{card['grams']:,} grams, table {card['bytes'] / 1e6:.0f} MB"
            )
            click.echo("\n".join(one["parts"].lines(size, "MB", "decontaminate")))
            click.echo(
                f"whole stage {one['whole']:.2f} s of processor, {size / one['whole']:.1f} MB/s"
            )
            click.echo(
                f"largest worker {one['worker']} MB, parent {one['parent']} MB (maps of the tables counted)"
            )


def show_growth(
    files: tuple[str, ...], benchmarks: str, numbers: list[int], out: Path, workers: int
) -> None:
    """Print times and memory for each number of benchmark files."""
    given = [Path(file.path) for file in store.find(os.path.abspath(benchmarks))]
    click.echo(
        "files | run | stage, s | scan and cut, s | grams | tables, MB | parent, MB | worker, MB"
    )
    times: dict[str, list[float]] = {"first": [], "second": [], "scan": []}
    for number in numbers:
        pattern = grown(given, number, out / f"files{number}")
        for run in ("first", "second", "one file changed"):
            if run == "one file changed":
                with (out / f"files{number}" / given[0].name).open("ab") as file:
                    file.write(b'{"question": "one example more"}\n')
            one = measured(files, pattern, str(out / f"run{number}{run}"), workers)
            used = one["parts"].seconds()
            scan = sum(used[f"decontaminate: {part}"][1] for part in ("scan", "cut"))
            card = one["card"]
            cells = [number, run, f"{one['whole']:.2f}", f"{scan:.2f}", f"{card['grams']:,}",
                     f"{card['bytes'] / 1e6:.0f}", one["parent"], one["worker"]]  # fmt: skip
            click.echo(" | ".join(map(str, cells)))
            if run in times:
                times[run].append(one["whole"])
            if run == "second":
                times["scan"].append(scan)
    if len(numbers) > 1:
        ratio = math.log(numbers[-1] / numbers[0])
        grows = (f"{name} {math.log(t[-1] / t[0]) / ratio:.2f}" for name, t in times.items())
        click.echo("power of the number of files: " + ", ".join(grows))


if __name__ == "__main__":
    main()
