"""JSONL, Parquet and plain text files -> documents, the user's other columns kept.

Costs what orjson and pyarrow cost, and memory for one line or one batch of rows. The trap: one
broken line must cost one line, but a text column that is nowhere in the file is the user's mistake
and stops the run.
"""

from __future__ import annotations

import datetime
import decimal
import io
import math
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from curation.errors import InputError
from curation.readers.encoding import decoded
from curation.readers.html import clean_text
from curation.readers.records import Document, PageError, Reject
from curation.readers.unpack import UnpackedFile

MAX_LINE_BYTES = 64 << 20
MAX_TEXT_BYTES = 256 << 20
_BATCH_ROWS = 256
_PROBE_LINES = 100  # lines without the text column after which it is not in the file
_MAX_BAD_SHARE = 0.05

# Project Gutenberg's marks, since 1991 in many spellings; what stands before the first and after
# the last is not the book.
_GUTENBERG_START = re.compile(
    r"(?im)^[ \t]*(?:\*{3}[ \t]*START OF (?:THE|THIS) PROJECT GUTENBERG[^\n]*(?:\n(?![ \t]*\n)[^\n*]*)?\*{3}"
    r"|\*{1,2}END[ *]*THE SMALL PRINT!?[^\n]*\*END\*)[^\n]*\n"
)
_GUTENBERG_END = re.compile(
    r"(?im)^[ \t]*(?:\*{3}[ \t]*END OF (?:THE|THIS) PROJECT GUTENBERG|End of (?:the |this )?(?:Project )?Gutenberg(?:'s|’s)? )[^\n]*"
)
# Whom the file is owed to: paragraphs in front of the title page.
_GUTENBERG_CREDIT = re.compile(
    r"(?is)\s*(?:\[(?:Portions of this header|Project Gutenberg is a)"
    r"|(?:This )?e-?(?:text|book) (?:was |is )?(?:prepared|produced|revised) "
    r"|(?:Produced|Prepared|Transcribed|Scanned|Digitized) (?:by|from) |\(?Additional editing by ).{0,800}?(?:\n[ \t]*\n|\Z)"
)


def read_table_file(
    stream: BinaryIO,
    name: str,
    *,
    text_column: str = "text",
    id_column: str = "id",
    url_column: str = "url",
) -> Iterator[Document | Reject]:
    """Documents of a `.parquet` (seekable stream) or JSONL file, the latter plain, gzip, zstd or
    bzip2.

    `offset` is the row (Parquet) or the byte of the line in the unpacked file (JSONL). Texts are
    given as they are; integer ids become strings; `extra` holds the other columns. Blank lines are
    no records.

    Reasons: malformed, undecodable (not UTF-8), missing_text (no string), too_large, truncated (the
    file breaks off). Raises InputError when the text column is nowhere in the file, or the file is
    of another kind.
    """
    rows = _parquet_rows if name.lower().endswith(".parquet") else _json_rows
    columns = (text_column, id_column, url_column)
    for offset, row in rows(stream, name, text_column):
        yield row if isinstance(row, Reject) else _document(row, offset, columns)


def read_text_file(stream: BinaryIO, name: str) -> Iterator[Document | Reject]:
    """The one document of a `.txt` or `.md` file (packed or not), Project Gutenberg's header and
    footer cut off.

    Reasons: too_large, undecodable, empty, truncated or malformed (packed and damaged).
    """
    source = UnpackedFile(stream)
    body = io.BufferedReader(source).read(MAX_TEXT_BYTES + 1)
    if source.damage is not None:
        yield Reject(source.damage.reason, offset=0, detail=source.damage.detail)
        return
    if len(body) > MAX_TEXT_BYTES:
        yield Reject("too_large", offset=0, detail=f"more than {MAX_TEXT_BYTES} bytes in {name}")
        return
    text = decoded(body, None)
    bad = text.count("\ufffd") + text.count("\0")
    if bad > _MAX_BAD_SHARE * len(text):
        yield Reject("undecodable", offset=0, detail=f"{bad} of {len(text)} characters")
        return
    try:
        yield Document(clean_text(gutenberg_body(clean_text(text))), offset=0)
    except PageError as error:
        yield Reject(error.reason, offset=0, detail=error.detail)


def gutenberg_body(text: str) -> str:
    r"""A book (line ends \n) without Project Gutenberg's header, credits and footer; any other text
    unchanged.

    >>> gutenberg_body("Notice\n*** START OF THE PROJECT GUTENBERG EBOOK EMMA ***\nEmma was.\n*** END OF THE PROJECT "
    ...                "GUTENBERG EBOOK EMMA ***\nLicence")
    'Emma was.\n'
    """
    start = 0
    for match in _GUTENBERG_START.finditer(text, 0, min(len(text), 100_000)):
        start = match.end()
    if not start:
        return text
    for _ in range(3):
        if credit := _GUTENBERG_CREDIT.match(text, start):
            start = credit.end()
    end = _GUTENBERG_END.search(text, start)
    return text[start : end.start() if end else len(text)]


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
    extra = {key: _plain(value) for key, value in row.items() if key not in columns}
    return Document(
        text, id=_identity(row.get(id_column)), url=url, offset=offset, extra=extra or None
    )


def _identity(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return str(_plain(value))


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
    return str(value) if isinstance(value, decimal.Decimal | datetime.timedelta) else repr(value)


def _no_column(name: str, column: str, present: list[str]) -> InputError:
    return InputError(
        f"{name}: no column {column!r}. The columns there are {', '.join(map(repr, present))}: name the one that holds the "
        "text in the dataset's `text_column`"
    )


def _parquet_rows(
    stream: BinaryIO, name: str, text_column: str
) -> Iterator[tuple[int, dict[str, Any]]]:
    row = 0
    try:
        file = pq.ParquetFile(stream)
        if text_column not in file.schema_arrow.names:
            raise _no_column(name, text_column, file.schema_arrow.names)
        for batch in file.iter_batches(batch_size=_BATCH_ROWS):
            for values in _row_values(batch, name, row):
                yield row, values
                row += 1
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(
            f"{name}: not a whole Parquet file (after row {row}): {error}; fetch or write it again"
        ) from error


def _row_values(batch: pa.RecordBatch, name: str, row: int) -> list[dict[str, Any]]:
    """The rows of a batch; where a string is not UTF-8 (Arrow does not look), its whole column as
    bytes."""
    try:
        return list(batch.to_pylist())
    except UnicodeDecodeError:
        kinds = [f.type for f in batch.schema]
        texts = [pa.types.is_string(kind) or pa.types.is_large_string(kind) for kind in kinds]
        columns = [
            c.cast(pa.large_binary()) if text else c
            for c, text in zip(batch.columns, texts, strict=True)
        ]
    try:
        return list(pa.RecordBatch.from_arrays(columns, names=batch.schema.names).to_pylist())
    except UnicodeDecodeError as error:
        raise InputError(
            f"{name}: a nested string near row {row} is not UTF-8 ({error}); drop that column or write the file again"
        ) from error


def _json_rows(
    stream: BinaryIO, name: str, text_column: str
) -> Iterator[tuple[int, dict[str, Any] | Reject]]:
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
        row = orjson.loads(line)
    except orjson.JSONDecodeError as error:
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
