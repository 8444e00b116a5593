"""Archives to documents with language, on one core: `python perf/reading.py [FOLDER] [--datatrove PYTHON]`.

Beside the stage, in the same run and in turn with it: gunzip, HTML extraction and language identification alone, over the same bytes in
memory; their sum is what nothing can beat, and the ratio to it what our own work costs (asked: 1.3). Then memory: the crawl four times
over in one worker, resident memory of worker and child together, pass by pass (asked: under 500 MB, no growth). Then datatrove on the
first archive, with its defaults (trafilatura, a second a page), beside ours on the same. PYTHON is an environment of its own:

    python -m venv out/datatrove && out/datatrove/bin/pip install "datatrove[processing,io]" lxml_html_clean

Everything is bound to one core. Processor seconds count, since they bear with other work on the machine; the clock's stand beside them.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import tempfile
import time
import zlib
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import click
import psutil

from curation.blocks.shape import page_shape
from curation.readers import html, language, page_sandbox, warc
from curation.readers.encoding import decoded
from curation.readers.records import Page
from curation.recipe import reading as recipe
from curation.recipe.tables import ExtractConfig
from curation.rundir import ledger, plan
from curation.rundir.directory import RunDirectory
from curation.stages.extract.stage import extract_shard

CRAWL = "../shared/data/crawl"
PEER = Path(__file__).parent / "peers" / "datatrove_reading.py"
Times = tuple[float, float]  # processor, clock


def timed(work: Callable[[], Any]) -> tuple[Times, Any]:
    """Seconds of this process and its children, and what the work gave."""
    began, clock = _processor(), time.perf_counter()
    result = work()
    return (_processor() - began, time.perf_counter() - clock), result


def _processor() -> float:
    own = psutil.Process()
    return sum(sum(p.cpu_times()[:2]) for p in [own, *own.children()])


def extract(files: list[Path]) -> tuple[int, int]:
    """The whole stage on some archives as one shard; pages read, documents written."""
    with tempfile.TemporaryDirectory() as out:
        config = {"name": "a", "files": [str(f) for f in files], "target_shard_mb": 1_000_000}
        made = recipe.parse({"stages": ["extract"], "dataset": [config]})
        (shard,) = plan.make(made, out).shards
        books = extract_shard(
            RunDirectory(out, made), {"a": None}, made.download.patience(1), None, shard
        ).ledger
    kept = ledger.documents(books, ledger.KEPT)
    return ledger.documents(books, ledger.IN) - ledger.documents(books, "not_a_page"), kept


def gunzip(packed: list[bytes]) -> int:
    size = 0
    for data in packed:
        while data:
            engine = zlib.decompressobj(31)
            size += len(engine.decompress(data))
            data = engine.unused_data
    return size


def members(path: Path) -> list[bytes]:
    """A file cut into its gzip members, so that taking each apart costs no copy of the rest."""
    data, found = path.read_bytes(), []
    while data:
        engine = zlib.decompressobj(31)
        engine.decompress(data)
        found.append(data[: len(data) - len(engine.unused_data)])
        data = engine.unused_data
    return found


def extraction(texts: list[str]) -> list[str]:
    found = []
    for text in texts:
        try:
            shape = page_shape(text.encode("utf-8", "replace"))
            found.append(html._by_blocks(text, shape, html.Form()))
        except html.PageError:
            continue
    return found


def in_turn(files: list[Path], rounds: int) -> None:
    packed = [one for f in files for one in members(f)]
    pages = [
        one
        for f in files
        for one in warc.read_archive(f.open("rb"), f.name, max_page_bytes=10 << 20)
        if isinstance(one, Page)
    ]
    texts = [decoded(page.body, page.content_type) for page in pages if not page.is_text]
    extraction(texts[:3])
    language.languages(["warm"])
    config = ExtractConfig()
    start, _ = timed(
        lambda: page_sandbox.page_sandbox(config.extractor, html.Form(), config.max_page_s).read(
            pages[:1]
        )
    )
    click.echo(f"a worker's child starts in {start[0]:.1f} s of processor time, once")
    best: dict[str, Times] = {}

    def run(name: str, work: Callable[[], Any]) -> Any:
        seconds, result = timed(work)
        best[name] = min(best.get(name, seconds), seconds)
        return result

    for _ in range(rounds):
        run("gunzip", partial(gunzip, packed))
        bodies = [text for text in run("extraction", partial(extraction, texts)) if text.strip()]
        run("language", partial(language.languages, bodies))
        run("the stage", partial(extract, files))
    alone = sum(best[name][0] for name in ("gunzip", "extraction", "language"))
    click.echo(
        f"{len(files)} archives, {len(pages)} pages, {sum(len(p.body) for p in pages) / 1e6:.0f} MB of HTML; best of {rounds}"
    )
    for name, (processor, clock) in best.items():
        click.echo(f"  {name:12} {processor:6.2f} s of processor time, {clock:6.2f} s by the clock")
    processor = best["the stage"][0]
    click.echo(
        f"  the stage is {processor / alone:.2f} times the sum of the three, {len(pages) / processor:.0f} pages/s"
    )


def _passes(files: list[Path], times: int, line: Connection) -> None:
    for _ in range(times):
        line.send(extract(files)[0])
    line.close()


def memory(files: list[Path], times: int = 4) -> None:
    """Peaks of the resident memory of a fresh worker and its child, pass by pass."""
    rundir = multiprocessing.get_context("spawn")
    ours, theirs = rundir.Pipe()
    worker = rundir.Process(target=_passes, args=(files, times, theirs))
    worker.start()
    theirs.close()
    process, peaks, pages = psutil.Process(worker.pid), [0], 0
    while len(peaks) <= times:
        try:
            peaks[-1] = max(
                peaks[-1], sum(p.memory_info().rss for p in [process, *process.children()])
            )
        except psutil.NoSuchProcess:
            continue
        if ours.poll(0.05):
            pages += ours.recv()
            peaks.append(0)
    worker.join()
    click.echo(
        f"memory of a worker and its child, {pages} pages in {times} passes: {', '.join(f'{p / 1e6:.0f}' for p in peaks[:-1])} MB"
    )


def beside_datatrove(python: str, path: Path) -> None:
    with tempfile.TemporaryDirectory() as out:
        (Path(out) / "in").mkdir()
        (Path(out) / "in" / path.name).symlink_to(path.resolve())
        done = subprocess.run([python, str(PEER), out], capture_output=True, text=True, check=True)
    told = json.loads(done.stdout.splitlines()[-1])
    ours, (pages, kept) = timed(lambda: extract([path]))
    click.echo(f"{path.name}, {pages} pages, by the clock, one core:")
    click.echo(
        f"  datatrove {told['version']}: {told['seconds']:.1f} s, {pages / told['seconds']:.1f} pages/s, "
        f"{told['documents']} documents, no language"
    )
    click.echo(
        f"  ours: {ours[1]:.1f} s, {pages / ours[1]:.1f} pages/s, {kept} documents, with language"
    )
    click.echo(
        f"  ours is {told['seconds'] / ours[1]:.1f} times as fast ({told['processor'] / ours[0]:.1f} times in processor time)"
    )


@click.command()
@click.argument("folder", default=CRAWL)
@click.option("--rounds", default=3, show_default=True)
@click.option(
    "--datatrove", metavar="PYTHON", help="interpreter of an environment that has datatrove"
)
@click.option("--no-memory", is_flag=True, help="leave the four passes out")
def main(folder: str, rounds: int, datatrove: str | None, no_memory: bool) -> None:
    """Measure, and print."""
    files = sorted(Path(folder).glob("*.warc.gz"))
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    click.echo(f"load average {', '.join(f'{x:.1f}' for x in os.getloadavg())}")
    in_turn(files, rounds)
    if datatrove:
        beside_datatrove(datatrove, files[0])
    if not no_memory:
        memory(files)
    click.echo(f"load average {', '.join(f'{x:.1f}' for x in os.getloadavg())}")


if __name__ == "__main__":
    main()
