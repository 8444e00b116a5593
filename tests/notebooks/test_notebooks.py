"""Every notebook runs from top to bottom and prints what is saved in it; what is saved is small and
names no machine."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat", reason="needs the extra 'notebook'")
nbclient = pytest.importorskip("nbclient", reason="needs the extra 'notebook'")
pytest.importorskip("matplotlib", reason="needs the extra 'notebook'")

FOLDER = Path(__file__).parents[2] / "notebooks"
NAMES = sorted(path.name for path in FOLDER.glob("*.ipynb"))
SCALING = "06_scaling.ipynb"
MOST_BYTES = 300_000


def outputs(notebook: Any) -> tuple[str, int]:
    """What a notebook's cells printed, and how many pictures they drew."""
    found = [out for cell in notebook.cells for out in cell.get("outputs", [])]
    said = "".join(out.get("text", "") + out.get("data", {}).get("text/plain", "") for out in found)
    return said, sum("image/png" in out.get("data", {}) for out in found)


def run(name: str) -> tuple[str, int]:
    notebook = nbformat.read(FOLDER / name, 4)
    resources = {"metadata": {"path": str(FOLDER)}}
    nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources=resources
    ).execute()
    return outputs(notebook)


def test_they_are_in_order() -> None:
    assert [name[:2] for name in NAMES] == [f"{n:02}" for n in range(1, len(NAMES) + 1)]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_saved_is_small_and_names_no_machine(name: str) -> None:
    notebook = nbformat.read(FOLDER / name, 4)
    nbformat.validate(notebook)
    said, pictures = outputs(notebook)
    assert pictures >= 1
    saved = [out for cell in notebook.cells for out in cell.get("outputs", [])]
    assert not [out for out in saved if out.get("name") == "stderr" or "ename" in out]
    shown = said + "".join(out.get("data", {}).get("text/html", "") for out in saved)
    assert not re.search(r"/(tmp|home|work|root|Users)/", shown)
    assert "Warning" not in shown
    assert (FOLDER / name).stat().st_size < MOST_BYTES


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all of them work: the run of the demo is made by the first and found by the others."""
    return tmp_path_factory.mktemp("notebooks")


@pytest.mark.slow  # what they call has tests of its own; these hold what a reader is shown
@pytest.mark.xdist_group("notebooks")
@pytest.mark.parametrize("name", [name for name in NAMES if name != SCALING])
def test_it_prints_what_is_saved(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CURATION_NOTEBOOKS", os.fspath(folder))
    assert run(name) == outputs(nbformat.read(FOLDER / name, 4))


@pytest.mark.slow  # trains four models
def test_scaling_runs_from_top_to_bottom(
    sample_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch", reason="the extra `train` is not installed")
    for name, value in (
        ("RUN", str(sample_run)),
        ("SCALING_TOKENS", "4096"),
        ("SCALING_OUT", str(tmp_path)),
    ):
        monkeypatch.setenv(f"CURATION_{name}", value)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # does not wait for a busy second core
    said, pictures = run(SCALING)
    assert said.count("validation loss") == 4  # a line for each size
    assert "slope of log L against log C" in said
    assert "residuals: " in said
    assert pictures == 1
