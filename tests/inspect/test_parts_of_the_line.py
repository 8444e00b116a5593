"""Runs of some stages: one step on one's own files, or a mixture of other runs' tokens."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from curation.inspect.check.check import check
from curation.inspect.evidence.flow import funnel
from curation.inspect.evidence.report import report
from curation.inspect.evidence.sample import sample
from curation.inspect.terminal.explain import explain
from curation.inspect.terminal.funnel import funnel_table
from curation.rundir.plan import read
from curation.web.report import page


def told(run: Path, key: str | None = None) -> str:
    console = Console(width=100, record=True, file=io.StringIO())
    if key is None:
        console.print(funnel_table(funnel(*read(str(run)))))
    else:
        explain(*read(str(run)), key, console)
    return console.export_text()


def test_a_mixture_has_a_funnel_report_and_checks(mixed_run: Path) -> None:
    assert "in training shards" in told(mixed_run)
    assert "characters" not in told(mixed_run)
    opened = read(str(mixed_run))
    assert "Mixture" in page(report(*opened))
    results = check(*opened)
    assert [result for result in results if not result.ok] == []
    assert "train and validation apart" in [result.name for result in results]


def test_one_step_has_a_funnel_report_and_checks(dedup_run: Path) -> None:
    text = told(dedup_run)
    assert "- exact_duplicate" in text
    assert "chars" in text
    opened = read(str(dedup_run))
    assert all(result.ok for result in check(*opened))
    assert "Duplicates" in page(report(*opened))
    assert sample(*opened, reason="exact_duplicate")[0].evidence["kept_dataset"] in (
        "wiki",
        "crawl",
    )


def test_a_reference_dataset_is_not_in_the_total(dedup_run: Path) -> None:
    flows = {flow.dataset: flow for flow in funnel(*read(str(dedup_run)))}
    assert flows["total"].find("extract", "kept") == flows["crawl"].find("extract", "kept")
    assert flows["wiki"].find("extract", "kept") is not None


def test_one_step_explains(dedup_run: Path) -> None:
    assert "still in after dedup" in told(dedup_run, "page-0")
    assert "removed by dedup: exact_duplicate of wiki-0 in wiki" in told(dedup_run, "page-30")
