"""A small fastText classifier as the tables of `kernels.ngram_labels`.

Takes what lid.176.ftz is: quantised vectors of pruned n-grams, no n-grams of words, a hierarchical
softmax whose own vectors are whole. Costs some milliseconds and four megabytes. The trap: fastText
builds the tree of labels when it loads a model, so it is built here in the same way.
"""

from __future__ import annotations

import functools
import re
import struct
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from curation import store
from curation.kernels.ngram_labels import LabelModel, slots, word_slots
from curation.readers import language_model

_ENTRY = re.compile(rb"([^\0]*)\0(.{8})(.)", re.DOTALL)  # name, how often, kind
_SETTINGS, _COUNTS = "<12id", "<3i2q"
_HIERARCHICAL, _SUPERVISED, _CENTRES = 1, 3, 256
_NO_COUNT = 10**15
_LINE_END = b"</s>"


@functools.lru_cache(maxsize=1)
def shipped() -> tuple[LabelModel, list[str]]:
    """Return the tables and the labels of lid.176, read once in a process."""
    return label_model(language_model.shipped())


def label_model(path: str) -> tuple[LabelModel, list[str]]:
    """Return the tables of a model, and its labels without `__label__`.

    Raises ValueError where it is another kind of model.
    """
    with store.open_input(path) as stream:
        _numbers(stream, "<2i")
        settings = _numbers(stream, _SETTINGS)
        dimension, word_ngrams, loss, kind, buckets, shortest, longest = (
            settings[k] for k in (0, 5, 6, 7, 8, 9, 10)
        )
        entries, words, labels, _, pruned = _numbers(stream, _COUNTS)
        if (word_ngrams, loss, kind) != (1, _HIERARCHICAL, _SUPERVISED) or pruned <= 0:
            raise ValueError(f"{path}: not a pruned model of hierarchical softmax")
        names, counts = _entries(stream, entries)
        pairs = np.frombuffer(stream.read(8 * pruned), "<i4").reshape(-1, 2).astype(np.int64)
        rows = _quantised_rows(stream, dimension)
        (is_output_quantised,) = _numbers(stream, "<?")
        shape = _numbers(stream, "<2q")
        if is_output_quantised or shape != (labels, dimension):
            raise ValueError(f"{path}: not a model whose output is whole")
        splits = np.frombuffer(stream.read(4 * labels * dimension), "<f4").reshape(shape)
    keys, places = slots(pairs[:, 0])
    gram_rows = np.where(places >= 0, words + pairs[places, 1], -1).astype(np.int32)
    ends = np.cumsum([0, *map(len, names[:words])], dtype=np.int64)
    data = np.frombuffer(b"".join(names[:words]), np.uint8)
    size = 1 << (4 * words).bit_length()
    model = LabelModel(
        data,
        ends,
        word_slots(data, ends, size),
        keys,
        gram_rows,
        rows,
        splits[: labels - 1].copy(),
        _children(counts[words:]),
        names.index(_LINE_END) if _LINE_END in names[:words] else -1,
        buckets,
        shortest,
        longest,
    )
    return model, [name.decode().removeprefix("__label__") for name in names[words:]]


def _entries(stream: BinaryIO, entries: int) -> tuple[list[bytes], list[int]]:
    """The names of a dictionary's entries and how often each was seen; the stream then stands
    behind them."""
    start = stream.tell()
    found: list[Any] = []
    end = 0
    data = stream.read()
    for match in _ENTRY.finditer(data):
        found.append((match[1], int.from_bytes(match[2], "little")))
        end = match.end()
        if len(found) == entries:
            break
    stream.seek(start + end)
    names, counts = zip(*found, strict=True)
    return list(names), list(counts)


def _quantised_rows(stream: BinaryIO, dimension: int) -> npt.NDArray[np.float32]:
    """Return float32[R, D], the rows of a matrix stored as codes: parts from tables of centres,
    times a norm that may be a code too."""
    (is_quantised,) = _numbers(stream, "<?")
    if not is_quantised:
        raise ValueError("not a quantised model")
    has_norms, count, _, size = _numbers(stream, "<?2qi")
    codes = np.frombuffer(stream.read(size), np.uint8).reshape(count, -1)
    centres = _centres(stream)
    rows = np.concatenate([part[codes[:, k]] for k, part in enumerate(centres)], axis=1)
    if has_norms:
        norm_codes = np.frombuffer(stream.read(count), np.uint8)
        (norms,) = _centres(stream)
        rows = norms[norm_codes] * rows
    if rows.shape != (count, dimension):
        raise ValueError(f"rows of {dimension} numbers expected, got {rows.shape[1]}")
    return np.ascontiguousarray(rows, np.float32)


def _centres(stream: BinaryIO) -> list[npt.NDArray[np.float32]]:
    """Return of each part of a product quantiser float32[256, d], its centres."""
    dimension, parts, size, last = _numbers(stream, "<4i")
    data = np.frombuffer(stream.read(4 * dimension * _CENTRES), "<f4")
    step = size * _CENTRES
    sizes = [size] * (parts - 1) + [last]
    return [
        data[k * step : k * step + width * _CENTRES].reshape(_CENTRES, width)
        for k, width in enumerate(sizes)
    ]


def _children(counts: list[int]) -> npt.NDArray[np.int32]:
    """Return int32[2 L - 1, 2], the Huffman tree of labels that were seen so often, commonest
    first, as fastText builds it."""
    leaves = len(counts)
    weights = [*counts, *[_NO_COUNT] * (leaves - 1)]
    children = np.full((2 * leaves - 1, 2), -1, np.int32)
    leaf, node = leaves - 1, leaves
    for parent in range(leaves, 2 * leaves - 1):
        for side in range(2):
            if leaf >= 0 and weights[leaf] < weights[node]:
                children[parent, side] = leaf
                leaf -= 1
            else:
                children[parent, side] = node
                node += 1
        weights[parent] = sum(weights[child] for child in children[parent])
    return children


def _numbers(stream: BinaryIO, form: str) -> tuple[Any, ...]:
    return struct.unpack(form, stream.read(struct.calcsize(form)))
