from __future__ import annotations

import json
from pathlib import Path

import pytest
from checked_html import parsed

from curation import store
from curation.pipeline import line as pipeline
from curation.rundir.directory import RunDirectory
from curation.rundir.plan import Plan, read
from curation.web import charts
from curation.web.page import page
from curation.web.report import report, write_report


def test_the_page_stands_alone(opened: tuple[RunDirectory, Plan]) -> None:
    html = page(report(*opened))
    checked = parsed(html)
    assert not [
        value for name, value in checked.attributes if name in ("src", "href", "onload", "onclick")
    ]
    assert "url(" not in html
    assert "@import" not in html
    for title in (
        "Funnel",
        "Quality",
        "Duplicates",
        "Benchmarks",
        "Mixture",
        "Languages",
        "Lengths",
        "Near the threshold",
    ):
        assert title in checked.text


def test_every_string_of_a_page_is_escaped(opened: tuple[RunDirectory, Plan]) -> None:
    evil = "<script>alert(1)</script>'\"&"
    data = json.loads(json.dumps(report(*opened)).replace("wiki", json.dumps(evil)[1:-1]))
    for rows in data["samples"].values():
        for row in rows:
            row |= {"url": evil, "text": evil, "id": evil}
    assert evil in parsed(page(data)).text


def test_the_same_run_gives_the_same_bytes(copied: Path) -> None:
    found = read(str(copied))
    first = Path(write_report(*found)).read_bytes(), (copied / "report.json").read_bytes()
    again = Path(write_report(*found)).read_bytes(), (copied / "report.json").read_bytes()
    assert first == again
    assert str(copied).encode() not in first[0]


def test_numbers_are_those_of_the_tables(opened: tuple[RunDirectory, Plan]) -> None:
    data, books = report(*opened), pipeline.ledgers(*opened)
    crawl = data["scores"]["datasets"]["crawl"]
    assert (
        sum(crawl["counts"])
        == books["classify"]["crawl"]["in"][0]
        == sum(b["documents"] for b in crawl["bands"])
    )
    assert sum(crawl["kept"]) == books["classify"]["crawl"]["kept"][0]
    assert "kept" not in data["scores"]["datasets"]["wiki"]
    assert (
        sum(row["documents"] for row in data["languages"]["crawl"])
        == books["extract"]["crawl"]["kept"][0]
    )
    assert (
        sum(row["kept"] for row in data["languages"]["crawl"])
        == books["tokenize"]["crawl"]["kept"][0]
    )
    assert sum(data["lengths"]["datasets"]["crawl"]) == books["tokenize"]["crawl"]["kept"][0]
    assert data["duplicates"]["removed"] == 3
    assert data["duplicates"]["exact"] == 1
    assert data["duplicates"]["cluster_sizes"] == {"2": 3}
    assert sum(data["duplicates"]["jaccard_counts"]) == 2
    assert (
        data["model"]["heldout"]
        == store.read_json(opened[0].path("classify", "model", "card.json"))["heldout"]
    )


def test_benchmark_hits_documents_and_cuts(opened: tuple[RunDirectory, Plan]) -> None:
    rundir, plan = opened
    (row,) = report(rundir, plan)["benchmarks"]
    hits = documents = cuts = 0
    for shard in plan.shards:
        decided = store.read_table(rundir.decision("decontaminate", shard)).to_pylist()
        evidence = (
            store.read_table(rundir.table("decontaminate", shard, "evidence"))
            .column("row")
            .to_pylist()
        )
        hits += sum(decided[r]["keep"] is not None for r in evidence)
        documents += sum(bool(d["cuts"]) for d in decided)
        cuts += sum(len(d["cuts"] or ()) for d in decided)
    assert row == {
        "benchmark": "lamps",
        "examples": 1,
        "hits": hits,
        "documents": documents,
        "cuts": cuts,
    }
    assert hits > 0


def test_a_half_finished_run_has_what_it_has(half_run: Path) -> None:
    data = report(*read(str(half_run)))
    assert data["benchmarks"] is None
    assert data["mixture"] is None
    assert data["lengths"]["unit"] == "characters"
    parsed(page(data))


def test_nothing_but_the_report_is_written(copied: Path) -> None:
    before = {path for path in copied.rglob("*") if path.is_file()}
    write_report(*read(str(copied)))
    assert {path.name for path in copied.rglob("*") if path.is_file() and path not in before} == {
        "report.html",
        "report.json",
    }


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("counts", [[0, 0], [1, 0], [10**12, 3]])
def test_charts_draw_whatever_the_counts_are(counts: list[int], log: bool) -> None:
    for svg in (
        charts.histogram("<t>", [0.0, 0.5, 1.0], counts, part=counts, curve=[0, 0.5, 1], log=log),
        charts.columns("<t>", ["<a>", "b"], counts),
        charts.bars("<t>", [("<a>", counts[0], counts[1], "<note>"), ("b", counts[1], None, "")]),
    ):
        assert "<t>" not in svg
        assert "<a>" not in svg
        assert "nan" not in svg
        assert 'role="img"' in svg
