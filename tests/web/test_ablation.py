from __future__ import annotations

from curation.web.ablation import page, table, verdicts

RESULT = {
    "settings": {"size": "tiny", "tokens": 1000, "seeds": 3, "windows": 8, "context": 256},
    "losses": {
        "raw": {
            "books": {"loss": 6.0, "difference": 0.0, "half_width": 0.0},
            "<web>": {"loss": 5.0, "difference": 0.0, "half_width": 0.0},
        },
        "mixture": {
            "books": {"loss": 5.5, "difference": -0.5, "half_width": 0.2},
            "<web>": {"loss": 5.1, "difference": 0.1, "half_width": 0.2},
        },
    },
    "texts": {
        "split": {"books": {"held_out": 2, "rest": 8, "of_a_held_out_site": 0}},
        "purged": {"books": {"dedup: in": 8, "dedup: kept": 7, "dedup: duplicate": 1}},
        "mixtures": {"raw": [{"dataset": "crawl", "tokens": 500, "weight": 1.0, "epochs": 2.0}]},
    },
}


def test_what_the_interval_does_not_tell_apart_is_no_finding() -> None:
    assert verdicts(RESULT) == [
        "mixture: lower loss than raw on books; no difference told on <web>"
    ]


def test_the_table_has_a_row_for_each_arm_and_corpus() -> None:
    lines = table(RESULT).splitlines()
    assert lines[1].split() == ["raw", "books", "6.0000"]
    assert lines[3].split() == ["mixture", "books", "5.5000", "-0.5000", "0.2000"]
    assert lines[-1] == verdicts(RESULT)[0]


def test_the_page_has_a_chart_for_each_corpus_and_escapes_names() -> None:
    text = page(RESULT)
    assert text.count("<svg") == 2
    assert "mixture: -0.5000 ± 0.2000" in text
    assert "<web>" not in text
    assert "2.00" in text
