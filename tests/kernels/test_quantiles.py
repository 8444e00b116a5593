from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.kernels import quantiles as q


def content(texts: np.ndarray) -> np.ndarray:
    """A hash uint8[n, 16] of each number that stands for a text."""
    return np.array(
        [np.random.default_rng(int(text)).integers(0, 256, 16, np.uint8) for text in texts]
    ).reshape(-1, 16)


def cuts_by_passes(places: list[np.ndarray], quantiles: int, taken: int) -> list[bytes]:
    """As the stage does: counts of each place added up, then the keys themselves."""
    prefixes = [b""]
    bins, counts = q.summed([q.digit_counts(place, prefixes) for place in places])
    cuts, left = q.narrowed(q.first_cuts(int(counts.sum()), quantiles), prefixes, bins, counts)
    while left > taken and len(cuts[0].prefix) < q.WIDTH:
        prefixes = q.prefixes_of(cuts)
        counted = q.summed([q.digit_counts(place, prefixes) for place in places])
        cuts, left = q.narrowed(cuts, prefixes, *counted)
    if len(cuts[0].prefix) == q.WIDTH:
        return [cut.prefix for cut in cuts]
    kept = [q.keys_below(place, q.prefixes_of(cuts)) for place in places]
    return q.cut_keys(cuts, np.concatenate(kept))


@given(
    st.lists(
        st.tuples(
            st.one_of(
                st.floats(allow_nan=False),
                st.sampled_from([0.0, -0.0, 1.0, 256.0, -1.0, 2.0**-1074]),
            ),
            st.integers(0, 3),
        ),
        min_size=1,
        max_size=60,
    ),
    st.integers(2, 12),
    st.integers(1, 4),
    st.sampled_from([0, 5, 1000]),
)
def test_the_cuts_are_those_of_the_sorted_keys(
    rows: list[tuple[float, int]], quantiles: int, places: int, taken: int
) -> None:
    numbers, texts = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    keys = q.rank_keys(numbers, content(texts))
    order = sorted(range(len(rows)), key=lambda i: (numbers[i] + 0.0, keys[i].ljust(24, b"\0")))
    ranked = [keys[i].ljust(24, b"\0") for i in order]
    expected = [ranked[-(-number * len(rows) // quantiles) - 1] for number in range(1, quantiles)]
    parts = [keys[place::places] for place in range(places)]
    assert cuts_by_passes(parts, quantiles, taken) == expected
    assert [q.number_of(key) for key in ranked] == sorted(numbers + 0.0)


@pytest.mark.parametrize("taken", [0, 300])
def test_quantiles_are_of_equal_size_also_where_most_numbers_are_equal(taken: int) -> None:
    random = np.random.default_rng(1)
    numbers = random.integers(0, 3, 5000).astype(float)
    keys = q.rank_keys(numbers, random.integers(0, 256, (5000, 16), np.uint8))
    groups = q.quantiles_of(keys, cuts_by_passes([keys[:100], keys[100:]], 7, taken))
    sizes = np.bincount(groups)[1:]
    assert len(sizes) == 7
    assert sizes.max() - sizes.min() <= 1
    low, high = (np.array([f(numbers[groups == g]) for g in range(1, 8)]) for f in (min, max))
    assert (high[:-1] <= low[1:]).all()


def test_fewer_documents_than_quantiles_and_one_text_only() -> None:
    keys = q.rank_keys(np.array([0.25, 0.75]), content(np.array([1, 2])))
    assert q.quantiles_of(keys, cuts_by_passes([keys], 10, 0)).tolist() == [1, 6]
    same = q.rank_keys(np.full(50, 0.5), content(np.zeros(50, int)))
    assert set(q.quantiles_of(same, cuts_by_passes([same], 4, 0)).tolist()) == {1}
