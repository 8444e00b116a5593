"""Words as English tokenizers split them: punctuation stands alone, "don't" is "do" and "n't".

The rule decides as spaCy's English tokenizer does, since datatrove's filters count its tokens: text
is cut at white space; at both ends of what is between, quotes, brackets, marks and signs come off
one by one, and "'s", units behind numbers and full stops behind lower-case letters at the end; an
address stays whole; in the rest hyphens between letters, commas between letters, full stops before
capitals and a few other marks split. `contractions.py` has the exceptions. In scripts that are
written without spaces (Chinese, Japanese, Thai and others) each letter is a word; spaCy's English
rule would make one of a whole run.

Functions here keep no count of references (_nrt=False): counting took half of the time, and nothing
is allocated in them. Those of every word are part of their callers (forceinline): a call hands over
every array field by field, which took a fifth of the time.

Linear in the text: each step looks at a bounded number of characters, or takes what it looked at.
A word is known by a hash of 64 bits: among the 10 million different words of a text of 50 MB two
collide with a chance of 3 in a million, and then one repetition is counted too many.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from curation.blocks.jit import inner, kernel
from curation.kernels.addresses import is_address
from curation.kernels.affixes import back_bytes, front_bytes
from curation.kernels.blocks8 import (
    SEED,
    block,
    finished,
    first_bytes,
    hash_bytes,
    letters_ahead,
    step,
)
from curation.kernels.buffers import Bytes
from curation.kernels.characters import (
    AFFIX,
    ALONE,
    HYPHEN,
    ICON,
    LETTER,
    LOWER,
    NUMBER,
    PUNCTUATION,
    QUOTE,
    SPACE,
    SYMBOL,
    TERMINAL,
    UPPER,
    kind_of,
    kinds_table,
    next_point,
)
from curation.kernels.contractions import LONGEST, exceptions, pieces_of

# Bits of a word.
IS_SYMBOL, HAS_LETTER, IS_PUNCTUATION, IS_TERMINAL = 1, 2, 4, 8
_BLANK = ord(" ")
_ELLIPSIS, _APOSTROPHE = 0x2026, ord("'")
_DOT, _COMMA, _PLUS, _COLON = ord("."), ord(","), ord("+"), ord(":")
_SLASH, _DASH, _STAR, _CARET, _TILDE = ord("/"), ord("-"), ord("*"), ord("^"), ord("~")
_LESS, _EQUALS, _GREATER = ord("<"), ord("="), ord(">")


class Rules(NamedTuple):
    """The tables of the rule, in the order in which its functions take them."""

    kinds: npt.NDArray[np.int32]
    table: npt.NDArray[np.int64]
    maybe: npt.NDArray[np.uint8]


def rules() -> Rules:
    """Return the tables of the rule."""
    return Rules(kinds_table(), *exceptions())


@kernel
def room_for_words(size: int) -> npt.NDArray[np.int64]:
    """Return room for the words of a text of `size` bytes: int64[size + 1, 3], see `split_words`.
    Memory that stays unused is not touched."""
    return np.empty((size + 1, 3), np.int64)


@kernel(_nrt=False)
def split_words(
    data: Bytes,
    start: int,
    end: int,
    kinds: npt.NDArray[np.int32],
    table: npt.NDArray[np.int64],
    maybe: npt.NDArray[np.uint8],
    words: npt.NDArray[np.int64],
) -> int:
    """Write the words of data[start:end]; return how many there are.

    words: a row for each: where it starts, bytes from `start`; its hash; its code points, shifted
    by 8, with its bits. The last rows are used as a stack.
    """
    n: Any = np.int64(0)  # a plain 0 has its own type: all below would be compiled twice
    i = start
    ends: Any = False
    while i < end:
        # Nearly all words are letters of ASCII with white space behind, or one mark and then it.
        h, stop = _letters(data, i, end)
        c = data[np.uint64(stop)] if stop < end else np.uint8(_BLANK)
        if stop > i and c < 0x80:
            marked = kinds[c] & SPACE == 0
            ends = not marked
            if marked and (kinds[c] & AFFIX or (c == _DOT and data[stop - 1] >= ord("a"))):
                after = data[np.uint64(stop + 1)] if stop + 1 < end else np.uint8(_BLANK)
                ends = after < 0x80 and kinds[after] & SPACE != 0
                if ends and c in (_DOT, _APOSTROPHE):
                    ends = _exception(data, i, stop + 1, table, maybe) == 0
            if ends:
                n = _add_letters(data, i, stop, h, start, kinds, table, maybe, words, n)
                if marked:
                    n = _add_word(data, stop, stop + 1, start, kinds, words, n)
                i = stop + 1 + marked
                continue
        elif stop == i and c < 0x80 and kinds[c] & SPACE:
            i += 1
            continue
        stop, following = _end_of_run(data, stop, end, kinds)
        if stop == i + 1:
            n = _add_word(data, i, stop, start, kinds, words, n)
        elif stop > i:
            n = _split(data, i, stop, start, kinds, table, maybe, words, n)
        i = following
    return n


@inner(_nrt=False, forceinline=True)
def _letters(data, i, end):  # type: ignore[no-untyped-def]
    """(hash of the letters of ASCII that data[i:end] begins with, where they end)."""
    h = SEED
    j = i
    while True:
        x = block(data, j, end)
        count = letters_ahead(x)
        if count < 8:
            break
        h = step(h, x)
        j += 8
    return finished(step(h, first_bytes(x, count)), j + count - i), j + count


@inner(_nrt=False, forceinline=True)
def _end_of_run(data, i, end, kinds):  # type: ignore[no-untyped-def]
    """(where the run without white space ends, where the text goes on)."""
    while i < end:
        c, following = next_point(data, i, end)
        if kind_of(c, kinds) & SPACE:
            return i, following
        i = following
    return end, end


@inner(_nrt=False, forceinline=True)
def _exception(data, a, b, table, maybe):  # type: ignore[no-untyped-def]
    """The pieces of data[a:b] in the table of exceptions; 0 where it is not there."""
    if a >= b or b - a > LONGEST:
        return np.int64(0)
    return pieces_of(hash_bytes(data, a, b), table, maybe)


@inner(_nrt=False, forceinline=True)
def _add_letters(data, a, b, h, base, kinds, table, maybe, words, n):  # type: ignore[no-untyped-def]
    """Add data[a:b], letters of ASCII whose hash is h."""
    pieces = pieces_of(h, table, maybe)
    if pieces:
        return _add_pieces(data, a, pieces, base, kinds, words, n)
    words[n, 0] = a - base
    words[n, 1] = np.int64(h)
    words[n, 2] = (b - a) << 8 | HAS_LETTER
    return n + 1


@inner(_nrt=False)
def _add_word(data, a, b, base, kinds, words, n):  # type: ignore[no-untyped-def]
    """Add data[a:b]: one word, or more where letters are words of their own."""
    while a < b:
        start = a
        every, some = np.int64(-1), np.int64(0)
        chars = 0
        while a < b:
            c, following = next_point(data, a, b)
            kind = kind_of(c, kinds)
            if kind & ALONE and a > start:
                break
            chars += 1
            every &= kind
            some |= kind
            a = following
            if kind & ALONE:
                break
        bits = ((every & SYMBOL) != 0) * IS_SYMBOL | ((some & LETTER) != 0) * HAS_LETTER
        bits |= ((every & PUNCTUATION) != 0) * IS_PUNCTUATION
        bits |= (chars == 1 and (every & TERMINAL) != 0) * IS_TERMINAL
        words[n, 0] = start - base
        words[n, 1] = np.int64(hash_bytes(data, start, a))
        words[n, 2] = chars << 8 | bits
        n += 1
    return n


@inner(_nrt=False)
def _add_pieces(data, a, pieces, base, kinds, words, n):  # type: ignore[no-untyped-def]
    while pieces:
        size = pieces & 0xFF
        n = _add_word(data, a, a + size, base, kinds, words, n)
        a += size
        pieces >>= 8
    return n


@inner(_nrt=False, forceinline=True)
def _split(data, a, b, base, kinds, table, maybe, words, n):  # type: ignore[no-untyped-def]
    """Add the words of data[a:b], which holds no white space."""
    last = b
    depth = 0
    pieces = np.int64(0)
    while a < b:
        pieces = _exception(data, a, b, table, maybe)
        if pieces:
            break
        front = front_bytes(data, a, b, kinds)
        back = 0
        if front:
            pieces = _exception(data, a + front, b, table, maybe)
        if not pieces:
            back = back_bytes(data, a + front, b, kinds)
            if back:
                pieces = _exception(data, a, b - back, table, maybe)
                front = front if pieces == 0 else 0
        if front:
            n = _add_word(data, a, a + front, base, kinds, words, n)
            a += front
        if back:
            b -= back
            depth += 1
            words[len(words) - depth, 0] = b - base
        if pieces or (front == 0 and back == 0):
            break
    if pieces:
        n = _add_pieces(data, a, pieces, base, kinds, words, n)
    elif a < b:
        n = _add_middle(data, a, b, base, kinds, table, maybe, words, n)
    while depth:
        first = base + words[len(words) - depth, 0]
        depth -= 1
        end = base + words[len(words) - depth, 0] if depth else last
        n = _add_word(data, first, end, base, kinds, words, n)
    return n


@inner(_nrt=False, forceinline=True)
def _add_middle(data, a, b, base, kinds, table, maybe, words, n):  # type: ignore[no-untyped-def]
    """Add data[a:b], of which nothing more comes off at its ends."""
    marked, dotted = False, False
    i = a
    while i < b:
        c, i = next_point(data, i, b)
        marked = marked or kind_of(c, kinds) & (LETTER | NUMBER) == 0
        dotted = dotted or c == _DOT
    if not marked or (dotted and is_address(data, a, b, kinds)):
        return _add_word(data, a, b, base, kinds, words, n)
    piece = i = a
    before = np.int64(0)
    while i < b:
        c, following = next_point(data, i, b)
        kind = kind_of(c, kinds)
        stop = _infix_end(data, i, following, b, c, kind, before, kinds) if i > a else i
        if stop == i:
            i, before = following, kind
            continue
        if i > piece:
            n = _add_piece(data, piece, i, base, kinds, table, maybe, words, n)
        n = _add_word(data, i, stop, base, kinds, words, n)
        piece = i = stop
        before = kind
    if piece < b:
        n = _add_piece(data, piece, b, base, kinds, table, maybe, words, n)
    return n


@inner(_nrt=False)
def _add_piece(data, a, b, base, kinds, table, maybe, words, n):  # type: ignore[no-untyped-def]
    pieces = _exception(data, a, b, table, maybe)
    if pieces:
        return _add_pieces(data, a, pieces, base, kinds, words, n)
    return _add_word(data, a, b, base, kinds, words, n)


@inner(_nrt=False)
def _infix_end(data, i, following, b, c, kind, before, kinds):  # type: ignore[no-untyped-def]
    """Where the mark at i ends that splits a word there; i where none does. before: the kind of
    the character before i."""
    if kind & LETTER:
        return i
    if kind & ICON or c == _ELLIPSIS:
        return following
    ahead, after = np.int64(0), np.int64(0)
    if following < b:
        ahead, _ = next_point(data, following, b)
        after = kind_of(ahead, kinds)
    if c == _DOT:
        if ahead == _DOT:
            while following < b and data[following] == _DOT:
                following += 1
            return following
        return following if before & (LOWER | QUOTE) and after & (UPPER | QUOTE) else i
    if (
        c in (_PLUS, _DASH, _STAR, _CARET)
        and before & NUMBER
        and (after & NUMBER or ahead == _DASH)
    ):
        return following
    if c == _COMMA:
        return following if before & LETTER and after & LETTER else i
    if before & (LETTER | NUMBER) == 0:
        return i
    if c in (_COLON, _LESS, _EQUALS, _GREATER, _SLASH):
        return following if after & LETTER else i
    if kind & HYPHEN:
        for _ in range(3):
            if after & LETTER:
                return following
            # Two or three in a row also split, of one kind.
            if ahead != c or c == _TILDE or following >= b:
                return i
            following = next_point(data, following, b)[1]
            after = np.int64(0)
            if following < b:
                ahead, _ = next_point(data, following, b)
                after = kind_of(ahead, kinds)
    return i
