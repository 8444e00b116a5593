"""The plan of a mixture beside what was achieved, and beside the paper's table 2.2 with what does not fit in it.

Cost: the columns `content` and `counts` of every token table.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from curation import store
from curation.errors import RunError
from curation.inspect.format import percent, plain_table
from curation.stages.mix import stage as mix
from curation.stages.mix.mixture import (
    PAPER,
    PAPER_TOKENS,
    mixture_warnings,
    paper_epochs,
    paper_notes,
)

if TYPE_CHECKING:
    from curation.rundir.directory import RunDirectory
    from curation.rundir.plan import Plan


def mixture_plan(rundir: RunDirectory, plan: Plan) -> list[dict[str, Any]]:
    """Per dataset: weight, tokens, validation_tokens, epochs and planned tokens; where these shards were made also `placed`.

    Raises RunError where a dataset with a weight has no tokens yet.
    """
    shards = [shard for shard in plan.shards if shard.dataset in rundir.recipe.mix.weights]
    for shard in shards:
        if not store.exists(mix.token_path(rundir, shard)):
            raise RunError(
                f"{rundir.out}: {shard} has no tokens yet; run the recipe as far as tokenize"
            )
    shares = mix.shares_of(rundir, shards, [mix.count_shard(rundir, shard) for shard in shards])
    rows = [
        {
            "dataset": share.dataset,
            "weight": share.weight,
            "tokens": share.tokens,
            "validation_tokens": share.validation_tokens,
            "epochs": share.epochs,
            "planned": share.epochs * share.tokens,
        }
        for share in shares
    ]
    placed = _placed(rundir, rows)
    return [{**row, "placed": placed[row["dataset"]]} for row in rows] if placed else rows


def _placed(rundir: RunDirectory, rows: list[dict[str, Any]]) -> dict[Any, int] | None:
    """Tokens of each dataset in the training shards, where those are of this very plan."""
    listed, manifest = (rundir.path("shards", name) for name in ("shards.json", "manifest.parquet"))
    if not (store.exists(listed) and store.exists(manifest)):
        return None
    made = [
        (part["dataset"], part["tokens"], part["epochs"])
        for part in store.read_json(listed)["mixture"]
    ]
    if made != [(row["dataset"], row["tokens"], row["epochs"]) for row in rows]:
        return None
    train = [
        row["dataset_tokens"]
        for row in store.read_table(manifest).to_pylist()
        if row["split"] == "train"
    ]
    return {
        row["dataset"]: sum(t[rundir.recipe.place(row["dataset"])] for t in train) for row in rows
    }


def plan_view(rundir: RunDirectory, rows: list[dict[str, Any]]) -> Iterator[RenderableType]:
    """The plan, its warnings, and the paper's table with notes."""
    yield _plan_table(rundir, rows)
    for line in mixture_warnings(rows):
        yield Text(f"! {line}", style="yellow")
    yield Text()
    yield _paper_table()
    for note in paper_notes():
        yield Text(f"  {note}", style="dim")


def _plan_table(rundir: RunDirectory, rows: list[dict[str, Any]]) -> Table:
    budget = sum(row["planned"] for row in rows)
    said = f"{rundir.recipe.mix.tokens:,}" if rundir.recipe.mix.tokens else "what lasts one epoch"
    title = f"The mixture: {budget:,.0f} tokens ({said} asked for) in {rundir.recipe.mix.shards:,} shards"
    achieved = "placed" in rows[0]
    head = ["dataset", "tokens", "held out", "weight", "epochs", "in the mixture"]
    table = plain_table(
        head + (["placed", "share", "epochs placed"] if achieved else []), title=title
    )
    whole = sum(row["placed"] for row in rows) if achieved else 0
    for row in rows:
        cells = [
            row["dataset"],
            f"{row['tokens']:,}",
            f"{row['validation_tokens']:,}",
            percent(row["weight"], 2),
        ]
        cells += [f"{row['epochs']:,.2f}", f"{row['planned']:,.0f}"]
        if achieved:
            cells += [
                f"{row['placed']:,}",
                percent(row["placed"] / max(whole, 1), 2),
                f"{row['placed'] / row['tokens']:,.2f}",
            ]
        table.add_row(*cells)
    return table


def _paper_table() -> Table:
    head = ["dataset", "tokens", "weight", "of 101", "epochs printed", "epochs that follow"]
    table = plain_table(head, title=f"Table 2.2 of the paper, for {PAPER_TOKENS} billion tokens")
    for name, tokens, weight, epochs in PAPER:
        cells = [
            f"{tokens} billion",
            f"{weight} %",
            percent(weight / 101, 2),
            f"{epochs:g}",
            f"{paper_epochs(tokens, weight):.2f}",
        ]
        table.add_row(name, *cells)
    return table
