from __future__ import annotations

import pytest
from datasketch.lsh import _optimal_param

from curation.errors import RecipeError
from curation.kernels.bands import FOUND, chance_found, choose_bands
from curation.recipe.reading import parse

DATASET = [{"name": "a", "files": ["x"]}]


@pytest.mark.parametrize("min_jaccard", [0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95])
def test_chosen_bands_find_what_they_must_at_the_least_cost(min_jaccard: float) -> None:
    bands, rows = choose_bands(min_jaccard, 128)
    assert bands * rows <= 128
    assert chance_found(min_jaccard, bands, rows) >= FOUND
    others = [
        (b, r)
        for r in range(1, 129)
        for b in range(1, 128 // r + 1)
        if chance_found(min_jaccard, b, r) >= FOUND
    ]
    below = min_jaccard / 2
    assert chance_found(below, bands, rows) == min(chance_found(below, b, r) for b, r in others)


def test_datasketch_misses_at_the_threshold_what_these_bands_find() -> None:
    theirs, ours = _optimal_param(0.8, 128, 0.5, 0.5), choose_bands(0.8, 128)
    assert chance_found(0.8, *theirs) < 0.5
    assert chance_found(0.8, *ours) >= 0.99


def test_bands_of_a_recipe_are_given_or_chosen() -> None:
    assert parse({"dataset": DATASET, "stages": ["dedup"]}).dedup.banding() == (20, 6)
    table = {"bands": "auto", "min_jaccard": 0.5, "hashes": 200}
    assert parse(
        {"dataset": DATASET, "stages": ["dedup"], "dedup": table}
    ).dedup.banding() == choose_bands(0.5, 200)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (
            {"bands": "auto", "hashes": 4},
            "hashes: 4 cannot find pairs of a Jaccard similarity of 0.2",
        ),
        ({"bands": 0}, "bands: a number in .* expected, got 0"),
        ({"bands": "some"}, "dedup: bands: "),
    ],
)
def test_bands_that_cannot_be_are_refused(table: dict[str, object], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        parse({"dataset": DATASET, "stages": ["dedup"], "dedup": {"min_jaccard": 0.2, **table}})
