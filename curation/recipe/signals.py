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


# What `filter` measures: group -> name -> kind.
_C4 = {"c4_lines": "spans", "lorem_ipsum": "flag", "curly_bracket": "flag", "sentences": "count"}
KINDS_BY_GROUP: dict[str, dict[str, str]] = {
    "gopher": {
        "words": "count", "mean_word_length": "number", "hash_ratio": "number", "ellipsis_ratio": "number",
        "bullet_lines": "number", "ellipsis_lines": "number", "alpha_words": "number", "stop_words": "count",
    },
    "gopher_repetition": dict.fromkeys(
        ["dup_para_frac", "dup_para_char_frac", "dup_line_frac", "dup_line_char_frac",
         *(f"top_{n}_gram" for n in (2, 3, 4)), *(f"dup_{n}_gram" for n in range(5, 11))], "number"),
    "c4": _C4,
    "c4_any_ending": {f"{name}_any_ending": kind for name, kind in _C4.items()},
    "fineweb": dict.fromkeys(["line_punct_ratio", "short_line_ratio", "char_dup_ratio", "newline_ratio"], "number"),
    "url": {"host": "text", "domain": "text", "blocked_domain": "flag", "blocked_url": "flag",
            "blocked_words": "count", "blocked_soft_words": "count", "blocked_subwords": "count"},
    "pii": {"email": "spans", "ip": "spans"},
    "phone": {"phone": "spans"},
    "card": {"card": "spans"},
}  # fmt: skip
KINDS = {name: kind for kinds in KINDS_BY_GROUP.values() for name, kind in kinds.items()}
SPAN_GROUPS = ("c4", "c4_any_ending", "pii", "phone", "card")


def group_of(name: str) -> str:
    """The group that a signal of `filter` belongs to; empty where it is none."""
    return next((group for group, kinds in KINDS_BY_GROUP.items() if name in kinds), "")
