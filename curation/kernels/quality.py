"""Signals of texts on which the filters of Gopher, C4 and FineWeb decide.

`measure` takes a column of texts and returns a column for each signal of the groups asked for. The
values are those that datatrove's filters compare with their thresholds, so a rule such as
`drop = "words < 50 or words > 100000"` decides as they do. docs/filter-signals.md lists how far.

| signal | definition | unit | source |
|---|---|---|---|
| words | words that do not consist of punctuation alone | words | G |
| mean_word_length | code points of these words / these words | code points | G |
| hash_ratio | "#" in the text / all words | ratio | G |
| ellipsis_ratio | "..." and "…" in the text / all words | ratio | G |
| bullet_lines | lines that begin with "•" or "-" / lines | ratio | G |
| ellipsis_lines | lines that end in "..." or "…" / lines | ratio | G |
| alpha_words | words with a letter / all words | ratio | G |
| stop_words | how many of the, be, to, of, and, that, have, with occur | words | G |
| dup_para_frac | paragraphs that occurred before / paragraphs | ratio | R |
| dup_para_char_frac | code points of these / code points of the text | ratio | R |
| dup_line_frac | lines that occurred before / lines | ratio | R |
| dup_line_char_frac | code points of these / code points of the text | ratio | R |
| top_2_gram .. top_4_gram | code points of the most frequent gram, all its occurrences / text | ratio | R |
| dup_5_gram .. dup_10_gram | code points of grams that occurred before / text | ratio | R |
| c4_lines | what C4's line rules remove (`c4_lines.py`) | spans | C |
| lorem_ipsum | "lorem ipsum" stands in a line that got so far | flag | C |
| curly_bracket | "{" stands in a line that got so far | flag | C |
| sentences | sentences of the lines left | sentences | C |
| ..._any_ending | the four of C4 without its rule of terminal punctuation | | F |
| line_punct_ratio | lines that end in a terminal mark / lines that are not blank | ratio | F |
| short_line_ratio | lines of at most 30 code points / lines that are not blank | ratio | F |
| char_dup_ratio | code points of lines that occurred before / those of the text, line feeds aside | ratio | F |
| newline_ratio | line feeds / all words | ratio | F |

Sources: G Gopher (Rae et al. 2021), section A1.1; R its table A1; C C4 (Raffel et al. 2020),
section 2.2; F FineWeb (Penedo et al. 2024), section 3.5 and datatrove's example pipeline. Words are
those of `english.py`. A line ends at a line feed, for bullet_lines, ellipsis_lines and C4's rules
also where `str.splitlines` ends it. Paragraphs have two line feeds or more between them.

A ratio of nothing is null: of a text without words, without lines, or of the empty text. datatrove
removes such texts by other rules ("too few words", "empty"). Linear in the text. Memory: about 100
bytes a word of the longest text.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curation.kernels.buffers import Bytes, Offsets, text_arrays, text_buffers
from curation.kernels.english import rules
from curation.kernels.quality_counts import (
    ALL_WORDS,
    ALPHA_WORDS,
    CHARS,
    FLAGS,
    GRAMS,
    HASHES,
    LINE_COUNTS,
    LINES,
    NEWLINES,
    SENTENCES,
    STOP_WORDS,
    WORD_CHARS,
    WORDS,
    StopWords,
    count_texts,
    stop_words,
)
from curation.kernels.quality_counts import ELLIPSES as ELLIPSIS_MARKS
from curation.kernels.repetition import (
    DUPLICATE_LINE_CHARS,
    DUPLICATE_LINES,
    DUPLICATE_PARAGRAPH_CHARS,
    DUPLICATE_PARAGRAPHS,
    ENDED_LINES,
    FULL_DUPLICATE_CHARS,
    FULL_LINES,
    PARAGRAPHS,
    SHORT_LINES,
)
from curation.kernels.repetition import LINES as ALL_LINES

STOPS = ("the", "be", "to", "of", "and", "that", "have", "with")
SPANS = pa.list_(pa.struct([("start", pa.int64()), ("end", pa.int64())]))
GROUPS = ("gopher", "gopher_repetition", "c4", "c4_any_ending", "fineweb")
Counts = npt.NDArray[np.int64]
_WHOLE = {"words": WORDS, "stop_words": STOP_WORDS}
# Parts of wholes: columns of the counts.
_RATIOS = {
    "gopher": {
        "mean_word_length": (WORD_CHARS, WORDS),
        "hash_ratio": (HASHES, ALL_WORDS),
        "ellipsis_ratio": (ELLIPSIS_MARKS, ALL_WORDS),
        "bullet_lines": (LINES + 1, LINES),
        "ellipsis_lines": (LINES + 2, LINES),
        "alpha_words": (ALPHA_WORDS, ALL_WORDS),
    },
    "gopher_repetition": {
        "dup_para_frac": (LINE_COUNTS + DUPLICATE_PARAGRAPHS, LINE_COUNTS + PARAGRAPHS),
        "dup_para_char_frac": (LINE_COUNTS + DUPLICATE_PARAGRAPH_CHARS, CHARS),
        "dup_line_frac": (LINE_COUNTS + DUPLICATE_LINES, LINE_COUNTS + ALL_LINES),
        "dup_line_char_frac": (LINE_COUNTS + DUPLICATE_LINE_CHARS, CHARS),
        **{f"top_{n}_gram": (GRAMS + n - 2, CHARS) for n in (2, 3, 4)},
        **{f"dup_{n}_gram": (GRAMS + n - 2, CHARS) for n in (5, 6, 7, 8, 9, 10)},
    },
    "fineweb": {
        "line_punct_ratio": (LINE_COUNTS + ENDED_LINES, LINE_COUNTS + FULL_LINES),
        "short_line_ratio": (LINE_COUNTS + SHORT_LINES, LINE_COUNTS + FULL_LINES),
        "char_dup_ratio": (LINE_COUNTS + FULL_DUPLICATE_CHARS, -1),
        "newline_ratio": (NEWLINES, ALL_WORDS),
    },
}


def measure(texts: pa.Array, groups: Sequence[str]) -> dict[str, pa.Array]:
    """Return the signals of the groups, a column each; the module says what they are.

    A null counts as the empty text. Numbers are int64 or float64, flags bool, spans
    list<struct<start, end>> of int64, in code points, ascending. Raises ValueError for another
    group.

    >>> texts = pa.array(["Home\\nIt is another one [1]."])
    >>> signals = measure(texts, ["gopher", "c4"])
    >>> signals["words"].to_pylist(), signals["c4_lines"].to_pylist()
    ([6], [[{'start': 0, 'end': 5}, {'start': 23, 'end': 26}]])
    """
    counts, removed = _counts(*text_buffers(texts), groups)
    columns: dict[str, pa.Array] = {}
    for group in groups:
        for name, (values, valid) in numbers(counts, group).items():
            columns[name] = pa.array(values, mask=None if valid is None else ~valid)
        if group in ("c4", "c4_any_ending"):
            columns |= _c4_columns(counts, removed, group)
    return columns


def signal_numbers(
    offsets: Offsets, data: Bytes, names: Sequence[str]
) -> dict[str, npt.NDArray[np.float64]]:
    """Return float64 columns of the groups `gopher` and `gopher_repetition` as far as they have
    names that are asked for; a ratio of nothing is 0. Takes what `text_buffers` returns."""
    groups = [
        group
        for group in ("gopher", "gopher_repetition")
        if {*names} & {*_RATIOS[group], *(_WHOLE if group == "gopher" else ())}
    ]
    counts, _ = _counts(*text_arrays(offsets, data), groups)
    return {
        name: np.asarray(np.where(True if valid is None else valid, values, 0), np.float64)
        for group in groups
        for name, (values, valid) in numbers(counts, group).items()
    }


def _counts(
    offsets: Offsets, data: Bytes, groups: Sequence[str]
) -> tuple[Counts, tuple[tuple[Counts, Counts], ...]]:
    """Counts int64[n, columns]; for each variant of C4 its spans (offsets, flat)."""
    unknown = [group for group in groups if group not in GROUPS]
    if unknown:
        raise ValueError(f"expected groups of {', '.join(GROUPS)}; got {unknown[0]!r}")
    wanted = np.array([group in groups for group in GROUPS])
    counts, span_ends, spans, any_spans = count_texts(offsets, data, wanted, rules(), _stop_words())
    return counts, ((span_ends[:, 0], spans), (span_ends[:, 1], any_spans))


@lru_cache(maxsize=1)
def _stop_words() -> StopWords:
    return stop_words(STOPS)


def numbers(
    counts: Counts, group: str
) -> dict[str, tuple[npt.NDArray[np.generic], npt.NDArray[np.bool_] | None]]:
    """Return for each number of the group its values and where they are defined (None:
    everywhere)."""
    columns: dict[str, tuple[npt.NDArray[np.generic], npt.NDArray[np.bool_] | None]] = {}
    if group == "gopher":
        columns |= {name: (counts[:, at].copy(), None) for name, at in _WHOLE.items()}
    for name, (part, whole) in _RATIOS.get(group, {}).items():
        wholes = counts[:, whole] if whole >= 0 else counts[:, CHARS] - counts[:, NEWLINES]
        valid = wholes > 0
        if group == "fineweb":
            valid &= counts[:, LINE_COUNTS + FULL_LINES] > 0
        elif group == "gopher_repetition":
            valid &= counts[:, CHARS] > 0
        columns[name] = (counts[:, part] / np.maximum(1, wholes), valid)
    return columns


def _c4_columns(
    counts: Counts, removed: tuple[tuple[Counts, Counts], ...], group: str
) -> dict[str, pa.Array]:
    variant = int(group == "c4_any_ending")
    suffix = "_any_ending" * variant
    ends, flat = removed[variant]
    pairs = flat.reshape(-1, 2)
    struct = pa.StructArray.from_arrays(
        [pa.array(pairs[:, 0]), pa.array(pairs[:, 1])], fields=list(SPANS.value_type)
    )
    spans = pa.ListArray.from_arrays(pa.array(ends // 2, pa.int32()), struct)
    return {
        f"c4_lines{suffix}": spans.cast(SPANS),
        f"lorem_ipsum{suffix}": pa.array(counts[:, FLAGS + 2 * variant] > 0),
        f"curly_bracket{suffix}": pa.array(counts[:, FLAGS + 2 * variant + 1] > 0),
        f"sentences{suffix}": pa.array(counts[:, SENTENCES + variant].copy()),
    }
