"""Every block of the page on Python runs, in its order, in one folder."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tiny_corpus import sentences

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "how-to" / "python.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", TEXT, re.M | re.S)
RECIPE = """
stages = ["extract", "classify", "dedup"]
[[dataset]]
name = "web"
role = "crawl"
files = "pages.jsonl"
"""


def test_every_block_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = [sentences(i, 15, "good") for i in range(30)]
    spam = [sentences(100 + i, 15, "spam") for i in range(30)]
    pages = [{"id": str(i), "text": text} for i, text in enumerate(good[:6])]
    pages.append({"id": "page", "text": good[0], "url": "https://example.org/page"})
    (tmp_path / "pages.jsonl").write_text("".join(json.dumps(row) + "\n" for row in pages))
    (tmp_path / "benchmark.jsonl").write_text(json.dumps({"text": sentences(900, 9, "good")}))
    (tmp_path / "recipe.toml").write_text(RECIPE)
    for name, texts in (("good", good), ("crawl", spam)):
        pq.write_table(pa.table({"text": texts}), tmp_path / f"{name}.parquet")
    monkeypatch.chdir(tmp_path)
    assert len(BLOCKS) == 3
    for number, block in enumerate(BLOCKS):
        # each example has a run directory of its own
        exec(block.replace('"run"', f'"run{number}"'), {})
    assert (tmp_path / "report.html").exists()
    assert (tmp_path / "model" / "card.json").exists()
