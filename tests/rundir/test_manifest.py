"""A run directory repairs itself: every kind of file cut to half, by the next run and by `check`."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tiny_corpus import tiny_recipe

from curation import store
from curation.engine.inline import InlineEngine
from curation.inspect.check.check import check_run
from curation.pipeline import line
from curation.recipe import reading
from curation.rundir import manifest as manifests
from curation.rundir import metrics
from curation.rundir.entries import Entry

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
        if path.is_file() and path.name != metrics.NAME
    }


@pytest.fixture
def linked(tiny_run: Path, tmp_path: Path) -> Path:
    """A copy of the tiny run by hard links: `cut` and the line write a file anew, never into it."""
    run = Path(shutil.copytree(tiny_run, tmp_path / "run", copy_function=os.link))
    (run / metrics.NAME).unlink()  # which is written into
    return run


def cut(path: Path) -> None:
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data[: len(data) // 2])


@pytest.fixture
def again(tiny_run: Path, inline: InlineEngine) -> Callable[[Path], list[str]]:
    def run(out: Path) -> list[str]:
        said: list[str] = []
        line.run(tiny_recipe(tiny_run.parent), str(out), inline, say=said.append)
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


class NoEngine:
    """An engine that must not be asked for anything."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the engine was asked for {name}")


def test_a_finished_run_asks_no_engine_and_opens_no_table(
    tiny_run: Path, linked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(*_: Any, **__: Any) -> Any:
        raise AssertionError("a table was opened")

    monkeypatch.setattr("pyarrow.parquet.read_metadata", opened)
    monkeypatch.setattr("pyarrow.parquet.ParquetFile", opened)
    nothing: Any = NoEngine()
    said: list[str] = []
    line.run(tiny_recipe(tiny_run.parent), str(linked), nothing, say=said.append)
    assert said == ["Every table is there already: nothing to do."]
    (linked / "tokens" / "wiki" / "00000.parquet").unlink()
    with pytest.raises(AssertionError, match="the engine was asked"):
        line.run(tiny_recipe(tiny_run.parent), str(linked), nothing, say=said.append)


@pytest.mark.parametrize("lose", [cut, Path.unlink])
def test_without_plan_and_copy_all_inputs_are_read_again(
    tiny_run: Path, linked: Path, again: Any, lose: Callable[[Path], None]
) -> None:
    whole = digests(tiny_run)
    for name in manifests.PLANS:
        lose(linked / name)
    before = (linked / "documents/wiki/00000.parquet").stat().st_ino
    told = [p for result in check_run(str(linked), quick=True) for p in result.problems]
    assert [line_ for line_ in told if "next run cannot compare its inputs" in line_] == told
    said = again(linked)
    assert "inputs cannot be compared" in said[0]
    assert digests(linked) == whole
    assert (linked / "documents/wiki/00000.parquet").stat().st_ino != before


def test_a_changed_byte_is_found_by_its_digest(linked: Path, again: Any) -> None:
    path = linked / "decontaminate" / "study" / "pool.npy"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.unlink()
    path.write_bytes(data)
    assert all(result.ok for result in check_run(str(linked), quick=True))
    (problem,) = (p for result in check_run(str(linked)) for p in result.problems)
    assert "study/pool.npy: its sha256" in problem
    assert "the next run would reuse it, since its size fits: delete the file" in problem
    path.unlink()
    assert "study/pool.npy: missing; made again" in again(linked)[0]
    assert all(result.ok for result in check_run(str(linked)))


def test_an_interrupted_stage_is_compared_by_footers(
    tiny_run: Path, linked: Path, again: Any
) -> None:
    (linked / "manifests" / "dedup.json").unlink()
    for name in ("dedup/pairs/wanted/00000.parquet", "dedup/decision/crawl/00000.parquet"):
        cut(linked / name)
    kept = (linked / "dedup/evidence/wiki/00000.parquet").stat().st_ino
    assert again(linked) == []
    assert digests(linked) == digests(tiny_run)
    assert (linked / "dedup/evidence/wiki/00000.parquet").stat().st_ino == kept


def test_a_given_model_is_read_again_from_its_source(
    tiny_run: Path, tmp_path: Path, inline: InlineEngine
) -> None:
    model = str(tiny_run / "classify" / "model")
    recipe = tiny_recipe(tiny_run.parent)
    recipe = replace(recipe, classify=replace(recipe.classify, model=model))
    said: list[str] = []
    for _ in range(2):
        line.run(recipe, str(tmp_path / "run"), inline, until="classify", say=said.append)
        whole = digests(tmp_path / "run")
        cut(tmp_path / "run" / "classify" / "model" / "model.npz")
    line.run(recipe, str(tmp_path / "run"), inline, until="classify", say=said.append)
    assert [f"made again from {model}" in line_ for line_ in said] == [True, True]
    assert digests(tmp_path / "run") == whole


def test_what_a_step_exports_is_made_again(tiny_run: Path, tmp_path: Path, inline: Any) -> None:
    crawl, lamps = (str(tiny_run.parent / f"{name}.jsonl") for name in ("crawl", "lamps"))
    table = {
        "stages": ["extract", "decontaminate"],
        "dataset": [{"name": "input", "files": [crawl]}],
        "decontaminate": {"benchmarks": [lamps]},
    }
    out = tmp_path / "run"

    def run() -> list[str]:
        said: list[str] = []
        line.run(reading.parse(table), str(out), inline, export=True, say=said.append)
        return said

    assert run() == []
    whole = digests(out)
    for name in ("hits.parquet", "kept/00000.parquet", "removed/00000.parquet"):
        cut(out / name)
        assert any(f"/{name}: " in p for r in check_run(str(out), quick=True) for p in r.problems)
        assert f"{out}/{name}: " in run()[0]
        assert digests(out) == whole
    assert run() == ["Every table is there already: nothing to do."]


@pytest.mark.slow
def test_a_run_that_slept_while_another_took_over_writes_nothing(
    tiny_run: Path, tmp_path: Path, again: Any
) -> None:
    out = tmp_path / "run"
    code = (
        "from pathlib import Path; from tiny_corpus import tiny_recipe; "
        "from curation.engine.local import LocalEngine; from curation.pipeline import line; "
        f"line.run(tiny_recipe(Path({str(tiny_run.parent)!r})), {str(out)!r}, LocalEngine(1))"
    )
    support = str(Path(__file__).parents[1] / "support")
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": support},
        start_new_session=True,
    )
    while not (out / "documents").exists() and process.poll() is None:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGSTOP)
    holder = json.loads((out / "run.lock").read_text())
    (out / "run.lock").write_text(json.dumps({**holder, "beat": 0}))  # as after two minutes
    assert f"process {process.pid}" in again(out)[0]
    assert digests(out) == digests(tiny_run)
    os.killpg(process.pid, signal.SIGCONT)
    assert "no longer the lock of this run" in process.communicate(timeout=60)[1]
    assert process.returncode == 1
    assert digests(out) == digests(tiny_run)


@pytest.mark.parametrize("name", ["/etc/hosts", "tokens/../../other.parquet"])
def test_a_manifest_that_names_files_outside_its_run_is_none(tmp_path: Path, name: str) -> None:
    files = {name: {"size": 1, "sha256": "", "identity": ""}}
    path = Path(manifests.path(str(tmp_path), "tokenize"))
    path.parent.mkdir()
    path.write_text(json.dumps({"key": "k", "files": files}))
    assert manifests.read(str(tmp_path), "tokenize") is None
    path.write_text(json.dumps({"key": "k", "files": {"tokens/a.parquet": files[name]}}))
    assert manifests.read(str(tmp_path), "tokenize") is not None


def test_what_tasks_told_is_what_the_files_say(tiny_run: Path) -> None:
    """Rows of files that were hashed while they were written, beside those of files read again."""
    for stage in ("extract", "dedup", "decontaminate", "tokenize"):
        manifest = manifests.read(str(tiny_run), stage)
        assert manifest
        read = manifests.rows_of(str(tiny_run), list(manifest.files))
        assert manifest.files == {name: Entry(**row) for name, row in read.items()}


def test_an_engine_is_followed_while_the_block_runs(tmp_path: Path, inline: InlineEngine) -> None:
    observe, (folder, other) = inline.observe, (tmp_path / "tokens", tmp_path / "shards")
    other.mkdir()
    (other / "old.parquet").write_bytes(b"")
    with manifests.following(str(tmp_path), inline, ["tokens", "shards"]) as written:
        assert store.is_fresh(f"{folder}/web/00000.parquet")
        assert not store.is_fresh(f"{other}/web/00000.parquet")
        inline.map("write", _write_table, [f"{folder}/a.parquet"])
    assert list(written) == ["tokens/a.parquet"]
    assert inline.observe is observe
    assert not store.is_fresh(f"{folder}/web/00000.parquet")


def _write_table(path: str) -> None:
    schema = pa.schema([("a", pa.int64())])
    with store.TableWriter(path, schema, "digest") as writer:
        writer.write(pa.record_batch([[1]], schema=schema))
