from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from curation.cli.mix import mix
from curation.errors import RunError
from curation.inspect.evidence.mixture import mixture_plan
from curation.rundir.plan import read


def told(*arguments: str) -> str:
    done = CliRunner().invoke(mix, list(arguments), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_the_plan_of_a_run_stands_beside_what_was_achieved(tiny_run: Path) -> None:
    rows = mixture_plan(*read(str(tiny_run)))
    assert [row.dataset for row in rows] == ["wiki", "books", "crawl"]
    assert sum(row.weight for row in rows) == pytest.approx(1)
    for row in rows:
        assert row.planned == pytest.approx(row.epochs * row.tokens)
        assert row.placed >= 0
    output = told(str(tiny_run), "--plan")
    assert "epochs placed" in output
    assert "of 101" in output
    assert "not 2.9" in output


def test_another_budget_can_be_tried(tiny_run: Path) -> None:
    output = told(
        str(tiny_run),
        "--plan",
        "--tokens",
        "10000000",
        "--weights",
        "wiki=1,books=1",
        "--max-epochs",
        "9999",
    )
    assert "10,000,000 tokens" in output
    assert "more than 4 rarely help" in output
    assert "epochs placed" not in output
    assert "crawl  " not in output


def test_a_plan_of_other_runs_writes_nothing(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    output = told(f"mine={tiny_run}", "--weights", "mine=1", "--tokens", "500", "--plan")
    assert "mine" in output
    assert list(tmp_path.iterdir()) == []


def test_what_is_missing_is_said(tiny_run: Path, half_run: Path) -> None:
    arguments = [f"a={tiny_run}", "--weights", "a=1", "--tokens", "5"]
    done = CliRunner().invoke(mix, arguments)
    assert done.exit_code == 2
    assert "--out" in done.output
    with pytest.raises(RunError, match="no tokens yet"):
        mixture_plan(*read(str(half_run)))
