"""One stage on a user's own files: each command makes a recipe of a few stages and runs it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from typing import Any

import click

from curation.cli.options import (
    column_options,
    config_options,
    json_option,
    out_option,
    row_options,
    update_option,
    with_options,
    workers_option,
)
from curation.errors import CurationError
from curation.recipe.tables import (
    ClassifyConfig,
    DecontaminateConfig,
    DedupConfig,
    MixConfig,
    TokenizeConfig,
)

Tables = dict[str, Any]
inputs_argument = click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")


@click.command()
@inputs_argument
@click.option(
    "--positives", "-p", multiple=True, help="Files of the kind of text to keep.  May be repeated."
)
@click.option(
    "--negatives", "-n", multiple=True, help="Files of unfiltered text.  [default: INPUT]"
)
@config_options(ClassifyConfig, "model", "model_label", "alpha", "scaling")
@column_options("positives", "negatives")
@row_options
def classify(
    inputs: tuple[str, ...],
    positives: tuple[str, ...],
    negatives: tuple[str, ...],
    settings: Tables,
    **options: Any,
) -> None:
    """GPT-3's quality filter: each document is kept with probability (2 - quality)^-alpha.

    Without --positives and --model, the model that ships with curation scores. A fit is on signals
    of prose by default; the recipe gpt3.toml has the paper's, on words. Writes DIR/kept/ and
    DIR/removed/ with the columns `quality` and `pareto_draw`. An INPUT that is a run directory means
    what that run keeps.

    \b
    Examples:
      curation classify crawl.jsonl.zst --out RUN
      curation classify crawl.jsonl.zst --positives wikipedia.parquet --out RUN
      curation classify a.jsonl --model m.bin --model-label __label__hq --out RUN
    """
    keys = settings["classify"]
    if positives and keys.get("model"):
        raise click.UsageError("give either --positives or --model")
    if "model" in keys:
        keys["model"] = absolute(keys["model"]) if keys["model"] else ""
    datasets = [dataset_table("input", "crawl", inputs)]
    for name, paths in (("positives", positives), ("negatives", negatives)):
        if paths:
            datasets.append(dataset_table(name, "reference", paths))
            keys[name] = [name]
    if positives and not negatives:
        keys["negatives"] = ["input"]
    run_tables(settings, ["extract", "classify"], datasets, **options)


@click.command()
@inputs_argument
@click.option(
    "--against",
    multiple=True,
    help="Files that stay as they are; documents that resemble theirs are removed from INPUT.",
)
@config_options(
    DedupConfig,
    "index",
    "min_jaccard",
    "features",
    "shingle_words",
    "bands",
    "rows",
    "hashes",
    "max_repeated_lines",
    "max_repeated_paragraphs",
    "alarm",
)
@click.option(
    "--plan", "plan_only", is_flag=True, help="Only estimate from a sample what it finds and costs."
)
@column_options(against="reference")
@row_options
def dedup(
    inputs: tuple[str, ...],
    against: tuple[str, ...],
    plan_only: bool,
    out: str | None,
    settings: Tables,
    **options: Any,
) -> None:
    """Remove near duplicates, each with a measured Jaccard similarity to a document that stays.

    Writes DIR/kept/ with the column `cluster_size` (documents that one stands for), and DIR/removed/
    with the columns `reason`, `kept_id`, `jaccard`, `repeated_lines` and `repeated_paragraphs`
    (shares of the text that is in repeated lines and paragraphs). An INPUT that is a run directory
    means what that run keeps.

    \b
    Examples:
      curation dedup articles.jsonl.gz --format same --out RUN
      zcat articles.jsonl.gz | curation dedup - > unique.jsonl
      curation dedup new.parquet --against corpus/ --out RUN
      curation dedup next.parquet --index RUN --out RUN2
      curation dedup articles.jsonl.gz --min-jaccard 0.7 --bands auto --plan
      curation dedup RUN --plan
    """
    keys = settings["dedup"]
    if keys.get("index"):
        keys["index"] = absolute(keys["index"].rstrip("/"))
    if plan_only and len(inputs) == 1 and not against:
        from curation.cli.dedup_plan import is_run, show_run_plan

        if is_run(inputs[0]):
            return show_run_plan(inputs[0], keys, options["workers"])
    datasets = [dataset_table("input", "trusted", inputs)]
    if against and keys.get("index"):
        raise click.UsageError("give either --against or --index")
    if against:
        datasets.insert(0, dataset_table("reference", "reference", against))
        keys["across"] = [["reference", "input"]]
    stages = ["extract", "dedup"]
    if plan_only:
        from curation.cli.dedup_plan import show_plan

        tables = recipe_tables(settings, stages, datasets, options["columns"])
        return show_plan(tables, options["workers"])
    return run_tables(settings, stages, datasets, out=out, **options)


@click.command()
@inputs_argument
@click.option(
    "--benchmarks",
    "-b",
    multiple=True,
    required=True,
    help="JSONL files of examples.  May be repeated.",
)
@config_options(
    DecontaminateConfig,
    "gram_words",
    "margin_chars",
    "min_piece_chars",
    "max_pieces",
    "max_documents",
)
@column_options()
@row_options
def decontaminate(
    inputs: tuple[str, ...], benchmarks: tuple[str, ...], settings: Tables, **options: Any
) -> None:
    """Cut out what overlaps with benchmarks (GPT-3, appendix C).

    Writes the pieces to DIR/kept/ (`id`, `piece`, `text`), removed documents to DIR/removed/, and
    every hit to DIR/hits.parquet. An INPUT that is a run directory means what that run keeps.

    \b
    Example:
      curation decontaminate corpus/*.parquet --benchmarks lambada.jsonl --out RUN
    """
    settings["decontaminate"]["benchmarks"] = [absolute(path) for path in benchmarks]
    datasets = [dataset_table("input", "trusted", inputs)]
    run_tables(settings, ["extract", "decontaminate"], datasets, **options)


@click.command()
@inputs_argument
@config_options(TokenizeConfig, "encoding", "end_of_text")
@config_options(MixConfig, "by")
@column_options()
@out_option
@workers_option
@update_option
@json_option
def tokenize(inputs: tuple[str, ...], settings: Tables, **options: Any) -> None:
    """Byte-pair tokens of every document: a run directory up to DIR/tokens/, for `curation mix`.

    An INPUT that is a run directory means what that run keeps.

    \b
    Example:
      curation tokenize RUN/kept --out TOKENS
      curation tokenize RUN --by extra.cluster_size --out TOKENS   (for mix --by)
      curation tokenize RUN --encoding tokenizer.json --out TOKENS
    """
    if settings["mix"].get("by", "").startswith("language"):
        settings["extract"] = {"table_languages": True}
    datasets = [dataset_table("input", "trusted", inputs)]
    run_tables(settings, ["extract", "tokenize"], datasets, export=False, **options)


def _start_workers(paths: Sequence[str], stages: Sequence[str], workers: int | None) -> None:
    """Start what workers are forked from, before what takes long to import; not where the files are
    too few and small to need workers (`pipeline/engines.py`)."""
    from curation.engine import forkserver

    few = forkserver.INLINE_BYTES if workers is None else 0
    if "tokenize" not in stages and "classify" not in stages:
        few = forkserver.THREADED_BYTES
    with contextlib.suppress(OSError, CurationError):  # said later, where they are read
        if workers == 1 or _text_size(paths) < few:
            return
    forkserver.start()


def _text_size(paths: Sequence[str]) -> int:
    """About how many bytes of text are in some files and folders of plain texts and tables. Raises
    OSError or CurationError where others are among them."""
    from curation.readers.formats import guess_format, text_size

    size = 0
    for path in paths:
        if os.path.isdir(path):
            with os.scandir(path) as entries:
                size += _text_size([entry.path for entry in entries])
        elif guess_format(path) in ("table", "text"):
            size += text_size(path, os.path.getsize(path))
        else:
            raise OSError(path)
    return size


def run_tables(
    settings: Tables,
    stages: list[str],
    datasets: list[Tables],
    *,
    out: str | None,
    workers: int | None,
    columns: dict[str, Tables] | None = None,
    export: bool = True,
    **options: Any,
) -> None:
    """Run the recipe that a command line amounts to; without `out`, what it keeps goes to stdout."""
    if out is None:
        need_out(options)
    else:
        paths = [path for dataset in datasets for path in dataset.get("files", ())]
        _start_workers(paths, stages, workers)
    from curation import store
    from curation.recipe import reading

    if any(store.is_web(path) for dataset in datasets for path in dataset.get("files", ())):
        stages = list(dict.fromkeys(["download", *stages]))
    try:
        recipe = reading.parse(recipe_tables(settings, stages, datasets, columns), "command line")
        if out is None:
            from curation.cli.streams import run_to_stdout

            return run_to_stdout(recipe, workers)
        from curation.cli.run import execute
        from curation.cli.streams import with_stdin

        recipe = with_stdin(recipe, out, options["update"])
        return execute(recipe, out, workers=workers, export=export, **options)
    except CurationError as error:
        error.args = (with_options(str(error)),)
        raise


def need_out(options: dict[str, Any]) -> None:
    """Raise UsageError for an option that means nothing for rows on stdout."""
    source = click.get_current_context().get_parameter_source
    names = {"strict": "--strict", "update": "--update", "as_json": "--json"}
    given = [option for name, option in names.items() if options.get(name)]
    if source("export_format") is click.core.ParameterSource.COMMANDLINE:
        given.append("--format")
    if given:
        raise click.UsageError(f"{given[0]} goes with --out; without it rows go to stdout")


def recipe_tables(
    settings: Tables,
    stages: list[str],
    datasets: list[Tables],
    columns: dict[str, Tables] | None = None,
) -> Tables:
    """The recipe as TOML has it. Languages are guessed only where `extract` has settings."""
    columns = columns or {}
    guess = any("languages" in keys for keys in columns.values())
    extract = {"table_languages": guess or "extract" not in stages}
    return {
        "extract": extract,
        **settings,
        "stages": stages,
        "dataset": [
            {**dataset, **columns.get("", {}), **columns.get(dataset["name"], {})}
            for dataset in datasets
        ],
    }


def dataset_table(name: str, role: str, paths: tuple[str, ...]) -> Tables:
    """The recipe's table of a dataset of files that stand on a command line; runs of steps have
    names of columns that were given when they were made."""
    from curation.rundir.sources import column_names

    files = [absolute(path) for path in paths]
    return {"name": name, "role": role, "files": files, **column_names(files)}


def absolute(path: str) -> str:
    """An address as it is, a path from the root; for "-" a file with what stdin holds."""
    if path == "-":
        from curation.cli.streams import stdin_path

        return stdin_path()
    return path if "://" in path else os.path.abspath(path)
