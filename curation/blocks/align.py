"""Alignment of two token sequences: which tokens of a page its true text accounts for (labels to
train on).

Dynamic programming over both sequences, about 1.5 ns a cell and one byte of memory for each; the
caller bounds the product. The trap: a plain longest common subsequence scatters the truth over the
page's menus, so a match that follows a match is worth four.
"""

from __future__ import annotations

import numpy as np

from curation.blocks.jit import inner, kernel
from curation.blocks.text import Bools, Bytes, Int32s

_RUN = 4  # what a match is worth that continues a run of matches; any other is worth 1
_NEVER = -(10**8)


@kernel
def matched(a: Int32s, b: Int32s) -> Bools:
    """bool[len(a)]: the tokens of a int32[n] that are matched in the best alignment with b
    int32[m].

    >>> matched(np.array([7, 1, 2, 3, 9], np.int32), np.array([1, 2, 3, 7], np.int32)).tolist()
    [False, True, True, True, False]
    """
    n, m = a.shape[0], b.shape[0]
    # 1 skips a's token, 2 skips b's, 3 is a match; 8 is added where the match continues a run
    moves = np.zeros((n + 1, m + 1), np.uint8)
    best = np.zeros(m + 1, np.int32)
    run = np.full(m + 1, _NEVER, np.int32)  # best value of an alignment that ends in a match
    for i in range(1, n + 1):
        diagonal, diagonal_run = best[0], run[0]
        for j in range(1, m + 1):
            above, above_run = best[j], run[j]
            move = 0
            ends_here = _NEVER
            if a[i - 1] == b[j - 1]:
                ends_here = diagonal + 1
                if diagonal_run + _RUN >= ends_here:
                    ends_here = diagonal_run + _RUN
                    move = 8
            value, step = above, 1
            if best[j - 1] > value:
                value, step = best[j - 1], 2
            if ends_here >= value:
                value, step = ends_here, 3
            best[j], run[j], moves[i, j] = value, ends_here, move | step
            diagonal, diagonal_run = above, above_run
    return _trace(moves)


@inner
def _trace(moves: Bytes) -> Bools:
    i, j = moves.shape[0] - 1, moves.shape[1] - 1
    is_matched = np.zeros(i, np.bool_)
    in_run = False
    while i > 0 and j > 0:
        move = moves[i, j]
        if in_run or move & 3 == 3:
            is_matched[i - 1] = True
            in_run = move & 8 != 0
            i -= 1
            j -= 1
        elif move & 3 == 1:
            i -= 1
        else:
            j -= 1
    return is_matched
