"""JSONL, Parquet and Arrow files -> documents, the user's other columns kept.

Costs what orjson and pyarrow cost, and memory for one line or one batch of rows. The trap: one
broken line must cost one line, but a text column that is nowhere in the file is the user's mistake
and stops the run.
"""

from __future__ import annotations

import datetime
import decimal
import io
import json
import math
import posixpath
import re
import uuid
from collections.abc import Iterator
from typing import Any, BinaryIO

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation.errors import InputError
from curation.readers.records import Document, Reject
from curation.readers.unpack import UnpackedFile

MAX_LINE_BYTES = 64 << 20  # of a line of JSON, and of a string in Parquet
_BATCH_ROWS = 256
_PROBE_LINES = 100  # lines without the text column after which it is not in the file
# What Python's json writes for floats that JSON has not; strings are matched to be left alone.
_NO_NUMBER = re.compile(rb'("(?:[^"\\]|\\.)*")|-?\b(?:NaN|Infinity)\b')


def read_table_file(
    stream: BinaryIO,
    name: str,
    *,
    text_column: str = "text",
    id_column: str = "id",
    url_column: str = "url",
) -> Iterator[Document | Reject]:
    """Documents of a `.parquet` or `.arrow` (seekable stream) or JSONL file, the last plain, gzip,
    zstd or bzip2.

    `offset` is the row (Parquet, Arrow) or the byte of the line in the unpacked file (JSONL). Texts are
    given as they are; ids of other types become text; `extra` holds the other columns, also an
    address that is no string. Blank lines are no records.

    Reasons: malformed, undecodable (not UTF-8), missing_text (no string), too_large (a line or a
    string of more than `MAX_LINE_BYTES`), truncated (the file breaks off). Raises InputError when
    the text column is nowhere in the file, nothing of the file can be read, or it is of another
    kind.
    """
    by_ending = {".parquet": _parquet_rows, ".arrow": _arrow_rows}
    rows = by_ending.get(posixpath.splitext(name.lower())[1], json_rows)
    columns = (text_column, id_column, url_column)
    for offset, row in rows(stream, name, text_column):
        yield row if isinstance(row, Reject) else _document(row, offset, columns)


def _document(row: dict[str, Any], offset: int, columns: tuple[str, str, str]) -> Document | Reject:
    text_column, id_column, url_column = columns
    text, url = row.get(text_column), _plain(row.get(url_column))
    url = url if isinstance(url, str) and url else None
    if isinstance(text, bytes):
        try:
            text = text.decode()
        except UnicodeDecodeError as error:
            return Reject("undecodable", url, offset, str(error))
    if not isinstance(text, str):
        return Reject("missing_text", url, offset, f"column {text_column!r} is {_kind(text)}")
    extra = {
        key: _plain(value)
        for key, value in row.items()
        if key not in columns or (key == url_column and url is None and value not in (None, ""))
    }
    return Document(
        text, id=id_text(row.get(id_column)), url=url, offset=offset, extra=extra or None
    )


def id_text(value: Any) -> str | None:
    """The text that a value of an id column stands for: as it is, or as JSON."""
    value = _plain(value)
    return value if value is None or isinstance(value, str) else json_text(value)


def json_text(value: Any) -> str:
    """A value as JSON, integers of any size included."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # an integer of more than 64 bits
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _kind(value: Any) -> str:
    return "null or absent" if value is None else f"{type(value).__name__}, not a string"


def _plain(value: Any) -> Any:
    """A value that JSON has: dates as ISO strings, decimals as strings, bytes as text or hex, NaN
    as None."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return value.hex()
    as_text = isinstance(value, decimal.Decimal | datetime.timedelta | uuid.UUID)
    return str(value) if as_text else repr(value)


def _no_column(name: str, column: str, present: list[str]) -> InputError:
    return InputError(
        f"{name}: no column {column!r}; the columns there are {', '.join(map(repr, present))}; name "
        "the one that holds the text with `text_column`"
    )


def _parquet_rows(
    stream: BinaryIO, name: str, text_column: str
) -> Iterator[tuple[int, dict[str, Any] | Reject]]:
    row = 0
    try:
        file = pq.ParquetFile(stream)
        if text_column not in file.schema_arrow.names:
            raise _no_column(name, text_column, file.schema_arrow.names)
        for batch in file.iter_batches(batch_size=_BATCH_ROWS):
            yield from _batch_rows(batch, row)
            row += batch.num_rows
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(
            f"{name}: not a whole Parquet file (after row {row}): {error}; fetch or write it again"
        ) from error


def _arrow_rows(
    stream: BinaryIO, name: str, text_column: str
) -> Iterator[tuple[int, dict[str, Any] | Reject]]:
    """The rows of an Arrow file or stream, as the `datasets` library saves them."""
    row = 0
    try:
        schema, batches = arrow_batches(stream)
        if text_column not in schema.names:
            raise _no_column(name, text_column, schema.names)
        for batch in batches:
            for start in range(0, batch.num_rows, _BATCH_ROWS):
                part = batch.slice(start, _BATCH_ROWS)
                yield from _batch_rows(part, row)
                row += part.num_rows
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(
            f"{name}: not a whole Arrow file (after row {row}): {error}; fetch or write it again"
        ) from error


def arrow_batches(stream: BinaryIO) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """The columns and batches of an Arrow IPC file or stream, told apart by how they begin."""
    magic = stream.read(6)
    stream.seek(0)
    if magic == b"ARROW1":
        file = pa.ipc.open_file(stream)
        return file.schema, (file.get_batch(i) for i in range(file.num_record_batches))
    reader = pa.ipc.open_stream(stream)
    return reader.schema, iter(reader)


def _batch_rows(batch: pa.RecordBatch, row: int) -> Iterator[tuple[int, dict[str, Any] | Reject]]:
    """The rows of a batch whose first is number `row`."""
    large = _too_large(batch)
    small = batch.filter(pc.invert(large)) if pc.any(large).as_py() else batch
    rows = zip(*(_values(column) for column in small.columns), strict=True)
    for number, is_large in enumerate(large.to_pylist(), row):
        if is_large:
            detail = f"a string of more than {MAX_LINE_BYTES} bytes"
            yield number, Reject("too_large", offset=number, detail=detail)
        else:
            yield number, dict(zip(batch.schema.names, next(rows), strict=True))


def _too_large(batch: pa.RecordBatch) -> pa.BooleanArray:
    """Whether each row has a string of more than `MAX_LINE_BYTES`."""
    large = pa.repeat(False, batch.num_rows)
    for column in batch.columns:
        strings = column.dictionary if pa.types.is_dictionary(column.type) else column
        try:
            found = pc.greater(pc.binary_length(strings), MAX_LINE_BYTES)
        except pa.ArrowNotImplementedError:  # no strings
            continue
        if strings is not column:
            found = found.take(column.indices)
        large = pc.or_(large, pc.fill_null(found, False))
    return large


def _values(column: pa.Array) -> list[Any]:
    """The values of a column; where Python cannot hold one, as text.

    Nanoseconds never go through pandas, which may not be there.
    """
    if "[ns" not in str(column.type):
        try:
            return list(column.to_pylist())
        except (ValueError, OverflowError, KeyError):  # not UTF-8, a year past 9999, a time zone
            pass
    return [_value(scalar) for scalar in column]


def _value(scalar: pa.Scalar) -> Any:
    kind = scalar.type
    if not scalar.is_valid:
        return None
    if isinstance(scalar, pa.ListScalar | pa.LargeListScalar | pa.FixedSizeListScalar):
        return _values(scalar.values)
    if isinstance(scalar, pa.StructScalar):
        return {name: _value(value) for name, value in scalar.items()}
    if isinstance(scalar, pa.DictionaryScalar):
        return _value(scalar.value)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return scalar.as_buffer().to_pybytes()
    if getattr(kind, "unit", "") == "ns":
        return _nanoseconds(scalar)
    try:
        return scalar.as_py()
    except (ValueError, OverflowError, KeyError):
        return _arrow_text(scalar)


def _nanoseconds(scalar: pa.Scalar) -> Any:
    """A time with the digits that Python's times do not have."""
    kind = scalar.type
    whole, rest = divmod(scalar.value, 1000)
    if pa.types.is_timestamp(kind):
        coarse = pa.scalar(whole, pa.timestamp("us", kind.tz))
    else:
        coarse = pa.scalar(whole, pa.time64("us") if pa.types.is_time(kind) else pa.duration("us"))
    value = _value(coarse)
    if not rest:
        return value
    text = value if isinstance(value, str) else _plain(value)
    time, point, fraction = text.partition(".")
    if not point:  # the zone, if any, stands after the seconds
        match = re.match(r"(.*\d\d:\d\d:\d\d)(.*)", text)
        time, fraction = (match[1], "000000" + match[2]) if match else (text, "000000")
    return f"{time}.{fraction[:6]}{rest:03}{fraction[6:]}"


def _arrow_text(scalar: pa.Scalar) -> str:
    """As ISO has it where Arrow can say it, else the number that is stored."""
    kind = scalar.type
    if pa.types.is_timestamp(kind):
        text = str(scalar.cast(pa.timestamp(kind.unit)).cast(pa.string())).replace(" ", "T", 1)
        text = re.sub(r"\.0+$", "", text) + ("+00:00" if kind.tz else "")
    elif pa.types.is_date(kind):
        text = str(scalar.cast(pa.string()))
    else:
        text = ""
    return text if text and "out" not in text else str(scalar.value)


def json_rows(
    stream: BinaryIO, name: str, text_column: str
) -> Iterator[tuple[int, dict[str, Any] | Reject]]:
    """(byte of the line, its object or why it is none) of every line that is not blank.

    Raises InputError as `read_table_file` does.
    """
    source = UnpackedFile(stream)
    lines = io.BufferedReader(source, 1 << 16)
    keys: dict[str, None] = {}  # of the lines before the text column was seen
    unseen = 0
    is_seen = False
    offset = 0
    while line := lines.readline(MAX_LINE_BYTES + 1):
        start, offset = offset, offset + len(line)
        if len(line) > MAX_LINE_BYTES:
            while (rest := lines.readline(1 << 20)) and not rest.endswith(b"\n"):
                offset += len(rest)
            offset += len(rest)
            yield (
                start,
                Reject(
                    "too_large", offset=start, detail=f"a line of more than {MAX_LINE_BYTES} bytes"
                ),
            )
            continue
        if source.damage is not None and not line.endswith(b"\n"):
            offset = start
            break  # the damage below counts for this half line
        row = _json_row(line, start, name)
        if row is None:
            continue
        if isinstance(row, dict) and not is_seen:
            is_seen = text_column in row
            unseen += not is_seen
            keys.update(dict.fromkeys(row))
            if unseen >= _PROBE_LINES:
                break
        yield start, row
    if unseen and not is_seen:
        raise _no_column(name, text_column, list(keys))
    if source.damage is not None:
        if not offset:
            raise InputError(
                f"{name}: nothing of it can be read ({source.damage.detail}); fetch or write the "
                "file again, or leave it out"
            )
        yield offset, Reject(source.damage.reason, offset=offset, detail=source.damage.detail)


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
