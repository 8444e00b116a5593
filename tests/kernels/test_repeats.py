from __future__ import annotations

import re

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.kernels.buffers import text_buffers
from curation.kernels.repeats import repeated_chars

COMPILES = settings(deadline=None)  # the first call compiles


def plainly(text: str) -> list[int]:
    """The measure, as datatrove's filter states it: characters of the parts that stood before."""
    out = [len(text)]
    for parts in (re.split(r"\n+", text), re.split(r"\n{2,}", text.strip("\n"))):
        seen: set[str] = set()
        repeated = 0
        for part in filter(None, parts):
            repeated += len(part) * (part in seen)
            seen.add(part)
        out.append(repeated)
    return out


@COMPILES
@given(st.lists(st.text(st.sampled_from("ab é\n\n\n🌊"), max_size=60), max_size=5))
def test_equals_the_plain_measure(texts: list[str]) -> None:
    found = repeated_chars(*text_buffers(pa.array(texts, pa.string())))
    assert found.tolist() == [plainly(text) for text in texts]


def test_many_lines_of_which_few_are_new() -> None:
    texts = [
        "\n".join(f"line {i % 700}" for i in range(5000)),
        "x\n" * 100_000,
        "\n".join(map(str, range(3000))),
    ]
    found = repeated_chars(*text_buffers(pa.array(texts)))
    assert found.tolist() == [plainly(text) for text in texts]
    assert found[1].tolist() == [200_000, 99_999, 0]


def test_a_slice_of_a_column_and_a_null() -> None:
    column = pa.array(["a\na", None, "b\n\nb", "c"]).slice(1)
    assert repeated_chars(*text_buffers(column)).tolist() == [[0, 0, 0], [4, 1, 1], [1, 0, 0]]
