"""The sample is what its truth says: every url, every planted similarity, every quotation."""

from __future__ import annotations

import collections
import re
import unicodedata
import zlib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner
from resiliparse.extract.html2text import extract_plain_text
from warcio.archiveiterator import ArchiveIterator

from curation.demo.__main__ import main
from curation.demo.build import build_demo, truth
from curation.demo.pages import ROOT, body, pages, rows
from curation.rundir.schema import REASONS

CRAWL = [row for row in truth() if row["dataset"] == "commoncrawl"]
PAGES = {page.url: page for page in pages()}
MIRRORED = {row["url"]: row["text"] for row in rows("webtext2.jsonl")}


def words(text: str) -> list[str]:
    """Lower-case words; punctuation, symbols, white space and control characters break them."""
    return "".join(" " if unicodedata.category(c)[0] in "PSZC" else c for c in text).lower().split()


def grams(tokens: list[str], length: int) -> set[tuple[str, ...]]:
    return {tuple(tokens[i : i + length]) for i in range(len(tokens) - length + 1)}


def longest_run(text: str, passage: str) -> int:
    """The number of words in the longest run that both texts hold."""
    one, two, length = words(text), words(passage), 0
    while grams(one, length + 1) & grams(two, length + 1):
        length += 1
    return length


def extracted(url: str) -> str:
    if url in MIRRORED:
        return str(MIRRORED[url])
    page = PAGES[url]
    html = body(page).decode(page.encoding, "replace")
    return str(extract_plain_text(html, main_content=True, comments=False))


def trusted_text(dataset: str, name: str) -> str:
    if dataset == "webtext2":
        return next(str(row["text"]) for row in rows("webtext2.jsonl") if row["id"] == name)
    if dataset == "wikipedia":
        export = (ROOT / "wikipedia.xml").read_text("utf-8")
        page = next(p for p in export.split("<page>") if f"<title>{name}</title>" in p)
        return page.partition("<text")[2]
    return next(str(row["text"]) for row in rows(f"{dataset}.jsonl") if row["id"] == name)


RESPONSES = ("response", "revisit", "continuation")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("sample")
    build_demo(directory)
    return directory


def records(path: Path) -> list[tuple[str, str, bytes]]:
    """Type, url and decoded body of the records of an archive."""
    found = []
    with path.open("rb") as stream:
        for record in ArchiveIterator(stream):
            content = record.content_stream().read()
            found.append(
                (record.rec_type, record.rec_headers.get_header("WARC-Target-URI") or "", content)
            )
    return found


def test_two_builds_are_equal_bytes(built: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(main, [str(tmp_path / "again")])
    assert result.exit_code == 0, result.output
    names = sorted(str(p.relative_to(built)) for p in built.rglob("*") if p.is_file())
    assert names == sorted(
        str(p.relative_to(tmp_path / "again")) for p in tmp_path.rglob("*") if p.is_file()
    )
    assert [
        n for n in names if (built / n).read_bytes() != (tmp_path / "again" / n).read_bytes()
    ] == []


def test_archives_and_truth_hold_the_same_urls(built: Path) -> None:
    seen: collections.Counter[str] = collections.Counter()
    for path in sorted((built / "crawl").iterdir()):
        seen.update(url for kind, url, _ in records(path) if kind in RESPONSES)
    urls = [row["url"] for row in CRAWL]
    assert seen == collections.Counter(urls)


def test_each_fetch_is_a_triple_and_ids_are_unique(built: Path) -> None:
    ids = []
    for path in sorted((built / "crawl").iterdir()):
        kinds = [kind for kind, _, _ in records(path)]
        assert kinds[0] == "warcinfo"
        response = ["response" if kind in RESPONSES else kind for kind in kinds[1:]]
        assert response == ["request", "response", "metadata"] * (len(response) // 3)
        with path.open("rb") as stream:
            ids += [
                record.rec_headers.get_header("WARC-Record-ID")
                for record in ArchiveIterator(stream)
            ]
    assert len(ids) == len(set(ids))


def test_a_later_segment_is_the_only_part_of_its_page(built: Path) -> None:
    segments = [
        url
        for path in (built / "crawl").iterdir()
        for kind, url, _ in records(path)
        if kind == "continuation"
    ]
    assert segments == [row["url"] for row in CRAWL if row["reject"] == "truncated"]


def test_bodies_come_back_through_the_transfer_codings(built: Path) -> None:
    whole = {row["url"] for row in CRAWL if row["reject"] not in ("truncated", "revisit")}
    for path in sorted((built / "crawl").iterdir()):
        for kind, url, content in records(path):
            if kind == "response" and url in whole:
                assert content == body(PAGES[url]), url


def test_counts_per_kind() -> None:
    assert collections.Counter(row["kind"] for row in CRAWL) == {
        "boilerplate": 648,
        "spam": 298,
        "chatter": 172,
        "good": 78,
        "foreign": 43,
        "reject": 28,
        "near_duplicate": 11,
        "exact_duplicate": 8,
        "quotes_benchmark": 7,
        "mirror_of_trusted": 7,
        "mirrored_site": 6,
        "mislabelled": 5,
        "other_boilerplate": 5,
        "broken": 3,
        "quotes_page": 2,
    }


def test_there_are_enough_pages_sites_and_trusted_documents() -> None:
    sites = {urlsplit(row["url"]).netloc for row in CRAWL if not row["reject"]}
    export = (ROOT / "wikipedia.xml").read_text("utf-8")
    trusted = len(rows("webtext2.jsonl")) + len(rows("books2.jsonl")) + export.count("<ns>0</ns>")
    assert len(CRAWL) >= 600
    assert len(sites) >= 60
    assert trusted >= 150
    assert len({row["language"] for row in CRAWL if row["kind"] == "foreign"}) >= 12


def test_the_corpus_is_small_in_the_wheel() -> None:
    compressed = sum(
        len(zlib.compress(path.read_bytes()))
        for path in ROOT.rglob("*")
        if path.is_file() and path.suffix not in (".pyc", ".nbc", ".nbi")
    )
    assert compressed < 1_500_000


@pytest.mark.parametrize(
    "row", [row for row in CRAWL if row["similar"]], ids=lambda row: row["url"]
)
def test_planted_similarities_hold(row: dict[str, Any]) -> None:
    assert row["duplicate_of"] in (row["similar"][0]["to"], None)
    assert row["duplicate_of"] or row["kind"] == "quotes_page"
    for pair in row["similar"]:
        one, two = extracted(row["url"]).lower().split(), extracted(pair["to"]).lower().split()
        for length, key in ((5, "jaccard_5gram"), (1, "jaccard_unigram")):
            a, b = grams(one, length), grams(two, length)
            assert len(a & b) / len(a | b) == pytest.approx(pair[key], abs=0.02)


def test_reject_reasons_are_words_of_the_schema() -> None:
    assert {row["reject"] for row in truth() if row["reject"]} <= set(REASONS)
    assert all(row["reject"] for row in truth() if row["kind"] == "reject")


def test_degrees_of_similarity_are_all_there() -> None:
    first = {row["url"]: row["similar"][0]["jaccard_5gram"] for row in CRAWL if row["similar"]}
    near = [first[row["url"]] for row in CRAWL if row["kind"] == "near_duplicate"]
    assert sum(value > 0.9 for value in near) == 3
    assert sum(0.83 < value < 0.9 for value in near) == 5
    assert sum(0.5 < value < 0.75 for value in near) == 1
    assert sum(value < 0.5 for value in near) == 2
    least = {
        "exact_duplicate": 0.97,
        "mirrored_site": 0.98,
        "mirror_of_trusted": 0.83,
        "other_boilerplate": 0.8,
    }
    for row in CRAWL:
        if row["kind"] in least:
            assert first[row["url"]] > least[row["kind"]], row
        if row["kind"] == "quotes_page":
            assert len(row["similar"]) == 2
            assert all(0.05 < pair["jaccard_5gram"] < 0.3 for pair in row["similar"])
    [chain] = [r for r in CRAWL if len(r["similar"]) == 2 and r["kind"] == "near_duplicate"]
    middle, start = chain["similar"]
    assert middle["jaccard_5gram"] > 0.8 > start["jaccard_5gram"]


def test_quotations_are_as_long_as_the_truth_says() -> None:
    passages = {row["id"]: row["passage"] for row in rows("benchmark.jsonl")}
    for row in truth():
        if not row["quotes"]:
            continue
        name = row.get("url") or row["id"]
        text = extracted(name) if "url" in row else trusted_text(row["dataset"], name)
        for quote in row["quotes"]:
            run = longest_run(text, passages[quote["example"]])
            assert run == quote["words"], (name, quote)
            assert run >= 13 or quote == {"example": "b03", "words": 12}


def test_no_other_document_quotes_the_benchmark() -> None:
    benchmark = set().union(*(grams(words(row["passage"]), 13) for row in rows("benchmark.jsonl")))
    planted = {
        row.get("url") or row["id"]
        for row in truth()
        if any(q["words"] >= 13 for q in row["quotes"])
    }
    texts = {url: page.text for url, page in PAGES.items()}
    texts |= {row["id"]: row["text"] for row in rows("webtext2.jsonl")}
    texts |= {row["id"]: row["text"] for row in rows("books2.jsonl")}
    texts |= {path.stem: path.read_text("utf-8") for path in ROOT.glob("books1/*.txt")}
    assert {
        name for name, text in texts.items() if grams(words(text), 13) & benchmark
    } == planted - {"Violin"}


def test_the_disclaimer_stands_in_more_than_ten_documents() -> None:
    exempt = [row["id"] for row in truth() if row["kind"] == "exempt_quote"]
    assert len(exempt) > 10
    assert all(
        quote["example"] == "b11"
        for row in truth()
        if row["kind"] == "exempt_quote"
        for quote in row["quotes"]
    )


def test_the_commonplace_book_is_cut_into_more_than_ten_pieces() -> None:
    text = trusted_text("books2", "the-commonplace-book")
    benchmark = set().union(*(grams(words(row["passage"]), 13) for row in rows("benchmark.jsonl")))
    found = [(m.group().lower(), m.start(), m.end()) for m in re.finditer(r"[^\W_]+", text)]
    kept = [True] * len(text)
    for i in range(len(found) - 12):
        if tuple(word for word, _, _ in found[i : i + 13]) in benchmark:
            start, end = max(0, found[i][1] - 200), found[i + 12][2] + 200
            kept[start:end] = [False] * len(kept[start:end])
    pieces = "".join(c if keep else "\0" for c, keep in zip(text, kept, strict=True))
    assert len([piece for piece in re.split("\0+", pieces) if piece.strip()]) == 13


@pytest.mark.parametrize(
    "row", [row for row in CRAWL if row["kind"] == "quotes_benchmark"], ids=lambda r: r["url"]
)
def test_both_sides_of_a_quotation_survive_its_cut(row: dict[str, Any]) -> None:
    text = extracted(row["url"])
    passage = next(
        r["passage"] for r in rows("benchmark.jsonl") if r["id"] == row["quotes"][0]["example"]
    )
    shared = [
        m
        for m in re.finditer(r"\S+", text)
        if grams(words(text[m.start() :])[:12], 12) & grams(words(passage), 12)
    ]
    assert shared[0].start() >= 700
    assert len(text) - shared[-1].end() >= 700
