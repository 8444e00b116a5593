"""A tiny corpus in every role, run once through the whole line."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from classify_corpus import WORDS

from curation.engine.inline import InlineEngine
from curation.pipeline import line as pipeline
from curation.recipe import reading as recipe
from curation.recipe.tables import Recipe
from curation.rundir.directory import RunDirectory
from curation.rundir.plan import Plan, read

QUOTE = "the seven lamps of the old harbour were lit each evening by a keeper named Orla Finch who never once was late"


def sentences(seed: int, n: int, topic: str) -> str:
    """`n` sentences of made-up prose, the same for the same seed."""
    chance = random.Random(seed)
    nouns = {
        "good": "river stone harbour library winter letter orchard engine captain theory",
        "spam": "cheap pills casino",
    }
    verbs = {
        "good": "carried described measured followed remembered painted",
        "spam": "buy click win order",
    }
    ends = {"good": "before the long winter of that year", "spam": "now now best price online free"}
    word = [f"w{chance.randrange(4000)}" for _ in range(6 * n)]
    out = []
    for i in range(n):
        own = " ".join(word[6 * i : 6 * i + 6])
        parts = [
            chance.choice(nouns[topic].split()),
            chance.choice(verbs[topic].split()),
            own,
            ends[topic],
        ]
        out.append(f"The {' '.join(parts)} {chance.randrange(1800, 2000)}.")
    return "\n".join(out)


def corpus(folder: Path) -> None:
    """Forty-odd documents: two trusted sets, a crawl with spam, copies, near copies and quotes, and one benchmark."""
    wiki = [{"id": f"wiki-{i}", "text": sentences(i, 12, "good")} for i in range(12)]
    books = [{"id": f"book-{i}", "text": sentences(100 + i, 60, "good")} for i in range(3)]
    books[1]["text"] += f"\nThey say {QUOTE}.\n" + sentences(110, 30, "good")
    crawl = [page(i, sentences(200 + i, 10, "good")) for i in range(10)]
    crawl += [page(10 + i, sentences(300 + i, 8, "spam")) for i in range(12)]
    crawl += [
        page(30, wiki[0]["text"]),
        page(31, wiki[1]["text"].replace("winter of that", "summer of that", 1)),
    ]
    crawl += [
        page(32, wiki[2]["text"] + "\nOne line more than the other has."),
        page(33, crawl[0]["text"]),
    ]
    crawl += [
        page(40, sentences(400, 12, "good") + f"\nThey say {QUOTE}.\n" + sentences(401, 12, "good"))
    ]
    crawl += [page(41, f"Only this: {QUOTE}."), page(42, f"And again, as ever: {QUOTE}.")]
    crawl += [page(42, sentences(402, 9, "good"), id_=143)]  # the same address once more
    crawl += [{"id": "page-50", "url": "http://site50.example/lost"}]  # no text
    for name, rows in (
        ("wiki", wiki),
        ("books", books),
        ("crawl", crawl),
        ("lamps", [{"id": "lamp-1", "text": QUOTE}]),
    ):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def page(number: int, text: str, id_: int | None = None) -> dict[str, str]:
    return {
        "id": f"page-{id_ or number}",
        "url": f"http://site{number}.example/a?b=<{number}>&c",
        "text": text,
    }


def tiny_recipe(folder: Path) -> Recipe:
    names = (("wiki", "trusted"), ("books", "trusted"), ("crawl", "crawl"))
    return recipe.parse(
        {
            "dataset": [
                {"name": n, "role": role, "files": str(folder / f"{n}.jsonl")} for n, role in names
            ],
            "classify": {"alpha": 1.0, **WORDS, "scaling": "tf", "C": 0.01},
            "decontaminate": {"benchmarks": str(folder / "lamps.jsonl")},
            "mix": {
                "shards": 2,
                "validation": 0.15,
                "weights": {"wiki": 30, "books": 20, "crawl": 50},
            },
        }
    )


@pytest.fixture(scope="session")
def tiny_run(made_once: Callable[..., Path], inline: InlineEngine) -> Path:
    """A finished run directory of the tiny corpus: read only; `copied` gives one that may be broken."""

    def fill(folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        corpus(folder)
        pipeline.run(tiny_recipe(folder), str(folder / "run"), inline, say=lambda _: None)

    return made_once("tiny", fill) / "run"


@pytest.fixture(scope="session")
def opened(tiny_run: Path) -> tuple[RunDirectory, Plan]:
    return read(str(tiny_run))


@pytest.fixture
def copied(tiny_run: Path, tmp_path: Path) -> Path:
    """A copy of the tiny run, to break."""
    return Path(shutil.copytree(tiny_run, tmp_path / "run"))


@pytest.fixture
def half_run(copied: Path) -> Path:
    """A run that has got as far as dedup."""
    for stage in ("decontaminate", "tokens", "shards"):
        shutil.rmtree(copied / stage)
    for stage in ("decontaminate", "tokenize", "mix"):
        (copied / "manifests" / f"{stage}.json").unlink()
    return copied


@pytest.fixture(scope="session")
def mixed_run(tiny_run: Path, inline: InlineEngine, made_once: Callable[..., Path]) -> Path:
    """What `curation mix` makes: a run of tokens of other runs, without a single text."""
    source = {"name": "mine", "files": [f"{tiny_run}/tokens/*/*.parquet"], "format": "table"}
    made = recipe.parse(
        {"stages": ["mix"], "dataset": [source], "mix": {"weights": {"mine": 1}, "shards": 2}}
    )
    return made_once("mixed", lambda out: pipeline.run(made, str(out), inline, say=lambda _: None))


@pytest.fixture(scope="session")
def dedup_run(tiny_run: Path, inline: InlineEngine, made_once: Callable[..., Path]) -> Path:
    """What `curation dedup` makes: a run of two stages."""
    crawl = {"name": "crawl", "files": [str(tiny_run.parent / "crawl.jsonl")]}
    against = {"name": "wiki", "role": "reference", "files": [str(tiny_run.parent / "wiki.jsonl")]}
    made = recipe.parse({"stages": ["extract", "dedup"], "dataset": [against, crawl]})
    return made_once("dedup", lambda out: pipeline.run(made, str(out), inline, say=lambda _: None))
