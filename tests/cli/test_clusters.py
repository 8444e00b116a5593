"""The alarm of deduplication, and looking at what it is about."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from curation.cli import main

MENU = "home about contact sign in search the archive of all our pages and subscribe to the letter today "


def call(*args: str) -> Result:
    return CliRunner().invoke(main, list(args))


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> str:
    """1,000 pages: 90 hold one menu and a number, the others a text of their own."""
    path = tmp_path_factory.mktemp("pages") / "pages.jsonl"
    own = [" ".join(f"word{i}x{k}" for k in range(30)) for i in range(910)]
    texts = own + [MENU * 4 + str(i) for i in range(90)]
    path.write_text(
        "".join(json.dumps({"id": f"p{i}", "text": text}) + "\n" for i, text in enumerate(texts))
    )
    return str(path)


def test_many_leaving_for_one_stop_the_run_and_can_be_looked_at(pages: str, tmp_path: Path) -> None:
    out = str(tmp_path / "o")
    stopped = call("dedup", pages, "--out", out, "--workers", "1")
    assert stopped.exit_code == 1
    assert "one document stands for 8.9 % of input (dedup.max_cluster is 5 %)" in " ".join(
        stopped.output.split()
    )
    assert "Traceback" not in stopped.output
    for shown in (
        "89 of input removed",
        "Jaccard",
        "most in common",
        "home about contact sign in",
    ):  # what it is about
        assert shown in stopped.output

    shown = call("clusters", out)
    assert shown.exit_code == 0, shown.output
    assert "89 of input removed (8.9 % of it)" in shown.output
    assert "home about contact sign in" in shown.output

    warned = call("dedup", pages, "--out", out, "--workers", "1", "--alarm", "warn", "--update")
    assert warned.exit_code == 0, warned.output
    assert "one document stands for 8.9 %" in " ".join(warned.output.split())
    assert (tmp_path / "o" / "kept").is_dir()


def test_losing_most_stops_the_run(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(
        "".join(json.dumps({"text": f"a text about {i % 250}"}) + "\n" for i in range(1000))
    )
    stopped = call("dedup", str(path), "--out", str(tmp_path / "o"), "--workers", "1")
    assert stopped.exit_code == 1
    assert "input loses 75.0 % of its documents" in " ".join(stopped.output.split())


def test_clusters_say_where_there_are_none(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(
        "".join(json.dumps({"text": f"quite another text {i} " * (i + 3)}) + "\n" for i in range(3))
    )
    out = str(tmp_path / "o")
    assert call("dedup", str(path), "--out", out, "--workers", "1").exit_code == 0
    assert "there are no clusters" in call("clusters", out).output
    assert call("clusters", out, "--dataset", "other").exit_code == 1
    assert call("extract", str(path), "--out", str(tmp_path / "x"), "--workers", "1").exit_code == 0
    assert "dedup has not run here" in call("clusters", str(tmp_path / "x")).output
