"""How far a run is, and the schedule of one that the clock ends.

With `seconds` and no `tokens` the budget is what the time allows: the tokens before this run, and
those of this run at the speed so far. The schedule is appendix B's for that budget, made anew for
each step, so the learning rate has its last value when the time is over, and the same command again
goes on as a budget of twice the tokens would. A first run decays with the clock alone: its share of
the budget is the share of the seconds. Warm-up is a share of the budget too, and at least
`WARMUP_SHARE`: the paper's 0.125 % would be less than one step.

Trap: such a run is not repeatable, for its speed never is. Give `tokens` where it must be, or where
a time limit only cuts a longer run into parts.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from curation.errors import RunError
from curation.gpt3 import checkpoint
from curation.gpt3.options import Options
from curation.gpt3.schedule import Schedule, schedule_for
from curation.gpt3.sizes import Size

WARMUP_SHARE = 0.04
FIRST_STEPS = 1000  # a guess at the steps there will be, until one has been timed
TOKENS, SECONDS = "tokens", "seconds"  # what a schedule follows


@dataclass(frozen=True)
class Pace:
    """A run from `first` tokens on: what ends it, and how far it is. `limit` is the most tokens
    there are for it."""

    options: Options
    size: Size
    follows: str
    first: int
    limit: int

    def schedule(self, whole: Schedule, tokens: int, seconds: float) -> Schedule:
        """The schedule for the next step, `tokens` seen and `seconds` gone: `whole`, or that of the
        budget that the time allows."""
        if self.follows != SECONDS or self.options.seconds is None:
            return whole
        done = tokens - self.first
        if done and seconds:
            coming = int(done * self.options.seconds / seconds)
        else:
            coming = FIRST_STEPS * whole.batch_tokens
        return paced(self.size, min(self.limit, self.first + max(done, coming)), self.options)

    def share(self, step: int, tokens: int, seconds: float) -> float:
        """How much of this run is done: 0 to 1, by what will end it first."""
        shares = [tokens / self.limit]
        if self.options.seconds:
            shares.append(seconds / self.options.seconds)
        if self.options.max_steps:
            shares.append(step / self.options.max_steps)
        return min(1.0, max(shares))


def follows(out: Path, options: Options) -> str:
    """What the schedule follows: with seconds and no tokens the clock, unless a run in `out` began
    otherwise. Raises RunError where one that followed the clock is to go on without it."""
    asked = SECONDS if options.seconds is not None and options.tokens is None else TOKENS
    folders = checkpoint.steps(out)
    if not folders:
        return asked
    begun = str(checkpoint.read_state(folders[-1]).config.get("follows", TOKENS))
    if begun == SECONDS and asked != SECONDS:
        raise RunError(
            f"the learning rate of the model in {out} follows the clock, so it needs `seconds` "
            "without `tokens`, as it was started; give them, or train into another folder"
        )
    return begun


def paced(size: Size, budget: int, options: Options) -> Schedule:
    """Appendix B for `budget` tokens, warmed up for a share of them that is long enough.

    >>> from curation.gpt3.sizes import SIZES
    >>> plan = paced(SIZES["tiny"], 100_000, Options())
    >>> plan.warmup_tokens, plan.decay_tokens
    (4000, 86666)
    """
    schedule = schedule_for(
        size,
        budget,
        learning_rate=options.learning_rate,
        decay_tokens=options.decay_tokens,
        ramp_tokens=options.ramp_tokens,
    )
    warmup = options.warmup_tokens
    if warmup is None:
        warmup = max(schedule.warmup_tokens, int(WARMUP_SHARE * budget))
    return replace(schedule, warmup_tokens=min(warmup, schedule.decay_tokens))


class Stop:
    """Whether someone asked the run to stop: the signal's number, 0 before."""

    def __init__(self) -> None:
        self.asked = 0


@contextlib.contextmanager
def stoppable(alone: bool, say: Any) -> Iterator[Stop]:
    """ctrl-C and SIGTERM let the step be finished, and saved; a second one ends the run at once, as
    before.

    Several processes would stop after different steps: there, and outside the main thread, signals
    do what they did.
    """
    stop = Stop()
    before: dict[int, Any] = {}

    def ask(number: int, frame: Any) -> None:
        stop.asked = number
        for other, handler in before.items():
            signal.signal(other, handler)
        say("Stopping after this step, which is then saved; ctrl-C again stops at once.")

    if alone and threading.current_thread() is threading.main_thread():
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        # SIGTERM's default, and a signal that nohup ignores, stay as they are.
        before = {number: handler for number, handler in before.items() if callable(handler)}
        for number in before:
            signal.signal(number, ask)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
