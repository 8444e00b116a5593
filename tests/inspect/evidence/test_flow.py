from __future__ import annotations

import io
import shutil
from pathlib import Path

import pytest
from rich.console import Console

from curation.errors import RunError
from curation.inspect.evidence.flow import Flow, Line, funnel
from curation.inspect.terminal.funnel import funnel_table
from curation.pipeline import line as pipeline
from curation.rundir.directory import RunDirectory
from curation.rundir.plan import Plan, read


def printed(flows: list[Flow]) -> str:
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(funnel_table(flows))
    return console.export_text()


def test_numbers_are_those_of_the_books(opened: tuple[RunDirectory, Plan]) -> None:
    books = pipeline.ledgers(*opened)
    for flow in funnel(*opened)[:-1]:
        for line in flow.lines:
            counts = books[line.stage][flow.dataset].get(line.outcome, [0, 0, 0])
            assert [line.documents, line.chars] == counts[:2]
            if line.exact and line.tokens:
                assert line.tokens == counts[2]


def test_every_stage_adds_up_for_each_dataset_and_the_total(
    opened: tuple[RunDirectory, Plan],
) -> None:
    for flow in funnel(*opened):
        kept = None
        for stage in dict.fromkeys(line.stage for line in flow.lines):
            came = flow.find(stage, "in")
            rest = [
                line.documents
                for line in flow.lines
                if line.stage == stage and line.outcome != "in"
            ]
            assert came is not None
            assert came.documents == sum(rest)
            assert kept in (None, came.documents)
            kept = flow.find(stage, "kept").documents  # type: ignore[union-attr]


def test_shares_are_those_of_the_shards(opened: tuple[RunDirectory, Plan], tiny_run: Path) -> None:
    flows = funnel(*opened)
    assert (
        flows[-1].placed
        == sum(path.stat().st_size for path in (tiny_run / "shards").glob("train-*.bin")) // 2
    )
    assert sum(flow.share or 0 for flow in flows[:-1]) == pytest.approx(1)
    assert [flow.planned for flow in flows[:-1]] == [pytest.approx(x) for x in (0.3, 0.2, 0.5)]


def test_table_marks_estimates_and_fits_100_columns(opened: tuple[RunDirectory, Plan]) -> None:
    text = printed(funnel(*opened))
    assert max(map(len, text.splitlines())) <= 100
    rows = {line.strip().split("  ")[0]: line for line in text.splitlines() if line.strip()}
    assert "~" in rows["documents"]
    assert "~" not in rows["kept"]
    assert "characters per token" in text
    for reason in (
        "missing_text",
        "low_quality",
        "duplicate",
        "exact_duplicate",
        "no_piece_left",
        "text cut out",
    ):
        assert f"- {reason}" in text


def test_many_datasets_stand_below_each_other_within_100_columns() -> None:
    lines = (
        Line("extract", "in", 10**9, 10**12, 10**11, False),
        Line("extract", "kept", 10**9, 10**12, 10**11, False),
    )
    flows = [
        Flow(f"a-rather-long-dataset-name-{i}", lines, 4.0, None, None, None, None)
        for i in range(9)
    ]
    text = printed([*flows, Flow("total", lines, None, None, None, None, None)])
    assert max(map(len, text.splitlines())) <= 100
    assert text.count("1.00B") == 2 * 10


def test_a_half_finished_run_is_counted_in_characters(half_run: Path) -> None:
    text = printed(funnel(*read(str(half_run))))
    assert "chars" in text
    assert "~" not in text
    assert "kept" in text
    assert "no_piece_left" not in text


def test_a_run_without_documents_says_so(copied: Path) -> None:
    shutil.rmtree(copied / "documents")
    with pytest.raises(RunError, match="nothing has been extracted"):
        funnel(*read(str(copied)))
