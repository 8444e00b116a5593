"""What `curation plan --calibrate` says beside what runs take: `python perf/plan_accuracy.py`.

Writes corpora of several sizes into a temporary folder (made-up articles from the words of the demo
corpus in web pages, trusted articles as JSON lines, the demo benchmark), calibrates once on the one
in the middle, or on each with --each, and runs each corpus stage by stage on the local engine.
Prints core seconds a stage, the whole wall time and the disk of every folder, planned and measured.
Core seconds are those of this process and all that it started.
"""

from __future__ import annotations

import io
import json
import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import click
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from curation import store
from curation.costs import estimate, inputs, processor, rates
from curation.costs.calibrate import calibrate
from curation.demo.build import build_demo
from curation.engine.local import LocalEngine
from curation.pipeline import line
from curation.recipe import reading
from curation.recipe.line import folders
from curation.recipe.tables import Recipe

ARCHIVE_BYTES = 500_000
RECIPE = """
[[dataset]]
name = "trusted"
files = "trusted/*.jsonl"

[[dataset]]
name = "crawl"
role = "crawl"
files = "crawl/*.warc.gz"

[classify]
alpha = 1.0

[dedup]
alarm = "warn"

[decontaminate]
benchmarks = "demo/benchmark.jsonl"

[mix.weights]
trusted = 40
crawl = 60
"""


class Writer:
    """Sentences of the demo corpus's words, every twentieth article a repeated one."""

    def __init__(self, words: list[str], seed: int) -> None:
        self._words = words
        self._draw = random.Random(seed)
        self._old: list[str] = []

    def article(self) -> str:
        if self._old and self._draw.random() < 0.05:
            return self._draw.choice(self._old)
        sentences = []
        for _ in range(self._draw.randrange(10, 60)):
            words = self._draw.choices(self._words, k=self._draw.randrange(6, 20))
            sentences.append(" ".join(words).capitalize() + ".")
        text = " ".join(sentences)
        self._old = [*self._old[-50:], text]
        return text


def write_corpus(folder: Path, words: list[str], mb: float, seed: int) -> None:
    """A corpus of about so many stored megabytes in archives."""
    writer = Writer(words, seed)
    for part in ("crawl", "trusted"):
        (folder / part).mkdir(parents=True)
    build_demo(folder / "demo")
    (folder / "recipe.toml").write_text(RECIPE)
    written, number = 0, 0
    while written < mb * 1e6:
        data = _archive(writer, number)
        (folder / "crawl" / f"part-{number:05}.warc.gz").write_bytes(data)
        rows = [json.dumps({"text": writer.article()}) for _ in range(100)]
        (folder / "trusted" / f"part-{number:05}.jsonl").write_text("\n".join(rows))
        written, number = written + len(data), number + 1


def link_corpus(folder: Path, crawl: list[Path], trusted: Path, count: int) -> None:
    """A corpus of so many real archives, copies of them where there are fewer, and a file of trusted
    texts."""
    (folder / "crawl").mkdir(parents=True)
    (folder / "trusted").mkdir()
    build_demo(folder / "demo")
    text = RECIPE.replace("trusted/*.jsonl", f"trusted/{trusted.name}")
    (folder / "recipe.toml").write_text(text)
    (folder / "trusted" / trusted.name).symlink_to(trusted)
    for number in range(count):
        file = crawl[number % len(crawl)]
        place = folder / "crawl" / f"part-{number:05}.warc.gz"
        if number < len(crawl):
            place.symlink_to(file)
        else:  # one file under two names is read once
            shutil.copy(file, place)


def _archive(writer: Writer, number: int) -> bytes:
    out = io.BytesIO()
    archive = WARCWriter(out, gzip=True)
    head = [("Content-Type", "text/html; charset=utf-8")]
    menu = "".join(f'<li><a href="/{i}">Section {i}</a></li>' for i in range(30))
    page = 0
    while out.tell() < ARCHIVE_BYTES:
        url = f"https://site{page % 97}.example/{number}/{page}"
        body = (
            f"<html><head><title>Page {page}</title></head><body><nav><ul>{menu}</ul></nav>"
            f"<article><p>{writer.article()}</p></article><footer>All rights</footer></body></html>"
        ).encode()
        http = StatusAndHeaders("200 OK", head, protocol="HTTP/1.1")
        record = archive.create_warc_record(
            url, "response", io.BytesIO(body), len(body), http_headers=http
        )
        archive.write_record(record)
        page += 1
    return out.getvalue()


def measured(
    recipe: Recipe, out: str, workers: int
) -> tuple[dict[str, float], float, dict[str, int]]:
    """Core seconds by stage, wall seconds of all, bytes by folder of a run."""
    spent = {}
    began = time.monotonic()
    engine = LocalEngine(workers)
    for stage in recipe.stages:
        if stage == "download":
            continue
        before = processor.core_s()
        rundir, _ = line.run(recipe, out, engine, until=stage, say=lambda _: None)
        spent[stage] = processor.core_s() - before
    wall = time.monotonic() - began
    engine.close()
    names = [name for stage in recipe.stages for name in folders(stage, recipe.stages)]
    disk = {n: sum(f.size for f in store.listing(rundir.path(n), hidden=True)) for n in names}
    return spent, wall, disk


def rows(
    planned: estimate.RunPlan, spent: dict[str, float], wall: float, disk: dict[str, int]
) -> Iterator[tuple[str, float, float]]:
    """What is compared: name, planned, measured."""
    for stage in planned.stages:
        if stage.stage in spent:
            yield f"{stage.stage}, core s", stage.core_s, spent[stage.stage]
    yield "all, core s", planned.core_s, sum(spent.values())
    yield "all, wall s", planned.wall_s, wall
    yield "disk, MB", planned.disk_bytes / 1e6, sum(disk.values()) / 1e6


@click.command()
@click.option(
    "--sizes",
    default="1,2,4,8,16",
    show_default=True,
    help="Megabytes of archives; with --crawl how many archives.",
)
@click.option("--crawl", help="A folder of WARC archives, in place of made-up ones.")
@click.option("--trusted", help="With --crawl: a file of trusted texts.")
@click.option("--seconds", default=60.0, show_default=True, help="Of a calibration.")
@click.option("--workers", default=2, show_default=True)
@click.option("--each", is_flag=True, help="Calibrate on each corpus, not once.")
def main(sizes: str, crawl: str, trusted: str, seconds: float, workers: int, each: bool) -> None:
    """Plan and run corpora of several sizes."""
    megabytes = [float(size) for size in sizes.split(",")]
    words = Path(__file__).parents[1] / "curation" / "demo" / "webtext2.jsonl"
    known = words.read_text(encoding="utf-8").replace('"', " ").split()
    used = None
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        order = sorted(range(len(megabytes)), key=lambda i: abs(i - len(megabytes) // 2))
        for place in order:  # the one that is calibrated on comes first
            corpus = folder / f"{place}"
            if crawl:
                found_here = sorted(Path(crawl).resolve().glob("*.warc.gz"))
                link_corpus(corpus, found_here, Path(trusted).resolve(), int(megabytes[place]))
            else:
                write_corpus(corpus, known, megabytes[place], place)
            recipe = reading.load(str(corpus / "recipe.toml"))
            found = inputs.read(recipe, {}, str(corpus / "lists"), click.echo)
            if used is None or each:
                temporary = str(corpus / "calibration")
                used = calibrate(recipe, found, rates.load(), temporary, seconds, click.echo)
            cluster = estimate.Cluster(1, workers, 1000.0)
            planned = estimate.plan(recipe, found, used, cluster, rates.prices())
            result = measured(recipe, str(corpus / "run"), workers)
            what = "archives" if crawl else "MB of archives"
            click.echo(f"\n{megabytes[place]:g} {what}, {workers} workers")
            click.echo(f"{'':<24}{'planned':>10}{'measured':>10}{'off by':>9}")
            for what, plan, took in rows(planned, *result):
                off = plan / took - 1 if took else 0.0
                click.echo(f"{what:<24}{plan:>10.2f}{took:>10.2f}{off:>+9.0%}")


if __name__ == "__main__":
    main()
