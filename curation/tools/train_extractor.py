"""Training of the `blocks` extractor from pages with their true text: labels, forests, folds by
source and site, the model's files.

About ten minutes for 2,300 pages with folds on one core and 4 GB; the forests are LightGBM's (the
extra `extractor`), packed as arrays, so that the model runs without it. The trap: the second forest
looks at what the first one says of a page, so the first must not have seen the page's *fold* while
training: its source, or, of a source with many sites, its site. Pages of one site are too alike for
folds by page.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from curation import store
from curation.blocks import forest as forests
from curation.blocks.extractor import ScoredPage, model_arrays, score_blocks
from curation.blocks.forest import Model
from curation.blocks.kinds import KINDS, page_means
from curation.blocks.scoring import second_look
from curation.errors import InputError, MissingExtra
from curation.tools.labelled_pages import (
    FOLDS,
    LARGE_SOURCE,
    Lesson,
    read_pages,
    scores,
    word_scores,
)

_MIN_FOLDS = 3
_ALWAYS = {
    "max_bin": 63,
    "num_threads": 1,
    "deterministic": True,
    "force_col_wise": True,
    "verbose": -1,
}
_KIND_WEIGHT, _OTHER_KINDS = {"": 1.0, "article": 1.0}, 2.0
# Boilerplate of up to so many tokens is thinned out to a fifth and to a half, and what is left
# weighs as much more.
_SMALL_TOKENS, _SHORT_TOKENS = 4, 12


@dataclass(frozen=True, slots=True)
class Forests:
    """How the two forests are grown."""

    trees: tuple[int, int] = (60, 100)
    leaves: int = 24
    rate: float = 0.1
    min_leaf: int = 40
    penalty: float = 5.0
    columns: float = 0.3
    kind_rounds: int = 60  # trees for each kind of page
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Table:
    """Blocks to learn from."""

    x: npt.NDArray[np.float32]  # [n, F or more], features
    y: npt.NDArray[np.bool_]  # [n], whether a block is main text
    weight: npt.NDArray[np.float64]  # [n], of mean 1


def table(
    lessons: Sequence[Lesson], extra: Sequence[npt.NDArray[np.float32]] | None, how: Forests
) -> Table:
    """Return the blocks of pages.

    Sources weigh by the square root of their number of pages, and pages of a rare kind twice;
    small boilerplate is thinned out.
    """
    pages = Counter(page.source for page in lessons)
    x = np.concatenate([page.x for page in lessons])
    if extra is not None:
        x = np.hstack([x, np.concatenate(list(extra))])
    y = np.concatenate([page.share > 0.5 for page in lessons])
    weight = np.concatenate(
        [
            page.weight * pages[page.source] ** -0.5 * _KIND_WEIGHT.get(page.kind, _OTHER_KINDS)
            for page in lessons
        ]
    )
    length = np.concatenate([page.tokens for page in lessons])
    share = np.where(
        y | (length > _SHORT_TOKENS), 1.0, np.where(length > _SMALL_TOKENS, 1 / 2, 1 / 5)
    )
    chosen = np.random.default_rng(how.seed).random(len(y)) < share
    if extra is not None:  # blocks without hope are never shown to a second forest
        chosen &= np.concatenate([look[:, forests.OWN] for look in extra]) >= forests.NO_HOPE / 2
    weight = (weight / share)[chosen]
    return Table(x[chosen], y[chosen], weight / weight.mean())


def grow(blocks: Table, trees: int, how: Forests) -> forests.Forest:
    """A forest that tells blocks of the truth from others. Raises MissingExtra without LightGBM."""
    try:
        import lightgbm
    except ImportError as error:
        raise MissingExtra("training the extractor", "extractor") from error
    settings = {
        "objective": "binary", "num_leaves": how.leaves, "learning_rate": how.rate, "min_data_in_leaf": how.min_leaf,
        "lambda_l2": how.penalty, "feature_fraction": how.columns, "seed": how.seed, **_ALWAYS,
    }  # fmt: skip
    data = lightgbm.Dataset(
        blocks.x, blocks.y.astype(np.float32), weight=blocks.weight, params=settings
    )
    return packed(lightgbm.train(settings, data, trees).dump_model()["tree_info"])


def grow_kinds(lessons: Sequence[Lesson], how: Forests) -> forests.Forest:
    """A forest that tells the kinds of pages apart, from the pages of known kind; one without trees
    where there are none."""
    import lightgbm

    known = [page for page in lessons if page.kind in KINDS]
    if not known:
        return packed([])
    settings = {
        "objective": "multiclass", "num_class": len(KINDS), "num_leaves": 5, "learning_rate": how.rate,
        "min_data_in_leaf": 8, "lambda_l2": 3.0, "feature_fraction": 0.2, "seed": how.seed, **_ALWAYS,
    }  # fmt: skip
    means = np.array([page_means(page.x) for page in known])
    kinds = np.array([KINDS.index(page.kind) for page in known], np.float32)
    data = lightgbm.Dataset(means, kinds, params=settings)
    return packed(lightgbm.train(settings, data, how.kind_rounds).dump_model()["tree_info"])


def packed(trees: Sequence[dict[str, Any]]) -> forests.Forest:
    """Return LightGBM's dumped trees as arrays; thresholds rounded down to float32 split float32
    features alike."""
    feature: list[int] = []
    threshold: list[np.float32] = []
    left: list[int] = []
    roots = []
    for tree in trees:
        base = len(feature)
        roots.append(base)
        line = [tree["tree_structure"]]
        for node in line:
            if "leaf_value" in node:
                feature.append(-1)
                threshold.append(np.float32(node["leaf_value"]))
                left.append(0)
            else:
                feature.append(node["split_feature"])
                threshold.append(_rounded_down(node["threshold"]))
                left.append(base + len(line))
                line += [node["left_child"], node["right_child"]]
    return forests.Forest(
        np.array(feature, np.int16),
        np.array(threshold, np.float32),
        np.array(left, np.int32),
        np.array(roots, np.int32),
    )


def _rounded_down(value: float) -> np.float32:
    near = np.float32(value)
    return near if near <= value else np.nextafter(near, np.float32(-np.inf))


def _second_look(first: forests.Forest, kind: forests.Forest, page: Lesson) -> Any:
    p = forests.probabilities(first, page.x)
    return second_look(p, page.nodes, page.blocks, page.tree, page.repeats, page.x, kind)


def train(
    lessons: Sequence[Lesson],
    how: Forests,
    say: Callable[[str], None],
    *,
    folds: bool = True,
) -> tuple[Model, dict[int, Model]]:
    """Return the model, and by fold the model trained without it.

    The second forest learns from what first forests say that were trained without a page's fold.
    The first forest without folds i and j serves the models without i and without j, so n folds
    need n (n - 1) / 2 + n + 1 first forests.
    """
    present = sorted({page.fold for page in lessons})
    without: dict[frozenset[int], tuple[forests.Forest, forests.Forest]] = {}

    def first(*left_out: int) -> tuple[forests.Forest, forests.Forest]:
        key = frozenset(left_out)
        if key not in without:
            taught = [page for page in lessons if page.fold not in key]
            forest = grow(table(taught, None, how), how.trees[0], how)
            without[key] = forest, grow_kinds(taught, how)
            say(f"first forest without folds {', '.join(map(str, sorted(key))) or '(none)'}")
        return without[key]

    def both(*left_out: int) -> Model:
        taught = [page for page in lessons if page.fold not in left_out]
        looks = {fold: first(*left_out, fold) for fold in present if fold not in left_out}
        extra = [_second_look(*looks[page.fold], page) for page in taught]
        forest, kind = first(*left_out)
        return Model(forest, grow(table(taught, extra, how), how.trees[1], how), kind)

    return both(), {fold: both(fold) for fold in present} if folds else {}


def scored_lesson(page: Lesson, model: Model) -> ScoredPage:
    """Return a page whose features are known with a model's scores."""
    return score_blocks(page.nodes, page.blocks, page.tree, page.repeats, page.x, model)


def score_table(lessons: Sequence[Lesson], folds: dict[int, Model]) -> dict[str, dict[str, float]]:
    """Return page means of precision, recall and F1 by source, or, where pages have a kind, by
    source and kind.

    A page is scored by the model that was trained without its fold: 4-grams of tokens, but words
    where pages have a kind, as the benchmark that has kinds does.
    """
    rows: dict[str, list[tuple[float, float, float]]] = {}
    for page in lessons:
        text = scored_lesson(page, folds[page.fold]).text()
        if page.kind:
            found = word_scores(text, page.truth)
            rows.setdefault(f"{page.source}: {page.kind}", []).append(found)
        else:
            found = scores(text, page.truth)
        rows.setdefault(page.source, []).append(found)
    table = {name: _means(values) | {"pages": len(values)} for name, values in rows.items()}
    return dict(sorted(table.items()))


def _means(values: Sequence[tuple[float, float, float]]) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in zip(("precision", "recall", "f1"), np.mean(values, axis=0), strict=True)
    }


def train_files(
    pages: Sequence[str],
    out: str,
    how: Forests,
    say: Callable[[str], None],
    *,
    folds: bool = True,
    only_scored: Collection[str] = (),
) -> dict[str, Any]:
    """Train on Parquet tables (columns html, truth, source); write the model to `out`, its card
    beside it; return the card.

    Raises InputError where a column is missing, a source `only_scored` is not there, or the pages
    to learn from stand in fewer than three folds.
    """
    lessons, licenses = read_pages(pages, say)
    counts = Counter(page.source for page in lessons)
    if unknown := sorted(set(only_scored) - set(counts)):
        raise InputError(f"no page of {', '.join(unknown)}; the sources are {', '.join(counts)}")
    learned = {source: n for source, n in sorted(counts.items()) if source not in only_scored}
    taught = [page for page in lessons if page.source in learned]
    if len({page.fold for page in taught}) < _MIN_FOLDS:
        raise InputError(
            f"three sources of pages or more expected, or one of more than {LARGE_SOURCE} pages "
            f"of many sites; got {', '.join(learned) or 'no page with text and truth'}"
        )
    model, left_out = train(taught, how, say, folds=folds)
    if left_out:
        left_out = {page.fold: model for page in lessons} | left_out
    stream = io.BytesIO()
    np.savez_compressed(stream, allow_pickle=False, **model_arrays(model))
    data = stream.getvalue()
    card = {
        "sources": {s: {"pages": n, "licenses": sorted(licenses[s])} for s, n in learned.items()},
        "only_scored": sorted(only_scored),
        "pages": sum(learned.values()),
        "blocks": sum(len(page.x) for page in taught),
        "features": len(model_arrays(model)["features"]),
        "forests": asdict(how),
        "folds": f"{FOLDS}: each page scored by a model that has not seen its source, or, of "
        f"sources of more than {LARGE_SOURCE} pages, its site; no other extractor asked",
        "score": "page means of token 4-grams (Chinese and Japanese by character); of words where "
        "pages have a kind",
        "scores": score_table(lessons if only_scored else taught, left_out) if left_out else {},
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    store.write_bytes(out, data)
    store.write_bytes(
        f"{out.removesuffix('.npz')}.json",
        json.dumps(card, indent=1, ensure_ascii=False).encode() + b"\n",
    )
    return card
