"""Candidate pairs of the buckets of MinHash bands: O(m) of a bucket's m documents, each chosen
among members of higher priority only.

A document is paired with the first of its bucket and with the NEAR before it; where more than ALL
stand before it, the bucket is also cut anew by the document's sketch (four 16-bit pieces of further
MinHash values, each equal with the probability of the Jaccard similarity): with the first of those
that agree with it in one piece, and in two, and with its neighbours on both sides in the order of
sketches. So two pages alike find each other in a bucket of a hundred thousand others, and since
nothing of lower priority is looked at, documents added later change no pair.

Cost: a bucket of m documents yields at most 14 m pairs, in m log m. Trap: rows must come sorted by
key, then by priority.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from curation.blocks.jit import inner, kernel
from curation.kernels.buffers import readonly
from curation.kernels.growing import with_room
from curation.kernels.minhash import PIECES

Int64s = npt.NDArray[np.int64]
OLD, GONE, CROSSED, REFERENCE = 1, 2, 4, 8  # bits of a role: see bucket_pairs
NEAR = 3  # members before a document that it is paired with; one where CLOSE stand before it
ALL = NEAR + 1  # so many before a document are all paired with it
CLOSE = 64
MOST = 14  # pairs that a row may yield


def bucket_pairs(
    keys: Int64s,
    docs: Int64s,
    sketches: Int64s,
    roles: npt.NDArray[np.int8],
    before: int = 0,
    head: int = -1,
) -> tuple[Int64s, Int64s]:
    """Return (a int64[p], b int64[p]): b seeks, a is of higher priority in the same bucket; pairs
    may come twice.

    roles: OLD seeks nobody; GONE is offered to nobody, though it keeps its place; of the CROSSED
    only a REFERENCE has a place and is offered, and only the others seek. before, head: of the
    bucket of the first row, how many with a place came in an earlier window, and the first of them
    (-1: it is not offered).

    >>> one, two = np.zeros(3, np.int64), np.zeros(3, np.int8)
    >>> a, b = bucket_pairs(one, np.array([7, 8, 9]), one, two)
    >>> sorted(zip(a.tolist(), b.tolist()))
    [(7, 8), (7, 9), (8, 9)]
    """
    arrays = [readonly(np.ascontiguousarray(x, np.int64)) for x in (keys, docs, sketches)]
    return _pairs(*arrays, readonly(np.ascontiguousarray(roles, np.int8)), before, head)


def leaving(a: Int64s, b: Int64s, documents: int) -> npt.NDArray[np.bool_]:
    """Return bool[documents]: who leaves, walking pairs in the order given: b does where a has not
    left.

    Pairs come sorted by the priority of b; numbers are in [0, documents).

    >>> leaving(np.array([0, 0, 1]), np.array([1, 2, 2]), 3).tolist()
    [False, True, True]
    >>> leaving(np.array([0, 1]), np.array([1, 2]), 3).tolist()
    [False, True, False]
    """
    arrays = [readonly(np.ascontiguousarray(x, np.int64)) for x in (a, b)]
    return _walk(*arrays, documents)


def placed(roles: npt.NDArray[np.int8]) -> npt.NDArray[np.bool_]:
    """Who has a place in its bucket's order."""
    return ((roles & CROSSED) == 0) | ((roles & REFERENCE) != 0)


@kernel
def _walk(a, b, documents):  # type: ignore[no-untyped-def]
    left = np.zeros(documents, np.bool_)
    for i in range(len(a)):
        if not left[a[i]]:
            left[b[i]] = True
    return left


@inner
def _placed(role):  # type: ignore[no-untyped-def]
    return (role & CROSSED) == 0 or (role & REFERENCE) != 0


@inner
def _seeks(role):  # type: ignore[no-untyped-def]
    return (role & OLD) == 0 and ((role & CROSSED) == 0 or (role & REFERENCE) == 0)


@kernel
def _pairs(keys, docs, sketches, roles, before, head):  # type: ignore[no-untyped-def]
    n = len(keys)
    a, b, size = np.empty(1024, np.int64), np.empty(1024, np.int64), np.int64(0)
    start = 0
    while start < n:
        end = start + 1
        while end < n and keys[end] == keys[start]:
            end += 1
        came, first = (before, head) if start == 0 else (0, -1)
        if end - start > 1 or came:
            a = with_room(a, size, MOST * (end - start))
            b = with_room(b, size, MOST * (end - start))
            ahead = np.empty(end - start, np.int64)
            size = _by_priority(docs[start:end], roles[start:end], came, first, ahead, a, b, size)
            if ahead[-1] > ALL:
                size = _by_sketch(
                    docs[start:end],
                    sketches[start:end],
                    roles[start:end],
                    ahead,
                    keys[start] & 3,
                    a,
                    b,
                    size,
                )
        start = end
    return a[:size].copy(), b[:size].copy()


@inner
def _by_priority(docs, roles, came, head, ahead, a, b, size):  # type: ignore[no-untyped-def]
    """Pairs with the first and those just before; fills `ahead`: how many with a place are before
    each row."""
    last = np.full(NEAR, -1, np.int64)  # -1: nobody, or not offered
    for row in range(len(docs)):
        ahead[row] = came
        if came and _seeks(roles[row]):
            if head >= 0:
                a[size], b[size] = head, docs[row]
                size += 1
            for back in range(NEAR if came <= CLOSE else 1):
                if last[back] >= 0 and last[back] != head:
                    a[size], b[size] = last[back], docs[row]
                    size += 1
        if _placed(roles[row]):
            last[2], last[1] = last[1], last[0]
            last[0] = -1 if roles[row] & GONE else docs[row]
            if not came:
                head = last[0]
            came += 1
    return size


@inner
def _by_sketch(docs, sketches, roles, ahead, turn, a, b, size):  # type: ignore[no-untyped-def]
    """Pairs within what the sketch cuts the bucket into, from four sides; neighbours in the order
    of one of them."""
    n = len(docs)
    turned = np.empty(n, np.uint64)
    for piece in range(PIECES):
        by = np.uint64(16 * piece)
        for row in range(n):
            sketch = np.uint64(sketches[row])
            turned[row] = (
                sketch if piece == 0 else (sketch << by) | (sketch >> (np.uint64(64) - by))
            )
        order = np.argsort(turned, kind="mergesort")
        for shift in (np.uint64(48), np.uint64(32)):
            size = _firsts(docs, roles, ahead, turned, order, shift, a, b, size)
        if piece == turn:
            size = _neighbours(docs, roles, ahead, order, a, b, size)
    return size


@inner
def _firsts(docs, roles, ahead, turned, order, shift, a, b, size):  # type: ignore[no-untyped-def]
    """Each document with the first of those whose sketch begins alike, unless that is the first of
    the bucket."""
    n = len(order)
    start = 0
    while start < n:
        end, first = start, n
        while end < n and turned[order[end]] >> shift == turned[order[start]] >> shift:
            if _placed(roles[order[end]]):
                first = min(first, order[end])
            end += 1
        if first < n and ahead[first] and not roles[first] & GONE:
            for at in range(start, end):
                row = order[at]
                if row > first and ahead[row] > ALL and _seeks(roles[row]):
                    a[size], b[size] = docs[first], docs[row]
                    size += 1
        start = end
    return size


@inner
def _neighbours(docs, roles, ahead, order, a, b, size):  # type: ignore[no-untyped-def]
    """Each document with the nearest before and after it in `order` among those of higher priority.

    Documents are taken out from the last by priority to the first, so that what is left is of
    higher priority; who is gone points to the side, and paths are halved as they are walked.
    """
    n = len(order)
    left, right, place = np.arange(n + 2), np.arange(n + 2), np.empty(n, np.int64)
    for at in range(n):
        place[order[at]] = at + 1
        if not _placed(roles[order[at]]):
            left[at + 1], right[at + 1] = at, at + 2
    for row in range(n - 1, -1, -1):
        at = place[row]
        if ahead[row] > ALL and _seeks(roles[row]):
            for neighbour in (_end(left, at - 1), _end(right, at + 1)):
                if 0 < neighbour <= n and not roles[order[neighbour - 1]] & GONE:
                    a[size], b[size] = docs[order[neighbour - 1]], docs[row]
                    size += 1
        left[at], right[at] = at - 1, at + 1
    return size


@inner
def _end(to, at):  # type: ignore[no-untyped-def]
    while to[at] != at:
        to[at] = to[to[at]]
        at = to[at]
    return at
