"""The files of a manifest: very many rows, of which each is bytes until it is asked for.

A manifest is JSON as `store.write_json` lays it out. It is written and read a row at a time, so that
it never is in memory as a whole: 300 bytes a file stay.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from curation import store

# The line before rows, and the first and the last of a row, as `store.write_json` has them.
_FILES, _BEGINS, _OPENS, _ENDS = b'  "files": {\n', b'    "', b": {\n", b"    }"
BUFFER = 4 << 20  # bytes read at a time: from object storage each is a request


@dataclass(frozen=True, slots=True)
class Entry:
    """One file. `identity` is that of its footer; a file without a footer has its sha256."""

    size: int
    sha256: str
    identity: str
    ledger: store.Ledger = field(default_factory=dict)
    notes: dict[str, int] = field(default_factory=dict)


class Files(Mapping[str, Entry]):
    """Path in the run directory -> file."""

    def __init__(self) -> None:
        self._packed: dict[str, bytes] = {}

    def update(self, rows: Mapping[str, dict[str, Any]]) -> None:
        """Add files by the fields of their `Entry`. Raises TypeError where they are others."""
        for name, row in rows.items():
            Entry(**row)
            # Trap: what orjson gives holds four kilobytes as long as it lives, so a copy is kept.
            self._packed[name] = bytes(memoryview(orjson.dumps(row)))

    def take(self, name: str, files: Files) -> None:
        """Add a file as another manifest has it."""
        self._packed[name] = files._packed[name]

    def __getitem__(self, name: str) -> Entry:
        return Entry(**orjson.loads(self._packed[name]))

    def __contains__(self, name: object) -> bool:
        return name in self._packed

    def __iter__(self) -> Iterator[str]:
        return iter(self._packed)

    def __len__(self) -> int:
        return len(self._packed)

    def write(self, path: str, about: Mapping[str, str]) -> None:
        """Write a manifest: the files, in their order, beside what it says `about` them."""
        before, after = store.json_bytes({"files": {}, **about}).split(b"{}", 1)
        with store.atomic(path) as file:
            file.write(before + b"{")
            for number, (name, row) in enumerate(self._packed.items()):
                lines = store.json_bytes({name: orjson.loads(row)})[2:-3]
                file.write((b",\n  " if number else b"\n  ") + lines.replace(b"\n", b"\n  "))
            file.write((b"\n  }" if self._packed else b"}") + after)


def read_files(path: str) -> tuple[Files, dict[str, Any]]:
    """The files of a manifest, and what it says about them.

    Raises ValueError, KeyError, TypeError or AttributeError where it is damaged.
    """
    files, rest, row = Files(), list[bytes](), list[bytes]()
    with store.open_input(path) as stream:
        for line in io.BufferedReader(stream, BUFFER):
            begins = rest[1:2] == [_FILES] and line.startswith(_BEGINS) and line.endswith(_OPENS)
            is_row = row or begins
            (row if is_row else rest).append(line)
            if row and line.rstrip(b",\n") == _ENDS:
                files.update(orjson.loads(b"{%b}" % b"".join(row).rstrip(b",\n")))
                row = []
    about = orjson.loads(b"".join(rest + row))
    files.update(about.pop("files"))  # where the JSON is laid out otherwise
    return files, about
