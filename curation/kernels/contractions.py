"""Words that the general rule of `english.py` would split wrongly: contractions and abbreviations.

"don't" is "do" and "n't", "cannot" is "can" and "not", "Mr." is one word. They are made from their
parts: a stem and its clitics, with either apostrophe, as they are written and with a capital. The
inventory follows spaCy's English tokenizer, which datatrove uses, as far as it matters: a few face
signs and rare forms are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from curation.blocks.jit import inner
from curation.kernels.blocks8 import hash_bytes
from curation.kernels.buffers import Int, readonly

LONGEST = 18  # bytes of the longest; "shouldn't've" with two curly apostrophes is 16
_SLOTS = 1 << 12
_MAYBE_SLOTS = 1 << 13
_WILL_WOULD = ("'ll", "ll", "'d", "d", "'ll|'ve", "ll|ve", "'d|'ve", "d|ve")
_HAVE, _ARE, _IS = ("'ve", "ve"), ("'re", "re"), ("'s", "s")
_CLITICS = {
    "i": (*_WILL_WOULD, *_HAVE, "'m", "m", "'m|a", "m|a"),
    "you we they": (*_WILL_WOULD, *_HAVE, *_ARE),
    "he she it": (*_WILL_WOULD, *_IS),
    "who what when where why how there": (*_WILL_WOULD, *_HAVE, *_ARE, *_IS),
    "these those": (*_WILL_WOULD, *_HAVE, *_ARE),
    "that this": (*_WILL_WOULD, *_IS),
    "ca could do does did had may might must need ought sha should wo would": (
        *("n't", "nt", "n't|'ve", "nt|ve"),
    ),
    "could might must should would": _HAVE,
    "ai are is was were have has dare": ("n't", "nt"),
}
_WORDS_OF_THEIR_OWN = frozenset(["ill", "its", "hell", "shell", "shed", "were", "well", "whore"])
_PARTS = (
    "y'|all y|all can|not gon|na got|ta let|'s c'm|on how|'d|'y not|'ve not|ve "
    "Can|not Gon|na Got|ta Let|'s C'm|on How|'d|'y Not|'ve Not|ve"
)
_WHOLE = (
    "' '' 's 'S 're 'll 'd 'em 'nuff 'cause 'Cause 'cos 'Cos 'coz 'Coz 'cuz 'Cuz 'bout ma'am Ma'am "
    "o'clock O'clock lovin' Lovin' havin' Havin' doin' Doin' goin' Goin' nothin' Nothin' nuthin' "
    "Nuthin' ol' Ol' somethin' Somethin' and/or w/o C++ "
    # Titles, firms, Latin.
    "Adm. Dr. Gen. Gov. Jr. Messrs. Mr. Mrs. Ms. Ph.D. Prof. Rep. Rev. Sen. St. Mt. Bros. Co. co. "
    "Corp. Inc. Ltd. a.m. p.m. e.g. E.g. E.G. i.e. I.e. I.E. vs. v.s. "
    # Months and states.
    "Jan. Feb. Mar. Apr. Jun. Jul. Aug. Sep. Sept. Oct. Nov. Dec. Ak. Ala. Ariz. Ark. Calif. Colo. "
    "Conn. D.C. Del. Fla. Ga. Ia. Id. Ill. Ind. Kan. Kans. Ky. La. Mass. Md. Mich. Minn. Miss. Mo. "
    "Mont. N.C. N.D. N.H. N.J. N.M. N.Y. Neb. Nebr. Nev. Okla. Ore. Pa. S.C. Tenn. Va. Wash. Wis. "
    "ä. ö. ü. <3 </3 ^_^ -_- o_o O_O >.< (: (-: (; "
)
_EYES, _NOSES, _MOUTHS = ":;=8", ("", "-"), (*")(]/DpP", "))")
_NO_FACES = ("8(", "8]", "8/", "8p", "8P", "8-(", "8-]", "8-/", "8-p", "8-P", "8))", "8-))")


class Exceptions(NamedTuple):
    """The words by hash, open addressing: `table` int64[4096, 2], the hash, 0 where free, and the
    bytes of up to four pieces, eight bits each, the first lowest; `maybe` uint8[8192], 0 at bits
    of hashes that no word of the table has."""

    table: npt.NDArray[np.int64]
    maybe: npt.NDArray[np.uint8]


@lru_cache(maxsize=1)
def exceptions() -> Exceptions:
    """Return the tables, made once."""
    table, maybe = np.zeros((_SLOTS, 2), np.uint64), np.zeros(_MAYBE_SLOTS, np.uint8)
    for word, parts in splits().items():
        data = readonly(np.frombuffer(word.encode(), np.uint8))
        key = int(hash_bytes(data, 0, len(data)))
        slot = key % _SLOTS
        while table[slot, 0]:
            slot = (slot + 1) % _SLOTS
        table[slot] = key, sum(len(part.encode()) << 8 * k for k, part in enumerate(parts))
        maybe[key >> 32 & (_MAYBE_SLOTS - 1)] = 1
    return Exceptions(readonly(table.view(np.int64)), readonly(maybe))


@inner(_nrt=False, forceinline=True)
def pieces_of(h: np.uint64, table: npt.NDArray[np.int64], maybe: npt.NDArray[np.uint8]) -> Int:
    """Return the pieces of the word with that hash; 0 where the table has none."""
    if maybe[(h >> np.uint64(32)) & np.uint64(_MAYBE_SLOTS - 1)] == 0:
        return np.int64(0)
    slot = h & np.uint64(_SLOTS - 1)
    while table[slot, 0]:
        if np.uint64(table[slot, 0]) == h:
            return table[slot, 1]
        slot = (slot + np.uint64(1)) & np.uint64(_SLOTS - 1)
    return np.int64(0)


def splits() -> dict[str, tuple[str, ...]]:
    """Return each word of the table with the words that it is split into.

    >>> table = splits()
    >>> table["can’t"], table["Mr."]
    (('ca', 'n’t'), ('Mr.',))
    """
    return {"".join(parts): parts for parts in sorted(set(_all_parts()))}


def _all_parts() -> Iterator[tuple[str, ...]]:
    for parts in _plain_parts():
        yield parts
        yield tuple(part.replace("'", "’") for part in parts)


def _plain_parts() -> Iterator[tuple[str, ...]]:
    for stems, clitics in _CLITICS.items():
        for stem in stems.split():
            for clitic in clitics:
                if stem + clitic not in _WORDS_OF_THEIR_OWN:
                    yield (stem, *clitic.split("|"))
                    yield (stem.title(), *clitic.split("|"))
    for line in _PARTS.split():
        yield tuple(line.split("|"))
    for word in _WHOLE.split():
        yield (word,)
    for letter in "abcdefghijklmnopqrstuvwxyz":
        yield (f"{letter}.",)
    for hour in range(1, 13):
        for half in ("am", "pm", "a.m.", "p.m."):
            yield (str(hour), half)
    for eyes in _EYES:
        for face in (eyes + nose + mouth for nose in _NOSES for mouth in _MOUTHS):
            if face not in _NO_FACES:
                yield (face,)
