"""The tutorial's commands run in its order, its recipe and its Python too, in an empty folder."""

from __future__ import annotations

import re
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from commands import run_command, run_shell

PAGE = Path(__file__).parents[2] / "docs" / "tutorial.md"
BLOCKS = re.findall(
    r"^```(console|toml|python)\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S
)
STEPS = [
    (kind, step)
    for kind, block in BLOCKS
    for step in (re.findall(r"^\$ (.+)$", block, re.M) if kind == "console" else [block])
]
NEEDS_TORCH = ("curation train ", "curation generate ")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tutorial")


@pytest.mark.xdist_group("tutorial")  # each goes on from the files of those before
@pytest.mark.parametrize(("kind", "step"), STEPS, ids=[step.splitlines()[0] for _, step in STEPS])
def test_step(kind: str, step: str, folder: Path) -> None:
    if kind == "toml":  # its first line names the file
        (folder / step.splitlines()[0].removeprefix("# ")).write_text(step, encoding="utf-8")
        return
    if step.startswith(NEEDS_TORCH) and not (find_spec("torch") and find_spec("safetensors")):
        pytest.skip("torch is not installed (the extra 'train')")
    if kind == "python":
        run_shell([sys.executable, "-c", step], folder)
    else:
        run_command(step, folder)
