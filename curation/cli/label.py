"""`curation label`: a person labels documents of a run, and sees how good its quality filter is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from curation.cli.console import console, print_json, say
from curation.cli.options import json_option
from curation.errors import InputError

if TYPE_CHECKING:
    from curation.inspect.evidence.labels import Scored
    from curation.rundir.directory import RunDirectory
    from curation.rundir.plan import Plan

KEYS = "2 worth training on   1 borderline   0 not   s skip   b back   q quit"


@click.command()
@click.argument("run", metavar="DIR")
@click.option(
    "-n", "count", type=click.IntRange(1), default=100, show_default=True, help="Labels to reach."
)
@click.option(
    "--labels",
    metavar="FILE",
    help="Ask nothing: take these labels. JSON lines with `label` and `id`, `url`, or `archive` and "
    "`offset`.",
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Draws the documents."
)
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
    from curation.inspect.terminal.labels import label_parts
    from curation.rundir import plan as plans

    rundir, plan = plans.read(run)
    documents = evidence.scored_documents(rundir, plan)
    path = labels or rundir.path(evidence.FILE)
    if not labels:
        _ask(rundir, plan, documents, path, count, seed)
        if not store.exists(path):
            return None
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


def _ask(
    rundir: RunDirectory, plan: Plan, documents: Scored, path: str, count: int, seed: int
) -> None:
    """Ask for the labels that are missing, and write each at once."""
    from curation import store
    from curation.inspect.evidence import labels as evidence
    from curation.inspect.evidence.frames import take_one
    from curation.inspect.terminal.labels import document_panel

    rows: list[dict[str, Any]] = evidence.read_labels(path) if store.exists(path) else []
    named = {(row.get("dataset"), row.get("id")) for row in rows}
    waiting = evidence.to_label(rundir, plan, documents, count, seed)
    at = 0
    while at < len(waiting):
        place = waiting[at]
        shard = plan.shards[documents.ordinal[place]]
        columns = ["id", "url", "text"]
        document = take_one(rundir.documents(shard), int(documents.row[place]), columns)
        key = (shard.dataset, document["id"])
        if key in named:
            at += 1
            continue
        title = f"{len(rows) + 1} of {count}   {shard.dataset} {document['id']}"
        console().print(document_panel(title, document["url"], document["text"]))
        answer = _answer()
        if answer == "q":
            break
        if answer == "b" and rows:
            last = rows.pop()
            named.discard((last.get("dataset"), last.get("id")))
            at = 0
        elif answer in "012":
            row = {"dataset": shard.dataset, "id": document["id"], "url": document["url"]}
            rows.append({**row, "label": int(answer)})
            named.add(key)
        elif answer == "s":
            at += 1
        evidence.write_labels(path, rows)


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
