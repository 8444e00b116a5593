from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.kernels.masks import MASKS, SPANS, masked, masked_pieces, merged, span_lists

COMPILES = settings(deadline=None)  # the first call compiles
TEXTS = st.text(st.sampled_from("ab @é漢🌊\n"), max_size=150)


@st.composite
def texts_with_spans(draw, names=("first", "second", "third")):
    """Texts, and for each name a row of spans of each text, in any order, overlapping or empty."""
    texts = draw(st.lists(st.none() | TEXTS, max_size=5))

    def row(text):
        place = st.integers(0, len(text or ""))
        pairs = draw(st.lists(st.tuples(place, place).map(lambda p: (min(p), max(p))), max_size=6))
        return draw(st.sampled_from([pairs, None])) if text is None else pairs

    return texts, {name: [row(text) for text in texts] for name in names}


def columns_of(spans):
    return {name: pa.array(rows, SPANS) for name, rows in spans.items()}


def plainly_merged(rows):
    """Unions of overlapping spans of one text, one code point after the other."""
    spans = [(s, e, k) for k, row in enumerate(rows) for s, e in row or [] if s < e]
    out: list[list[int]] = []
    for s, e, k in sorted(spans):
        if out and s < out[-1][1]:
            out[-1][1:] = [max(out[-1][1], e), min(out[-1][2], k)]
        else:
            out.append([s, e, k])
    return out


def plainly_masked(text, masks, replacements):
    for mask in reversed(masks or []):
        text = text[: mask["start"]] + replacements[mask["mask"]] + text[mask["end"] :]
    return text


@COMPILES
@given(texts_with_spans())
def test_merged_ascends_covers_the_union_and_belongs_to_the_first_named(drawn):
    _, spans = drawn
    found = merged(columns_of(spans), list(spans))
    assert found.type == MASKS
    assert found.null_count == 0
    for i, masks in enumerate(found.to_pylist()):
        covered = {p for rows in spans.values() for s, e in rows[i] or [] for p in range(s, e)}
        assert {p for mask in masks for p in range(mask["start"], mask["end"])} == covered
        assert all(mask["start"] < mask["end"] for mask in masks)
        assert all(a["end"] <= b["start"] for a, b in pairwise(masks))
        expected = plainly_merged([rows[i] for rows in spans.values()])
        assert [[m["start"], m["end"], m["mask"]] for m in masks] == expected


@COMPILES
@given(
    texts_with_spans(),
    st.lists(st.text(st.sampled_from("x€ "), max_size=4), min_size=3, max_size=3),
    st.sampled_from([pa.string(), pa.large_string()]),
)
def test_masked_is_python_slicing_and_a_piece_over_the_whole_text(drawn, replacements, kind):
    texts, spans = drawn
    masks = merged(columns_of(spans), list(spans))
    column = pa.array([None, *texts], kind)[1:]  # a slice, with an offset
    found = masked(column, masks, replacements)
    assert found.type == kind
    found.validate(full=True)
    for text, row, new in zip(texts, masks.to_pylist(), found.to_pylist(), strict=True):
        if text is None:
            assert new is None
            continue
        assert new == plainly_masked(text, row, replacements)
        whole = [{"start": 0, "end": len(text)}] * (len(text) > 0)
        assert masked_pieces(text, whole, row, replacements) == [new] * len(whole)


@COMPILES
@given(texts_with_spans())
def test_an_empty_replacement_removes_the_spans(drawn):
    texts, spans = drawn
    masks = merged(columns_of(spans), list(spans))
    found = masked(pa.array(texts, pa.string()), masks, ["", "", ""])
    for i, new in enumerate(found.to_pylist()):
        if texts[i] is not None:
            gone = {p for rows in spans.values() for s, e in rows[i] for p in range(s, e)}
            assert new == "".join(c for p, c in enumerate(texts[i]) if p not in gone)


@COMPILES
@given(texts_with_spans(), st.data())
def test_pieces_have_each_mask_that_they_touch_as_a_whole(drawn, data):
    texts, spans = drawn
    replacements = ["<1>", "", "<3>"]
    for text, row in zip(texts, merged(columns_of(spans), list(spans)).to_pylist(), strict=True):
        text = text or ""
        borders = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
        pieces = [
            {"start": s, "end": e}
            for s, e in zip([0, *borders], [*borders, len(text)], strict=True)
        ]
        found = masked_pieces(text, pieces, row, replacements)
        for piece, new in zip(pieces, found, strict=True):
            inside = range(piece["start"], piece["end"])
            expected, last = "", None
            for p in inside:
                mask = next((m for m in row if m["start"] <= p < m["end"]), None)
                if mask is None:
                    expected += text[p]
                elif mask is not last:
                    expected += replacements[mask["mask"]]
                last = mask
            assert new == expected


def test_a_piece_inside_a_mask_is_its_replacement():
    masks = [{"start": 2, "end": 8, "mask": 0}]
    pieces = [{"start": 3, "end": 5}, {"start": 5, "end": 5}, {"start": 8, "end": 10}]
    assert masked_pieces("0123456789", pieces, masks, ["x"]) == ["x", "", "89"]


def test_masks_far_apart_in_a_long_text_of_many_widths():
    text = "aé漢🌊" * 30_000
    starts = np.arange(5, len(text) - 10, 997)
    masks = pa.array([[(int(s), int(s) + 3, 0) for s in starts]], MASKS)
    expected = plainly_masked(text, masks.to_pylist()[0], ["<é>"])
    assert masked(pa.array([text]), masks, ["<é>"]).to_pylist() == [expected]


def test_a_chunked_column_and_hidden_spans_behind_a_null():
    spans = pa.ListArray.from_arrays(
        pa.array([0, 1, 2], pa.int32()),
        pa.array([(0, 1), (1, 2)], SPANS.value_type),
        type=SPANS,
        mask=pa.array([True, False]),
    )
    masks = merged({"a": pa.chunked_array([spans[:1], spans[1:]])}, ["a"])
    assert masks.to_pylist() == [[], [{"start": 1, "end": 2, "mask": 0}]]
    texts = pa.chunked_array([["xyz"], ["xyz"]])
    assert masked(texts, masks, ["-"]).to_pylist() == ["xyz", "x-z"]


def test_texts_without_masks_are_handed_back():
    texts = pa.array(["a", None])
    assert masked(texts, pa.array([[], None], MASKS), []) is texts


def test_span_lists_make_the_type():
    missing = np.array([False, False, True])
    column = span_lists(np.array([0, 2, 0]), np.array([1, 4]), np.array([3, 6]), missing)
    assert column.type == SPANS
    assert column.to_pylist() == [[], [{"start": 1, "end": 3}, {"start": 4, "end": 6}], None]


@pytest.mark.parametrize("span", [(-1, 2), (3, 2)])
def test_spans_that_are_none_are_refused(span):
    with pytest.raises(ValueError, match=r"email: expected 0 <= start <= end .* in row 1"):
        merged({"email": pa.array([[], [span]], SPANS)}, ["email"])


def test_columns_of_different_lengths_are_refused():
    columns = {"a": pa.array([[]], SPANS), "b": pa.array([[], []], SPANS)}
    with pytest.raises(ValueError, match="all of one length"):
        merged(columns, ["a", "b"])
    with pytest.raises(ValueError, match="got 0"):
        merged(columns, [])


@pytest.mark.parametrize(
    "rows", [[(1, 4, 0)], [(2, 3, 0), (0, 1, 0)], [(0, 2, 0), (1, 3, 0)], [(5, 6, 0)], [(1, 1, 0)]]
)
def test_masks_that_leave_the_text_or_overlap_are_refused(rows):
    with pytest.raises(ValueError, match=r"ascending masks within the text.* in row 1"):
        masked(pa.array(["", "é漢x", "later text"]), pa.array([[], rows, []], MASKS), ["r"])


def test_a_mask_without_a_replacement_is_refused():
    with pytest.raises(ValueError, match="one replacement for each merged name"):
        masked(pa.array(["abc"]), pa.array([[(0, 1, 1)]], MASKS), ["r"])
