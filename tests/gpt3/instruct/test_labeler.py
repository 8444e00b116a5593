from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from curation.errors import InputError
from curation.gpt3.instruct import labeler

SCORES = [[0.0, 1.0, 2.5], [3.0, 1.0], [0.5, 0.5, 2.0, 4.0]]


def test_a_ranking_has_the_probabilities_of_bradley_and_terry_for_each_pair() -> None:
    scale, scores, count = 0.8, [0.0, 1.0, 2.5], 4000
    first = np.zeros((3, 3))
    for number in range(count):
        ranks = labeler.ranking(scale, scores, 7, f"prompt {number}")
        assert sorted(ranks) == [1, 2, 3]
        for a, b in combinations(range(3), 2):
            first[a, b] += ranks[a] < ranks[b]
    for a, b in combinations(range(3), 2):
        wanted = 1 / (1 + np.exp(-scale * (scores[a] - scores[b])))
        # Four deviations of a share of 4,000.
        assert abs(first[a, b] / count - wanted) < 4 * (wanted * (1 - wanted) / count) ** 0.5


def test_agreement_and_ceiling_equal_sums_over_pairs() -> None:
    scale = 1.3
    shares = [1 / (1 + np.exp(-scale * (a - b))) for one in SCORES for a, b in combinations(one, 2)]
    assert labeler.agreement(scale, SCORES) == pytest.approx(
        np.mean([p * p + (1 - p) * (1 - p) for p in shares])
    )
    assert labeler.ceiling(scale, SCORES) == pytest.approx(np.mean([max(p, 1 - p) for p in shares]))
    assert labeler.ceiling(0.0, SCORES) == 0.5


def test_the_scale_reaches_the_agreement_asked_for() -> None:
    scale = labeler.scale_for(0.73, SCORES)
    assert labeler.agreement(scale, SCORES) == pytest.approx(0.73, abs=1e-9)
    with pytest.raises(InputError, match="cannot be reached"):
        labeler.scale_for(0.73, [[1.0, 1.0]])
    with pytest.raises(InputError, match=r"above 0\.5"):
        labeler.scale_for(0.5, SCORES)


@pytest.mark.parametrize(
    ("answer", "score"),
    [
        ("The river Nile.", 4.0),
        ("The river Nile", 3.0),
        ("The Nile.", 3.0),
        ("river river river river.", 1 + 1 + 0.25 + 1),
        ("", 0.0),
        (" ?!", 0.0),
        (" ".join(f"w{n}" for n in range(24)) + " .", 1 + 1 + 0.5),
        (" ".join(f"w{n}" for n in range(400)), 1.0),
    ],
)
def test_the_rule_adds_up_its_four_parts(answer: str, score: float) -> None:
    assert labeler.brief_score("Name a river", answer) == pytest.approx(score)


def test_it_is_named_as_simulated() -> None:
    rule = labeler.rule_named("brief")
    text = labeler.description(rule, 1.0, 0.73)
    assert text.startswith("simulated labeler (rule brief), not a person.")
    assert rule.text in text
    with pytest.raises(InputError, match="no simulated labeler 'brif'; did you mean 'brief'"):
        labeler.rule_named("brif")
