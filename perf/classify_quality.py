"""How well runs filter, by labelled pages: `python perf/classify_quality.py LABELS.jsonl RUN [RUN ...]`.

LABELS: JSON lines of `archive`, `offset` and `label` (2 worth keeping, 1 borderline, 0 not). RUN: finished runs of `classify`
whose crawl has these pages. A row for each run, and one for the length of the text alone with the first run's scores dealt out by
length: AUC of 2 against 0; the mean label (on a scale to 1) of what alpha 9 keeps, each page weighing with its chance; the share
that is kept; 95 % intervals by a bootstrap over sites; the lead over length alone with the same scores, paired; MB of text scored
a second of one core.

`--fasttext PYTHON`: a row more for a fastText trained on the documents of the first run, without the crawled pages of labelled
sites; PYTHON has the package `fasttext` with `train_supervised`. `--nested`: what the choice of the defaults is worth: of many
settings the best on four fifths of the labelled sites, measured on the last fifth (docs/results/classifier.md).
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import click
import numpy as np
import pyarrow as pa

from curation import draws, store
from curation.kernels.buffers import text_buffers
from curation.kernels.elementary import odds, sigmoid
from curation.kernels.signals import signals
from curation.readers.language_model import model_file
from curation.recipe.signals import GROUPS, SIGNALS
from curation.recipe.tables import ClassifyConfig
from curation.rundir import plan as plans
from curation.rundir import schema
from curation.rundir.survivors import char_lengths
from curation.stages.classify.calibration import calibration
from curation.stages.classify.fasttext_model import FastText, line_of, score_fasttext
from curation.stages.classify.fit import held_out_logits
from curation.stages.classify.measure import class_sizes
from curation.stages.classify.model import NUM_FEATURES, load_model
from curation.stages.classify.sample import site
from curation.stages.classify.scoring import score_texts
from curation.stages.classify.training import Subset, regression, training_set

ALPHA, ROUNDS, FOLDS = 9.0, 2000, 5
COLUMNS = ["archive", "offset", "url", "content", "id", "text"]
HEAD = ("scored by", "AUC", "label of kept", "kept", "lead in AUC", "lead in label", "MB/s")
TRAIN = """
import sys, fasttext
model = fasttext.train_supervised(input=sys.argv[1], wordNgrams=2, bucket=200000, thread=int(sys.argv[3]), seed=0)
model.save_model(sys.argv[2])
"""
SETS = (
    *itertools.chain(*(itertools.combinations(tuple(GROUPS["prose"]), n) for n in (1, 2, 3))),
    *itertools.chain(
        *(
            [sum((tuple(GROUPS[name]) for name in names), ())]
            for names in (
                ("chars",), ("gopher",), ("chars", "prose"), ("chars", "gopher"),
                ("prose", "gopher"), ("chars", "prose", "gopher"), ("gopher_repetition",),
                ("prose", "gopher_repetition"), ("prose", "gopher", "gopher_repetition"),
            )
        )
    ),
    ("log_chars", "log_commas"),
    ("log_chars", "letters"),
)  # fmt: skip
CALIBRATIONS = ("trusted", "none", "platt", "isotonic")
# By characters or documents, class balance, C; the first is the default.
FITS = tuple(
    itertools.product(("characters", "documents"), ("balanced", "none"), (100.0, 1.0, 0.003))
)
DEFAULT_SET = SETS.index(tuple(GROUPS["prose"]))
KEPT = (0.02, 0.15)  # the share of the crawl that a setting may keep


@dataclasses.dataclass(frozen=True, eq=False)
class Labelled:
    """The labelled pages among a run's crawl: label and place of each, its site, its length."""

    label: Any
    at: Any
    groups: list[str]
    chars: Any

    def by_length(self, score: Any) -> Any:
        """The same scores, the higher the longer the text."""
        out = np.empty(len(score))
        out[np.argsort(self.chars, kind="stable")] = np.sort(score)
        return out


@click.command()
@click.argument("labels", type=click.Path(exists=True, dir_okay=False))
@click.argument("runs", nargs=-1, required=True)
@click.option("--fasttext", metavar="PYTHON", default=sys.executable, show_default="this one")
@click.option("--threads", default=1, help="That train fastText; with one, always the same model.")
@click.option("--nested", is_flag=True, help="Only: what the choice of the defaults is worth.")
def main(labels: str, runs: tuple[str, ...], fasttext: str, threads: int, nested: bool) -> None:
    """Print a table of rows for runs, for a fastText, and for length alone."""
    rows = [json.loads(line) for line in Path(labels).read_text(encoding="utf-8").splitlines()]
    pages, score, _ = scored(runs[0])
    known = labelled(pages, rows)
    print(f"{len(known.at)} labelled pages of {len(rows)} are in {runs[0]}")
    if nested:
        return show_nested(known, runs[0])
    print_row(HEAD)
    print_row(["---"] * len(HEAD))
    for run in runs:
        own_pages, own, speed = scored(run)
        of_run = labelled(own_pages, rows)
        show(run, of_run, own[of_run.at], of_run.by_length(own[of_run.at]), speed)
    if can_train(fasttext):
        own, speed = fasttext_scores(runs[0], fasttext, known, threads)
        show("fastText trained on the same texts", known, own, known.by_length(own), speed)
    else:
        print(f"no row of fastText: {fasttext} has no package `fasttext` that trains")
    length = known.by_length(score[known.at])
    show(f"length alone, the scores of {runs[0]}", known, length, length, None)


def labelled(pages: pa.Table, rows: list[dict[str, Any]]) -> Labelled:
    """The labelled pages that are in a table of documents."""
    archives, offsets = (pages.column(name).to_pylist() for name in COLUMNS[:2])
    places = {(Path(a).name, o): k for k, (a, o) in enumerate(zip(archives, offsets, strict=True))}
    known = [row for row in rows if (row["archive"], row["offset"]) in places]
    at = np.array([places[row["archive"], row["offset"]] for row in known])
    urls, texts = (pages.column(name).take(pa.array(at)).to_pylist() for name in ("url", "text"))
    groups = [site(url) or str(place) for url, place in zip(urls, at.tolist(), strict=True)]
    label = np.array([row["label"] for row in known])
    return Labelled(label, at, groups, np.array(list(map(len, texts))))


def documents(run: str, *, filtered: bool) -> pa.Table:
    """The documents of a run's filtered datasets, or of those that it learned from as good."""
    rundir, planned = plans.read(run)
    recipe = rundir.recipe
    names = filter(recipe.classified, recipe.names()) if filtered else recipe.positives()
    tables = [store.read_table(rundir.documents(s), COLUMNS) for s in planned.of(*names)]
    return pa.concat_tables(tables).combine_chunks()


def scored(run: str) -> tuple[pa.Table, Any, float]:
    """The documents of a run's filtered datasets, their stored scores, and how fast its model is."""
    rundir, planned = plans.read(run)
    names = [name for name in rundir.recipe.names() if rundir.recipe.classified(name)]
    evidence = [
        store.read_table(rundir.table("classify", s, "evidence")) for s in planned.of(*names)
    ]
    score = pa.concat_tables(evidence).column("score").to_numpy()
    pages, model = documents(run, filtered=True), load_model(rundir.path("classify", "model"))
    texts = text_buffers(pages.column("text").combine_chunks())
    score_texts(model, *texts)
    start = time.process_time()
    score_texts(model, *texts)
    return pages, score, len(texts[1]) / 1e6 / (time.process_time() - start)


# ---- figures


def figures(label: Any, score: Any) -> Any:
    """AUC, mean label of what is kept, share kept: float64[3]."""
    from sklearn.metrics import roc_auc_score

    clear = label != 1
    keep = (2.0 - score) ** -ALPHA
    auc = roc_auc_score(label[clear] == 2, score[clear]) if len(set(label[clear])) == 2 else np.nan
    return np.array([auc, (keep * label / 2).sum() / keep.sum(), keep.mean()])


def show(name: str, known: Labelled, score: Any, by_length: Any, speed: float | None) -> None:
    """Print a row: figures, and the lead over length's, with intervals over sites."""
    chance, label = np.random.default_rng(0), known.label
    groups = np.array(known.groups)
    of_site = [np.flatnonzero(groups == group) for group in sorted(set(known.groups))]
    drawn = []
    for _ in range(ROUNDS):
        draw = chance.integers(len(of_site), size=len(of_site))
        rows = np.concatenate([of_site[k] for k in draw])
        own = figures(label[rows], score[rows])
        drawn.append(np.append(own, (own - figures(label[rows], by_length[rows]))[:2]))
    own = figures(label, score)
    values = np.append(own, (own - figures(label, by_length))[:2])
    low, high = np.nanpercentile(drawn, [2.5, 97.5], axis=0)
    cells = [
        f"{100 * v:.1f} % [{100 * a:.1f}, {100 * b:.1f}]"
        if k == 2
        else f"{v:.3f} [{a:.3f}, {b:.3f}]"
        for k, (v, a, b) in enumerate(zip(values, low, high, strict=True))
    ]
    print_row([name, *cells, "" if speed is None else f"{speed:.1f}"])


def print_row(cells: Any) -> None:
    print(f"| {' | '.join(cells)} |", flush=True)


# ---- a fastText trained on the same texts


def can_train(python: str) -> bool:
    """Whether a Python has fastText with training."""
    test = "import fasttext, sys; sys.exit(not hasattr(fasttext, 'train_supervised'))"
    return subprocess.run([python, "-c", test], capture_output=True, check=False).returncode == 0


def fasttext_scores(run: str, python: str, known: Labelled, threads: int) -> tuple[Any, float]:
    """The score of each labelled page by one model that has seen no crawled page of a labelled
    site, and the speed.

    As DCLM's: words and pairs of words, five epochs; trusted text against crawl.
    """
    good, crawl = documents(run, filtered=False), documents(run, filtered=True)
    sites = map(site, crawl.column("url").to_pylist())
    left_out = set(known.groups)
    seen = [(name or str(place)) not in left_out for place, name in enumerate(sites)]
    texts = crawl.column("text").combine_chunks()
    lines = [f"__label__hq {line_of(text)}\n" for text in good.column("text").to_pylist()]
    lines += [f"__label__cc {line_of(t)}\n" for t in texts.filter(pa.array(seen)).to_pylist()]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "train.txt")
        with path.open("w", encoding="utf-8") as file:
            for row in np.random.default_rng(0).permutation(len(lines)).tolist():
                file.write(lines[row])
        command = [python, "-c", TRAIN, path, f"{folder}/m.bin", str(threads)]
        subprocess.run(command, check=True, capture_output=True)
        model = FastText(model_file(f"{folder}/m.bin"), "__label__hq")
        score_fasttext(model, texts[:9])
        start = time.process_time()
        score = score_fasttext(model, texts)
        return score[known.at], len(text_buffers(texts)[1]) / 1e6 / (time.process_time() - start)


# ---- what the choice of the defaults is worth


def show_nested(known: Labelled, run: str) -> None:
    """Of each fifth of the labelled sites, the scores by the setting that is best on the rest."""
    found = dict(setting_scores(known, run))
    names, score = list(found), np.array([own for own, _ in found.values()])
    keys = [group.encode() for group in known.groups]
    fifth = np.floor(draws.uniforms(0, "nested", keys) * FOLDS).astype(int)
    out, aucs, chosen = np.empty(len(fifth)), [], Counter[str]()
    for k in range(FOLDS):
        rest, own = fifth != k, fifth == k
        by_label = np.array([figures(known.label[rest], each[rest]) for each in score])
        allowed = (by_label[:, 2] >= KEPT[0]) & (by_label[:, 2] <= KEPT[1])
        best = int(np.argmax(np.where(allowed, by_label[:, 0] + by_label[:, 1], -np.inf)))
        out[own] = score[best][own]
        chosen[setting_name(*names[best])] += 1
        aucs.append(figures(known.label[own], out[own])[0])
    print(f"{len(names)} settings; mean of the five AUCs {np.nanmean(aucs):.3f}; chosen:")
    for name, count in chosen.items():
        print(f"  {count} times {name}")
    print_row(HEAD)
    print_row(["---"] * len(HEAD))
    show("nested choice", known, out, known.by_length(out), None)
    print_settings(known, found)


def print_settings(known: Labelled, found: dict[Any, Any]) -> None:
    """Print what differs from the default in one thing, with the AUC of trusted text against the
    crawl on sites not seen."""
    print_row(("setting", "held-out AUC", "AUC by label", "label of kept", "kept"))
    print_row(["---"] * 5)
    default = (SETS[DEFAULT_SET], FITS[0], CALIBRATIONS[0])
    for setting, (score, heldout) in found.items():
        if sum(a != b for a, b in zip(setting, default, strict=True)) < 2:
            auc, label, kept = figures(known.label, score)
            cells = [f"{heldout:.3f}", f"{auc:.3f}", f"{label:.3f}", f"{100 * kept:.1f} %"]
            print_row([setting_name(*setting), *cells])


def setting_name(chosen: tuple[str, ...], fit: tuple[str, str, float], form: str) -> str:
    """What a setting is called in the tables."""
    by, balance, c = fit
    groups = [name for name, kinds in GROUPS.items() if {*kinds} <= {*chosen}]
    rest = [name for name in chosen if not any(name in GROUPS[group] for group in groups)]
    return f"{' + '.join([*groups, *rest])}; by {by}; {balance}; C = {c:g}; {form}"


def setting_scores(known: Labelled, run: str) -> Any:
    """Of each setting its scores of the labelled pages by models that have not seen their sites,
    and the AUC of trusted text against the crawl by the same models."""
    from sklearn.metrics import roc_auc_score

    recipe = plans.read(run)[0].recipe
    tables = {"good": measured(documents(run, filtered=False))}
    tables["crawl"] = measured(documents(run, filtered=True))
    classes = {"positive": ["good"], "negative": ["crawl"]}
    at = known.at + tables["good"].num_rows
    for fit in FITS:
        config = ClassifyConfig(
            signals=SIGNALS, **dict(zip(("positives_by", "class_weight", "C"), fit, strict=True))
        )
        whole = training_set(tables, classes, config, FOLDS, recipe.seed)
        standard = whole.x[:, NUM_FEATURES:].toarray()
        size = class_sizes(whole, np.ones(len(whole.y), bool))
        for names in SETS:
            columns = [SIGNALS.index(name) for name in names]
            training = dataclasses.replace(whole, x=standard[:, columns])
            rows = [Subset(config.C, k).rows(training) for k in range(FOLDS)]
            fits = [regression(training, seen, config.C, config.class_weight) for seen in rows]
            logit = held_out_logits(training, fits)
            heldout = roc_auc_score(training.y, logit, sample_weight=size)
            for form in CALIBRATIONS:
                own = dataclasses.replace(config, calibration=form)
                yield (names, fit, form), (calibrated(own, training, logit)[at], heldout)


def calibrated(config: ClassifyConfig, training: Any, logit: Any) -> Any:
    """Scores of logits."""
    made = calibration(config, training, logit)
    if made.steps is not None:
        return np.interp(logit, *made.steps)
    shifted = logit * made.slope + made.shift
    return odds(shifted) if made.link == "odds" else sigmoid(shifted)


def measured(pages: pa.Table) -> pa.Table:
    """Documents as `schema.FEATURES` without terms, with every signal."""
    texts = pages.column("text").combine_chunks()
    values = signals(*text_buffers(texts), SIGNALS)
    ends = pa.array(np.arange(len(values) + 1, dtype=np.int32) * len(SIGNALS))
    empty = [[]] * len(values)
    columns = {
        "content": pages.column("content"),
        "id": pages.column("id"),
        "window": np.zeros(len(values), np.int32),
        "site": [site(url) or None for url in pages.column("url").to_pylist()],
        "indices": empty,
        "counts": empty,
        "chars": char_lengths(texts).astype(np.int64),
        "signals": pa.ListArray.from_arrays(ends, pa.array(values.ravel())),
    }
    return pa.table(columns).select(schema.FEATURES.names).cast(schema.FEATURES)


if __name__ == "__main__":
    main()
