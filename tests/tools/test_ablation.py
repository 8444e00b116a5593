"""The texts of an ablation: what is held out is in no arm, and neither is anything like it."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from curation import store
from curation.engine.inline import InlineEngine
from curation.errors import InputError
from curation.recipe import reading as recipe
from curation.recipe.tables import Recipe
from curation.rundir.plan import read
from curation.tools import ablation

# One process makes the run that they all look at.
pytestmark = pytest.mark.xdist_group("ablation")
WORKS = 12


def words(seed: str, count: int) -> list[str]:
    return [f"w{number}" for number in random.Random(seed).choices(range(3000), k=count)]


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    """Books (no addresses) and web text (of twelve sites); a crawl with a near copy and a quote of each, and pages of its own."""
    folder = tmp_path_factory.mktemp("corpora")
    books = [{"id": f"book{i}", "text": " ".join(words(f"book{i}", 300))} for i in range(WORKS)]
    web = [
        {
            "id": f"web{i}",
            "url": f"https://site{i}.example/a",
            "text": " ".join(words(f"web{i}", 300)),
        }
        for i in range(WORKS)
    ]
    crawl = []
    for kind in ("book", "web"):
        for i in range(WORKS):
            copy = words(f"{kind}{i}", 300)
            copy[150] = "changed"
            quote = [
                *words(f"before {kind}{i}", 200),
                *words(f"{kind}{i}", 300)[100:140],
                *words(f"after {kind}{i}", 200),
            ]
            crawl.append({"id": f"copy of {kind}{i}", "text": " ".join(copy)})
            crawl.append({"id": f"quote of {kind}{i}", "text": " ".join(quote)})
    crawl += [
        {"id": f"own{i}", "url": f"https://own{i}.example", "text": " ".join(words(f"own{i}", 200))}
        for i in range(20)
    ]
    crawl += [
        {
            "id": f"site{i}",
            "url": f"https://www.site{i}.example/b",
            "text": " ".join(words(f"site{i}", 200)),
        }
        for i in range(WORKS)
    ]
    for row in crawl:  # what the classifier can know a page by
        row["text"] += " share this page"
    tables = {
        "stages": ["extract", "classify", "dedup", "tokenize", "mix"],
        "dataset": [
            {"name": "webtext", "files": [write(folder / "web.jsonl", web)]},
            {"name": "books", "files": [write(folder / "books.jsonl", books)]},
            {"name": "crawl", "role": "crawl", "files": [write(folder / "crawl.jsonl", crawl)]},
        ],
        "classify": {"alpha": 0.5},
        "mix": {"shards": 2, "weights": {"webtext": 1, "books": 1, "crawl": 2}},
    }
    return recipe.parse(tables)


@pytest.fixture(scope="module")
def made(
    corpora: Recipe, inline: InlineEngine, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, ablation.Texts]:
    out = tmp_path_factory.mktemp("ablation")
    return out, ablation.prepare(corpora, str(out), inline, 2000, share=0.4, say=lambda line: None)


def texts(run: str, dataset: str | None = None) -> dict[str, str]:
    """id -> text of the documents that a run read, of one dataset or of all."""
    rundir, plan = read(run)
    out = {}
    for shard in plan.shards if dataset is None else plan.of(dataset):
        rows = store.read_table(rundir.documents(shard), ["id", "text"]).to_pylist()
        out.update({f"{shard.dataset}/{row['id']}": row["text"] for row in rows})
    return out


def held_out(texts_: ablation.Texts) -> set[str]:
    """The names of the held-out works, such as book3."""
    return {
        key.rpartition("/")[2] for name, run in texts_.heldout.items() for key in texts(run, name)
    }


def test_some_works_of_each_corpus_are_held_out_and_the_books_balance(
    made: tuple[Path, ablation.Texts],
) -> None:
    held = held_out(made[1])
    for name, kind in (("books", "book"), ("webtext", "web")):
        split = made[1].facts.split[name]
        assert 0 < split.held_out == sum(work.startswith(kind) for work in held) < WORKS
        assert split.held_out + split.rest == WORKS
    crawl = made[1].facts.split["crawl"]
    assert crawl.rest + crawl.of_a_held_out_site == 4 * WORKS + 20 + WORKS
    assert crawl.of_a_held_out_site == sum(work.startswith("web") for work in held)


@pytest.mark.parametrize("arm", ["raw", "classify", "dedup", "mixture"])
def test_nothing_leaks_into_an_arm(made: tuple[Path, ablation.Texts], arm: str) -> None:
    held, seen = held_out(made[1]), texts(made[1].arms[arm])
    names = {key.rpartition("/")[2].partition("#")[0] for key in seen}
    assert not names & held
    assert not names & {f"copy of {work}" for work in held}
    assert not names & {
        f"site{work.removeprefix('web')}" for work in held if work.startswith("web")
    }
    grams = {" ".join(words(work, 300)[i : i + 13]) for work in held for i in range(288)}
    for text in seen.values():
        own = text.split()
        assert not grams & {" ".join(own[i : i + 13]) for i in range(len(own) - 12)}


def test_what_is_not_like_held_out_text_stays(made: tuple[Path, ablation.Texts]) -> None:
    held, seen = held_out(made[1]), texts(made[1].arms["raw"], "crawl")
    free = [
        f"{kind}{i}" for kind in ("book", "web") for i in range(WORKS) if f"{kind}{i}" not in held
    ]
    assert {f"crawl/crawl/copy of {work}" for work in free} <= set(seen)
    assert {f"crawl/crawl/own{i}" for i in range(20)} <= set(seen)
    assert any(
        key.endswith(f"quote of {work}") or f"quote of {work}#" in key
        for key in seen
        for work in held
    )  # cut, not dropped


def test_the_arms_are_the_line_stopped_earlier(made: tuple[Path, ablation.Texts]) -> None:
    stages = {name: read(run)[0].recipe.stages for name, run in made[1].arms.items()}
    assert stages["raw"] == ("extract", "tokenize", "mix")
    assert stages["classify"] == ("extract", "classify", "tokenize", "mix")
    assert (
        stages["dedup"] == stages["mixture"] == ("extract", "classify", "dedup", "tokenize", "mix")
    )
    mixtures = made[1].facts.mixtures
    assert [row.dataset for row in mixtures["dedup"]] == ["crawl"]
    assert [row.weight for row in mixtures["mixture"]] == [0.25, 0.25, 0.5]
    assert mixtures["raw"][0].tokens > mixtures["classify"][0].tokens > mixtures["dedup"][0].tokens


def test_made_again_from_what_is_there(
    made: tuple[Path, ablation.Texts], corpora: Recipe, inline: InlineEngine
) -> None:
    files = sorted(made[0].rglob("*.parquet"))
    before = [file.stat().st_mtime_ns for file in files]
    again = ablation.prepare(corpora, str(made[0]), inline, 2000, share=0.4, say=lambda line: None)
    assert again == made[1]
    assert [file.stat().st_mtime_ns for file in files] == before


def test_a_recipe_without_crawl_or_stage_is_refused(
    corpora: Recipe, inline: InlineEngine, tmp_path: Path
) -> None:
    import dataclasses

    trusted = dataclasses.replace(
        corpora,
        dataset=corpora.dataset[:2],
        mix=dataclasses.replace(corpora.mix, weights={"books": 1.0}),
    )
    with pytest.raises(
        InputError, match="at least one dataset of role trusted and one of role crawl expected"
    ):
        ablation.prepare(trusted, str(tmp_path), inline, 2000)
    short = dataclasses.replace(corpora, stages=("extract", "classify", "tokenize", "mix"))
    with pytest.raises(InputError, match="a recipe with the stage 'dedup' expected"):
        ablation.prepare(short, str(tmp_path), inline, 2000)
