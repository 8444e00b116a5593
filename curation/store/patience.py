"""Trying again what may pass: as often as patience lasts, with waits that grow."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from curation.errors import Unreachable

MAX_WAIT_S = 120.0
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to go on, and the seconds between two requests of this process."""

    max_attempts: int = 8
    timeout_s: float = 60.0
    interval_s: float = 0.0


class TryAgain(Exception):
    """A failure that may pass; `wait_s` is what the server asked for."""

    def __init__(self, message: str, wait_s: float = 0.0) -> None:
        super().__init__(message)
        self.wait_s = wait_s


def given_up(url: str, patience: Patience, error: BaseException) -> Unreachable:
    """The error that says how often an address was tried, and what to do."""
    return Unreachable(
        f"{url}: given up after {patience.max_attempts} attempts: {error}. Try again later: it "
        "goes on where it stopped"
    )


def persist(attempt: Callable[[], T], url: str, patience: Patience) -> T:
    """`attempt()`, again and again where it fails in a way that may pass.

    Raises Unreachable when patience ends.
    """
    import tenacity

    retrying = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(patience.max_attempts),
        wait=_wait_s,
        retry=tenacity.retry_if_exception_type(TryAgain),
        reraise=True,
    )
    try:
        return retrying(attempt)
    except TryAgain as error:
        raise given_up(url, patience, error) from error


def _wait_s(state: Any) -> float:
    """What the server asked for, at least a doubling wait; with jitter, so that workers do not
    come back together."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.wait_s if isinstance(error, TryAgain) else 0.0
    doubling = min(2.0 ** (state.attempt_number - 1), 60.0)
    return float(min(max(asked, doubling * random.uniform(0.5, 1.0)), MAX_WAIT_S))
