"""`curation label`: a person labels documents of a run, and sees how good its quality filter is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from curation.cli.console import console, print_json, say
from curation.cli.options import json_option, number_option
from curation.errors import InputError

if TYPE_CHECKING:
    from curation.rundir.directory import RunDirectory
    from curation.rundir.plan import Plan

KEYS = "2 worth training on   1 borderline   0 not   s skip   b back   q quit"


@click.command()
@click.argument("run", metavar="DIR")
@number_option("-n", "count", default=100, least=1, help="Labels to reach.")
@click.option(
    "--labels",
    metavar="FILE",
    help="Ask nothing: take these labels. JSON lines with `label` and `id`, `url`, or `archive` and "
    "`offset`.",
)
@number_option("--seed", default=0, least=0, help="Draws the documents.")
@json_option
def label(run: str, count: int, labels: str | None, seed: int, as_json: bool) -> None:
    """Label documents of a run with one key each, and see how good its quality filter is.

    Documents are drawn equally from ten bands of score, and shown without it. The labels stand in
    DIR/labels.jsonl; the same command goes on where you stopped.

    \b
    Examples:
      curation label RUN -n 100
      curation label RUN --labels mine.jsonl
    """
    from curation import store
    from curation.inspect.evidence import labels as evidence
    from curation.inspect.terminal.results import label_parts
    from curation.rundir import plan as plans

    rundir, plan = plans.read(run)
    path = labels or rundir.path(evidence.FILE)
    if not labels:
        _ask(rundir, plan, count, seed)
        if not store.exists(path):
            return None
    documents = evidence.scored_documents(rundir, plan)
    rows = evidence.read_labels(path)
    placed, strange = evidence.placed_labels(rundir, plan, documents, rows)
    if strange:
        say(
            f"Warning: {strange:,} of {len(rows):,} labels are of documents that the quality filter "
            "of this run did not score",
            err=True,
        )
    report = evidence.label_report(rundir, plan, documents, placed, drawn=not labels, seed=seed)
    if as_json:
        return print_json(report)
    for part in label_parts(report):
        console().print(part, highlight=False)
    return None


def _ask(rundir: RunDirectory, plan: Plan, count: int, seed: int) -> None:
    """Ask for the labels that are missing."""
    from curation.inspect.evidence.labelling import Labelling
    from curation.inspect.terminal.documents import document_panel

    labelling = Labelling(rundir, plan, count, seed)
    while question := labelling.question():
        console().print(document_panel(question, count))
        answer = _answer()
        if answer == "q":
            break
        if answer == "b":
            labelling.back()
        else:
            labelling.answer(question, None if answer == "s" else int(answer))


def _answer() -> str:
    say(KEYS)
    while True:
        try:
            key = click.getchar().lower()
        except EOFError:
            return "q"
        except OSError as error:  # no terminal
            raise InputError(
                "labels are typed at a terminal, and there is none; give them as a file: --labels FILE"
            ) from error
        if key in tuple("012sbq"):
            return key
        if key in ("\x03", "\x04", "", "\x1b"):
            return "q"
