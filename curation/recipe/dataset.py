"""The keys of a corpus in a recipe: where it is, how it is read, and what it is for.

They stand beside those of `tables.py`, and are imported from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from curation.errors import InputError
from curation.keys import check_bounds, key
from curation.recipe import rules
from curation.shown import brief

MAX_NAME_BYTES = 100  # of a dataset: it becomes part of the names of files


@dataclass(frozen=True, slots=True)
class Dataset:
    """[[dataset]]: one corpus. The order of the tables is their priority in dedup: the first wins.

    `trusted` corpora are kept whole by `classify` and are its positives; `crawl` is filtered, and
    is its negatives; `reference` takes part in a stage only to be compared with and is never mixed.
    """

    name: str
    role: Literal["trusted", "crawl", "reference"] = key("trusted", "What the corpus is for.")
    files: tuple[str, ...] = key((), "Files, folders, patterns or addresses.")
    format: Literal["auto", "archive", "mediawiki", "wikimedia-html", "table", "text"] = key(
        "auto", "What the files are; `auto` goes by their names."
    )
    crawls: tuple[str, ...] = key((), "Crawls of Common Crawl, instead of `files`.")
    kind: Literal["warc", "wet"] = key("wet", "With `crawls`: which archives.")
    archives: str = key(
        "", 'With `crawls`: "0:100" or "sample:20" of each crawl\'s archives; all when empty.'
    )
    stream: bool = key(False, "Read at the address; nothing is downloaded.")
    first_mb: float = key(
        0.0, "With `stream`: only so many million bytes of each file; 0: all.", least=0
    )
    first_pages: int = key(0, "Only so many pages, articles or rows of each file; 0: all.", least=0)
    urls: str = key("", "A list of addresses, one a line, looked up in `index`.")
    index: tuple[str, ...] = key(
        (),
        "Parquet files of Common Crawl's columnar index; for `select` also the folder of its table, and "
        "when empty the files that `base_url` lists.",
    )
    select: str = key(
        "",
        "With `crawls`: an SQL expression on columns of the columnar index; only records of which it is "
        "true are fetched.",
    )
    annotations: str = key("", "With `select`: a Parquet table whose columns it may read too.")
    annotations_by: Literal["url", "host", "domain"] = key(
        "host", "The column of `annotations` by which it is joined: `url`, `host` or `domain`."
    )
    sample: float = key(
        1.0, "Share of the selected pages, drawn by their addresses.", above=0, most=1
    )
    range_gap_kb: int = key(
        64, "With `select`: records with at most this between them are one request.", least=0
    )
    range_mb: float = key(
        8.0, "With `select`: a request is for hardly more than this.", above=0, most=1000
    )
    select_shard_mb: float = key(
        256.0, "With `select`: archives share a shard up to so much of them.", above=0
    )
    keep_records: bool = key(
        False, "With `urls`: keep the fetched records, in `downloads/NAME/records/`."
    )
    target_shard_mb: float = key(
        0.0,
        "Files share a shard up to so much of them, and larger ones are split where they can be (lines "
        "of JSON that are not packed, Parquet, archives of `files` packed record by record); 0: each "
        "file is a shard, and those over 32 MB several.",
        least=0,
    )
    languages: tuple[str, ...] | None = key(
        None, "Languages to keep of this dataset, instead of those of `[extract]`."
    )
    language_threshold: float | None = key(
        None, "Their least probability, instead of that of `[extract]`.", least=0, most=1
    )
    text_column: str = key("text", "The column that holds the text.")
    id_column: str = key("id", "The column that holds the id.")
    url_column: str = key("url", "The column that holds the address.")

    def __post_init__(self) -> None:
        name = self.name
        usable = all(c.isalnum() or c in "-_." for c in name) and name[:1] not in ("", ".", "_")
        if not usable or len(name.encode()) > MAX_NAME_BYTES:
            raise ValueError(
                "name: letters and digits, and after the first '-', '_' and '.', expected, "
                f"at most {MAX_NAME_BYTES} bytes, got {brief(name)}"
            )
        if bool(self.files) + bool(self.crawls) + bool(self.urls) != 1:
            raise ValueError(
                f"dataset {name!r}: give either `files`, `crawls`, or `urls` and `index`"
            )
        if self.urls and not self.index:
            raise ValueError(f"dataset {name!r}: `urls` and `index` go together")
        if self.keep_records and (not self.urls or self.first_pages):
            raise ValueError(
                f"dataset {name!r}: keep_records goes with `urls`, and without first_pages"
            )
        check_bounds(self)
        from curation import store
        from curation.readers.commoncrawl import check_archives, list_path

        for crawl in self.crawls:
            list_path(crawl, self.kind)
        check_archives(self.archives)
        check_addresses("files", self.files)
        check_addresses("index", self.index)
        _check_selection(self)
        if self.first_mb and not self.stream:
            raise ValueError(f"dataset {name!r}: first_mb goes with stream = true")
        if self.stream and any("#" in text and store.address(text).digest for text in self.files):
            raise ValueError(
                f"dataset {name!r}: a digest can only be checked of a whole file; "
                "leave it or `stream` out"
            )

    @property
    def selects(self) -> bool:
        """Whether its records are chosen by the columnar index."""
        return bool(self.select) or self.sample < 1

    @property
    def by_record(self) -> bool:
        """Whether its inputs are tables that say where records are."""
        return bool(self.urls) or self.selects


def _check_selection(dataset: Dataset) -> None:
    """Raise ValueError where the keys of a selection do not go together, or its expression is
    refused."""
    name = f"dataset {dataset.name!r}"
    if not dataset.selects:
        for wanted in ("annotations", "index"):
            if getattr(dataset, wanted) and not (wanted == "index" and dataset.urls):
                raise ValueError(f"{name}: {wanted} goes with `crawls` and `select`")
        return
    if not dataset.crawls or dataset.kind != "warc":
        raise ValueError(
            f'{name}: select and sample go with `crawls` and kind = "warc": the index knows '
            "the records of WARC archives"
        )
    if dataset.stream or dataset.first_pages:
        raise ValueError(
            f"{name}: select and sample go without stream and first_pages; only the records that "
            "are selected are asked for, at their address"
        )
    if dataset.select:
        rules.check("select", dataset.select, {}, more_columns=True, kind=name)
    elif dataset.annotations:
        raise ValueError(f"{name}: annotations are columns for `select`; an expression expected")


def check_addresses(key: str, texts: Sequence[str]) -> None:
    """Raise InputError with the key where what is at an http(s) address could not be named."""
    from curation import store

    for text in filter(store.is_web, texts):
        try:
            store.address(text)
        except InputError as error:
            raise InputError(f"{key}: {error}") from error
