"""Language variants, powers, and brackets that lost their words."""

from __future__ import annotations

import re

from curation.readers.wiki.marks import GONE, UNKNOWN
from curation.readers.wiki.names import VARIANTS

_CODE = re.compile(r"\s*([a-z]{2,3}(?:-[a-z]{2,6})?)\s*:(?!//)(.*)", re.DOTALL)
_HIDES = frozenset("HT-DN")
# Each begins with one character that is no class, which `re` finds a hundred times as fast.
_BRACKETS = tuple(
    re.compile(rf"\{a}([^\{a}\{b}\n\x01\x02]{{0,2000}}[\x01\x02][^\{a}\{b}\n]{{0,2000}})\{b}")
    for a, b in ("()", "（）", "[]")
)
_BRACKET_LEAD = re.compile(r"([(（])[ ,;:，；\x03]*\x01[ ,;:，；\x01\x03]*")
_PART = re.compile(r"([;,；，、])")
_NO_WORD = re.compile(r"[\s\x01-\x03'\"’‘“”:：.–—/=≈~-]*")
_POWER = re.compile(r"<sup\b[^<>]*>([^<>]{1,30})</sup\s*>", re.IGNORECASE)
_ORDINAL = re.compile(r"(?:st|nd|rd|th|er|re|ère|e|es|os|as|o|a|ª|º|de|te|ème|nde?|me|to)", re.I)
_LABEL = re.compile(r"(?:pronunciation|pronounced|pronunciado|aussprache|prononcé|listen)\W*", re.I)


def variant_text(rule: str, language: str) -> str:
    """What readers see of `-{rule}-`: the wiki's own variant, else the first.

    >>> variant_text("zh-hans:电脑;zh-hant:電腦", "zh"), variant_text("H|zh:a", "zh")
    ('电脑', '')
    """
    wanted = VARIANTS.get(language, language).split()
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


def with_brackets_mended(line: str) -> str:
    """A line whose brackets have lost what is gone in them.

    A bracket that lost all its words goes, and so does one in which a computed value is missing; of
    one that lost some, the parts between commas and semicolons go that lost all theirs.

    >>> with_brackets_mended("A (\\x01; born 1850), $5 (now $\\x02)").replace("\\x01", "")
    'A (born 1850), $5 '
    """
    for _ in range(2):  # brackets in brackets
        before = line
        for pattern in _BRACKETS:
            line = pattern.sub(_bracket, line)
        if line == before:
            break
    # What holds other brackets loses its beginning at least.
    return _BRACKET_LEAD.sub(r"\1", line)


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


def powers(markup: str) -> str:
    """Markup, of MediaWiki or HTML, whose raised numbers are written so that they stay powers.

    >>> powers("10<sup>6</sup> km<sup>2</sup>, ''x''<sup>2</sup>, the 2<sup>nd</sup>")
    "10^6 km2, ''x''^2, the 2nd"
    """
    out: list[str] = []
    start = 0
    at = markup.find("<")  # of one character, since longer ones are looked for slowly
    while at >= 0:
        if markup[at + 1 : at + 2] == "s" and (power := _POWER.match(markup, at)):
            base = markup[max(0, at - 4) : at]
            out += markup[start:at], _power(base, power[1].strip())
            start = power.end()
        at = markup.find("<", at + 1)
    return "".join([*out, markup[start:]])


def _power(base: str, power: str) -> str:
    is_italic = base.endswith(("''", "</i>")) and not base.endswith("'''")
    if not (base[-1:].isdigit() or base[-1:] == ")" or is_italic) or _ORDINAL.fullmatch(power):
        return power
    return "^" + power.strip("'")
