from __future__ import annotations

import itertools
import re
import string
import unicodedata
from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.kernels.buffers import readonly
from curation.kernels.contractions import splits
from curation.kernels.english import room_for_words, rules, split_words
from curation.kernels.quality import GROUPS, SPANS, measure
from curation.recipe import signals as names
from tests.support.datatrove_values import EXAMPLES

COMPILES = settings(deadline=None, max_examples=200)  # the first call compiles
PIECES = [
    *"ab Ab.,!?…\"')#-•0 7é、({}/:<+%$_~@Z\n\n\u00a0🌊\u2014",
    *[
        "...",
        " the",
        " of ",
        "don't",
        " Mr. ",
        "can’t",
        "www.a.co/x?y",
        "me@x.org",
        "--",
        "10km",
        "cannot",
    ],
    *["U.S.", "e.g.", "$5", "JavaScript", "Lorem ipsum", "[1]", "[edit]", "[citation needed]", "["],
    *[
        "uses cookies",
        "Privacy Policy ",
        "\r\n",
        " a line of words. ",
        " a line of words.\n",
        "\n\n",
        "x" * 999,
    ],
    *["in it. ", "a.", "http://x.yz/", ":)", "'s", "aB.Cd", "1,000", "be to", "terms of use", "\t"],
]
texts = st.lists(st.sampled_from(PIECES), max_size=40).map("".join)
STOPS = {"the", "be", "to", "of", "and", "that", "have", "with"}
TERMINAL = ".!?"
SYMBOLS = set(string.punctuation + "…、—’")
# The rule of words, with the pieces' characters only.
_MARK = r"[,:;!?()\[\]{}<>_#*&'\"`…、“”‘’🌊—–]"
_LOWER, _UPPER, _LETTER = "[a-zé]", "[A-Z]", "[a-zA-Zé]"
_FRONT = re.compile(rf"''|{_MARK}|[§%=$]|\.\.+|\+(?![0-9])|(?:US|A|C)\$")
_BACK = re.compile(
    rf"\.\.+$|\):$|:\)$|''$|['’][sS]$|{_MARK}$|(?<=[0-9])(?:\+|\$|%|km|m|g|t|in|ft|[MGTK]|[MGTKk]B)$"
    rf"|(?<=[a-zé0-9%\-+|,:;!?()\[\]{{}}<>_#*&'\"`…、“”‘’])\.$|(?<=[A-Z]{{2}})\.$"
)
_ADDRESS = re.compile(
    r"(?:[\w+\-.]{2,}://)?(?:\S+@)?"
    r"(?:(?:[A-Za-z0-9\u00a1-\uffff][A-Za-z0-9\u00a1-\uffff_-]{0,62})?[A-Za-z0-9\u00a1-\uffff]\.)+"
    rf"{_LOWER}{{2,63}}(?::\d{{2,5}})?(?:[/?#]\S*)?"
)
_INFIX = re.compile(
    rf"\.\.+|…|🌊|(?<=[0-9])[+\-*^](?=[0-9-])|(?<=[a-zé\"'`‘’“”])\.(?=[A-Z\"'`‘’“”])"
    rf"|(?<={_LETTER}),(?={_LETTER})|(?<=[a-zA-Zé0-9])(?:-|–|—|--|---|——|~)(?={_LETTER})"
    rf"|(?<=[a-zA-Zé0-9])[:<>=/](?={_LETTER})"
)
_EXCEPTIONS = splits()


def plain_words(text: str) -> list[str]:
    """The words by regular expressions."""
    return [word for run in text.split() for word in _split(run)]


def _split(run: str) -> list[str]:
    front, back = [], []
    middle: list[str] | None = None
    while run and middle is None:
        if run in _EXCEPTIONS:
            middle = list(_EXCEPTIONS[run])
            break
        found = _FRONT.match(run)
        size = found.end() if found else 0
        if size and run[size:] in _EXCEPTIONS:
            front.append(run[:size])
            middle = list(_EXCEPTIONS[run[size:]])
            break
        ended = _BACK.search(run[size:])
        end = len(run[size:]) - ended.start() if ended else 0
        if end and run[:-end] in _EXCEPTIONS:
            back.append(run[-end:])
            middle = list(_EXCEPTIONS[run[:-end]])
            break
        if not size and not end:
            break
        front += [run[:size]] * bool(size)
        back += [run[len(run) - end :]] * bool(end)
        run = run[size : len(run) - end]
    if middle is None:
        middle = _middle(run) if run else []
    return [*front, *middle, *back[::-1]]


def _middle(run: str) -> list[str]:
    if _ADDRESS.fullmatch(run):
        return [run]
    parts, start = [], 0
    for found in _INFIX.finditer(run):
        if found.start() > 0:
            parts += [run[start : found.start()], found[0]]
            start = found.end()
    parts.append(run[start:])
    marks = {found[0] for found in _INFIX.finditer(run)}
    return [
        word
        for part in parts
        if part
        for word in (_EXCEPTIONS.get(part, (part,)) if part not in marks else (part,))
    ]


def own_words(text: str) -> list[str]:
    """The words by the kernel."""
    data = readonly(np.frombuffer(text.encode(), np.uint8))
    words = room_for_words(len(data))
    count = split_words(data, 0, len(data), *rules(), words)
    starts = [*words[:count, 0].tolist(), len(data)]
    pieces = [data[a:b].tobytes().decode() for a, b in itertools.pairwise(starts)]
    assert words[:count, 2].tolist() == [
        len(piece.split()[0]) << 8 | bits & 0xFF
        for piece, bits in zip(pieces, words[:count, 2].tolist(), strict=True)
    ]
    return [piece.split()[0] for piece in pieces]


def repeats(items: list[str]) -> tuple[int, int]:
    """How many occurred before, and their characters."""
    again = [item for k, item in enumerate(items) if item in items[:k]]
    return len(again), sum(map(len, again))


def plain_numbers(text: str) -> dict[str, float | None]:
    """Every number by its definition."""
    words = plain_words(text)
    real = [word for word in words if not SYMBOLS.issuperset(word)]
    lines, full = text.splitlines(), [line for line in text.split("\n") if line.strip()]
    found: dict[str, float | None] = {
        "words": len(real),
        "stop_words": len(STOPS.intersection(words)),
        "mean_word_length": share(sum(map(len, real)), len(real)),
        "hash_ratio": share(text.count("#"), len(words)),
        "ellipsis_ratio": share(text.count("...") + text.count("…"), len(words)),
        "bullet_lines": share(sum(x.lstrip().startswith(("•", "-")) for x in lines), len(lines)),
        "ellipsis_lines": share(sum(x.rstrip().endswith(("...", "…")) for x in lines), len(lines)),
        "alpha_words": share(sum(any(map(str.isalpha, x)) for x in words), len(words)),
    }
    for name, items in {
        "para": re.split("\n{2,}", text.strip()),
        "line": re.split("\n+", text),
    }.items():
        again, chars = repeats(items)
        found[f"dup_{name}_frac"] = share(again, len(items)) if text else None
        found[f"dup_{name}_char_frac"] = share(chars, len(text))
    for n in range(2, 11):
        found[f"{'top' if n < 5 else 'dup'}_{n}_gram"] = share(gram_chars(words, n), len(text))
    chars = len(text) - text.count("\n")
    some = bool(full)
    return found | {
        "line_punct_ratio": share(sum(x.endswith(tuple(TERMINAL)) for x in full), len(full)),
        "short_line_ratio": share(sum(len(x) <= 30 for x in full), len(full)),
        "char_dup_ratio": share(repeats(full)[1], chars) if some else None,
        "newline_ratio": share(text.count("\n"), len(words)) if some else None,
    }


def share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def gram_chars(words: list[str], n: int) -> int:
    grams = [tuple(words[k : k + n]) for k in range(len(words) - n + 1)]
    if n < 5:
        gram, count = Counter(grams).most_common(1)[0] if grams else ((), 0)
        return len(" ".join(gram)) * count
    seen, chars, k = set(), 0, 0
    while k < len(grams):
        if grams[k] in seen:
            chars += len("".join(grams[k]))
            k += n
        else:
            seen.add(grams[k])
            k += 1
    return chars


def plain_c4(text: str, any_ending: bool) -> dict[str, Any]:
    """What C4's rules leave, line by line."""
    left, lorem, curly = [], False, False
    for raw in text.splitlines():
        line = re.sub(r"\[\d*\]|\[edit\]|\[citation needed\]", "", raw.strip())
        ends = line.endswith((".", "?", "!", '"', "'")) and not line.endswith("...")
        if any(len(word) > 1000 for word in raw.split()) or len(raw.split()) < 3:
            continue
        if not ends and not any_ending:
            continue
        lorem |= "lorem ipsum" in line.lower()
        if "javascript" in line.lower():
            continue
        curly |= "{" in line
        if not re.search(
            "terms of use|privacy policy|cookie policy|uses cookies|use (of )?cookies", line.lower()
        ):
            left.append(line)
    sentences = sum(count_sentences(plain_words(line)) for line in left)
    return {"text": "\n".join(left).strip(), "flags": (lorem, curly), "sentences": sentences}


def count_sentences(words: list[str]) -> int:
    count, ended = int(bool(words)), False
    for word in words:
        if word in TERMINAL:
            ended = True
        elif ended and any(unicodedata.category(c)[0] != "P" for c in word):
            count, ended = count + 1, False
    return count


def without(text: str, spans: list[dict[str, int]]) -> str:
    """The text without its spans, which are checked."""
    edges = [edge for span in spans for edge in (span["start"], span["end"])]
    assert edges == sorted(set(edges))
    assert not edges or edges[-1] <= len(text)
    return "".join(
        text[a:b] for a, b in zip([0, *edges[1::2]], [*edges[::2], len(text)], strict=True)
    )


@COMPILES
@given(texts)
def test_words_equal_regular_expressions(text: str) -> None:
    assert own_words(text) == plain_words(text)


@COMPILES
@given(st.lists(texts, max_size=3))
def test_numbers_equal_their_definitions(batch: list[str]) -> None:
    found = measure(pa.array(batch, pa.string()), ["gopher", "gopher_repetition", "fineweb"])
    for k, text in enumerate(batch):
        expected = plain_numbers(text)
        assert {name: found[name][k].as_py() for name in expected} == expected


@COMPILES
@given(texts)
def test_c4_leaves_what_its_rules_leave(text: str) -> None:
    found = measure(pa.array([text]), ["c4", "c4_any_ending"])
    for suffix in ("", "_any_ending"):
        expected = plain_c4(text, bool(suffix))
        assert without(text, found[f"c4_lines{suffix}"][0].as_py()) == expected["text"]
        assert found[f"sentences{suffix}"][0].as_py() == expected["sentences"]
        flags = tuple(
            found[f"{name}{suffix}"][0].as_py() for name in ("lorem_ipsum", "curly_bracket")
        )
        assert flags == expected["flags"]


@pytest.mark.parametrize("name", EXAMPLES)
def test_values_equal_those_of_datatrove(name: str) -> None:
    example = EXAMPLES[name]
    assert own_words(example.text) == example.words
    found = {k: v[0].as_py() for k, v in measure(pa.array([example.text]), GROUPS).items()}
    for group in ("c4", "c4_any_ending"):
        spans = found[f"{group.replace('c4', 'c4_lines')}"]
        assert without(example.text, spans) == example.values[group]
    values = {k: v for k, v in example.values.items() if k not in GROUPS}
    assert {k: found[k] for k in values} == pytest.approx(values, abs=1e-15)


def test_letters_of_scripts_without_spaces_are_words() -> None:
    assert own_words("在北京。 ok") == ["在", "北", "京", "。", "ok"]


def test_a_line_end_that_is_no_line_feed_stays_where_none_is_near() -> None:
    line = "A line of words."
    (spans,) = measure(pa.array([f"{line}\u2028{line}\r\nno\r{line}"]), ["c4"])["c4_lines"]
    assert (
        without(f"{line}\u2028{line}\r\nno\r{line}", spans.as_py()) == f"{line}\u2028{line}\n{line}"
    )


def test_flags_are_set_by_lines_that_get_so_far() -> None:
    menu, line = "{ lorem ipsum menu", "A { in a line of words."
    found = measure(
        pa.array([menu, line, "JavaScript has a { in it.", "Lorem ipsum, in javascript."]),
        ["c4", "c4_any_ending"],
    )
    assert found["curly_bracket"].to_pylist() == [False, True, False, False]
    assert found["lorem_ipsum"].to_pylist() == [False, False, False, True]
    assert found["curly_bracket_any_ending"].to_pylist() == [True, True, False, False]


def test_nulls_slices_and_nothing() -> None:
    batch = pa.array([None, "a b c.", "", "#\nb b b b b"])
    whole = measure(batch, GROUPS)
    assert whole["words"].to_pylist() == [0, 3, 0, 5]
    assert [
        whole[name].null_count for name in ("mean_word_length", "top_2_gram", "newline_ratio")
    ] == [2] * 3
    for name, column in measure(batch.slice(1, 2), GROUPS).items():
        assert column.equals(whole[name].slice(1, 2)), name
    assert all(len(column) == 0 for column in measure(pa.array([], pa.string()), GROUPS).values())
    with pytest.raises(ValueError, match="expected groups of gopher"):
        measure(batch, ["gofer"])


def test_names_and_types_are_those_of_the_recipe() -> None:
    kinds = {"flag": pa.bool_(), "spans": SPANS, "number": pa.float64(), "count": pa.int64()}
    for group in GROUPS:
        found = {name: column.type for name, column in measure(pa.array(["a"]), [group]).items()}
        assert found == {name: kinds[kind] for name, kind in names.GROUPS[group].items()}
        assert {names.group_of(name) for name in found} == {group}
    everything = [name for group in names.GROUPS.values() for name in group]
    assert len(everything) == len(set(everything))
    assert names.group_of("gofer") == ""


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "\n",
        "(",
        ".",
        "'",
        "[",
        "[1",
        "-",
        "a.",
        "a\r",
        "é",
        "在",
        " ",
        "@",
        "a-",
        "{ki",
        "…",
        "http://a@",
    ],
)
def test_long_repetitions_are_measured_in_linear_time(piece: str) -> None:
    """A quadratic step would take hours here."""
    found = measure(pa.array([piece * (1_000_000 // len(piece))]), GROUPS)
    assert found["c4_lines"][0].as_py()[-1]["end"] >= 1_000_000 - len(piece)
