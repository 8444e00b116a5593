"""Documents that say the same lines again and again: measured always, removed where the recipe says so."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console

from curation import store
from curation.inspect.check.check import check
from curation.inspect.evidence.flow import funnel
from curation.inspect.evidence.report import report
from curation.inspect.evidence.sample import sample
from curation.inspect.terminal.explain import explain
from curation.inspect.terminal.funnel import funnel_table
from curation.pipeline.line import ledgers
from curation.web.report import page

TABLE: dict[str, Any] = {"stages": ["extract", "dedup"], "dedup": {"max_repeated_lines": 0.3}}


def _text(seed: int, lines: int = 12) -> str:
    rng = random.Random(seed)
    return "\n".join(" ".join(f"w{rng.randrange(3000)}" for _ in range(9)) for _ in range(lines))


def _rows() -> list[dict[str, str]]:
    menu = _text(1, 4) + ("\n" + _text(1, 4)) * 2
    return [
        {"id": "plain", "text": _text(0)},
        {"id": "menu", "text": menu},
        {"id": "menu again", "text": menu},
        {"id": "like the menu", "text": _text(1, 4)},  # every shingle but few is the menu's
        {"id": "one line twice", "text": _text(2) + "\n" + _text(2, 1)},
        {"id": "plain again", "text": _text(0) + " more"},
    ]


def _fates(rundir: Any, plan: Any, dataset: str) -> dict[str, dict[str, Any]]:
    (shard,) = plan.of(dataset)
    ids = store.read_table(rundir.survivors(shard), ["id"]).column(0).to_pylist()
    return dict(
        zip(ids, store.read_table(rundir.decision("dedup", shard)).to_pylist(), strict=True)
    )


def test_repetitive_documents_leave_under_their_reason_and_take_part_in_nothing(
    run_recipe: Callable[..., Any],
) -> None:
    rundir, plan = run_recipe({"a": _rows()}, TABLE)
    fates = _fates(rundir, plan, "a")
    reasons = {id_: fate["reason"] for id_, fate in fates.items()}
    assert reasons == {
        "plain": "duplicate",
        "menu": "repetitive",
        "menu again": "repetitive",
        "like the menu": None,
        "one line twice": None,
        "plain again": None,
    }
    assert (fates["menu"]["kept_id"], fates["menu"]["jaccard"]) == (None, None)
    assert ledgers(rundir, plan)["dedup"]["a"]["repetitive"][0] == 2
    assert all(result.ok for result in check(rundir, plan))


def test_every_view_of_a_run_can_show_them(run_recipe: Callable[..., Any]) -> None:
    rundir, plan = run_recipe({"a": _rows()}, TABLE)
    console = Console(width=200, record=True, file=io.StringIO())
    explain(rundir, plan, "menu", console)
    console.print(funnel_table(funnel(rundir, plan)))
    text = console.export_text()
    assert "removed by dedup: repetitive (6" in text
    assert "- repetitive" in text
    (first, _) = sample(rundir, plan, reason="repetitive")
    assert first.evidence["repeated_lines"] == pytest.approx(0.654, abs=0.001)
    found = report(rundir, plan)
    assert found.duplicates.removed == 1
    assert found.repeats["a"].documents == 6
    assert "Repeated lines" in page(found)


def test_they_stay_by_default_and_where_they_are_only_compared_with(
    run_recipe: Callable[..., Any],
) -> None:
    rundir, plan = run_recipe({"a": _rows()}, {"stages": ["extract", "dedup"]})
    assert "repetitive" not in {fate["reason"] for fate in _fates(rundir, plan, "a").values()}
    (shard,) = plan.of("a")
    measured = store.read_table(
        rundir.table("dedup", shard, "evidence"), ["repeated_lines", "repetitive"]
    )
    assert [round(share, 2) for share in measured.column(0).to_pylist()] == [
        0,
        0.65,
        0.65,
        0,
        0.07,
        0,
    ]
    assert set(measured.column(1).to_pylist()) == {0}
    rundir, plan = run_recipe(
        {"reference:ref": _rows(), "a": [{"id": "x", "text": "two words"}]}, TABLE, out="other"
    )
    assert {fate["reason"] for fate in _fates(rundir, plan, "ref").values()} == {
        None,
        "duplicate",
        "exact_duplicate",
    }
