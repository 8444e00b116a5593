from __future__ import annotations

from curation.inspect.evidence.ablation import Ablation, Loss, Settings, loss_listing, verdicts
from curation.tools.ablation import ReadDataset, SplitCounts, TextFacts
from curation.web.ablation import ablation_page

RESULT = Ablation(
    Settings("tiny", 1000, 3, 8, 256),
    {
        "raw": {"books": Loss(6.0, 0.0, 0.0, 0.0), "<web>": Loss(5.0, 0.0, 0.0, 0.0)},
        "mixture": {"books": Loss(5.5, -0.5, 0.2, 0.1), "<web>": Loss(5.1, 0.1, 0.2, 0.05)},
    },
    TextFacts(
        {"books": SplitCounts(8, 2)},
        {"books": {"dedup: in": 8, "dedup: kept": 7, "dedup: duplicate": 1}},
        {"raw": [ReadDataset("crawl", 1.0, 500, 2.0)]},
    ),
    comparisons=2,
)


def test_what_the_interval_of_all_does_not_tell_apart_is_no_finding() -> None:
    """On <web> the interval of that comparison alone does not hold 0; the one for both does."""
    sentences = verdicts(RESULT)
    assert sentences[0] == "mixture: lower loss than raw on books; no difference told on <web>"
    assert sentences[1].startswith("2 comparisons: their intervals hold at once with 95 %")


def test_the_table_has_a_row_for_each_arm_and_corpus() -> None:
    rows = loss_listing(RESULT).rows
    assert rows[0] == ("raw", "books", "6.0000", "", "", "")
    assert rows[2] == ("mixture", "books", "5.5000", "-0.5000", "0.2000", "0.1000")


def test_the_page_has_a_chart_for_each_corpus_and_escapes_names() -> None:
    text = ablation_page(RESULT)
    assert text.count("<svg") == 2
    assert "mixture: -0.5000 ± 0.2000" in text
    assert "<web>" not in text
    assert "2.00" in text
