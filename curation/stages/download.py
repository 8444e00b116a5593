"""download: Common Crawl's archives, by crawl and kind, into downloads/<dataset>/<crawl>/.

Interrupted downloads resume by byte range; a file appears under its name only when it is whole.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from curation import store
from curation.context import Context
from curation.errors import InputError

if TYPE_CHECKING:
    from curation.engine.base import Engine


@dataclass(frozen=True, slots=True)
class DownloadConfig:
    """Where crawls come from, and how patiently."""

    base_url: str = "https://data.commoncrawl.org/"
    max_attempts: int = 8
    timeout_s: float = 60.0

    def __post_init__(self) -> None:
        if self.max_attempts < 1:
            raise ValueError(f"max_attempts: at least 1 expected, got {self.max_attempts}")
        if self.timeout_s <= 0:
            raise ValueError(f"timeout_s: more than 0 expected, got {self.timeout_s}")


@dataclass(frozen=True, slots=True)
class Fetch:
    """One archive to fetch."""

    url: str
    destination: str

    def __str__(self) -> str:
        return self.url


def run(context: Context, engine: Engine) -> None:
    """Fetch what is missing of every dataset that names crawls."""
    wanted = [
        fetch for dataset in context.recipe.dataset if dataset.crawls for fetch in _archives(context, dataset.name)
    ]
    if wanted and store.is_remote(context.out):
        raise InputError(
            f"{context.out}: archives are downloaded to a local folder; download them first with a local --out, "
            "copy its downloads/ folder to the storage and name it in `files`"
        )
    engine.map("download", partial(fetch_archive, context), wanted)


def _archives(context: Context, name: str) -> Sequence[Fetch]:
    from curation.readers import commoncrawl

    config, dataset = context.recipe.download, context.recipe.dataset[context.recipe.place(name)]
    out = []
    for crawl in dataset.crawls:
        paths = commoncrawl.archive_paths(crawl, dataset.kind, base_url=config.base_url)
        for path in commoncrawl.select(paths, dataset.archives, context.recipe.seed):
            destination = context.path("downloads", name, crawl, os.path.basename(path))
            out.append(Fetch(config.base_url.rstrip("/") + "/" + path, destination))
    return out


def fetch_archive(context: Context, fetch: Fetch) -> int:
    """Fetch one archive unless it is there; returns its size in bytes."""
    from curation.readers import commoncrawl

    destination = Path(fetch.destination)
    if destination.exists():
        return destination.stat().st_size
    destination.parent.mkdir(parents=True, exist_ok=True)
    config = context.recipe.download
    return commoncrawl.fetch(fetch.url, destination, max_attempts=config.max_attempts, timeout_s=config.timeout_s)
