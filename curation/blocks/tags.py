"""Where the tags of a page stand that may say what it allows: `meta`, `link`, `a` and `area` that
speak of a licence, and scripts of JSON-LD.

Takes the tags that `blocks.shape` has found, so that it costs some nanoseconds a tag. Comments, raw
text, templates and the values of attributes are passed over as the standard's tokenizer does. The
trap: no tree is built; inside of what a tag stands is known by counting the start and end tags of a
few names.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from curation.blocks import byte
from curation.blocks.jit import inner, kernel
from curation.blocks.shape import Bytes, Tags

Int64s = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
MAX_TAGS = 2000  # of a page that are given back
META, LINK, ANCHOR, JSON_LD = range(4)
_M, _E, _T, _Y = b"mety"


def _number(name: str) -> np.uint64:
    """The first eight letters of a name as one number."""
    return np.uint64(int.from_bytes(name.encode()[:8].ljust(8, b"\0"), "big"))


def _numbers(names: str) -> npt.NDArray[np.uint64]:
    return np.array([_number(name) for name in names.split()], np.uint64)


_META, _LINK, _A, _AREA, _SCRIPT, _TEMPLATE = map(
    _number, ["meta", "link", "a", "area", "script", "template"]
)
# Their content is text up to their end tag.
_RAW = _numbers("script style textarea title xmp iframe noembed noframes")
# What they hold is not of the page, but of a picture or another work.
_ASIDE = _numbers("figure figcaption blockquote")
_LETTERS = np.zeros(256, np.bool_)  # first ones of the names above
_LETTERS[[ord(letter) for letter in "mlastxinfbMLASTXINFB"]] = True
_TEMPLATES, _ASIDES = range(2)


def _steps(word: bytes) -> Bytes:
    """Return uint8[256], how far a search for a word may go on behind each sign (Horspool)."""
    steps = np.full(256, len(word), np.uint8)
    for k, letter in enumerate(word):
        steps[[letter, ord(chr(letter).upper())]] = len(word) - 1 - k
    return steps


_LICEN, _LD_JSON = b"licen", b"ld+json"
_LICEN_STEPS, _LD_JSON_STEPS = _steps(_LICEN), _steps(_LD_JSON)


def first_letters(names: Iterable[str]) -> Flags:
    """Return bool[1 << 16], the pairs of letters that one of the names begins with."""
    pairs = np.zeros(1 << 16, np.bool_)
    pairs[[int.from_bytes(name.encode()[:2], "big") for name in names]] = True
    return pairs


def rights_tags(tags: Tags, meta_names: Flags) -> Int64s:
    """Return int64[n, 5], in the order of the page: kind, whether the tag stands in a figure or a
    quotation, where it begins, where it ends, and where the content of a script ends.

    Kinds are META (those whose name begins with one of `meta_names`, as `first_letters` returns
    them), LINK and ANCHOR (those that hold "licen", in any case), JSON_LD.

    >>> from curation.blocks.shape import shape_and_tags
    >>> html = b'<!--<meta name=robots>--><meta name="robots"><script type="application/ld+json">{}'
    >>> rights_tags(shape_and_tags(html)[1], first_letters(["robots"])).tolist()
    [[0, 0, 25, 45, 45], [3, 0, 45, 80, 82]]
    """
    html = np.frombuffer(tags.html, np.uint8)
    return _rights_tags(html, tags.starts, tags.ends, meta_names)


@kernel
def _rights_tags(
    html: Bytes, starts: npt.NDArray[np.intp], ends: Int64s, meta_names: Flags
) -> Int64s:
    count = 0
    rows = np.empty((16, 5), np.int64)
    n, after = html.shape[0], np.int64(0)
    state = np.zeros(2, np.int64)
    for k in range(len(starts)):
        i = starts[k]
        if i < after or i + 1 >= n:
            continue
        c = html[i + 1]
        if c == byte.EXCLAMATION or c == byte.QUESTION:
            after = _after_comment(html, i)
            continue
        if c == byte.SLASH:
            if state[_TEMPLATES] + state[_ASIDES]:
                _leave(_name(html, i + 2), state)
            continue
        if not byte.SMALL_A <= c | 32 <= byte.SMALL_Z:
            continue
        end = ends[k] if ends[k] else _tag_end(html, i + 1)
        after = end
        if not _LETTERS[c]:
            continue
        name = _name(html, i + 1)
        kind = _kind(html, name, i, end, meta_names)
        if _is_in(name, _RAW):
            after = _raw_end(html, starts, k, end, name)
        else:
            _enter(name, state)
        if kind < 0 or state[_TEMPLATES]:
            continue
        if count == len(rows):
            larger = np.empty((2 * count, 5), np.int64)
            larger[:count] = rows
            rows = larger
        row = rows[count]
        row[0], row[1] = kind, np.int64(state[_ASIDES] > 0)
        row[2], row[3], row[4] = i, min(end, n), min(after, n)
        count += 1
        if count == MAX_TAGS:
            break
    return rows[:count]


@inner(_nrt=False)
def _kind(html: Bytes, name: np.uint64, i: int, end: int, meta_names: Flags) -> int:
    """Return the kind of a start tag in html[i:end], -1 for none."""
    if name == _META:
        return META if _has_name(html, i, min(end, html.shape[0]), meta_names) else -1
    if name in (_A, _LINK, _AREA):
        if _holds(html, i, end, _LICEN, _LICEN_STEPS):
            return LINK if name == _LINK else ANCHOR
    elif name == _SCRIPT and _holds(html, i, end, _LD_JSON, _LD_JSON_STEPS):
        return JSON_LD
    return -1


@inner(_nrt=False)
def _has_name(html: Bytes, i: int, end: int, meta_names: Flags) -> bool:
    """Return whether the value of an attribute whose name ends in "name" or "property" begins with
    one of the pairs of letters."""
    for j in range(i + 9, end - 2):
        if html[j] != byte.EQUALS:
            continue
        k = j - 1
        while html[k] <= byte.SPACE:
            k -= 1
        two = (html[k - 1] | 32, html[k] | 32)
        if two != (_M, _E) and two != (_T, _Y):
            continue
        k = j + 1
        while k < end and (html[k] <= byte.SPACE or html[k] in (byte.QUOTE, byte.APOSTROPHE)):
            k += 1
        if k + 1 < end and meta_names[(html[k] | 32) << 8 | html[k + 1] | 32]:
            return True
    return False


@inner(_nrt=False)
def _enter(name: np.uint64, state: Int64s) -> None:
    state[_TEMPLATES] += name == _TEMPLATE
    state[_ASIDES] += _is_in(name, _ASIDE)


@inner(_nrt=False)
def _leave(name: np.uint64, state: Int64s) -> None:
    if name == _TEMPLATE:
        state[_TEMPLATES] = max(state[_TEMPLATES] - 1, 0)
    elif _is_in(name, _ASIDE):
        state[_ASIDES] = max(state[_ASIDES] - 1, 0)


@inner(_nrt=False)
def _name(html: Bytes, at: int) -> np.uint64:
    """Return the first eight signs of the name that starts here, letters small."""
    number, shift = np.uint64(0), 56
    for k in range(at, min(at + 8, html.shape[0])):
        c = html[k]
        if c <= byte.SPACE or c == byte.SLASH or c == byte.GREATER_THAN:
            break
        if byte.CAPITAL_A <= c <= byte.CAPITAL_Z:
            c |= 32
        number |= np.uint64(c) << np.uint64(shift)
        shift -= 8
    return number


@inner(_nrt=False)
def _is_in(number: np.uint64, numbers: npt.NDArray[np.uint64]) -> bool:
    for other in numbers:  # noqa: SIM110 - Numba is faster with a loop
        if number == other:
            return True
    return False


@inner(_nrt=False)
def _after_comment(html: Bytes, i: int) -> int:
    """Return the position behind the comment, or the like, that begins at i."""
    n = html.shape[0]
    j = i + 2
    is_comment = j + 1 < n and html[j] == byte.HYPHEN and html[j + 1] == byte.HYPHEN
    while j < n:
        if html[j] == byte.GREATER_THAN:
            if not is_comment:
                return j + 1
            # Also "<!-->" and "<!--->" end one, and "--!>" does.
            k = j - 1 - (html[j - 1] == byte.EXCLAMATION and j > i + 6)
            if html[k] == byte.HYPHEN and html[k - 1] == byte.HYPHEN:
                return j + 1
        j += 1
    return n


@inner(_nrt=False)
def _tag_end(html: Bytes, j: int) -> int:
    """Return the position behind the start tag whose name is at j; a quote hides signs behind an
    equals sign only."""
    n = html.shape[0]
    while j < n:
        c = html[j]
        if c == byte.GREATER_THAN:
            return j + 1
        if c == byte.QUOTE or c == byte.APOSTROPHE:
            before = j - 1
            while before > 0 and html[before] <= byte.SPACE:
                before -= 1
            if html[before] == byte.EQUALS:
                j += 1
                while j < n and html[j] != c:
                    j += 1
        j += 1
    return n


@inner(_nrt=False)
def _raw_end(html: Bytes, starts: npt.NDArray[np.intp], k: int, after: int, name: np.uint64) -> int:
    """Return where the end tag of a raw text element begins, whose start tag ends at `after`."""
    n = html.shape[0]
    for at in range(k + 1, len(starts)):
        i = starts[at]
        if i >= after and i + 2 < n and html[i + 1] == byte.SLASH and _name(html, i + 2) == name:
            return i
    return n


@inner(_nrt=False)
def _holds(html: Bytes, i: int, end: int, word: bytes, steps: Bytes) -> bool:
    """Return whether html[i:end] holds a word in small or capital letters; `steps` is how far it
    may begin behind a sign that stands where it would end."""
    last = len(word) - 1
    at = i + last
    end = min(end, html.shape[0])
    while at < end:
        step = steps[html[at]]
        if step == 0:
            k = 1
            while k <= last and html[at - k] | 32 == word[last - k] | 32:
                k += 1
            if k > last:
                return True
            step = 1
        at += step
    return False
