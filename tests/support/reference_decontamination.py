"""Appendix C.1 in the slowest and most obvious way, with a mark for each character: what the stage is compared with."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

Span = tuple[int, int]


def characters(text: str) -> list[tuple[str, int, int]]:
    """(character, start, end), composed, without soft hyphens and zero width characters."""
    found: list[tuple[str, int, int]] = []
    for at, char in enumerate(text):
        if char in "\u00ad\u200b\u200c\u200d\u2060\ufeff":
            continue
        both = unicodedata.normalize("NFC", found[-1][0] + char) if found else ""
        if len(both) == 1:
            found[-1] = (both, found[-1][1], at + 1)
        else:
            found.append((char, at, at + 1))
    return found


def words(text: str) -> list[tuple[str, int, int]]:
    """(word in lower case, start, end) of each run of characters that are not P, S, Z or C."""
    found, word, start, end = [], "", 0, 0
    for char, first, last in [*characters(text), (" ", 0, 0)]:
        if unicodedata.category(char)[0] in "PSZC":
            if word:
                found.append((word, start, end))
            word = ""
        else:
            lower = char.lower()
            start = start if word else first
            end = last
            word += lower if len(lower) == 1 else lower[0]  # one to one: İ is i
    return found


def grams(text: str, width: int) -> list[tuple[str, int, int]]:
    said = words(text)
    runs = [said[i : i + width] for i in range(len(said) - width + 1)]
    return [(" ".join(word for word, _, _ in run), run[0][1], run[-1][2]) for run in runs]


def decontaminate(
    documents: Sequence[str],
    examples: Sequence[Sequence[str]],
    *,
    gram_words: int = 13,
    margin_chars: int = 200,
    min_piece_chars: int = 200,
    max_pieces: int = 10,
    max_documents: int = 10,
) -> list[dict[str, Any]]:
    """`cuts`, `pieces` and `reason` of each document; `examples` are lists of fields."""
    fields = [field for example in examples for field in example]
    wanted = {gram for text in fields for gram, _, _ in grams(text, gram_words)}
    hits = [[hit for hit in grams(text, gram_words) if hit[0] in wanted] for text in documents]
    seen: dict[str, int] = {}
    for own in dict(zip(documents, hits, strict=True)).values():  # equal texts count once
        for gram in {gram for gram, _, _ in own}:
            seen[gram] = seen.get(gram, 0) + 1
    out = []
    for text, own in zip(documents, hits, strict=True):
        gone = [False] * len(text)
        for gram, start, end in own:
            if seen[gram] <= max_documents:
                for at in range(max(0, start - margin_chars), min(len(text), end + margin_chars)):
                    gone[at] = True
        cuts, left = runs_of(gone, True), runs_of(gone, False)
        pieces = [(start, end) for start, end in left if end - start >= min_piece_chars]
        reason = None
        if cuts and len(left) > max_pieces:
            reason = "too_many_pieces"
        elif cuts and not pieces:
            reason = "no_piece_left"
        out.append(
            {
                "cuts": cuts,
                "pieces": [] if reason else pieces if cuts else [(0, len(text))],
                "reason": reason,
            }
        )
    return out


def runs_of(marks: list[bool], value: bool) -> list[Span]:
    """Maximal runs of `value`."""
    found, start = [], None
    for at, mark in enumerate([*marks, not value]):
        if mark == value and start is None:
            start = at
        elif mark != value and start is not None:
            found.append((start, at))
            start = None
    return found
