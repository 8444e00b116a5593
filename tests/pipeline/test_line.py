"""The whole line over the sample: equal bytes on every engine, equal bytes after kill -9, and the planted things found."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from cluster import executors
from tiny_corpus import tiny_recipe

from curation import store
from curation.engine.inline import InlineEngine
from curation.engine.local import LocalEngine
from curation.errors import CurationError, RecipeError, RunError, TaskError
from curation.pipeline import export
from curation.pipeline import line as pipeline
from curation.recipe import reading as recipe
from curation.recipe.line import DECIDING
from curation.rundir import metrics, plan
from curation.rundir.directory import RunDirectory
from curation.rundir.manifest import FOLDER

COMPARED = (".parquet", ".bin", ".idx", ".npz", ".npy", ".jsonl")


def fingerprint(run: Path) -> dict[str, str]:
    """sha256 of every token shard, table and manifest of a run."""
    files = [f for f in run.rglob("*") if f.suffix in COMPARED or f.parent.name == FOLDER]
    files = [f for f in files if f.name != metrics.NAME]  # what it took is no result
    return {str(f.relative_to(run)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


def _run(folder: Path, out: Path, engine: Any) -> dict[str, str]:
    pipeline.run(recipe.load(str(folder / "recipe.toml")), str(out), engine, say=lambda line: None)
    return fingerprint(out)


def test_one_process_or_two_workers_make_the_same_bytes(
    sample_folder: Path, sample_run: Path, tmp_path: Path
) -> None:
    engine = InlineEngine()
    try:
        made = _run(sample_folder, tmp_path / "run", engine)
    finally:
        engine.close()
    assert made == fingerprint(sample_run)
    assert sum(name.startswith("shards/") for name in made) > 10


@pytest.mark.slow  # the test with a cluster runs the whole line on Spark too
@pytest.mark.spark
def test_spark_makes_the_same_bytes(tiny_run: Path, spark_engine: Any, tmp_path: Path) -> None:
    """The whole line over the tiny corpus; the test with a cluster does the demo corpus."""
    pipeline.run(
        tiny_recipe(tiny_run.parent), str(tmp_path / "run"), spark_engine, say=lambda line: None
    )
    made = fingerprint(tmp_path / "run")
    assert made == fingerprint(tiny_run)
    assert sum(name.startswith("shards/") for name in made) > 5


@pytest.mark.cluster
@pytest.mark.slow
@pytest.mark.xdist_group("cluster")
def test_executors_that_are_lost_in_any_stage_cost_nothing(
    sample_folder: Path, sample_run: Path, tmp_path: Path
) -> None:
    """kill -9 of an executor, four times, each time after another part of the files is there."""
    pytest.importorskip("pyspark")
    out, expected = tmp_path / "run", fingerprint(sample_run)
    command = [sys.executable, "-m", "curation", "run", str(sample_folder / "recipe.toml")]
    master = ["--out", str(out), "--engine", "spark", "--master", "local-cluster[2,1,1024]"]
    with open(tmp_path / "log", "wb") as log:
        process = subprocess.Popen([*command, *master], stdout=log, stderr=log)
        killed = 0
        while process.poll() is None:
            made = sum(f.suffix in COMPARED for f in out.rglob("*"))
            if killed < 4 and made > (killed + 1) * len(expected) / 5:
                for executor in executors(process.pid)[:1]:
                    os.kill(executor, signal.SIGKILL)
                    killed += 1
            time.sleep(0.1)
    assert process.returncode == 0, (tmp_path / "log").read_text()[-2000:]
    assert killed == 4
    assert fingerprint(out) == expected


@pytest.mark.cluster
@pytest.mark.xdist_group("cluster")
def test_a_spark_cluster_makes_the_same_bytes(
    sample_folder: Path, sample_run: Path, tmp_path: Path
) -> None:
    """Two executors with JVMs of their own; in a process of its own, since a JVM has one Spark context."""
    pytest.importorskip("pyspark")
    command = [
        sys.executable,
        "-m",
        "curation",
        "run",
        str(sample_folder / "recipe.toml"),
        "--out",
        str(tmp_path / "run"),
    ]
    done = subprocess.run(
        [*command, "--engine", "spark", "--master", "local-cluster[2,1,1024]"],
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert fingerprint(tmp_path / "run") == fingerprint(sample_run)


@pytest.mark.parametrize("kills", [1, pytest.param(10, marks=pytest.mark.slow)])
def test_killed_at_random_moments_it_ends_the_same(
    sample_folder: Path, sample_run: Path, tmp_path: Path, kills: int
) -> None:
    """kill -9 of the whole process group, each time after a random part of the files is there."""
    out = tmp_path / "run"
    command = [
        sys.executable,
        "-m",
        "curation",
        "run",
        str(sample_folder / "recipe.toml"),
        "--out",
        str(out),
    ]
    expected = fingerprint(sample_run)
    ended: list[int] = []
    for files in sorted(random.Random(0).sample(range(1, len(expected)), kills)):
        with open(tmp_path / "log", "wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
            while (
                process.poll() is None and sum(f.suffix in COMPARED for f in out.rglob("*")) < files
            ):
                time.sleep(0.01)
            os.killpg(process.pid, signal.SIGKILL)
        ended.append(process.wait())
        # On a busy machine a run can end by itself between two looks at its files.
        assert ended[-1] in (-signal.SIGKILL, 0), (tmp_path / "log").read_text()[-2000:]
    assert -signal.SIGKILL in ended
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert fingerprint(out) == expected
    assert not list(out.rglob(f"*{store.TEMPORARY}*"))


def test_a_run_that_is_done_does_nothing(
    sample_folder: Path, sample_run: Path, local: LocalEngine
) -> None:
    def times() -> dict[str, int]:
        return {str(f): f.stat().st_mtime_ns for f in sample_run.rglob("*") if f.suffix in COMPARED}

    before = times()
    pipeline.run(
        recipe.load(str(sample_folder / "recipe.toml")),
        str(sample_run),
        local,
        say=lambda line: None,
    )
    assert times() == before


def test_stages_without_extract_need_what_it_wrote(tmp_path: Path, inline: Any) -> None:
    dataset = [{"name": "a", "files": ["a.jsonl"]}]
    made = recipe.parse({"stages": ["dedup"], "dataset": dataset}, folder=str(tmp_path))
    with pytest.raises(RecipeError, match='holds nothing of it; put "extract" in front'):
        pipeline.run(made, str(tmp_path / "run"), inline)
    assert not (tmp_path / "run").exists()


def test_stages_can_be_stopped_after_and_made_again(
    tiny_run: Path, local: LocalEngine, tmp_path: Path
) -> None:
    made, out = tiny_recipe(tiny_run.parent), tmp_path / "run"
    pipeline.run(made, str(out), local, until="dedup", say=lambda line: None)
    assert not (out / "tokens").exists()
    pipeline.run(made, str(out), local, say=lambda line: None)
    pipeline.run(made, str(out), local, again_from="decontaminate", say=lambda line: None)
    assert fingerprint(out) == fingerprint(tiny_run)


def test_a_failing_shard_is_named_and_the_finished_ones_stay(
    sample_folder: Path, local: LocalEngine, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    shutil.copytree(sample_folder, folder)
    broken = folder / "books1" / "zz-broken.txt"
    broken.write_text("x")
    made = recipe.load(str(folder / "recipe.toml"))
    planned = plan.make(made, str(tmp_path / "run"))
    broken.unlink()  # gone between plan and task, as a file on a network may be
    rundir = RunDirectory(str(tmp_path / "run"), made)
    with pytest.raises(
        TaskError, match=r"^extract failed on books1/0000\d: .*zz-broken\.txt: no such file"
    ):
        pipeline.MODULES["extract"].run(rundir, planned, local)
    assert store.done(
        rundir.documents(planned.shards[0]),
        store.need_footer(rundir.documents(planned.shards[0])).digest,
    )


# ---- the planted things ----------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def planted() -> list[dict[str, Any]]:
    from curation.demo.build import truth

    return truth()


def test_every_planted_record_is_a_document_or_the_reject_it_should_be(
    sample_run: Path, planted: list[dict[str, Any]]
) -> None:
    rundir, made = plan.read(str(sample_run))
    got: dict[str, str | None] = {}
    for shard in made.of("commoncrawl"):
        got.update(
            dict.fromkeys(store.read_table(rundir.documents(shard), ["url"]).column(0).to_pylist())
        )
        for row in store.read_table(rundir.table("rejects", shard)).to_pylist():
            got[row["url"]] = row["reason"]
    expected = {row["url"]: row.get("reject") for row in planted if row["dataset"] == "commoncrawl"}
    lost = {url for url, reason in expected.items() if reason == "truncated"}
    assert {u: r for u, r in got.items() if u in expected and u not in lost} == {
        u: r for u, r in expected.items() if u not in lost
    }


def test_scores_put_good_pages_above_junk(sample_run: Path, planted: list[dict[str, Any]]) -> None:
    from sklearn.metrics import roc_auc_score

    rundir, made = plan.read(str(sample_run))
    kinds = {row["url"]: row["kind"] for row in planted if row["dataset"] == "commoncrawl"}
    scores: list[tuple[bool, float]] = []
    for shard in made.of("commoncrawl"):
        urls = store.read_table(rundir.documents(shard), ["url"]).column(0).to_pylist()
        found = (
            store.read_table(rundir.table("classify", shard, "evidence"))
            .column("score")
            .to_pylist()
        )
        scores += [
            (kinds[u] == "good", s)
            for u, s in zip(urls, found, strict=True)
            if kinds[u] in ("good", "spam", "boilerplate")
        ]
    assert roc_auc_score(*zip(*scores, strict=True)) > 0.95


def test_dedup_over_the_whole_crawl_removes_what_is_planted(
    sample_folder: Path, local: LocalEngine, tmp_path: Path, planted: list[dict[str, Any]]
) -> None:
    """Without the classifier in front, which keeps some copies from meeting."""
    loaded = recipe.load(str(sample_folder / "recipe.toml"), ['stages=["extract","dedup"]'])
    rundir, made = pipeline.run(loaded, str(tmp_path / "run"), local, say=lambda line: None)
    keep: dict[str, bool] = {}
    for shard in made.of("commoncrawl"):
        urls = store.read_table(rundir.documents(shard), ["url"]).column(0).to_pylist()
        keep.update(
            zip(
                urls,
                store.read_table(rundir.decision("dedup", shard)).column("keep").to_pylist(),
                strict=True,
            )
        )
    copies = [row for row in planted if row.get("duplicate_of")]
    for row in copies:
        alike = row["similar"][0]["jaccard_5gram"] >= 0.8
        if row["kind"] == "mirror_of_trusted" and alike:
            assert not keep[row["url"]], row  # WebText's copies leave the crawl, never the reverse
        elif "chain" not in row.get("note", "") and row["url"] in keep:
            assert (keep[row["url"]] + keep[row["duplicate_of"]] == 1) == alike, row
    assert len(copies) == 37
    assert all(
        store.read_table(rundir.decision("dedup", shard)).column("keep").to_pylist().count(False)
        == 0
        for shard in made.of("webtext2", "books1", "books2", "wikipedia")
    )


def test_quotes_of_the_benchmark_are_cut_from_trusted_documents(
    sample_run: Path, planted: list[dict[str, Any]]
) -> None:
    rundir, made = plan.read(str(sample_run))
    cuts = {}
    for shard in made.of("webtext2", "books2"):
        ids = store.read_table(rundir.documents(shard), ["id"]).to_pylist()
        for row, fate in zip(
            ids, store.read_table(rundir.decision("decontaminate", shard)).to_pylist(), strict=True
        ):
            cuts[row["id"]] = fate
    assert cuts["wt-11"]["keep"]
    assert len(cuts["wt-11"]["pieces"]) == 2
    assert cuts["the-commonplace-book"]["reason"] == "too_many_pieces"
    assert (
        sum(fate["cuts"] is not None for fate in cuts.values()) == 2
    )  # the exempted disclaimer cuts nothing


def test_half_of_a_pair_of_another_setting_is_made_again(
    sample_folder: Path, sample_run: Path, local: LocalEngine, tmp_path: Path
) -> None:
    """As a kill between the survivors of another alpha and its decision leaves it, and then the old alpha again."""
    out, other = tmp_path / "run", tmp_path / "other"
    shutil.copytree(sample_run, out)
    shutil.copytree(sample_run, other)
    made = recipe.load(str(sample_folder / "recipe.toml"), ["classify.alpha=3"])
    pipeline.run(made, str(other), local, until="classify", update=True, say=lambda line: None)
    survivors = Path("survivors", "commoncrawl", "00000.parquet")
    assert (other / survivors).read_bytes() != (out / survivors).read_bytes()
    shutil.copy(other / survivors, out / survivors)
    evidence = out / "dedup" / "evidence"
    shutil.copy(evidence / "books1" / "00000.parquet", evidence / "commoncrawl" / "00000.parquet")
    pipeline.run(
        recipe.load(str(sample_folder / "recipe.toml")), str(out), local, say=lambda line: None
    )
    assert fingerprint(out) == fingerprint(sample_run)


def test_every_stage_that_decides_can_be_exported() -> None:
    assert set(export.SPLIT) == set(DECIDING)


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({"tokenize": {"encoding": "gtp2"}}, "tokenize.encoding: 'gtp2'"),
        ({"decontaminate": {"benchmarks": ["none.jsonl"]}}, "none.jsonl: no such file"),
        ({"decontaminate": {"benchmarks": ["bad.jsonl"]}}, "bad.jsonl.*line 1"),
        (
            {"decontaminate": {"benchmarks": ["good.jsonl"], "catalogue": "bad.toml"}},
            "bad.toml: names: a list expected, got 3",
        ),
        ({"classify": {"model": "none"}}, "none: not a model"),
        ({"classify": {"positives": ["web"]}}, "'web' is among the positives and the negatives"),
    ],
)
def test_what_is_known_at_the_start_is_said_before_a_page_is_read(
    table: dict[str, Any],
    expected: str,
    local: LocalEngine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("good.jsonl").write_text('{"id": "1", "text": "one two three"}\n')
    Path("bad.jsonl").write_text("[1]\n")
    Path("bad.toml").write_text("[[benchmark]]\nnames = 3\n")
    whole = {
        "stages": ["extract", "classify", "decontaminate", "tokenize"],
        "decontaminate": {"benchmarks": ["good.jsonl"]},
        "dataset": [
            {"name": "web", "role": "crawl", "files": ["good.jsonl"]},
            {"name": "good", "files": ["good.jsonl"]},
        ],
        **table,
    }
    with pytest.raises(CurationError, match=expected):
        pipeline.run(recipe.parse(whole), "run", local, say=lambda line: None)
    assert not Path("run", "documents").exists()


@pytest.mark.parametrize(("free", "outcome"), [(1, "refused"), (4000, "told"), (10**9, "silent")])
def test_free_room_is_held_against_the_inputs(
    free: int, outcome: str, local: LocalEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in.jsonl").write_text('{"id": "1", "text": "one two three"}\n' + "\n" * 5000)
    table = {
        "stages": ["extract"],
        "dataset": [{"name": "a", "files": [str(tmp_path / "in.jsonl")]}],
    }
    monkeypatch.setattr(store, "free_bytes", lambda folder: free)
    said: list[str] = []
    if outcome == "refused":
        with pytest.raises(
            RunError, match=r"1 bytes are free on its disk, for inputs of 5,0\d\d b"
        ):
            pipeline.run(recipe.parse(table), str(tmp_path / "run"), local, say=said.append)
        assert not (tmp_path / "run" / "documents").exists()
        return
    pipeline.run(recipe.parse(table), str(tmp_path / "run"), local, say=said.append)
    assert any("bytes are free" in line for line in said) == (outcome == "told")


def test_a_folder_that_may_not_be_written_is_said_at_the_start(
    local: LocalEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in.jsonl").write_text('{"id": "1", "text": "one two three"}\n')
    (tmp_path / "run" / "downloads").mkdir(parents=True)
    table = {
        "stages": ["download", "extract"],
        "dataset": [{"name": "a", "files": [str(tmp_path / "in.jsonl")]}],
    }
    monkeypatch.setattr(os, "access", lambda path, mode: not path.endswith("downloads"))
    with pytest.raises(PermissionError, match="downloads"):
        pipeline.run(recipe.parse(table), str(tmp_path / "run"), local, say=lambda line: None)
