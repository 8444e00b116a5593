"""Lines of JSON, packed or plain -> one object a line, of the whole file or of a part of it.

Costs what orjson costs, and memory for one line. The trap: a line belongs to the part in which it
begins, so a part begins one byte early, to see whether its first line does.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

import orjson

from curation.errors import InputError
from curation.readers.records import Reject
from curation.readers.unpack import UnpackedFile

MAX_LINE_BYTES = 64 << 20  # of a line of JSON, and of a string in Parquet
_PROBE_LINES = 100  # lines without the text column after which it is not in the file
# What Python's json writes for floats that JSON has not; strings are matched to be left alone.
_NO_NUMBER = re.compile(rb'("(?:[^"\\]|\\.)*")|-?\b(?:NaN|Infinity)\b')


def no_column(name: str, column: str, present: list[str]) -> InputError:
    """The error where no row of a file has the column of texts."""
    return InputError(
        f"{name}: no column {column!r}; the columns there are {', '.join(map(repr, present))}; name "
        "the one that holds the text with `text_column`"
    )


def json_rows(
    stream: BinaryIO, name: str, text_column: str, start: int = 0, end: int = 0
) -> Iterator[tuple[int, dict[str, Any] | Reject]]:
    """(byte of the line, its object or why it is none) of every line that is not blank; with `end`,
    of those that begin in the bytes [start, end).

    Raises InputError as `read_table_file` does. The first part of a file does so for all of them: it
    reads on until it has seen the text column.
    """
    source = UnpackedFile(stream, max(0, start - 1))
    if source.packing and start:
        return
    end = 0 if source.packing else end
    keys: dict[str, None] = {}  # of the lines before the text column was seen
    unseen = 0
    is_seen = start > 0
    for offset, line in _lines(source, name, start):
        is_past = bool(end) and offset >= end
        if is_past and is_seen:
            return
        row = line if isinstance(line, Reject) else _json_row(line, offset, name)
        if isinstance(row, dict) and not is_seen:
            is_seen = text_column in row
            unseen += not is_seen
            keys.update(dict.fromkeys(row))
            if unseen >= _PROBE_LINES:
                break
        if row is not None and not is_past:
            yield offset, row
    if unseen and not is_seen:
        raise no_column(name, text_column, list(keys))


def _lines(source: UnpackedFile, name: str, start: int) -> Iterator[tuple[int, bytes | Reject]]:
    """(byte, line) of every line that begins at `start` or after it; what is lost is a Reject.

    `source` begins one byte before `start`: the line that a border cuts belongs to the part before.
    """
    lines = io.BufferedReader(source, 1 << 16)
    offset = start and start - 1 + _rest_of_line(lines)
    while line := lines.readline(MAX_LINE_BYTES + 1):
        at = offset
        if len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
            offset += len(line) + _rest_of_line(lines)
            detail = f"a line of more than {MAX_LINE_BYTES} bytes"
            yield at, Reject("too_large", offset=at, detail=detail)
            continue
        if source.damage is not None and not line.endswith(b"\n"):
            break  # the damage below counts for this half line
        offset += len(line)
        yield at, line
    if source.damage is not None:
        if not offset:
            raise InputError(
                f"{name}: nothing of it can be read ({source.damage.detail}); fetch or write the "
                "file again, or leave it out"
            )
        yield offset, Reject(source.damage.reason, offset=offset, detail=source.damage.detail)


def _rest_of_line(lines: io.BufferedReader[Any]) -> int:
    """Pass over what is left of a line: how many bytes that is."""
    size = 0
    while piece := lines.readline(1 << 20):
        size += len(piece)
        if piece.endswith(b"\n"):
            break
    return size


def _json_row(line: bytes, start: int, name: str) -> dict[str, Any] | Reject | None:
    line = line.strip()
    if start == 0:
        line = line.removeprefix(b"\xef\xbb\xbf")
        if line.startswith(b"["):
            raise InputError(
                f"{name}: a JSON array, expected one object a line; convert it: jq -c '.[]' {name}"
            )
    if not line:
        return None
    try:
        row = _loaded(line)
    except ValueError as error:
        try:
            line.decode()
        except UnicodeDecodeError as undecodable:
            return Reject("undecodable", offset=start, detail=str(undecodable))
        return Reject("malformed", offset=start, detail=f"not JSON: {error}")
    if not isinstance(row, dict):
        return Reject(
            "malformed", offset=start, detail=f"a JSON {type(row).__name__}, expected an object"
        )
    return row


def _loaded(line: bytes) -> Any:
    """The value of a JSON line: NaN and Infinity are null, integers are whole whatever their size.

    >>> _loaded(b'{"a": NaN, "b": "NaN", "c": 100000000000000000000000001}')
    {'a': None, 'b': 'NaN', 'c': 100000000000000000000000001}
    """
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        if "infinity" in str(error):  # more than a double holds, as 1e400
            value = json.loads(line)
            json.dumps(value, ensure_ascii=False).encode()  # as orjson, no half surrogates
            return value
        if b"NaN" not in line and b"Infinity" not in line:
            raise
        line = _NO_NUMBER.sub(lambda match: match[1] or b"null", line)
        value = orjson.loads(line)
    return json.loads(line) if _has_large_float(value) else value


def _has_large_float(value: Any) -> bool:
    """Whether a float may be what orjson made of an integer of more than 64 bits."""
    if type(value) is float:
        return abs(value) >= 1 << 63
    if type(value) is dict:
        return any(map(_has_large_float, value.values()))
    return type(value) is list and any(map(_has_large_float, value))
