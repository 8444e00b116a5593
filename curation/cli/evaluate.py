"""`curation evaluate`: zero-, one- and few-shot scores of a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from curation.cli.console import console, say

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
    contamination: Path | None,
    device: str | None,
    out: Path | None,
) -> None:
    """Score the model in CHECKPOINT on benchmark files as GPT-3 was: choices by likelihood, last
    words, free-form answers.

    \b
    Example:
      curation evaluate RUN/model --benchmarks benchmarks --shots 8 --limit 500
    """
    from curation.cli.train import need_finished, require_torch

    require_torch("curation evaluate")
    if contamination:
        need_finished(contamination, "decontaminate")
    from curation import store
    from curation.gpt3 import evaluate as evaluation
    from curation.gpt3.watched import Watched

    dirty = evaluation.read_dirty(contamination) if contamination else None
    reader: Any = Watched(evaluation.open_reader(checkpoint, device), Bar())
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


class Bar:
    """A bar on the terminal for each part of a task, gone when it is done; nothing in a file."""

    def __init__(self) -> None:
        self._console = console(stderr=True)
        self._live: Any = None

    def __call__(self, what: str, done: int, total: int) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
        from rich.progress import TimeRemainingColumn as Left

        if not self._console.is_terminal or not total:
            return
        if self._live is None:
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Left())
            # Rows go to stdout, which may be a file, while the bar is on stderr.
            self._live = Progress(
                *columns,
                console=self._console,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._task = self._live.add_task(what, total=total)
            self._live.start()
        self._live.update(self._task, completed=done)
        if done >= total:
            self._live.stop()
            self._live = None


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
