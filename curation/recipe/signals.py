"""The names of measured signals, and the groups they are chosen by. What each is, and the code that
counts it, is in `curation/kernels/signals.py`."""

from __future__ import annotations

from collections.abc import Sequence

GROUPS = {
    "chars": ("log_chars",),
    "prose": ("log_prose_chars", "log_commas", "letters"),
    "gopher": (
        "words",
        "mean_word_length",
        "symbol_word_ratio",
        "bullet_lines",
        "ellipsis_lines",
        "alpha_words",
        "stop_words",
    ),
}
SIGNALS = tuple(name for names in GROUPS.values() for name in names)


def names_of(chosen: Sequence[str]) -> tuple[str, ...]:
    """The signals that groups and single names stand for, each once, in the order of `SIGNALS`.

    Raises ValueError for a name that is neither.

    >>> names_of(["letters", "chars"])
    ('log_chars', 'letters')
    """
    names: set[str] = set()
    for name in chosen:
        if name not in GROUPS and name not in SIGNALS:
            known = ", ".join([*GROUPS, *SIGNALS])
            raise ValueError(f"expected signals or groups of {known}; got {name!r}")
        names.update(GROUPS.get(name, (name,)))
    return tuple(name for name in SIGNALS if name in names)


def check_signals(chosen: Sequence[str], scaling: str) -> None:
    """Raise ValueError for names that are none, or where there is nothing to learn from."""
    try:
        names = names_of(chosen)
    except ValueError as error:
        raise ValueError(f"classify.signals: {error}") from error
    if scaling == "none" and not names:
        raise ValueError('classify: scaling "none" and no signals leave nothing to learn from')
