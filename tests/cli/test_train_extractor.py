"""Looking at one page and training, from the command line."""

from __future__ import annotations

import gzip
from pathlib import Path

from click.testing import CliRunner, Result

from curation.cli import main


def call(*args: str) -> Result:
    return CliRunner().invoke(main, list(args), prog_name="curation")


def test_a_page_is_shown_block_by_block_and_escaped(tmp_path: Path) -> None:
    page = tmp_path / "a&b.html"
    page.write_text(
        "<title>x</title><ul><li><a href=/>Home &lt;b&gt;</a></ul><p>"
        + "A long sentence, about a mill, is here. " * 8
    )
    result = call("extract", "--show", str(page), "--out", str(tmp_path / "shown.html"))
    assert result.exit_code == 0, result.output
    assert "of 2 blocks kept" in result.output
    shown = (tmp_path / "shown.html").read_text()
    assert "<h1>a&amp;b.html</h1>" in shown
    assert "Home &lt;b&gt;" in shown
    assert shown.count('<span class="score">') == 2


def test_either_inputs_or_a_page(tmp_path: Path) -> None:
    for args in ([], ["in.jsonl", "--show", "page.html"]):
        result = call("extract", *args, "--out", str(tmp_path / "out"))
        assert result.exit_code == 2
        assert "give INPUT..., or --urls LIST, or --show PAGE.html" in result.output


def test_a_missing_page_is_said_in_one_sentence(tmp_path: Path) -> None:
    result = call(
        "extract", "--show", str(tmp_path / "no.html"), "--out", str(tmp_path / "out.html")
    )
    assert result.exit_code == 1
    assert "no.html" in result.output
    assert "Traceback" not in result.output


def test_options_of_blocks_need_blocks(tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("some text")
    result = call(
        "extract",
        str(tmp_path / "in.txt"),
        "--extractor",
        "none",
        "--markdown",
        "--out",
        str(tmp_path / "run"),
    )
    assert result.exit_code == 1
    assert 'need extractor = "blocks"' in result.output


def test_training_needs_its_columns(tmp_path: Path) -> None:
    (tmp_path / "in.parquet").write_bytes(b"no table")
    result = call("train-extractor", str(tmp_path / "in.parquet"), "--out", str(tmp_path / "m.npz"))
    assert result.exit_code == 1
    assert "in.parquet" in result.output


def test_an_archive_is_shown_record_by_record(tmp_path: Path) -> None:
    archive = tmp_path / "x.warc.gz"
    with gzip.open(archive, "wb") as file:
        for i in range(3):
            page = f"<p>{f'Mill number {i} stands beside the river here. ' * 9}"
            block = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n{page}"
            file.write(
                f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://a.example/{i}?a&b\r\n"
                f"Content-Length: {len(block)}\r\n\r\n{block}\r\n\r\n".encode()
            )
    result = call("extract", "--show", str(archive), "--out", str(tmp_path / "shown.html"))
    assert result.exit_code == 0, result.output
    assert "the first 3 pages of x.warc.gz" in result.output
    shown = (tmp_path / "shown.html").read_text()
    assert shown.count("<h2>http://a.example/") == 3 == shown.count('<span class="score">')
    assert "WARC" not in shown
    assert "?a&amp;b" in shown


def test_a_misspelt_command_is_answered_with_the_nearest() -> None:
    result = call("dedupe", "x")
    assert result.exit_code == 2
    assert "no command 'dedupe'; did you mean 'dedup'?" in result.output
