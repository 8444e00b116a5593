"""Apostrophes, language variants, and brackets that lost their words. Linear in the text."""

from __future__ import annotations

import re

from curation.readers.wiki.marks import GONE, UNKNOWN
from curation.readers.wiki.names import VARIANTS

_RUN = re.compile(r"('{2,})")
_VARIANT = re.compile(r"-\{([^{}]*)\}-")
_CODE = re.compile(r"\s*([a-z]{2,3}(?:-[a-z]{2,6})?)\s*:(?!//)(.*)", re.DOTALL)
_HIDES = frozenset("HT-DN")
_MAX_NESTING = 10

# Each begins with one character that is no class, which `re` finds a hundred times as fast.
_BRACKETS = tuple(
    (a, re.compile(rf"\{a}([^\{a}\{b}\n\x01\x02]{{0,2000}}[\x01\x02][^\{a}\{b}\n]{{0,2000}})\{b}"))
    for a, b in (("(", ")"), ("（", "）"), ("[", "]"))
)
_PART = re.compile(r"([;,；，、])")
_NO_WORD = re.compile(r"[\s\x01-\x03'\"’‘“”:：.–—/=≈~-]*")
_EMPTY = re.compile(r"\([\s,;:–—-]*\)")
_MARKS = re.compile("\x01[ \x01]*+([.,;:!?，。；、)\n]?)")
_POWER = re.compile(r"<sup\b[^<>]*>([^<>]{1,30})</sup\s*>", re.IGNORECASE)
_ORDINAL = re.compile(r"(?:st|nd|rd|th|er|re|ère|e|es|os|as|o|a|ª|º|de|te|ème|nde?|me|to)", re.I)
_LABEL = re.compile(r"(?:pronunciation|pronounced|pronunciado|aussprache|prononcé|listen)\W*", re.I)


def without_quotes(line: str) -> str:
    """A line without the apostrophes that mean bold and italic, by MediaWiki's rule (Parser::doQuotes).

    Two mean italic, three bold, five both. Of four the first is text, of more than five all but the
    last five. Where a line has an odd number of both, one bold is an apostrophe and an italic: the
    first behind a word of one letter, else behind a longer word, else behind a space.

    >>> without_quotes("L'''Iliade'' est"), without_quotes("'''Smith''''s book")
    ("L'Iliade est", "Smith's book")
    """
    parts = _RUN.split(line)
    bold = italic = 0
    for at in range(1, len(parts), 2):
        size = len(parts[at])
        text = 1 if size == 4 else max(size - 5, 0)
        parts[at - 1] += "'" * text
        parts[at] = kind = "'" * (size - text)
        bold += len(kind) in (3, 5)
        italic += len(kind) in (2, 5)
    if bold % 2 and italic % 2:
        at = _apostrophe(parts)
        if at:
            parts[at - 1] += "'"
    return "".join(parts[::2])


def _apostrophe(parts: list[str]) -> int:
    """Which run of three is an apostrophe and an italic; 0 for none."""
    behind_word = behind_space = 0
    for at in range(1, len(parts), 2):
        if len(parts[at]) != 3:
            continue
        before = parts[at - 1]
        if before[-1:] == " ":
            behind_space = behind_space or at
        elif before[-2:-1] == " ":
            return at
        else:
            behind_word = behind_word or at
    return behind_word or behind_space


def with_one_variant(text: str, language: str) -> str:
    """Text in which each `-{...}-` is what readers see: the wiki's own variant, else the first.

    >>> with_one_variant("-{zh-hans:电脑;zh-hant:電腦}-, -{H|zh:a}--{b}-", "zh")
    '电脑, b'
    """
    wanted = VARIANTS.get(language, language).split()
    for _ in range(_MAX_NESTING):
        text, count = _VARIANT.subn(lambda rule: _shown(rule[1], wanted), text)
        if not count:
            break
    return text


def _shown(rule: str, wanted: list[str]) -> str:
    flags, bar, body = rule.partition("|")
    if bar and len(flags) <= 100:
        if _HIDES & set(re.split(r"[;\s]+", flags.upper())):
            return ""
    else:
        body = rule
    variants: dict[str, str] = {}
    for part in body.split(";"):
        match = _CODE.fullmatch(part.partition("=>")[2] or part)
        if match is None:
            if part.strip():
                return body
            continue
        variants.setdefault(match[1], match[2].strip())
    for code in wanted:
        if code in variants:
            return variants[code]
    return next(iter(variants.values()), "")


def mended(text: str) -> str:
    """Text without the marks of what is gone, and without what they leave: empty brackets, commas.

    A bracket that lost all its words goes, and so does one in which a computed value is missing; of
    one that lost some, the parts between commas and semicolons that lost all theirs go.

    >>> mended("A (\\x01; born 1850) is (\\x01) a \\x01, b"), mended("$5 (now $\\x02) a")
    ('A (born 1850) is a, b', '$5 a')
    """
    if GONE in text or UNKNOWN in text:
        for _ in range(2):  # brackets in brackets
            before = text
            for sign, pattern in _BRACKETS:
                if sign in text:
                    text = pattern.sub(_bracket, text)
            if text == before:
                break
        text = text.replace(UNKNOWN, GONE).replace(f" {GONE}", f"{GONE} ")
        text = _MARKS.sub(_joined, text)
    return _EMPTY.sub(_unless_call, text)


def _bracket(match: re.Match[str]) -> str:
    content = match[1]
    if UNKNOWN in content:
        return GONE
    pieces = _PART.split(content)
    kept: list[str] = []
    for at in range(0, len(pieces), 2):
        piece = pieces[at]
        if piece.strip() and not (GONE in piece and _has_no_word(piece)):
            kept += [pieces[at - 1], piece] if kept else [piece]
    inside = "".join(kept).strip(f" {GONE}")
    return f"{match[0][0]}{inside}{match[0][-1]}" if inside else GONE


def _has_no_word(part: str) -> bool:
    rest = part.replace(GONE, " ").strip()
    return bool(_NO_WORD.fullmatch(rest) or _LABEL.fullmatch(rest))


def _joined(match: re.Match[str]) -> str:
    """What stands in place of marks and the blanks around them."""
    sign, before = match[1], match.string[match.start() - 1 : match.start()]
    if sign:
        return "" if sign == before and sign in ",;:" else sign
    return " " if " " in match[0] and before not in ("", "\n", "(", "（") else ""


def _unless_call(match: re.Match[str]) -> str:
    """Nothing for an empty bracket; `main()` keeps its own."""
    is_call = len(match[0]) == 2 and match.string[match.start() - 1 : match.start()].strip()
    return match[0] if is_call else ""


def powers(markup: str) -> str:
    """Markup, of MediaWiki or HTML, whose raised numbers are written so that they stay powers.

    >>> powers("10<sup>6</sup> km<sup>2</sup>, ''x''<sup>2</sup>, the 2<sup>nd</sup>")
    "10^6 km2, ''x''^2, the 2nd"
    """
    return _POWER.sub(_power, markup) if "<sup" in markup else markup


def _power(match: re.Match[str]) -> str:
    base = match.string[max(0, match.start() - 4) : match.start()]
    power = match[1].strip()
    is_italic = base.endswith(("''", "</i>")) and not base.endswith("'''")
    if not (base[-1:].isdigit() or base[-1:] == ")" or is_italic) or _ORDINAL.fullmatch(power):
        return power
    return "^" + power.strip("'")
