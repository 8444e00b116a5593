from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from curation import store
from curation.errors import InputError, RunError, TaskError
from curation.inspect.check.check import check_run
from curation.pipeline import line as pipeline
from curation.recipe import reading as recipe
from curation.recipe.tables import Recipe, TokenizeConfig
from curation.rundir import plan
from curation.rundir.directory import RunDirectory


def _recipe(folder: Path, **keys: object) -> Recipe:
    return recipe.parse(
        {"stages": ["extract"], "dataset": [{"name": "a", "files": [str(folder)]}], **keys}
    )


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in "abc":
        (folder / f"{name}.txt").write_text(name)
    return folder


def _commit(out: Path, made: Recipe, update: bool = False) -> RunDirectory:
    rundir = RunDirectory(str(out), made)
    plan.check_directory(rundir, update)
    plan.commit(rundir, plan.make(made, str(out)))
    return rundir


def test_shards_group_files_in_order(inputs: Path, tmp_path: Path) -> None:
    table = {"name": "a", "files": [str(inputs)], "target_shard_mb": 2e-6}
    made = plan.make(recipe.parse({"stages": ["extract"], "dataset": [table]}), str(tmp_path))
    assert [[f.name for f in s.files] for s in made.shards] == [["a.txt", "b.txt"], ["c.txt"]]
    assert [s.ordinal for s in made.shards] == [0, 1]


def test_files_of_one_name_are_told_apart_by_their_folder(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same.txt").write_text(folder)
    files = [str(tmp_path / f / "same.txt") for f in ("x", "y")]
    made = plan.make(
        recipe.parse({"stages": ["extract"], "dataset": [{"name": "a", "files": files}]}), "out"
    )
    assert [s.files[0].name for s in made.shards] == ["x/same.txt", "y/same.txt"]


def test_another_recipe_is_refused_unless_asked_for(inputs: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    _commit(out, _recipe(inputs))
    _commit(out, _recipe(inputs, seed=1))  # nothing was made under the first
    _commit(out, _recipe(inputs))
    path = str(out / "documents" / "a" / "00000.parquet")
    with store.TableWriter(path, pa.schema([("n", pa.int64())]), "any") as writer:
        writer.write(pa.table({"n": [1]}))
    with pytest.raises(RunError, match="seed: 0 -> 3"):
        _commit(out, _recipe(inputs, seed=3))
    _commit(out, _recipe(inputs, seed=3), update=True)
    assert plan.read(str(out))[0].recipe.seed == 3


def test_a_folder_with_other_things_is_refused(inputs: Path, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").write_text("do not touch")
    with pytest.raises(RunError, match=r"thesis\.tex"):
        _commit(tmp_path / "home", _recipe(inputs))
    with pytest.raises(RunError, match="not a run directory"):
        plan.read(str(tmp_path / "home"))


def test_a_shard_whose_input_changed_loses_its_documents(inputs: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    _commit(out, _recipe(inputs))
    for name in ("00000", "00001"):
        (out / "documents" / "a").mkdir(parents=True, exist_ok=True)
        (out / "documents" / "a" / f"{name}.parquet").write_text("made before")
    (inputs / "b.txt").write_text("changed")
    _commit(out, _recipe(inputs))
    assert [p.name for p in (out / "documents" / "a").iterdir()] == ["00000.parquet"]


def test_a_file_of_no_known_kind_is_named_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "README.csv").write_text("x")
    with pytest.raises(InputError, match=r"README\.csv"):
        plan.make(_recipe(tmp_path / "in"), "out")


def _names(out: Path, *patterns: Path | str) -> tuple[list[str], list[str]]:
    """Names of the input files that the patterns mean, and what was said."""
    said: list[str] = []
    table = {"name": "a", "files": [str(pattern) for pattern in patterns]}
    recipe_ = recipe.parse({"stages": ["extract"], "dataset": [table]})
    shards = plan.make(recipe_, str(out), said.append).shards
    return [file.name for shard in shards for file in shard.files], said


def test_one_file_is_read_once(inputs: Path, tmp_path: Path) -> None:
    (inputs / "also_a.txt").symlink_to(inputs / "a.txt")
    (tmp_path / "link").symlink_to(inputs)
    both = [inputs, inputs / "b.txt", f"{inputs}/**/*.txt", tmp_path / "link" / "c.txt"]
    assert _names(tmp_path / "run", *both) == (["a.txt", "b.txt", "c.txt"], [])


def test_what_a_run_wrote_is_no_input_of_it(inputs: Path) -> None:
    out = inputs / "run"
    (out / "documents" / "a").mkdir(parents=True)
    (out / "documents" / "a" / "00000.txt").write_text("made")
    assert len(_names(out, inputs)[0]) == 4  # no run yet
    (out / "run.lock").write_text("{}")
    for pattern in (inputs, f"{inputs}/**/*.txt"):
        names, said = _names(out, pattern)
        assert names == ["a.txt", "b.txt", "c.txt"]
        assert ["this run wrote it" in line and "run/" in line for line in said] == [True]


def test_what_lies_beside_tables_is_passed_over_and_said(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    for name in ("a.jsonl", "sub/b.jsonl", "README.md", "dataset_infos.json", "plot.png"):
        (folder / name).write_text("{}")
    for pattern in (folder, f"{folder}/**"):
        names, said = _names(tmp_path / "run", pattern)
        assert names == ["a.jsonl", "sub/b.jsonl"]
        assert [line.count("and 2 more") for line in said] == [1]
    assert _names(tmp_path / "run", folder, folder / "README.md")[0][-1] == "README.md"
    for name in ("one.txt", "two.txt"):  # as many texts as tables: both are data
        (folder / name).write_text("text")
    assert "one.txt" in _names(tmp_path / "run", folder)[0]


def test_a_run_as_input_means_what_it_kept(tmp_path: Path) -> None:
    from curation import store

    for name in ("documents/input", "kept", "removed"):
        for number in range(2):
            path = str(tmp_path / "first" / name / f"{number:05d}.parquet")
            with store.TableWriter(path, pa.schema([("text", pa.string())]), "d") as table:
                table.write(pa.record_batch({"text": [name]}))
    shards = [{"dataset": "input", "number": number} for number in range(2)]
    written = {"recipe": {"stages": ["extract", "dedup"]}, "shards": shards}
    (tmp_path / "first" / "plan.json").write_text(json.dumps(written))
    names, _ = _names(tmp_path / "run", tmp_path / "first")
    assert names == ["kept/00000.parquet", "kept/00001.parquet"]

    (tmp_path / "stopped" / "downloads").mkdir(parents=True)
    for name in ("run.lock", "metrics.jsonl", "downloads/a.jsonl"):
        (tmp_path / "stopped" / name).write_text('{"text": "x"}')
    with pytest.raises(InputError, match=r"stopped before its plan was written.*run its command"):
        _names(tmp_path / "run", tmp_path / "stopped")
    shutil.rmtree(tmp_path / "stopped")

    (tmp_path / "a.jsonl").write_text('{"text": "x"}')  # a folder that holds a run
    names, said = _names(tmp_path / "run", tmp_path)
    assert names == ["a.jsonl"]
    assert "another run's directory" in "".join(said)

    (tmp_path / "first" / "kept" / "00001.parquet").unlink()
    with pytest.raises(InputError, match=r"kept/00001\.parquet: missing.*not finished"):
        _names(tmp_path / "run", tmp_path / "first")
    written["recipe"]["stages"] = ["extract", "tokenize"]  # type: ignore[call-overload]
    (tmp_path / "first" / "plan.json").write_text(json.dumps(written))
    names, _ = _names(tmp_path / "run", tmp_path / "first")
    assert names == ["documents/input/00000.parquet", "documents/input/00001.parquet"]


def test_what_differs_between_datasets_is_said_key_by_key(inputs: Path) -> None:
    old, new = recipe.as_dict(_recipe(inputs)), recipe.as_dict(_recipe(inputs))
    new["dataset"][0]["text_column"] = "body"
    assert recipe.changes(old, new) == ["dataset a.text_column: text -> body"]


# ---- finished runs -------------------------------------------------------------------------------

TOKENS = {"stages": ["extract", "tokenize"]}


def _mixture_of(run: str) -> Recipe:
    source = {"name": "x", "files": [f"{run}/tokens/*/*.parquet"], "format": "table"}
    mix = {"weights": {"x": 1}, "shards": 1, "validation": 0}
    return recipe.parse({"stages": ["mix"], "dataset": [source], "mix": mix})


@pytest.fixture
def tokens(run_recipe: Callable[..., Any]) -> Path:
    """A finished run over two datasets, that has tokens."""
    rows = {"a": [{"id": "1", "text": "one"}], "b": [{"id": "2", "text": "two"}]}
    return Path(run_recipe(rows, TOKENS)[0].out)


@pytest.mark.parametrize(
    ("lost", "what"),
    [
        ("tokens/b/00000.parquet", "tokens/b/00000.parquet: missing"),
        ("documents/a/00000.parquet", "documents/a/00000.parquet: missing"),
        ("manifests/tokenize.json", "tokenize has not ended"),
    ],
)
def test_tokens_of_an_unfinished_run_are_not_mixed(
    tokens: Path, lost: str, what: str, inline: Any
) -> None:
    (tokens / lost).unlink()
    out = tokens.parent / "mixed"
    with pytest.raises(RunError, match=f"{what}.*curation tokenize INPUT"):
        pipeline.run(_mixture_of(str(tokens)), str(out), inline, say=lambda _: None)
    assert not (out / "shards").exists()
    problems = [problem for r in check_run(str(tokens), quick=True) for problem in r.problems]
    assert any(what in problem for problem in problems)


def test_a_run_that_stopped_where_it_was_told_to_is_finished_up_to_there(
    tokens: Path, inline: Any
) -> None:
    rundir, _ = plan.read(str(tokens))
    pipeline.run(rundir.recipe, rundir.out, inline, until="extract", say=lambda _: None)
    assert not plan.unfinished(rundir)  # its tokens are still valid
    other = dataclasses.replace(rundir.recipe, tokenize=TokenizeConfig("r50k_base"))
    pipeline.run(other, rundir.out, inline, until="extract", update=True, say=lambda _: None)
    (changed, _) = plan.read(rundir.out)
    plan.need_finished(changed, "extract")
    with pytest.raises(RunError, match="tokenize has not ended"):
        plan.need_finished(changed, "tokenize")
    with pytest.raises(RunError, match="has no stage 'dedup'"):
        plan.need_finished(changed, "dedup")


def test_what_left_the_input_is_in_nothing_made_later(tmp_path: Path, inline: Any) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.jsonl").write_text(f'{{"id": "{name}", "text": "{name} b c d e f"}}\n')
    out = tmp_path / "run"

    def run(*names: str) -> None:
        dataset = {"name": "input", "files": [str(tmp_path / f"{n}.jsonl") for n in names]}
        table = {"stages": ["extract", "dedup", "tokenize"], "dataset": [dataset]}
        pipeline.run(
            recipe.parse(table), str(out), inline, update=True, export=True, say=lambda _: None
        )

    run("a", "b")
    run("a")
    assert not list(out.rglob("*/00001.parquet"))
    # tables that another version left there are not read either
    shutil.copy(out / "tokens/input/00000.parquet", out / "tokens/input/00007.parquet")
    made = plan.make(_mixture_of(str(out)), str(tmp_path / "mixed"))
    assert [shard.files[0].name for shard in made.shards] == ["input/00000.parquet"]


def test_a_first_try_that_made_nothing_may_be_followed_by_another(
    tmp_path: Path, inline: Any
) -> None:
    (tmp_path / "a.jsonl").write_text('{"body": "one"}\n')
    dataset = {"name": "a", "files": [str(tmp_path / "a.jsonl")]}
    out = str(tmp_path / "run")

    def run(**keys: Any) -> None:
        table = {"stages": ["extract"], "dataset": [{**dataset, **keys}]}
        pipeline.run(recipe.parse(table), out, inline, say=lambda _: None)

    with pytest.raises(InputError):
        run(files=[str(tmp_path / "absent.jsonl")])
    with pytest.raises(TaskError, match="no column 'text'"):
        run()
    run(text_column="body")
    with pytest.raises(RunError, match="another recipe"):
        run(text_column="text")
