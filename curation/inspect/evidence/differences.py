"""Where two texts differ, in words: a near duplicate and the document that was kept.

Cost: lines are matched first, words only within lines that differ, and no more than `MOST_WORDS` of
a place.

Trap: white space is no difference, so a text with other line breaks is equal here; a passage that
moved shows as removed at one place and new at another.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass

# Words of each side of a place that are compared one by one; a longer place differs as a whole.
MOST_WORDS = 600
MOST_LINES = 20_000  # of each text
CONTEXT = 8  # words shown on both sides of a difference


@dataclass(frozen=True, slots=True)
class Part:
    """Consecutive words. `kind`: in "both" texts, or only in the "removed" or "kept" one."""

    kind: str
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Differences:
    """All words of both texts in order, as parts."""

    parts: tuple[Part, ...]

    def count(self, kind: str) -> int:
        return sum(len(part.words) for part in self.parts if part.kind == kind)

    @property
    def places(self) -> int:
        """Runs of differing words."""
        return sum(
            part.kind != "both" and (i == 0 or self.parts[i - 1].kind == "both")
            for i, part in enumerate(self.parts)
        )

    def shown(self, most: int) -> Iterator[Part]:
        """The parts of the first `most` places, with a few common words around each.

        `…` marks omitted words.
        """
        places = 0
        for i, part in enumerate(self.parts):
            if part.kind == "both":
                before, after = i > 0, i + 1 < len(self.parts) and places < most
                yield Part("both", _around(part.words, before, after))
                if places == most:
                    return
            else:
                if i == 0 or self.parts[i - 1].kind == "both":
                    places += 1
                yield Part(part.kind, _around(part.words, True, True, 3 * CONTEXT))


def compare(removed: str, kept: str) -> Differences:
    """The words of both texts, matched.

    >>> [(part.kind, " ".join(part.words)) for part in compare("a b c\\nd", "a x c\\nd").parts]
    [('both', 'a'), ('removed', 'b'), ('kept', 'x'), ('both', 'c d')]
    """
    a, b = ([line.split() for line in text.split("\n")] for text in (removed, kept))
    a, b = [words for words in a if words], [words for words in b if words]
    if max(len(a), len(b)) > MOST_LINES or [*map(tuple, a)] == [*map(tuple, b)]:
        a, b = [_chained(a)], [_chained(b)]
    matcher = difflib.SequenceMatcher(
        None, [" ".join(w) for w in a], [" ".join(w) for w in b], autojunk=False
    )
    parts: list[Part] = []
    for tag, a1, a2, b1, b2 in matcher.get_opcodes():
        left, right = _chained(a[a1:a2]), _chained(b[b1:b2])
        parts += [Part("both", tuple(left))] if tag == "equal" else _words(left, right)
    return Differences(tuple(_joined(parts)))


def _chained(lines: list[list[str]]) -> list[str]:
    return [word for line in lines for word in line]


def _words(a: list[str], b: list[str]) -> list[Part]:
    """The words of a place that differs; common ones at both ends are matched first."""
    first = 0
    while first < min(len(a), len(b)) and a[first] == b[first]:
        first += 1
    last = 0
    while last < min(len(a), len(b)) - first and a[-1 - last] == b[-1 - last]:
        last += 1
    left, right = a[first : len(a) - last], b[first : len(b) - last]
    middle = [Part("removed", tuple(left)), Part("kept", tuple(right))]
    if left and right and max(len(left), len(right)) <= MOST_WORDS:
        middle = []
        for tag, a1, a2, b1, b2 in difflib.SequenceMatcher(
            None, left, right, autojunk=False
        ).get_opcodes():
            if tag == "equal":
                middle.append(Part("both", tuple(left[a1:a2])))
            else:
                middle += [Part("removed", tuple(left[a1:a2])), Part("kept", tuple(right[b1:b2]))]
    return [Part("both", tuple(a[:first])), *middle, Part("both", tuple(a[len(a) - last :]))]


def _joined(parts: list[Part]) -> Iterator[Part]:
    """No empty parts, neighbours of one kind joined; in a place removed comes before kept."""
    place: dict[str, tuple[str, ...]] = {}
    both: tuple[str, ...] = ()
    for part in [*parts, Part("end", ("",))]:
        if not part.words:
            continue
        if part.kind == "both":
            yield from (Part(kind, place[kind]) for kind in ("removed", "kept") if place.get(kind))
            place = {}
            both += part.words
        else:
            if both:
                yield Part("both", both)
                both = ()
            if part.kind == "end":
                yield from (
                    Part(kind, place[kind]) for kind in ("removed", "kept") if place.get(kind)
                )
            else:
                place[part.kind] = place.get(part.kind, ()) + part.words


def _around(
    words: tuple[str, ...], before: bool, after: bool, context: int = CONTEXT
) -> tuple[str, ...]:
    """The words next to a difference before or after them; `…` where others are omitted."""
    head, tail = (context if before else 0), (context if after else 0)
    if len(words) <= head + tail + 1:
        return words
    return (*words[:head], "…", *words[len(words) - tail :])
