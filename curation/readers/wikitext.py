"""MediaWiki markup -> text: links by their words, templates by what they show, headings and lists as
lines; tables, notes, files gone.

Costs about 4 ms for 100 KB of markup, linear in its length whatever it holds. mwparserfromhell, the
usual choice, takes sixteen times as long, and minutes for 300 KB of unclosed links or tags. The traps:
constructs nest, so they are taken from the inside out; what is dropped leaves "( ; )" and empty
headings, so its place is marked until the brackets around it are mended.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from curation.readers.wiki.inline import mended, powers, with_one_variant, without_quotes
from curation.readers.wiki.marks import (
    EQUALS,
    GOES_ON,
    GONE,
    PIPE,
    SPLIT,
    as_text,
    entities,
    signs,
    without_codes,
)
from curation.readers.wiki.names import ENGLISH, MEDIA_NAMES, Wiki
from curation.readers.wiki.shown import template_text

_BLOCK_TAGS = {
    "p", "div", "blockquote", "br", "li", "ul", "ol", "dl", "center", "poem", "dd", "dt", "hr", "section",
}  # fmt: skip
# What stands in these tags is no markup: text that is shown, formulas, and what is not shown.
_TEXT_TAGS = ("nowiki", "pre", "math", "chem", "ce")
_CODE_TAGS = ("syntaxhighlight", "source")
_DROPPED_TAGS = (
    "ref|references|gallery|timeline|score|imagemap|hiero|graph|style|script|includeonly|indicator|"
    "mapframe|templatedata|categorytree|inputbox|rt|rp|rtc"
)
_NAMES = "|".join((*_TEXT_TAGS, *_CODE_TAGS, _DROPPED_TAGS))
_MAX_NESTING = 40

_NO_MARKUP = re.compile(
    r"<!--(?P<comment>(?:(?!<!--).)*?)-->(?P<rest>[ \t]*\n)?"
    rf"|<(?P<tag>{_NAMES})\b(?P<attributes>[^<>]*?)"
    r"(?:/>|>(?P<content>[^<]*+(?:<(?!/?(?P=tag)\b(?![^<>]*/>))[^<]*+)*+)</(?P=tag)\s*>)",
    re.IGNORECASE | re.DOTALL,
)
# Loops over one character are written as runs: `re` takes them three times as fast.
_INNER_TEMPLATE = re.compile(r"\{\{([^{}]*+(?:(?:(?<!\{)\{(?!\{)|(?<!\})\}(?!\}))[^{}]*+)*+)\}\}")
_INNER_TABLE = re.compile(r"\{\|[^{|]*+(?:(?!\{\||\|\})[{|][^{|]*+)*+\|\}(?!\})")
_INNER_HTML_TABLE = re.compile(
    r"<table\b[^<]*+(?:<(?!/?table\b)[^<]*+)*+</table\s*>", re.IGNORECASE
)
_HIDDEN = re.compile(
    r"<(span|div)\b[^<>]{0,300}?display:\s*none[^<>]*>[^<>]*</\1\s*>", re.IGNORECASE
)
_LEFT_OPEN = re.compile(
    r"\{\{+|\}\}+|\{\x01?\}|\{\||\|\}|\[\[+|\]\]+|__(?=[^\W\d_])[^\W0-9a-z]{3,40}?__"
)
_TAG = re.compile(r"</?([a-zA-Z][a-zA-Z0-9]*)\b[^<>]*>")
_INNER_LINK = re.compile(
    r"\[\[([^\[\]|\n]*+)(\|[^\[\]]*+(?:(?:(?<!\[)\[(?!\[)|(?<!\])\](?!\]))[^\[\]]*+)*+)?\]\]"
)
_OUTER_LINK = re.compile(
    r"\[(?:(?:[a-z]{2,8}:)?//|mailto:|tel:)[^\s\[\]]*([^\[\]\n]*)\]", re.IGNORECASE
)
_LANGUAGE_LINK = re.compile(r"(?:[a-z]{2,3}(?:-[a-z-]+)?|simple):")
_FILE_ENDING = re.compile(
    r"\.(?:jpe?g|png|gif|svg|tiff?|webp|xcf|og[gav]|opus|web[mp]|mp[34]|mpe?g|mid|wav|flac|pdf|djvu|stl)",
    re.IGNORECASE,
)
_WORD = re.compile(r"\w")
_BLANK = f" \t\xa0{SPLIT}"
_NO_SENTENCE = frozenset((*"*#:;= \t|!", SPLIT))  # a line behind a block tag begins with `SPLIT`
_LEAD = re.compile(rf"(- )?[ ,;:{SPLIT}]*{GONE}[ ,;:{GONE}{SPLIT}]*")
_LIST = re.compile(r"[*#:;]+[ \t]*")
_NO_BREAK = re.compile(r"\xa0[ \xa0]+")
# Patterns that begin with the whole of what they look for: `re` finds such ones much faster.
_EMPTY_LINES = re.compile("\n\n\n+")
_BLANKS = re.compile("  +")


def wikitext_text(markup: str, wiki: Wiki = ENGLISH, title: str = "") -> str:
    """The readable text of an article's markup. Never raises.

    `wiki` has the names and the language that the markup is read by, `title` is what `{{PAGENAME}}`
    shows.

    >>> wikitext_text("'''Anarchy''' ({{efn|x}}) is {{lang|de|''Ordnung''}}.<ref>No</ref>\\n== Notes ==\\n{{reflist}}")
    'Anarchy is Ordnung.'
    >>> wikitext_text("[[File:A.png|An [[apple]]]]\\n== Uses ==\\n* [http://a.b/ to eat]\\n* to &amp; fro, {{convert|5|km}}")
    'Uses\\n\\n- to eat\\n- to & fro, 5 km'
    """
    dropped = wiki.file_names | wiki.category_names

    def template(match: re.Match[str]) -> str:
        body = match[1]
        if "[[" in body:
            body = _without_links(body, dropped)
        text = template_text(body, match.start(), match.end(), match.string, wiki, title)
        return text.replace("=", EQUALS).replace("|", PIPE) if len(text) > 1 else text

    text = _NO_MARKUP.sub(_without_markup, entities(without_codes(markup)))
    text = _one_variant(text, wiki)
    text = _from_inside_out(_INNER_TEMPLATE, template, text)
    text = _one_variant(_without_tables(text), wiki)
    text = _HIDDEN.sub(GONE, text) if "display" in text else text
    text = powers(text)
    text = _TAG.sub(_tag, text)
    text = _OUTER_LINK.sub(lambda match: match[1].strip() or GONE, text)
    text = _without_links(text, dropped)
    if any(sign[0] in text and sign in text for sign in ("{", "}", "[[", "]]", "__")):
        text = _LEFT_OPEN.sub("", text)
    text = "\n".join(_lines(text)).replace(f"{GOES_ON}\n", " ")
    text = mended(text).replace(SPLIT, "").replace(" ,", ",")
    return _EMPTY_LINES.sub("\n\n", signs(_single_blanks(text))).strip()


def _from_inside_out(
    pattern: re.Pattern[str], new: str | Callable[[re.Match[str]], str], text: str
) -> str:
    for _ in range(_MAX_NESTING):
        text, count = pattern.subn(new, text)
        if not count:
            break
    return text


def _without_markup(match: re.Match[str]) -> str:
    """What is left of a comment or of a tag whose content is no markup."""
    if match["tag"] is None:
        # a line that holds a comment only is no line
        alone = match.string[match.start() - 1 : match.start()] in ("", "\n")
        return "" if alone else match["rest"] or ""
    tag, content = match["tag"].lower(), match["content"] or ""
    if tag == "nowiki":
        return as_text(content) or SPLIT
    if tag == "pre":
        return "\n" + as_text(content) + "\n"
    if tag in _TEXT_TAGS or (tag in _CODE_TAGS and "inline" in match["attributes"].lower()):
        return as_text(" ".join(content.split())) or GONE
    return SPLIT if tag == "ref" else GONE


def _single_blanks(text: str) -> str:
    text = text.replace("\t", " ")
    if "\xa0" in text:
        text = _NO_BREAK.sub(" ", text.replace(" \xa0", " "))
    return _BLANKS.sub(" ", text)


def _one_variant(text: str, wiki: Wiki) -> str:
    return with_one_variant(text, wiki.language) if "-{" in text else text


def _without_tables(text: str) -> str:
    text = _from_inside_out(_INNER_TABLE, "", text)
    if "<table" in text or "<TABLE" in text:
        text = _from_inside_out(_INNER_HTML_TABLE, "\n", text)
    return text


def _tag(match: re.Match[str]) -> str:
    name = match[1].lower()
    if name in _BLOCK_TAGS:
        return f"\n{SPLIT}"
    # Apostrophes on the two sides of a tag are two runs.
    is_behind_quotes = match.string[match.start() - 1 : match.start()] == "'"
    return '"' if name == "q" else SPLIT if is_behind_quotes else ""


def _without_links(text: str, dropped: frozenset[str]) -> str:
    """Text with the words of links in their place. `dropped`: namespaces whose links show nothing."""
    # Most links hold no bracket: they are taken between two marks, without `re`.
    first, *pieces = text.split("[[")
    out = [first]
    for piece in pieces:
        inner, end, rest = piece.partition("]]")
        target, bar, label = inner.partition("|")
        if not end or "[" in inner or "]" in inner or "\n" in target:
            out.append("[[")
            out.append(piece)
            continue
        out.append(_link_words(target, label if bar else None, dropped))
        out.append(rest)

    def words(match: re.Match[str]) -> str:
        label = match[2]
        return _link_words(match[1], None if label is None else label[1:], dropped)

    return _from_inside_out(_INNER_LINK, words, "".join(out))


def _link_words(target: str, label: str | None, dropped: frozenset[str]) -> str:
    """The words of a link: nothing for files and categories."""
    target = target.strip()
    if ":" not in target:
        return label or (target if label is not None else target.partition("#")[0] or target)
    space, _, name = target.partition(":")
    if space:
        kind = space.strip().lower().replace("_", " ")
        if kind in MEDIA_NAMES:
            return label or GONE
        if kind in dropped or (label is not None and _ends_like_a_file(name)):
            return GONE
    if label is not None:
        return label or target
    if _LANGUAGE_LINK.match(target):
        return GONE
    return target.lstrip(":").partition("#")[0] or target


def _ends_like_a_file(name: str) -> bool:
    _, dot, ending = name.strip().rpartition(".")
    return bool(dot and _FILE_ENDING.fullmatch("." + ending))


def _without_lead(line: str) -> str:
    """A line without commas behind what is gone at its start; nothing where no word is left."""
    if not _WORD.search(line):
        return ""
    return _LEAD.sub(r"\1", line, count=1) if _LEAD.match(line) else line


def _heading_level(line: str) -> int:
    """How many equal signs stand on both sides of the words of a heading; 0 where it is none."""
    words = line.strip("=")
    level = min(len(line) - len(line.lstrip("=")), len(line) - len(line.rstrip("=")), 6)
    return level if words.strip() else 0


def _lines(text: str) -> list[str]:
    """Lines without quotes, heading and list marks; headings that nothing follows in their section
    are dropped. A line that goes on in the middle of a sentence is joined to the one before it."""
    kept: list[str] = []
    below = 0  # level of the heading kept last, counted from the end; 7 when text came last, 0 before anything
    goes_on = False  # whether the line kept last began in the middle of a sentence
    for raw in reversed(text.split("\n")):
        if not raw:
            kept.append("")
            goes_on = False
            continue
        is_plain = raw[0] not in _NO_SENTENCE
        line = raw.strip(_BLANK)
        if "''" in line:
            line = without_quotes(line).strip()
        level = _heading_level(line) if line[:1] == "=" else 0
        if level:
            if level < below:
                kept.append(f"\n{line[level:-level].strip()}\n")
                below = level
            goes_on = False
            continue
        mark = _LIST.match(line) if not is_plain else None
        if mark:
            line = ("- " if mark[0].rstrip()[-1] in "*#" else "") + line[mark.end() :]
        if GONE in line or line[:1] == "-":
            line = _without_lead(line)
        if goes_on and is_plain and (line[-1:].isalnum() or line[-1:] == ","):
            line += GOES_ON
        kept.append(line)
        goes_on = is_plain and (line[:1].islower() or line[:1] == "\\")
        if line:
            below = 7
    return kept[::-1]
