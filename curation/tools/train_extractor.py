"""Training of the `blocks` extractor from pages with their true text: labels, forests, folds by
source, the model's files.

About ten minutes for 1,700 pages with folds on one core and 2 GB; the forests are LightGBM's (the
extra `extractor`), packed as arrays, so that the model runs without it. The trap: the second forest
looks at what the first one says of a page, so the first must not have seen the page's whole
*source* while training; pages of one site are too alike for folds by page.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curation import store
from curation.blocks import forest as forests
from curation.blocks.align import matched
from curation.blocks.extractor import (
    ScoredPage,
    block_texts,
    cut,
    model_arrays,
    score_blocks,
    vocabulary,
)
from curation.blocks.features import features
from curation.blocks.forest import Model
from curation.blocks.text import Blocks, Nodes
from curation.errors import InputError, MissingExtra
from curation.readers.encoding import decoded

_TOKENS = re.compile(
    "[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|(?:(?![\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff])\\w)+"
)
_MAX_CELLS = 1_000_000_000
_GRAM_TOKENS = 4
_MIN_TRUTH_TOKENS = 60
_MAX_PAGE_WEIGHT = 4.0
# Boilerplate of up to so many tokens is thinned out to a fifth and to a half, and what is left
# weighs as much more.
_SMALL_TOKENS, _SHORT_TOKENS = 4, 12
# Of the line: the penalty on its weights for each row, and when Newton's method has arrived.
_LINE_PENALTY = 6e-4
_MAX_STEPS, _LAST_STEP = 40, 1e-8
_CHUNK_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class Forests:
    """How the two forests are grown."""

    trees: tuple[int, int] = (60, 80)
    leaves: int = 24
    rate: float = 0.12
    min_leaf: int = 40
    penalty: float = 5.0
    columns: float = 0.3
    seed: int = 0


@dataclass(slots=True)
class Lesson:
    """A page to learn from: its blocks, their features, and how much of each is in the truth."""

    source: str
    truth: str
    nodes: Nodes
    blocks: Blocks
    x: npt.NDArray[np.float32]  # [B, F]
    tree: Any
    share: npt.NDArray[np.float32]  # [B], tokens of the block that the truth accounts for
    tokens: npt.NDArray[np.int64]  # [B]
    weight: npt.NDArray[np.float64]  # [B]


def tokens(text: str) -> list[str]:
    """Words in lower case; each Chinese or Japanese character by itself.

    >>> tokens("Der Bär, 2 熊猫")
    ['der', 'bär', '2', '熊', '猫']
    """
    return _TOKENS.findall(text.lower())


def scores(text: str, truth: str) -> tuple[float, float, float]:
    """(precision, recall, F1) of the token 4-grams of a text; of its whole where it has fewer than
    four tokens."""
    grams, wanted = _grams(tokens(text)), _grams(tokens(truth))
    right = sum((grams & wanted).values())
    precision, recall = right / max(1, grams.total()), right / max(1, wanted.total())
    return precision, recall, 2 * precision * recall / (precision + recall) if right else 0.0


def _grams(words: list[str]) -> Counter[tuple[str, ...]]:
    return Counter(
        tuple(words[i : i + _GRAM_TOKENS]) for i in range(max(1, len(words) - _GRAM_TOKENS + 1))
    )


def lesson(html: bytes, content_type: str | None, truth: str, source: str) -> Lesson | None:
    """A page with its labels; None where page or truth has no text."""
    page = cut(decoded(html, content_type))
    if page is None or not truth.strip():
        return None
    x, tree = features(*page, vocabulary())
    blocks = [tokens(text) for text in block_texts(page[1])]
    wanted = tokens(truth)
    count = np.array([len(b) for b in blocks], np.int64)
    numbers: dict[str, int] = {}
    flat = np.array([numbers.setdefault(w, len(numbers)) for b in blocks for w in b], np.int32)
    goal = np.array([numbers.setdefault(w, len(numbers)) for w in wanted], np.int32)
    accounted = np.zeros(len(flat), bool)
    reach = min(len(flat), _MAX_CELLS // max(1, len(goal)))
    accounted[:reach] = matched(flat[:reach], goal)
    upto = np.concatenate([[0], np.cumsum(accounted)])
    ends = np.cumsum(count)
    share = (upto[ends] - upto[ends - count]) / np.maximum(count, 1)
    weight = np.minimum((count + 1.0) / max(len(wanted), _MIN_TRUTH_TOKENS), 1.0)
    weight *= min(1.0, _MAX_PAGE_WEIGHT / weight.sum())
    return Lesson(source, truth, *page, x, tree, share.astype(np.float32), count, weight)


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

    Sources weigh by the square root of their number of pages; small boilerplate is thinned out.
    """
    pages = Counter(page.source for page in lessons)
    x = np.concatenate([page.x for page in lessons])
    if extra is not None:
        x = np.hstack([x, np.concatenate(list(extra))])
    y = np.concatenate([page.share > 0.5 for page in lessons])
    weight = np.concatenate([page.weight * pages[page.source] ** -0.5 for page in lessons])
    length = np.concatenate([page.tokens for page in lessons])
    share = np.where(
        y | (length > _SHORT_TOKENS), 1.0, np.where(length > _SMALL_TOKENS, 1 / 2, 1 / 5)
    )
    chosen = np.random.default_rng(how.seed).random(len(y)) < share
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
        "lambda_l2": how.penalty, "feature_fraction": how.columns, "max_bin": 63, "seed": how.seed, "num_threads": 1,
        "deterministic": True, "force_col_wise": True, "verbose": -1,
    }  # fmt: skip
    data = lightgbm.Dataset(
        blocks.x, blocks.y.astype(np.float32), weight=blocks.weight, params=settings
    )
    return packed(lightgbm.train(settings, data, trees).dump_model()["tree_info"])


def fitted_line(blocks: Table) -> forests.Line:
    """Return a logistic regression fitted by Newton's method: curvature in float32, gradient in
    float64, rounded.

    It converges far below what is rounded away, so that another order of additions (another BLAS)
    gives the same bytes.
    """
    x = np.sign(blocks.x) * np.log1p(np.abs(blocks.x))
    mean, scale = x.mean(0, dtype=np.float64).round(3), x.std(0, dtype=np.float64).round(3) + 0.001
    x = np.clip((x - mean) / scale, -forests.LINE_CLIP, forests.LINE_CLIP).astype(np.float32)
    x = np.hstack([x, np.ones((len(x), 1), np.float32)])
    penalty = np.full(x.shape[1], _LINE_PENALTY * len(x))
    penalty[-1] = 0
    weights = np.zeros(x.shape[1])
    for _ in range(_MAX_STEPS):
        gradient, curvature = penalty * weights, np.diag(penalty)
        for at in range(0, len(x), _CHUNK_ROWS):
            rows, share = x[at : at + _CHUNK_ROWS], blocks.weight[at : at + _CHUNK_ROWS]
            p = 1 / (1 + np.exp(-(rows.astype(np.float64) @ weights)))
            gradient += (share * (p - blocks.y[at : at + _CHUNK_ROWS])) @ rows.astype(np.float64)
            curvature += rows.T @ (
                rows * (share * np.maximum(p * (1 - p), 1e-3)).astype(np.float32)[:, None]
            )
        step = np.linalg.solve(curvature, gradient)
        weights -= step
        if np.abs(step).max() < _LAST_STEP:
            break
    small = weights.round(3).astype(np.float32)
    return forests.Line(small[:-1], mean.astype(np.float32), scale.astype(np.float32), small[-1:])


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


def _context(first: forests.Forest, page: Lesson) -> npt.NDArray[np.float32]:
    p = forests.probabilities(first, page.x, np.zeros_like(page.x[:0]))
    return forests.context(p, page.nodes, page.blocks, page.tree)  # type: ignore[no-any-return]


def train(
    lessons: Sequence[Lesson],
    how: Forests,
    say: Callable[[str], None],
    *,
    folds: bool = True,
    only_scored: Collection[str] = (),
) -> tuple[Model, dict[str, Model]]:
    """Return the model, and by source the model trained without it.

    The second forest and the line learn from the scores of first forests trained without a page's
    source.

    The first forest without sources s and t serves both models, so n sources need n (n - 1) / 2 + n
    + 1 first forests. Sources `only_scored` are not learned from, so the model itself is one
    without them.
    """
    lessons = [page for page in lessons if page.source not in only_scored]
    sources = sorted({page.source for page in lessons})
    without: dict[frozenset[str], forests.Forest] = {}

    def first(*left_out: str) -> forests.Forest:
        key = frozenset(left_out)
        if key not in without:
            taught = [page for page in lessons if page.source not in key]
            without[key] = grow(table(taught, None, how), how.trees[0], how)
            say(f"first forest without {', '.join(sorted(key)) or 'none'}")
        return without[key]

    def both(*left_out: str) -> Model:
        taught = [page for page in lessons if page.source not in left_out]
        looks = {s: first(*left_out, s) for s in sources if s not in left_out}
        extra = [_context(looks[page.source], page) for page in taught]
        blocks = table(taught, extra, how)
        return Model(first(*left_out), grow(blocks, how.trees[1], how), fitted_line(blocks))

    out = {source: both(source) for source in sources} if folds else {}
    model = both()
    return model, out | (dict.fromkeys(sorted(only_scored), model) if folds else {})


def scored_lesson(page: Lesson, model: Model) -> ScoredPage:
    """Return a page whose features are known with a model's scores."""
    return score_blocks(page.nodes, page.blocks, page.tree, page.x, model)


def score_table(lessons: Sequence[Lesson], folds: dict[str, Model]) -> dict[str, dict[str, float]]:
    """Return page means of precision, recall and F1 by source, and of all sources under "mean".

    The pages of a source are scored by the model that was trained without it.
    """
    by_source: dict[str, list[tuple[float, float, float]]] = {s: [] for s in sorted(folds)}
    for page in lessons:
        text = scored_lesson(page, folds[page.source]).text()
        by_source[page.source].append(scores(text, page.truth))
    table = {s: _means(values) | {"pages": len(values)} for s, values in by_source.items()}
    table["mean"] = {
        name: float(np.mean([row[name] for row in table.values()]))
        for name in ("precision", "recall", "f1")
    }
    return table


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

    Raises InputError where a column is missing, a source `only_scored` is not there, or fewer than
    three others are.
    """
    lessons, licenses = _read(pages, say)
    counts = Counter(page.source for page in lessons)
    if unknown := sorted(set(only_scored) - set(counts)):
        raise InputError(f"no page of {', '.join(unknown)}; the sources are {', '.join(counts)}")
    learned = {source: n for source, n in sorted(counts.items()) if source not in only_scored}
    if len(learned) < 3:
        raise InputError(
            f"three sources of pages or more expected, got {len(learned)}: "
            f"{', '.join(learned) or 'no page with text and truth'}"
        )
    model, left_out = train(lessons, how, say, folds=folds, only_scored=only_scored)
    stream = io.BytesIO()
    np.savez_compressed(stream, allow_pickle=False, **model_arrays(model))
    data = stream.getvalue()
    card = {
        "sources": {s: {"pages": n, "licenses": sorted(licenses[s])} for s, n in learned.items()},
        "only_scored": sorted(only_scored),
        "pages": sum(learned.values()),
        "blocks": sum(len(page.x) for page in lessons if page.source in learned),
        "features": len(model_arrays(model)["features"]),
        "forests": asdict(how),
        "folds": "each source scored by a model trained on the others but not on those only scored; "
        "no other extractor asked",
        "score": "token 4-grams (Chinese and Japanese by character), mean over a source's pages, "
        "then over sources",
        "scores": score_table(lessons, left_out),
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    store.write_bytes(out, data)
    store.write_bytes(
        f"{out.removesuffix('.npz')}.json",
        json.dumps(card, indent=1, ensure_ascii=False).encode() + b"\n",
    )
    return card


def _read(
    pages: Sequence[str], say: Callable[[str], None]
) -> tuple[list[Lesson], dict[str, set[str]]]:
    """The lessons of all tables, and the licences of each source's pages."""
    lessons: list[Lesson] = []
    licenses: dict[str, set[str]] = {}
    for path in pages:
        try:
            names = set(store.read_schema(path).names)
        except pa.ArrowInvalid as error:
            raise InputError(f"{path}: a Parquet table expected ({error})") from error
        if missing := {"html", "truth", "source"} - names:
            raise InputError(
                f"{path}: the columns html, truth and source expected, "
                f"{', '.join(sorted(missing))} missing"
            )
        for batch in store.read_groups(
            path, sorted(names & {"html", "truth", "source", "content_type", "license"})
        ):
            for row in batch.to_pylist():
                page = lesson(
                    row["html"], row.get("content_type"), row["truth"] or "", row["source"]
                )
                if page is not None:
                    lessons.append(page)
                    licenses.setdefault(row["source"], set()).add(row.get("license") or "unknown")
        say(f"{path}: {len(lessons)} pages with text and truth so far")
    return lessons, licenses
