"""Phone numbers and payment cards in texts.

Phone: "+", a digit 1 to 9 and more digits, 8 to 15 in all, with single spaces, dots, hyphens or
brackets between them (ITU-T E.164); or North America's ten digits, area and exchange from 200 on,
written "(212) 555-0100", "212-555-0100", "212.555.0100", "212 555 0100", perhaps with "1" before.
Card: digits in one piece, in fours, or four, six and the rest, with spaces or with hyphens; of a
prefix and length that the issuer has (ISO/IEC 7812), and with Luhn's check digit.

Nothing of a word or number stands beside either. Both are guesses: ten digits in three groups may
be an article's number. So neither is searched unless asked for.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from curation.blocks.jit import inner, kernel
from curation.kernels.buffers import Bytes, Int, Offsets
from curation.kernels.growing import with_room
from curation.kernels.pii_bytes import byte_table, is_digit, is_word, local_end

Int64s = npt.NDArray[np.int64]
_PLUS, _OPEN, _CLOSE, _SPACE, _HYPHEN, _DOT, _AT, _ZERO, _ONE, _TWO = (ord(c) for c in "+() -.@012")
_LEAST_PHONE, _MOST_PHONE = 8, 15  # digits
_LEAST_CARD, _MOST_CARD = 13, 19
_PHONE, _CARD = 0, 1


def find_phones(offsets: Offsets, data: Bytes) -> tuple[Int64s, Int64s, Int64s]:
    """Return how many phone numbers each text has, and the first byte and the end of each.

    >>> import pyarrow as pa
    >>> from curation.kernels.buffers import text_buffers
    >>> texts = pa.array(["Tel. (212) 555-0100 or +49 30 1234567", "123-456-7890"])
    >>> [column.tolist() for column in find_phones(*text_buffers(texts))]
    [[2, 0], [5, 23], [19, 37]]
    """
    return _numbers(offsets, data, _PHONE, byte_table())


def find_cards(offsets: Offsets, data: Bytes) -> tuple[Int64s, Int64s, Int64s]:
    """Return how many card numbers each text has, and the first byte and the end of each.

    >>> import pyarrow as pa
    >>> from curation.kernels.buffers import text_buffers
    >>> texts = pa.array(["4111 1111 1111 1111, exp. 12/30", "4111 1111 1111 1112"])
    >>> [column.tolist() for column in find_cards(*text_buffers(texts))]
    [[1, 0], [0], [19]]
    """
    return _numbers(offsets, data, _CARD, byte_table())


@kernel
def _numbers(offsets, data, kind, table):  # type: ignore[no-untyped-def]
    counts = np.zeros(len(offsets) - 1, np.int64)
    starts, ends = np.empty(64, np.int64), np.empty(64, np.int64)
    n = 0
    for row in range(len(counts)):
        begin, end = offsets[row], offsets[row + 1]
        i = looked = begin  # up to `looked` it is known whether an "@" follows
        at_follows = False
        while i < end:
            c = data[i]
            if c > 57 or not (is_digit(c) or c in (_PLUS, _OPEN)):
                i += 1
                continue
            stop = 0
            if i == begin or _may_precede(data[i - 1]):
                stop = _phone_end(data, i, end) if kind == _PHONE else _card_end(data, i, end)
            if stop > looked:
                looked, at_follows = local_end(data, stop, end, table)
            if stop and not at_follows:
                starts, ends = with_room(starts, n, 1), with_room(ends, n, 1)
                starts[n], ends[n] = i, stop
                counts[row] += 1
                n += 1
                i = stop
                continue
            i += 1
            while is_digit(c) and i < end and is_digit(data[i]):
                i += 1
    return counts, starts[:n], ends[:n]


@inner
def _may_precede(c: np.uint8) -> bool:
    return not (is_word(c) or c in (_DOT, _HYPHEN, _AT, _PLUS))


@inner
def _ends_number(data: Bytes, i: int, end: int) -> bool:
    """Whether a number may end before data[i]: no word goes on, and no further group of digits."""
    if i >= end:
        return True
    if is_word(data[i]) or data[i] == _PLUS:
        return False
    joins = data[i] == _DOT or data[i] == _HYPHEN
    return not (joins and i + 1 < end and is_digit(data[i + 1]))


@inner
def _digits(data: Bytes, i: int, end: int, most: int) -> int:
    """How many digits begin at data[i], at most `most`."""
    n = 0
    while n < most and i + n < end and is_digit(data[i + n]):
        n += 1
    return n


@inner
def _phone_end(data: Bytes, i: int, end: int) -> int:
    """Where the phone number that begins at data[i] ends, or 0."""
    if data[i] == _PLUS:
        return _international_end(data, i + 1, end)
    if data[i] == _ONE and i + 1 < end and _separates(data[i + 1]):
        i += 2
    return _national_end(data, i, end)


@inner
def _separates(c: np.uint8) -> bool:
    return c in (_SPACE, _DOT, _HYPHEN)


@inner
def _national_end(data: Bytes, i: int, end: int) -> int:
    bracket = i < end and data[i] == _OPEN
    i += bracket
    if _digits(data, i, end, 4) != 3 or data[i] < _TWO or i + 3 >= end:
        return 0
    i += 3
    if bracket:
        if data[i] != _CLOSE:
            return 0
        i += 1
        if i < end and data[i] == _SPACE:
            i += 1
    elif _separates(data[i]):
        i += 1
    else:
        return 0
    if (
        _digits(data, i, end, 4) != 3
        or data[i] < _TWO
        or i + 3 >= end
        or not _separates(data[i + 3])
    ):
        return 0
    i += 4
    if _digits(data, i, end, 5) != 4 or not _ends_number(data, i + 4, end):
        return 0
    return i + 4


@inner
def _international_end(data: Bytes, i: int, end: int) -> int:
    """The longest number whose groups are 15 digits or fewer in all.

    Where a dot or a hyphen comes first, it stands between all groups; else there is none of dots.
    """
    if i >= end or data[i] < _ONE or data[i] > 57:
        return 0
    found, total, only = 0, 0, 0
    while True:
        group = _digits(data, i, end, _MOST_PHONE + 1)
        total += group
        if group == 0 or total > _MOST_PHONE:
            break
        i += group
        if total >= _LEAST_PHONE and _ends_number(data, i, end):
            found = i
        if i == end:
            break
        if only == 0:
            only = data[i] if data[i] in (_DOT, _HYPHEN) else _SPACE
        between = i
        while i < end and i < between + (2 if only == _SPACE else 1):
            c = data[i]
            if c != only and not (only == _SPACE and c in (_HYPHEN, _OPEN, _CLOSE)):
                break
            i += 1
        if i == between:
            break
    return found


@inner
def _card_end(data: Bytes, i: int, end: int) -> int:
    """Where the card number that begins at data[i] ends, or 0: in one piece, in fours, or 4-6-n."""
    solid = _digits(data, i, end, _MOST_CARD + 1)
    if solid != 4:
        is_card = _LEAST_CARD <= solid <= _MOST_CARD and _ends_number(data, i + solid, end)
        return i + solid if is_card and _is_card(data, i, i + solid) else 0
    if i + 4 >= end or (data[i + 4] != _SPACE and data[i + 4] != _HYPHEN):
        return 0
    separator, found, total, at = data[i + 4], 0, 4, i + 4
    while total < _MOST_CARD and at < end and data[at] == separator:
        group = _digits(data, at + 1, end, 7)
        last = group != 4
        fits = 1 <= group <= 4 or (group == 6 and total == 4) or (group == 5 and total == 10)
        if not fits:
            break
        at += 1 + group
        total += group
        if total >= _LEAST_CARD and _ends_number(data, at, end) and _is_card(data, i, at):
            found = at
        if last and group != 6:
            break
    return found


@inner
def _is_card(data: Bytes, start: int, end: int) -> bool:
    """Whether the digits in data[start:end] have an issuer's prefix and length, and Luhn's check
    digit."""
    prefix: Int = 0
    check: Int = 0
    digits = 0
    for k in range(end - 1, start - 1, -1):
        if not is_digit(data[k]):
            continue
        number = np.int64(data[k]) - _ZERO
        if digits % 2:
            number = 2 * number - (9 if number > 4 else 0)
        check += number
        digits += 1
    seen = 0
    for k in range(start, end):
        if seen < 4 and is_digit(data[k]):
            prefix = prefix * 10 + np.int64(data[k]) - _ZERO
            seen += 1
    return check % 10 == 0 and _is_issued(prefix, digits)


@inner
def _is_issued(prefix: int, digits: int) -> bool:
    """Whether an issuer has numbers with these first four digits and this length."""
    two = prefix // 100
    if two // 10 == 4:  # Visa
        return digits in (13, 16, 19)
    if 51 <= two <= 55 or 2221 <= prefix <= 2720:  # Mastercard
        return digits == 16
    if two in (34, 37):  # American Express
        return digits == 15
    if 300 <= prefix // 10 <= 305 or two in (36, 38, 39):  # Diners Club
        return 14 <= digits <= 19
    # Discover, JCB, UnionPay
    if prefix == 6011 or 644 <= prefix // 10 <= 659 or 3528 <= prefix <= 3589 or two == 62:
        return 16 <= digits <= 19
    return False
