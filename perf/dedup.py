"""Speed of `curation dedup` beside datatrove's pipeline: `python perf/dedup.py TEXTS.parquet... [--datatrove PYTHON]`.

Prints documents a second of the whole command (reading, deduplication, writing what stays), best of the rounds, ours and
datatrove's in turn, on the same files with the same number of workers; and the ratio, by the clock and by processor time,
which other work on the machine disturbs less; and the most memory that all processes of a side held
at once. Several files are put together, and `--megabytes` repeats them, each time with
the words of each text in another order. The texts are cut into one file for each worker first, since both share out files;
ours is also timed on one file. PYTHON is that of an environment with datatrove (`perf/peers/datatrove_dedup.py` says how);
without it only ours is measured. Signatures alone are measured by `perf/kernels.py`.

Trap: both count the start of Python and of workers in processor time; by the clock datatrove's begins after its imports, as
it says itself. The kernels are compiled before.
"""

from __future__ import annotations

import ctypes
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import click
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from memory import Memory

PEER = Path(__file__).with_name("peers") / "datatrove_dedup.py"
THEIRS = "datatrove, 14 x 8"
_KEEP_ORPHANS = 36  # prctl: children of ended children are ours


@click.command()
@click.argument("texts", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--datatrove", help="The Python of an environment that has datatrove.")
@click.option("--megabytes", type=float, help="Of text at least.  [default: what the files hold]")
@click.option("--workers", default=2, show_default=True)
@click.option("--rounds", default=2, show_default=True)
def main(
    texts: Sequence[Path],
    datatrove: str | None,
    megabytes: float | None,
    workers: int,
    rounds: int,
) -> None:
    """Time both sides in turn."""
    ctypes.CDLL(None).prctl(_KEEP_ORPHANS, 1, 0, 0, 0)
    table = read_texts(texts, megabytes or 0.0)
    documents, size = table.num_rows, text_megabytes(table)
    print(f"{documents:,} documents, {size:.1f} MB, {workers} workers, load {load()}")
    subprocess.run([sys.executable, "-m", "curation.pipeline.compile"], check=True)
    best: dict[str, tuple[float, float, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        pieces = Path(folder, "pieces")
        pieces.mkdir()
        each = -(-table.num_rows // workers)
        for number in range(workers):
            pq.write_table(table.slice(number * each, each), pieces / f"{number}.parquet")
        whole = Path(folder, "whole.parquet")
        pq.write_table(table, whole)
        del table
        for turn in range(rounds):
            sides = {"curation dedup": lambda out: ours(pieces, out, workers)}
            sides["curation dedup, one file"] = lambda out: ours(whole, out, workers)
            if datatrove:
                sides[THEIRS] = lambda out: theirs(datatrove, pieces, out, workers)
            for name, side in sides.items():
                with Memory(with_own=False) as memory:
                    clock, used = side(Path(folder, f"{name} {turn}"))
                taken = clock, used, memory.peak / 1e9
                print(
                    f"round {turn + 1}: {name:26} {clock:8.1f} s, of processors {used:.1f}, "
                    f"{taken[2]:.2f} GB",
                    flush=True,
                )
                best[name] = tuple(map(min, best.get(name, taken), taken))  # type: ignore[assignment]
    for name, (clock, used, held) in best.items():
        speed = f"{documents / clock:10,.0f} documents/s {size / clock:8.1f} MB/s"
        print(f"{name:26} {clock:8.1f} s {speed}; of processors {used:8.1f} s; {held:.2f} GB")
    if datatrove:
        clock, used, _ = (a / b for a, b in zip(best[THEIRS], best["curation dedup"], strict=True))
        print(f"{clock:.0f} times datatrove's documents a second, {used:.0f} by processor time")
    else:
        print("datatrove: skipped, for no --datatrove PYTHON was given (see perf/peers)")
    print(f"load at the end {load()}")


def read_texts(paths: Sequence[Path], megabytes: float) -> pa.Table:
    """The texts of some files, repeated with their words in other orders up to a size, numbered."""
    tables = [pq.read_table(path, columns=["text"]).cast(pa.schema({"text": pa.large_string()}))
              for path in paths]  # fmt: skip
    once = pa.concat_tables(tables)
    texts, size = [once.column("text").combine_chunks()], text_megabytes(once)
    rng = random.Random(0)
    for _ in range(1, -(-int(megabytes * 1000) // max(1, int(size * 1000)))):
        texts.append(pa.array([shuffled(text, rng) for text in once.column("text").to_pylist()]))
    chunks = [text.cast(pa.large_string()) for text in texts]
    ids = [str(number) for number in range(sum(map(len, chunks)))]
    return pa.table({"id": ids, "text": pa.chunked_array(chunks)})


def shuffled(text: str, rng: random.Random) -> str:
    """A text of the same words."""
    words = text.split(" ")
    rng.shuffle(words)
    return " ".join(words)


def text_megabytes(table: pa.Table) -> float:
    """MB of the texts in UTF-8."""
    return float(pc.sum(pc.binary_length(table.column("text"))).as_py() / 1e6)


def ours(texts: Path, out: Path, workers: int) -> tuple[float, float]:
    """Seconds of the whole command, by the clock and of processors."""
    command = [sys.executable, "-m", "curation", "dedup", str(texts), "--out", str(out)]
    command += ["--workers", str(workers), "--alarm", "warn"]
    start, before = time.perf_counter(), processor_seconds()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start, processor_seconds() - before


def theirs(python: str, folder: Path, out: Path, workers: int) -> tuple[float, float]:
    """Seconds of datatrove's four steps by the clock, as it says itself, and of processors."""
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    before = processor_seconds()
    done = subprocess.run(
        [python, str(PEER), str(folder), str(out), str(workers)],
        env=clean,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise click.ClickException(f"{python} {PEER}: {done.stderr[-2000:]}")
    clock = float(done.stdout.rpartition("seconds ")[2].split()[0])
    return clock, processor_seconds() - before


def processor_seconds() -> float:
    """Of all processes that have ended, those waited for that their parents left behind."""
    while True:
        try:
            os.wait()
        except ChildProcessError:
            break
    times = os.times()
    return times.children_user + times.children_system


def load() -> str:
    """Processes that want a core: the mean of the last minute."""
    return f"{os.getloadavg()[0]:.1f}"


if __name__ == "__main__":
    main()
