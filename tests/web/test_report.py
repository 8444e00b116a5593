from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from checked_html import parsed

from curation import store
from curation.inspect.evidence.benchmarks import BenchmarkHits
from curation.inspect.evidence.report import report
from curation.inspect.numbers import volume
from curation.pipeline import line as pipeline
from curation.rundir.directory import RunDirectory
from curation.rundir.plan import Plan, read
from curation.stages.dedup.stage import ALARM_FROM
from curation.web import charts, parts
from curation.web.app import VIEWS
from curation.web.report import page, write_report
from curation.web.sections import TITLES


def test_the_page_stands_alone(opened: tuple[RunDirectory, Plan]) -> None:
    html = page(report(*opened))
    checked = parsed(html)
    assert not [value for name, value in checked.attributes if name in ("src", "onload", "onclick")]
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


def test_the_page_begins_with_numbers_hints_and_the_funnel(
    opened: tuple[RunDirectory, Plan],
) -> None:
    data = dataclasses.replace(report(*opened), warnings=["mix: x is repeated 9.0 times"])
    html = page(data)
    places = [html.index(part) for part in ("records read", ">Hints<", ">Funnel<", ">Quality<")]
    assert places == sorted(places)
    assert html.count('<svg class="flow"') == 1
    assert "Look at Mixture" in parsed(html).text  # what to do about the warning
    kept = data.funnel[-1].lines[-1]
    assert f"<strong>{kept.documents:,}</strong>" in html
    assert "gave no warning" in parsed(page(dataclasses.replace(data, warnings=[]))).text


def test_every_hint_leads_somewhere() -> None:
    pages = {path.strip("/") for path in VIEWS}
    for word, place, section, advice in parts.HINTS:
        assert place.partition("?")[0] in pages
        assert section in (*TITLES, "funnel", "")
        assert bool(place) == bool(section)
        assert advice.endswith(".")
        assert parts.hint(f"x {word} y", "/b").warning == f"x {word} y"
    assert parts.hint("nothing known", None) == parts.Hint("nothing known", "", "", "")


def test_the_table_of_the_funnel_has_the_total_and_tokens_first(
    opened: tuple[RunDirectory, Plan],
) -> None:
    data = report(*opened)
    table = parts.table(data.funnel)
    assert table.datasets[:2] == ["total", "tokens"]
    assert table.datasets[2:] == [flow.dataset for flow in data.funnel[:-1]]
    assert all(len(cells) == len(table.datasets) for _, _, cells, _ in table.rows)
    name, _, cells, _ = table.rows[-1]
    kept = data.funnel[-1].lines[-1]
    assert (name, cells[0]) == ("kept", f"{kept.documents:,}")
    assert cells[1] == volume(kept.tokens or 0)


def test_each_rule_is_a_setting() -> None:
    recipe = {
        "seed": 3,
        "stages": ["filter", "mix"],
        "filter": {"rule": [{"name": "short", "drop": "words < 5"}], "keep": "all"},
    }
    assert parts.settings(recipe) == [
        ("seed", "3"),
        ("filter.rule short", "words < 5"),
        ("filter.keep", "all"),
    ]


def test_every_string_of_a_page_is_escaped(opened: tuple[RunDirectory, Plan]) -> None:
    evil = "<script>alert(1)</script>'\"&"
    data = replaced(report(*opened), "wiki", evil)
    samples = {
        name: [dataclasses.replace(row, url=evil, text=evil, id=evil) for row in rows]
        for name, rows in data.samples.items()
    }
    assert evil in parsed(page(dataclasses.replace(data, samples=samples))).text


def replaced(value: Any, old: str, new: str) -> Any:
    """The same value with a string replaced wherever it stands, in dataclasses and containers."""
    if isinstance(value, str):
        return value.replace(old, new)
    if isinstance(value, dict):
        return {replaced(k, old, new): replaced(v, old, new) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(replaced(item, old, new) for item in value)
    if dataclasses.is_dataclass(value):
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        return type(value)(**replaced(fields, old, new))  # type: ignore[operator]
    return value


def test_every_warning_of_a_run_is_on_the_page(run_recipe: Callable[..., Any]) -> None:
    """Also those of dedup, whose alarm does not stop the run in "warn" mode."""
    rows = [{"id": str(i), "text": "one and the same text"} for i in range(ALARM_FROM)]
    table = {"stages": ["extract", "dedup"], "dedup": {"alarm": "warn"}}
    rundir, plan = run_recipe({"a": rows}, table)
    warnings = pipeline.warnings(rundir)
    assert any(line.startswith("dedup: ") for line in warnings)
    text = parsed(Path(write_report(rundir, plan)).read_text()).text
    for line in warnings:
        assert line in text


def test_the_same_run_gives_the_same_bytes(copied: Path) -> None:
    found = read(str(copied))
    first = Path(write_report(*found)).read_bytes(), (copied / "report.json").read_bytes()
    again = Path(write_report(*found)).read_bytes(), (copied / "report.json").read_bytes()
    assert first == again
    assert str(copied).encode() not in first[0]


def test_numbers_are_those_of_the_tables(opened: tuple[RunDirectory, Plan]) -> None:
    data, books = report(*opened), pipeline.ledgers(*opened)
    assert data.scores is not None
    crawl = data.scores.datasets["crawl"]
    assert crawl.bands is not None
    scored = books["classify"]["crawl"]["in"][0]
    assert sum(crawl.counts) == scored == sum(band.documents for band in crawl.bands)
    assert sum(crawl.kept or ()) == books["classify"]["crawl"]["kept"][0]
    assert data.scores.datasets["wiki"].kept is None
    languages = data.languages["crawl"]
    assert sum(row.documents for row in languages) == books["extract"]["crawl"]["kept"][0]
    kept = books["tokenize"]["crawl"]["kept"][0]
    assert sum(row.kept for row in languages) == kept
    assert sum(data.lengths.datasets["crawl"]) == kept
    assert data.duplicates is not None
    assert (data.duplicates.removed, data.duplicates.exact) == (3, 1)
    assert data.duplicates.cluster_sizes == {"2": 3}
    assert sum(data.duplicates.jaccard_counts) == 2
    card = store.read_json(opened[0].path("classify", "model", "card.json"))
    assert data.model is not None
    assert dataclasses.asdict(data.model.heldout) == card["heldout"]


def test_benchmark_hits_documents_and_cuts(opened: tuple[RunDirectory, Plan]) -> None:
    rundir, plan = opened
    (row,) = report(rundir, plan).benchmarks or ()
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
    assert row == BenchmarkHits("lamps", 1, hits, documents, cuts)
    assert hits > 0


def test_a_half_finished_run_has_what_it_has(half_run: Path) -> None:
    data = report(*read(str(half_run)))
    assert data.benchmarks is None
    assert data.mixture is None
    assert data.lengths.unit == "characters"
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
