"""Writes cases.jsonl: `python tests/golden/decontamination/make.py`. See README.md beside it.

Every document is put together from filler (words that occur once in the file) and parts marked as matches. What is expected
follows from where the marked parts lie, by the rules of GPT-3's appendix C; nothing here looks for grams.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any
from unicodedata import normalize

MARGIN, LEAST, MOST_PIECES = 200, 200, 10
NUMBERS = count(10_000)
TEXT = (
    "it was the seventh of March when the old ferry left the harbour at Lindholm for the last time with nobody "
    "on board but the keeper of the light his two grey dogs and a crate of lemons that had"
)
QUOTE = TEXT.split()  # forty words


class Match(str):
    """Text that is to be cut out."""


def filler(chars: int) -> str:
    """So many characters of words that occur nowhere else, a space at both ends."""
    text = " "
    while len(text) < chars - 1:
        text += f"word{next(NUMBERS)} "
    return text[: chars - 1].rstrip().ljust(chars - 1, "x") + " "


def words(n: int) -> str:
    return " ".join(QUOTE[:n])


def document(id_: str, *parts: str) -> dict[str, Any]:
    """A document of these parts and what is left of it: every character within 200 of a match goes."""
    text = "".join(parts)
    lead = len(text) - len(text.lstrip())
    text = text.strip()
    gone = [False] * len(text)
    at = -lead
    for part in parts:
        if isinstance(part, Match):
            for i in range(max(0, at - MARGIN), min(len(text), at + len(part) + MARGIN)):
                gone[i] = True
        at += len(part)
    cuts, stays = spans(gone, True), spans(gone, False)
    long = [[start, end] for start, end in stays if end - start >= LEAST]
    reason = None
    if cuts:
        reason = (
            "too_many_pieces" if len(stays) > MOST_PIECES else None if long else "no_piece_left"
        )
    return {
        "id": id_,
        "text": text,
        "cuts": cuts,
        "pieces": [] if reason else long if cuts else [[0, len(text)]],
        "reason": reason,
    }


def spans(gone: list[bool], value: bool) -> list[list[int]]:
    edges = [
        i
        for i in range(len(gone) + 1)
        if (i < len(gone) and gone[i] == value) != (i > 0 and gone[i - 1] == value)
    ]
    return [[start, end] for start, end in zip(edges[::2], edges[1::2], strict=True)]


def case(name: str, why: str, benchmark: list[Any], *documents: dict[str, Any]) -> dict[str, Any]:
    """`benchmark`: a text, or a list of the fields of an example, each."""
    examples = [
        {"id": f"example-{i}", "fields": [fields] if isinstance(fields, str) else fields}
        for i, fields in enumerate(benchmark)
    ]
    return {"case": name, "why": why, "benchmark": examples, "documents": list(documents)}


def around(text: str, before: int = 1000, after: int = 1000) -> dict[str, Any]:
    """One document with `text` in the middle."""
    return document("d", filler(before), text, filler(after))


def lengths() -> Iterator[dict[str, Any]]:
    whole = [words(40)]
    yield case("words-12", "twelve words in a row are no gram", whole, around(words(12)))
    yield case("words-13", "thirteen are one", whole, around(Match(words(13))))
    yield case("words-22", "ten grams that overlap are one cut", whole, around(Match(words(22))))
    yield case(
        "words-23",
        "eleven grams that overlap are one cut, not eleven pieces",
        whole,
        around(Match(words(23))),
    )
    yield case("words-40", "a long quotation is one cut", whole, around(Match(words(40))))
    yield case(
        "example-of-12-words",
        "an example shorter than a gram removes nothing",
        [words(12)],
        around(words(40)),
    )
    fields = [[words(20), " ".join(QUOTE[20:])]]
    inner = Match(words(20)), " ", Match(" ".join(QUOTE[20:]))
    yield case(
        "fields", "both fields are found", fields, document("d", filler(1000), *inner, filler(1000))
    )
    across = [[words(8), " ".join(QUOTE[8:16])]]
    yield case(
        "across-fields", "grams never cross the fields of an example", across, around(words(16))
    )


def spellings() -> Iterator[dict[str, Any]]:
    plain = "it s the keeper s light don t put it out before the boats are in said Orla"
    curly = "“It’s the keeper’s light — don’t put it out before the boats are in!” said Orla"
    straight = "\"It's the keeper's light - don't put it out before the boats are in!\" said Orla"
    inside = curly[1:]
    yield case(
        "curly-quotes",
        "curly and straight apostrophes and quotes break words alike",
        [straight],
        document("d", filler(1000), "“", Match(inside), "”", filler(1000)),
    )
    yield case(
        "no-quotes",
        "punctuation is a word break, as in OpenAI's published grams (“i m”, “u s”)",
        [curly],
        around(Match(plain)),
    )
    joined = plain.replace("it s", "its").replace("don t", "dont")
    yield case(
        "dropped-apostrophes", "an apostrophe left out makes another word", [curly], around(joined)
    )
    dashed = " — ".join(QUOTE[:13])
    yield case(
        "lone-dashes", "a dash between two spaces is no word", [words(13)], around(Match(dashed))
    )
    yield case("case", "lower case is compared", [words(13)], around(Match(words(13).upper())))
    lines = "\n\t".join(QUOTE[:13])
    yield case("white-space", "any white space separates", [words(13)], around(Match(lines)))
    wide = {ord(x) + i: ord(full) + i for x, full in ("aａ", "AＡ") for i in range(26)}
    yield case(
        "full-width-letters",
        "full-width letters are other letters",
        [words(13)],
        around(words(13).translate(wide)),
    )
    yield case(
        "full-width-case",
        "full-width letters have lower case too",
        [words(13).translate(wide)],
        around(Match(words(13).upper().translate(wide))),
    )
    yield case(
        "full-width-punctuation",
        "full-width and ideographic punctuation break words",
        [words(13)],
        around(Match("，".join(QUOTE[:6]) + "。" + "　".join(QUOTE[6:13]))),
    )
    composed = "café naïve rôle Ångström fiancé élan señor über façade jalapeño crème brûlée voilà"
    yield case(
        "combining-in-text",
        "a letter and its accent as two characters are the same word as one",
        [composed],
        around(Match(normalize("NFD", composed))),
    )
    yield case(
        "combining-in-benchmark",
        "and the other way round",
        [normalize("NFD", composed)],
        around(Match(composed)),
    )
    bare = "cafe naive role Angstrom fiance elan senor uber facade jalapeno creme brulee voila"
    yield case("no-accents", "a letter without its accent is another", [composed], around(bare))
    symbols = "a $ b + c = d | e ^ f ` g ~ h < i > j © k ° l € m"
    yield case(
        "symbols",
        "symbols break words as punctuation does",
        ["a b c d e f g h i j k l m"],
        around(Match(symbols)),
    )
    invisible = " ".join(f"{word[0]}\u200b\u00ad{word[1:]}" for word in QUOTE[:13])
    yield case(
        "zero-width",
        "characters that nobody sees, zero width spaces and soft hyphens, do not break words",
        [words(13)],
        around(Match(invisible)),
    )
    yield case(
        "beyond-16-bits",
        "offsets count code points, not UTF-16 or UTF-8",
        [words(13)],
        document("d", "😀😀 𝔸 日本語", filler(1000), Match(words(13)), " 😀" * 100, filler(1000)),
    )


def frequencies() -> Iterator[dict[str, Any]]:
    quoted = [document(f"d{i:02}", filler(500), Match(words(13)), filler(500)) for i in range(10)]
    yield case("ten-documents", "a gram in ten documents is cut from all", [words(13)], *quoted)
    common = [document(f"d{i:02}", filler(500), words(13), filler(500)) for i in range(11)]
    yield case("eleven-documents", "a gram in eleven documents is ignored", [words(13)], *common)
    often = [
        document(f"d{i:02}", filler(500), *([Match(words(13)), filler(500)] * 3)) for i in range(10)
    ]
    yield case(
        "ten-documents-thrice", "documents are counted, not occurrences", [words(13)], *often
    )
    mixed = [document(f"d{i:02}", filler(500), words(13), filler(500)) for i in range(10)]
    last = " ".join(QUOTE[1:14])
    mixed.append(document("d10", filler(500), words(1) + " ", Match(last), filler(500)))
    yield case(
        "one-common-of-two",
        "only the common gram is ignored, not its neighbour",
        [words(14)],
        *mixed,
    )


def places() -> Iterator[dict[str, Any]]:
    quote = [words(13)]
    yield case(
        "at-the-start",
        "a match at the very start",
        quote,
        document("d", Match(words(13)), filler(1000)),
    )
    yield case(
        "at-the-end",
        "a match at the very end",
        quote,
        document("d", filler(1000), Match(words(13))),
    )
    yield case(
        "nothing-else",
        "a document that is nothing but the match",
        quote,
        document("d", Match(words(13))),
    )
    two = Match(words(13))
    for apart, why in (
        (150, "two matches 150 characters apart are one cut"),
        (400, "cuts that touch are one"),
        (401, "401 characters apart leave a piece of one character, which is counted and dropped"),
        (450, "450 characters apart leave a piece of 50, which is counted and dropped"),
    ):
        yield case(
            f"apart-{apart}",
            why,
            quote,
            document("d", filler(1000), two, filler(apart), two, filler(1000)),
        )
    yield case(
        "piece-199",
        "a piece of 199 characters is dropped",
        quote,
        document("d", "x" + filler(398), two, filler(1000)),
    )
    yield case(
        "piece-200",
        "a piece of 200 characters stays",
        quote,
        document("d", "x" + filler(399), two, filler(1000)),
    )
    yield case(
        "short-and-clean",
        "a document that was not cut stays, however short",
        quote,
        document("d", "Nothing shared."),
    )
    yield case(
        "no-piece-left",
        "pieces of 199 on both sides",
        quote,
        document("d", "x" + filler(398), two, filler(398) + "x"),
    )


def counts() -> Iterator[dict[str, Any]]:
    quote = [words(13)]
    two = Match(words(13))

    def pieces(n: int, gap: int = 700) -> dict[str, Any]:
        return document("d", filler(700), *([two, filler(gap)] * (n - 1)))

    yield case("ten-pieces", "ten pieces stay", quote, pieces(10))
    yield case("eleven-pieces", "eleven remove the document", quote, pieces(11))
    yield case(
        "eleven-short-pieces", "pieces too short to stay count as well", quote, pieces(11, 450)
    )
    ended = document("d", filler(700), *([two, filler(700)] * 9), two)
    yield case(
        "ten-cuts-ten-pieces", "a cut that reaches the end makes no piece after it", quote, ended
    )
    touching = document("d", filler(700), *([two, filler(390)] * 30), filler(700))
    yield case("thirty-matches-one-cut", "cuts are counted after they are merged", quote, touching)


def main() -> None:
    cases = [c for group in (lengths, spellings, frequencies, places, counts) for c in group()]
    path = Path(__file__).with_name("cases.jsonl")
    path.write_text(
        "".join(json.dumps(c, ensure_ascii=False) + "\n" for c in cases), encoding="utf-8"
    )
    print(f"{len(cases)} cases, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
