"""`curation ablate`: texts by `curation.tools.ablation`, models by `curation.gpt3.ablation`, the
page by `curation.web.ablation`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from curation.cli.console import console, say
from curation.cli.options import PATH, number_option, set_option


@click.command()
@click.argument("recipe")
@click.option("--out", type=PATH, required=True, help="Folder for texts, models and the result.")
@click.option(
    "--size",
    default="tiny",
    show_default=True,
    help="Size of every model; `curation train --help` has them.",
)
@number_option("--tokens", default=262_144, least=1, help="Training tokens of each model.")
@number_option("--seeds", default=3, least=2, help="Models of each arm.")
@number_option(
    "--heldout",
    default=0.1,
    above=0,
    below=1,
    help="Share of the trusted corpora's sites and works that no arm sees.",
)
@number_option("--windows", default=64, least=2, help="Held-out windows of each corpus.")
@set_option
@click.option(
    "--workers", type=click.IntRange(1), help="Worker processes of the line.  [default: one a core]"
)
def ablate(
    recipe: str,
    out: Path,
    size: str,
    tokens: int,
    seeds: int,
    heldout: float,
    windows: int,
    overrides: tuple[str, ...],
    workers: int | None,
) -> None:
    """Does curation help? Train the same small model on the raw crawl, after classify, after dedup,
    and on the whole mixture of RECIPE, and compare their loss on held-out text of the trusted
    corpora.

    Writes OUT/ablation.json and OUT/ablation.html. The same command goes on where it was
    interrupted.

    \b
    Example:
      curation ablate recipe.toml --out ABLATION --tokens 500000
    """
    from curation.cli.train import require_torch

    require_torch("curation ablate")

    from curation import store
    from curation.cli.progress import Steps
    from curation.engine.local import LocalEngine
    from curation.gpt3.ablation import measure
    from curation.inspect.evidence.ablation import ablation as ablation_result
    from curation.inspect.terminal.results import ablation_parts
    from curation.recipe import reading
    from curation.tools import ablation
    from curation.web.ablation import ablation_page

    loaded = reading.load(recipe, overrides)
    with Steps() as steps:
        engine = LocalEngine(workers or 0, loaded.memory_gb, progress=steps)
        try:
            texts = ablation.prepare(loaded, str(out), engine, tokens, share=heldout, say=steps.say)
        finally:
            engine.close()
    arms, heldout_shards = (
        {name: Path(path) for name, path in paths.items()} for paths in (texts.arms, texts.heldout)
    )
    losses = measure(arms, heldout_shards, out / "models", size, tokens, seeds, windows, say)
    result = ablation_result(asdict(losses), texts.facts)
    store.write_json(str(out / "ablation.json"), asdict(result))
    store.write_bytes(str(out / "ablation.html"), ablation_page(result).encode())
    for part in ablation_parts(result):
        console().print(part, highlight=False, soft_wrap=True)
    say(f"{out / 'ablation.html'}")
