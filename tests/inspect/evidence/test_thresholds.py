"""A rule with other numbers decides on stored signals as a run with them does."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from curation import store
from curation.inspect.evidence import thresholds
from curation.web.app import create_app

RULES = [
    {"name": "few_words", "drop": "words < 30 or words > 500"},
    {"name": "starred", "drop": "extra.stars = 1"},
]
ROWS = [
    {"id": f"d{n}", "text": "The tide turns at noon. " * n, "stars": n % 3} for n in range(1, 25)
]


def table(drop: str) -> dict[str, Any]:
    rule = [{**RULES[0], "drop": drop}, RULES[1]]
    return {"stages": ["extract", "filter"], "filter": {"rule": rule, "alarm": "warn"}}


def removed(rundir: Any, plan: Any) -> set[tuple[int, int]]:
    gone = set()
    for shard in plan.shards:
        keep = store.read_table(rundir.decision("filter", shard), ["keep"]).column(0).to_pylist()
        gone |= {(shard.ordinal, row) for row, stays in enumerate(keep) if not stays}
    return gone


@pytest.mark.parametrize("numbers", [(30, 500), (60, 500), (10, 100), (0, 1e9)])
def test_it_decides_as_a_run_does(
    run_recipe: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, numbers: tuple[float, float]
) -> None:
    monkeypatch.setattr(thresholds, "EXAMPLES", 100)
    rundir, plan = run_recipe({"crawl:a": ROWS}, table(RULES[0]["drop"]))
    before = removed(rundir, plan)
    drop = thresholds.with_numbers(RULES[0]["drop"], numbers)
    documents = thresholds.decided(rundir, plan, "a")
    assert documents is not None
    trial = thresholds.try_rule(documents, 0, drop)
    after = removed(*run_recipe({"crawl:a": ROWS}, table(drop)))
    assert trial.removed == (len(before), len(after))
    assert set(trial.left) == after - before
    assert set(trial.entered) == before - after
    assert (trial.leaving, trial.entering) == (len(after - before), len(before - after))
    assert trial.documents == len(ROWS)


def test_a_part_stands_for_all(
    run_recipe: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    rundir, plan = run_recipe({"crawl:a": ROWS}, table(RULES[0]["drop"]))
    monkeypatch.setattr(thresholds, "MOST", 8)
    documents = thresholds.decided(rundir, plan, "a")
    assert documents is not None
    assert documents.every == 3
    trial = thresholds.try_rule(documents, 0, "words < 0")
    assert trial.is_estimate
    assert trial.documents == 24


def test_values_are_spread_over_bins_and_what_is_beyond_is_in_the_outer_ones(
    run_recipe: Callable[..., Any],
) -> None:
    documents = thresholds.decided(*run_recipe({"crawl:a": ROWS}, table(RULES[0]["drop"])), "a")
    assert documents is not None
    words = documents.columns.column("words").to_pylist()
    counts = thresholds.spread(documents, "WORDS", np.array([20.0, 50.0, 100.0]))
    assert counts == [sum(n < 50 for n in words), sum(n >= 50 for n in words)]
    assert thresholds.spread(documents, "nosuch", np.array([0.0, 1.0])) == [0]


@pytest.mark.parametrize(
    ("drop", "found"),
    [
        ("words < 50 or words > 100000", [("words", 50.0), ("words", 100000.0)]),
        ("0.1 <= share and x2 > -3e2", [("share", 0.1), ("x2", -300.0)]),
        ("url like '%3 < 4%'", []),
        ("year(date) < 2020", []),
        ("words < 5 * lines", []),
        ("blocked_domain", []),
    ],
)
def test_numbers_that_can_be_moved(drop: str, found: list[Any]) -> None:
    assert [(t.column, t.value) for t in thresholds.thresholds_in(drop)] == found


def test_the_page_moves_a_number(run_recipe: Callable[..., Any]) -> None:
    rundir, _ = run_recipe({"crawl:a": ROWS}, table(RULES[0]["drop"]))
    browser = TestClient(create_app([rundir.out]), base_url="http://127.0.0.1:8321")
    page = browser.get("/thresholds").text
    assert page.count('type="range"') == 2
    assert "would leave" in page
    assert page.count("<svg") == 1  # of words, which both numbers are compared with
    assert page.count('<line class="curve"') == 2
    moved = browser.get("/thresholds?rule=few_words&t0=60&t1=500").text
    assert "words &lt; 60 or words &gt; 500" in moved
    (count,) = re.findall(r"<strong>(\d+)</strong> <span>removed by all rules", moved)
    after = removed(*run_recipe({"crawl:a": ROWS}, table("words < 60 or words > 500")))
    assert int(count) == len(after)
    link = re.findall(r'href="(/document/a/\d+/\d+)"', moved)[0]
    assert browser.get(link).status_code == 200
    part = browser.get("/thresholds?rule=few_words&t0=60", headers={"hx-request": "true"}).text
    assert part.startswith('<div id="trial"')
    for query, message in (
        ("t0=x", "a threshold is a number"),
        ("rule=nosuch", "no rule with a number"),
    ):
        answer = browser.get(f"/thresholds?{query}")
        assert answer.status_code == 404
        assert message in answer.text


def test_the_page_begins_with_the_rule_that_is_true_of_most(run_recipe: Callable[..., Any]) -> None:
    rules = [{"name": "never", "drop": "words < 0"}, {"name": "few", "drop": "words < 60"}]
    rows = {"stages": ["extract", "filter"], "filter": {"rule": rules, "alarm": "warn"}}
    rundir, _ = run_recipe({"crawl:a": ROWS}, rows)
    browser = TestClient(create_app([rundir.out]), base_url="http://127.0.0.1:8321")
    assert '<option value="few" selected>' in browser.get("/thresholds").text
