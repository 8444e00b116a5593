"""Files of bounded size: rows go into a file until the next would pass the bound, then into another.

Every file appears whole or not at all. Cost: what its packing costs, and one reading for its
digest.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from curation import store

LEAST_ROOM = 1 / 16  # of a file: with less left another file begins


class Rows(Protocol):
    """Rows that can be cut."""

    def slice(self, start: int, count: int) -> Self:
        """`count` rows from `start` on."""


@dataclass(frozen=True, slots=True)
class Lines:
    """Rows that are lines already."""

    lines: list[bytes]

    def slice(self, start: int, count: int) -> Lines:
        return Lines(self.lines[start : start + count])


class BoundedFiles:
    """The files `<stem>-000`, `<stem>-001` ... of one part; none of more than `max_bytes` unless one
    row is."""

    def __init__(
        self, out: str, stem: str, max_bytes: int | None, open_sink: Callable[[str], FileSink]
    ) -> None:
        self._out, self._stem, self._max_bytes = out, stem, max_bytes
        self._open = open_sink
        self._sink: FileSink | None = None
        self._ended = 0
        self.files: dict[str, dict[str, Any]] = {}

    def write(self, rows: Rows, sizes: npt.NDArray[np.int64]) -> None:
        """Append rows; `sizes` (int64[n]) are the most bytes that each can take."""
        ends = np.cumsum(sizes, dtype=np.int64)
        start, n = 0, len(sizes)
        while start < n:
            before = int(ends[start - 1]) if start else 0
            fitting = n - start
            if self._max_bytes is not None:
                room = self._max_bytes - (self._sink.size() if self._sink else 0)
                fitting = int(np.searchsorted(ends, before + room, side="right")) - start
                is_full = fitting < n - start and room < LEAST_ROOM * self._max_bytes
                if self._sink is not None and (is_full or fitting <= 0):
                    self._end()
                    continue
            sink = self._sink or self._begin()
            sink.write(rows.slice(start, max(1, fitting)))
            start += max(1, fitting)

    def _begin(self) -> FileSink:
        name = f"{self._stem}-{self._ended:03d}" if self._max_bytes is not None else self._stem
        self._sink = self._open(name)
        return self._sink

    def _end(self) -> None:
        sink, self._sink = self._sink, None
        if sink is None:
            return
        sink.close()
        self._ended += 1
        for number, name in enumerate(sink.names):
            path = store.join(self._out, name)
            (file,) = store.find(path)
            counts = sink.counts if number == 0 else {}
            self.files[name] = {"size": file.size, "sha256": store.sha256(path), **counts}

    def __enter__(self) -> BoundedFiles:
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if error is None:
            self._end()
        elif self._sink is not None:
            self._sink.abort(error)


class FileSink:
    """One file of an export: `names` are it and what belongs beside it."""

    def __init__(self, out: str, *names: str) -> None:
        self.names = names
        self.counts: dict[str, Any] = {"documents": 0}
        self._stack = contextlib.ExitStack()
        self._file = self._stack.enter_context(store.atomic(store.join(out, names[0])))

    def size(self) -> int:
        """Bytes in the file so far."""
        return self._file.tell()

    def write(self, rows: Any) -> None:
        """Append rows."""
        raise NotImplementedError

    def finish(self) -> None:
        """Write what comes last, and what belongs beside the file."""

    def close(self) -> None:
        """Commit the file and what belongs beside it."""
        with self._stack:
            self.finish()

    def abort(self, error: BaseException) -> None:
        """Leave no file."""
        self._stack.__exit__(type(error), error, error.__traceback__)


class ParquetSink(FileSink):
    """A Parquet file without anything of ours in its footer."""

    def __init__(self, out: str, name: str, schema: pa.Schema) -> None:
        super().__init__(out, name + ".parquet")
        self._writer = pq.ParquetWriter(self._file, schema, compression="zstd")

    def write(self, rows: pa.RecordBatch) -> None:
        self._writer.write_batch(rows)
        self.counts["documents"] += rows.num_rows

    def finish(self) -> None:
        self._writer.close()

    def abort(self, error: BaseException) -> None:
        self._writer.close()
        super().abort(error)


class LinesSink(FileSink):
    """A file of JSON lines."""

    def __init__(self, out: str, name: str, packing: store.Packing) -> None:
        super().__init__(out, name + store.ENDINGS[packing])
        self._writer = store.LinesWriter(self._file, packing)

    def write(self, rows: Lines) -> None:
        self._writer.write(b"".join(rows.lines))
        self.counts["documents"] += len(rows.lines)

    def finish(self) -> None:
        self._writer.finish()


def line_sizes(lines: Sequence[bytes]) -> npt.NDArray[np.int64]:
    """Bytes of each line."""
    return np.fromiter(map(len, lines), np.int64, len(lines))
