"""Is any benchmark gram left in the token shards, other than common ones, which stay on purpose?

Cost: every shard is decoded and scanned, about 20 MB of text a second. Memory: the gram table
(mapped) and some megabytes.

Trap: a gram across two chunks of a long piece is not seen; the chunks need not be side by side in a
shard.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curation import store
from curation.inspect.check.shards import Problems, shard_index
from curation.inspect.evidence.fate import common_grams, owners_of
from curation.kernels import grams
from curation.kernels.buffers import text_buffers
from curation.rundir.encodings import run_encoding
from curation.stages.decontaminate.benchmarks import load_table

if TYPE_CHECKING:
    from curation.rundir.directory import RunDirectory

BLOCK_TOKENS = 1 << 20


def grams_left(rundir: RunDirectory, rows: list[dict[str, Any]]) -> Problems:
    """Each training or validation sequence with a gram that should have been cut."""
    folder = rundir.path("decontaminate", "benchmarks")
    table = load_table(folder, store.read_json(store.join(folder, "card.json"))["identity"])
    ignored = common_grams(rundir)
    for row in rows:
        for first, texts in _texts(rundir, row["name"]):
            hits = grams.scan(*text_buffers(pa.array(texts, pa.large_string())), table)
            wrong = np.flatnonzero(~np.isin(hits.gram, ignored))
            owners = owners_of(rundir, hits.gram[wrong]) if len(wrong) else {}
            for i in wrong.tolist():
                gram = int(hits.gram[i])
                where = f"{row['name']}: sequence {first + int(hits.document[i]):,}"
                yield f"{where} holds “{table.gram_text(gram)}” of {', '.join(owners[gram][:3])}"


def _texts(rundir: RunDirectory, name: str) -> Iterator[tuple[int, list[str]]]:
    """The number of the first sequence, and the texts of some; the end-of-text token is no text."""
    facts = store.read_json(rundir.path("tokens", "encoding.json"))
    dtype = np.dtype(facts["dtype"]).newbyteorder("<")
    path, index = rundir.path("shards", name + ".bin"), shard_index(rundir, name)
    if index is None or not store.exists(path):
        return
    coder = run_encoding(rundir)
    words = [
        b"" if i == facts["end_of_text"] else _bytes(coder, i) for i in range(facts["vocabulary"])
    ]
    sizes = np.array([len(word) for word in words], np.int64)
    pool, starts = np.frombuffer(b"".join(words), np.uint8), np.cumsum(sizes) - sizes
    lengths, _ = index
    ends = np.cumsum(lengths)
    first = 0
    with store.open_input(path) as stream:
        while first < len(lengths):
            before = int(ends[first - 1]) if first else 0
            last = max(first + 1, int(np.searchsorted(ends, before + BLOCK_TOKENS, "right")))
            tokens = np.frombuffer(
                stream.read(int(ends[last - 1] - before) * dtype.itemsize), dtype
            )
            yield first, _decoded(tokens, ends[first:last] - before, pool, starts, sizes)
            first = last


def _bytes(coder: Any, token: int) -> bytes:
    try:
        data: bytes = coder.decode_single_token_bytes(token)
    except KeyError:  # vocabularies have gaps
        return b""
    return data


def _decoded(
    tokens: npt.NDArray[Any],
    ends: npt.NDArray[np.int64],
    pool: npt.NDArray[np.uint8],
    starts: npt.NDArray[np.int64],
    sizes: npt.NDArray[np.int64],
) -> list[str]:
    """The texts of sequences that end before `ends`; half a character at an end is replaced."""
    tokens = (
        tokens[tokens < len(sizes)] if len(tokens) and int(tokens.max()) >= len(sizes) else tokens
    )
    each = sizes[tokens]
    till = np.cumsum(each)
    places = np.repeat(starts[tokens] - (till - each), each) + np.arange(
        int(till[-1]) if len(till) else 0
    )
    data = pool[places].tobytes()
    bounds = np.concatenate(
        [[0], np.concatenate([[0], till])[np.minimum(ends, len(tokens))]]
    ).tolist()
    return [data[a:b].decode("utf-8", "replace") for a, b in itertools.pairwise(bounds)]
