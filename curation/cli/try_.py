"""`curation try`: extraction, language, quality and duplicates on the first pages of one's own files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from curation.cli.console import console, say
from curation.cli.options import (
    Words,
    json_option,
    number_option,
    out_option,
    update_option,
    workers_option,
)

if TYPE_CHECKING:
    from curation.inspect.evidence.sample import SampledDocument
    from curation.rundir.directory import RunDirectory
    from curation.rundir.plan import Plan

STAGES = ["extract", "classify", "dedup"]
RECIPE = """\
# What `curation try` ran, for all pages.
stages = {stages}

[[dataset]]
name = "input"
role = "crawl"
files = {files}

[extract]
languages = {languages}
"""


@click.command("try")
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@number_option(
    "--pages", default=1000, least=1, help="Pages to read, from the start of each INPUT alike."
)
@click.option(
    "--languages",
    "--language",
    type=Words(),
    default="en",
    show_default=True,
    help="Languages to keep.",
)
@number_option("-n", "count", default=20, least=1, help="Pages to show of those kept, and of those removed.")  # fmt: skip
@out_option
@workers_option
@update_option
@json_option
def try_(
    inputs: tuple[str, ...],
    pages: int,
    languages: tuple[str, ...],
    count: int,
    out: str,
    workers: int | None,
    update: bool,
    as_json: bool,
) -> None:
    """What the line makes of the first pages of INPUT, without a recipe.

    Takes the main text of each page, keeps some languages, scores the quality with the model that
    ships with curation, and removes near duplicates. Shows what left and why, pages that were kept
    and pages that were removed, and the command that does the same for all pages. With --json the
    pages are left to `curation sample DIR --json`.

    \b
    Example:
      curation try CC-MAIN-2024-10-00000.warc.gz --out TRY
    """
    import orjson

    from curation import store
    from curation.cli.steps import absolute, run_tables
    from curation.rundir import plan

    files = [absolute(path) for path in inputs]
    number = sum(1 if store.is_web(path) else len(store.find(path)) for path in files)
    dataset = {"name": "input", "role": "crawl", "files": files}
    first = {"first_pages": max(1, pages // max(1, number))}
    settings = {"extract": {"languages": list(languages)}, "dedup": {"alarm": "warn"}}
    options: dict[str, Any] = {"out": out, "workers": workers, "update": update}
    run_tables(settings, STAGES, [dataset | first], export=False, as_json=as_json, **options)
    rundir, run_plan = plan.read(out)
    if not as_json:
        for part in _shown(rundir, run_plan, count):
            console().print(part, highlight=False)
    recipe = store.join(out, "recipe.toml")
    text = RECIPE.format(
        stages=orjson.dumps(rundir.recipe.stages).decode(),
        files=orjson.dumps(files).decode(),
        languages=orjson.dumps(list(languages)).decode(),
    )
    store.write_bytes(recipe, text.encode())
    say(f"\nAll pages: curation run {recipe} --out RUN", err=as_json)


def _shown(rundir: RunDirectory, run_plan: Plan, count: int) -> Iterator[object]:
    """Random pages that were kept, and that each stage removed, a few lines each."""
    from curation.inspect.evidence.sample import sample

    kept = sample(rundir, run_plan, n=count)
    yield from _pages("Kept", kept)
    per_stage = [sample(rundir, run_plan, stage=stage, n=count) for stage in STAGES]
    removed = [
        page for turn in range(count) for pages in per_stage for page in pages[turn : turn + 1]
    ]
    yield from _pages("Removed", removed[:count])


def _pages(title: str, pages: list[SampledDocument]) -> Iterator[object]:
    from rich.text import Text

    from curation.inspect.terminal.explain import clean

    yield Text(f"\n{title}: {len(pages)} of them, drawn at random", style="bold")
    for page in pages:
        reason, score = page.evidence.get("reason"), page.evidence.get("score")
        facts = [reason or "", "" if score is None else f"score {score:.2f}"]
        facts.append("" if page.text is None else f"{page.chars:,} characters")
        if duplicate_of := page.evidence.get("kept_id"):
            facts.append(f"of {duplicate_of}")
        line = Text("  ".join(filter(None, facts)) + "  ", style="yellow" if reason else "green")
        yield line.append(clean(page.url or page.id or "", 100), style="dim")
        words = clean(" ".join((page.text or page.evidence.get("detail") or "").split()), 150)
        if words:
            yield Text(f"    {words}")
