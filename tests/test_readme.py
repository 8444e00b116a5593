"""Every command of the README runs, in its order, in an empty folder. Its make targets run in `.ci/run`."""

from __future__ import annotations

import re
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from commands import run_command, run_shell

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    line.removeprefix("$ ")
    for block in re.findall(r"^```console\n(.*?)^```$", TEXT, re.M | re.S)
    for line in block.splitlines()
    if line.startswith("$ ")
]
NEEDS_TORCH = ("curation train ", "curation generate", "curation evaluate", "curation ablate")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("readme")


@pytest.mark.xdist_group("readme")  # each goes on from the files of those before
@pytest.mark.parametrize("command", COMMANDS)
def test_command_runs(command: str, folder: Path) -> None:
    if command.startswith(NEEDS_TORCH) and not (find_spec("torch") and find_spec("safetensors")):
        pytest.skip("torch is not installed (the extra 'train')")
    # A model of one second is as good here as the reader's of five.
    run_command(command.replace("--seconds 5 ", "--seconds 1 "), folder)


def test_every_stage_and_looking_command_is_shown() -> None:
    from curation.cli import COMMANDS as KNOWN

    shown = {command.split()[1] for command in COMMANDS if command.startswith("curation ")}
    assert shown == set(KNOWN)


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    assert set(re.findall(r"^    make ([a-z-]+)", TEXT, re.M)) <= targets


@pytest.mark.xdist_group("readme")
def test_python_runs(folder: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", TEXT, re.M | re.S)
    assert blocks
    for block in blocks:
        assert "The tide turns" in run_shell([sys.executable, "-c", block], folder)


def test_recipes_named_exist() -> None:
    for name in re.findall(r"`([a-z0-9-]+\.toml)`", TEXT):
        assert (ROOT / "curation" / "recipes" / name).exists(), name
