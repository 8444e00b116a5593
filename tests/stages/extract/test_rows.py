"""Robots directives and licences of documents: of archives, text and dumps; never of tables."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from curation import store
from curation.cli import main
from curation.engine.inline import InlineEngine
from curation.pipeline import line as pipeline
from curation.recipe import reading as recipe

NAMES = ("robots", "license", "license_from")
STORIES = (
    "The miller wound the sluice at dawn, and the wheel turned slowly in the cold water. ",
    "Seven fishermen rowed past the lighthouse while their nets dried on the harbour wall. ",
    "Grandmother baked rye bread every Friday because the oven was hot from the night before. ",
    "A surveyor measured the boundary of the forest with a chain and wrote down each length. ",
    "Our teacher explained why the tides follow the moon and drew both on the blackboard. ",
    "Nobody remembered who had planted the orchard, yet everybody ate the apples in autumn. ",
)
STORY = STORIES[0] * 3
LINK = '<a rel="license" href="https://creativecommons.org/licenses/by/4.0/">CC</a>'


def _record(kind: str, number: int, block: str, content_type: str) -> bytes:
    head = (
        f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: http://a.example/{number}\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: {len(block.encode())}\r\n\r\n"
    )
    return gzip.compress(f"{head}{block}\r\n\r\n".encode())


def _archive(path: Path) -> str:
    http, html = "application/http; msgtype=response", "text/html"
    texts = [f"<p>{story * 9}" for story in STORIES]
    head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
    tag = "X-Robots-Tag: nofollow\r\nx-robots-tag: googlebot: noindex\r\n"
    meta = '<head><meta name="robots" content="noai"></head>'
    plain = texts[5].removeprefix("<p>")
    records = [
        _record("response", 0, f"{head}{tag}\r\n{meta}{texts[0]}{LINK}", http),
        _record("response", 1, f"{head}\r\n{texts[1]}", http),
        _record("resource", 2, texts[2], html),
        _record("resource", 3, meta + texts[3], html),
        _record("conversion", 4, texts[4] + meta + LINK, "text/plain"),
        _record("response", 5, f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n{plain}", http),
    ]
    path.write_bytes(b"".join(records))
    return str(path)


OF_ARCHIVE = [
    ("noai,nofollow", "CC-BY-4.0", "rel"),
    ("", None, None),
    (None, None, None),
    ("noai", None, None),
    (None, None, None),
    ("", None, None),
]


def _rights(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in NAMES) for row in rows]


@pytest.mark.parametrize("extractor", ["blocks", "resiliparse", "none"])
def test_pages_of_archives(tmp_path: Path, inline: InlineEngine, extractor: str) -> None:
    dataset = {"name": "a", "role": "crawl", "files": [_archive(tmp_path / "a.warc.gz")]}
    table = {"stages": ["extract"], "dataset": [dataset], "extract": {"extractor": extractor}}
    rundir, plan = pipeline.run(recipe.parse(table), str(tmp_path / "run"), inline)
    rows = store.read_table(rundir.documents(plan.shards[0])).to_pylist()
    assert [row["url"][-1] for row in rows] == ["0", "1", "2", "3", "4", "5"]
    assert _rights(rows) == OF_ARCHIVE


def test_tables_and_text_keep_their_own_columns(tmp_path: Path, inline: InlineEngine) -> None:
    """A column of the user's that has one of the names stays the user's."""
    row = {"id": "1", "text": STORY, "license": "mine", "robots": 7, "license_from": ["x"]}
    (tmp_path / "a.jsonl").write_text(json.dumps(row) + "\n")
    (tmp_path / "b.txt").write_text(STORY)
    datasets = [
        {"name": n, "files": [str(tmp_path / f)]} for n, f in (("a", "a.jsonl"), ("b", "b.txt"))
    ]
    table = {"stages": ["extract"], "dataset": datasets}
    rundir, plan = pipeline.run(recipe.parse(table), str(tmp_path / "run"), inline)
    rows = [
        row
        for shard in plan.shards
        for row in store.read_table(rundir.documents(shard)).to_pylist()
    ]
    assert _rights(rows) == [(None, None, None)] * 2
    assert rows[0]["extra"] == {"license": "mine", "robots": 7, "license_from": ["x"]}


def _dedup(source: str, out: Path) -> None:
    result = CliRunner().invoke(main, ["dedup", source, "--out", str(out), "--workers", "1"])
    assert result.exit_code == 0, result.output


def test_steps_write_them_and_read_them_again(tmp_path: Path) -> None:
    archive, first, second = tmp_path / "a.warc.gz", tmp_path / "first", tmp_path / "second"
    _dedup(_archive(archive), first)
    kept = store.read_table(str(first / "kept" / "00000.parquet"))
    assert _rights(kept.to_pylist()) == OF_ARCHIVE
    _dedup(str(first / "kept"), second)
    again = store.read_table(str(second / "kept" / "00000.parquet"))
    # the size of the first step's cluster is the user's column in the second
    assert [n for n in again.column_names if n != "input_cluster_size"] == kept.column_names
    assert _rights(again.to_pylist()) == OF_ARCHIVE
