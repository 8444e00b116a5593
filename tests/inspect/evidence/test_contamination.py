from __future__ import annotations

import json
from pathlib import Path

import pytest
from checked_html import parsed
from click.testing import CliRunner

from curation.cli import inspect as commands
from curation.errors import RunError
from curation.inspect.evidence.cuts import cuts
from curation.rundir.plan import read
from curation.web.cuts import write_cuts


def test_the_table_and_the_json_tell_of_dirty_examples(tiny_run: Path) -> None:
    told = CliRunner().invoke(commands.contamination, [str(tiny_run)])
    assert told.exit_code == 0
    assert "lamps" in told.output
    assert "books 1 → 0" in told.output
    rows = json.loads(CliRunner().invoke(commands.contamination, [str(tiny_run), "--json"]).output)
    assert [(row["benchmark"], row["dirty_before"], row["dirty_after"]) for row in rows] == [
        ("lamps", 1, 0)
    ]


def test_a_run_without_a_study_says_so(dedup_run: Path) -> None:
    told = CliRunner().invoke(commands.contamination, [str(dedup_run)])
    assert isinstance(told.exception, RunError)
    assert "no study of benchmark examples" in str(told.exception)


def test_every_cut_can_be_looked_at(tiny_run: Path, tmp_path: Path) -> None:
    opened = read(str(tiny_run))
    quote = json.loads((tiny_run.parent / "lamps.jsonl").read_text())["text"]
    shown = {cut.id: cut for cut in cuts(*opened)}
    assert {"book-1", "page-40", "page-41", "page-42"} & set(shown) >= {"book-1"}
    book = shown["book-1"]
    ((start, end),) = book.cuts
    assert quote.split()[0] in book.text[start:end]
    assert {match.owners for match in book.matches} == {("lamps lamp-1",)}
    assert book.matches[0].words == " ".join(quote.lower().split()[:13])
    page = tmp_path / "cuts.html"
    assert write_cuts(*opened, str(page)) == len(shown)
    html = page.read_text()
    checked = parsed(html)
    assert f'<mark class="cut quoted">{quote}</mark>' in html
    assert "lamps lamp-1" in checked.text
    assert "— cut —" in checked.text


def test_the_page_shows_some_or_those_of_one_benchmark(tiny_run: Path, tmp_path: Path) -> None:
    opened = read(str(tiny_run))
    assert len(list(cuts(*opened, n=1))) == 1
    assert len(list(cuts(*opened, "lamps", 0))) == len(list(cuts(*opened, n=0)))
    assert list(cuts(*opened, "another")) == []


@pytest.mark.parametrize("text", ["<script>alert(1)</script>"])
def test_texts_are_escaped(copied: Path, tmp_path: Path, text: str) -> None:
    from curation.inspect.evidence.cuts import Cut, Match
    from curation.web.cuts import cuts_page

    match = Match((2, 9), text, (text,))
    cut = Cut("a", text, text, text * 3, None, ((0, 20),), ((20, 60),), (match,))
    html = cuts_page([cut], text)
    assert text not in html
    parsed(html)
