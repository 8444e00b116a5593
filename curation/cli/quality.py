"""`curation model` and `curation alpha`: looking at the quality classifier of a run, from what the run wrote."""

from __future__ import annotations

import click

from curation.cli.console import console, print_json, say
from curation.cli.options import json_option


@click.command()
@click.argument("folder", metavar="DIR")
@json_option
def model(folder: str, as_json: bool) -> None:
    """Show a fitted quality model: what it learned from, how well it does on folds of sites that it has not seen, its strongest tokens.

    DIR is a run directory or a model folder. Of a fastText file its labels are shown, one of which
    `classify.model_label` names.

    \b
    Examples:
      curation model RUN
      curation model RUN/classify/model
      curation model dclm.bin
    """
    from curation import store
    from curation.errors import MISSHAPEN, InputError
    from curation.inspect.evidence.fit import model_report
    from curation.inspect.terminal.results import model_parts
    from curation.shown import brief
    from curation.stages.classify.fasttext_model import (
        fasttext_labels,
        is_fasttext,
        was_scored_by_fasttext,
    )
    from curation.stages.classify.model import load_model

    inside = store.join(folder, "classify", "model")
    place = inside if store.exists(inside) else folder
    if is_fasttext(place):
        labels = fasttext_labels(place)
        if as_json:
            return print_json({"labels": labels})
        say(f"A fastText file with {len(labels):,} labels, the commonest first:")
        return say("\n".join(labels))
    if not was_scored_by_fasttext(place):
        load_model(place)
    try:
        fitted = model_report(place)
        parts = list(model_parts(fitted)) if fitted else []
    except MISSHAPEN as error:
        raise InputError(
            f"{place}: card.json and report.json as `classify` writes them expected "
            f"({brief(error)}); copy the model again"
        ) from error
    if as_json:
        return print_json(fitted)
    for part in parts:
        console().print(part, highlight=False)
    return None


@click.command()
@click.argument("run", metavar="DIR")
@click.option(
    "--dataset",
    help="Fit alpha to the scores of this dataset.  [default: the first of the positives]",
)
@json_option
def alpha(run: str, dataset: str | None, as_json: bool) -> None:
    """Fit alpha to the scores of trusted documents by models that have not seen them, and show what each alpha from 1 to 20 would keep.

    Reads stored evidence, no text; with the labels of `curation label` also what each alpha keeps by
    them. To decide again with another alpha, in seconds:
      curation run RECIPE --out DIR --set classify.alpha=5 --update

    \b
    Examples:
      curation alpha RUN
      curation alpha RUN --dataset webtext2
    """
    from curation.inspect.evidence import labels
    from curation.inspect.evidence.alpha import ALPHAS, need_alpha_report
    from curation.inspect.terminal.results import alpha_parts
    from curation.inspect.terminal.tables import table_of
    from curation.rundir import plan

    rundir, run_plan = plan.read(run)
    report = need_alpha_report(rundir, run_plan, dataset)
    if as_json:
        return print_json(report)
    for part in alpha_parts(report):
        console().print(part, highlight=False)
    if own := labels.own_labels(rundir, run_plan):
        console().print(table_of(labels.alpha_listing(*own, ALPHAS, drawn=True)))
    return None
