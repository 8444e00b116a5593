"""Measurements and jobs name only what there is: nothing else runs them in the tests."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted([*(ROOT / "perf").glob("*.py"), *(ROOT / "jobs").glob("*.py")])


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_names_that_a_script_imports_from_the_package_exist(script: Path) -> None:
    if "curation.gpt3" in script.read_text():
        pytest.importorskip("torch", reason="the extra `train` is not installed")
    for node in ast.walk(ast.parse(script.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "curation":
            module = importlib.import_module(str(node.module))
            for name in node.names:
                if not hasattr(module, name.name):  # else it is a module of its own
                    importlib.import_module(f"{node.module}.{name.name}")


@pytest.mark.slow  # compiles what a GPU would run
def test_what_perf_gpu_compares_is_equal_in_tiny_shapes_on_a_cpu() -> None:
    torch = pytest.importorskip("torch", reason="the extra `train` is not installed")
    from perf.gpu import Report, check_kernels, check_losses

    torch.set_num_threads(1)  # does not wait for a busy second core
    report = Report(torch.device("cpu"), 400, True)
    check_kernels(report)
    check_losses(report)
    assert report.failed == []
