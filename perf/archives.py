"""What becomes of every record of some archives: `python perf/archives.py FILE_OR_FOLDER ... [--extractor blocks]`.

One line a file: bytes, records, what warcio and fastwarc see of it (a number of records, `*` where
they stop with an error or see a record whose block is not whole), documents, pages without text and
rejects by reason, and records that never hold a page. The books balance or the script fails.
"""

from __future__ import annotations

import collections
import io
import sys
import time
from pathlib import Path

import click
from fastwarc.warc import ArchiveIterator as FastwarcIterator
from rich.console import Console
from rich.table import Table
from warcio.archiveiterator import ArchiveIterator as WarcioIterator
from warcio.exceptions import ArchiveLoadFailed
from warcio.statusandheaders import StatusAndHeadersParserException

from curation.readers import html, warc
from curation.readers.records import Page, PageError, Reject, Skipped

LIMIT = 10 << 20
Outcome = tuple[str, str]  # document, reject or skipped; and the reason or kind


def outcomes(data: bytes, name: str, extractor: str) -> list[Outcome]:
    """One outcome for each record of an archive."""
    records = warc.read_archive(io.BytesIO(data), name, max_page_bytes=LIMIT)
    return [_outcome(one, extractor) for one in records]


def _outcome(one: Page | Reject | Skipped, extractor: str) -> Outcome:
    if isinstance(one, Skipped):
        return "skipped", one.kind
    if isinstance(one, Reject):
        return "reject", one.reason
    try:
        html.page_text(one, extractor)
    except PageError as error:
        return "reject", error.reason
    return "document", ""


def seen_by_warcio(data: bytes) -> str:
    count = 0
    try:
        for _ in WarcioIterator(io.BytesIO(data), arc2warc=True):
            count += 1
    except (
        ArchiveLoadFailed,
        StatusAndHeadersParserException,
        EOFError,
        ValueError,
        OSError,
        AttributeError,
    ):
        return f"{count}*"
    return str(count)


def seen_by_fastwarc(data: bytes) -> str:
    count, mark = 0, ""
    try:
        for record in FastwarcIterator(io.BytesIO(data), parse_http=False):
            count += 1
            mark = mark if len(record.reader.read()) == record.content_length else "*"
    except (OSError, ValueError, EOFError, RuntimeError):
        mark = "*"
    return f"{count}{mark}"


def files(paths: tuple[str, ...]) -> list[Path]:
    return [
        f
        for path in map(Path, paths)
        for f in (sorted(path.iterdir()) if path.is_dir() else [path])
    ]


def told(counts: dict[str, int]) -> str:
    return ", ".join(
        f"{number} {name}"
        for name, number in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    )


@click.command()
@click.argument("paths", nargs=-1, required=True)
@click.option(
    "--extractor", type=click.Choice(html.EXTRACTORS), default="blocks", show_default=True
)
def main(paths: tuple[str, ...], extractor: str) -> None:
    """Print one line an archive, and their sum."""
    table = Table(title=f"extractor {extractor}", title_justify="left")
    for name in (
        "file",
        "kB",
        "records",
        "warcio",
        "fastwarc",
        "documents",
        "rejects",
        "skipped",
        "s",
    ):
        table.add_column(
            name,
            justify="left" if name in ("file", "rejects", "skipped") else "right",
            overflow="fold",
        )
    sums: collections.Counter[str] = collections.Counter()
    losses: dict[str, collections.Counter[str]] = {
        "reject": collections.Counter(),
        "skipped": collections.Counter(),
    }
    for path in files(paths):
        data = path.read_bytes()
        began = time.perf_counter()
        found = outcomes(data, path.name, extractor)
        seconds = time.perf_counter() - began
        by = {
            kind: collections.Counter(why for k, why in found if k == kind)
            for kind in ("reject", "skipped")
        }
        documents = sum(kind == "document" for kind, _ in found)
        if documents + sum(by["reject"].values()) + sum(by["skipped"].values()) != len(found):
            sys.exit(f"{path}: the books do not balance")
        table.add_row(
            path.name, f"{len(data) / 1000:.0f}", str(len(found)), seen_by_warcio(data), seen_by_fastwarc(data),
            str(documents), told(by["reject"]), told(by["skipped"]), f"{seconds:.2f}",
        )  # fmt: skip
        sums.update(
            files=1,
            records=len(found),
            documents=documents,
        )
        for kind, some in by.items():
            losses[kind].update(some)
    console = Console(width=None if sys.stdout.isatty() else 190)
    console.print(table)
    console.print(
        f"{sums['files']} files, {sums['records']} records: {sums['documents']} documents; rejects: {told(losses['reject'])}; "
        f"skipped: {told(losses['skipped'])}.",
        highlight=False,
    )


if __name__ == "__main__":
    main()
