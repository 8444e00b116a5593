"""Legacy encodings told apart: `python perf/encoding.py [pages.parquet]` (columns html and path, whose folder is the true encoding).

Prints for each encoding how many pages are decoded to just the text that the true encoding gives, by ours and by the detectors that there
are: charset-normalizer, resiliparse, chardet, turbohtml. Twice: as the pages are, with what they declare (a detector sees only bytes),
and with every declaration of an encoding taken out, so that the bytes alone must tell. A superset counts as right where it gives the same
text. `label`: pages whose named encoding is the true one or its larger WHATWG sister.
"""

from __future__ import annotations

import collections
import re
import time
from collections.abc import Callable

import chardet
import click
import pyarrow.parquet as pq
from charset_normalizer import from_bytes
from resiliparse.parse.encoding import detect_encoding
from rich.console import Console
from rich.table import Table
from turbohtml import detect as turbohtml_detect

from curation.readers.encoding import codec_for, encoding_of

PAGES = "../shared/data/encoding/pages.parquet"
TRUE = {"TIS-620": "windows-874", "MacCyrillic": "x-mac-cyrillic"}
DECLARED = re.compile(rb"(?i)(charset|encoding)\s*=\s*[\"']?[\w-]+[\"']?")


def by_charset_normalizer(body: bytes) -> str | None:
    best = from_bytes(body).best()
    return best.encoding if best else None


def by_chardet(body: bytes) -> str | None:
    return chardet.detect(body)["encoding"]


DETECTORS: dict[str, Callable[[bytes], str | None]] = {
    "ours": lambda body: encoding_of(body, None),
    "charset-normalizer": by_charset_normalizer,
    "resiliparse": lambda body: detect_encoding(body),
    "chardet": by_chardet,
    "turbohtml": lambda body: turbohtml_detect.detect(body).encoding,
}


def true_codec(path: str) -> str:
    folder = path.split("/")[-2]
    short = re.match(r"(windows-\d+|iso-8859-\d+)", folder)
    label = TRUE.get(folder) or (short[1] if short else folder)
    return codec_for(label) or label


def decoded(body: bytes, label: str | None) -> str | None:
    """The text by a detector's label read as the web means it; by Python's codec of that name where the web has none."""
    codec = codec_for(label) or label
    try:
        return body.decode(codec, "replace").lstrip("\ufeff") if codec else None
    except LookupError:
        return None


@click.command()
@click.argument("path", default=PAGES)
def main(path: str) -> None:
    """Print both tables."""
    rows = pq.read_table(path).to_pylist()
    for title, prepare in (
        ("pages as they are", bytes),
        ("without declarations", lambda body: DECLARED.sub(b"", body)),
    ):
        right: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
        labels: collections.Counter[str] = collections.Counter()
        seconds: collections.Counter[str] = collections.Counter()
        pages: collections.Counter[str] = collections.Counter()
        for row in rows:
            body, truth = prepare(row["html"]), true_codec(row["path"])
            folder = row["path"].split("/")[-2]
            expected = body.decode(truth, "replace").lstrip("\ufeff")
            pages[folder] += 1
            for name, detector in DETECTORS.items():
                began = time.perf_counter()
                label = detector(body)
                seconds[name] += time.perf_counter() - began
                right[folder][name] += decoded(body, label) == expected
                labels[name] += (codec_for(label) or label) == truth
        table = Table(title=f"{title}: decoded as by the true encoding", title_justify="left")
        for column in ("encoding", "pages", *DETECTORS):
            table.add_column(column, justify="left" if column == "encoding" else "right")
        for folder in sorted(right, key=str.lower):
            table.add_row(
                folder, str(pages[folder]), *(str(right[folder][name]) for name in DETECTORS)
            )
        table.add_section()
        total = {name: sum(counts[name] for counts in right.values()) for name in DETECTORS}
        table.add_row("all", str(pages.total()), *(str(total[name]) for name in DETECTORS))
        table.add_row("label", "", *(str(labels[name]) for name in DETECTORS))
        table.add_row(
            "ms a page", "", *(f"{1000 * seconds[name] / len(rows):.2f}" for name in DETECTORS)
        )
        Console(width=110).print(table)


if __name__ == "__main__":
    main()
