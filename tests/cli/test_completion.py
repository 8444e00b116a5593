"""Shell completion: the script, and what is completed."""

from __future__ import annotations

from typing import Any

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from curation.cli import COMMANDS, SECTIONS, main


def completed(words: list[str], typed: str) -> list[Any]:
    made = ShellComplete(main, {}, "curation", "_CURATION_COMPLETE")
    return [item.value for item in made.get_completions(words, typed)]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_names_the_command(shell: str) -> None:
    done = CliRunner().invoke(main, ["completion", shell])
    assert done.exit_code == 0
    assert f"_CURATION_COMPLETE={shell}_complete" in done.output


@pytest.mark.parametrize(
    ("words", "typed", "expected"),
    [
        ([], "de", ["dedup", "decontaminate"]),
        (["filter", "--rules"], "f", ["fineweb"]),
        (["dedup", "--format"], "jsonl.", ["jsonl.gz", "jsonl.zst"]),
        (["run", "r.toml", "--until"], "de", ["dedup", "decontaminate"]),
        (["sample", "RUN", "--reason"], "low_q", ["low_quality"]),
        (["reasons"], "exact", ["exact_duplicate"]),
        (["export", "RUN", "--format"], "llm", ["llmc"]),
    ],
)
def test_names_are_completed(words: list[str], typed: str, expected: list[str]) -> None:
    assert completed(words, typed) == expected


def test_help_has_every_command_on_one_screen() -> None:
    page = CliRunner().invoke(main, ["--help"], terminal_width=80).output.splitlines()
    assert len(page) <= 52
    assert max(map(len, page)) <= 84
    for title, commands in SECTIONS.items():
        assert f"{title}:" in page
        for name, (_, text) in commands.items():
            assert any(line.split() == [name, *text.split()] for line in page), name
    assert len(COMMANDS) == sum(map(len, SECTIONS.values()))
