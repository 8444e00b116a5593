"""`curation evaluate`: zero-, one- and few-shot scores of a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from curation.cli.console import say

COLUMNS = "{:<24} {:>8} {:>6} {:>9} {:>17} {:>7}  {}"


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option(
    "--benchmarks",
    type=click.Path(path_type=Path, exists=True),
    required=True,
    multiple=True,
    help="A folder of JSONL files under their usual names, or one file; may be repeated.",
)
@click.option(
    "--task",
    "tasks",
    multiple=True,
    help="Only this task; may be repeated.  [default: all that have a file]",
)
@click.option(
    "--shots",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Examples shown before each.",
)
@click.option(
    "--limit", type=click.IntRange(1), help="At most so many examples of a task, drawn by the seed."
)
@click.option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    help="Draws the shots, and the examples of --limit.",
)
@click.option(
    "--as",
    "kind",
    type=click.Choice(["perplexity", "translate", "summarize", "answer"]),
    help="Read the files as GPT-2's tasks without training.",
)
@click.option(
    "--detokenizer",
    type=click.Choice(["none", "wikitext", "ptb"]),
    default="none",
    show_default=True,
    help="Of --as perplexity: how the file's tokens become text.",
)
@click.option(
    "--contamination",
    type=click.Path(path_type=Path),
    help="A run directory: also score its clean and dirty examples apart, and those too short to be "
    "looked for.",
)
@click.option("--device", help="cpu or cuda. [default: cuda where there is a GPU]")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Also write everything as JSON to this file."
)
def evaluate(
    checkpoint: Path,
    benchmarks: tuple[Path, ...],
    tasks: tuple[str, ...],
    shots: int,
    limit: int | None,
    seed: int,
    kind: str | None,
    detokenizer: str,
    contamination: Path | None,
    device: str | None,
    out: Path | None,
) -> None:
    """Score the model in CHECKPOINT on benchmark files as GPT-3 was: choices by likelihood, last
    words, free-form answers. A model of `curation tune finetune` is scored on files of its task.

    \b
    Example:
      curation evaluate RUN/model --benchmarks benchmarks --shots 8 --limit 500
      curation evaluate RUN/model --benchmarks wiki.tokens --as perplexity --detokenizer wikitext
      curation evaluate tuned --benchmarks dev.jsonl
    """
    from curation.cli.train import need_finished, require_torch

    require_torch("curation evaluate")
    if contamination:
        need_finished(contamination, "decontaminate")
    from curation import store
    from curation.cli import zero_shot
    from curation.gpt3 import evaluate as evaluation
    from curation.gpt3.finetune.evaluate import is_tuned

    if kind:
        options = {"shots": shots, "limit": limit, "seed": seed, "detokenizer": detokenizer}
        zero_shot.show(checkpoint, kind, benchmarks, options, device, out)
        return
    if is_tuned(checkpoint):
        say(COLUMNS.format("task", "examples", "shots", "accuracy", "95 %", "chance", ""))
        zero_shot.show_tuned(checkpoint, benchmarks, device, out, _show)
        return
    dirty = evaluation.read_dirty(contamination) if contamination else None
    reader = evaluation.open_reader(checkpoint, device)
    say(COLUMNS.format("task", "examples", "shots", "accuracy", "95 %", "chance", ""))
    results = evaluation.evaluate(
        reader,
        benchmarks,
        tasks,
        shots=shots,
        limit=limit,
        seed=seed,
        dirty=dirty,
        say=_show,
    )
    if out:
        settings = {"checkpoint": str(checkpoint), "shots": shots, "limit": limit, "seed": seed}
        store.write_json(str(out), {**settings, "results": results})
        say(f"{out}")


def _show(result: dict[str, Any]) -> None:
    say(line(result))
    for warning in result.get("warnings", ()):
        say(f"Warning: {warning}", err=True)


def line(result: dict[str, Any]) -> str:
    """One row of the table; perplexity, clean and dirty, and contexts that were cut stand at its
    end.
    """
    accuracy, perplexity = result["accuracy"], result.get("perplexity")
    notes = (
        [
            f"perplexity {perplexity['value']:,.4g} [{perplexity['low']:,.4g}, "
            f"{perplexity['high']:,.4g}]"
        ]
        if perplexity
        else []
    )
    notes += [
        f"{side} {_percent(result[side]['accuracy']['value'])} of {result[side]['examples']}"
        for side in ("clean", "dirty", "unsearched")
        if side in result and result[side]["examples"]
    ]
    if result["cut"]:
        notes.append(f"{result['cut']} cut to fit the window")
    span = f"{_percent(accuracy['low'])} - {_percent(accuracy['high'])}"
    chance = _percent(result["chance"]) if result["chance"] else ""
    row = (
        result["task"],
        result["examples"],
        f"{result['shots']:g}",
        _percent(accuracy["value"]),
        span,
        chance,
    )
    return COLUMNS.format(*row, "; ".join(notes)).rstrip()


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"
