"""Every stage beside a peer and beside the work that cannot be avoided: `python perf/bench.py` (`make bench`).

Each stage is run as a user runs it, from tables to tables, in one process, on one core. The peer is
a library that does the same work and is installed with the extra `dev`; where it is slow it gets
every n-th document, and its speed is taken. The least work is what no program that makes the same
files can leave out, done by the fastest library at hand. The three are run in turn, `--rounds`
times; the fewest processor seconds count, children included, kernels compiled and loaded before.

Without options the inputs are the demo corpus, small enough that a stage's fixed costs show; with
`--archives FOLDER --texts FILE.parquet --benchmarks FILES` they are one's own. `--out FILE` writes
the table as Markdown, with machine and date.
"""

from __future__ import annotations

import datetime
import os
import platform
import resource
import tempfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash
from rich.console import Console
from rich.table import Table

from curation import store
from curation.demo.build import build_demo
from curation.engine.inline import InlineEngine
from curation.pipeline import line
from curation.readers import language, warc
from curation.readers.encoding import decoded
from curation.readers.records import Page
from curation.recipe import reading

WORDS = 5  # of a shingle, in dedup
GRAM = 13  # words, in decontaminate
HASHES = 120


@dataclass(frozen=True, slots=True)
class Side:
    """Some work, the share of the documents that it is done on, and what it is."""

    work: Callable[[], object]
    name: str
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class Row:
    """A stage: how much it is given, of which unit, and the sides that are timed in turn."""

    stage: str
    amount: float
    unit: str
    ours: Callable[[], object]
    peer: Side | None
    least: Side


def processor_seconds() -> float:
    """Processor seconds of this process, of its children and of those that have ended."""
    ended = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    alive = [child.cpu_times() for child in psutil.Process().children()]
    return sum(u.ru_utime + u.ru_stime for u in ended) + sum(sum(t[:2]) for t in alive)


class Inputs:
    """The run whose stages are timed, its texts, and the pages of its archives."""

    def __init__(self, folder: Path, archives: str, texts: str, benchmarks: Sequence[str]) -> None:
        self.out = str(folder / "run")
        self.archives, self.engine = Path(archives), InlineEngine()
        crawl = {"name": "crawl", "role": "crawl", "files": [texts]}
        build_demo(folder / "demo")  # its trusted texts are the positives of any texts
        trusted = {"name": "trusted", "files": [str(folder / "demo" / "webtext2.jsonl")]}
        tables = {
            "dataset": [trusted, crawl],
            "filter": {"signals": ["gopher", "gopher_repetition", "c4", "fineweb"]},
            # One model, as the peer has it, and a rule that keeps all, for later stages to have work.
            "classify": {"scaling": "log-l2", "signals": [], "folds": 0, "alpha": 0.01},
            "dedup": {"alarm": "warn"},
            "decontaminate": {"benchmarks": list(benchmarks), "study": False},
            "mix": {"weights": {"trusted": 0.2, "crawl": 99.8}, "shards": 4},
        }
        stages = ["extract", "filter", "classify", "dedup", "decontaminate", "tokenize", "mix"]
        self.recipe = reading.parse({"stages": stages, **tables})
        self.rundir, self.plan = line.run(self.recipe, self.out, self.engine, say=_silent)
        paths = [self.rundir.documents(shard) for shard in self.plan.shards]
        self.tables = paths
        columns = [store.read_table(path, ["text"])[0].to_pylist() for path in paths]
        self.texts: list[str] = [text for column in columns for text in column]
        self.trusted = len(columns[0])  # of them, the first ones
        self.megabytes = sum(len(text.encode()) for text in self.texts) / 1e6

    def stage(self, name: str) -> Callable[[], object]:
        """The stage once more, as the command does it."""
        given = {"again_from": name, "until": name, "say": _silent}
        return lambda: line.run(self.recipe, self.out, self.engine, **given)

    def touched(self) -> None:
        """Read the texts' tables, and each byte of them once."""
        for path in self.tables:
            for chunk in store.read_table(path, ["text"])[0].chunks:
                xxhash.xxh3_64_digest(chunk.buffers()[2])


def _silent(text: str) -> None:
    """Messages about resuming."""


# ---- the rows ------------------------------------------------------------------------------------


def extract_row(inputs: Inputs, folder: Path) -> Row:
    """Archives to documents, beside trafilatura on every tenth page."""
    import trafilatura
    import turbohtml

    files = sorted(inputs.archives.glob("*.warc.gz"))[:3]
    made = reading.parse(
        {
            "stages": ["extract"],
            "dataset": [{"name": "a", "role": "crawl", "files": [str(f) for f in files]}],
        }
    )
    bodies = [page for file in files for page in _pages(file)]

    packed = [member for file in files for member in _members(file.read_bytes())]

    def least() -> None:
        for member in packed:
            zlib.decompress(member, 31)
        for body in bodies:
            turbohtml.parse(body)
        language.languages(texts)

    def peer() -> None:
        for body in bodies[::10]:
            trafilatura.extract(body)

    def ours() -> None:
        line.run(made, str(folder / "pages"), inputs.engine, again_from="extract", say=_silent)

    rundir, plan = line.run(made, str(folder / "pages"), inputs.engine, say=_silent)
    tables = [store.read_table(rundir.documents(shard), ["text"]) for shard in plan.shards]
    texts = [text for table in tables for text in table[0].to_pylist()]
    share = len(bodies[::10]) / len(bodies)
    return Row(
        "extract",
        len(bodies),
        "pages",
        ours,
        Side(peer, "trafilatura", share),
        Side(least, "gunzip, parse, language"),
    )


def _members(data: bytes) -> list[bytes]:
    """The gzip members of an archive: unpacking them as one file copies the rest for each."""
    members = []
    while data:
        engine = zlib.decompressobj(31)
        engine.decompress(data)
        members.append(data[: len(data) - len(engine.unused_data)])
        data = engine.unused_data
    return members


def _pages(file: Path) -> list[str]:
    with file.open("rb") as stream:
        records = warc.read_archive(stream, file.name, max_page_bytes=10 << 20)
        pages = [one for one in records if isinstance(one, Page) and not one.is_text]
    return [decoded(page.body, page.content_type) for page in pages]


def text_rows(inputs: Inputs) -> list[Row]:
    """The stages that read texts."""
    least = Side(inputs.touched, "read each byte")
    rows = [
        ("filter", None),
        ("classify", Side(lambda: _scikit_learn(inputs), "scikit-learn, one fit of our nine")),
        ("dedup", Side(lambda: _datasketch(inputs.texts[::20]), "datasketch", 1 / 20)),
        ("decontaminate", Side(lambda: _grams(inputs.texts[::5]), "a set of 13-grams", 1 / 5)),
    ]
    return [
        Row(name, inputs.megabytes, "MB", inputs.stage(name), peer, least) for name, peer in rows
    ]


def tokenize_row(inputs: Inputs) -> Row:
    """Texts to tokens, beside tiktoken and above gigatoken."""
    from curation.kernels import bpe, encoding

    slow = bpe.encoding("gpt2")
    data = [text.encode() for text in inputs.texts]

    def alone() -> None:
        reader = encoding._new_tokenizer()
        for text in data:
            reader.encode(text)

    stage = inputs.stage("tokenize")

    def ours() -> None:
        encoding._reader.cache_clear()  # it makes its ranks and knows no word, as the other side
        stage()

    peer = Side(lambda: [slow.encode_ordinary(text) for text in inputs.texts], "tiktoken")
    kind = Side(alone, "gigatoken alone")
    return Row("tokenize", inputs.megabytes, "MB", ours, peer, kind)


def mix_row(inputs: Inputs) -> Row:
    """Tokens to shards, above copying them."""
    paths = [inputs.rundir.table("tokens", shard) for shard in inputs.plan.shards]

    def copied() -> None:
        with tempfile.TemporaryFile() as file:
            for path in paths:
                for chunk in store.read_table(path, ["tokens"])[0].chunks:
                    file.write(chunk.flatten().buffers()[2] or b"")

    tokens = store.read_json(inputs.rundir.path("shards", "shards.json"))["tokens"] / 1e6
    return Row("mix", tokens, "million tokens", inputs.stage("mix"), None, Side(copied, "a copy"))


def _scikit_learn(inputs: Inputs) -> None:
    from sklearn.feature_extraction.text import HashingVectorizer
    from sklearn.linear_model import LogisticRegression

    hashing = HashingVectorizer(n_features=1 << 18, alternate_sign=False, token_pattern=r"\S+")
    features = hashing.transform(inputs.texts)
    is_trusted = [number < inputs.trusted for number in range(len(inputs.texts))]
    LogisticRegression(max_iter=1000).fit(features, is_trusted).predict_proba(features)


def _datasketch(texts: list[str]) -> None:
    from datasketch import MinHash, MinHashLSH

    index = MinHashLSH(threshold=0.8, num_perm=HASHES)
    for number, text in enumerate(texts):
        words = text.split()
        shingles = {" ".join(words[i : i + WORDS]).encode() for i in range(len(words) - WORDS + 1)}
        made = MinHash(num_perm=HASHES)
        made.update_batch(list(shingles))
        index.query(made)
        index.insert(str(number), made)


def _grams(texts: list[str]) -> None:
    wanted = {"one gram"}
    for text in texts:
        words = text.lower().split()
        for i in range(len(words) - GRAM + 1):
            _ = " ".join(words[i : i + GRAM]) in wanted


# ---- the table -----------------------------------------------------------------------------------


def timed(row: Row, rounds: int) -> dict[str, float]:
    """Processor seconds of each side for all of the documents, the fewest of the rounds."""
    sides = {"ours": Side(row.ours, ""), "least": row.least}
    if row.peer:
        sides["peer"] = row.peer
    best: dict[str, float] = {}
    for _ in range(rounds):
        for name, side in sides.items():
            before = processor_seconds()
            side.work()
            seconds = (processor_seconds() - before) / side.share
            best[name] = min(best.get(name, seconds), seconds)
    return best


def cells(row: Row, best: dict[str, float]) -> list[str]:
    """The columns of one row of the table."""
    ours, least = best["ours"], max(best["least"], 1e-4)
    speed = f"{row.amount / ours:,.1f} {row.unit}/s"
    peer, times = "", ""
    if row.peer:
        peer, times = row.peer.name, f"{best['peer'] / ours:,.1f} x"
    return [row.stage, f"{ours:.2f}", speed, peer, times, row.least.name, f"{ours / least:,.1f}"]


HEAD = ["stage", "s", "speed", "peer", "faster than it", "least work", "times it"]


@click.command()
@click.option("--archives", help="A folder of .warc.gz files.  [default: those of the demo]")
@click.option("--texts", help="Parquet with id and text.  [default: those of the demo]")
@click.option("--benchmarks", multiple=True, help="Benchmark files.  [default: that of the demo]")
@click.option("--rounds", default=3, show_default=True)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Also as Markdown.")
def main(
    archives: str | None,
    texts: str | None,
    benchmarks: tuple[str, ...],
    rounds: int,
    out: Path | None,
) -> None:
    """Measure, and print."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    pa.set_cpu_count(1)
    load = f"{os.getloadavg()[0]:.1f}"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if not (archives and texts and benchmarks):
            archives, texts, benchmarks = demo(folder)
        inputs = Inputs(folder, archives, texts, benchmarks)
        rows = [
            extract_row(inputs, folder),
            *text_rows(inputs),
            tokenize_row(inputs),
            mix_row(inputs),
        ]
        lines = [cells(row, timed(row, rounds)) for row in rows]
    title = f"{len(inputs.texts):,} documents, {inputs.megabytes:.1f} MB of text; load {load}"
    table = Table(title=title, title_justify="left")
    for name in HEAD:
        table.add_column(name)
    for line_ in lines:
        table.add_row(*line_)
    Console(width=110).print(table)
    if out:
        when = datetime.date.today().isoformat()
        text = [f"`python perf/bench.py`, {when}, {platform.machine()}, {title}:", ""]
        text += ["| " + " | ".join(cell) + " |" for cell in (HEAD, ["---"] * len(HEAD), *lines)]
        out.write_text("\n".join(text) + "\n")


def demo(folder: Path) -> tuple[str, str, tuple[str, ...]]:
    """Archives, texts and benchmark of the demo corpus."""
    build_demo(folder / "demo")
    made = reading.parse(
        {
            "stages": ["extract"],
            "dataset": [{"name": "a", "role": "crawl", "files": [str(folder / "demo" / "crawl")]}],
        }
    )
    rundir, plan = line.run(made, str(folder / "texts"), InlineEngine(), say=_silent)
    tables = [store.read_table(rundir.documents(shard), ["id", "text"]) for shard in plan.shards]
    pq.write_table(pa.concat_tables(tables), folder / "texts.parquet")
    return (
        str(folder / "demo" / "crawl"),
        str(folder / "texts.parquet"),
        (str(folder / "demo" / "benchmark.jsonl"),),
    )


if __name__ == "__main__":
    main()
