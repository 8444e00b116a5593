"""How many examples of a property a test tries."""

from __future__ import annotations

from typing import Any

from hypothesis import settings


def examples(number: int, **more: Any) -> settings:
    """Settings for so many examples; for a tenth of them in `make quick`, by its profile."""
    share = settings().max_examples / 100  # the profile's, 100 in the whole suite
    return settings(deadline=None, max_examples=max(1, int(number * share)), **more)
