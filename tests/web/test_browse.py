"""The pages of `curation browse`: what they show, and what they let nobody do."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import socket
import time
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pytest
from checked_html import parsed
from click.testing import CliRunner
from starlette.testclient import TestClient

from curation import store
from curation.errors import InputError
from curation.inspect.evidence import frames
from curation.inspect.evidence.fates import fates_between, fates_of
from curation.inspect.evidence.listed import Filters, list_page, shard_sizes
from curation.inspect.evidence.sites import sites
from curation.inspect.evidence.status import run_status
from curation.inspect.evidence.words import model_of, word_weights
from curation.rundir.directory import RunDirectory
from curation.rundir.plan import Plan
from curation.web.app import VIEWS, create_app
from curation.web.flowchart import TRUNK, Step, funnel_chart
from curation.web.guard import POLICY
from curation.web.report import write_report
from curation.web.server import listen
from curation.web.views import overview

EVIL = (
    "<script>alert(1)</script><style>*{display:none}</style><img src=x onerror=alert(2)>"
    "\u202egnp.exe\u202c \u200bword\u2066 hx-get=/steal \" ' {{7*7}} &amp;"
)
PAGES = [path for path in VIEWS if "{" not in path and path != "/id"]


def client(*runs: Path | str, **options: Any) -> TestClient:
    app = create_app([str(run) for run in runs], **options)
    return TestClient(app, base_url="http://127.0.0.1:8321", follow_redirects=False)


class Outline(HTMLParser):
    """Collects tags with attributes, text, and the levels of headings; what opens must close."""

    VOID = ("meta", "link", "input", "br")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        # A paragraph or list item of ours is closed by us.
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def check_page(html: str) -> Outline:
    """What holds of every page: sound HTML, landmarks, labels, headings in order, nothing inline."""
    outline = Outline(html)
    names = [tag for tag, _ in outline.tags]
    assert names.count("main") == names.count("h1") == names.count("nav") == 1
    levels = [int(tag[1]) for tag in names if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(b <= a + 1 for a, b in itertools.pairwise(levels))
    labels = {attrs.get("for") for tag, attrs in outline.tags if tag == "label"}
    ids = [attrs["id"] for _, attrs in outline.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    for tag, attrs in outline.tags:
        if tag in ("input", "select") and attrs.get("type") != "hidden":
            assert attrs["id"] in labels
        if tag == "script":
            assert attrs["src"] in ("/static/htmx.min.js", "/static/label.js")
        assert tag not in ("img", "iframe", "object", "embed", "style", "base")
        for name, value in attrs.items():
            assert not name.startswith("on")
            assert name != "style"
            if name in ("href", "src", "action", "hx-get") and value != "data:,":
                assert value is not None
                assert value.startswith(("/", "#"))
                assert not value.startswith("//")
    return outline


# ---- every view


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_sound(tiny_run: Path, path: str) -> None:
    answer = client(tiny_run).get(path)
    assert answer.status_code == 200
    check_page(answer.text) if "<html" in answer.text else Outline(answer.text)


@pytest.mark.parametrize("path", ["/", "/documents", "/sites", "/duplicates", "/classifier", "/alpha", "/label", "/thresholds",
                                  "/rules", "/benchmarks", "/mixture"])  # fmt: skip
def test_every_page_works_on_a_run_at_any_stage(
    half_run: Path, mixed_run: Path, run_recipe: Callable[..., Any], path: str
) -> None:
    one_step, _ = run_recipe(
        {"a": [{"id": "1", "text": "one text"}]}, {"stages": ["extract", "dedup"]}
    )
    for run in (half_run, mixed_run, one_step.out):
        answer = client(run).get(path)
        assert answer.status_code == 200
        check_page(answer.text)


def test_the_overview_has_the_numbers_of_the_ledger(tiny_run: Path) -> None:
    text = check_page(client(tiny_run).get("/").text).text
    ledger = json.loads((tiny_run / "ledger.json").read_text())
    kept = sum(part["kept"][0] for part in ledger["tokenize"].values())
    assert re.search(rf"\b{kept}\b\s+documents kept", text)
    assert "The run is finished." in text
    assert "low_quality" in text


def test_a_run_at_work_shows_how_far_it_is(half_run: Path) -> None:
    import time

    assert "Nothing is at work here" in client(half_run).get("/").text
    lock = {"host": "elsewhere", "pid": 1, "token": "t", "beat": time.time()}
    (half_run / "run.lock").write_text(json.dumps(lock))
    page = client(half_run).get("/").text
    assert 'hx-trigger="every 3s"' in page
    assert "The run is at work." in page
    assert "after extract so far" not in page  # documents extracted are told already
    (half_run / "run.lock").write_text(json.dumps(lock | {"beat": 1.0}))
    page = client(half_run).get("/live").text
    assert "ended without finishing" in page
    assert "every 3s" not in page


def test_what_was_lost_and_how_far_the_map_is_is_told_while_a_run_works(half_run: Path) -> None:
    import time

    now = time.time()
    (half_run / "run.lock").write_text(
        json.dumps({"host": "elsewhere", "pid": 1, "token": "t", "beat": now})
    )
    stage = next(row.stage for row in run_status(str(half_run)).stages if row.state != "ended")
    task = {"stage": stage, "label": "signatures", "seconds": 1.0, "documents": 30}
    rows = [
        {"stage": stage, "label": "signatures", "items": 4, "at": now - 10},
        *({**task, "shard": f"crawl/{n}", "peak_mb": 9} for n in range(2)),
    ]
    (half_run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    text = check_page(client(half_run).get("/").text).text
    assert "at work: signatures, 2 of 4, 60 documents" in text
    assert "6 documents a second, about 10 s left of this step" in text
    rejected = {row["reason"] for path in sorted((half_run / "rejects").rglob("*.parquet"))
                for row in store.read_table(str(path), ["reason"]).to_pylist()}  # fmt: skip
    assert ("Lost while reading" in text) == bool(rejected & {*overview.FAILURES})


def test_numbers_are_read_anew_when_a_stage_ends(copied: Path) -> None:
    browser = client(copied)
    assert "The run is finished." in browser.get("/").text
    (copied / "manifests" / "mix.json").unlink()
    assert "The run is finished." not in browser.get("/").text


# ---- documents


def all_rows(run: tuple[RunDirectory, Plan], filters: Filters, size: int = 50) -> list[Any]:
    sizes, rows, place = shard_sizes(*run, filters.rejects), [], (0, 0)
    while place is not None:
        page = list_page(*run, filters, sizes, place, size)
        assert len(page.rows) <= size
        rows += page.rows
        place = page.next_place
    return rows


def test_pages_of_any_size_make_the_same_list(opened: tuple[RunDirectory, Plan]) -> None:
    whole = all_rows(opened, Filters(), 1000)
    assert len(whole) == sum(shard_sizes(*opened).values())
    for size in (1, 3, 7):
        assert all_rows(opened, Filters(), size) == whole
    expected = [
        fate
        for shard in opened[1].shards
        for fate in fates_of(opened[0], shard, store.need_footer(opened[0].documents(shard)).rows)
    ]
    assert [row.fate for row in whole] == expected
    assert {"kept", "classify: low_quality", "dedup: duplicate"} <= set(expected)


def test_a_page_that_takes_too_long_says_where_to_go_on(
    opened: tuple[RunDirectory, Plan],
) -> None:
    sizes = shard_sizes(*opened)
    page = list_page(*opened, Filters(words="there is no such word"), sizes, seconds=-1.0)
    assert page.rows == []
    assert page.next_place is not None
    assert 0 <= page.looked_at < page.documents == sum(sizes.values())


def test_filters(opened: tuple[RunDirectory, Plan]) -> None:
    whole = all_rows(opened, Filters())
    for filters, test in (
        (Filters(dataset="crawl"), lambda row: row.shard.dataset == "crawl"),
        (Filters(fate="kept"), lambda row: row.fate == "kept"),
        (Filters(fate="removed"), lambda row: row.fate != "kept"),
        (Filters(fate="dedup"), lambda row: row.fate.startswith("dedup")),
        (Filters(fate="dedup: duplicate"), lambda row: row.fate == "dedup: duplicate"),
        (Filters(language="en"), lambda row: row.language == "en"),
        (Filters(host="SITE1.example"), lambda row: "//site1.example/" in (row.url or "")),
        (Filters(host="example"), lambda row: ".example/" in (row.url or "")),
        (Filters(low=0.4), lambda row: row.score >= 0.4),
        (Filters(low=0.2, high=0.4), lambda row: 0.2 <= row.score <= 0.4),
    ):
        assert all_rows(opened, filters) == [row for row in whole if test(row)], filters
    assert [row.url for row in all_rows(opened, Filters(host="site1.example"))] == [
        "http://site1.example/a?b=<1>&c"
    ]


def test_addresses_by_a_part_and_hosts_by_their_end(
    opened: tuple[RunDirectory, Plan], tiny_run: Path
) -> None:
    rundir, plan = opened
    rows = [row for shard in plan.shards
            for row in store.read_table(rundir.documents(shard), ["url"]).to_pylist()]  # fmt: skip
    urls = [row["url"] for row in rows if row["url"]]
    sizes = shard_sizes(rundir, plan)
    for filters, fits in (
        (Filters(address="/A?"), lambda url: "/a?" in url.lower()),
        (Filters(host=".example"), lambda url: True),
        (Filters(host="xample"), lambda url: False),
        (Filters(host="example", address="site4"), lambda url: "site4" in url),
    ):
        listed = list_page(rundir, plan, filters, sizes, size=10_000, seconds=60).rows
        assert sorted(row.url or "" for row in listed) == sorted(filter(fits, urls)), filters
    page = client(tiny_run).get("/documents?address=site4&host=example").text
    assert 'id="address" name="address" value="site4"' in page


def test_records_that_never_became_documents_are_listed(opened: tuple[RunDirectory, Plan]) -> None:
    rows = all_rows(opened, Filters(fate="extract: missing_text"))
    assert [(row.url, row.id) for row in rows] == [("http://site50.example/lost", None)]
    assert all_rows(opened, Filters(fate="extract: empty")) == []


def test_words_are_found_in_any_case_with_what_stands_around(
    opened: tuple[RunDirectory, Plan],
) -> None:
    rows = all_rows(opened, Filters(words="ORLA finch"))
    expected = {
        id_
        for shard in opened[1].shards
        for id_, text in zip(
            *(
                frames.column(opened[0].documents(shard), name).to_pylist()
                for name in ("id", "text")
            ),
            strict=True,
        )
        if "Orla Finch" in text
    }
    assert {row.id for row in rows} == expected != set()
    assert all("Orla Finch" in row.detail for row in rows)


def test_fates_of_any_part_of_a_shard(opened: tuple[RunDirectory, Plan]) -> None:
    shard = opened[1].of("crawl")[0]
    size = store.need_footer(opened[0].documents(shard)).rows
    whole = fates_of(opened[0], shard, size)
    for start in range(0, size, 5):
        part = fates_between(opened[0], shard, start, min(size, start + 7))
        assert part.tolist() == whole[start : start + 7].tolist()


def test_rows_between_are_those_of_the_whole_table(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    path = str(tmp_path / "t.parquet")
    pq.write_table(pa.table({"a": range(25), "b": range(25)}), path, row_group_size=10)
    for start, stop in ((0, 25), (9, 11), (10, 20), (3, 3), (24, 40)):
        assert (
            frames.between(path, ["a"], start, stop).column(0).to_pylist()
            == [*range(25)][start:stop]
        )


def test_a_list_is_an_address_and_goes_on_by_its_link(tiny_run: Path) -> None:
    browser = client(tiny_run)
    seen, path = [], "/documents?dataset=crawl"
    while path:
        page = browser.get(path).text
        seen += re.findall(r'href="(/document/crawl/\d+/\d+)"', page)
        link = re.search(r'href="([^"]*after=[^"]*)"', page)
        path = link[1].replace("&amp;", "&") if link else ""
    assert len(seen) == len(set(seen)) == 30
    assert check_page(browser.get(seen[0]).text)


def test_ids_and_addresses_are_found(tiny_run: Path) -> None:
    browser = client(tiny_run)
    page = browser.get("/find", params={"key": "http://site42.example/a?b=<42>&c"}).text
    assert "2 documents, and 0 records" in page
    assert "1 record that never" in browser.get("/find?key=http://site50.example/lost").text
    there = browser.get("/id?dataset=crawl&id=page-31")
    assert there.status_code == 303
    assert "page-31" in browser.get(there.headers["location"]).text
    assert browser.get("/id?dataset=crawl&id=nothing").status_code == 404


# ---- one document


def place_of(run: tuple[RunDirectory, Plan], id_: str) -> str:
    row = next(row for row in all_rows(run, Filters()) if row.id == id_)
    return f"/document/{row.shard.dataset}/{row.shard.number}/{row.row}"


def test_a_removed_duplicate_is_shown_beside_the_kept_one(
    tiny_run: Path, opened: tuple[RunDirectory, Plan]
) -> None:
    row = all_rows(opened, Filters(fate="dedup: duplicate"))[0]
    path = place_of(opened, row.id)
    page = client(tiny_run).get(path).text
    assert "removed by dedup: duplicate" in page
    both = client(tiny_run).get(f"{path}/duplicate").text
    check_page(both)
    assert "<del>" in both or "<ins>" in both
    kept = re.search(r"/id\?dataset=(\w+)&amp;id=([\w-]+)", both)
    assert kept is not None
    there = client(tiny_run).get(f"/id?dataset={kept[1]}&id={kept[2]}").headers["location"]
    assert row.id in client(tiny_run).get(there).text  # among its duplicates


def test_what_was_cut_is_marked_and_the_whole_text_is_there(
    tiny_run: Path, opened: tuple[RunDirectory, Plan]
) -> None:
    page = check_page(client(tiny_run).get(place_of(opened, "page-40")).text)
    assert any(
        tag == "mark" and "cut" in (attrs.get("class") or "") for tag, attrs in page.tags[60:]
    )
    shard = opened[1].of("crawl")[0]
    ids = frames.column(opened[0].documents(shard), "id").to_pylist()
    text = frames.column(opened[0].documents(shard), "text")[ids.index("page-40")].as_py()
    assert text in page.text


def test_weights_of_words_add_up_to_the_score(opened: tuple[RunDirectory, Plan]) -> None:
    shard = opened[1].of("crawl")[0]
    texts = frames.column(opened[0].documents(shard), "text").to_pylist()
    evidence = store.read_table(opened[0].table("classify", shard, "evidence")).to_pylist()
    for text, row in list(zip(texts, evidence, strict=True))[:6]:
        weights = word_weights(model_of(opened[0], row["fold"]), text)
        assert weights is not None
        logit = (
            weights.intercept
            + sum(w for *_, w in weights.words)
            + sum(v for _, v in weights.signals)
        )
        assert 1 / (1 + np.exp(-logit)) == pytest.approx(row["score"], abs=1e-9)


def test_words_are_coloured(tiny_run: Path, opened: tuple[RunDirectory, Plan]) -> None:
    page = client(tiny_run).get(place_of(opened, "page-10") + "?marks=words").text
    assert 'class="down4"' in page
    assert "intercept" in page


@pytest.mark.parametrize("path", ["/document/crawl/99/0", "/document/crawl/0/99999", "/document/no/0/0",
                                  "/document/..%2F..%2Fetc/0/0", "/documents?after=../x", "/static/app.py",
                                  "/static/..%2Fapp.py", "/part/nothing", "/documents?low=much",
                                  "/alpha?alpha=nan", "/alpha?alpha=1e9", "/compare", "/nothing"])  # fmt: skip
def test_what_is_not_there_is_refused_in_a_sentence(tiny_run: Path, path: str) -> None:
    answer = client(tiny_run).get(path)
    assert answer.status_code == 404
    assert "Traceback" not in answer.text
    check_page(answer.text)


# ---- numbers of other pages


def test_sites_are_those_of_the_tables(opened: tuple[RunDirectory, Plan]) -> None:
    found = sites(*opened)
    rows = all_rows(opened, Filters(dataset="crawl"))
    by_host: dict[str, list[str]] = {}
    for row in rows:
        by_host.setdefault(row.url.split("/")[2], []).append(row.fate)
    assert {site.host: (site.documents, site.kept) for site in found.sites} == {
        host: (len(fates), fates.count("kept")) for host, fates in by_host.items()
    }
    others = [row for row in all_rows(opened, Filters()) if not row.url and row.id]
    assert found.without.documents == len(others)
    assert found.without.kept == [row.fate for row in others].count("kept")
    sizes = [site.size for site in found.sites]
    assert sizes == sorted(sizes, reverse=True)
    tokens = sum(
        sum(counts)
        for counts in frames.column(
            opened[0].table("tokens", opened[1].of("crawl")[0]), "counts"
        ).to_pylist()
        if counts
    )
    assert sum(sizes) == tokens


def test_alpha_of_the_run_changes_nothing_and_a_higher_one_keeps_less(tiny_run: Path) -> None:
    browser = client(tiny_run)

    def numbers(alpha: str) -> list[int]:
        text = Outline(
            browser.get(f"/alpha?alpha={alpha}", headers={"hx-request": "true"}).text
        ).text
        return [int(n) for n in re.findall(r"[+−]?(\d+)\s+(?:kept|would)", text)]

    kept, kept_now, entering, leaving = numbers("1")
    assert (kept, entering, leaving) == (kept_now, 0, 0)
    kept_20, same, entering, leaving = numbers("20")
    assert same == kept_now
    assert kept_20 == kept_now - leaving < kept_now
    assert entering == 0


def test_going_back_in_the_history_asks_for_the_whole_page(tiny_run: Path) -> None:
    browser, asks = client(tiny_run), {"hx-request": "true"}
    for path in ("/alpha?alpha=3", "/documents?fate=kept"):
        assert "<main" not in browser.get(path, headers=asks).text
        back = {**asks, "hx-history-restore-request": "true"}
        assert "<main" in browser.get(path, headers=back).text


def test_a_page_without_its_stage_says_what_brings_it_and_links_on(
    run_recipe: Callable[..., Any],
) -> None:
    out = run_recipe({"a": [{"id": "x", "text": "a page of words"}]}, {"stages": ["extract"]})[
        0
    ].out
    browser = client(out)
    for path, stage in (("rules", "filter"), ("thresholds", "filter"), ("alpha", "classify"),
                        ("classifier", "classify"), ("duplicates", "dedup"),
                        ("benchmarks", "decontaminate")):  # fmt: skip
        page = browser.get(f"/{path}").text
        check_page(page)
        for part in (f"{stage} has", f"names &#34;{stage}&#34; among", '<a href="/#funnel">',
                     '<a href="/documents">documents'):  # fmt: skip
            assert part in page, (path, part)
    overview = browser.get("/").text
    assert "document extracted" in overview
    assert "documents extracted" not in overview


def test_streams_of_the_funnel_are_as_wide_as_their_documents() -> None:
    steps = [
        Step("records", 1000, ""),
        Step("documents", 900, "", (("empty", 60, "/a"), ("language", 40, "/b"))),
        Step("kept", 100, "", (("low_quality", 800, "/c"),)),
    ]
    drawn = funnel_chart("funnel", steps)
    scale = TRUNK / 1000
    widths = [
        float(w) for w in re.findall(r'class="level" x="4.0" y="[^"]+" width="([^"]+)"', drawn)
    ]
    assert widths == [1000 * scale, 900 * scale, 100 * scale]
    lanes = [0.0]
    for band, documents in zip(re.findall(r'd="(M [^"]+)"', drawn), (60, 40, 800), strict=True):
        numbers = [float(x) for x in re.findall(r"[\d.]+", band)]
        right, upper, lower, inner = numbers[0], numbers[7], numbers[8], numbers[9]
        assert lower - upper == pytest.approx(documents * scale, abs=0.2)
        assert right - inner == pytest.approx(documents * scale, abs=0.2)
        assert upper >= lanes[-1]  # below the one before
        lanes.append(lower)
    # No label begins left of the end of its bar.
    for x in re.findall(r'class="strong" x="([^"]+)"', drawn):
        assert float(x) > 4 + 100 * scale


def test_sections_come_one_by_one_where_a_run_is_large(
    tiny_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("curation.web.opened.SMALL", 0)
    browser = client(tiny_run)
    page = browser.get("/classifier").text
    check_page(page)
    asked = re.findall(r'hx-get="([^"]+)"', page)
    names = ("quality", "fit", "alpha", "samples", "by_score")
    assert asked == [f"/part/{name}" for name in names]
    for path in asked:
        assert Outline(browser.get(path, headers={"hx-request": "true"}).text).text
        check_page(browser.get(path).text)  # and without a script


# ---- two runs


@pytest.fixture
def other_run(tiny_run: Path, tmp_path: Path) -> Path:
    """The tiny run, stopped before dedup: other fates of the same documents."""
    out = Path(shutil.copytree(tiny_run, tmp_path / "other"))
    for stage in ("dedup", "decontaminate", "tokens", "shards"):
        shutil.rmtree(out / stage)
    return out


def test_two_runs_as_a_flow_with_documents_behind_each_number(
    tiny_run: Path, other_run: Path
) -> None:
    browser = client(tiny_run, other_run)
    page = ""
    for _ in range(200):
        page = browser.get("/compare", headers={"hx-request": "true"}).text
        if "From fate to fate" in page:
            break
    outline = check_page(browser.get("/compare").text)
    links = [attrs["href"] for tag, attrs in outline.tags if "before=" in (attrs.get("href") or "")]
    changed = next(link for link in links if "dedup" in link and "after=kept" in link)
    page = browser.get(changed).text
    check_page(page)
    one = re.search(r'href="(/compare/document[^"]+)"', page)
    assert one is not None
    texts = browser.get(one[1].replace("&amp;", "&")).text
    check_page(texts)
    assert "The texts are equal" in texts
    assert browser.get("/b/").status_code == 200
    assert browser.get("/b/documents").status_code == 200


def test_all_documents_behind_a_number_are_paged(
    tiny_run: Path, other_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("curation.web.views.compare.ROWS", 1)
    browser = client(tiny_run, other_run)
    while "From fate to fate" not in (first := browser.get("/compare").text):
        time.sleep(0.05)
    row = re.search(
        r'<tr class="stay"><th scope="row">(\d+)</th><td class="left"><a href="([^"]+)"', first
    )
    assert row is not None
    address, seen = row[2].replace("&amp;", "&"), list[str]()
    while address:
        page = browser.get(address).text
        check_page(page)
        seen += re.findall(r'href="(/compare/document[^"]+)"', page)
        later = re.search(r'<a href="([^"]+)">Next page', page)
        address = later[1].replace("&amp;", "&") if later else ""
    assert len(seen) == len(set(seen)) == int(row[1]) > 1
    assert "Page before" in page
    assert browser.get("/compare?before=kept&after=kept&start=99999").status_code == 200
    assert browser.get("/compare?start=x").status_code == 404


def test_estimated_tokens_of_two_runs_are_not_set_beside_counted_ones(
    run_recipe: Callable[..., Any], tmp_path: Path
) -> None:
    outs = []
    for out, stages in (("one", ["extract", "tokenize"]), ("two", ["extract"])):
        (tmp_path / "a.jsonl").unlink(missing_ok=True)
        rows = [{"id": "x", "text": "a page of words"}]
        outs.append(run_recipe({"a": rows}, {"stages": stages}, out=out)[0].out)
    browser = client(*map(Path, outs))
    while "From fate to fate" not in (page := browser.get("/compare").text):
        time.sleep(0.05)
    rows = re.findall(
        r'<tr><th scope="row">([AB]): .*?</th><td>([\d,]+)</td><td>([\d,]+)</td><td>(.*?)</td>',
        page,
    )
    assert [row[0] for row in rows] == ["A", "B"]
    assert rows[0][3].replace(",", "").isdigit()
    assert rows[1][3] == "not counted"


def test_texts_that_differ_are_listed_by_their_addresses(
    tmp_path: Path, run_recipe: Callable[..., Any]
) -> None:
    outs = []
    for out, word in (("one", "old"), ("two", "new")):
        rows = [
            {"id": "x", "url": "http://a.example/x", "text": f"{word} words of a page"},
            {"id": "y", "url": "http://a.example/y", "text": "equal words of a page"},
        ]
        (tmp_path / "a.jsonl").unlink(missing_ok=True)
        outs.append(run_recipe({"a": rows}, {"stages": ["extract"]}, out=out)[0].out)
    browser = client(*map(Path, outs))
    for _ in range(200):
        page = browser.get("/compare?text=1").text
        if "another text" in page:
            break
    outline = check_page(page)
    links = [attrs["href"] for tag, attrs in outline.tags if "id=" in (attrs.get("href") or "")]
    assert links == ["/compare/document?dataset=a&id=x"]
    assert "http://a.example/x" in outline.text
    rows = re.findall(r"<td>(.*?)</td>", page.partition('id="documents"')[2])
    assert rows == ["a", "kept", "kept"]
    assert "1 word only in A, 1 only in B" in browser.get(links[0]).text


# ---- strangers


@pytest.fixture
def hostile(run_recipe: Callable[..., Any]) -> tuple[RunDirectory, Plan]:
    """A run whose ids, addresses and texts are hostile; two of them are duplicates."""
    words = " ".join(f"word{i}" for i in range(60))
    rows = [
        {"id": EVIL, "url": f"http://evil.example/{EVIL}", "text": f"{EVIL}\n{words}\n{EVIL}"},
        {"id": EVIL + "2", "url": "javascript:alert(3)", "text": f"{EVIL}\n{words}\n{EVIL} more"},
        {"id": "3", "url": f"http://{EVIL}/", "text": "\x1b[2J\x1b]0;title\x07 quite another text"},
    ]
    return run_recipe({"a": rows}, {"stages": ["extract", "dedup"], "dedup": {"alarm": "warn"}})  # type: ignore[no-any-return]


def test_text_of_strangers_is_inert(hostile: tuple[RunDirectory, Plan]) -> None:
    browser = client(hostile[0].out)
    pages = ["/", "/documents", "/documents?words=alert", "/sites", "/duplicates", "/mixture",
             f"/find?key={EVIL}"]  # fmt: skip
    for row in all_rows(hostile, Filters()):
        pages += [place_of(hostile, row.id)]
        if row.fate != "kept":
            pages.append(place_of(hostile, row.id) + "/duplicate")
    assert any(page.endswith("/duplicate") for page in pages)
    for path in pages:
        answer = browser.get(path)
        assert answer.status_code == 200, path
        outline = check_page(answer.text)
        assert not re.search(HIDDEN, answer.text)
        assert all("alert" not in tag for tag, _ in outline.tags)
    text = check_page(browser.get(place_of(hostile, EVIL)).text).text
    assert "<script>alert(1)</script>" in text  # shown, not obeyed
    assert "\\u202e" in text


HIDDEN = "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200b]"


def test_text_of_strangers_is_inert_in_reports_and_between_runs(
    hostile: tuple[RunDirectory, Plan],
) -> None:
    html = Path(write_report(*hostile)).read_text("utf-8")
    checked = parsed(html)
    assert len(checked.scripts) == 1  # ours
    assert not re.search(HIDDEN, html)
    assert "<script>alert(1)</script>" in checked.text
    browser = client(hostile[0].out, hostile[0].out)
    for path in (
        "/compare?before=kept&after=kept",
        f"/compare/document?dataset=a&id={quote(EVIL)}",
    ):
        for _ in range(100):
            text = browser.get(path).text
            if "aria-busy" not in text:
                break
        check_page(text)
        assert not re.search(HIDDEN, text)
        assert "&lt;script&gt;alert(1)" in text


def test_an_address_of_a_request_is_escaped(tiny_run: Path) -> None:
    for name in ("dataset", "fate", "language", "host", "words", "key"):
        path = "/find" if name == "key" else "/documents"
        page = client(tiny_run).get(path, params={name: EVIL}).text
        check_page(page)
        assert "<script>alert" not in page


def test_headers_of_every_answer(tiny_run: Path) -> None:
    for path in ("/", "/static/style.css", "/static/label.js", "/nothing", "/documents?low=x"):
        headers = client(tiny_run).get(path).headers
        assert headers["content-security-policy"] == POLICY
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
    for part in ("default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"):
        assert part in POLICY
    assert "unsafe" not in POLICY
    assert '"allowEval":false' in client(tiny_run).get("/").text


def test_only_reading_and_only_under_our_name(tiny_run: Path) -> None:
    browser = client(tiny_run)
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert browser.request(method, "/").status_code == 405
    for host, status in (("evil.example", 421), ("localhost:1", 200), ("[::1]:80", 200),
                         ("127.0.0.1.evil.example", 421), ("10.0.0.1", 421), ("", 421)):  # fmt: skip
        assert browser.get("/live", headers={"host": host}).status_code == status, host
    for site, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 200)):
        headers = {"sec-fetch-site": site, "sec-fetch-mode": "cors"}
        assert browser.get("/live", headers=headers).status_code == status
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert browser.get("/live", headers=link).status_code == 200
    assert browser.get("/documents?words=" + "x" * 5000).status_code == 414


def test_labels_are_given_in_the_browser(copied: Path) -> None:
    browser = client(copied)

    def form() -> dict[str, str]:
        tags = check_page(browser.get("/label").text).tags
        return {
            str(at["name"]): str(at["value"])
            for tag, at in tags
            if tag == "input" and at.get("type") == "hidden"
        }

    def rows() -> list[Any]:
        path = copied / "labels.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    first = form()
    assert "score" not in check_page(browser.get("/label").text).text.replace(
        "The score is not", ""
    )
    for answer, count in (("2", 1), ("0", 2), ("s", 2), ("b", 2), ("b", 1), ("0", 2), ("1", 3)):
        done = browser.post("/label", data={**form(), "answer": answer})
        assert (done.status_code, done.headers["location"]) == (303, "/label")
        assert len(rows()) == count
    assert (rows()[0]["id"], rows()[0]["label"]) == (first["id"], 2)
    browser.post("/label", data={**first, "answer": "0"})  # a click on a page that is old
    assert len(rows()) == 3
    assert "AUC of 2 against 0" in check_page(browser.get("/label?figures=1").text).text


def test_only_our_own_pages_write_labels(copied: Path) -> None:
    browser = client(copied)
    assert browser.post("/label", data={"word": "guess", "answer": "2"}).status_code == 403
    for site in ("cross-site", "same-site"):
        headers = {"sec-fetch-site": site, "sec-fetch-mode": "navigate"}
        assert browser.post("/label", data={}, headers=headers).status_code == 403
    assert browser.post("/label", data={"word": "x" * 70_000}).status_code == 413
    assert browser.post("/label/", data={}).status_code == 405
    assert browser.post("/label", headers={"host": "evil.example"}).status_code == 421
    token = client(copied, host="0.0.0.0", token="s3cret", cookie="c")
    assert token.post("/label", data={}).status_code == 401
    assert not (copied / "labels.jsonl").exists()


def test_a_token_is_asked_for_and_kept_in_a_cookie(tiny_run: Path) -> None:
    browser = client(tiny_run, host="0.0.0.0", token="s3cret", cookie="c")
    for path in ("/", "/static/style.css", "/?token=wrong", "/?token=", "/?token=%ff"):
        answer = browser.get(path)
        assert answer.status_code == 401
        assert answer.headers["content-security-policy"] == POLICY
    first = browser.get("/documents?token=s3cret&fate=kept")
    assert first.status_code == 303
    assert first.headers["location"] == "/documents?fate=kept"
    assert "HttpOnly" in first.headers["set-cookie"]
    assert browser.get("/documents").status_code == 200
    assert browser.get("/documents", headers={"host": "10.1.2.3:8321"}).status_code in (200, 401)
    assert browser.get("/documents", headers={"host": "evil.example"}).status_code == 421
    browser.cookies.clear()
    assert browser.get("/", headers={"cookie": "c=wrong"}).status_code == 401


# ---- the command


def test_the_command_says_what_is_wrong(tmp_path: Path, tiny_run: Path) -> None:
    from curation.cli import main

    answer = CliRunner().invoke(main, ["browse", str(tmp_path), "--no-open"])
    assert answer.exit_code == 1
    assert "not a run directory" in answer.output
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        arguments = ["browse", str(tiny_run), "--no-open", "--port", str(port)]
        answer = CliRunner().invoke(main, arguments)
        assert answer.exit_code == 1
        assert f"127.0.0.1:{port}: nothing can listen there" in answer.output
        with pytest.raises(InputError, match="give another --port"):
            listen("127.0.0.1", port)


def test_a_missing_extra_is_named(tiny_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from curation.cli import main

    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.delitem(sys.modules, "curation.web.server", raising=False)
    answer = CliRunner().invoke(main, ["browse", str(tiny_run), "--no-open"])
    assert answer.exit_code == 1
    assert "pip install '.[browse]'" in answer.output


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_the_printed_address_opens_and_an_interrupt_ends_it(tiny_run: Path, host: str) -> None:
    import os
    import signal
    import subprocess
    import sys
    import urllib.request

    command = [sys.executable, "-m", "curation", "browse", str(tiny_run), "--no-open", "--port", "0",
               "--host", host]  # fmt: skip
    server = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert server.stdout is not None
    address = server.stdout.readline().strip()
    token = "" if host == "127.0.0.1" else r"\?token=[\w-]{32}"
    assert re.fullmatch(rf"http://{re.escape(host)}:\d+/{token}", address)
    cookies = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    with cookies.open(address.replace("0.0.0.0", "127.0.0.1")) as answer:
        assert b"documents kept" in answer.read()
    os.kill(server.pid, signal.SIGINT)
    rest, _ = server.communicate(timeout=30)
    assert server.returncode in (0, 130)
    assert "Traceback" not in rest
    assert "the same command shows them again" in rest


def test_the_pages_change_nothing(copied: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in copied.rglob("*")}
    browser = client(copied)
    for path in PAGES:
        browser.get(path)
    assert {path: path.stat().st_mtime_ns for path in copied.rglob("*")} == before
