from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from curation.errors import InputError, RunError
from curation.inspect.evidence.sample import sample
from curation.inspect.terminal.documents import sample_parts
from curation.pipeline import line as pipeline
from curation.rundir.directory import RunDirectory
from curation.rundir.plan import Plan, read


def ids(opened: tuple[RunDirectory, Plan], **asked: object) -> list[str | None]:
    return [one.id for one in sample(*opened, **asked)]  # type: ignore[arg-type]


@pytest.mark.parametrize("stage", ["classify", "dedup", "decontaminate", "tokenize"])
def test_a_large_enough_sample_is_everything_the_stage_removed(
    opened: tuple[RunDirectory, Plan], stage: str
) -> None:
    books = pipeline.ledgers(*opened)[stage]
    removed = sum(
        n[0]
        for ledger in books.values()
        for r, n in ledger.items()
        if r not in ("in", "kept", "cut")
    )
    assert len(set(ids(opened, stage=stage, n=1000))) == removed


def test_without_a_stage_what_is_kept_at_the_end(opened: tuple[RunDirectory, Plan]) -> None:
    kept = sum(ledger["kept"][0] for ledger in pipeline.ledgers(*opened)["tokenize"].values())
    found = sample(*opened, n=1000)
    assert len(found) == kept
    assert all(one.evidence["tokens"] > 0 for one in found)


def test_a_small_sample_is_the_start_of_a_large_one_and_depends_on_the_seed(
    opened: tuple[RunDirectory, Plan],
) -> None:
    assert ids(opened, n=3) == ids(opened, n=9)[:3]
    assert ids(opened, n=9, seed=1) != ids(opened, n=9)


def test_reason_alone_finds_its_stage(opened: tuple[RunDirectory, Plan]) -> None:
    found = sample(*opened, reason="duplicate", n=100)
    assert {one.id for one in found} == {"page-31", "page-32"}
    assert {one.evidence["kept_id"] for one in found} == {"wiki-1", "wiki-2"}
    assert all(
        one.evidence["jaccard"] >= 0.8 and one.evidence["score"] is not None for one in found
    )


def test_dataset_narrows(opened: tuple[RunDirectory, Plan]) -> None:
    assert {one.dataset for one in sample(*opened, dataset="books", n=100)} == {"books"}


def test_rejects_are_listed_with_reason_and_detail(opened: tuple[RunDirectory, Plan]) -> None:
    (one,) = sample(*opened, stage="extract")
    assert one.url == "http://site50.example/lost"
    assert one.evidence["reason"] == "missing_text"
    console = Console(width=120, record=True, file=io.StringIO())
    for part in sample_parts(sample(*opened, stage="extract")):
        console.print(part)
    assert "missing_text" in console.export_text()


def test_panels_are_readable_and_markup_in_pages_is_text(opened: tuple[RunDirectory, Plan]) -> None:
    console = Console(width=100, record=True, file=io.StringIO())
    for part in sample_parts(sample(*opened, stage="dedup", n=2)):
        console.print(part)
    text = console.export_text()
    assert "crawl page-3" in text
    assert "jaccard" in text
    assert "b=<3" in text


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"stage": "dedupe"}, "did you mean 'dedup'"),
        ({"reason": "low_qualty"}, "did you mean 'low_quality'"),
        ({"dataset": "crwl"}, "did you mean 'crawl'"),
        ({"reason": "language"}, "nothing was removed for the reason 'language'"),
        ({"stage": "extract", "reason": "not_a_page"}, "counted, not listed"),
    ],
)
def test_what_the_run_does_not_know_is_one_sentence(
    opened: tuple[RunDirectory, Plan], asked: dict[str, str], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        sample(*opened, **asked)  # type: ignore[arg-type]


def test_a_stage_that_has_not_run(half_run: Path) -> None:
    with pytest.raises(RunError, match="decontaminate has decided nothing"):
        sample(*read(str(half_run)), stage="decontaminate")
