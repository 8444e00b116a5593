"""The names of measured signals, their groups and kinds.

What each is, and the code that measures it, is in `curation/kernels`: `signals.py` for `chars` and
`prose`, `quality.py` for the groups after them, `urls.py` and `pii.py`. A recipe is checked with
this module, so it imports nothing slow.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Literal

from curation.shown import brief

# A number is float64, a count int64, a flag a Boolean; spans are lists of code points of the text.
Kind = Literal["number", "count", "flag", "text", "spans"]
_C4: dict[str, Kind] = {
    "c4_lines": "spans",
    "lorem_ipsum": "flag",
    "curly_bracket": "flag",
    "sentences": "count",
}
GROUPS: dict[str, dict[str, Kind]] = {
    "chars": {"log_chars": "number"},
    "prose": {"log_prose_chars": "number", "log_commas": "number", "letters": "number"},
    "gopher": {
        "words": "count",
        "mean_word_length": "number",
        "hash_ratio": "number",
        "ellipsis_ratio": "number",
        "bullet_lines": "number",
        "ellipsis_lines": "number",
        "alpha_words": "number",
        "stop_words": "count",
    },
    "gopher_repetition": {
        "dup_para_frac": "number",
        "dup_para_char_frac": "number",
        "dup_line_frac": "number",
        "dup_line_char_frac": "number",
        **{f"top_{n}_gram": "number" for n in (2, 3, 4)},
        **{f"dup_{n}_gram": "number" for n in (5, 6, 7, 8, 9, 10)},
    },
    "c4": _C4,
    "c4_any_ending": {f"{name}_any_ending": kind for name, kind in _C4.items()},
    "fineweb": {
        "line_punct_ratio": "number",
        "short_line_ratio": "number",
        "char_dup_ratio": "number",
        "newline_ratio": "number",
    },
    "url": {
        "host": "text",
        "domain": "text",
        "blocked_domain": "flag",
        "blocked_url": "flag",
        "blocked_words": "count",
        "blocked_soft_words": "count",
        "blocked_subwords": "count",
    },
    "pii": {"email": "spans", "ip": "spans"},
    "phone": {"phone": "spans"},
    "card": {"card": "spans"},
}
# What the classifier learns from: numbers of the text.
CLASSIFY_GROUPS = ("chars", "prose", "gopher", "gopher_repetition")
SIGNALS = tuple(name for group in CLASSIFY_GROUPS for name in GROUPS[group])
KINDS = {name: kind for kinds in GROUPS.values() for name, kind in kinds.items()}


def group_of(name: str) -> str:
    """The group of a signal; empty where there is no such signal.

    >>> group_of("top_2_gram"), group_of("gofer")
    ('gopher_repetition', '')
    """
    return next((group for group, kinds in GROUPS.items() if name in kinds), "")


def has_spans(group: str) -> bool:
    """Whether a group has spans: it always reads the whole text.

    >>> has_spans("c4"), has_spans("gopher")
    (True, False)
    """
    return "spans" in GROUPS[group].values()


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
            close = difflib.get_close_matches(name[:80], [*CLASSIFY_GROUPS, *SIGNALS], 1)
            hint = (
                f"did you mean {close[0]!r}?" if close else f"groups: {', '.join(CLASSIFY_GROUPS)}"
            )
            raise ValueError(f"no signal or group {brief(name)}; {hint}")
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
