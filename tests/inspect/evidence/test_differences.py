from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from curation.inspect.evidence.differences import MOST_WORDS, Differences, compare

TEXTS = st.text(st.sampled_from("abc  \n"), max_size=60)


def words(found: Differences, *kinds: str) -> list[str]:
    return [word for part in found.parts if part.kind in kinds for word in part.words]


@given(TEXTS, TEXTS)
def test_both_texts_can_be_read_off(own: str, kept: str) -> None:
    found = compare(own, kept)
    assert words(found, "both", "removed") == own.split()
    assert words(found, "both", "kept") == kept.split()
    assert (found.places == 0) == (own.split() == kept.split())
    assert all(a.kind != b.kind for a, b in zip(found.parts, found.parts[1:], strict=False))


def test_places_and_what_is_shown_of_them() -> None:
    lines = [" ".join(f"{line}.{i}" for i in range(30)) for line in range(4)]
    changed = [
        lines[0],
        lines[1].replace("1.5", "other"),
        lines[2],
        lines[3].replace("3.29", "end more"),
    ]
    found = compare("\n".join(lines), "\n".join(changed))
    assert (found.places, found.count("removed"), found.count("kept")) == (2, 2, 3)
    first = list(found.shown(1))
    assert [part.kind for part in first] == ["both", "removed", "kept", "both"]
    assert first[0].words[0] == "…"
    assert first[0].words[-1] == "1.4"
    assert first[-1].words[-1] == "…"
    assert [part.words for part in found.shown(9) if part.kind == "kept"] == [
        ("other",),
        ("end", "more"),
    ]


def test_long_places_are_not_compared_word_by_word() -> None:
    own, kept = (" ".join(f"{side}{i}" for i in range(MOST_WORDS + 1)) for side in "ab")
    assert [part.kind for part in compare("same " + own, "same " + kept).parts] == [
        "both",
        "removed",
        "kept",
    ]


def test_wrapped_otherwise_is_equal() -> None:
    assert compare("a b\nc d", "a b c\n\n d").places == 0
