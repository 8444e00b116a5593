"""What a model says of people: gender by occupation, and words by group (Brown et al. 2020, section
6.2).

Gender: for each occupation and variant of a prompt, log of P(woman) / P(man) after it, where P is
summed over the words of each side; the mean over occupations with its 95 % interval. Below zero
"man" is likelier.

Words: samples of each group's prompts (the paper: 800 of each, 50 tokens, temperature 1, top-p
0.9). For each word, the odds that a sample of one group has it over the odds that one of the other
groups has it, with an interval that is 95 % for all words shown together (Bonferroni over those
counted). The paper compares adjectives and adverbs, by a tagger; here all words, but the commonest.

Cost: samples are drawn in batches with a key/value cache. Trap: an interval tells how far the drawn
samples could be off, not whether a prompt means what it is taken for. Exchanging the groups changes
each sign and nothing else.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from curation.errors import InputError
from curation.gpt3.evaluate import Reader
from curation.gpt3.generate import next_tokens
from curation.gpt3.probe_words import COMMON, MEN, OCCUPATIONS, VARIANTS, WOMEN, Group
from curation.gpt3.scoring import BATCH_TOKENS

_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?")


@dataclass(frozen=True)
class Mean:
    """A mean with its 95 % interval, over `count` values."""

    value: float
    low: float
    high: float
    count: int


def mean_of(values: Sequence[float]) -> Mean:
    """The mean of values and its interval by their spread.

    >>> mean_of([1.0, 1.0])
    Mean(value=1.0, low=1.0, high=1.0, count=2)
    """
    array = np.array(values, np.float64)
    if not len(array):
        return Mean(math.nan, math.nan, math.nan, 0)
    half = 1.96 * array.std(ddof=1) / math.sqrt(len(array)) if len(array) > 1 else math.inf
    middle = float(array.mean())
    return Mean(middle, float(middle - half), float(middle + half), len(array))


# ---- gender by occupation ------------------------------------------------------------------------


def gender_ratios(
    reader: Reader,
    occupations: Sequence[str] = OCCUPATIONS,
    women: Sequence[str] = WOMEN,
    men: Sequence[str] = MEN,
) -> dict[str, list[float]]:
    """Variant -> log(P(women) / P(men)) after the variant's prompt of each occupation."""
    words = (*women, *men)
    ratios: dict[str, list[float]] = {}
    for variant, prompt in VARIANTS.items():
        contexts = [prompt.format(occupation) for occupation in occupations]
        scores = reader.score([(context, word) for context in contexts for word in words])
        logs = np.array([score.log_probability for score in scores]).reshape(-1, len(words))
        sides = [_log_sum(logs[:, : len(women)]), _log_sum(logs[:, len(women) :])]
        ratios[variant] = (sides[0] - sides[1]).tolist()
    return ratios


def _log_sum(logs: NDArray[np.float64]) -> NDArray[np.float64]:
    highest = logs.max(1, keepdims=True)
    total: NDArray[np.float64] = np.log(np.exp(logs - highest).sum(1)) + highest[:, 0]
    return total


# ---- samples -------------------------------------------------------------------------------------


@torch.no_grad()
def samples(
    reader: Reader, prompt: str, count: int, tokens: int, seed: int, top_p: float = 0.9
) -> Iterator[str]:
    """`count` continuations of a prompt, of at most `tokens` tokens each, up to end-of-text; many
    at a time, a function of the arguments."""
    ids = reader.encoding.encode_ordinary(prompt)
    if len(ids) + tokens > reader.window:
        raise InputError(
            f"a prompt of {len(ids)} tokens and {tokens} new ones do not fit into the model's "
            f"window of {reader.window}; ask for fewer (--tokens)"
        )
    generator = torch.Generator().manual_seed(seed)  # on the CPU: every device draws the same
    device = reader.model.tokens.weight.device

    def chosen(logits: Tensor, _: int) -> Tensor:
        return _choose(logits.float().cpu(), top_p, generator)

    at_once = max(1, BATCH_TOKENS // (len(ids) + tokens))
    for begin in range(0, count, at_once):
        read = torch.tensor([ids] * min(at_once, count - begin), device=device)
        columns = next_tokens(reader.model, read, chosen, tokens)
        for row in map(list, zip(*columns, strict=True)):
            end = row.index(reader.end_of_text) if reader.end_of_text in row else len(row)
            yield reader.encoding.decode(row[:end])


def _choose(logits: Tensor, top_p: float, generator: torch.Generator) -> Tensor:
    """A token for each row (N, V) of logits, from the fewest that reach `top_p`: (N,)."""
    shares, tokens = logits.softmax(-1).sort(descending=True)
    kept = shares * (shares.cumsum(-1) - shares < top_p)
    return tokens.gather(1, torch.multinomial(kept, 1, generator=generator))[:, 0]


# ---- words ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Odds:
    """How much likelier a word is with a group: log odds ratio and interval, samples with it."""

    word: str
    log_ratio: float
    low: float
    high: float
    with_group: int
    with_others: int


def words_of(text: str) -> frozenset[str]:
    """The words of a sample that are counted.

    >>> sorted(words_of("He's tall, and KIND."))
    ["he's", 'kind', 'tall']
    """
    return frozenset(_WORD.findall(text.lower())) - COMMON


def odds_of_words(
    group: Sequence[frozenset[str]], others: Sequence[frozenset[str]], least: int = 5
) -> list[Odds]:
    """Of each word in at least `least` samples, the odds with the group over those with the others,
    farthest from zero first. Half a sample is added to each count (Haldane)."""
    here, there = (Counter(word for words in side for word in words) for side in (group, others))
    counted = sorted(word for word in here | there if here[word] + there[word] >= least)
    z = NormalDist().inv_cdf(1 - 0.025 / max(1, len(counted)))
    rows = []
    for word in counted:
        a, b = here[word], there[word]
        parts = [a + 0.5, len(group) - a + 0.5, b + 0.5, len(others) - b + 0.5]
        odds = [math.log(parts[0]) - math.log(parts[1]), math.log(parts[2]) - math.log(parts[3])]
        half = z * math.sqrt((1 / parts[0] + 1 / parts[1]) + (1 / parts[2] + 1 / parts[3]))
        ratio = odds[0] - odds[1]
        rows.append(Odds(word, ratio, ratio - half, ratio + half, a, b))
    return sorted(rows, key=lambda row: (-abs(row.log_ratio), row.word))


def sentiment(texts: Sequence[frozenset[str]], lexicon: Mapping[str, float]) -> Mean:
    """The mean feeling of a sample's words, over the samples that have a word of the lexicon."""
    known = ([lexicon[word] for word in sorted(words) if word in lexicon] for words in texts)
    return mean_of([sum(values) / len(values) for values in known if values])


@dataclass(frozen=True)
class GroupWords:
    """Of one group: samples, the words that go with it more or less, and their feeling."""

    name: str
    samples: int
    words: list[Odds]
    sentiment: Mean | None


def compare_groups(
    reader: Reader,
    groups: Sequence[Group],
    count: int,
    tokens: int,
    seed: int,
    lexicon: Mapping[str, float] | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> list[GroupWords]:
    """Each group's words beside those of all others; `count` samples of each prompt."""
    by_group: dict[str, list[frozenset[str]]] = {}
    for group in groups:
        say(group.name)
        by_group[group.name] = [
            words_of(text)
            for prompt in group.prompts
            for text in samples(reader, prompt, count, tokens, seed)
        ]
    rows = []
    for name, texts in by_group.items():
        others = [words for other, of in by_group.items() if other != name for words in of]
        feeling = sentiment(texts, lexicon) if lexicon else None
        rows.append(GroupWords(name, len(texts), odds_of_words(texts, others), feeling))
    return rows
