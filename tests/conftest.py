"""Fixtures shared by the whole suite: the engines (one of each a session), the real data where it is, and finished runs."""

from __future__ import annotations

import fcntl
import functools
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from pickling_engine import PicklingEngine

from curation.engine.local import LocalEngine
from curation.pipeline.compile import forget_stale
from curation.rundir.directory import RunDirectory
from curation.rundir.plan import Plan

settings.register_profile(
    "untimed", deadline=None
)  # the machine may be busy, and a first call compiles
# For `make quick` and `make test`; `make test-all` has Hypothesis' own number, 100.
settings.register_profile("quick", deadline=None, max_examples=10)
settings.load_profile("untimed")
# A JVM that lives for a few small queries is ready sooner without its second compiler (four times slower at long work),
# and without threads that collect what is still small.
os.environ.setdefault("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
pytest_plugins = ["tiny_corpus"]
os.environ["CURATION_CACHE"] = ""  # a test never meets what another run has kept
# Tables of commands are as wide in every terminal and process; the tests of narrow ones say so.
os.environ["COLUMNS"] = "160"
# Each goes on for long in one process; begun late, it would be alone at the end.
FIRST = ("test_readme.py", "test_tutorial.py", "test_notebooks.py", "test_line.py")
SHARED = Path(__file__).parents[2] / "shared" / "data"


def pytest_configure(config: pytest.Config) -> None:
    """Kernels are tested as they are written, also those that call a changed one."""
    if not hasattr(config, "workerinput"):
        forget_stale()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One of the processes that share the tests has the Spark session and all that needs it; the longest tests come first."""
    items.sort(key=lambda item: (*FIRST, item.path.name).index(item.path.name))
    for item in items:
        if item.get_closest_marker("spark") and not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group("spark"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real data for development; tests that need it skip without it."""
    if not SHARED.is_dir():
        pytest.skip("the real data for development is not beside this checkout (../shared/data)")
    return SHARED


@pytest.fixture(scope="session")
def local() -> Iterator[LocalEngine]:
    """One local engine with two workers for the session: starting workers is what costs."""
    engine = LocalEngine(2, memory_gb=1.0)
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def inline() -> Iterator[PicklingEngine]:
    """One engine without workers for the session. `local` is for what the workers are part of."""
    engine = PicklingEngine(memory_gb=1.0)
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def spark_engine() -> Iterator[Any]:
    """One Spark engine, local[2], for the session."""
    pytest.importorskip("pyspark", reason="the extra `spark` is not installed")
    from curation.engine.spark import SparkEngine

    engine = SparkEngine("local[2]")
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def spark(spark_engine: Any) -> Any:
    """The Spark session behind `spark_engine`, for parity with pyspark.ml."""
    return spark_engine._spark


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Makes a folder once for all processes that share the tests; the others wait for it."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def make(name: str, fill: Callable[[Path], object]) -> Path:
        folder, done = shared / name, shared / f"{name}.done"
        with open(shared / f"{name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                fill(folder)
                done.touch()
        return folder

    return make


@pytest.fixture(scope="session")
def sample_folder(made_once: Callable[..., Path]) -> Path:
    """The demo corpus: archives, trusted files, benchmark and recipe.toml."""
    from curation.demo.build import build_demo

    return made_once("sample", build_demo)


@pytest.fixture(scope="session")
def sample_run(sample_folder: Path, local: LocalEngine, made_once: Callable[..., Path]) -> Path:
    """A finished run of the sample on the local engine; copy it before breaking anything."""
    from curation.pipeline import line as pipeline
    from curation.recipe import reading as recipe

    loaded = recipe.load(str(sample_folder / "recipe.toml"))

    def run(out: Path) -> None:
        pipeline.run(loaded, str(out), local, say=lambda line: None)

    return made_once("sample-run", run)


@pytest.fixture(scope="session")
def make_run(inline: PicklingEngine) -> Callable[..., tuple[RunDirectory, Plan]]:
    """Runs a recipe given as a table, in a folder, over datasets given as lists of rows; returns the run's context and plan."""

    def run(
        folder: Path,
        datasets: dict[str, list[dict[str, Any]] | str],
        table: dict[str, Any],
        engine: Any = None,
        out: str = "run",
    ) -> tuple[RunDirectory, Plan]:
        from curation.pipeline import line as pipeline
        from curation.recipe import reading as recipe

        described = []
        for name, rows in datasets.items():
            role, _, plain = name.rpartition(":")
            path = folder / f"{plain}.jsonl"
            if not path.exists():
                path.write_text("".join(json.dumps(row) + "\n" for row in rows))
            described.append({"name": plain, "role": role or "trusted", "files": [str(path)]})
        made = recipe.parse({**table, "dataset": described})
        return pipeline.run(
            made, str(folder / out), engine or inline, update=True, say=lambda line: None
        )

    return run


@pytest.fixture
def run_recipe(
    make_run: Callable[..., tuple[RunDirectory, Plan]], tmp_path: Path
) -> Callable[..., tuple[RunDirectory, Plan]]:
    """`make_run` in the test's own folder."""
    return functools.partial(make_run, tmp_path)
