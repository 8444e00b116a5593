"""Which n-grams of benchmarks a text contains, n differing from benchmark to benchmark (GPT-3,
appendix C.2).

Unlike `grams` this says only whether a gram was seen, so one pass serves every n, and a gram once
seen costs no comparison. Hits are verified word by word, as there. Where no long gram begins with
the words at a place, no n is looked up there but the short ones, whose filter is small. Trap: a
gram's number means nothing in the table of `grams`.
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
from curation.kernels.canonical import canonical_texts
from curation.kernels.gram_index import (
    beginnings,
    empty_slots,
    hash_filter,
    normalised,
    number_grams,
    run_hashes,
)
from curation.kernels.gram_scan import FIRST_WORDS
from curation.kernels.unicode import unicode_table

Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True)
class NgramTable:
    """The distinct n-grams of some fields, for every n together: the words say how many they
    are."""

    widths: Int64s  # the distinct n, ascending
    pool: Bytes  # the fields' words in lower case, one space between
    starts: Int64s  # [grams] of the gram's words in pool, bytes
    ends: Int64s
    hashes: npt.NDArray[np.uint64]
    slots: npt.NDArray[np.int32]
    filter: npt.NDArray[np.uint64]
    first_filter: npt.NDArray[np.uint64]  # of FIRST_WORDS words in a row of any field
    short_filter: npt.NDArray[np.uint64]  # of as many as the least n, of fields with a short n

    def __len__(self) -> int:
        return len(self.starts)


class Texts(NamedTuple):
    """The words of texts in lower case: a pool, offsets of each text in it int64[n+1], words of
    each int64[n]."""

    pool: Bytes
    offsets: Int64s
    words: Int64s


def normalised_texts(texts: Sequence[str]) -> Texts:
    """Return the words of texts.

    >>> normalised_texts(["It’s so.", "—"]).words.tolist()
    [3, 0]
    """
    offsets, data, _ = canonical_texts(*text_buffers(pa.array(texts, pa.large_string())))
    return Texts(*normalised(offsets, data, *unicode_table()))


def build_ngrams(texts: Texts, widths: npt.ArrayLike) -> tuple[NgramTable, Int64s, Int64s]:
    """Return (table, gram of each occurrence, text of each occurrence); text i has grams of
    widths[i] >= 1 words.

    >>> table, grams, fields = build_ngrams(normalised_texts(["a b c", "b c"]), [2, 1])
    >>> table.widths.tolist(), grams.tolist(), fields.tolist()
    ([1, 2], [0, 1, 2, 3], [0, 0, 1, 1])
    """
    each = readonly(np.ascontiguousarray(widths, np.int64))
    if len(each) != len(texts.words) or (len(each) and each.min() < 1):
        raise ValueError(
            f"expected a width of 1 or more for each of {len(texts.words)} texts, "
            f"got {each.tolist()[:5]} ..."
        )
    occurrences = int(np.maximum(texts.words - each + 1, 0).sum())
    slots = empty_slots(occurrences)
    grams, field_of, starts, ends, hashes = number_grams(
        readonly(texts.offsets), readonly(texts.pool), *unicode_table(), each, occurrences, slots
    )
    fewest = each.min() if len(each) else 0
    first = [np.full_like(each, FIRST_WORDS), np.where(each < FIRST_WORDS, fewest, 0)]
    filters = (hash_filter(hashes), *(beginnings(_runs(texts, widths)) for widths in first))
    arrays = (np.unique(each), texts.pool, starts, ends, hashes, slots, *filters)
    return NgramTable(*map(readonly, arrays)), grams, field_of


def _runs(texts: Texts, widths: Int64s) -> npt.NDArray[np.uint64]:
    """The distinct hashes of the runs of widths[i] words of text i; of none where that is 0."""
    arrays = (readonly(texts.offsets), readonly(texts.pool), *unicode_table())
    ordered = np.sort(run_hashes(*arrays, readonly(texts.words), readonly(widths)))
    return ordered[np.diff(ordered, prepend=~ordered[:1]) != 0]  # np.unique takes ten times as long


def mark_seen(
    offsets: Offsets, data: Bytes, table: NgramTable, seen: npt.NDArray[np.bool_]
) -> None:
    """Set seen[gram] (bool[grams], in place) for every gram of the table in the texts of
    `text_buffers`.

    >>> table, _, _ = build_ngrams(normalised_texts(["to be or not", "whether"]), [2, 1])
    >>> seen = np.zeros(len(table), bool)
    >>> mark_seen(*text_buffers(pa.array(["Be—or?", "Not whether"])), table, seen)
    >>> seen.tolist()
    [False, True, False, True]
    """
    offsets, data, _ = canonical_texts(*text_arrays(offsets, data))
    gram_scan.find(offsets, data, None, table, np.ones(len(offsets) - 1, np.bool_), seen)
