"""`curation extract`: text of a user's own files, of stdin, or of looked-up addresses."""

from __future__ import annotations

import os
from typing import Any

import click

from curation.cli.console import say
from curation.cli.options import (
    column_options,
    config_options,
    json_option,
    rows_out_option,
    strict_option,
    update_option,
    workers_option,
)
from curation.cli.steps import Tables, absolute, dataset_table, run_tables
from curation.recipe.tables import DownloadConfig, ExtractConfig


@click.command()
@click.argument("inputs", nargs=-1, metavar="INPUT...")
@config_options(
    ExtractConfig,
    "extractor",
    "headline",
    "comments",
    "markdown",
    "digests",
    "languages",
    "language_threshold",
    "language_model",
)
@click.option(
    "--urls",
    metavar="LIST",
    help="Instead of INPUT: addresses, one a line, fetched from Common Crawl.",
)
@click.option(
    "--index",
    multiple=True,
    help="With --urls: Parquet files of its columnar index.  May be repeated.",
)
@click.option(
    "--warc", metavar="OUT.warc.gz", help="With --urls: also write the fetched records, as a WARC."
)
@config_options(DownloadConfig, "base_url")
@click.option(
    "--show",
    metavar="PAGE.html",
    help="Write only what the extractor makes of this page, or of an archive's first pages, block "
    "by block, to OUT.",
)
@column_options()
@rows_out_option
@workers_option
@update_option
@json_option
@strict_option
def extract(
    inputs: tuple[str, ...],
    urls: str | None,
    index: tuple[str, ...],
    warc: str | None,
    show: str | None,
    out: str | None,
    settings: Tables,
    **options: Any,
) -> None:
    """Text of archives (WARC, WET, ARC), MediaWiki dumps, tables and text files.

    Writes DIR/documents/*.parquet, and what was refused to DIR/rejects/. An INPUT at an http(s)
    address is brought to DIR/downloads/ first, and INPUT - is stdin, in the other steps too. An
    INPUT that is a run directory means what that run keeps. The headline, comments and
    Markdown are choices of the extractor `blocks`.

    \b
    Examples:
      curation extract crawl/*.warc.gz --out RUN --languages en
      curation extract --urls urls.txt --index cc/ --out RUN --warc pages.warc.gz
      curl https://example.org/page | curation extract -
      curation extract --show page.html --out blocks.html
    """
    if bool(inputs) + bool(urls) + bool(show) != 1:
        raise click.UsageError("give INPUT..., or --urls LIST, or --show PAGE.html")
    if bool(urls) != bool(index):
        raise click.UsageError("--urls and --index go together")
    if warc and not (urls and out):
        raise click.UsageError("--warc goes with --urls and --out")
    if show and not out:
        raise click.UsageError("--show writes a page for a browser: give --out PAGE.html")
    if show and out:
        from curation.cli.extractor import show_page

        return show_page(show, out)
    if model := settings["extract"].get("language_model"):
        settings["extract"]["language_model"] = absolute(model)
    dataset = dataset_table("input", "crawl", inputs)
    if urls:
        dataset |= {"urls": absolute(urls), "index": [absolute(path) for path in index]}
        dataset |= {"keep_records": True} if warc else {}
    stages = ["download", "extract"] if urls else ["extract"]
    if not (warc and out):
        return run_tables(settings, stages, [dataset], out=out, export=False, **options)
    need_place(warc)
    run_tables(settings, stages, [dataset], out=out, export=False, **options)
    return write_warc(out, warc)


def need_place(path: str) -> None:
    """Raise InputError, before anything is fetched, for a file that cannot be written there."""
    from curation.errors import InputError

    if not path.endswith(".warc.gz"):
        raise InputError(f"--warc: a name that ends in .warc.gz expected, got {path!r}")
    if os.path.isdir(path):
        raise InputError(f"--warc: a file expected, got the folder {path}; name a file in it")


def write_warc(run: str, path: str) -> None:
    """Write the records of a finished run behind a warcinfo record, whole or not at all."""
    import shutil

    from warcio.warcwriter import WARCWriter

    from curation import store
    from curation.rundir import plan as plans
    from curation.stages.extract.captures import records_path
    from curation.version import __version__

    rundir, plan = plans.read(run)
    parts = [records_path(rundir, file) for shard in plan.of("input") for file in shard.files]
    software = {"software": f"curation {__version__}", "format": "WARC File Format 1.0"}
    with store.atomic(path) as file:
        writer = WARCWriter(file, gzip=True)
        writer.write_record(writer.create_warcinfo_record(os.path.basename(path), software))
        for part in parts:
            with store.open_input(part) as records:
                shutil.copyfileobj(records, file)
    say(f"Fetched records: {path}", err=True)
