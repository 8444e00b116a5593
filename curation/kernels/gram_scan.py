"""Grams of benchmarks in texts: one pass over the words finds what is cut (`grams`) and marks what
the study has seen (`ngrams`).

At each word one hash, of the first words of grams, is looked up in a filter. Only where a gram may
begin are the hashes of whole grams made, then a filter of these is asked, then the slots, then the
words themselves. Each of these steps goes over all that is left of a block of words before the next
begins, and has no branch, so that the cache misses of many look-ups overlap. Trap: words that a full
block carries over to the next one begin grams there, not here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from curation.blocks.jit import inner, kernel
from curation.kernels.buffers import Bytes, Int, Offsets, readonly
from curation.kernels.gram_index import filter_shift, lookup
from curation.kernels.growing import with_room
from curation.kernels.unicode import unicode_table
from curation.kernels.words import (
    carry,
    mix64,
    next_words,
    powers_of_base,
    running_hashes,
    word_block,
)

if TYPE_CHECKING:
    from curation.kernels.grams import GramTable
    from curation.kernels.ngrams import NgramTable

FIRST_WORDS = 8  # of a gram: grams of fewer words are short
_FIELDS = {"pool": np.uint8, "starts": np.int64, "ends": np.int64, "hashes": np.uint64,
           "slots": np.int32}  # fmt: skip
_NOTHING = np.zeros(0, np.bool_)


def find(
    offsets: Offsets,
    data: Bytes,
    table: GramTable | None,
    study: NgramTable | None = None,
    wanted: npt.NDArray[np.bool_] = _NOTHING,
    seen: npt.NDArray[np.bool_] = _NOTHING,
) -> npt.NDArray[np.int64]:
    """Return int64[hits, 4] of the grams of `table` in texts of canonical form: text, first code
    point, the one behind it, number of the gram.

    Sets seen[gram] for the grams of `study` in those texts that are wanted and have no hit. Both
    tables, where there are both, are of the same fields.
    """
    cut_words = table.gram_words if table else 1
    widths = study.widths if study else np.zeros(0, np.int64)
    cut_arrays = (*_arrays(table), *_filter(table.filter if table else None))
    study_arrays = (*_arrays(study), *_filter(study.filter if study else None))
    filters = (study.first_filter, study.short_filter) if study else (None, None)
    first, short = ((*_filter(bits)[:2], np.uint64(0)) for bits in filters)
    rows = _find(
        offsets, data, *unicode_table(), cut_words, cut_arrays,
        readonly(np.ascontiguousarray(widths, np.int64)), study_arrays, first, short,
        readonly(wanted), seen,
    )  # fmt: skip
    return np.asarray(rows.reshape(-1, 4), np.int64)


def _arrays(table: GramTable | NgramTable | None) -> tuple[npt.NDArray[np.generic], ...]:
    """The arrays of a table that a gram is looked up in, always of the same types."""
    empty = np.zeros(0)
    return tuple(
        readonly(np.ascontiguousarray(getattr(table, name) if table else empty, kind))
        for name, kind in _FIELDS.items()
    )


def _filter(
    bits: npt.NDArray[np.uint64] | None,
) -> tuple[npt.NDArray[np.uint64], np.uint64, np.uint64]:
    """A filter of one bit for each hash, one that holds nothing for None; the shift that makes a hash
    the place of its bit, and that of its second bit in the same number: the same bit."""
    given = np.zeros(2, np.uint64) if bits is None else np.ascontiguousarray(bits, np.uint64)
    return readonly(given), filter_shift(given), filter_shift(given)


@kernel
def _find(offsets, data, pages, cells, cut_words, cut, widths, study, first, short, wanted, seen):  # type: ignore[no-untyped-def]
    """Return int64[4 * hits]. `cut` and `study`: what `_arrays` and `_filter` return. `first` and
    `short`: filters of the first words of the study's grams."""
    text = (data, pages, cells)
    few, many = widths[widths < FIRST_WORDS], widths[widths >= FIRST_WORDS]
    widest = max(cut_words, FIRST_WORDS)
    for width in widths:
        widest = max(widest, width)
    word_starts, word_ends, hashes, keys = word_block(widest)
    scratch = (np.empty(len(keys), np.int64), np.empty(len(keys), np.int64), keys)
    sums = np.zeros(len(keys) + 1, np.uint64)
    powers = powers_of_base(widest)
    # A gram to cut begins with words that the study's filter knows, where there is a study.
    is_shared = len(widths) > 0 and cut_words >= FIRST_WORDS
    hits, size = np.empty(256, np.int64), np.int64(0)
    log = np.empty(256, np.int64)
    for d in range(len(offsets) - 1):
        i, end = offsets[d], offsets[d + 1]
        at = (i, np.int64(0))
        carried = logged = np.int64(0)
        before = size
        while True:
            i, n = next_words(data, i, end, pages, cells, word_starts, word_ends, hashes, carried)
            running_hashes(hashes, n, sums)
            is_last = n < len(word_starts)
            words = (word_starts, word_ends, sums, powers, n, n if is_last else n - widest + 1)
            begun = np.int64(0)
            if is_shared or (len(many) and wanted[d]):
                begun = _begun(words, FIRST_WORDS, first, scratch)
            if len(cut[1]):
                if is_shared:
                    found = _narrowed(words, cut_words, cut, begun, scratch)
                else:
                    found = _begun(words, cut_words, cut[5:], scratch)
                    found = _narrowed(words, cut_words, cut, found, scratch)
                hits, size, at = _hits(
                    text, words, cut_words, cut, found, scratch, d, hits, size, at
                )
            if len(study[1]) and wanted[d]:
                log, logged = _marked(
                    text, words, few, many, short, study, begun, scratch, seen, log, logged
                )
            if is_last:
                break
            carried = carry(word_starts, word_ends, hashes, n, widest - 1)
        if size > before:
            for k in range(logged):
                seen[log[k]] = False
    return hits[:size].copy()


@inner
def _begun(words, width, bits, scratch):  # type: ignore[no-untyped-def]
    """Write to the first array of scratch the words of a block with which a run of `width` words
    begins whose hash may be in a filter; return how many."""
    _, _, sums, powers, n, limit = words
    out, _, keys = scratch
    power, ahead = powers[width], np.uint64(width)
    count = np.uint64(max(min(limit, n - width + 1), 0))
    for k in range(count):  # a loop of its own, which LLVM vectorises
        keys[k] = mix64(sums[k + ahead] - sums[k] * power)
    size = np.uint64(0)
    for k in range(count):
        out[size] = k
        size += _is_in(bits, keys[k])
    return np.int64(size)


@inner
def _is_in(bits, key):  # type: ignore[no-untyped-def]
    """Return 1 where the filter has both bits of a hash."""
    array, shift, again = bits
    position = key >> shift
    both = array[position >> np.uint64(6)]
    return (
        both >> (position & np.uint64(63)) & both >> (key >> again & np.uint64(63)) & np.uint64(1)
    )


@inner
def _narrowed(words, width, grams, count, scratch):  # type: ignore[no-untyped-def]
    """Write, of the first `count` words in the first array of scratch, those with which a gram may
    begin to the second, and its hash to the third; return how many."""
    _, _, sums, powers, n, _ = words
    slots, bits = grams[4], grams[5:]
    begun, out, keys = scratch
    power, mask = powers[width], np.uint64(len(slots) - 1)
    size = np.uint64(0)
    for j in range(np.uint64(count)):
        k = np.uint64(begun[j])
        last = min(k + np.uint64(width), np.uint64(n))
        key = mix64(sums[last] - sums[k] * power)
        out[size], keys[size] = k, key
        size += _is_in(bits, key) & np.uint64(last - k == np.uint64(width))
    left = np.uint64(0)
    for j in range(size):
        key = keys[j]
        out[left], keys[left] = out[j], key
        left += np.uint64(slots[key & mask] >= 0)
    return np.int64(left)


@inner
def _hits(text, words, width, grams, count, scratch, d, hits, size, at):  # type: ignore[no-untyped-def]
    """Append a hit for each gram among the words that `_narrowed` left; `at` is a byte of the text
    and its code point. Return hits, their size and `at`."""
    starts, ends = words[0], words[1]
    _, out, keys = scratch
    at_byte, at_point = at
    for j in range(count):
        start, stop = starts[out[j]], ends[out[j] + width - 1]
        gram = lookup(text, start, stop, keys[j], grams)
        if gram >= 0:
            hits = with_room(hits, size, 4)
            at_point += _code_points(text[0], at_byte, start)
            at_byte = start
            hits[size], hits[size + 1] = d, at_point
            hits[size + 2] = at_point + _code_points(text[0], start, stop)
            hits[size + 3] = gram
            size += 4
    return hits, size, (at_byte, at_point)


@inner
def _marked(text, words, few, many, short, grams, begun, scratch, seen, log, size):  # type: ignore[no-untyped-def]
    """Mark the grams of a block of words, `begun` of which may begin long ones; return the log of
    those that were not marked before, and its size."""
    starts, ends = words[0], words[1]
    _, out, keys = scratch
    for is_short in range(2):
        if is_short and len(few):
            begun = _begun(words, few[0], short, scratch)
        for width in few if is_short else many:
            for j in range(_narrowed(words, width, grams, begun, scratch)):
                gram = lookup(text, starts[out[j]], ends[out[j] + width - 1], keys[j], grams)
                if gram >= 0 and not seen[gram]:
                    log = with_room(log, size, 1)
                    seen[gram], log[size] = True, gram
                    size += 1
    return log, size


@inner
def _code_points(data: Bytes, start: Int, end: Int) -> Int:
    """Return how many code points start in data[start:end]: all bytes but continuation bytes."""
    n = 0
    for i in range(start, end):
        n += (data[i] & 0xC0) != 0x80
    return n
