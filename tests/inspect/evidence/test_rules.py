"""What the report says of rules and signals, against a run's own tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from checked_html import parsed

from curation import store
from curation.inspect.evidence import rules
from curation.inspect.evidence.report import report
from curation.inspect.terminal.explain import explain
from curation.recipe.filter import TAKEN
from curation.recipe.reasons import REASONS
from curation.rundir.ledger import NO_REASONS
from curation.web.report import page

LINE = "Each evening the keeper wrote down what had happened on the river. "
ROWS = [
    {"id": f"d{i}", "text": LINE * (i % 5 + 1) + "#" * (i % 3), "stars": i % 4 or None}
    for i in range(40)
]
TABLE = {
    "stages": ["extract", "filter"],
    "filter": {
        "signals": ["gopher"],
        "mask": {"email": "<b>x</b>"},
        "rule": [
            {"name": "few", "drop": "words < 20"},
            {"name": "poor", "drop": "extra.stars <= 1"},
            {"name": "never", "drop": "words < 0"},
        ],
    },
}


@pytest.fixture
def ruled(run_recipe: Callable[..., Any]) -> Any:
    return run_recipe({"crawl:web": ROWS}, TABLE)


def test_names_that_rules_may_not_have_are_those_of_the_ledgers() -> None:
    assert {*REASONS, *NO_REASONS} == TAKEN


def test_first_alone_only_and_undecided_are_counted(ruled: Any) -> None:
    (found,) = rules.rule_reports(*ruled) or []
    evidence = store.read_table(ruled[0].table("filter", ruled[1].shards[0], "evidence"))
    few = evidence.column("words").to_numpy() < 20
    stars = [row["stars"] for row in ROWS]
    poor, unknown = np.array([s == 1 for s in stars]), np.array([s is None for s in stars])
    counts = {
        rule.name: (rule.first, rule.alone, rule.only, rule.undecided) for rule in found.rules
    }
    assert counts == {
        "few": (few.sum(), few.sum(), (few & ~poor).sum(), 0),
        "poor": ((poor & ~few).sum(), poor.sum(), (poor & ~few).sum(), unknown.sum()),
        "never": (0, 0, 0, 0),
    }
    assert found.removed == (few | poor).sum()


def test_every_document_is_in_a_bar(ruled: Any) -> None:
    (found,) = rules.rule_reports(*ruled) or []
    words = next(signal for signal in found.signals if signal.name == "words")
    assert sum(words.counts) == len(ROWS)
    assert sum(words.kept) == len(ROWS) - found.removed
    assert words.thresholds == [0.0, 20.0]


def test_a_signal_without_values_has_no_bars() -> None:
    shape = rules.shape("x", pa.chunked_array([pa.nulls(3, pa.float64())]), np.ones(3, bool), [1.0])
    assert (shape.missing, shape.edges) == (3, [])


def test_the_page_shows_rules_and_signals(ruled: Any) -> None:
    text = parsed(page(report(*ruled))).text
    assert "words < 20" in text
    assert "extra.stars <= 1" in text
    assert "mean_word_length, web" in text


def test_explain_names_the_rule_and_the_value(ruled: Any, capsys: Any) -> None:
    from rich.console import Console

    explain(*ruled, "d0", Console(width=200))
    shown = capsys.readouterr().out
    assert "removed by filter: few" in shown
    (words, *_) = store.read_table(
        ruled[0].table("filter", ruled[1].shards[0], "evidence"), ["words"]
    ).column(0)
    assert f"few is true: words < 20 (words {words})" in shown
    assert "null, so undecided: poor" in shown
