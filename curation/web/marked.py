"""A text in segments, each with the marks that lie on it: for colours without a word of HTML."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

MOST_SEGMENTS = 60_000
STRENGTHS = 4


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of text and the names of its marks, in alphabetical order."""

    text: str
    marks: str


def segments(
    text: str, spans: Iterable[tuple[int, int, str]], start: int = 0, stop: int | None = None
) -> list[Segment]:
    """text[start:stop] cut where a mark begins or ends; `spans`: (start, end, name), any order.

    >>> [(s.text, s.marks) for s in segments("abcdef", [(1, 4, "cut"), (3, 5, "mask")])]
    [('a', ''), ('bc', 'cut'), ('d', 'cut mask'), ('e', 'mask'), ('f', '')]
    """
    stop = len(text) if stop is None else min(stop, len(text))
    changes: dict[int, list[tuple[str, int]]] = {}
    for first, last, name in spans:
        first, last = max(first, start), min(last, stop)
        if first < last:
            changes.setdefault(first, []).append((name, 1))
            changes.setdefault(last, []).append((name, -1))
    depth: dict[str, int] = {}
    out, at = [], start
    for place in [*sorted(changes)[:MOST_SEGMENTS], stop]:
        if place > at:
            marks = " ".join(sorted(name for name, count in depth.items() if count))
            out.append(Segment(text[at:place], marks))
            at = place
        for name, step in changes.get(place, ()):
            depth[name] = depth.get(name, 0) + step
    return out


def words_found(text: str, words: str) -> list[Segment]:
    """A text with every place of some words marked, in any case of letters.

    >>> [(s.text, s.marks) for s in words_found("Bread, bread", "bread")]
    [('Bread', 'found'), (', ', ''), ('bread', 'found')]
    """
    pattern = re.compile(re.escape(words), re.IGNORECASE)
    spans = [(*match.span(), "found") for match in pattern.finditer(text)] if words else []
    return segments(text, spans)


def repeated_lines(text: str) -> list[tuple[int, int, str]]:
    """The lines that stood before in the text, as dedup counts them.

    >>> repeated_lines("a\\nb\\na\\n")
    [(4, 5, 'repeated')]
    """
    seen, spans, at = set[str](), [], 0
    for line in text.split("\n"):
        if line and line in seen:
            spans.append((at, at + len(line), "repeated"))
        seen.add(line)
        at += len(line) + 1
    return spans


def weight_spans(words: Iterable[tuple[int, int, float]]) -> list[tuple[int, int, str]]:
    """Words as marks: up1 to up4 for what raises a score, down1 to down4 for what lowers it.

    The strongest words of a text have strength 4.

    >>> weight_spans([(0, 1, 2.0), (2, 3, -0.9), (4, 5, 0.0)])
    [(0, 1, 'up4'), (2, 3, 'down2')]
    """
    words = list(words)
    sizes = sorted((abs(weight) for *_, weight in words), reverse=True)
    top = sizes[len(sizes) // 50] if sizes else 0.0  # one odd word does not pale all others
    spans = []
    for start, end, weight in words:
        strength = min(STRENGTHS, int(STRENGTHS * abs(weight) / top + 0.5)) if top else 0
        if strength:
            spans.append((start, end, f"{'up' if weight > 0 else 'down'}{strength}"))
    return spans
