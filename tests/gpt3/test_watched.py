from __future__ import annotations

from typing import Any

import pytest

from curation.gpt3.watched import CONTEXTS, PAIRS, Watched


class Reader:
    """Remembers how many it was given at once."""

    window = 32

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.longest: list[int] = []

    def score(self, pairs: Any) -> list[int]:
        self.sizes.append(len(pairs))
        self.longest.append(max(len(context) + len(rest) for context, rest in pairs))
        return [len(context) * 100 + len(rest) for context, rest in pairs]

    def answer(self, contexts: Any, stops: Any, max_tokens: int) -> list[str]:
        self.sizes.append(len(contexts))
        return [context[: max_tokens + len(stops)] for context in contexts]


@pytest.mark.parametrize("count", [0, 1, PAIRS, 3 * PAIRS + 5])
def test_scores_come_in_their_order_and_each_part_is_told(count: int) -> None:
    told: list[tuple[str, int, int]] = []
    reader = Reader()
    watched = Watched(reader, lambda *part: told.append(part))
    pairs = [("c" * (i * 7 % 31), "r" * (i % 5)) for i in range(count)]
    assert watched.score(pairs) == [len(a) * 100 + len(b) for a, b in pairs]
    assert max(reader.sizes, default=0) <= PAIRS
    assert reader.longest == sorted(reader.longest, reverse=True)
    assert told[0] == ("scoring", 0, count)
    assert told[-1] == ("scoring", count, count)
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)


def test_answers_too_and_the_rest_is_the_readers() -> None:
    told: list[tuple[str, int, int]] = []
    watched = Watched(Reader(), lambda *part: told.append(part))
    contexts = [str(i) * (i % 9) for i in range(2 * CONTEXTS + 1)]
    assert watched.answer(contexts, ("x",), max_tokens=3) == [context[:4] for context in contexts]
    assert watched.window == 32
    assert told[-1] == ("answering", len(contexts), len(contexts))


def test_scores_of_a_model_are_those_without_it() -> None:
    torch = pytest.importorskip("torch", reason="the extra `train` is not installed")
    from curation.gpt3.evaluate import Reader as Real
    from curation.gpt3.model import build
    from curation.gpt3.sizes import Size
    from curation.kernels import bpe

    torch.set_num_threads(1)
    size = Size("test", 1, 8, 1, 64, 1e-2, context=32, band=8)
    real = Real(build(size, 0).eval(), bpe.encoding("gpt2"), 50256)
    pairs = [(f"word {i} " * (i % 4), f"answer {i}") for i in range(PAIRS + 9)]
    alone, watched = real.score(pairs), Watched(real, lambda *part: None).score(pairs)
    assert [one.tokens for one in watched] == [one.tokens for one in alone]
    sums = [[getattr(one, NAME) for one in scores] for scores in (alone, watched)]
    assert sums[0] == pytest.approx(sums[1], rel=1e-4)


NAME = "log_probability"
