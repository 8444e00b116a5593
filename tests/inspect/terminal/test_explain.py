from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from curation import store
from curation.errors import InputError
from curation.inspect.evidence import find
from curation.inspect.evidence.fate import fate, place
from curation.inspect.terminal.explain import (
    _language,
    _masked_lines,
    _rights,
    clean,
    differences,
    explain,
)
from curation.kernels.indexed import read_index
from curation.rundir.directory import RunDirectory
from curation.rundir.plan import Plan, read


def told(opened: tuple[RunDirectory, Plan], key: str) -> str:
    console = Console(width=400, record=True, file=io.StringIO())
    explain(*opened, key, console)
    return "\n".join(line.rstrip() for line in console.export_text().splitlines())


def an_id(run: Path, table: str, dataset: str, wanted: str | None) -> str:
    """The first survivor with this reason in a decision table."""
    reasons = pq.read_table(run / table / "decision" / dataset / "00000.parquet")
    kind = "survivors" if dataset == "crawl" and table != "classify" else "documents"
    ids = (
        pq.read_table(run / kind / dataset / "00000.parquet", columns=["id"]).column(0).to_pylist()
    )
    return str(
        next(
            i for i, r in zip(ids, reasons.column("reason").to_pylist(), strict=True) if r == wanted
        )
    )


def test_low_quality_shows_the_draw_it_would_have_needed(
    opened: tuple[RunDirectory, Plan], tiny_run: Path
) -> None:
    text = told(opened, an_id(tiny_run, "classify", "crawl", "low_quality"))
    verdict = next(line for line in text.splitlines() if line.startswith("removed"))
    assert verdict.startswith("removed by classify: low_quality (score 0.")
    assert "u 0." in text
    assert "P(keep)" in text
    assert "dedup" not in text


def test_near_duplicate_names_its_survivor_and_shows_the_difference(
    opened: tuple[RunDirectory, Plan],
) -> None:
    text = told(opened, "page-31")
    assert "removed by dedup: duplicate of wiki-1 in wiki (Jaccard 0.9" in text
    assert "-summer-" in text
    assert "+winter+" in text


def test_exact_duplicate(opened: tuple[RunDirectory, Plan]) -> None:
    text = told(opened, "page-30")
    assert "removed by dedup: exact_duplicate of wiki-0 in wiki" in text
    assert "the texts are equal" in text
    assert "its duplicates removed: 1" in told(opened, "wiki-0")


def test_a_page_that_only_quotes_a_benchmark(opened: tuple[RunDirectory, Plan]) -> None:
    text = told(opened, "page-41")
    assert "removed by decontaminate: no_piece_left" in text
    assert "the seven lamps of the old harbour" in text
    assert "lamps lamp-1" in text


def test_a_cut_document_shows_cut_and_pieces(opened: tuple[RunDirectory, Plan]) -> None:
    text = told(opened, "book-1")
    assert "kept" in text
    assert "pieces: 2" in text
    assert "cut: 509 characters" in text


def test_a_url_shows_every_capture(opened: tuple[RunDirectory, Plan]) -> None:
    text = told(opened, "http://site42.example/a?b=<42>&c")
    assert "2 documents and 0 rejects" in text
    assert "crawl page-42" in text
    assert "crawl page-143" in text


def test_a_reject_is_found_by_its_url(opened: tuple[RunDirectory, Plan]) -> None:
    text = told(opened, "http://site50.example/lost")
    assert "never became a document: missing_text" in text
    assert "crawl.jsonl" in text


def test_unknown_key_is_one_clear_sentence(opened: tuple[RunDirectory, Plan]) -> None:
    with pytest.raises(InputError, match="'nothing-like-it' is neither the id nor the URL"):
        told(opened, "nothing-like-it")


def test_a_half_finished_run_tells_how_far_it_got(half_run: Path) -> None:
    assert "still in after dedup" in told(read(str(half_run)), "wiki-3")


def test_every_chunk_lies_where_explain_says(
    opened: tuple[RunDirectory, Plan], tiny_run: Path
) -> None:
    """The formula against the shards: a document's tokens are in those it names, and only there."""
    rundir, plan = opened
    shards: dict[str, list[bytes]] = {}
    for path in (tiny_run / "shards").glob("*.bin"):
        lengths, dtype = read_index(path.with_suffix(".idx").read_bytes())
        ends = np.cumsum(lengths) * dtype.itemsize
        data = path.read_bytes()
        shards[path.stem] = [
            data[e - n * dtype.itemsize : e] for e, n in zip(ends, lengths, strict=True)
        ]
    seen = 0
    for shard in plan.shards:
        tokens = store.read_table(rundir.table("tokens", shard)).to_pylist()
        for row in filter(lambda r: r["keep"], tokens):
            documents, _ = find.find(rundir, plan, row["id"])
            placed = fate(rundir, plan, documents[0]).placed
            assert placed is not None
            for name, chunks in shards.items():
                found = sum(chunks.count(piece) for piece in row["tokens"])
                assert found == placed.shards.get(name, 0), (row["id"], name)
                seen += found
    assert seen == sum(map(len, shards.values()))


def test_long_documents_are_placed_chunk_by_chunk(opened: tuple[RunDirectory, Plan]) -> None:
    placed = place(opened[0], "crawl", b"0123456789abcdef", (32_768 * 3 + 1, 5), 2.0)
    assert placed.chunks == 5
    assert placed.held_out or sum(placed.shards.values()) == 10


def test_find_skips_row_groups_by_their_statistics(
    opened: tuple[RunDirectory, Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    read_groups: list[int] = []
    original = pq.ParquetFile.read_row_group

    def counted(self: pq.ParquetFile, i: int, **options: object) -> object:
        read_groups.append(i)
        return original(self, i, **options)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", counted)
    assert find.find(*opened, "zzz") == ([], [])
    assert read_groups == []
    assert len(find.find(*opened, "wiki-3")[0]) == 1
    assert read_groups == [0, 0]


def test_differences_are_short_however_long_the_texts_are() -> None:
    a = [f"w{i}" for i in range(200_000)]
    b = list(a)
    b[100_000] = "other"
    text = differences(" ".join(a), " ".join(b)).plain
    assert "+other+" in text
    assert len(text) < 2000


def test_terminal_control_characters_of_a_page_are_dropped() -> None:
    assert clean("a\x1b]0;title\x07b\x9b31m") == "a]0;titleb31m"


@pytest.mark.parametrize(
    ("crawl", "line"),
    [
        ((None, None, None), "language en (0.91)"),
        (("eng", 0.974, True), "language en (0.91); the crawl says eng, 0.97 of the page, reliable"),
        (("deu", 0.5, False), "language en (0.91); the crawl says deu, 0.50 of the page, not reliable"),
        (("spa", None, None), "language en (0.91); the crawl says spa"),
    ],
)  # fmt: skip
def test_a_language_stands_beside_the_crawls_own_verdict(
    crawl: tuple[object, ...], line: str
) -> None:
    names = ("crawl_language", "crawl_language_share", "crawl_language_reliable")
    columns = {"language": "en", "language_score": 0.91, **dict(zip(names, crawl, strict=True))}
    assert _language(columns) == line


def test_of_masked_texts_some_are_quoted_and_white_space_is_counted() -> None:
    lines = list(_masked_lines([" \n", *(f"me{i}@a.example" for i in range(10))], "X"))
    assert lines[0] == "me0@a.example is written as X"
    assert lines[8:] == ["… and places more: 2", "white space is written as X in 1 place"]


def test_what_a_page_says_of_its_use_is_shown() -> None:
    stated = {"robots": "noai,noindex", "license": "CC-BY-4.0", "license_from": "rel"}
    assert _rights(stated) == "robots noai,noindex; license CC-BY-4.0 (by rel)"
    assert _rights({"robots": "", "license": None, "license_from": None}) == ""
