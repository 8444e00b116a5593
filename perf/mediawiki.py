"""Sentences of Wikipedia kept whole: `python perf/mediawiki.py [dump.xml.bz2] [--articles N]`.

Ours beside mwparserfromhell (`strip_code`) and wikiextractor (`Extractor.clean_text`, templates as its
command line has them), article by article in turn in one process, over the same markup.

The reference is made from the markup by the few rules below, which use nothing of ours. A sentence is
what stands between sentence ends in a line of running text: one that begins with a letter, digit,
quote, bracket, link or template, outside of tables, boxes and notes. Its tokens are its words and
numbers as a reader sees them: the label of a link; the content of a tag; of a template the arguments
that `SHOWN` names, and for numbers the number alone, not its unit (units are spelled in many ways);
of a formula the letters and numbers of its TeX. All other templates count for nothing. Numbers lose
their thousands marks. A sentence is kept if all its tokens are in the text, in order, with at most
15 others between them.
"""

from __future__ import annotations

import collections
import html
import re
import time
from collections.abc import Callable, Iterator

import click
import mwparserfromhell
from wikiextractor import extract

from curation.readers.unpack import UnpackedFile
from curation.readers.wikitext import wikitext_text

DUMP = "../shared/data/text/enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2"
FIRST = "nowrap small smaller abbr sc em math mvar chem2 angbr smallcaps big vanchor keypress unicode polytonic"
SHOWN: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(FIRST.split(), (1,)),
    **dict.fromkeys(("lang", "script"), (2,)),
    "transl": (-1,),
    "nihongo": (1,),
}
NUMBERS = ("convert", "cvt", "val", "formatnum", "as of", "circa", "c.", "frac", "sfrac", "e")
EXTRA = 15
NOTES = re.compile(r"<!--.*?-->|<ref\b[^<>]*/>|<(ref|gallery)\b[^<>]*>.*?</\1\s*>", re.S | re.I)
FORMULA = re.compile(r"<(math|chem|ce)\b[^<>]*>(.*?)</\1>", re.S | re.I)
INNER = re.compile(r"\{\{([^{}]*)\}\}")
LINK = re.compile(r"\[\[(?:[^\[\]|]*\|)?([^\[\]|]*)\]\]")
FILE = re.compile(r"\[\[(?:file|image|category):(?:[^\[\]]|\[\[[^\[\]]*\]\])*\]\]", re.I)
TOKEN = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+")
END = re.compile(r"(?<=[.!?])[\"”']*\s+(?=[\"“'A-Z])")
BLOCK = re.compile(r"^[{|!*#:;=<}]|^\s|^$")


def tokens(text: str) -> list[str]:
    """Words in lower case and numbers without marks."""
    found = TOKEN.findall(text.replace("\xa0", " "))
    return [re.sub(r"[,.]", "", token) if token[0].isdigit() else token.lower() for token in found]


def seen(template: re.Match[str]) -> str:
    """What a reader sees of a template, as far as it is counted."""
    name, *parts = template[1].split("|")
    name = name.strip().lower()
    if ":" in name:
        name, _, first = name.partition(":")
        parts = [first, *parts]
    values = [re.sub(r"^\s*1\s*=", "", part) for part in parts]
    values = [value.strip() for value in values if "=" not in value or value.lstrip()[:2] == "''"]
    if name in NUMBERS:
        return " " + values[0] + " " if values and re.search(r"\d", values[0]) else ""
    if "dash" in name or name in ("snd", "'s"):
        return " s" if name == "'s" else " "
    if name.startswith("lang-"):
        return values[0] if values else ""
    return " ".join(
        values[at - 1 if at > 0 else at] for at in SHOWN.get(name, ()) if len(values) >= abs(at)
    )


def sentences(markup: str) -> Iterator[tuple[list[str], bool]]:
    """The tokens of each sentence, and whether it has a template or formula that counts."""
    text = FORMULA.sub(
        lambda formula: f" \x01{formula[2]}\x01 ", NOTES.sub("", html.unescape(markup))
    )
    text = re.sub(r"\{\|(?:(?!\{\||\|\}).)*\|\}", "", text, flags=re.S)
    for _ in range(10):
        text = INNER.sub(
            lambda match: (
                (shown := seen(match)) and (f"\x01{shown}\x01" if shown.strip() else shown)
            ),
            text,
        )
    text = re.sub(r"(?<=\w)'''s\b", "'s", FILE.sub("", text)).replace("<sup", " <sup")
    text = re.sub(r"\[//?[^\s\]]+|\[https?:[^\s\]]+", "[", LINK.sub(r"\1", text))
    text = re.sub(r"</?[a-zA-Z][^<>]*>|'{2,}", "", text)
    for line in text.split("\n"):
        if BLOCK.match(line):
            continue
        for sentence in END.split(line):
            reference = tokens(sentence)
            if len(reference) >= 5:
                yield reference, "\x01" in sentence


def is_kept(reference: list[str], text: list[str], places: dict[str, list[int]]) -> bool:
    """Whether the tokens stand in the text in order, with few others between them."""
    for start in places.get(reference[0], ()):
        at, most = 0, start + len(reference) + EXTRA
        for token in text[start:most]:
            if token == reference[at]:
                at += 1
                if at == len(reference):
                    return True
    return False


def by_wikiextractor(markup: str) -> str:
    extractor = extract.Extractor("1", "1", "https://en.wikipedia.org/wiki", "Title", [])
    return "\n".join(extractor.clean_text(markup, html_safe=False))


READERS: dict[str, Callable[[str], str]] = {
    "ours": wikitext_text,
    "mwparserfromhell": lambda markup: mwparserfromhell.parse(markup).strip_code(),
    "wikiextractor": by_wikiextractor,
}


def articles(path: str) -> Iterator[str]:
    """The markup of the articles of a dump that are no redirects."""
    with open(path, "rb") as stream:
        data = UnpackedFile(stream).readall().decode()
    for page in data.split("<page>")[1:]:
        text = re.search(r"<text[^<>]*>(.*?)</text>", page, re.S)
        if text and "<ns>0</ns>" in page and "<redirect" not in page and len(text[1]) > 2000:
            yield html.unescape(text[1])


@click.command()
@click.argument("path", default=DUMP)
@click.option("--articles", "most", default=1000, help="How many articles at most.")
def main(path: str, most: int) -> None:
    """Print the table."""
    kept: dict[str, collections.Counter[bool]] = {name: collections.Counter() for name in READERS}
    seconds: collections.Counter[str] = collections.Counter()
    total: collections.Counter[bool] = collections.Counter()
    count = 0
    for reader in READERS.values():  # loads what a first call loads, ours about a second of kernels
        reader("''A'' b")
    for markup in list(articles(path))[:most]:
        count += 1
        references = list(sentences(markup))
        total.update(has_value for _, has_value in references)
        for name, reader in READERS.items():
            start = time.process_time()
            text = reader(markup)
            seconds[name] += time.process_time() - start
            found = tokens(text)
            places: dict[str, list[int]] = collections.defaultdict(list)
            for at, token in enumerate(found):
                places[token].append(at)
            kept[name].update(
                has_value
                for reference, has_value in references
                if is_kept(reference, found, places)
            )
    print(f"{count} articles, {total.total()} sentences, {total[True]} with a template or formula")
    print(f"{'reader':18} {'all':>8} {'with':>8} {'without':>8} {'articles/s':>11} {'time':>7}")
    for name, counts in kept.items():
        shares = [
            counts.total() / total.total(),
            *(counts[kind] / total[kind] for kind in (True, False)),
        ]
        columns = " ".join(f"{share:8.2%}" for share in shares)
        print(
            f"{name:18} {columns} {count / seconds[name]:11.1f} {seconds[name] / seconds['ours']:6.1f}x"
        )


if __name__ == "__main__":
    main()
