"""`curation explain MODEL`: which documents a step of training saw, and which steps saw a document.

Joins the trainer's order of windows (`gpt3/positions.py`) with the documents of the shards
(`inspect/evidence/placing.py`). Epochs are counted from 1 here.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from curation.cli.console import console, print_json, say
from curation.errors import InputError, RunError

if TYPE_CHECKING:
    from curation.gpt3.positions import Steps

MOST_ROWS = 60
MOST_UNREAD = 3
MOST_STEPS = 12


def explain_model(
    model: Path, key: str | None, step: int | None, run: Path | None, as_json: bool
) -> None:
    """Print the documents of a step, or the steps of a document."""
    from curation.gpt3.positions import steps_of

    if (step is None) == (key is None):
        raise click.UsageError(
            f"{model} is a model: give --step N for the documents that step N saw, or the id or URL "
            "of a document for the steps that saw it."
        )
    steps = steps_of(model, run)
    if step is not None:
        _print_step(steps, step, as_json)
    else:
        _print_document(steps, str(key), as_json)


def _run_of(steps: Steps) -> Any:
    """The run directory that the shards are in, and its plan; None where they are in none."""
    from curation.rundir import plan

    folder = steps.windows.shards.folder
    if folder.name != "shards" or not (folder.parent / "plan.json").is_file():
        return None
    return plan.read(str(folder.parent))


# ---- the documents of a step


def _print_step(steps: Steps, step: int, as_json: bool) -> None:
    from curation.inspect.evidence.listing import listing
    from curation.inspect.evidence.placing import added, parts_of, placed_shards
    from curation.inspect.terminal.tables import table_of

    spans = steps.spans(step)
    opened = _run_of(steps)
    documents: list[dict[str, Any]] | None = None
    if opened:
        rundir, plan = opened
        placed = placed_shards(rundir, plan, {span.shard for span in spans})
        parts = [
            part
            for span in spans
            for part in parts_of(rundir, placed[span.shard], span.start, span.end)
        ]
        documents = [
            {"dataset": dataset, "id": id_, "epoch": epoch + 1, "tokens": tokens}
            for (dataset, id_, epoch), tokens in added(parts).items()
        ]
    if as_json:
        return print_json({"step": step, "spans": spans, "documents": documents})
    tokens = sum(span.end - span.start for span in spans)
    shards = ", ".join(dict.fromkeys(span.shard for span in spans))
    say(f"Step {step:,} of {steps.last:,} read {tokens:,} tokens of {shards}.")
    rows: list[tuple[str, ...]]
    if documents is None:
        say("The shards are in no run directory, so their documents are not known. Tokens read:")
        rows = [(span.shard, f"{span.start:,}", f"{span.end:,}") for span in spans]
        shown = listing("", ("shard", "from token", "to"), rows[:MOST_ROWS])
    else:
        rows = [
            (row["dataset"], row["id"], f"{row['epoch']}", f"{row['tokens']:,}")
            for row in documents
        ]
        head = ("dataset", "document", "epoch", "tokens")
        shown = listing("", head, rows[:MOST_ROWS], left=(0, 1))
    console().print(table_of(shown))
    if len(rows) > MOST_ROWS:
        say(f"... and {len(rows) - MOST_ROWS:,} more; --json has all.")
    return None


# ---- the steps of a document


def _print_document(steps: Steps, key: str, as_json: bool) -> None:
    from curation.inspect.evidence.listing import listing
    from curation.inspect.terminal.tables import table_of

    opened = _run_of(steps)
    if opened is None:
        raise RunError(
            f"{steps.windows.shards.folder} is in no run directory, so the documents of its shards "
            "are not known; give a step with --step"
        )
    rows = _places(steps, opened, key)
    if as_json:
        return print_json({"key": key, "last_step": steps.last, "places": rows})
    head = ("dataset", "document", "epoch", "chunk", "shard", "from token", "tokens", "steps")
    cells = [
        (
            *(row["dataset"], row["id"], f"{row['epoch']}", f"{row['chunk'] + 1}", row["shard"]),
            *(f"{row['start']:,}", f"{row['end'] - row['start']:,}", _steps(row["steps"])),
        )
        for row in _worth_showing(rows)
    ]
    console().print(table_of(listing("", head, cells, left=(0, 1, 4, 7))))
    if len(rows) > len(cells):
        say(f"... and {len(rows) - len(cells):,} more places; --json has all.")
    say(f"The model has {steps.last:,} steps.")
    return None


def _worth_showing(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The places that were read, at most MOST_ROWS, and a few of those that were not: a text may be
    repeated hundreds of times."""
    unread = [row for row in rows if not row["steps"]][:MOST_UNREAD]
    read = [row for row in rows if row["steps"]][:MOST_ROWS]
    return [row for row in rows if row in read or row in unread]


def _places(steps: Steps, opened: Any, key: str) -> list[dict[str, Any]]:
    """Each copy of each chunk of the documents with this id or URL, and the steps that read it."""
    from curation.gpt3.positions import Span
    from curation.inspect.evidence.find import find
    from curation.inspect.evidence.placing import placed_shards, places_of

    rundir, plan = opened
    ids = {(row.shard.dataset, row.columns["id"]) for row in find(rundir, plan, key)[0]}
    # A run of `curation mix` has no documents of its own, only their tokens.
    ids |= {(dataset, key) for dataset in rundir.recipe.mix.weights}
    placed = placed_shards(rundir, plan, steps.windows.names)
    rows = [
        {
            **{"dataset": dataset, "id": id_, "epoch": epoch + 1, "chunk": chunk},
            **{"shard": shard, "start": start, "end": end},
            "steps": steps.that_saw(Span(shard, start, end)),
        }
        for dataset, id_ in sorted(ids)
        for shard, start, end, epoch, chunk in places_of(rundir, placed, dataset, id_)
    ]
    if not rows:
        raise InputError(
            f"no document {key!r} is in the training shards of {rundir.out}; "
            f"`curation explain {rundir.out} {key}` says what became of it"
        )
    return rows


def _steps(numbers: list[int]) -> str:
    """Steps in words.

    >>> _steps([3, 4, 5, 9]), _steps([])
    ('3-5, 9', 'none yet')
    """
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    shown = [f"{first:,}" if first == last else f"{first:,}-{last:,}" for first, last in runs]
    more = f" and {len(shown) - MOST_STEPS} more" if len(shown) > MOST_STEPS else ""
    return ", ".join(shown[:MOST_STEPS]) + more or "none yet"
