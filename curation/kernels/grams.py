"""Benchmark overlap of GPT-3's appendix C: which runs of 13 words a text shares with any benchmark
example.

A gram is so many words in a row (`curation.kernels.words`) within one field of one example. The
table numbers the distinct grams; the scan finds them by rolling hash, about 100 MB/s a core, and
compares the words themselves before it reports one, so a hash never makes a hit. Words are those of
the canonical form (`curation.kernels.canonical`). Memory: the
fields' words once, and about 60 bytes a distinct gram. Trap: offsets are code points of the text as
it was given, never of the lower-cased or stripped one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curation.kernels import gram_scan
from curation.kernels.buffers import Bytes, Offsets, readonly, text_arrays, text_buffers
from curation.kernels.canonical import canonical_texts, original_places, text_at
from curation.kernels.gram_index import (
    empty_slots,
    hash_filter,
    normalised,
    number_grams,
)
from curation.kernels.ngrams import NgramTable
from curation.kernels.unicode import unicode_table

Int64s = npt.NDArray[np.int64]
NOTHING = np.zeros(0, np.bool_)
MAX_EXAMPLES = 10  # evidence names the first ten examples of a gram


class Hits(NamedTuple):
    """One entry an occurrence, by document and start: all int64[hits].

    document counts from 0 in the batch; start and end are code points of its text, half-open; gram
    is a number of the table.
    """

    document: Int64s
    start: Int64s
    end: Int64s
    gram: Int64s


@dataclass(frozen=True)
class GramTable:
    """The distinct grams of the benchmarks, by number of first appearance; plain arrays, so it
    pickles."""

    gram_words: int
    pool: Bytes  # the fields' words in lower case, one space between
    starts: Int64s  # [grams] of the gram's words in pool, bytes
    ends: Int64s
    hashes: npt.NDArray[np.uint64]  # [grams]
    slots: npt.NDArray[np.int32]  # open addressing: gram number or -1; a power of two long
    filter: npt.NDArray[np.uint64]  # one bit for each hash, to stay out of slots
    example_indptr: Int64s  # [grams + 1]
    examples: Int64s  # the first ten distinct examples of each gram, ascending

    def __len__(self) -> int:
        return len(self.starts)

    def gram_text(self, gram: int) -> str:
        """Return the words of a gram, one space between."""
        return self.pool[self.starts[gram] : self.ends[gram]].tobytes().decode()

    def examples_of(self, gram: int) -> list[int]:
        """Return the numbers of the first ten examples that hold the gram, ascending."""
        start, end = self.example_indptr[gram : gram + 2]
        return [int(example) for example in self.examples[start:end]]


def build_table(
    texts: Sequence[str], example_of_field: npt.ArrayLike, gram_words: int = 13
) -> GramTable:
    """Return the table of the grams in `texts`, fields of examples; field i belongs to
    example_of_field[i].

    Raises ValueError unless there is one example number for each field and gram_words is 1 or more.

    >>> table = build_table(["A b, c d!", "b c d e"], [7, 9], gram_words=3)
    >>> [(table.gram_text(g), table.examples_of(g)) for g in range(len(table))]
    [('a b c', [7]), ('b c d', [7, 9]), ('c d e', [9])]
    """
    owners = np.asarray(example_of_field, np.int64)
    if len(owners) != len(texts) or gram_words < 1:
        raise ValueError(
            f"expected one example for each of {len(texts)} fields and grams of a word or more, "
            f"got {len(owners)} and {gram_words}"
        )
    offsets, data, _ = canonical_texts(*text_buffers(pa.array(texts, pa.large_string())))
    pool, fields, sizes = normalised(offsets, data, *unicode_table())
    occurrences = int(np.maximum(sizes - gram_words + 1, 0).sum())
    slots = empty_slots(occurrences)
    widths = readonly(np.full(len(texts), gram_words, np.int64))
    grams, field_of, starts, ends, hashes = number_grams(
        readonly(fields), readonly(pool), *unicode_table(), widths, occurrences, slots
    )
    bits = hash_filter(hashes)
    indptr, examples = _first_examples(grams, owners[field_of], len(starts))
    arrays = (readonly(x) for x in (pool, starts, ends, hashes, slots, bits, indptr, examples))
    return GramTable(gram_words, *arrays)


def scan(
    offsets: Offsets,
    data: Bytes,
    table: GramTable,
    study: NgramTable | None = None,
    wanted: npt.NDArray[np.bool_] = NOTHING,
    seen: npt.NDArray[np.bool_] = NOTHING,
) -> Hits:
    """Return every occurrence of a table's gram in the texts of `text_buffers`, verified word by
    word.

    In the same pass the grams of a study of the same fields are marked in `seen` (bool[grams], in
    place), of those texts that are `wanted` (bool[texts]) and have no hit.

    >>> table = build_table(["to be or not"], [0], gram_words=3)
    >>> hits = scan(*text_buffers(pa.array(["“To be”—or not?"])), table)
    >>> [(int(s), int(e), table.gram_text(g)) for _, s, e, g in zip(*hits)]
    [(1, 10, 'to be or'), (4, 14, 'be or not')]
    """
    given = text_arrays(offsets, data)
    offsets, data, changed = canonical_texts(*given)
    rows = gram_scan.find(offsets, data, table, study, wanted, seen)
    hits = Hits(*(column.copy() for column in rows.T))
    for row in np.intersect1d(changed, hits.document).tolist():
        starts, ends = original_places(text_at(*given, row))
        of_document = slice(*np.searchsorted(hits.document, [row, row + 1]).tolist())
        hits.start[of_document], hits.end[of_document] = (
            starts[hits.start[of_document]],
            ends[hits.end[of_document] - 1],
        )
    return hits


def merge_cuts(starts: Int64s, ends: Int64s, chars: int, margin: int) -> tuple[Int64s, Int64s]:
    """Return (starts, ends) of what to cut from a text of `chars` code points: hits and `margin`
    around them.

    Clipped to the text; overlapping and touching ones merged; ascending. Appendix C.1, margin 200.

    >>> [part.tolist() for part in merge_cuts(np.array([50, 5, 20]), np.array([60, 8, 30]), 65, 10)]
    [[0], [65]]
    >>> [part.tolist() for part in merge_cuts(np.array([50, 5]), np.array([60, 8]), 100, 10)]
    [[0, 40], [18, 70]]
    """
    order = np.argsort(starts, kind="stable")
    starts = np.maximum(np.asarray(starts, np.int64)[order] - margin, 0)
    ends = np.minimum(np.asarray(ends, np.int64)[order] + margin, chars)
    reach = np.maximum.accumulate(ends)
    new = np.ones(len(starts), bool)
    new[1:] = starts[1:] > reach[:-1]
    last = np.ones(len(starts), bool)
    last[:-1] = new[1:]
    return starts[new], reach[last]


def pieces(cut_starts: Int64s, cut_ends: Int64s, chars: int) -> tuple[Int64s, Int64s]:
    """Return (starts, ends) of the non-empty pieces that the cuts leave of a text of `chars` code
    points.

    >>> [part.tolist() for part in pieces(np.array([0, 40]), np.array([18, 70]), 100)]
    [[18, 70], [40, 100]]
    """
    starts = np.concatenate([[0], np.asarray(cut_ends, np.int64)]).astype(np.int64)
    ends = np.concatenate([np.asarray(cut_starts, np.int64), [chars]]).astype(np.int64)
    return starts[starts < ends], ends[starts < ends]


def _first_examples(grams: Int64s, owners: Int64s, n: int) -> tuple[Int64s, Int64s]:
    """Return (indptr int64[n+1], examples): the first MAX_EXAMPLES distinct owners of each gram."""
    order = np.lexsort((owners, grams))
    grams, owners = grams[order], owners[order]
    new = np.ones(len(grams), bool)
    new[1:] = (grams[1:] != grams[:-1]) | (owners[1:] != owners[:-1])
    grams, owners = grams[new], owners[new]
    first = np.searchsorted(grams, np.arange(n))
    kept = np.arange(len(grams)) - first[grams] < MAX_EXAMPLES
    indptr = np.concatenate([[0], np.cumsum(np.bincount(grams[kept], minlength=n))])
    return indptr.astype(np.int64), owners[kept]
