"""The examples of docs/how-to/python.md run as they stand, in their order."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tiny_corpus import QUOTE, sentences

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "python.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)
GOOD = [sentences(i, 15, "good") for i in range(40)]
BAD = [sentences(100 + i, 15, "spam") for i in range(40)]
RECIPE = """
stages = ["extract", "classify", "dedup", "decontaminate", "tokenize", "mix"]
decontaminate.benchmarks = "benchmark.jsonl"
mix.weights = { a = 1 }
mix.tokens = 1000
mix.shards = 1
classify.alpha = 0.05
[[dataset]]
name = "a"
role = "crawl"
files = "pages.jsonl"
"""


def test_the_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [
        {"id": str(i), "text": t, "url": f"https://example.org/{i or 'page'}"}
        for i, t in enumerate(GOOD)
    ]
    Path("pages.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    Path("benchmark.jsonl").write_text(json.dumps({"text": QUOTE}))
    Path("recipe.toml").write_text(RECIPE)
    for name, texts in (("good", GOOD), ("crawl", BAD)):
        pq.write_table(pa.table({"text": texts}), f"{name}.parquet")
    assert len(BLOCKS) >= 3
    for number, block in enumerate(BLOCKS):
        folder = tmp_path / f"run{number}"
        code = block.replace('"run"', repr(str(folder)))  # each block has a directory of its own
        exec(compile(code, f"{PAGE.name}, block {number}", "exec"), {"__name__": "example"})
    assert Path("report.html").exists()
    assert list(Path("export").glob("*.jsonl.gz"))
