"""Learning rate and batch size as pure functions of tokens seen (Brown et al. 2020, appendix B).

"cosine decay for learning rate down to 10% of its value, over 260 billion tokens (after 260 billion
tokens, training continues at 10% of the original learning rate). There is a linear LR warmup over
the first 375 million tokens. We also gradually increase the batch size linearly from a small value
(32k tokens) to the full value over the first 4-12 billion tokens of training". We read the 260
billion as counted from the first token, warm-up included. For another budget than 300 billion
tokens the three durations shrink or grow with it, unless given. GPT-1's durations and its decay to 0
(Radford et al. 2018, section 4.1) are those of its `Size`.

Trap: at a budget of a few million tokens the scaled warm-up is shorter than one batch; give
`warmup_tokens` there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from curation.errors import InputError
from curation.gpt3.sizes import Size

FIRST_BATCH_TOKENS = 32_000
FINAL_SHARE = 0.1


@dataclass(frozen=True)
class Schedule:
    """Everything the two functions below need; every duration is in tokens since the start of
    training."""

    budget_tokens: int
    context: int
    learning_rate: float
    batch_tokens: int
    warmup_tokens: int
    decay_tokens: int
    ramp_tokens: int
    final_share: float = FINAL_SHARE

    def __post_init__(self) -> None:
        if self.budget_tokens < 1:
            raise InputError(f"a training budget must be 1 token or more, not {self.budget_tokens}")
        if not 0 < self.learning_rate < math.inf:
            raise InputError(
                f"the learning rate must be a positive number, not {self.learning_rate}"
            )
        if min(self.warmup_tokens, self.decay_tokens, self.ramp_tokens) < 0:
            raise InputError("warm-up, decay and ramp are lengths in tokens and cannot be negative")
        if self.decay_tokens < self.warmup_tokens:
            raise InputError(
                f"the decay ends after {self.decay_tokens:,} tokens, before the warm-up does "
                f"({self.warmup_tokens:,}); both count from the first token"
            )


def schedule_for(
    size: Size,
    budget_tokens: int,
    *,
    learning_rate: float | None = None,
    warmup_tokens: int | None = None,
    decay_tokens: int | None = None,
    ramp_tokens: int | None = None,
) -> Schedule:
    """The paper's schedule for `size` over `budget_tokens`: durations scaled by the budget over that
    of the paper (GPT-3's: 300B) unless given.

    >>> from curation.gpt3.sizes import SIZES
    >>> schedule_for(SIZES["125M"], 3_000_000_000).warmup_tokens
    3750000
    """

    def scaled(given: int | None, paper: int) -> int:
        return paper * budget_tokens // size.of_tokens if given is None else given

    return Schedule(
        budget_tokens=budget_tokens,
        context=size.context,
        learning_rate=size.learning_rate if learning_rate is None else learning_rate,
        batch_tokens=size.batch_tokens,
        warmup_tokens=scaled(warmup_tokens, size.warmup_tokens),
        decay_tokens=scaled(decay_tokens, size.decay_tokens),
        ramp_tokens=scaled(ramp_tokens, size.ramp_tokens),
        final_share=size.final_share,
    )


def learning_rate(schedule: Schedule, tokens_seen: int) -> float:
    """The learning rate once `tokens_seen` tokens were seen: 0 at the start, the
    final share of the peak at the end.

    >>> plan = Schedule(300, 1, 1.0, 1, warmup_tokens=100, decay_tokens=200, ramp_tokens=0)
    >>> [round(learning_rate(plan, t), 3) for t in (0, 50, 100, 150, 200, 300)]
    [0.0, 0.5, 1.0, 0.55, 0.1, 0.1]
    """
    if tokens_seen < schedule.warmup_tokens:
        return schedule.learning_rate * tokens_seen / schedule.warmup_tokens
    if tokens_seen >= schedule.decay_tokens:
        return schedule.learning_rate * schedule.final_share
    done = (tokens_seen - schedule.warmup_tokens) / (schedule.decay_tokens - schedule.warmup_tokens)
    final = schedule.final_share
    share = final + (1 - final) * 0.5 * (1 + math.cos(math.pi * done))
    return schedule.learning_rate * share


def batch_windows(schedule: Schedule, tokens_seen: int) -> int:
    """Sequences in the batch after `tokens_seen` tokens: 32k tokens growing linearly to the full
    batch.

    Rounded to whole sequences, at least one; a full batch below 32k tokens is not ramped.

    >>> plan = Schedule(300, 1_000, 1.0, 64_000, warmup_tokens=0, decay_tokens=0, ramp_tokens=100)
    >>> [batch_windows(plan, t) for t in (0, 50, 100, 300)]
    [32, 48, 64, 64]
    """
    first = min(FIRST_BATCH_TOKENS, schedule.batch_tokens)
    done = min(1.0, tokens_seen / schedule.ramp_tokens) if schedule.ramp_tokens else 1.0
    return max(1, round((first + (schedule.batch_tokens - first) * done) / schedule.context))
