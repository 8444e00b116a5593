from __future__ import annotations

from pathlib import Path

import pytest

from curation.errors import InputError, RunError
from curation.recipe import reading as recipe
from curation.recipe.tables import Recipe
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
    table = {"name": "a", "files": [str(inputs)], "archives_per_shard": 2}
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
    _commit(out, _recipe(inputs))
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


def test_what_differs_between_datasets_is_said_key_by_key(inputs: Path) -> None:
    old, new = recipe.as_dict(_recipe(inputs)), recipe.as_dict(_recipe(inputs))
    new["dataset"][0]["text_column"] = "body"
    assert recipe.changes(old, new) == ["dataset a.text_column: text -> body"]
