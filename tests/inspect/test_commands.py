from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from curation.cli import inspect as commands
from curation.errors import RunError


@pytest.mark.parametrize("name", ["report", "explain", "sample", "check"])
def test_help_has_an_example(name: str) -> None:
    told = CliRunner().invoke(getattr(commands, name), ["--help"])
    assert told.exit_code == 0
    assert f"curation {name} RUN" in told.output


def test_report_says_where_the_page_is(copied: Path) -> None:
    told = CliRunner().invoke(commands.report, [str(copied)])
    assert told.output.strip() == f"Wrote {copied}/report.html (and {copied}/report.json)"


def test_explain_and_sample_print(tiny_run: Path) -> None:
    told = CliRunner().invoke(commands.explain, [str(tiny_run), "wiki-0"])
    assert told.exit_code == 0
    assert "kept" in told.output
    told = CliRunner().invoke(commands.sample, [str(tiny_run), "--stage", "dedup", "-n", "1"])
    assert told.exit_code == 0
    assert "jaccard" in told.output


def test_check_exits_with_1_on_a_failure(copied: Path) -> None:
    assert CliRunner().invoke(commands.check, [str(copied)]).exit_code == 0
    (copied / "shards" / "train-00000.bin").write_bytes(b"")
    told = CliRunner().invoke(commands.check, [str(copied)])
    assert told.exit_code == 1
    assert "FAIL" in told.output


def test_a_folder_that_is_no_run(tmp_path: Path) -> None:
    told = CliRunner().invoke(commands.check, [str(tmp_path)])
    assert isinstance(told.exception, RunError)


def test_importing_the_commands_imports_only_click() -> None:
    code = "import sys; import curation.cli.inspect; print([m for m in ('pyarrow', 'numpy', 'rich') if m in sys.modules])"
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert said.strip() == "[]"
