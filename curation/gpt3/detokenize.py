"""De-tokenisers that can be inverted (Radford et al. 2019, section 3.1).

Language-modelling sets are published as tokens with spaces between them. GPT-2 read them as plain
text: "since these de-tokenizers are invertible, we can still calculate the log probability of a
dataset". The paper does not print its rules; these are ours:

    wikitext    @-@ @,@ @.@, punctuation, brackets, quotes, and the endings that Moses splits off
    ptb         punctuation, brackets, `` and '' as quotes, n't and the endings of the Penn Treebank

Each has the rules that join and those that split again. A line is only joined where splitting gives
the line back; another one is read as it stands, and counted. So the text holds all that the tokens
say, whatever the line.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from curation.errors import InputError

Rules = tuple[tuple[str, str], ...]
MAX_LINE = 100_000  # characters; a longer line is read as it stands
_CLOSING = r",;:.!?)\]"
_AFTER = rf"(?= |$|[{_CLOSING}\"])"


def _joining(endings: str) -> Rules:
    return (
        (rf" ([{_CLOSING}])(?= |$)", r"\1"),
        (r"(^|(?<= ))([(\[]) (?=\S)", r"\1\2"),
        (rf" ('(?:{endings})){_AFTER}", r"\1"),
    )


def _splitting(endings: str) -> Rules:
    return (
        (rf"(?<=[\w>])('(?:{endings})){_AFTER}", r" \1"),
        (r"([(\[])(?=\S)", r"\1 "),
        (rf"(?<=\S)([{_CLOSING}]){_AFTER}", r" \1"),
    )


_MOSES = "s|re|ve|ll|d|m|t"
_TREEBANK = "s|re|ve|ll|d|m"
_QUOTED = rf'(^|(?<=[ (\[]))" ([^"]*?) "{_AFTER}'


@dataclass(frozen=True)
class Detokenizer:
    """Rules that join the tokens of a line to text, and those that split it again."""

    join: Rules = ()
    split: Rules = ()

    def text(self, line: str) -> str:
        """The line's text; the line itself where the tokens could not be had back from it."""
        if not self.join or len(line) > MAX_LINE:
            return line
        text = replaced(line, self.join)
        return text if self.tokens(text) == line else line

    def tokens(self, text: str) -> str:
        """The tokens of a text, with spaces between them."""
        return replaced(text, self.split)


def replaced(text: str, rules: Rules) -> str:
    """The text after each rule in turn: a pattern, and what stands in its place."""
    for pattern, other in rules:
        text = re.sub(pattern, other, text)
    return text


DETOKENIZERS = {
    "none": Detokenizer(),
    "wikitext": Detokenizer(
        ((r" @([-,.])@ ", r"\1"), *_joining(_MOSES), (_QUOTED, r'\1"\2"')),
        (
            (r'"([^"]*)"', r'" \1 "'),
            *_splitting(_MOSES),
            (r"(?<=[\w>])-(?=[\w<])", " @-@ "),
            (r"(?<=\d)([,.])(?=\d)", r" @\1@ "),
        ),
    ),
    "ptb": Detokenizer(
        (
            *_joining(_TREEBANK),
            (r" (n't)(?= |$|[,;:.!?)])", r"\1"),
            (rf"(^|(?<= ))`` ([^\"]*?) ''{_AFTER}", r'\1"\2"'),
        ),
        (
            (r'"([^"]*)"', r"`` \1 ''"),
            (r"(?<=\w)(n't)\b", r" \1"),
            *_splitting(_TREEBANK),
        ),
    ),
}


def detokenizer_named(name: str) -> Detokenizer:
    """The de-tokeniser called `name`; InputError lists those there are.

    >>> wikitext = detokenizer_named("wikitext")
    >>> wikitext.text('the " well @-@ known " town ( 1 @,@ 500 people ) , it \\'s said .')
    'the "well-known" town (1,500 people), it\\'s said.'
    """
    if name not in DETOKENIZERS:
        raise InputError(
            f"there is no de-tokeniser {name!r}; choose one of {', '.join(DETOKENIZERS)}"
        )
    return DETOKENIZERS[name]


def detokenized(lines: Sequence[str], name: str) -> tuple[list[str], int]:
    """The text of each line, and of how many lines the tokens could not be had back, so that they
    stand as they are."""
    rules = detokenizer_named(name)
    texts = [rules.text(line) for line in lines]
    kept = sum(text == line and rules.join != () and replaced(line, rules.join) != line
               for text, line in zip(texts, lines, strict=True))  # fmt: skip
    return texts, kept
