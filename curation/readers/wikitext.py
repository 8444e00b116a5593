"""MediaWiki markup -> text: links by their words, templates by what they show, headings and lists as
lines; tables, notes, files gone.

Costs about 1 ms for 100 KB of markup, linear in its length whatever it holds. mwparserfromhell, the
usual choice, takes fifty times as long, and minutes for 300 KB of unclosed links or tags. The traps:
constructs nest, so a construct is looked into only where it shows anything; what is dropped leaves
"( ; )" and empty headings, so its place is marked until the brackets around it are mended.
"""

from __future__ import annotations

import re

import numpy as np

from curation.kernels.characters import kinds_table
from curation.readers.wiki import nodes
from curation.readers.wiki.blanks import tidy
from curation.readers.wiki.codes import Codes, codes_of, name_hashes, text_of
from curation.readers.wiki.inline import powers, variant_text, with_brackets_mended
from curation.readers.wiki.lines import text_of_lines
from curation.readers.wiki.links import BLOCK_TAGS, without_links, without_tags
from curation.readers.wiki.marks import (
    EQUALS,
    GONE,
    PIPE,
    SPLIT,
    as_text,
    entities,
    without_codes,
)
from curation.readers.wiki.names import ENGLISH, MEDIA_NAMES, Wiki
from curation.readers.wiki.nodes import Ints
from curation.readers.wiki.shown import row_of, template_text

# What stands in these tags is no markup: text that is shown, formulas, and what is not shown.
_TEXT_TAGS = ("nowiki", "pre", "math", "chem", "ce")
_CODE_TAGS = ("syntaxhighlight", "source")
_DROPPED_TAGS = (
    "ref references gallery timeline score imagemap hiero graph style script includeonly indicator "
    "mapframe templatedata categorytree inputbox rt rp rtc"
)
_OPAQUE_TAGS = (*_DROPPED_TAGS.split(), *_TEXT_TAGS, *_CODE_TAGS)
_OPAQUE_HASHES = name_hashes(_OPAQUE_TAGS)
_NOTE = _OPAQUE_TAGS.index("ref")
_MAX_NESTING = 40

_HIDDEN = re.compile(
    r"<(span|div)\b[^<>]{0,300}?display:\s*none[^<>]*>[^<>]*</\1\s*>", re.IGNORECASE
)
_SWITCH = re.compile(r"__(?=[^\W\d_])[^\W0-9a-z]{3,40}?__")  # __NOTOC__
_LANGUAGE_LINK = re.compile(r"(?:[a-z]{2,3}(?:-[a-z-]+)?|simple):")
_FILE_ENDING = re.compile(
    r"\.(?:jpe?g|png|gif|svg|tiff?|webp|xcf|og[gav]|opus|web[mp]|mp[34]|mpe?g|mid|wav|flac|pdf|djvu|stl)",
    re.IGNORECASE,
)


def wikitext_text(markup: str, wiki: Wiki = ENGLISH, title: str = "") -> str:
    """The readable text of an article's markup. Never raises.

    `wiki` has the names and the language that the markup is read by, `title` is what `{{PAGENAME}}`
    shows.

    >>> wikitext_text("'''Anarchy''' ({{efn|x}}) is {{lang|de|''Ordnung''}}.<ref>No</ref>\\n== Notes ==\\n{{reflist}}")
    'Anarchy is Ordnung.'
    >>> wikitext_text("[[File:A.png|An [[apple]]]]\\n== Uses ==\\n* [http://a.b/ to eat]\\n* to &amp; fro, {{convert|5|km}}")
    'Uses\\n\\n- to eat\\n- to & fro, 5 km'
    """
    page = _Page(markup, wiki, title)
    text = page.expanded(0, len(page.markup), 0, 0)
    text = _HIDDEN.sub(GONE, text) if "display:" in text and "none" in text else text
    text = powers(text)
    if "_" in text and "__" in text:
        text = _SWITCH.sub("", text)
    kinds = kinds_table()
    codes = without_tags(codes_of(text), BLOCK_TAGS)
    codes = codes[: without_links(codes, kinds, True)]
    codes = _with_brackets_mended(*text_of_lines(codes, kinds))
    return text_of(codes[: tidy(codes, kinds)]).strip()


def _with_brackets_mended(codes: Codes, lines: Ints) -> Codes:
    """Text whose brackets in these lines have lost what is gone in them."""
    pieces: list[Codes] = []
    here = 0
    for start, end in lines.tolist():
        line = text_of(codes[start:end])
        if (mended := with_brackets_mended(line)) is not line:
            pieces += [codes[here:start], codes_of(mended)]
            here = end
    return np.concatenate([*pieces, codes[here:]]) if pieces else codes


class _Page:
    """The constructs of one page's markup, and what each shows."""

    def __init__(self, markup: str, wiki: Wiki, title: str) -> None:
        self.markup = entities(markup)
        codes = codes_of(self.markup)
        if nodes.has_controls(codes) and (clean := without_codes(markup)) is not markup:
            self.markup = entities(clean)
            codes = codes_of(self.markup)
        self.wiki = wiki
        self.title = title
        self.dropped = wiki.file_names | wiki.category_names
        columns = nodes.found_nodes(codes, _OPAQUE_HASHES).T.tolist()
        self.kinds, self.starts, self.ends, self.firsts, self.lasts, self.details, self.nexts = (
            columns
        )

    def expanded(self, start: int, end: int, at: int, depth: int) -> str:
        """markup[start:end] with what its constructs show; `at` is the first of them."""
        markup, kinds, starts, ends = self.markup, self.kinds, self.starts, self.ends
        out: list[str] = []
        while at < len(starts) and starts[at] < end:
            out.append(markup[start : starts[at]])
            kind = kinds[at]
            if kind == nodes.TAG:
                out.append(SPLIT if self.details[at] == _NOTE else self._tag(at))
            elif kind == nodes.TEMPLATE:
                out.append(self._template(at, depth + 1, out))
            elif kind != nodes.COMMENT:
                out.append(self._shown(at, depth + 1))
            start, at = ends[at], self.nexts[at]
        out.append(markup[start:end])
        return "".join(out)

    def _tag(self, at: int) -> str:
        """What is left of a tag whose content is no markup."""
        tag, first = _OPAQUE_TAGS[self.details[at]], self.firsts[at]
        content = self.markup[first : self.lasts[at]]
        if tag == "nowiki":
            return as_text(content) or SPLIT
        if tag == "pre":
            return "\n" + as_text(content) + "\n"
        is_inline = tag in _CODE_TAGS and "inline" in self.markup[self.starts[at] : first].lower()
        if is_inline or tag in _TEXT_TAGS:
            return as_text(" ".join(content.split())) or GONE
        return GONE

    def _shown(self, at: int, depth: int) -> str:
        """What a table, variant or link shows."""
        kind = self.kinds[at]
        if kind == nodes.TABLE or depth > _MAX_NESTING:
            return ""
        if kind == nodes.HTML_TABLE:
            return "\n"
        content = self._content(at, depth)
        if kind == nodes.VARIANT:
            return variant_text(content, self.wiki.language)
        target, bar, label = content.partition("|")
        return _link_words(target.strip(), label if bar else None, self.dropped)

    def _content(self, at: int, depth: int) -> str:
        """What stands between the two signs at both ends of a construct."""
        first, end = self.firsts[at], self.ends[at] - 2
        if self.nexts[at] == at + 1:
            return self.markup[first:end]
        return self.expanded(first, end, at + 1, depth)

    def _template(self, at: int, depth: int, before: list[str]) -> str:
        end, bar, after = self.ends[at], self.lasts[at], self.nexts[at]
        if after == at + 1 or self.starts[at + 1] > bar:  # nothing stands in its name
            row = row_of(self.markup[self.firsts[at] : bar], self.wiki.language)
            if row == "" or (row is None and (self.details[at] or bar == end - 2)):
                return GONE
        if depth > _MAX_NESTING:
            return GONE
        body = self._content(at, depth)
        if "[[" in body:
            codes = codes_of(body).copy()
            body = text_of(codes[: without_links(codes, kinds_table(), False)])
        text = template_text(body, before, self._follows(end, after), self.wiki, self.title)
        return text.replace("=", EQUALS).replace("|", PIPE) if len(text) > 1 else text

    def _follows(self, end: int, at: int) -> str:
        """The character behind a construct and the comments at its end."""
        while at < len(self.kinds) and self.kinds[at] == nodes.COMMENT and self.starts[at] == end:
            end, at = self.ends[at], at + 1
        return self.markup[end : end + 1]


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
