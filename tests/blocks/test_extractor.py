"""The learned extractor: what it keeps, its options, odd and hostile pages, and that training
repeats to the byte."""

import itertools
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import curation
from curation.blocks import extractor as blocks
from curation.errors import InputError
from curation.readers import html, warc
from curation.readers.encoding import decoded
from curation.readers.records import Page, PageError

SENTENCES = [
    f"The {name} of the old mill by the river, which ran all year, was a matter of some {thing} in the village, and nobody forgot it."
    for name in ("wheel", "keeper", "roof", "stone", "garden", "door")
    for thing in ("pride", "doubt", "debt")
]
MENU = "".join(
    f"<li><a href=/{n}>{n}</a></li>" for n in ("Home", "Sports", "Weather", "Contact", "About us")
)
PAGE = f"""<html><head><title>The old mill - River News</title></head><body>
<nav class="main-menu"><ul>{MENU}</ul></nav><div class="content"><article><h1>The old mill</h1>
{"".join(f"<p>{s}</p>" for s in SENTENCES)}
<ul class="facts"><li>Built in 1804, of stone.</li><li>It burned twice, and was mended.</li></ul></article></div>
<div id="comments"><p class="comment">I remember the mill well, my father worked there for years and told us of it.</p></div>
<div class="footer"><p>Copyright 2020 River News. All rights reserved. <a href=/privacy>Privacy policy</a></p></div></body></html>"""


def test_the_story_is_kept_and_the_menu_is_not() -> None:
    text = curation.extract_text(PAGE.encode())
    assert all(sentence in text for sentence in SENTENCES)
    assert not re.search("Sports|Weather|Copyright|Privacy", text)


def test_a_thread_served_in_noscript_is_read() -> None:
    page = PAGE.replace("<body>", "<body><noscript>").replace("</body>", "</noscript></body>")
    assert all(sentence in curation.extract_text(page.encode()) for sentence in SENTENCES)
    beside = PAGE.replace(
        "</article>",
        f"</article><noscript><p>{SENTENCES[0].replace('mill', 'pixel')}</p></noscript>",
    )
    assert "pixel" not in curation.extract_text(beside.encode())


def test_a_title_never_closed_does_not_swallow_the_page() -> None:
    text = curation.extract_text(PAGE.replace("</title>", "</tit").encode())
    assert all(sentence in text for sentence in SENTENCES)


@pytest.mark.parametrize("markdown", [False, True])
def test_one_call_gives_the_text_of_the_scored_page(shared_data: Path, markdown: bool) -> None:
    """`main_text` goes through one compiled function, `score_page` through several."""
    archive = sorted(shared_data.glob("crawl/*.warc.gz"))[0]
    with archive.open("rb") as stream:
        records = warc.read_archive(stream, archive.name, max_page_bytes=1 << 20)
        pages = [record for record in itertools.islice(records, 200) if isinstance(record, Page)]
    for source in [PAGE, "<p>", "", *(decoded(page.body, page.content_type) for page in pages)]:
        scored = blocks.score_page(source)
        text = (scored.text(markdown=markdown), scored.is_strange) if scored else ("", True)
        assert blocks.main_text(source, markdown=markdown) == text


def test_options() -> None:
    body = PAGE.encode()
    assert curation.extract_text(body, headline="in").startswith("The old mill\n\nThe wheel")
    assert curation.extract_text(body, headline="out").startswith("The wheel")
    assert curation.extract_text(body, headline="in", markdown=True).startswith(
        "# The old mill\n\n"
    )
    assert "my father" in curation.extract_text(body, comments=True)
    with pytest.raises(InputError, match='"judged", "in" or "out"'):
        curation.extract_text(body, headline="no")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="blocks, resiliparse"):
        curation.extract_text(body, extractor="magic")


@pytest.mark.parametrize("extractor", html.EXTRACTORS)
def test_every_extractor_finds_the_story(extractor: str) -> None:
    if extractor == "trafilatura":
        pytest.importorskip("trafilatura", reason="the extra `trafilatura` is not installed")
    assert SENTENCES[3] in curation.extract_text(
        PAGE.encode("utf-16"), url="http://a.example/", extractor=extractor
    )


def test_blocks_are_listed_with_their_scores() -> None:
    found = curation.extract_blocks(PAGE.encode())
    assert [b.text for b in found][:2] == ["Home", "Sports"]
    assert found[0].tag == "li"
    assert found[0].link_share == 1
    assert all(0 <= b.score <= 1 for b in found)
    assert {b.text for b in found if b.kept} >= set(SENTENCES)
    assert curation.extract_blocks(b"") == []


def test_importing_curation_loads_nothing_heavy() -> None:
    code = "import sys, curation; assert not {'numpy', 'numba', 'turbohtml', 'resiliparse'} & set(sys.modules); curation.extract_text"
    subprocess.run([sys.executable, "-c", code], check=True)


def outcome(body: bytes, **options: Any) -> str:
    """ "text" where there is clean text, even none; else the reason."""
    try:
        text = curation.extract_text(body, **options)
    except PageError as error:
        return error.reason
    return "text" if text == text.strip() else "text with white space around"


BOMBS = {
    "nothing": b"",
    "binary": bytes(range(256)) * 40,
    "zeros": b"\0" * 5000,
    "divs": b"<div>" * 200_000,
    "divs with text": b"<div>x" * 100_000,
    "spans": b"<span>" * 200_000 + b"text",
    "cells": b"<table><td>x" * 20_000,
    "one long tag": b"<p " + b"a=1 " * 200_000 + b">text",
    "attribute": b'<p class="' + b"nav-" * 250_000 + b'">text',
    "paragraphs": b"<p>hello there" * 90_000,
    "brackets": b"<" * 500_000,
    "ampersands": b"&" * 500_000,
    "comments": b"<!--" * 200_000,
    "fonts": b"".join(b"<font color=%d><p>" % i for i in range(40_000)) + b"x",
    "bold": b"<b><i><u>" * 30_000 + b"<p>x" * 30_000,
    "no end": b"<title>x",
    "script": b"<script>" * 100_000,
    "breaks": b"a<br><br>" * 50_000,
    "words": b"word " * 300_000,
    "surrogates": "<p>\ud800 text \udfff".encode("utf-8", "surrogatepass"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_hostile_pages_end_quickly(name: str) -> None:
    curation.extract_text(b"<p>compile first</p>")
    began = time.process_time()
    assert outcome(BOMBS[name]) in ("text", "too_large", "undecodable")
    assert (
        time.process_time() - began < 10
    )  # minutes and gigabytes are what is caught here; a second is usual


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.sampled_from(
            [
                b"<p>",
                b"</div>",
                b"<table><tr>",
                b"text ",
                b"<h1>A",
                b"&nbsp;",
                b"\xff",
                b"<br>",
                b"<li>",
            ]
        ),
        max_size=30,
    )
)
def test_any_page_gives_text_or_a_reason(pieces: list[bytes]) -> None:
    assert outcome(b"".join(pieces), headline="in", comments=True, markdown=True) in (
        "text",
        "undecodable",
    )


def test_real_pages_give_text_or_a_reason(shared_data: Path) -> None:
    path = sorted((shared_data / "crawl").glob("*.warc.gz"))[0]
    reasons: dict[str, int] = {}
    with path.open("rb") as stream:
        for record in warc.read_archive(stream, path.name, max_page_bytes=10 << 20):
            if isinstance(record, Page):
                try:
                    reason = "text" if html.page_text(record, "blocks") else "the empty text"
                except PageError as error:
                    reason = error.reason
                reasons[reason] = reasons.get(reason, 0) + 1
    assert reasons.pop("text") > 300
    assert set(reasons) <= {"empty", "undecodable", "too_large"}


def test_the_model_that_ships_has_a_card_and_is_small() -> None:
    folder = Path(blocks.__file__).parent
    card = json.loads((folder / "model.json").read_text())
    data = (folder / "model.npz").read_bytes()
    assert len(data) == card["bytes"] < 300_000
    benchmark = "Murrough-Foley/web-content-extraction-benchmark"
    assert card["scores"][benchmark]["f1"] >= 0.87
    others = [s for s in card["sources"] if s != benchmark]
    assert np.mean([card["scores"][s]["f1"] for s in others]) >= 0.93
    assert all(source["licenses"] for source in card["sources"].values())


def test_a_model_for_other_features_is_refused() -> None:
    arrays = blocks.model_arrays(blocks.shipped_model())
    with pytest.raises(ValueError, match="train-extractor"):
        blocks.load_model({**arrays, "features": np.array(["own.chars"])})


def lessons(path: Path, sources: int) -> str:
    truth = "\n".join(SENTENCES)
    rows = [
        (PAGE.replace("mill", f"mill{i}"), truth.replace("mill", f"mill{i}"), f"s{i % sources}")
        for i in range(2 * sources)
    ]
    table = [
        {"html": page.encode(), "truth": text, "source": source} for page, text, source in rows
    ]
    pq.write_table(pa.Table.from_pylist(table), path)
    return str(path)


def test_training_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    pytest.importorskip("lightgbm", reason="the extra `extractor` is not installed")
    from curation.tools.train_extractor import Forests, train_files

    pages = lessons(tmp_path / "pages.parquet", 3)
    how = Forests(trees=(3, 3), min_leaf=2)
    cards = [
        train_files([pages], str(tmp_path / f"{k}.npz"), how, lambda line: None) for k in range(2)
    ]
    assert cards[0] == cards[1]
    assert (tmp_path / "0.npz").read_bytes() == (tmp_path / "1.npz").read_bytes()
    assert cards[0]["scores"]["s0"]["f1"] > 0.5
    with (tmp_path / "0.npz").open("rb") as stream:
        model = blocks.load_model(np.load(stream))
    assert blocks.score_page(PAGE, model).p.max() > 0.5
    with pytest.raises(InputError, match=r"no page of s9; the sources are s0, s1, s2"):
        train_files([pages], str(tmp_path / "x.npz"), how, lambda line: None, only_scored=["s9"])
    with pytest.raises(InputError, match="three sources"):
        train_files([pages], str(tmp_path / "x.npz"), how, lambda line: None, only_scored=["s2"])
    with pytest.raises(InputError, match="three sources"):
        train_files(
            [lessons(tmp_path / "few.parquet", 2)], str(tmp_path / "x.npz"), how, lambda line: None
        )


def test_a_source_only_scored_teaches_nothing(tmp_path: Path) -> None:
    pytest.importorskip("lightgbm", reason="the extra `extractor` is not installed")
    from curation.tools.train_extractor import Forests, train_files

    how = Forests(trees=(2, 2), min_leaf=2)
    pages = lessons(tmp_path / "pages.parquet", 4)
    card = train_files([pages], str(tmp_path / "x.npz"), how, lambda line: None, only_scored=["s3"])
    rows = pq.read_table(pages)
    pq.write_table(rows.filter(pa.compute.not_equal(rows["source"], "s3")), pages)
    alone = train_files([pages], str(tmp_path / "y.npz"), how, lambda line: None, folds=False)
    assert sorted(card["scores"]) == ["s0", "s1", "s2", "s3"]
    assert card["sha256"] == alone["sha256"]
    assert alone["scores"] == {}


def test_training_asks_for_its_columns(tmp_path: Path) -> None:
    from curation.tools.train_extractor import Forests, train_files

    pq.write_table(pa.table({"html": [b"x"]}), tmp_path / "bad.parquet")
    with pytest.raises(InputError, match="source, truth missing"):
        train_files(
            [str(tmp_path / "bad.parquet")], str(tmp_path / "x.npz"), Forests(), lambda line: None
        )
