"""What kind of file a name stands for. Costs nothing; the contents are not looked at."""

from __future__ import annotations

from typing import Literal

from curation.errors import InputError

Format = Literal["archive", "mediawiki", "wikimedia-html", "table", "text"]

PACKED = (".gz", ".bz2", ".zst", ".open")
_UNPACKED = 4  # times as long, about, is text that is packed
_HTML_DUMP = "-enterprise-html"  # enwiki-NS0-20240101-ENTERPRISE-HTML.json.tar.gz
_KINDS: dict[Format, tuple[str, ...]] = {
    "archive": (".warc", ".wet", ".arc", ".wat"),
    "mediawiki": (".xml",),
    "table": (".parquet", ".arrow", ".jsonl", ".ndjson", ".json"),
    "text": (".txt", ".md"),
}


def text_size(name: str, size: int) -> int:
    """About how many bytes of text a file of `size` bytes holds, by its name.

    >>> text_size("a.jsonl", 100), text_size("a.jsonl.gz", 100), text_size("a.parquet", 100)
    (100, 400, 400)
    """
    return _UNPACKED * size if name.lower().endswith((*PACKED, ".parquet")) else size


def is_archive(name: str) -> bool:
    """Whether a file's name is that of an archive."""
    try:
        return guess_format(name) == "archive"
    except InputError:
        return False


def guess_format(name: str) -> Format:
    """archive, mediawiki, wikimedia-html, table or text, by the file name; what packs it (.gz, .bz2, .zst) is
    looked through.

    >>> guess_format("CC-MAIN-1.warc.wet.gz"), guess_format("enwiki-pages-articles1.xml-p10p300.bz2"), guess_format("A.TXT")
    ('archive', 'mediawiki', 'text')

    Raises InputError for a name of another kind.
    """
    stem = name.rsplit("/", 1)[-1].lower()
    while stem.endswith(PACKED):
        stem = stem.rpartition(".")[0]
    if _HTML_DUMP in stem:
        return "wikimedia-html"
    for kind, endings in _KINDS.items():
        if stem.endswith(endings):
            return kind
    if ".xml-p" in stem:  # Wikimedia's multi-part dumps end in their page range
        return "mediawiki"
    known = "; ".join(f"{kind}: {' '.join(endings)}" for kind, endings in _KINDS.items())
    raise InputError(
        f"{name}: the name does not say what kind of file it is. Known endings ({known}, each also with .gz, .bz2 or "
        ".zst): rename the file, or give the dataset's `format`"
    )
