"""A page's bytes -> counts of what makes a parser slow or large, before a parser sees the page.

One pass, about 1 ns a byte. Every count is an upper bound: a tag counts wherever it stands, in a
comment, a script or an attribute too, so that no trick of nesting hides one. The trap: the end of a
tag depends on its quotes, so what is read as attributes of one tag may be text to a parser; the
tags in it are counted all the same.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from curation.blocks import byte
from curation.blocks.jit import inner, kernel
from curation.blocks.search import place_of
from curation.blocks.vocabulary import FNV_OFFSET, FNV_PRIME

Bytes = npt.NDArray[np.uint8]
MAX_NAMES = 20_000  # distinct names that are counted
_SLOTS, _FEW_SLOTS = 1 << 16, 1 << 11  # of their table, and of one that is enough for most pages
_ERRORS_FOR_A_NODE = 8  # by their memory
_FEW_BYTES = 1 << 20  # of a page with few errors, whatever they are
_MANY = 100  # attributes of a tag; fewer cost a parser nothing that grows
_OFFSET, _PRIME = np.uint64(FNV_OFFSET), np.uint64(FNV_PRIME)


class Shape(NamedTuple):
    """What a page's markup holds, at most.

    tags: signs that may begin a tag, the starts of formatting elements left out; nodes: start
    tags, comments and attributes, and an eighth of the signs that a parser may call errors;
    root_attributes: those of all `html` and `body` tags; names: distinct names of tags and
    attributes, up to `MAX_NAMES` + 1; depth: elements open at once, those left out that need no end
    tag; left_open: formatting elements open at once; squares: the sum over tags with many
    attributes of their number times that of distinct ones.
    """

    tags: int
    nodes: int
    root_attributes: int
    names: int
    depth: int
    left_open: int
    squares: int


class Tags(NamedTuple):
    """Where the signs stand in a page's bytes that may begin a tag.

    starts: int64[T]; ends: int64[T], the position behind the start tag, 0 where it is no start tag
    or stands in what may be another tag's attributes.
    """

    html: bytes
    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]


def _numbers(names: str) -> npt.NDArray[np.int64]:
    """Names' first three letters, each as one number."""
    padded = [name[:3].encode().ljust(3, b"\0") for name in names.split()]
    return np.array([int.from_bytes(name, "big") for name in padded])


# Tags that have no end tag or may go without: they do not nest by being left open.
_FLAT = _numbers(
    "p br hr li dd dt td th tr rt rp img inp lin met bas col par sou tra wbr are emb opt tbo the tfo"
)
_FORMATTING = _numbers("a b big cod em fon i nob s sma str tt u")
_P, _BR, _HTML, _BODY, _SCRIPT = _numbers("p br html body script")


def page_shape(html: bytes) -> Shape:
    """Return the counts of a page in UTF-8.

    >>> page_shape(b"<body a=1 b><div><i><p>x<!-- y --></div>")
    Shape(tags=5, nodes=7, root_attributes=2, names=6, depth=3, left_open=1, squares=0)
    """
    return shape_and_tags(html)[0]


def shape_and_tags(html: bytes) -> tuple[Shape, Tags]:
    """Return the counts of a page in UTF-8, and where its tags are."""
    data = np.frombuffer(html, np.uint8)
    errors = 0
    if len(html) > _FEW_BYTES:  # a parser may keep an error for each control character and entity
        errors = sum(html.count(sign) for sign in (b"&", b"\x0b", b"\x7f"))
        errors += int(np.count_nonzero((data < byte.TAB) | (data - np.uint8(14) < 18)))
    starts = np.flatnonzero(data == byte.LESS_THAN)
    ends = np.zeros(len(starts), np.int64)
    counts = _counts(data, starts, ends, errors, _FEW_SLOTS)
    if counts[_NAMES] > _FEW_SLOTS // 2:
        ends[:] = 0
        counts = _counts(data, starts, ends, errors, _SLOTS)
    return Shape(*counts.tolist()), Tags(html, starts, ends)


_TAGS, _NODES, _ROOT, _NAMES, _DEPTH, _OPEN, _SQUARES = range(7)


@kernel
def _counts(
    html: Bytes, tags: npt.NDArray[np.intp], ends: npt.NDArray[np.int64], errors: int, slots: int
) -> npt.NDArray[np.int64]:
    """Return the counts, and enter in `ends` where start tags end; names up to half of the slots,
    a power of two."""
    n = html.shape[0]
    counts = np.zeros(7, np.int64)
    names = np.zeros(slots, np.uint64)
    levels = np.zeros((7, 2), np.int64)
    nested_bytes, tag_end, in_script = 0, 0, False
    counts[_TAGS] = len(tags)
    for k, i in enumerate(tags):
        is_end = i + 1 < n and html[i + 1] == byte.SLASH
        at = i + 1 + is_end
        name = _name_number(html, at)
        if name == 0:  # a comment, an instruction or only a sign
            following = html[at] if at < n else 0
            is_node = is_end or following == byte.EXCLAMATION or following == byte.QUESTION
            counts[_NODES] += is_node
            errors += not is_node
            continue
        step = -1 if is_end else 1
        if not _is_in(name, _FLAT):
            _climb(_DEPTH, step, levels, counts)
        if _is_in(name, _FORMATTING):
            _climb(_OPEN, step, levels, counts)
            counts[_TAGS] -= not is_end
        in_script = not is_end if name == _SCRIPT else in_script
        if is_end:
            counts[_NODES] += name in (_P, _BR)  # both make an element
            continue
        counts[_NODES] += 1
        is_root = name in (_HTML, _BODY)
        if i < tag_end and not is_root:
            continue
        end, attributes = _attributes(html, at, names, counts)
        if is_root:
            counts[_ROOT] += attributes
        if i >= tag_end:
            tag_end = ends[k] = end
            counts[_NODES] += attributes
            if attributes > _MANY and not in_script:
                counts[_SQUARES] += attributes * min(attributes, counts[_NAMES])
        else:  # inside another tag, where it may be read again and again
            nested_bytes += end - i
            if nested_bytes > n:
                counts[_ROOT] += n
                break
    counts[_NODES] += errors // _ERRORS_FOR_A_NODE
    return counts


@inner(_nrt=False)
def _climb(
    field: int, step: int, levels: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]
) -> None:
    """Keep in `counts` how high a walk of steps rises above its lowest point so far."""
    levels[field, 0] += step
    levels[field, 1] = min(levels[field, 1], levels[field, 0])
    counts[field] = max(counts[field], levels[field, 0] - levels[field, 1])


@inner(_nrt=False)
def _name_number(html: Bytes, at: int) -> int:
    """Return the first three letters of the name that starts here as a number, 0 for no name."""
    number = 0
    for k in range(3):
        small = html[at + k] | 32 if at + k < html.shape[0] else 0
        is_letter = byte.SMALL_A <= small <= byte.SMALL_Z
        if not is_letter and (k == 0 or not byte.ZERO <= small <= byte.NINE):
            return number << 8 * (3 - k)
        number = number << 8 | small
    return number


@inner(_nrt=False)
def _is_in(number: int, numbers: npt.NDArray[np.int64]) -> bool:
    for other in numbers:  # noqa: SIM110 - Numba is faster with a loop
        if number == other:
            return True
    return False


@inner(_nrt=False)
def _attributes(
    html: Bytes, j: int, names: npt.NDArray[np.uint64], counts: npt.NDArray[np.int64]
) -> tuple[int, int]:
    """Return (position behind the tag whose name starts at j, number of its attributes), as the
    standard's tokenizer finds them; enters all names in `names`."""
    n = html.shape[0]
    attributes = -1  # the first name is the tag's own
    while True:
        while j < n and (_is_space(html[j]) or html[j] == byte.SLASH):
            j += 1
        if j >= n or html[j] == byte.GREATER_THAN:
            return j + 1, attributes
        start, h = j, _OFFSET
        while j < n and not (
            _is_space(html[j])
            or html[j] == byte.SLASH
            or html[j] == byte.GREATER_THAN
            or (html[j] == byte.EQUALS and j > start and attributes >= 0)
        ):
            h = (h ^ np.uint64(html[j] | 32)) * _PRIME
            j += 1
        attributes += 1
        _enter(h, names, counts)
        if attributes:
            j = _after_value(html, j)


@inner(_nrt=False)
def _after_value(html: Bytes, j: int) -> int:
    """Return the position behind an attribute's value, where it has one; j is behind its name."""
    n = html.shape[0]
    while j < n and _is_space(html[j]):
        j += 1
    if j >= n or html[j] != byte.EQUALS:
        return j
    j += 1
    while j < n and _is_space(html[j]):
        j += 1
    if j < n and (html[j] == byte.QUOTE or html[j] == byte.APOSTROPHE):
        after: int = place_of(html[j], html, j + 1) + 1
        return after
    while j < n and not _is_space(html[j]) and html[j] != byte.GREATER_THAN:
        j += 1
    return j


@inner(_nrt=False)
def _is_space(c: int) -> bool:
    return c == byte.SPACE or (byte.TAB <= c <= byte.CARRIAGE_RETURN and c != byte.VERTICAL_TAB)


@inner(_nrt=False)
def _enter(h: np.uint64, names: npt.NDArray[np.uint64], counts: npt.NDArray[np.int64]) -> None:
    """Count a name's hash where it is new and not more than `MAX_NAMES` are there, nor more than
    half of the slots."""
    if counts[_NAMES] > min(MAX_NAMES, names.shape[0] // 2):
        return
    mask = np.uint64(names.shape[0] - 1)
    slot = h & mask
    while names[slot] != 0 and names[slot] != h:
        slot = (slot + np.uint64(1)) & mask
    if names[slot] == 0:
        names[slot] = h
        counts[_NAMES] += 1
