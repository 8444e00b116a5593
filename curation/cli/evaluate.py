"""`curation evaluate`: zero-, one- and few-shot scores of a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from curation.cli.console import AGAIN, console, say, when_interrupted
from curation.cli.options import PATH, device_option, number_option, written_option

if TYPE_CHECKING:
    from curation.gpt3.evaluation.curves import Plan, Results

COLUMNS = "{:<24} {:>8} {:>6} {:>9} {:>17} {:>7}  {}"
HEADER = COLUMNS.format("task", "examples", "shots", "score", "95 %", "chance", "")
MOST_SHOTS = 1000


class Shots(click.ParamType):  # type: ignore[type-arg]  # click 8.1 has no such argument
    """Numbers of examples with commas between them."""

    name = "K,K"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, tuple):
            return value
        try:
            shots = tuple(dict.fromkeys(int(part) for part in str(value).split(",")))
        except ValueError:
            shots = (-1,)
        if not all(0 <= k <= MOST_SHOTS for k in shots):
            self.fail(f"whole numbers from 0 to {MOST_SHOTS:,} with commas expected, got {value!r}")
        return shots


@click.command()
@click.argument("checkpoints", metavar="CHECKPOINT...", type=PATH, nargs=-1, required=True)
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
    type=Shots(),
    default="0",
    show_default=True,
    help="Examples shown before each; several numbers for a curve: 0,1,4,16,64.",
)
@click.option(
    "--describe",
    is_flag=True,
    help="Ask with the task's description in words, where the paper has one; this is the default.",
)
@click.option(
    "--bare",
    is_flag=True,
    help="Ask without it.  With --describe as well: both, one after another.",
)
@number_option(
    "--beam",
    default=4,
    least=1,
    most=64,
    help="Width of the search for written answers; 1 is greedy.",
)
@click.option(
    "--limit", type=click.IntRange(1), help="At most so many examples of a task, drawn by the seed."
)
@number_option("--seed", default=0, help="Draws the shots, and the examples of --limit.")
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
    type=PATH,
    help="A run directory: also score its clean and dirty examples apart, and those too short to be "
    "looked for (table C.1 and figure 4.2).",
)
@device_option
@written_option
@click.option(
    "--page", type=PATH, help="Also write figures and tables as an HTML page to this file."
)
def evaluate(
    checkpoints: tuple[Path, ...],
    benchmarks: tuple[Path, ...],
    tasks: tuple[str, ...],
    shots: tuple[int, ...],
    describe: bool,
    bare: bool,
    beam: int,
    limit: int | None,
    seed: int,
    kind: str | None,
    detokenizer: str,
    contamination: Path | None,
    device: str | None,
    out: Path | None,
    page: Path | None,
) -> None:
    """Score the models in CHECKPOINT... on benchmark files as GPT-3 was: choices by likelihood, last
    words, written answers. Models of `curation tune finetune` are scored on files of their task.

    \b
    Example:
      curation evaluate RUN/model --benchmarks benchmarks --shots 8 --limit 500
      curation evaluate SMALL LARGE --benchmarks benchmarks --shots 0,1,4,16,64 \\
        --describe --bare --page scores.html
      curation evaluate RUN/model --benchmarks wiki.tokens --as perplexity --detokenizer wikitext
      curation evaluate tuned --benchmarks dev.jsonl
    """
    from curation.cli.train import need_finished, require_torch

    require_torch("curation evaluate")
    files = " and ".join(str(file) for file in (out, page) if file)
    unwritten = f" Not written: {files}." if files else ""
    when_interrupted(lambda: f"What was scored stands above.{unwritten} {AGAIN}")
    if contamination:
        need_finished(contamination, "decontaminate")
    from curation.cli import zero_shot
    from curation.gpt3.evaluation.curves import Plan

    options = {"limit": limit, "seed": seed, "detokenizer": detokenizer}
    table = (HEADER, _show)
    if zero_shot.shown(checkpoints, kind, benchmarks, shots, options, device, out, table):
        return
    described = [True] * (describe or not bare) + [False] * bare
    plan = Plan(benchmarks, tasks, shots, described, limit, seed)
    results = _results(checkpoints, plan, contamination, device, beam)
    return _write(results, plan, checkpoints, beam, out, page)


def _results(
    checkpoints: tuple[Path, ...],
    plan: Plan,
    contamination: Path | None,
    device: str | None,
    beam: int,
) -> Results:
    """The results of one checkpoint after another, printed as they come."""
    from curation.gpt3 import evaluate as evaluation
    from curation.gpt3.evaluation.curves import check, curves
    from curation.gpt3.model import parameter_count
    from curation.gpt3.watched import Watched

    dirty = evaluation.read_dirty(contamination) if contamination else None
    check(plan)
    results: Results = []
    for checkpoint in checkpoints:
        opened: Any = Watched(evaluation.open_reader(checkpoint, device, beam), Bar())
        if len(checkpoints) > 1:
            say(f"{checkpoint}")
        say(HEADER)
        facts = {"model": str(checkpoint), "parameters": parameter_count(opened.model.size)}
        results += curves(opened, plan, dirty, _show, **facts)
    return results


def _write(
    results: Results,
    plan: Plan,
    checkpoints: tuple[Path, ...],
    beam: int,
    out: Path | None,
    page: Path | None,
) -> None:
    """Table C.1 where there is one, the JSON file and the page."""
    from curation import store
    from curation.gpt3.dirty import overlap_table

    overlap = overlap_table(results)
    for row in _last(overlap, plan, checkpoints):
        say(overlap_line(row))
    if out:
        models, shots = [str(path) for path in checkpoints], list(plan.shots)
        settings = {
            "checkpoint": models[0] if len(models) == 1 else models,
            "shots": shots[0] if len(shots) == 1 else shots,
            "limit": plan.limit,
            "seed": plan.seed,
            "beam": beam,
        }
        more = {"overlap": overlap} if overlap else {}
        store.write_json(str(out), {**settings, "results": results, **more})
        say(f"{out}")
    if page:
        from curation.web.evaluation import evaluation_page

        html = evaluation_page(results, _last(overlap, plan, checkpoints))
        store.write_bytes(str(page), html.encode())
        say(f"{page}")


def _last(overlap: Results, plan: Plan, checkpoints: tuple[Path, ...]) -> Results:
    """Of table C.1 the rows of the last model, with the most shots and, if asked, described."""
    described = plan.described[0]
    return [
        row
        for row in overlap
        if row["model"] == str(checkpoints[-1])
        and row["shots_asked"] == max(plan.shots)
        and row["described"] == described
    ]


def overlap_line(row: dict[str, Any]) -> str:
    """One row of table C.1 in words."""
    difference = row["relative_difference"]
    change = "not known" if difference is None else f"{100 * difference:+.1f} %"
    return (
        f"{row['task']}: {100 * row['clean_share']:.1f} % of {row['examples']:,} examples are clean; "
        f"clean against all, relative: {change}"
    )


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
    end."""
    score, perplexity = _score(result), result.get("perplexity")
    notes = (
        [
            f"perplexity {perplexity['value']:,.4g} [{perplexity['low']:,.4g}, "
            f"{perplexity['high']:,.4g}]"
        ]
        if perplexity
        else []
    )
    if (metric := result.get("metric", "accuracy")) != "accuracy":
        notes.append("BLEU" if metric == "bleu" else "F1")
    if not result.get("described", True):
        notes.append("bare")
    notes += [
        f"{side} {_percent(_score(result[side])['value'])} of {result[side]['examples']}"
        for side in ("clean", "dirty", "unsearched")
        if side in result and result[side]["examples"]
    ]
    if result["cut"]:
        notes.append(f"{result['cut']} cut to fit the window")
    span = f"{_percent(score['low'])} - {_percent(score['high'])}"
    chance = _percent(result["chance"]) if result["chance"] else ""
    row = (
        result["task"],
        result["examples"],
        f"{result['shots']:g}",
        _percent(score["value"]),
        span,
        chance,
    )
    return COLUMNS.format(*row, "; ".join(notes)).rstrip()


def _score(result: dict[str, Any]) -> dict[str, float]:
    score: dict[str, float] = result.get("score", result["accuracy"])
    return score


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"
