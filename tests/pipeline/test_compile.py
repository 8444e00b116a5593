"""What is compiled before the work is what the work calls, and is compiled once."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from curation.engine.local import LocalEngine
from curation.pipeline import compile as warm


class _Heard:
    """An engine that only listens."""

    workers = 1

    def __init__(self) -> None:
        self.items: list[Any] = []

    def map_here(self, label: str, task: Any, items: Any) -> list[Any]:
        self.items += items
        return []


def test_every_part_compiles_the_kernel_it_is_known_by(local: LocalEngine) -> None:
    warm.compile_kernels(local, ["extract", "classify", "dedup", "decontaminate"])
    heard: Any = _Heard()
    warm.compile_kernels(heard, ["extract", "classify", "dedup", "decontaminate"])
    assert heard.items == []


def test_only_what_a_run_needs_and_after_a_change_is_compiled(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(warm, "_PACKAGE", tmp_path)
    monkeypatch.setattr(warm, "_FOLDERS", (tmp_path / "kernels",))
    (tmp_path / "kernels" / "__pycache__").mkdir(parents=True)
    source = tmp_path / "kernels" / "buckets.py"
    source.touch()
    (tmp_path / "kernels" / "__pycache__" / "buckets._pairs-1.nbi").touch()
    os.utime(source, (time.time() - 9, time.time() - 9))
    heard: Any = _Heard()
    warm.compile_kernels(heard, ["dedup", "mix"])
    assert heard.items == []
    os.utime(source, (time.time() + 9, time.time() + 9))
    warm.compile_kernels(heard, ["dedup", "mix"])
    assert heard.items == ["signatures"]


def test_what_calls_a_changed_module_is_forgotten(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(warm, "_PACKAGE", tmp_path)
    monkeypatch.setattr(warm, "_FOLDERS", ("kernels", "blocks"))
    texts = {
        "kernels/low": "",
        "kernels/middle": "from curation.kernels.low import f\n",
        "kernels/high": "import os\nfrom curation.kernels.middle import (\n    g,\n)\n",
        "blocks/by_name": "from curation.kernels import middle as m\n",
        "kernels/other": "",
    }
    hour_ago = time.time() - 3600
    for name, text in texts.items():
        file = tmp_path / f"{name}.py"
        (file.parent / "__pycache__").mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        os.utime(file, (hour_ago, hour_ago))
        (file.parent / "__pycache__" / f"{file.stem}._k-12.py311.nbi").touch()
    os.utime(tmp_path / "kernels/low.py", (time.time() + 9, time.time() + 9))
    warm.forget_stale()
    left = sorted(file.name.partition(".")[0] for file in tmp_path.glob("*/__pycache__/*.nbi"))
    assert left == ["other"]
