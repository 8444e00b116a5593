"""Reddit submissions to a list of links."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.engine.inline import InlineEngine
from curation.errors import CurationError, InputError
from curation.readers.submissions import REASONS, cleaned, link_of
from curation.tools import webtext

LINES: list[dict[str, Any] | bytes] = [
    {
        "url": "https://news.example/story?utm_source=reddit&id=7#top",
        "score": 3,
        "is_self": False,
        "over_18": False,
    },
    {
        "url": "http://www.news.example/story?id=7",
        "score": 90,
        "is_self": False,
        "domain": "news.example",
    },
    {"url": "https://essay.example/on-harbours/", "score": 12},
    {"url": "https://essay.example/low", "score": 2, "is_self": False},
    {"url": "https://www.reddit.com/r/x/comments/1/", "score": 50, "is_self": True},
    {"url": "https://somewhere.example/x", "score": 50, "domain": "self.AskScience"},
    {"url": "https://old.reddit.com/r/x/", "score": 50, "is_self": False},
    {"url": "https://i.imgur.com/abc", "score": 50, "is_self": False},
    {"url": "https://photos.example/cat.JPG", "score": 50, "is_self": False},
    {"url": "https://youtu.be/abc", "score": 50, "is_self": False},
    {"url": "https://en.wikipedia.org/wiki/Harbour", "score": 50, "is_self": False},
    {"url": "mailto:a@b.example", "score": 50, "is_self": False},
    {"url": None, "score": 50},
    {"score": 50},
    b"{broken",
    b"[1]",
]
COUNTS = {
    "submissions": 16,
    "links": 2,
    "repeated": 1,
    "low_score": 1,
    "self_post": 2,
    "reddit": 1,
    "media": 3,
    "wikipedia": 1,
    "not_http": 1,
    "malformed": 4,
}


def lines() -> bytes:
    return (
        b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in LINES)
        + b"\n\n"
    )


def long_window(data: bytes) -> bytes:
    """As Pushshift packs: a window of 2 GB, and no size told, so that a reader must be ready for it."""
    parameters = zstandard.ZstdCompressionParameters(
        window_log=31, enable_ldm=False, strategy=1, hash_log=12, chain_log=12
    )
    out = io.BytesIO()
    packer = zstandard.ZstdCompressor(compression_params=parameters)
    with packer.stream_writer(out, closefd=False) as writer:
        writer.write(data)
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "pack"), [("a.jsonl", bytes), ("a.gz", gzip.compress), ("RS_2019-01.zst", long_window)]
)
def test_links_are_cleaned_and_everything_else_counted(
    tmp_path: Path, inline: InlineEngine, name: str, pack: Any
) -> None:
    (tmp_path / name).write_bytes(pack(lines()))
    counts = webtext.run([str(tmp_path / name)], str(tmp_path / "urls.txt"), inline, 3)
    assert (tmp_path / "urls.txt").read_text().splitlines() == [
        "https://essay.example/on-harbours/",
        "http://www.news.example/story?id=7",
    ]
    assert counts == COUNTS
    dropped = sum(count for reason, count in counts.items() if reason in REASONS)
    assert counts["submissions"] == counts["links"] + dropped


def test_the_order_and_number_of_dumps_makes_no_difference(
    tmp_path: Path, inline: InlineEngine
) -> None:
    rows = lines().split(b"\n")
    (tmp_path / "whole.jsonl").write_bytes(lines())
    (tmp_path / "parts").mkdir()
    for number in range(3):
        (tmp_path / "parts" / f"{9 - number}.jsonl").write_bytes(b"\n".join(rows[number::3]))
    one = webtext.run([str(tmp_path / "whole.jsonl")], str(tmp_path / "a.txt"), inline, 3)
    assert webtext.run([str(tmp_path / "parts")], str(tmp_path / "b.txt"), inline, 3) == one
    assert (tmp_path / "a.txt").read_bytes() == (tmp_path / "b.txt").read_bytes()


def test_another_threshold(tmp_path: Path, inline: InlineEngine) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines())
    assert webtext.run([str(tmp_path / "a.jsonl")], str(tmp_path / "u"), inline, 2)["links"] == 3
    with pytest.raises(InputError, match="no links in them"):
        webtext.run([str(tmp_path / "a.jsonl")], str(tmp_path / "v"), inline, 1000)
    assert not (tmp_path / "v").exists()


@pytest.mark.parametrize(("name", "pack"), [("cut.gz", gzip.compress), ("cut.zst", long_window)])
def test_a_cut_dump_is_an_error_that_names_it(
    tmp_path: Path, inline: InlineEngine, name: str, pack: Any
) -> None:
    (tmp_path / name).write_bytes(pack(lines() * 50)[:-20])
    with pytest.raises(CurationError, match=rf"{name}: cannot be unpacked after \d+ submissions"):
        webtext.run([str(tmp_path / name)], str(tmp_path / "u"), inline, 3)


@settings(max_examples=50, deadline=None)
@given(
    st.one_of(
        st.text(), st.from_regex(r"https?://[a-z.:@\[\]%]{1,12}/[a-z?&=#%/ ]{0,20}", fullmatch=True)
    )
)
def test_cleaning_twice_changes_nothing(url: str) -> None:
    reason, link = cleaned(url)
    assert bool(reason) != bool(link)
    assert reason in {*REASONS, ""}
    if link:
        assert cleaned(link) == ("", link)


@settings(max_examples=50, deadline=None)
@given(st.binary())
def test_no_line_raises(line: bytes) -> None:
    assert link_of(line, 3)[0] in {*REASONS, ""}
