"""One step on one's own files, without a recipe: each command builds a recipe of a few stages and runs it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import click

PLAN_COLUMNS = 120
_INPUT = click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")


def _common(command: Callable[..., None], out_required: bool = True) -> Callable[..., None]:
    for option in (
        click.option(
            "--update", is_flag=True, help="Run again in a directory made with other settings."
        ),
        click.option(
            "--workers", type=click.IntRange(1), help="Worker processes.  [default: one a core]"
        ),
        click.option("--out", required=out_required, help="The run directory to write."),
        click.option(
            "--text-column",
            default="text",
            show_default=True,
            help="The column that holds the text.",
        ),
    ):
        command = option(command)
    return command


def _run(
    tables: dict[str, Any], out: str, workers: int | None, update: bool, export: bool = True
) -> None:
    from curation.engine import forkserver

    forkserver.start()  # before what takes long to import
    from curation.cli.run import execute
    from curation.recipe import reading as recipes

    if "extract" in tables["stages"]:
        tables.setdefault("extract", {"table_languages": False})
    execute(
        recipes.parse(tables, "command line"),
        out,
        workers=workers or 0,
        update=update,
        export=export,
    )


def _dataset(name: str, role: str, paths: tuple[str, ...], text_column: str) -> dict[str, Any]:
    return {
        "name": name,
        "role": role,
        "files": [absolute(p) for p in paths],
        "text_column": text_column,
    }


def absolute(path: str) -> str:
    import os

    return path if "://" in path else os.path.abspath(path)


@click.command()
@click.argument("inputs", nargs=-1, metavar="INPUT...")
@click.option(
    "--extractor",
    type=click.Choice(["blocks", "resiliparse", "trafilatura", "turbohtml", "none"]),
    default="blocks",
    show_default=True,
)
@click.option(
    "--headline", type=click.Choice(["judged", "in", "out"]), default="judged", show_default=True
)
@click.option("--comments", is_flag=True, help="Take readers' comments too.")
@click.option("--markdown", is_flag=True, help='Mark headings with "#".')
@click.option(
    "--language", "languages", multiple=True, help="Keep only this language; may be repeated."
)
@click.option(
    "--urls",
    metavar="LIST",
    help="Instead of INPUT: addresses, one a line, fetched from Common Crawl.",
)
@click.option(
    "--index",
    multiple=True,
    help="With --urls: Parquet files of its columnar index; may be repeated.",
)
@click.option(
    "--base-url",
    help="With --urls: where the archives are.  [default: https://data.commoncrawl.org/]",
)
@click.option(
    "--show",
    metavar="PAGE.html",
    help="Only write what the extractor makes of this page, block by block, to OUT.",
)
@_common
def extract(
    inputs: tuple[str, ...],
    languages: tuple[str, ...],
    urls: str | None,
    index: tuple[str, ...],
    base_url: str | None,
    show: str | None,
    **options: Any,
) -> None:
    """Archives (WARC, WET, ARC), MediaWiki dumps, tables and text files to DIR/documents/*.parquet; what was refused to
    DIR/rejects/. The headline, comments and Markdown are choices of the extractor `blocks`.

    \b
    Examples:
      curation extract crawl/*.warc.gz --out RUN --language en
      curation extract --urls urls.txt --index s3://commoncrawl/cc-index/table/cc-main/warc/crawl=CC-MAIN-2019-35/subset=warc/ --out RUN
      curation extract --show page.html --out blocks.html
    """
    if bool(inputs) + bool(urls) + bool(show) != 1:
        raise click.UsageError("give INPUT..., or --urls LIST, or --show PAGE.html")
    if bool(urls) != bool(index):
        raise click.UsageError("--urls and --index go together")
    if show:
        from curation.cli.extractor import show_page

        return show_page(show, options["out"])
    settings = {name: options[name] for name in ("extractor", "headline", "comments", "markdown")}
    dataset = _dataset("input", "crawl", inputs, options["text_column"])
    if urls:
        dataset |= {"urls": absolute(urls), "index": [absolute(path) for path in index]}
    tables = {
        "stages": ["download", "extract"] if urls else ["extract"],
        "dataset": [dataset],
        "extract": {**settings, "languages": list(languages)},
        "download": {"base_url": base_url} if base_url else {},
    }
    return _run(tables, options["out"], options["workers"], options["update"], export=False)


@click.command()
@_INPUT
@click.option(
    "--positives", "-p", multiple=True, help="Files of the kind of text to keep; may be repeated."
)
@click.option(
    "--negatives", "-n", multiple=True, help="Files of unfiltered text.  [default: INPUT]"
)
@click.option("--model", help="A model folder (RUN/classify/model) to use instead of fitting one.")
@click.option(
    "--alpha",
    type=float,
    default=9.0,
    show_default=True,
    help="Pareto shape: the higher, the stricter.",
)
@click.option(
    "--scaling",
    type=click.Choice(["tf", "binary", "l2", "log-l2"]),
    default="log-l2",
    show_default=True,
)
@_common
def classify(
    inputs: tuple[str, ...],
    positives: tuple[str, ...],
    negatives: tuple[str, ...],
    model: str | None,
    alpha: float,
    scaling: str,
    text_column: str,
    out: str,
    workers: int | None,
    update: bool,
) -> None:
    """GPT-3's quality filter: score each document, keep it with probability (2 - quality)^-alpha.

    Writes DIR/kept/*.parquet and DIR/removed/*.parquet with the columns `quality` and `pareto_draw`.

    \b
    Example:
      curation classify crawl.jsonl.zst --positives wikipedia.parquet --out RUN
    """
    if bool(positives) == bool(model):
        raise click.UsageError("give either --positives or --model")
    datasets = [_dataset("input", "crawl", inputs, text_column)]
    fit: dict[str, Any] = {
        "alpha": alpha,
        "scaling": scaling,
        "model": absolute(model) if model else "",
    }
    for name, paths in (("positives", positives), ("negatives", negatives)):
        if paths:
            datasets.append(_dataset(name, "reference", paths, text_column))
            fit[name] = [name]
    if positives and not negatives:
        fit["negatives"] = ["input"]
    _run(
        {"stages": ["extract", "classify"], "dataset": datasets, "classify": fit},
        out,
        workers,
        update,
    )


@click.command()
@_INPUT
@click.option(
    "--against",
    multiple=True,
    help="Files that stay as they are; what resembles them leaves INPUT.",
)
@click.option(
    "--index",
    metavar="RUN",
    help="An earlier run: what resembles a document that it kept leaves INPUT.",
)
@click.option(
    "--min-jaccard",
    type=click.FloatRange(0, 1),
    default=0.8,
    show_default=True,
    help="Similarity to remove at.",
)
@click.option(
    "--features", type=click.Choice(["shingle", "unigram"]), default="shingle", show_default=True
)
@click.option("--shingle-words", type=click.IntRange(1), default=5, show_default=True)
@click.option(
    "--bands",
    default="20",
    show_default=True,
    help='A number, or "auto": chosen for --min-jaccard.',
)
@click.option("--rows", type=click.IntRange(1), default=6, show_default=True)
@click.option(
    "--hashes",
    type=click.IntRange(1),
    default=128,
    show_default=True,
    help="At most, with --bands auto.",
)
@click.option(
    "--max-repeated-lines",
    type=click.FloatRange(0, 1),
    help="Remove what repeats a larger share of itself.",
)
@click.option(
    "--max-repeated-paragraphs", type=click.FloatRange(0, 1), help="The same by paragraphs."
)
@click.option(
    "--alarm",
    type=click.Choice(["stop", "warn"]),
    default="stop",
    show_default=True,
    help="Where INPUT loses most of its documents, or many to one.",
)
@click.option(
    "--plan", "plan_only", is_flag=True, help="Only tell from a sample what it will find and cost."
)
@partial(_common, out_required=False)
def dedup(
    inputs: tuple[str, ...],
    against: tuple[str, ...],
    index: str | None,
    bands: str,
    plan_only: bool,
    text_column: str,
    out: str | None,
    workers: int | None,
    update: bool,
    **options: Any,
) -> None:
    """Remove near duplicates, each with a measured Jaccard similarity to a document that stays.

    Writes DIR/kept/*.parquet, and DIR/removed/*.parquet with the columns `reason`, `kept_id`, `jaccard`, `repeated_lines` and
    `repeated_paragraphs` (shares of the text in lines and paragraphs that it said before).

    \b
    Examples:
      curation dedup articles.jsonl.gz --out RUN
      curation dedup new.parquet --against corpus/ --out RUN
      curation dedup next.parquet --index RUN --out RUN2
      curation dedup articles.jsonl.gz --min-jaccard 0.7 --bands auto --plan
      curation dedup RUN --plan
    """
    if not bands.isdigit() and bands != "auto":
        raise click.UsageError(f'--bands: a number or "auto" expected, got {bands!r}')
    settings: dict[str, Any] = {key: value for key, value in options.items() if value is not None}
    settings["index"] = absolute(index.rstrip("/")) if index else ""
    settings["bands"] = "auto" if bands == "auto" else int(bands)
    if plan_only and len(inputs) == 1 and not against:
        from curation.cli.dedup_plan import is_run, show_run_plan

        if is_run(inputs[0]):
            return show_run_plan(inputs[0], settings, workers)
    datasets = [_dataset("input", "trusted", inputs, text_column)]
    if against and index:
        raise click.UsageError("give either --against or --index")
    if against:
        datasets.insert(0, _dataset("reference", "reference", against, text_column))
        settings["across"] = [["reference", "input"]]
    tables = {"stages": ["extract", "dedup"], "dataset": datasets, "dedup": settings}
    if plan_only:
        from curation.cli.dedup_plan import show_plan

        return show_plan(tables, workers)
    if not out:
        raise click.UsageError("--out is needed (or --plan)")
    return _run(tables, out, workers, update)


@click.command()
@_INPUT
@click.option(
    "--benchmarks",
    "-b",
    multiple=True,
    required=True,
    help="JSONL files of examples; may be repeated.",
)
@click.option("--gram-words", type=click.IntRange(1), default=13, show_default=True)
@click.option("--margin-chars", type=click.IntRange(0), default=200, show_default=True)
@click.option("--min-piece-chars", type=click.IntRange(0), default=200, show_default=True)
@click.option("--max-pieces", type=click.IntRange(0), default=10, show_default=True)
@click.option(
    "--max-documents",
    type=click.IntRange(0),
    default=10,
    show_default=True,
    help="Ignore more frequent grams.",
)
@_common
def decontaminate(
    inputs: tuple[str, ...],
    benchmarks: tuple[str, ...],
    gram_words: int,
    margin_chars: int,
    min_piece_chars: int,
    max_pieces: int,
    max_documents: int,
    text_column: str,
    out: str,
    workers: int | None,
    update: bool,
) -> None:
    """Cut out what overlaps with benchmarks (GPT-3, appendix C).

    Writes the pieces to DIR/kept/*.parquet (`id`, `piece`, `text`), removed documents to DIR/removed/*.parquet, and every hit
    to DIR/hits.parquet.

    \b
    Example:
      curation decontaminate corpus/*.parquet --benchmarks lambada.jsonl --out RUN
    """
    settings = {
        "benchmarks": [absolute(b) for b in benchmarks],
        "gram_words": gram_words,
        "margin_chars": margin_chars,
        "min_piece_chars": min_piece_chars,
        "max_pieces": max_pieces,
        "max_documents": max_documents,
    }
    datasets = [_dataset("input", "trusted", inputs, text_column)]
    _run(
        {"stages": ["extract", "decontaminate"], "dataset": datasets, "decontaminate": settings},
        out,
        workers,
        update,
    )


@click.command()
@_INPUT
@click.option("--encoding", default="gpt2", show_default=True, help="A name that tiktoken knows.")
@_common
def tokenize(
    inputs: tuple[str, ...],
    encoding: str,
    text_column: str,
    out: str,
    workers: int | None,
    update: bool,
) -> None:
    """Byte-pair tokens of every document: a run directory up to DIR/tokens/, for `curation mix`.

    \b
    Example:
      curation tokenize RUN/kept --out TOKENS
    """
    datasets = [_dataset("input", "trusted", inputs, text_column)]
    tables = {
        "stages": ["extract", "tokenize"],
        "dataset": datasets,
        "tokenize": {"encoding": encoding},
    }
    _run(tables, out, workers, update, export=False)


@click.command()
@click.argument("inputs", nargs=-1, required=True, metavar="NAME=DIR...")
@click.option("--weights", help="For instance a=60,b=40; any unit.")
@click.option(
    "--tokens", type=click.IntRange(0), help="Tokens of the whole mixture; 0: what lasts one epoch."
)
@click.option("--shards", type=click.IntRange(1), help="Training shards.  [default: 8]")
@click.option(
    "--validation",
    type=click.FloatRange(0, 1, max_open=True),
    help="Share held out.  [default: 0.001]",
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--parquet",
    is_flag=True,
    help="Also write each shard as a table that names every chunk's document.",
)
@click.option(
    "--plan",
    "plan_only",
    is_flag=True,
    help="Only show the plan; DIR alone shows that of a recipe's run.",
)
@click.option("--out", help="The run directory to write.")
@click.option("--workers", type=click.IntRange(1), help="Worker processes.  [default: one a core]")
@click.option("--update", is_flag=True, help="Run again in a directory made with other settings.")
def mix(
    inputs: tuple[str, ...],
    weights: str | None,
    tokens: int | None,
    shards: int | None,
    validation: float | None,
    seed: int,
    parquet: bool,
    plan_only: bool,
    out: str | None,
    workers: int | None,
    update: bool,
) -> None:
    """Token shards from run directories that have tokens, mixed by weight without replacement.

    \b
    Examples:
      curation mix web=RUN1 books=RUN2 --weights web=60,books=40 --tokens 1000000 --shards 4 --out MIXED
      curation mix web=RUN1 books=RUN2 --weights web=60,books=40 --tokens 1000000 --plan
      curation mix RUN --plan
    """
    settings: dict[str, Any] = {
        "tokens": tokens,
        "shards": shards,
        "validation": validation,
        "parquet": parquet or None,
    }
    settings = {key: value for key, value in settings.items() if value is not None}
    if weights:
        settings["weights"] = {
            k: _number(v) for k, v in _pairs(weights.split(","), "NAME=WEIGHT").items()
        }
    if plan_only and len(inputs) == 1 and "=" not in inputs[0]:
        return _show_plan(inputs[0], settings)
    sources = _pairs(inputs, "NAME=DIR")
    if "weights" not in settings or "tokens" not in settings:
        raise click.UsageError("--weights and --tokens are needed")
    if sources.keys() != settings["weights"].keys():
        odd = min(sources.keys() ^ settings["weights"].keys())
        raise click.UsageError(
            f"{odd!r} has {'no weight' if odd in sources else 'a weight, but no NAME=DIR'}; each needs both"
        )
    datasets = [
        {
            "name": name,
            "files": [absolute(folder.rstrip("/")) + "/tokens/*/*.parquet"],
            "format": "table",
        }
        for name, folder in sources.items()
    ]
    tables = {"stages": ["mix"], "seed": seed, "dataset": datasets, "mix": settings}
    if plan_only:
        return _show_plan(None, tables)
    if not out:
        raise click.UsageError("--out is needed (or --plan)")
    return _run(tables, out, workers, update, export=False)


def _show_plan(run: str | None, tables: dict[str, Any]) -> None:
    """The plan of a run directory with some settings of `mix` changed, or (None) of a recipe given as tables."""
    import dataclasses

    from rich.console import Console

    from curation.inspect.evidence.mixture import mixture_plan
    from curation.inspect.terminal.mixture import plan_parts
    from curation.recipe import reading as recipes
    from curation.rundir import plan as plans
    from curation.rundir.directory import RunDirectory

    if run is None:
        rundir = RunDirectory(".", recipes.parse(tables, "command line"))
        plan = plans.make(rundir.recipe, ".")
    else:
        rundir, plan = plans.read(run)
        changed = dataclasses.replace(rundir.recipe.mix, **tables)
        stages = tuple(dict.fromkeys((*rundir.recipe.stages, "mix")))
        rundir = RunDirectory(run, dataclasses.replace(rundir.recipe, mix=changed, stages=stages))
    console = Console()
    console = console if console.width >= PLAN_COLUMNS else Console(width=PLAN_COLUMNS)
    for part in plan_parts(rundir, mixture_plan(rundir, plan)):
        console.print(part)


def _pairs(items: Any, form: str) -> dict[str, str]:
    out = {}
    for item in items:
        name, equals, value = item.partition("=")
        if not (name and equals and value):
            raise click.UsageError(f"{form} expected, got {item!r}")
        if name.strip() in out:
            raise click.UsageError(
                f"{name.strip()!r} is named twice; give each run a name of its own"
            )
        out[name.strip()] = value.strip()
    return out


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise click.UsageError(f"a weight is a number, got {text!r}") from error
