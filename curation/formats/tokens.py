"""Token files as trainers read them: OLMo-core, llm.c, Megatron, nanoGPT, datatrove.

They come from the mixture's shards in their order, or from the tokens of the kept documents in the
order of the documents. A sequence is a piece of a document, or in a mixture a chunk of at most
32,768 tokens; both end with the end-of-text token unless the chunk is not the last of its piece.

Cost: one reading of the tokens and one writing. Memory: some 16 MB of them.

Trap: llm.c and modded-nanogpt expect the end-of-text token before each document, all others behind
it. There it is moved, and put before a chunk that has none.
"""

from __future__ import annotations

import csv
import io
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curation import store
from curation.formats.files import BoundedFiles, FileSink
from curation.formats.layouts import SPLITS
from curation.formats.texts import held_out
from curation.kernels import indexed

if TYPE_CHECKING:
    from curation.formats.parts import Job, Part

BLOCK_BYTES = 16 << 20
LLMC_HEADER_BYTES = 1024  # 256 32-bit integers: magic, version, tokens, zeros
# By the type of tokens: GPT-2's vocabulary, and larger ones, as llm.c numbers its files.
LLMC_MAGIC = {"uint16": 20240520, "uint32": 20240801}
LLMC_VERSION = 1
Tokens = npt.NDArray[Any]
Lengths = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Sequences:
    """Sequences end to end: `tokens` [sum of lengths], `lengths` int64[n], and the ids of their
    documents (empty strings where they are not known)."""

    tokens: Tokens
    lengths: Lengths
    ids: Sequence[str]

    def slice(self, start: int, count: int) -> Sequences:
        ends = np.concatenate(([0], np.cumsum(self.lengths)))
        end = start + count
        tokens = self.tokens[ends[start] : ends[end]]
        return Sequences(tokens, self.lengths[start:end], self.ids[start:end])


def write_tokens(job: Job, part: Part) -> dict[str, dict[str, Any]]:
    """Write the tokens of one part; returns what the manifest says of each file."""
    files: dict[str, dict[str, Any]] = {}
    width = np.dtype(job.encoding["dtype"]).itemsize
    for split in SPLITS:
        stem = store.join(job.format.tokens_folder, _stem(job, part, split))
        limit = None if job.format.one_file else job.max_bytes

        def open_sink(name: str, split: str = split) -> TokenSink:
            return TokenSink(job, name, split, part)

        with BoundedFiles(job.out, stem, limit, open_sink) as written:
            for block in _blocks(job, part, split):
                written.write(block, (block.lengths + (job.name == "llmc")) * width)
        files |= written.files
    return files


def _stem(job: Job, part: Part, split: str) -> str:
    if job.format.one_file:
        return {"train": "train", "validation": "val"}[split]
    return part.name if part.mixture else f"{split}-{part.name}"


# ---- where they come from ------------------------------------------------------------------------


def _blocks(job: Job, part: Part, split: str) -> Iterator[Sequences]:
    if part.mixture:
        for name in part.mixture:
            if name.startswith(split + "-"):
                yield from _mixture_blocks(job, name)
        return
    for shard in part.shards:
        yield from _document_blocks(job, job.rundir.table("tokens", shard), split)


def _mixture_blocks(job: Job, name: str) -> Iterator[Sequences]:
    lengths, _ = indexed.read_index(store.read_bytes(job.rundir.path("shards", name + ".idx")))
    dtype = np.dtype(job.encoding["dtype"]).newbyteorder("<")
    ends = np.cumsum(lengths) * dtype.itemsize
    start = 0
    with store.open_input(job.rundir.path("shards", name + ".bin")) as stream:
        while start < len(lengths):
            before = int(ends[start - 1]) if start else 0
            end = max(start + 1, int(np.searchsorted(ends, before + BLOCK_BYTES, side="right")))
            tokens = np.frombuffer(stream.read(int(ends[end - 1]) - before), dtype)
            yield Sequences(tokens, lengths[start:end], [""] * (end - start))
            start = end


def _document_blocks(job: Job, path: str, split: str) -> Iterator[Sequences]:
    dtype = np.dtype(job.encoding["dtype"]).newbyteorder("<")
    for batch in store.read_groups(path, ["id", "content", "counts", "tokens"]):
        rows = batch.column("tokens").is_valid().to_numpy(zero_copy_only=False)
        if job.validation:
            rows &= held_out(job, batch.column("content")) == (split == "validation")
        elif split == "validation":
            return
        batch = batch.filter(pa.array(rows))
        counts = batch.column("counts")
        pieces = counts.value_lengths().to_numpy(zero_copy_only=False)
        ids = [
            i for i, n in zip(batch.column("id").to_pylist(), pieces, strict=True) for _ in range(n)
        ]
        data = b"".join(batch.column("tokens").flatten().to_pylist())
        lengths = counts.flatten().to_numpy(zero_copy_only=False).astype(np.int64)
        yield Sequences(np.frombuffer(data, dtype), lengths, ids)


# ---- how they are written ------------------------------------------------------------------------


class TokenSink(FileSink):
    """A file of tokens and what belongs beside it."""

    def __init__(self, job: Job, name: str, split: str, part: Part) -> None:
        self._job, self._part = job, part
        data = name + job.format.tokens
        beside = {
            "olmo": (name + ".csv.gz",),
            "megatron": (name + ".idx",),
            "datatrove": (data + ".index", data + ".metadata"),
        }
        super().__init__(job.out, data, *beside.get(job.name, ()))
        self.counts = {"split": split, "tokens": 0, "sequences": 0}
        self._lengths: list[Lengths] = []
        self._ids: list[str] = []
        if job.name == "llmc":
            self._file.write(bytes(LLMC_HEADER_BYTES))

    def write(self, rows: Sequences) -> None:
        tokens = rows.tokens
        if self._job.name == "llmc":
            tokens = ends_in_front(tokens, rows.lengths, self._job.encoding["end_of_text"])
        self._file.write(np.ascontiguousarray(tokens).data)
        self.counts["tokens"] += len(tokens)
        self.counts["sequences"] += len(rows.lengths)
        self._lengths.append(rows.lengths)
        if self._job.name == "olmo":
            self._ids += rows.ids

    def finish(self) -> None:
        lengths = np.concatenate([np.zeros(0, np.int64), *self._lengths])
        if self._job.name == "llmc":
            self._file.seek(0)
            self._file.write(llmc_header(self.counts["tokens"], self._job.encoding["dtype"]))
            self._file.seek(0, io.SEEK_END)
        for name in self.names[1:]:
            store.write_bytes(store.join(self._job.out, name), self._beside(name, lengths))

    def _beside(self, name: str, lengths: Lengths) -> bytes:
        encoding = self._job.encoding
        dtype = np.dtype(encoding["dtype"])
        if name.endswith(".idx"):
            return indexed.index_bytes(lengths, dtype)
        if name.endswith(".index"):
            return np.cumsum(lengths).astype("<u8").tobytes()
        if name.endswith(".metadata"):
            count = self.counts["tokens"]
            text = f"{encoding['encoding']}|{dtype.itemsize}\n{count}\n{_metric(count)}T"
            return text.encode()
        return _boundaries(lengths, self._ids, str(self._part))


def ends_in_front(tokens: Tokens, lengths: Lengths, end_of_text: int) -> Tokens:
    """Sequences with the end-of-text token before each and none behind it.

    `tokens` [sum of lengths], `lengths` int64[n], each at least 1. A sequence that does not end with
    the token gets one more.

    >>> tokens = np.array([5, 6, 0, 7, 8, 9, 0], np.uint16)
    >>> ends_in_front(tokens, np.array([3, 2, 2]), 0).tolist()
    [0, 5, 6, 0, 7, 8, 0, 9]
    """
    last = np.cumsum(lengths) - 1
    ended = tokens[last] == end_of_text
    new_lengths = lengths + ~ended
    first = np.cumsum(new_lengths) - new_lengths
    out = np.empty(int(new_lengths.sum()), tokens.dtype)
    is_first = np.zeros(len(out), bool)
    is_first[first] = True
    stays = np.ones(len(tokens), bool)
    stays[last[ended]] = False
    out[is_first] = end_of_text
    out[~is_first] = tokens[stays]
    return out


def llmc_header(tokens: int, dtype: str) -> bytes:
    """The 1,024 bytes before the tokens of llm.c.

    >>> np.frombuffer(llmc_header(7, "uint16"), "<i4")[:4].tolist()
    [20240520, 1, 7, 0]
    """
    header = np.zeros(LLMC_HEADER_BYTES // 4, "<i4")
    header[:3] = LLMC_MAGIC[dtype], LLMC_VERSION, tokens
    return header.tobytes()


def _boundaries(lengths: Lengths, ids: Sequence[str], source: str) -> bytes:
    """Dolma's table of documents: first token, one past the last, id, source, number; no header."""
    ends = np.cumsum(lengths)
    text = io.StringIO()
    starts = (ends - lengths).tolist()
    numbers = range(1, len(lengths) + 1)
    rows = zip(starts, ends.tolist(), ids, [source] * len(lengths), numbers, strict=True)
    csv.writer(text, lineterminator="\n").writerows(rows)
    packer = zlib.compressobj(6, zlib.DEFLATED, 31)
    return packer.compress(text.getvalue().encode()) + packer.flush()


def _metric(count: int) -> str:
    """A count with a metric prefix, as datatrove shows it.

    >>> _metric(950), _metric(1234), _metric(5_600_000_000)
    ('950 ', '1.23 k', '5.60 G')
    """
    prefixes = " kMGTP"
    power = 0
    value = float(count)
    while value >= 1000 and power < len(prefixes) - 1:
        value, power = value / 1000, power + 1
    return f"{count} " if not power else f"{value:.2f} {prefixes[power]}"
