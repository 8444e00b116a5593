"""Every notebook runs from top to bottom on a small run. The first is committed without outputs; those of the second name no machine."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat", reason="needs the extra 'notebook'")
nbclient = pytest.importorskip("nbclient", reason="needs the extra 'notebook'")
pytest.importorskip("matplotlib", reason="needs the extra 'notebook'")

FOLDER = Path(__file__).parents[2] / "notebooks"


def outputs(notebook: Any) -> tuple[str, int]:
    """What a notebook's cells printed, and how many pictures they drew."""
    found = [out for cell in notebook.cells for out in cell.get("outputs", [])]
    said = "".join(out.get("text", "") + out.get("data", {}).get("text/plain", "") for out in found)
    return said, sum("image/png" in out.get("data", {}) for out in found)


def run(name: str) -> tuple[str, int]:
    notebook = nbformat.read(FOLDER / name, 4)
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    return outputs(notebook)


def test_filter_statistics_is_committed_without_outputs() -> None:
    cells = [
        cell
        for cell in nbformat.read(FOLDER / "01_filter_statistics.ipynb", 4).cells
        if cell.cell_type == "code"
    ]
    assert cells
    assert all(not cell.outputs and cell.execution_count is None for cell in cells)


def test_filter_statistics_runs_from_top_to_bottom(
    sample_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CURATION_RUN", str(sample_run))
    said, pictures = run("01_filter_statistics.ipynb")
    assert "after dedup" in said  # the funnel
    assert "removed score" in said
    assert "Jaccard" in said
    assert pictures == 2


def test_scaling_is_committed_whole_or_without_outputs_and_names_no_machine() -> None:
    said, pictures = outputs(nbformat.read(FOLDER / "02_scaling.ipynb", 4))
    assert (said.count("validation loss"), pictures) in ((0, 0), (4, 1))
    assert not re.search(r"/(tmp|home|work|root)/", said)


@pytest.mark.slow  # trains four models; the first notebook shows that notebooks run
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
    said, pictures = run("02_scaling.ipynb")
    assert said.count("validation loss") == 4  # a line for each size
    assert "petaflop/s-days" in said
    assert "residuals: " in said
    assert pictures == 1
