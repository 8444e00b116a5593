from __future__ import annotations

import io
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from curation.errors import RunError
from curation.inspect.evidence.flow import Flow, Line, _rate, funnel, funnel_rows
from curation.inspect.terminal.funnel import funnel_table
from curation.pipeline import line as pipeline
from curation.rundir.directory import RunDirectory
from curation.rundir.plan import Plan, read


def printed(flows: list[Flow], width: int = 100) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(funnel_table(flows, width))
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


def test_masked_characters_are_no_part_of_what_tokens_are_made_of() -> None:
    assert _rate({"kept": [2, 100, 10], "masked": [1, 30, 0]}) == 7.0
    assert _rate({"kept": [2, 100, 10]}) == 10.0
    lines = (
        Line("filter", "kept", 2, 100, None, False),
        Line("tokenize", "masked", 0, 30, None, False),
        Line("tokenize", "kept", 2, 100, 10, True),
    )
    kept = Flow("a", lines, 7.0, None, None, None, None).kept()
    assert kept is not None
    assert (kept.documents, kept.chars, kept.tokens) == (2, 70, 10)


def test_the_last_row_is_without_what_is_masked() -> None:
    lines = (
        Line("extract", "in", 3, 130, None, False),
        Line("extract", "kept", 3, 130, None, False),
        Line("filter", "short", 1, 30, None, False),
        Line("filter", "masked", 0, 40, None, False),
        Line("filter", "kept", 2, 100, None, False),
    )
    *_, kept = funnel_rows([Flow("a", lines, None, None, None, None, None)])
    assert (kept.name, kept.lines[0] and kept.lines[0].chars) == ("kept", 60)


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


def many(datasets: int) -> list[Flow]:
    """Datasets of which each is larger than the one before, and their total."""
    flows = []
    for i in range(1, datasets + 1):
        lines = tuple(
            Line("extract", outcome, i * 10**8, 10**12, 10**11, False) for outcome in ("in", "kept")
        )
        flows.append(Flow(f"a-rather-long-name-{i:02}", lines, 4.0, None, None, None, None))
    lines = tuple(Line("extract", name, 10**10, 10**13, 10**12, False) for name in ("in", "kept"))
    return [*flows, Flow("total", lines, None, None, None, None, None)]


@pytest.mark.parametrize("width", [80, 100])
def test_many_datasets_the_largest_are_shown_and_the_others_together(width: int) -> None:
    text = printed(many(12), width)
    assert max(map(len, text.splitlines())) <= width
    assert "others" in text
    assert "a-rather-long-nam…" in text
    shown = text.count("a-rather-long-nam…")
    others = sum(i * 10**8 for i in range(1, 13 - shown))
    assert f"{others / 1e9:.2f}B" in text
    assert f"{12 - shown} others" in text


def test_a_wide_terminal_shows_all_datasets() -> None:
    assert "others" not in printed(many(12), 400)


def test_five_datasets_and_their_total_fit_80_columns() -> None:
    flows = [replace(flow, dataset=f"dataset{i}") for i, flow in enumerate(many(5)[:-1])]
    text = printed([*flows, many(5)[-1]], 80)
    assert max(map(len, text.splitlines())) <= 80
    assert all(f"dataset{i}" in text for i in range(5))


def test_a_half_finished_run_is_counted_in_characters(half_run: Path) -> None:
    text = printed(funnel(*read(str(half_run))))
    assert "chars" in text
    assert "~" not in text
    assert "kept" in text
    assert "no_piece_left" not in text


def test_a_run_without_documents_says_so(copied: Path) -> None:
    shutil.rmtree(copied / "documents")
    (copied / "manifests" / "extract.json").unlink()
    with pytest.raises(RunError, match="nothing has been extracted"):
        funnel(*read(str(copied)))
