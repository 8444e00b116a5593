"""Simulated labelers: a printed rule with noise in place of a person, and named as such wherever
their rankings go.

No preferences of people come with this project. A simulated labeler has a rule, a score of prompt
and answer, and prefers answer a to b with probability sigmoid(scale * (score a - score b)): the
model of Bradley and Terry. `scale` is chosen so that two such labelers agree on 73 % of the
comparisons, as the paper's labelers do (section 3.4). A ranking of K answers sorts scale * score
plus one draw of Gumbel's distribution for each answer (Plackett and Luce), under which each pair
has just that probability.

Since the noise is known, so is the best that a reward model can do: `ceiling`.

Trap: the rule is hidden from training, not from the reader. A figure about it says how well the
procedure finds a rule in noisy rankings, and nothing about what people like.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curation import draws
from curation.errors import InputError, did_you_mean

Floats = NDArray[np.float64]
PAPER_AGREEMENT = 0.73
BRIEF_WORDS, LONG_WORDS = 12, 36
TOPIC_LETTERS = 4
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Rule:
    """A score of (prompt, answer), and the sentence that is printed about it."""

    name: str
    text: str
    score: Callable[[str, str], float]


def brief_score(prompt: str, answer: str) -> float:
    """From 0 to 4: what the rule `brief` adds up.

    >>> brief_score("Name a river of Egypt.", "The Nile is a river of Egypt.")
    4.0
    >>> brief_score("Name a river of Egypt.", "Nile Nile Nile Nile")
    1.25
    """
    words = _WORD.findall(answer.lower())
    if not words:
        return 0.0
    topic = {word for word in _WORD.findall(prompt.lower()) if len(word) >= TOPIC_LETTERS}
    stop = float(answer.rstrip().endswith("."))
    on_topic = float(not topic.isdisjoint(words))
    new = len(set(words)) / len(words)
    brevity = min(1.0, max(0.0, (LONG_WORDS - len(words)) / (LONG_WORDS - BRIEF_WORDS)))
    return stop + on_topic + new + brevity


RULES = {
    "brief": Rule(
        "brief",
        "1 if the answer ends in a full stop; 1 if it uses a word of the prompt that has "
        f"{TOPIC_LETTERS} letters or more; the share of its words that are new in it; 1 up to "
        f"{BRIEF_WORDS} words, falling to 0 at {LONG_WORDS}. An empty answer has 0.",
        brief_score,
    )
}


def rule_named(name: str) -> Rule:
    """The rule called `name`; InputError lists the rules there are."""
    if name not in RULES:
        raise InputError(f"there is no simulated labeler {name!r}{did_you_mean(name, list(RULES))}")
    return RULES[name]


def named(rule: Rule) -> str:
    """What stands wherever rankings of a simulated labeler go.

    >>> named(RULES["brief"])
    'simulated labeler (rule brief)'
    """
    return f"simulated labeler (rule {rule.name})"


def description(rule: Rule, scale: float, agreement: float) -> str:
    """The rule and its noise in words, to be printed."""
    return (
        f"{named(rule)}, not a person. Score: {rule.text} It prefers answer a to b with probability "
        f"sigmoid({scale:.4g} * (score a - score b)); two such labelers agree on "
        f"{100 * agreement:.1f} % of these comparisons."
    )


def preference(scale: float, first: Floats, second: Floats) -> Floats:
    """How likely the first of each two scores is preferred.

    >>> preference(1.0, np.array([1.0]), np.array([1.0]))
    array([0.5])
    """
    return 0.5 * (1 + np.tanh(0.5 * scale * (first - second)))


def pairs(scores: Sequence[Sequence[float]]) -> tuple[Floats, Floats]:
    """The two scores of every pair of answers to one prompt, over all prompts."""
    first, second = [], []
    for one in scores:
        a, b = np.triu_indices(len(one), 1)
        values = np.asarray(one, float)
        first.append(values[a])
        second.append(values[b])
    empty = np.empty(0)
    return (np.concatenate(first) if first else empty), (
        np.concatenate(second) if second else empty
    )


def agreement(scale: float, scores: Sequence[Sequence[float]]) -> float:
    """Share of pairs on which two labelers of this noise agree, on average."""
    p = preference(scale, *pairs(scores))
    return float((p**2 + (1 - p) ** 2).mean()) if len(p) else 0.5


def ceiling(scale: float, scores: Sequence[Sequence[float]]) -> float:
    """Accuracy on the labeler's pairs of one who knows the rule: the most that can be reached."""
    p = preference(scale, *pairs(scores))
    return float(np.maximum(p, 1 - p).mean()) if len(p) else 0.5


def scale_for(wanted: float, scores: Sequence[Sequence[float]]) -> float:
    """The scale at which two labelers agree on `wanted` of the pairs; InputError where none does."""
    low, high = 0.0, 1e4
    if not 0.5 < wanted < 1 or agreement(high, scores) < wanted:
        raise InputError(
            f"an agreement of {wanted:g} cannot be reached: it must be above 0.5, and on these "
            f"answers two labelers agree on at most {agreement(high, scores):.3f} of the pairs "
            "(more have equal scores); ask for less, or for answers that differ more"
        )
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if agreement(middle, scores) < wanted else (low, middle)
    return (low + high) / 2


def ranking(scale: float, scores: Sequence[float], seed: int, prompt: str) -> list[int]:
    """The rank of each answer, 1 for the best: a draw that seed and prompt fix.

    >>> ranking(1e6, [0.0, 2.0, 1.0], 0, "any")
    [3, 1, 2]
    """
    contents = (f"{number}/{prompt}".encode() for number in range(len(scores)))
    shares = draws.uniforms(seed, "instruct/labeler", contents)
    gumbel = -np.log(-np.log(np.clip(shares, 1e-300, 1 - 1e-16)))
    order = np.argsort(-(scale * np.asarray(scores, float) + gumbel), kind="stable")
    ranks = np.empty(len(scores), int)
    ranks[order] = np.arange(1, len(scores) + 1)
    return [int(rank) for rank in ranks]
