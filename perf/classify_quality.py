"""How well runs filter, by labelled pages: `python perf/classify_quality.py LABELS.jsonl RUN [RUN ...]`.

LABELS: JSON lines of `archive`, `offset` and `label` (2 worth keeping, 1 borderline, 0 not). RUN: finished runs of `classify` whose
crawl has these pages. For each run, and for the length of the text alone with the same scores dealt out by length: AUC of 2
against 0; the mean label (on a scale to 1) of what alpha 9 keeps, each page weighing with its chance; the share that is kept;
95 % intervals by a bootstrap over sites; the run's differences from length alone, paired; MB of text scored a second of one core.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import click
import numpy as np
import pyarrow as pa

from curation import store
from curation.kernels.buffers import text_buffers
from curation.rundir import plan
from curation.stages.classify.model import load_model
from curation.stages.classify.sample import site
from curation.stages.classify.stage import score_texts

ALPHA, ROUNDS = 9.0, 2000
COLUMNS = ["archive", "offset", "url", "text"]


@click.command()
@click.argument("labels", type=click.Path(exists=True, dir_okay=False))
@click.argument("runs", nargs=-1, required=True)
def main(labels: str, runs: tuple[str, ...]) -> None:
    """Print two lines a run: its own figures, and those of length alone at its scores."""
    rows = [json.loads(line) for line in Path(labels).read_text(encoding="utf-8").splitlines()]
    for run in runs:
        pages, score, speed = scored(run)
        places = {
            (Path(archive).name, offset): place
            for place, (archive, offset) in enumerate(
                zip(*(pages.column(name).to_pylist() for name in COLUMNS[:2]), strict=True)
            )
        }
        known = [row for row in rows if (row["archive"], row["offset"]) in places]
        at = np.array([places[row["archive"], row["offset"]] for row in known])
        label = np.array([row["label"] for row in known])
        groups = [site(pages.column("url")[place].as_py()) or str(place) for place in at.tolist()]
        chars = np.array([len(pages.column("text")[place].as_py()) for place in at.tolist()])
        by_length = np.empty(len(at))
        by_length[np.argsort(chars, kind="stable")] = np.sort(score[at])
        show(f"{run} ({len(at)} pages, {speed:.0f} MB/s)", label, score[at], by_length, groups)


def scored(run: str) -> tuple[pa.Table, Any, float]:
    """The documents of a run's filtered datasets, their stored scores, and how fast its model is."""
    rundir, planned = plan.read(run)
    names = [name for name in rundir.recipe.names() if rundir.recipe.classified(name)]
    shards = planned.of(*names)
    pages = pa.concat_tables([store.read_table(rundir.documents(s), COLUMNS) for s in shards])
    evidence = [store.read_table(rundir.table("classify", s, "evidence")) for s in shards]
    score = pa.concat_tables(evidence).column("score").to_numpy()
    model = load_model(rundir.path("classify", "model"))
    texts = text_buffers(pages.column("text").combine_chunks())
    score_texts(model, *texts)
    start = time.process_time()
    score_texts(model, *texts)
    return pages, score, len(texts[1]) / 1e6 / (time.process_time() - start)


def figures(label: Any, score: Any) -> Any:
    """AUC, mean label of what is kept, share kept: float64[3]."""
    from sklearn.metrics import roc_auc_score

    clear = label != 1
    keep = (2.0 - score) ** -ALPHA
    auc = roc_auc_score(label[clear] == 2, score[clear]) if len(set(label[clear])) == 2 else np.nan
    return np.array([auc, (keep * label / 2).sum() / keep.sum(), keep.mean()])


def show(name: str, label: Any, score: Any, by_length: Any, groups: list[str]) -> None:
    """Print a run's figures, length's, and their difference, with intervals over sites."""
    chance = np.random.default_rng(0)
    of_site = [np.flatnonzero(np.array(groups) == group) for group in sorted(set(groups))]
    drawn = []
    for _ in range(ROUNDS):
        rows = np.concatenate(
            [of_site[k] for k in chance.integers(len(of_site), size=len(of_site))]
        )
        drawn.append((figures(label[rows], score[rows]), figures(label[rows], by_length[rows])))
    own, length = (np.array(side) for side in zip(*drawn, strict=True))
    print(name)
    here, there = figures(label, score), figures(label, by_length)
    for what, value, spread in (
        ("the run", here, own),
        ("length alone", there, length),
        ("difference", here - there, own - length),
    ):
        low, high = np.nanpercentile(spread, [2.5, 97.5], axis=0)
        cells = [f"{v:6.3f} [{a:.3f}, {b:.3f}]" for v, a, b in zip(value, low, high, strict=True)]
        print(f"  {what:13} AUC {cells[0]}  label {cells[1]}  kept {cells[2]}", flush=True)


if __name__ == "__main__":
    main()
