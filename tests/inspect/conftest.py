"""Runs of the tiny corpus: whole, half, of two stages, and of tokens only."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from curation.engine.local import LocalEngine
from curation.pipeline import line as pipeline
from curation.recipe import reading as recipe
from curation.rundir.directory import RunDirectory
from curation.rundir.plan import Plan, read


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
    return copied


@pytest.fixture(scope="session")
def mixed_run(tiny_run: Path, local: LocalEngine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `curation mix` makes: a run of tokens of other runs, without a single text."""
    source = {"name": "mine", "files": [f"{tiny_run}/tokens/*/*.parquet"], "format": "table"}
    made = recipe.parse(
        {"stages": ["mix"], "dataset": [source], "mix": {"weights": {"mine": 1}, "shards": 2}}
    )
    out = tmp_path_factory.mktemp("mixed") / "run"
    pipeline.run(made, str(out), local, say=lambda _: None)
    return out


@pytest.fixture(scope="session")
def dedup_run(tiny_run: Path, local: LocalEngine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `curation dedup` makes: a run of two stages."""
    crawl = {"name": "crawl", "files": [str(tiny_run.parent / "crawl.jsonl")]}
    against = {"name": "wiki", "role": "reference", "files": [str(tiny_run.parent / "wiki.jsonl")]}
    out = tmp_path_factory.mktemp("dedup") / "run"
    made = recipe.parse({"stages": ["extract", "dedup"], "dataset": [against, crawl]})
    pipeline.run(made, str(out), local, say=lambda _: None)
    return out
