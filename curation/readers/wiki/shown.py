"""What a template shows, by the table `curation.readers.wiki.templates`.

Costs two or three microseconds a call. A template that shows nothing becomes `GONE`, one whose value
only the wiki itself can compute `UNKNOWN`: marks that the text is cleaned around later.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, NamedTuple

from curation.readers.wiki.marks import GONE, UNKNOWN
from curation.readers.wiki.names import Wiki
from curation.readers.wiki.numbers import FUNCTIONS, Call, with_marks
from curation.readers.wiki.templates import rows

_LANGUAGE = "{1|text|texte}‹, {2|translit}›‹, ‘{3|lit|translation}’›"
_ROWS = rows()
_PIECE = re.compile(r"‹|›|\{([^{}]*)\}|[^‹›{}]+")
_FRENCH_ORDINAL = re.compile(
    r"(?:[ivxlcdm]+|\d+)(?:er|re|e|ère|nd|nde|ème)(?: siècle.*)?", re.IGNORECASE
)
_GERMAN_LANGUAGE = re.compile(r"[A-Za-z][a-z]{1,2}S")
_PRONUNCIATION = re.compile(r"(?:ipac?|api|afi|msapi)\b.*")
_NUMBER_FUNCTIONS = {
    "formatnum", "formatnumber", "zahlenformat", "zahl_formatieren", "formatnombre", "formatnúmero",
    "formatonumero", "форматчисла", "число", "formatonum", "formatarnum", "formatteernum", "liczba",
}  # fmt: skip
_CASES: dict[str, Callable[[str], str]] = {
    "lc": str.lower,
    "uc": str.upper,
    "lcfirst": lambda text: text[:1].lower() + text[1:],
    "ucfirst": lambda text: text[:1].upper() + text[1:],
}
_FUNCTION, _TITLE = "=function", "=title"
_TITLES = frozenset({"pagename", "fullpagename", "subpagename", "basepagename"})
# An unknown template stands for words only behind these, in a line that does not begin with those.
_BEFORE_WORDS = ' \xa0(（["“„«‘—–\n'
_NO_PROSE = "*#:;|!="
_LINE_CHARS = 2000  # how far back the start of its line is looked for


class _Field(NamedTuple):
    keys: tuple[str, ...]
    joined_by: str | None  # all unnamed arguments, joined
    is_shown: bool


class _Group(NamedTuple):
    parts: tuple[Any, ...]


@cache
def _alternatives(shown: str) -> tuple[_Group, ...]:
    return tuple(_parsed(part) for part in shown.split("//"))


def _parsed(shown: str) -> _Group:
    stack: list[list[Any]] = [[]]
    for piece in _PIECE.finditer(shown):
        if piece[0] == "‹":
            stack.append([])
        elif piece[0] == "›":
            group = _Group(tuple(stack.pop()))
            stack[-1].append(group)
        elif piece[1] is None:
            stack[-1].append(piece[0])
        elif piece[1].startswith("*"):
            stack[-1].append(_Field((), piece[1][1:], True))
        else:
            keys = piece[1].removeprefix("?").split("|")
            stack[-1].append(_Field(tuple(keys), None, not piece[1].startswith("?")))
    return _Group(tuple(stack[0]))


def _filled(group: _Group, args: dict[str, str]) -> tuple[str, int, int]:
    """The text of a group, how many of its own fields there are, and how many are there."""
    out: list[str] = []
    fields = present = 0
    for part in group.parts:
        if type(part) is str:
            out.append(part)
        elif type(part) is _Field:
            value = _value(part, args)
            fields += 1
            present += bool(value)
            if part.is_shown:
                out.append(value)
        else:
            text, needed, there = _filled(part, args)
            if there == needed:
                out.append(text)
    return "".join(out), fields, present


def _value(field: _Field, args: dict[str, str]) -> str:
    if field.joined_by is not None:
        values = (args.get(str(n), "") for n in range(1, len(args) + 1))
        return field.joined_by.join(value for value in values if value)
    for key in field.keys:
        if value := args.get(key):
            return value
    return ""


def arguments(rest: str) -> dict[str, str]:
    """The arguments of a template: unnamed ones under their numbers.

    >>> arguments("de|Mühle|size = 2")
    {'1': 'de', '2': 'Mühle', 'size': '2'}
    """
    args: dict[str, str] = {}
    number = 0
    for part in rest.split("|"):
        key, equals, value = part.partition("=")
        if equals:
            args[key.strip().lower()] = value.strip(" \n\t\x01")
        else:
            number += 1
            args[str(number)] = part.strip(" \n\t\x01")
    return args


@lru_cache(maxsize=1 << 14)
def row_of(name: str, language: str) -> str | None:
    """The row of a template by its name as it is written; None for a name that no table knows.

    >>> row_of(" Ref_label", "en"), row_of("Infobox mill", "en"), row_of("lc:A", "en")
    ('', None, '=function')
    """
    raw = name.strip()
    if ":" in raw:
        return _FUNCTION
    name = raw.lower().replace("_", " ")
    row = _ROWS.get(f"{language}:{name}")
    if row is None:
        row = _ROWS.get(name)
    if row is None:
        row = _TITLE if name in _TITLES else _kind(raw, name, language)
    return row


def template_text(body: str, before: list[str], follows: str, wiki: Wiki, title: str) -> str:
    """What the template with this body shows, as markup; `before` has the pieces of text
    before it, `follows` the character behind it.

    >>> from curation.readers.wiki.names import ENGLISH
    >>> template_text("convert|5|km|mi", [], "", ENGLISH, "")
    '5 km'
    """
    raw, bar, rest = body.partition("|")
    row = row_of(raw, wiki.language)
    if row == "":
        return GONE
    if row is None:
        return _unknown(rest if bar else "", before, follows)
    raw = raw.strip()
    if row == _FUNCTION:
        return _function(raw, rest, wiki)
    if row == _TITLE:
        return title
    args = arguments(rest) if bar else {}
    if row[0] == "=":
        return FUNCTIONS[row[1:]](Call(raw, args, _line(before), wiki)) or GONE
    for alternative in _alternatives(row):
        text, fields, present = _filled(alternative, args)
        if present or not fields:
            return text or GONE
    return GONE


def _kind(raw: str, name: str, language: str) -> str | None:
    """The row of a template whose name is one of a kind: lang-de, IPA-fr, enS, XIXe siècle."""
    if name.startswith("lang-"):
        return _LANGUAGE
    if name.startswith(("ipa", "api", "afi")) and _PRONUNCIATION.fullmatch(name):
        return "=pronounced"
    if language == "de" and _GERMAN_LANGUAGE.fullmatch(raw):
        return _LANGUAGE
    if language == "fr" and _FRENCH_ORDINAL.fullmatch(name):
        return "=titled"
    return None


def _line(pieces: list[str]) -> str:
    """The last line, as far as it goes, of joined pieces.

    >>> _line(["a\\nb", "c", ""])
    'bc'
    """
    line = ""
    for piece in reversed(pieces):
        start = piece.rfind("\n", max(0, len(piece) - _LINE_CHARS))
        line = piece[max(start + 1, len(piece) - _LINE_CHARS) :] + line
        if start >= 0 or len(line) >= _LINE_CHARS:
            break
    return line


def _unknown(rest: str, before: list[str], follows: str) -> str:
    """The one argument of a template that the table does not know, where it stands for words."""
    rest = rest.strip()
    if not rest or "|" in rest or "=" in rest or "\n" in rest or "//" in rest:
        return GONE
    line = _line(before)
    if line and line[-1] not in _BEFORE_WORDS:
        return GONE
    if not line.strip():
        return rest if follows not in ("", "\n") else GONE
    return GONE if line[0] in _NO_PROSE else rest


def _function(raw: str, rest: str, wiki: Wiki) -> str:
    """A parser function, `{{name:argument|...}}`."""
    name, _, argument = raw.partition(":")
    name, argument = name.strip().lower(), argument.strip()
    if name in ("subst", "safesubst", "template", "vorlage", "modèle", "шаблон"):
        return template_text(f"{argument}|{rest}" if rest else argument, [], "", wiki, "")
    if name in _NUMBER_FUNCTIONS:
        if rest.strip().lower() in ("r", "nosep"):
            return argument or UNKNOWN
        return with_marks(argument, wiki) if re.search(r"\d", argument) else UNKNOWN
    if name in _CASES:
        return _CASES[name](argument) or GONE
    return UNKNOWN if name.startswith("#exp") or name == "#time" else GONE
