"""Speed of `curation dedup` beside datatrove's pipeline: `python perf/dedup.py TEXTS.parquet [--datatrove PYTHON]`.

Prints documents a second of the whole command (reading, deduplication, writing what stays), best of the rounds, ours and datatrove's in
turn, on the same files with the same number of workers; and the ratio. The file is cut into one for each worker first, since both share out
files; ours is also timed on the file as it is. PYTHON is that of an environment with datatrove (`perf/peers/datatrove_dedup.py` says how);
without it only ours is measured. Signatures alone are measured by `perf/kernels.py`.

Trap: ours counts the start of Python and its workers, datatrove's time begins after its imports; the kernels are compiled before.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import pyarrow.parquet as pq

PEER = Path(__file__).with_name("peers") / "datatrove_dedup.py"


@click.command()
@click.argument("texts", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--datatrove", help="The Python of an environment that has datatrove.")
@click.option("--workers", default=2, show_default=True)
@click.option("--rounds", default=2, show_default=True)
def main(texts: Path, datatrove: str | None, workers: int, rounds: int) -> None:
    """Time both sides in turn."""
    table = pq.read_table(texts, columns=["id", "text"])
    size = sum(len(text.as_buffer()) for text in table.column("text")) / 1e6
    print(
        f"{texts.name}: {table.num_rows:,} documents, {size:.1f} MB of text, {workers} workers, load {load()}"
    )
    subprocess.run([sys.executable, "-m", "curation.pipeline.compile"], check=True)
    best: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        pieces = Path(folder, "pieces")
        pieces.mkdir()
        each = -(-table.num_rows // workers)
        for number in range(workers):
            pq.write_table(table.slice(number * each, each), pieces / f"{number}.parquet")
        for turn in range(rounds):
            sides = {"curation dedup": lambda out: ours(pieces, out, workers)}
            sides["curation dedup, one file"] = lambda out: ours(texts, out, workers)
            if datatrove:
                sides["datatrove, 14 x 8"] = lambda out: theirs(datatrove, pieces, out, workers)
            for name, side in sides.items():
                seconds = side(Path(folder, f"{name} {turn}"))
                best[name] = min(best.get(name, seconds), seconds)
    for name, seconds in best.items():
        print(
            f"{name:26} {seconds:8.1f} s {table.num_rows / seconds:10,.0f} documents/s {size / seconds:8.1f} MB/s"
        )
    if datatrove:
        print(
            f"{best['datatrove, 14 x 8'] / best['curation dedup']:.0f} times datatrove's documents a second"
        )
    else:
        print(
            "datatrove: skipped, for no --datatrove PYTHON was given (perf/peers/datatrove_dedup.py says what it needs)"
        )
    print(f"load at the end {load()}")


def ours(texts: Path, out: Path, workers: int) -> float:
    """Seconds by the clock of the whole command."""
    command = [
        sys.executable,
        "-m",
        "curation",
        "dedup",
        str(texts),
        "--out",
        str(out),
        "--workers",
        str(workers),
    ]
    start = time.perf_counter()
    subprocess.run(
        [*command, "--alarm", "warn"],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return time.perf_counter() - start


def theirs(python: str, folder: Path, out: Path, workers: int) -> float:
    """Seconds of datatrove's four steps, as it says itself."""
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [python, str(PEER), str(folder), str(out), str(workers)],
        env=clean,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise click.ClickException(f"{python} {PEER}: {done.stderr[-2000:]}")
    return float(done.stdout.rpartition("seconds ")[2].split()[0])


def load() -> str:
    """Processes that want a core: the mean of the last minute."""
    return f"{os.getloadavg()[0]:.1f}"


if __name__ == "__main__":
    main()
