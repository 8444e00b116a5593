"""A person's labels of documents against the quality scores of a run: what to label, and how good
the filter is by the labels.

A label is 2 (worth training on), 1 (borderline) or 0 (not worth it). Labels stand in
RUN/labels.jsonl, or in any JSON lines that name documents by `id`, `url`, or `archive` and
`offset`.

Cost: the columns of one shard at a time; texts only of documents that are shown. The trap: documents
to label are drawn equally from ten bands of score, since most of a crawl scores near 0. In the
figures each counts for all documents of its band.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import orjson

from curation import draws, store
from curation.errors import InputError, RunError
from curation.inspect.evidence import frames
from curation.inspect.evidence.listing import Listing, listing
from curation.inspect.numbers import percent
from curation.kernels.pareto import keep_chance
from curation.shown import brief

if TYPE_CHECKING:
    from curation.rundir.directory import RunDirectory
    from curation.rundir.plan import Plan

FILE = "labels.jsonl"
LABELS = (0, 1, 2)
CHANCE = 0.5  # the AUC of scores that know nothing
BANDS = 10  # of scores, each as wide as the others
SAMPLES = 2000  # of the bootstrap that gives the intervals
_KEYS = ("id", "url", "archive", "offset")
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
LabelRow = dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """The documents of a run's filtered datasets, in the order of the plan: where each stands, and
    its score in [0, 1]."""

    ordinal: Ints  # [N], of the shard
    row: Ints  # [N], in documents/
    score: Floats  # [N]

    @property
    def band(self) -> Ints:
        """[N] int64, 0 to `BANDS` - 1: the band of each score."""
        return np.minimum((self.score * BANDS).astype(np.int64), BANDS - 1)


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure and the ends of its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class LabelReport:
    """How good a filter is by labels. Labels are on a scale from 0 to 1 where a mean is told.

    `auc`, `auc_of_length`: the chance that a document of label 2 has a higher score, or a longer
    text, than one of label 0. `lead`: the first less the second. `kept`: share of documents that the
    rule keeps. `mean_all`, `mean_kept`: mean label of all and of what is kept. `precision`: share of
    what is kept that has label 2. `recall`: share of label 2 that is kept.
    """

    alpha: float
    counts: tuple[int, int, int]
    auc: Figure
    auc_of_length: Figure
    lead: Figure
    kept: Figure
    mean_all: Figure
    mean_kept: Figure
    precision: Figure
    recall: Figure


def scored_documents(rundir: RunDirectory, plan: Plan) -> Scored:
    """The documents that the quality filter decides on. Raises RunError where none is scored."""
    parts: list[tuple[Any, ...]] = []
    for shard in plan.of(*filter(rundir.recipe.classified, rundir.recipe.names())):
        path = rundir.table("classify", shard, "evidence")
        if "classify" not in rundir.recipe.stages or not store.exists(path):
            continue
        score = frames.column(path, "score").to_numpy()
        parts.append((np.full(len(score), shard.ordinal), np.arange(len(score)), score))
    if not any(len(part[0]) for part in parts):
        raise RunError(
            f"{rundir.out}: no document that `classify` filters is scored here; run it to the end "
            "of classify, with a dataset of role crawl"
        )
    return Scored(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


# ---- what to label -------------------------------------------------------------------------------


def to_label(rundir: RunDirectory, plan: Plan, documents: Scored, n: int, seed: int) -> list[int]:
    """Places of `n` documents of `documents` to label, in order: one of each band in turn, drawn by
    their ids. Another `n` begins with the same documents."""
    draw = np.empty(len(documents.row))
    for ordinal in np.unique(documents.ordinal).tolist():
        of_shard = documents.ordinal == ordinal
        shard = plan.shards[ordinal]
        ids = frames.column(rundir.documents(shard), "id").to_pylist()
        keys = (f"{shard.dataset}\x00{id_}".encode() for id_ in ids)
        draw[of_shard] = draws.uniforms(seed, "inspect/label", keys)
    order = np.lexsort((draw, documents.band))
    band = documents.band[order]
    turn = np.arange(len(order)) - np.searchsorted(band, band)  # of each in its band
    return [int(place) for place in order[np.lexsort((draw[order], turn))][:n]]


def read_labels(path: str) -> list[LabelRow]:
    """The rows of a file of labels. Raises InputError, with the line, where one is no label."""
    rows = []
    for number, line in enumerate(store.read_bytes(path).split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise InputError(f"{path}, line {number}: not JSON ({error})") from error
        named = isinstance(row, dict) and (
            row.get("id") is not None
            or row.get("url") is not None
            or (row.get("archive") is not None and isinstance(row.get("offset"), int))
        )
        if not named or type(row.get("label")) is not int or row["label"] not in LABELS:
            raise InputError(
                f"{path}, line {number}: `label` 0, 1 or 2 expected, and `id`, `url`, or `archive` "
                f"and `offset`; got {brief(row)}"
            )
        rows.append(row)
    if not rows:
        raise InputError(f"{path}: no labels in it")
    return rows


def write_labels(path: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write labels, one JSON object a line; no file where there are none."""
    if rows:
        store.write_bytes(path, b"".join(orjson.dumps(row) + b"\n" for row in rows))
    else:
        store.delete(path)


def placed_labels(
    rundir: RunDirectory, plan: Plan, documents: Scored, rows: Sequence[Mapping[str, Any]]
) -> tuple[Ints, int]:
    """int64[N]: the label of each of `documents`, -1 where it has none; and how many rows name no
    document. A row that names a dataset of this run is of its document alone. Of two labels for one
    document the last counts."""
    wanted: dict[tuple[Any, ...], int] = {}
    for number, row in enumerate(rows):
        wanted[_key(row, rundir.recipe.names())] = number
    labels = np.full(len(documents.row), -1, np.int64)
    last = np.full(len(documents.row), -1, np.int64)
    met: set[int] = set()
    kinds = {(key[0], key[1]) for key in wanted}
    for ordinal in np.unique(documents.ordinal).tolist():
        places = np.flatnonzero(documents.ordinal == ordinal)
        shard = plan.shards[ordinal]
        table = store.read_table(rundir.documents(shard), list(_KEYS)).to_pylist()
        for place, document in zip(places.tolist(), table, strict=True):
            for dataset, kind in kinds:
                if dataset not in ("", shard.dataset):
                    continue
                number = wanted.get(_key_of(kind, document, dataset), -1)
                if number > last[place]:
                    last[place], labels[place] = number, rows[number]["label"]
                if number >= 0:
                    met.add(number)
    return labels, len(wanted) - len(met)


def own_labels(rundir: RunDirectory, plan: Plan) -> tuple[Scored, Ints] | None:
    """The scored documents of a run and the labels in its directory; None where it has none."""
    path = rundir.path(FILE)
    if "classify" not in rundir.recipe.stages or not store.exists(path):
        return None
    documents = scored_documents(rundir, plan)
    return documents, placed_labels(rundir, plan, documents, read_labels(path))[0]


def _key(row: Mapping[str, Any], datasets: Sequence[str]) -> tuple[Any, ...]:
    kind = "id" if row.get("id") is not None else "place" if "offset" in row else "url"
    if kind == "place" and row.get("archive") is None:
        kind = "url"
    named = [name for name in datasets if name == row.get("dataset")]
    return _key_of(kind, row, named[0] if named else "")


def _key_of(kind: str, row: Mapping[str, Any], dataset: str) -> tuple[Any, ...]:
    if kind == "place":
        return dataset, kind, posixpath.basename(row["archive"] or ""), row["offset"]
    return dataset, kind, row[kind]


# ---- figures -------------------------------------------------------------------------------------


def label_report(
    rundir: RunDirectory, plan: Plan, documents: Scored, labels: Ints, *, drawn: bool, seed: int = 0
) -> LabelReport:
    """How good the filter of a run is by `labels` (int64[N], -1: none).

    `drawn`: the labelled documents are those of `to_label`, and count for their bands; else each
    counts once. Intervals: the percentiles of a bootstrap over documents (within the bands where
    `drawn`). Raises InputError where the labels hold no 2, or no 0.
    """
    chosen = np.flatnonzero(labels >= 0)
    label = labels[chosen]
    bad, borderline, good = (int((label == value).sum()) for value in LABELS)
    counts = (bad, borderline, good)
    if not len(label):
        raise InputError(
            "none of the labels is of a document that this run scored; labels of this run expected"
        )
    if not (bad and good):
        raise InputError(
            f"{len(label)} labels, {bad} of them 0, {borderline} of them 1 and {good} of them 2; "
            "how well the filter tells good from bad needs both 0 and 2: label more"
        )
    band = documents.band[chosen] if drawn else np.zeros(len(chosen), np.int64)
    sizes = np.bincount(documents.band, minlength=BANDS) if drawn else np.array([len(chosen)])
    score, chars = documents.score[chosen], _chars(rundir, plan, documents, chosen)
    alpha = rundir.recipe.classify.alpha

    def figures(rows: Ints) -> tuple[float, ...]:
        weight = _weights(band[rows], sizes)
        return _figures(label[rows], score[rows], chars[rows], alpha, weight)

    whole = figures(np.arange(len(chosen)))
    drawn_figures = np.array([figures(_resampled(band, k, seed)) for k in range(SAMPLES)])
    low, high = np.nanpercentile(drawn_figures, [2.5, 97.5], axis=0)
    ends = zip(whole, low.tolist(), high.tolist(), strict=True)
    return LabelReport(alpha, counts, *(Figure(*end) for end in ends))


def report_listing(report: LabelReport) -> Listing:
    """The figures of a filter by labels, each with its interval."""

    def row(name: str, figure: Figure, form: str = ".3f") -> tuple[str, str, str]:
        interval = f"{figure.low:{form}} to {figure.high:{form}}"
        return name, f"{figure.value:{form}}", interval

    rows = [
        row("score: AUC of 2 against 0", report.auc),
        row("length of the text alone: AUC", report.auc_of_length),
        row("the score's lead over the length", report.lead, "+.3f"),
        row(f"kept at alpha {report.alpha:g}", report.kept, ".1%"),
        row("mean label of all, 0 to 1", report.mean_all),
        row("mean label of what is kept", report.mean_kept),
        row("precision: share of 2 in what is kept", report.precision, ".1%"),
        row("recall: share of 2 that is kept", report.recall, ".1%"),
    ]
    return listing("", ("", "", "95 % interval"), rows)


def counts_sentence(report: LabelReport) -> str:
    """How many labels of each kind there are."""
    bad, borderline, good = report.counts
    return (
        f"{sum(report.counts):,} labels: {good:,} worth training on (2), {borderline:,} borderline "
        f"(1), {bad:,} not (0)."
    )


def alpha_listing(
    documents: Scored, labels: Ints, alphas: Sequence[float], *, drawn: bool
) -> Listing:
    """What each alpha keeps by `labels`; see LabelReport."""
    chosen = np.flatnonzero(labels >= 0)
    label, score, none = labels[chosen], documents.score[chosen], np.zeros(len(chosen))
    band = documents.band[chosen] if drawn else np.zeros(len(chosen), np.int64)
    sizes = np.bincount(documents.band, minlength=BANDS) if drawn else np.array([len(chosen)])
    weight = _weights(band, sizes)
    rows = []
    for alpha in alphas:
        *_, kept, _, mean, precision, recall = _figures(label, score, none, alpha, weight)
        shares = (percent(share) for share in (kept, precision, recall))
        rows.append((f"{alpha:g}", *shares, f"{mean:.3f}"))
    head = ("alpha", "kept", "precision", "recall", "mean label of kept")
    return listing(f"What each alpha keeps, by {len(chosen):,} labels", head, rows)


def warnings(rundir: RunDirectory, plan: Plan) -> list[str]:
    """Says so where, by the labels in the run directory, the filter is no better than chance."""
    try:
        if (own := own_labels(rundir, plan)) is None:
            return []
        auc = label_report(rundir, plan, *own, drawn=True).auc
    except (InputError, RunError):  # labels of one kind, or none of this run's documents
        return []
    if auc.low > CHANCE:
        return []
    return [
        f"by the labels in {rundir.path(FILE)} the quality score tells good from bad no better than chance: AUC "
        f"{auc.value:.2f} ({auc.low:.2f} to {auc.high:.2f}); other signals, another scaling or more "
        "trusted text may do better (docs/classifier.md)"
    ]


def _chars(rundir: RunDirectory, plan: Plan, documents: Scored, chosen: Ints) -> Floats:
    """float64[n]: the lengths of some documents, in characters."""
    chars = np.zeros(len(chosen))
    for ordinal in np.unique(documents.ordinal[chosen]).tolist():
        of_shard = documents.ordinal[chosen] == ordinal
        path = rundir.documents(plan.shards[ordinal])
        texts = frames.take(path, documents.row[chosen[of_shard]], ["text"]).column(0)
        chars[of_shard] = [len(text) for text in texts.to_pylist()]
    return chars


def _resampled(band: Ints, number: int, seed: int) -> Ints:
    """As many rows of each band as it has, with replacement: one sample of the bootstrap."""
    random = np.random.Generator(np.random.Philox(key=[seed, number]))
    parts = [np.flatnonzero(band == value) for value in np.unique(band)]
    return np.concatenate([rows[random.integers(0, len(rows), len(rows))] for rows in parts])


def _weights(band: Ints, sizes: Ints) -> Floats:
    """float64[n]: for how many documents each labelled one counts."""
    labelled = np.bincount(band, minlength=len(sizes))
    return np.asarray(sizes[band] / labelled[band], np.float64)


def _figures(
    label: Ints, score: Floats, chars: Floats, alpha: float, weight: Floats
) -> tuple[float, ...]:
    """The figures of a LabelReport, in its order; nan where a sample has no such label."""
    chance = keep_chance(score, alpha)
    kept, good = weight * chance, label == 2
    auc, of_length = (_auc(values, label, weight) for values in (score, chars))
    return (
        auc,
        of_length,
        auc - of_length,
        float(kept.sum() / weight.sum()),
        float((weight * label).sum() / weight.sum() / 2),
        float((kept * label).sum() / kept.sum() / 2),
        float(kept[good].sum() / kept.sum()),
        float(kept[good].sum() / weight[good].sum()) if good.any() else float("nan"),
    )


def _auc(values: Floats, label: Ints, weight: Floats) -> float:
    """The weighted chance that a value of label 2 is above one of label 0; ties count a half.

    >>> weight = np.ones(4)
    >>> _auc(np.array([0.1, 0.4, 0.4, 0.9]), np.array([0, 0, 2, 2]), weight)
    0.875
    """
    good, bad = label == 2, label == 0
    if not (good.any() and bad.any()):
        return float("nan")
    order = np.argsort(values[bad], kind="stable")
    below = np.concatenate([[0.0], np.cumsum(weight[bad][order])])
    sides = (np.searchsorted(values[bad][order], values[good], side) for side in ("left", "right"))
    under = sum(below[side] for side in sides) / 2
    return float((weight[good] * under).sum() / (weight[good].sum() * below[-1]))
