"""Parts of a file of lines: together they are the file, wherever the borders lie."""

from __future__ import annotations

import gzip
import io
import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.errors import InputError
from curation.readers import json_lines
from curation.readers.json_lines import json_rows

LINES = st.sampled_from(
    [
        b'{"text": "a"}',
        b'{"text": "\xc3\xa9\xe2\x82\xac", "n": 1}',
        b'{"other": 2}',
        b'{"text": "\xff"}',
        b"{broken",
        b"[1, 2]",
        b"",
        b" \r",
        b"\x00\x00",
        b'{"text": "' + b"x" * 90 + b'"}',
    ]
)


@st.composite
def files_and_borders(draw: st.DrawFn) -> tuple[bytes, list[int]]:
    data = b"\n".join(draw(st.lists(LINES, min_size=1, max_size=12)))
    data += draw(st.sampled_from([b"", b"\n", b"\n\n"]))
    flips = draw(st.lists(st.integers(0, max(0, len(data) - 1)), max_size=2))
    for at in flips if data else ():
        data = data[:at] + draw(st.sampled_from([b"\n", b"\0", b'"'])) + data[at + 1 :]
    cuts = draw(st.lists(st.integers(0, len(data)), max_size=6))
    return data, sorted({0, len(data), *cuts})


def rows(data: bytes, start: int = 0, end: int = 0) -> list[object]:
    return list(json_rows(io.BytesIO(data), "a.jsonl", "text", start, end))


def outcome(data: bytes, borders: list[int]) -> object:
    try:
        return [row for start, end in pairwise(borders) for row in rows(data, start, end)]
    except InputError as error:
        return str(error)


@given(files_and_borders(), st.sampled_from([60, 1 << 20]))
def test_parts_give_what_the_file_gives(case: tuple[bytes, list[int]], most: int) -> None:
    data, borders = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_lines, "MAX_LINE_BYTES", most)
        whole = outcome(data, [0, 0])
        assert outcome(data, borders) == whole if data else not whole


@pytest.mark.parametrize("parts", [1, 2, 7])
@pytest.mark.parametrize("first", [0, 50, 99, 100, 300])
def test_a_text_column_that_comes_late(first: int, parts: int) -> None:
    """The first part looks beyond its end for the column, so it is refused as the whole file is."""
    without = [json.dumps({"other": n}).encode() for n in range(first)]
    data = b"\n".join([*without, b'{"text": "a"}', b'{"text": "b"}', *without])
    borders = [len(data) * i // parts for i in range(parts + 1)]
    whole = outcome(data, [0, len(data)])
    assert outcome(data, borders) == whole
    assert isinstance(whole, str) == (first >= 100)


def test_what_is_packed_under_a_plain_name_is_all_in_the_first_part() -> None:
    data = gzip.compress(b"".join(b'{"text": "%d"}\n' % n for n in range(1000)))
    third = len(data) // 3
    assert len(rows(data, 0, third)) == 1000
    assert not rows(data, third, len(data))


def test_a_line_that_is_just_not_too_long_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    line = b'{"text": "a"}'
    monkeypatch.setattr(json_lines, "MAX_LINE_BYTES", len(line))
    assert len(rows(line + b"\n" + line + b"\n")) == 2
