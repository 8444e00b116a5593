"""A run directory repairs itself: every kind of file cut to half, by the next run and by `check`."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_corpus import tiny_recipe

from curation.engine.local import LocalEngine
from curation.inspect.check.check import check_run
from curation.pipeline import line

PLACES = ("classify", "decontaminate", "dedup", "documents", "shards", "tokens")
ALONE = ("plan.json", "manifests/plan.json", "manifests/dedup.json", "ledger.json")


def one_of_each_kind(run: Path, place: str = "") -> list[str]:
    """A file of each folder and ending in a place of a run; datasets, queries and arrays are alike."""
    kinds = {}
    for name in digests(run):
        folder = re.sub("/(crawl|wiki|books)$", "/DATASET", name.rpartition("/")[0])
        folder = re.sub("^dedup/pairs/(?!rounds).*", "dedup/pairs/QUERY", folder)
        file = name.rpartition("/")[2]
        ending = file if file[0] == "_" or file.endswith((".json", ".npz")) else Path(file).suffix
        if name.startswith(place) and (run / name).stat().st_size > 1:
            kinds[folder, ending] = name
    return list(kinds.values())


def digests(run: Path) -> dict[str, str]:
    return {
        path.relative_to(run).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(run.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def linked(tiny_run: Path, tmp_path: Path) -> Path:
    """A copy of the tiny run by hard links: `cut` and the line write a file anew, never into it."""
    return Path(shutil.copytree(tiny_run, tmp_path / "run", copy_function=os.link))


def cut(path: Path) -> None:
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data[: len(data) // 2])


@pytest.fixture
def again(tiny_run: Path, local: LocalEngine) -> Callable[[Path], list[str]]:
    def run(out: Path) -> list[str]:
        said: list[str] = []
        line.run(tiny_recipe(tiny_run.parent), str(out), local, say=said.append)
        return said

    return run


@pytest.mark.parametrize("place", PLACES)
def test_halves_of_files_are_named_by_check_and_made_again(
    tiny_run: Path, linked: Path, again: Any, place: str
) -> None:
    names = one_of_each_kind(tiny_run, place)
    assert names
    assert_repaired(tiny_run, linked, again, names)


@pytest.mark.parametrize("name", ALONE)
def test_half_a_plan_manifest_or_ledger(
    tiny_run: Path, linked: Path, again: Any, name: str
) -> None:
    assert_repaired(tiny_run, linked, again, [name])


@pytest.mark.slow
def test_half_of_each_file_alone(tiny_run: Path, linked: Path, again: Any) -> None:
    names = one_of_each_kind(tiny_run)
    assert len(names) > 45
    for name in names:
        assert_repaired(tiny_run, linked, again, [name])


def assert_repaired(tiny_run: Path, linked: Path, again: Any, names: list[str]) -> None:
    whole = digests(tiny_run)
    for name in names:
        cut(linked / name)
    for quick in (True, False):
        results = check_run(str(linked), quick)
        told = [line_ for result in results for line_ in result.problems if "next run" in line_]
        assert [name for name in names if not any(f"/{name}: " in line_ for line_ in told)] == []
    said = again(linked)
    assert any(str(linked / name) in line_ for name in names for line_ in said), said
    assert digests(linked) == whole
    assert again(linked) == ["Every table is there already: nothing to do."]
