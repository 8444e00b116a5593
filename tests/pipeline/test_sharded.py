"""A run shared out to array tasks between main jobs: the bytes of one run, whatever is lost or late."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from tiny_corpus import corpus, sentences, tiny_recipe

from curation.engine.inline import InlineEngine
from curation.errors import InputError, RunError
from curation.pipeline import line, sharded
from curation.pipeline.sharded import Role, role_of, rounds
from curation.recipe import reading
from curation.recipe.tables import Recipe
from curation.rundir import metrics, parts
from curation.rundir.lock import Lock, member_lock

MAIN = Role(None, 2)


def quiet(line: str) -> None:
    """Hears messages for the user."""


def files(run: Path) -> dict[str, str]:
    """sha256 of every file of a run but its metrics."""
    return {
        str(path.relative_to(run)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in run.rglob("*")
        if path.is_file() and path.name != metrics.NAME and path.parent.name != metrics.FOLDER
    }


def main_job(recipe: Recipe, out: Path, role: Role = MAIN, **options: Any) -> str:
    engine = InlineEngine()
    try:
        return sharded.run_main(recipe, str(out), engine, role, say=quiet, **options)
    finally:
        engine.close()


def member(recipe: Recipe, out: Path, index: int, of: int = 2) -> str:
    engine = InlineEngine()
    try:
        return sharded.run_member(recipe, str(out), engine, Role(index, of), quiet)
    finally:
        engine.close()


def finish(recipe: Recipe, out: Path) -> list[str]:
    """Main jobs and array tasks, the last task first, until nothing is left; the maps shared out."""
    labels = []
    while label := main_job(recipe, out):
        labels.append(label)
        assert [member(recipe, out, index) for index in (1, 0)] == [label, label]
        assert len(labels) < 40
    return labels


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny corpus, its crawl in three files."""
    folder = tmp_path_factory.mktemp("shared")
    corpus(folder)
    (folder / "crawl").mkdir()
    lines = (folder / "crawl.jsonl").read_text().splitlines(keepends=True)
    for number in range(3):
        (folder / "crawl" / f"{number}.jsonl").write_text("".join(lines[number::3]))
    return folder


@pytest.fixture(scope="module")
def recipe(folder: Path) -> Recipe:
    """The whole line, with rules and the study."""
    table = reading.as_dict(tiny_recipe(folder))
    table["dataset"][2]["files"] = [str(folder / "crawl")]
    table["stages"] = ["extract", "filter", *table["stages"][2:]]
    table["filter"] = {"rule": [{"name": "short", "drop": "words < 30"}]}
    table["filter"]["datasets"] = ["books", "crawl"]
    return reading.parse(table)


@pytest.fixture(scope="module")
def one_run(recipe: Recipe, folder: Path) -> Path:
    engine = InlineEngine()
    line.run(recipe, str(folder / "run"), engine, say=quiet)
    engine.close()
    return folder / "run"


def test_the_bytes_are_those_of_one_run(recipe: Recipe, one_run: Path, tmp_path: Path) -> None:
    labels = finish(recipe, tmp_path / "run")
    assert len(labels) == len(set(labels)) <= rounds(recipe.stages)
    shared = {label for stage in recipe.stages for label in sharded.SHARED.get(stage, ())}
    assert shared - set(sharded.PASSED) <= set(labels)
    assert files(tmp_path / "run") == files(one_run)
    assert member(recipe, tmp_path / "run", 0) == ""
    written = (tmp_path / "run" / metrics.FOLDER / "1-of-2.jsonl").read_text()
    assert '"label":"dedup: sign","shard":"books/00000"' in written


def test_a_plain_run_finishes_what_is_left(recipe: Recipe, one_run: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    main_job(recipe, out)
    member(recipe, out, 1)
    engine = InlineEngine()
    line.run(recipe, str(out), engine, say=quiet)
    engine.close()
    assert files(out) == files(one_run)


@pytest.fixture
def small(tmp_path: Path) -> Recipe:
    """Two files, one stage."""
    for number in range(2):
        rows = [{"id": f"{number}-{i}", "text": sentences(number, 3, "good")} for i in range(3)]
        (tmp_path / f"{number}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    dataset = {"name": "a", "files": [str(tmp_path / f"{number}.jsonl") for number in range(2)]}
    return reading.parse({"stages": ["extract"], "dataset": [dataset]})


def test_results_of_other_inputs_are_not_taken(small: Recipe, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert main_job(small, out) == "extract"
    assert [member(small, out, index) for index in range(2)] == ["extract"] * 2
    row = {"id": "new", "text": sentences(9, 3, "good")}
    (tmp_path / "1.jsonl").write_text(json.dumps(row) + "\n")
    assert main_job(small, out) == "extract"
    finish(small, out)
    engine = InlineEngine()
    line.run(small, str(tmp_path / "other"), engine, say=quiet)
    engine.close()
    assert files(out) == files(tmp_path / "other")


def test_a_lost_or_damaged_result_is_asked_for_again(small: Recipe, tmp_path: Path) -> None:
    out = tmp_path / "run"
    main_job(small, out)
    for index in range(2):
        member(small, out, index)
    (out / parts.FOLDER / "extract" / "1-of-2.json").write_text("{")
    assert main_job(small, out) == "extract"
    member(small, out, 1)
    assert main_job(small, out) == "extract: manifest"


def test_array_tasks_wait_for_a_main_job_and_do_not_plan(small: Recipe, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert member(small, out, 0) == ""
    assert not (out / "plan.json").exists()
    main_job(small, out)
    with pytest.raises(RunError, match="shared out to 2 array tasks, and this is one of 3"):
        member(small, out, 0, 3)
    changed = reading.parse({**reading.as_dict(small), "seed": 5})
    before = files(out)
    with pytest.raises(RunError, match="seed: 0 -> 5"):
        member(changed, out, 0) or main_job(changed, out)
    assert files(out) == before


def test_main_jobs_and_array_tasks_keep_out_of_each_other(small: Recipe, tmp_path: Path) -> None:
    out = tmp_path / "run"
    main_job(small, out)
    with (
        Lock(str(out), quiet),
        pytest.raises(RunError, match=r"run\.lock: a job of this run is at work"),
    ):
        member(small, out, 0)
    assert not (out / member_lock(0, 2)).exists()
    with Lock(str(out), quiet, member_lock(1, 2)):
        with pytest.raises(RunError, match=r"run\.1-of-2\.lock: a job of this run is at work"):
            main_job(small, out)
        with pytest.raises(RunError, match=r"a run on .* is at work in this directory"):
            member(small, out, 1)
        assert member(small, out, 0) == "extract"
    assert not (out / "run.lock").exists()


@pytest.mark.parametrize("text", ["", "3", "2/2", "-1/4", "0/0", "plan/3", "1/2/3", "٣/16"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="i/n expected, with i from 0 to n - 1"):
        role_of(text)
