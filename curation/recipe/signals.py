"""The names of measured signals, their groups and kinds.

What each is, and the code that measures it, is in `curation/kernels/quality.py` for the groups of
`FILTER_GROUPS` and in `curation/kernels/signals.py` for the others. A recipe is checked with this
module, so it imports nothing slow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

Kind = Literal["number", "flag", "spans"]
GROUPS = {
    "chars": ("log_chars",),
    "prose": ("log_prose_chars", "log_commas", "letters"),
    "gopher": (
        "words",
        "mean_word_length",
        "hash_ratio",
        "ellipsis_ratio",
        "bullet_lines",
        "ellipsis_lines",
        "alpha_words",
        "stop_words",
    ),
    "gopher_repetition": (
        "dup_para_frac",
        "dup_para_char_frac",
        "dup_line_frac",
        "dup_line_char_frac",
        *(f"top_{n}_gram" for n in (2, 3, 4)),
        *(f"dup_{n}_gram" for n in (5, 6, 7, 8, 9, 10)),
    ),
    "c4": ("c4_lines", "lorem_ipsum", "curly_bracket", "sentences"),
    "c4_any_ending": (
        "c4_lines_any_ending",
        "lorem_ipsum_any_ending",
        "curly_bracket_any_ending",
        "sentences_any_ending",
    ),
    "fineweb": ("line_punct_ratio", "short_line_ratio", "char_dup_ratio", "newline_ratio"),
}
FILTER_GROUPS = ("gopher", "gopher_repetition", "c4", "c4_any_ending", "fineweb")
CLASSIFY_GROUPS = ("chars", "prose", "gopher", "gopher_repetition")
SIGNALS = tuple(name for group in CLASSIFY_GROUPS for name in GROUPS[group])
# int64 columns; other numbers are float64.
WHOLE_NUMBERS = ("words", "stop_words", "sentences", "sentences_any_ending")
_SPANS = ("c4_lines", "c4_lines_any_ending")
_FLAGS = (
    "lorem_ipsum",
    "curly_bracket",
    "lorem_ipsum_any_ending",
    "curly_bracket_any_ending",
)


def group_of(name: str) -> str:
    """The group of a signal. Raises ValueError for a name that is none.

    >>> group_of("top_2_gram")
    'gopher_repetition'
    """
    for group, names in GROUPS.items():
        if name in names:
            return group
    known = ", ".join(name for names in GROUPS.values() for name in names)
    raise ValueError(f"expected one of the signals {known}; got {name!r}")


def kind_of(name: str) -> Kind:
    """What a signal is: a number, a flag, or spans of the text. Raises ValueError as `group_of`.

    >>> kind_of("c4_lines"), kind_of("words")
    ('spans', 'number')
    """
    group_of(name)
    return "spans" if name in _SPANS else "flag" if name in _FLAGS else "number"


def names_of(chosen: Sequence[str]) -> tuple[str, ...]:
    """The signals of `classify` that groups and single names stand for, each once, in the order of
    `SIGNALS`.

    Raises ValueError for a name that is neither.

    >>> names_of(["letters", "chars"])
    ('log_chars', 'letters')
    """
    names: set[str] = set()
    for name in chosen:
        if name not in CLASSIFY_GROUPS and name not in SIGNALS:
            known = ", ".join([*CLASSIFY_GROUPS, *SIGNALS])
            raise ValueError(f"expected signals or groups of {known}; got {name!r}")
        names.update(GROUPS[name] if name in CLASSIFY_GROUPS else (name,))
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
