"""Damaged archives through the whole stage: nothing raises, books balance, what the damage did not
touch is there (perf/mutations.py)."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def mutations() -> ModuleType:
    pytest.importorskip("brotli", reason="the archives to break hold brotli bodies")
    path = Path(__file__).parents[2] / "perf" / "mutations.py"
    spec = importlib.util.spec_from_file_location("mutations", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["mutations"] = module  # its dataclasses look for it there
    spec.loader.exec_module(module)
    return module


def test_undamaged_archives_give_every_record(mutations: ModuleType, tmp_path: Path) -> None:
    for seed in mutations.seeds():
        found = mutations.read(seed.data, seed.name)
        assert len(found) in (9, 15, 17), seed.name
        assert not [one for one in found if getattr(one, "reason", "revisit") != "revisit"]


def test_some_hundred_damaged_archives(mutations: ModuleType, tmp_path: Path) -> None:
    *_, out = mutations.run(mutations.seeds(), 200, 1, str(tmp_path))
    assert out.files == 200
    assert out.records["kept"] > 400
    assert out.records["malformed"] > 50
    assert out.found > 0.97 * out.behind > 50
