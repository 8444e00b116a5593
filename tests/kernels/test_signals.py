from __future__ import annotations

import math
import unicodedata

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.kernels.buffers import text_buffers
from curation.kernels.quality import measure
from curation.kernels.signals import signals
from curation.recipe.signals import GROUPS, SIGNALS, names_of

COMPILES = settings(deadline=None, max_examples=300)  # the first call compiles
PIECES = [
    *"ab Ab.,!?…\"')#-•0 7é。、在\n\u00a0\u0301🌊",
    "...",
    "\n",
    "the",
    " of ",
    "x" * 29,
    ")" * 30,
    "x" * 30 + ".\n",
    "\u3000",
]


def plainly(text: str) -> dict[str, float]:
    """The definitions of the module, with Python's own strings."""
    words = text.split()
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    visible = "".join(words)

    def letters(word: str) -> int:
        return sum(unicodedata.category(c)[0] not in "PSZC" and not "0" <= c <= "9" for c in word)

    def prose(line: str) -> bool:
        body = line.rstrip("\"'’”»)] \u00a0\u3000")
        return len(line) >= 30 and body.endswith(tuple(".!?。")) and not body.endswith("..")

    def share(part: float, whole: float) -> float:
        return part / max(1, whole)

    return {
        "log_chars": math.log1p(len(text)),
        "log_prose_chars": math.log1p(sum(len(line) for line in lines if prose(line))),
        "log_commas": math.log1p(text.count(",") + text.count("、")),
        "letters": share(letters(visible), len(visible)),
    }


@COMPILES
@given(st.lists(st.lists(st.sampled_from(PIECES), max_size=40).map("".join), max_size=4))
def test_equals_the_plain_definitions(texts: list[str]) -> None:
    names = names_of(["chars", "prose"])
    found = signals(*text_buffers(pa.array(texts, pa.string())), names)
    for row, text in zip(found.tolist(), texts, strict=True):
        assert dict(zip(names, row, strict=True)) == pytest.approx(plainly(text), abs=1e-12)


def test_other_groups_are_those_of_filters_with_zero_for_null() -> None:
    texts = pa.array(["- To be, of course.\n- To be, of course.", "", "# ..."])
    names = names_of(["gopher_repetition", "letters", "gopher"])
    found = signals(*text_buffers(texts), names)
    measured = measure(texts, ["gopher", "gopher_repetition"])
    for k, name in enumerate(names):
        if name != "letters":
            assert found[:, k].tolist() == [x or 0.0 for x in measured[name].to_pylist()]
    assert found[0, names.index("dup_line_frac")] == 0.5
    assert found[0, names.index("letters")] > 0.7


def test_depends_on_neither_batch_nor_order() -> None:
    texts = ["One two, three four five six seven. " * k + "\n- x" * (k % 3) for k in range(9)]
    together = signals(*text_buffers(pa.array(texts)), SIGNALS)
    alone = [signals(*text_buffers(pa.array([text])), SIGNALS)[0] for text in texts]
    assert np.array_equal(together, np.array(alone))
    sliced = signals(*text_buffers(pa.array(texts).slice(4)), SIGNALS[::-1])
    assert np.array_equal(sliced, together[4:, ::-1])


@pytest.mark.parametrize(
    ("line", "is_prose"),
    [
        ("A sentence that is long enough to be one.", True),
        ("«A sentence that is long enough to be one.»", True),
        ("यह एक वाक्य है जो इतना लंबा है कि गद्य हो।", True),
        ("这是一个足够长的句子，它有三十多个字符，所以它是散文，而不是菜单里的一行字。", True),
        ("A sentence that is cut off in the middle ...", False),
        ("Home | News | Sports | Weather | Contact us", False),
        ("Too short to count.", False),
    ],
)
def test_which_lines_are_prose(line: str, is_prose: bool) -> None:
    (found,) = signals(*text_buffers(pa.array([line])), ["log_prose_chars"])[0].tolist()
    assert found == pytest.approx(math.log1p(len(line)) if is_prose else 0.0)


def test_names() -> None:
    assert names_of(["prose"]) == tuple(GROUPS["prose"])
    assert names_of([]) == ()
    with pytest.raises(ValueError, match="no signal or group"):
        names_of(["gofer"])
