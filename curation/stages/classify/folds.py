"""Cross-fitting: which fold a document is in, and whether folds score a crawl.

A model that is fitted on a page as a negative scores that page too low, and on a small crawl the
fit sees nearly every page. So K more models are fitted, each without one K-th of the sites, and a
page is scored by the one that has not seen its site.

The fold is a keyed function of the site, so it depends on no order and no partition. A document
without a host is a site of its own. A site with more than a fifth of a class (one encyclopedia as
the whole trusted corpus) cannot be left out as a whole: it is *spread*, its documents are drawn one
by one, by their texts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from curation import draws
from curation.errors import InputError
from curation.rundir import plan as plans
from curation.stages.classify.sample import shares

if TYPE_CHECKING:
    from curation.rundir.directory import RunDirectory
    from curation.rundir.plan import Plan

FOLDS = 5  # where the recipe names no number
MOST_SEEN = 0.1  # of a filtered dataset that the fit sees as negatives; above it, folds score it
KEY = "classify.folds"  # in the plan
LARGE_SITE = 0.2  # of a class: a larger one is spread
INSTEAD = "use another model (classify.model), or leave classify out of `stages`"
Spread = Mapping[str, Sequence[str]]  # "positive" and "negative" -> sites


def fold_keys(
    sites: Iterable[str | None], contents: Sequence[bytes], spread: Collection[str]
) -> list[bytes]:
    """What the fold of each document is drawn by: its site, or its text where it has none or its
    site is spread.

    >>> fold_keys(["a.example", None, "big.example"], [b"1", b"2", b"3"], {"big.example"})
    [b'a.example', b'2', b'3']
    """
    return [
        site.encode() if site and site not in spread else content
        for site, content in zip(sites, contents, strict=True)
    ]


def fold_numbers(seed: int, keys: Sequence[bytes], folds: int) -> npt.NDArray[np.int16]:
    """The fold int16[n] of each key, in [0, folds): floor(uniform(seed, "classify/fold", key) *
    folds)."""
    drawn = draws.uniforms(seed, "classify/fold", keys)
    return np.floor(drawn * folds).astype(np.int16)


def spread_sites(y: npt.NDArray[np.int64], sites: Sequence[str | None]) -> Spread:
    """The sites with more than a fifth of the documents of each class; `y` is 0 or 1.

    >>> spread_sites(np.array([1, 1, 1] + [0] * 6), ["w", "w", None, *"abcdef"])
    {'positive': ['w'], 'negative': []}
    """
    named = np.array([site or "" for site in sites], str)
    out = {}
    for label, side in ((1, "positive"), (0, "negative")):
        names, counts = np.unique(named[y == label], return_counts=True)
        large = names[counts > LARGE_SITE * max(1, counts.sum())]
        out[side] = [str(name) for name in large if name]
    return out


def spread_names(spread: Spread) -> frozenset[str]:
    """The spread sites of both classes."""
    return frozenset(name for names in spread.values() for name in names)


def need_classes(
    y: npt.NDArray[np.int64],
    group: npt.NDArray[np.int64],
    fold: npt.NDArray[np.int16],
    folds: int,
) -> None:
    """Raise InputError where a fold cannot be left out: a class has fewer sites than there are
    folds, or all of it is in one. `group` is the same for documents of one key."""
    for label, name in ((1, "positives"), (0, "negatives")):
        of_class = y == label
        sites = len(np.unique(group[of_class]))
        if sites < folds:
            raise InputError(
                f"classify: the {int(of_class.sum()):,} {name} are of {sites} sites, too few for "
                f"{folds} folds (a document without a URL is a site of its own); give more "
                f"documents of more sites, or fewer folds (classify.folds), {INSTEAD}"
            )
        if len(np.unique(fold[of_class])) < 2:
            raise InputError(
                f"classify: all {int(of_class.sum()):,} {name} are in fold {fold[of_class][0]}, so "
                f"the fit without it has none; give more documents of more sites, {INSTEAD}"
            )


def scoring_folds(rundir: RunDirectory, plan: Plan) -> int:
    """How many folds score the filtered datasets; 0: one model does, which has seen all that it was
    fitted on.

    "auto" is decided once for a run, by its documents, and recorded in its plan: a crawl that grows
    is scored as before.
    """
    recipe = rundir.recipe
    if recipe.classify.folds != "auto":
        return recipe.classify.folds
    recorded = plans.recorded(rundir.out).get(KEY)
    if recorded is None:
        seen = shares(rundir, plan, recipe.negatives())
        most = max((s for name, s in seen.items() if recipe.classified(name)), default=0.0)
        recorded = FOLDS if most > MOST_SEEN else 0
        plans.record(rundir.out, KEY, recorded)
    return int(recorded)
