"""What a step gives back, shown: text of pages is hostile."""

from __future__ import annotations

import pyarrow as pa
import pytest

import curation
from curation.api.results import Result, html_table, ledger_table

EVIL = "<script>alert(1)</script>\x1b[2J\u202e" + "x" * 500
BY_STAGE = {
    "extract": {"input": {"in": [3, 9, 0], "kept": [2, 9, 0], "empty": [1, 0, 0]}},
    "dedup": {
        "input": {"in": [2, 9, 0], "kept": [1, 5, 0], "duplicate": [1, 4, 0]},
        "reference": {"in": [4, 9, 0], "kept": [3, 5, 0], "duplicate": [1, 4, 0]},
    },
}


def result(out: str | None = None) -> Result:
    rows = pa.table({"id": ["a"], "text": [EVIL], "<b>": [1.23456789], "n": [None]})
    sides = {
        "kept": rows,
        "removed": rows.append_column("reason", pa.array([EVIL])),
        "rejects": rows,
    }
    return Result("dedup", ledger_table(BY_STAGE), (EVIL,), out, sides)


def test_html_is_escaped_and_cut() -> None:
    html = result()._repr_html_()
    assert "<script" not in html
    assert "<b>" not in html.replace("<p><b>dedup</b>", "")
    assert "\x1b" not in html
    assert "\u202e" not in html
    assert "&lt;script&gt;" in html
    assert "x" * 200 not in html.replace(html[: html.index("kept, the first")], "")
    assert html_table(pa.table({"n": pa.array([], pa.int64())})).count("<tr>") == 1


def test_a_plain_result_says_what_was_removed() -> None:
    assert repr(result("run")).splitlines()[0] == (
        "Result(dedup: 1 documents kept, removed: empty 1, duplicate 1, out='run')"
    )


def test_the_ledger_is_a_table_and_counts_the_users_rows() -> None:
    done = result()
    assert done.ledger.num_rows == 9
    assert done.count("kept") == 1
    assert done.count("in", "extract") == 3
    assert ledger_table({}).num_rows == 0


def test_batches_are_the_rows(tmp_path: pytest.TempPathFactory) -> None:
    out = curation.dedup(["a", "b", "a"], out=str(tmp_path) + "/run")
    for side in ("kept", "removed", "rejects"):
        rows = [row for batch in out.batches(side) for row in batch.to_pylist()]
        assert rows == getattr(out, side).to_pylist()
    assert out.kept.num_rows == 2
    assert "kept, the first rows" in out._repr_html_()
