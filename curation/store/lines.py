"""JSON lines, plain or packed: one object a line, in blocks that a reader can unpack as they come.

Trap: a packed file's header may hold the time of writing; here it does not, so equal rows give equal
bytes.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import IO, Any, Literal

import orjson

Packing = Literal["", "gz", "zst"]
ENDINGS: dict[Packing, str] = {"": ".jsonl", "gz": ".jsonl.gz", "zst": ".jsonl.zst"}


class LinesWriter:
    """Lines into an open binary file; `finish` ends it, and does not close it."""

    def __init__(self, file: IO[bytes], packing: Packing) -> None:
        self._file, self._packing = file, packing
        self._packer: Any = None
        if packing == "gz":
            self._packer = zlib.compressobj(6, zlib.DEFLATED, 31)
        elif packing == "zst":
            import zstandard

            self._packer = zstandard.ZstdCompressor(level=3).compressobj()

    def write(self, data: bytes) -> None:
        """Append whole lines; then all of them are in the file."""
        if self._packer is None:
            self._file.write(data)
            return
        self._file.write(self._packer.compress(data))
        self._file.write(self._packer.flush(self._block()))

    def _block(self) -> int:
        if self._packing == "gz":
            return zlib.Z_SYNC_FLUSH
        import zstandard

        return int(zstandard.COMPRESSOBJ_FLUSH_BLOCK)

    def finish(self) -> None:
        """Write what ends a packed file."""
        if self._packer is not None:
            self._file.write(self._packer.flush())


def json_line(row: Mapping[str, Any]) -> bytes:
    r"""A row as one line of JSON, integers of any size included.

    >>> json_line({"id": "a", "n": 1 << 70})
    b'{"id":"a","n":1180591620717411303424}\n'
    """
    try:
        return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # an integer of more than 64 bits
        text = json.dumps(row, ensure_ascii=False, separators=(",", ":"))
        return text.encode() + b"\n"


def without_nulls(value: Any) -> Any:
    """A nested value without the keys that are null in it: Arrow gives every struct of a column the
    keys of all.

    >>> without_nulls({"a": None, "b": [{"c": None, "d": 1}], "e": {"f": None}})
    {'b': [{'d': 1}], 'e': {}}
    """
    if isinstance(value, dict):
        return {k: without_nulls(item) for k, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value
