"""Held-out AUC of each feature scaling, on the features of a finished run: `python perf/classify_auc.py RUN`.

Two ways to hold out: by site, as `classify` does, and by source, where no positive comes from a collection that the fit saw (the column
`source` of the user's files; negatives by site). The second is the stricter: collections have habits of their own.
Prints a line a fit: AUC, log loss (classes weighed alike), seconds of processor time.
"""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import click
import numpy as np

from curation import draws, store
from curation.rundir import plan
from curation.stages.classify.measure import measure
from curation.stages.classify.training import Training, features, regression, training_set

TRIED = {
    "tf": (0.01,),
    "binary": (0.01, 1.0),
    "l2": (1.0, 100.0),
    "log-l2": (1.0, 10.0, 100.0, 1000.0),
}
HELD_SOURCES = 0.3
FOLDS = 10  # one of them is held out


@click.command()
@click.argument("run")
def main(run: str) -> None:
    """Fit every scaling and print how it does on what was held out."""
    rundir, made = plan.read(run)
    classes = {"positive": rundir.recipe.positives(), "negative": rundir.recipe.negatives()}
    sources = source_of_documents(rundir, made)
    for scaling, values in TRIED.items():
        config = dataclasses.replace(rundir.recipe.classify, scaling=scaling)
        tables = {
            name: features(rundir, made.of(name)) for names in classes.values() for name in names
        }
        training = training_set(tables, classes, config, FOLDS, rundir.recipe.seed)
        keys = [
            (name, content)
            for name, t in tables.items()
            for content in t.column("content").to_pylist()
        ]
        splits = {"site": training.fold == 0}
        if sources:
            splits["source"] = held_by_source(
                training, [sources.get(key) for key in keys], rundir.recipe.seed
            )
        for name, held in splits.items():
            for c in values:
                start = time.process_time()
                w, intercept = regression(training, ~held, c, "balanced")
                found = measure(training, held, training.x @ w + intercept, "balanced")
                auc, loss = found["auc"], found["log_loss"]
                spent = time.process_time() - start
                line = f"by {name:6} {scaling:7} C {c:<6g} AUC {auc:.4f}  log loss {loss:.4f}  {spent:.0f} s"
                print(f"{line}  ({found['documents']:,} held out)", flush=True)


def source_of_documents(rundir: Any, made: Any) -> dict[tuple[str, bytes], str]:
    """(dataset, content) -> source, of the trusted datasets that have such a column."""
    out = {}
    for shard in made.of(*rundir.recipe.positives()):
        path = rundir.documents(shard)
        if "extra" in store.read_schema(path).names:
            table = store.read_table(path, ["content", "extra"])
            for content, extra in zip(*(table.column(i).to_pylist() for i in (0, 1)), strict=True):
                if extra.get("source"):
                    out[shard.dataset, content] = extra["source"]
    return out


def held_by_source(training: Training, sources: list[str | None], seed: int) -> Any:
    """Held out: negatives by site as before, positives whose whole source is."""
    keys = [
        (source or str(group)).encode()
        for source, group in zip(sources, training.group.tolist(), strict=True)
    ]
    drawn = draws.uniforms(seed, "perf/source", keys) < HELD_SOURCES
    return np.where(training.y == 1, drawn, training.fold == 0)


if __name__ == "__main__":
    main()
