"""The plan of a mixture: how often each dataset is read, where its epochs begin in the order of the
training shards, and how far chance may lead from it.

Given a budget of T tokens, dataset d gets weight_d * T / tokens_d epochs (GPT-3, section 2.2). Pure
arithmetic; no files.

Within a dataset, documents may be weighed by a column: a group of weight w gets w / w' times the
epochs of one of weight w', and the tokens of the dataset stay weight_d * T.

Copy e of a text that is read E times stands at e / E and above, and below (e + 1) / E.

Trap: the weights of the paper's table 2.2 add to 101 and its epochs do not all follow from its own
numbers: see PAPER.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from curation.errors import InputError

MOST_UNUSED = 0.5  # of all tokens, where the mixture chose its own length
MOST_EPOCHS = 4.0  # a dataset repeated more often than this is warned about
FALSE_ALARM = 1e-6  # chance that a correct run is called wrong, over all its comparisons
PAPER_TOKENS = 300  # billions, of the training of every model
# Table 2.2: dataset, tokens (billions), weight (percent), epochs in training for 300 billion tokens.
PAPER = (
    ("Common Crawl (filtered)", 410, 60, 0.44),
    ("WebText2", 19, 22, 2.9),
    ("Books1", 12, 8, 1.9),
    ("Books2", 55, 8, 0.43),
    ("Wikipedia", 3, 3, 3.4),
)


@dataclass(frozen=True, slots=True)
class GroupShare:
    """The documents of a dataset that one key of its table of weights covers, and their part in the
    mixture; fields as those of `Share`. `epochs` is 0 until it is planned."""

    value: str
    weight: float
    documents: int
    tokens: int
    validation_tokens: int
    epochs: float = 0.0


@dataclass(frozen=True, slots=True)
class Share:
    """One dataset's part in the mixture."""

    dataset: str
    weight: float  # normalised
    tokens: int  # there are, without validation
    validation_tokens: int
    epochs: float  # of all its tokens; the mean where it has groups
    groups: tuple[GroupShare, ...] = ()


def plan_mixture(
    weights: Mapping[str, float],
    budget: int,
    counted: Mapping[str, Sequence[int]],
    max_epochs: float = math.inf,
    groups: Mapping[str, Sequence[GroupShare]] = MappingProxyType({}),
) -> list[Share]:
    """Weights, tokens and epochs of each dataset of `counted` (tokens for training, tokens held
    out), in its order; `groups` of those that are weighed by a column.

    A budget of 0 takes each token of the dataset or group that the weights exhaust first, once.
    Raises InputError where a dataset with a weight has no tokens, or would be repeated too often.

    >>> tokens = {"web": (1200, 0), "wiki": (205, 9)}
    >>> [share.epochs for share in plan_mixture({"web": 60, "wiki": 41}, 1010, tokens)]
    [0.5, 2.0]
    >>> halves = [GroupShare("low", 1, 9, 600, 0), GroupShare("high", 3, 9, 600, 0)]
    >>> (share,) = plan_mixture({"web": 1}, 600, {"web": (1200, 0)}, groups={"web": halves})
    >>> share.epochs, [group.epochs for group in share.groups]
    (0.5, [0.25, 0.75])
    """
    whole = sum(weights.values())
    rows = []
    for name, (train, held_out) in counted.items():
        if not weights.get(name):
            continue
        if not train:
            raise InputError(
                f"mix: dataset {name!r} has weight {weights[name]:g} but no tokens are left of it; "
                "`curation report` shows where they went. Set its weight to 0 to go on without it"
            )
        rows.append((name, weights[name] / whole, train, held_out))
    if not rows:
        raise InputError("mix: no dataset with a weight above 0 is there to mix")
    once = [_once(name, train, groups.get(name, ())) for name, _, train, _ in rows]
    tokens = budget or min(count / row[1] for count, row in zip(once, rows, strict=True))
    shares = [
        Share(
            *(name, weight, train, held_out, weight * tokens / train),
            _planned(groups.get(name, ()), weight * tokens),
        )
        for name, weight, train, held_out in rows
    ]
    what, epochs = max(_parts(shares), key=lambda part: part[1])
    if epochs > max_epochs:
        fitting = int(tokens * max_epochs / epochs)
        raise InputError(
            f"mix: {tokens:,.0f} tokens would repeat {what} {epochs:,.1f} "
            f"times, and max_epochs allows {max_epochs:g}; ask for {fitting:,} tokens at most, give "
            "it a smaller weight or more text, or raise max_epochs"
        )
    return shares


def _once(name: str, train: int, groups: Sequence[GroupShare]) -> float:
    """Tokens of a dataset when its group of the highest weight is read once."""
    if not groups:
        return train
    highest = max((group.weight for group in groups if group.tokens), default=0.0)
    if not highest:
        raise InputError(
            f"mix: dataset {name!r} has no tokens of a value with a weight above 0; give one of its "
            f"values a weight in mix.by_weights.{name}, or leave the dataset out of mix.weights"
        )
    return sum(group.weight * group.tokens for group in groups) / highest


def _planned(groups: Sequence[GroupShare], tokens: float) -> tuple[GroupShare, ...]:
    """The groups of a dataset of which so many tokens are read, with their epochs."""
    weighed = sum(group.weight * group.tokens for group in groups)
    return tuple(replace(group, epochs=group.weight * tokens / weighed) for group in groups)


def _parts(shares: Sequence[Share]) -> list[tuple[str, float]]:
    """What is read as a whole, named, with its epochs: datasets, and groups of others."""
    return [
        part
        for share in shares
        for part in (
            [
                (f"value {group.value!r} of dataset {share.dataset!r}", group.epochs)
                for group in share.groups
                if group.tokens
            ]
            or [(f"dataset {share.dataset!r}", share.epochs)]
        )
    ]


def mixture_warnings(mixture: Sequence[Mapping[str, Any]]) -> list[str]:
    """Unused and often repeated datasets and groups, and weights of values that no document has, a
    line each: from the `mixture` of shards.json."""
    parts = [
        (
            f"{row['dataset']} of value {part['value']!r}" if part is not row else row["dataset"],
            part,
        )
        for row in mixture
        for part in row.get("groups") or (row,)
    ]
    tokens = sum(part["tokens"] for _, part in parts)
    unused = tokens - sum(min(1.0, part["epochs"]) * part["tokens"] for _, part in parts)
    share = unused / max(1, tokens)
    scarce, most = max(parts, key=lambda part: part[1]["epochs"] * bool(part[1]["tokens"]))
    out = [
        f"mix: {100 * share:.0f} % of the tokens are not used: without a budget (mix.tokens) the mixture "
        f"ends where {scarce} does"
    ]
    absent = [
        f"mix: mix.by_weights.{row['dataset']} has a weight for {part['value']!r}, which no "
        "document has"
        for row in mixture
        for part in row.get("groups") or ()
        if not part["documents"]
    ]
    return [
        *(out if share > MOST_UNUSED and abs(most["epochs"] - 1) < 1e-9 else []),
        *(
            f"mix: {name} is repeated {part['epochs']:.1f} times; more than {MOST_EPOCHS:g} "
            "rarely help"
            for name, part in parts
            if part["epochs"] > MOST_EPOCHS and part["tokens"]
        ),
        *absent,
    ]


# ---- chance --------------------------------------------------------------------------------------


def spread(epochs: float, shards: int, shard: int | None = None) -> float:
    """Variance of how often one chunk is placed in a token shard, or (None) in all of them
    together.

    Copy e lies anywhere in [e / epochs, (e + 1) / epochs) with the same chance, each copy drawn for
    itself.

    >>> round(spread(2.0, 1), 9), spread(0.5, 4), round(spread(2.0, 4, 0), 9)
    (0.0, 0.25, 0.25)
    """
    start, end = (0.0, 1.0) if shard is None else (shard / shards, (shard + 1) / shards)
    total = 0.0
    for epoch in range(math.floor(start * epochs), math.ceil(end * epochs)):
        chance = max(0.0, min(end * epochs, epoch + 1) - max(start * epochs, epoch))
        total += chance * (1 - chance)
    return total


def bound(
    variance: float, longest: float, comparisons: int, false_alarm: float = FALSE_ALARM
) -> float:
    """How far a sum of independent chunk lengths may lie from its mean: Bernstein's inequality,
    true for chunks of any lengths.

    `variance` of the sum (squared chunk lengths times `spread`), `longest` chunk; all of
    `comparisons` sums lie within their bounds with probability 1 - false_alarm.
    """
    log = math.log(2 * comparisons / false_alarm)
    return longest * log / 3 + math.sqrt((longest * log / 3) ** 2 + 2 * variance * log)


# ---- the paper's table ---------------------------------------------------------------------------


def paper_epochs(tokens: float, weight: float) -> float:
    """The epochs that follow from the paper's own tokens (billions) and weight (percent of 101), in
    training for 300 billion tokens.

    >>> round(paper_epochs(3, 3), 2)
    2.97
    """
    return weight / sum(row[2] for row in PAPER) * PAPER_TOKENS / tokens


def paper_notes() -> list[str]:
    """What does not fit in table 2.2, a line each."""
    total = sum(row[2] for row in PAPER)
    notes = [f"the weights add to {total} %: they are divided by {total} here"]
    for name, tokens, weight, epochs in PAPER:
        follows = paper_epochs(tokens, weight)
        if abs(follows - epochs) > 0.05 * epochs:
            notes.append(
                f"{name}: {weight} % of {PAPER_TOKENS} billion tokens from {tokens} billion are "
                f"{follows:.2f} epochs "
                f"({weight * PAPER_TOKENS / 100 / tokens:.2f} with weights as printed), not "
                f"{epochs}"
            )
    return notes


def epoch_starts(shares: Sequence[Share], shards: int) -> list[npt.NDArray[np.int64]]:
    """The keys of rows at which an epoch of a dataset, or of a group of one, begins: int64[n] of
    each training shard, ascending. The first epoch begins with the first row."""
    found: list[set[int]] = [set() for _ in range(shards)]
    for epochs in {part.epochs for share in shares for part in share.groups or (share,)}:
        at = np.arange(1, int(np.ceil(epochs))) / epochs
        part = np.minimum((at * shards).astype(np.int64), shards - 1)
        for shard, key in zip(part.tolist(), keys_at(at).tolist(), strict=True):
            found[shard].add(key)
    return [np.array(sorted(keys), np.int64) for keys in found]


def keys_at(positions: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Positions in [0, 1) as whole numbers, in the same order: the column `key`."""
    return (positions * 2.0**63).astype(np.int64)
