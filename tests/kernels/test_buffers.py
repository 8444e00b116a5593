from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.kernels.buffers import text_arrays, text_buffers


def texts_of(array):
    offsets, data = text_buffers(array)
    assert offsets.dtype == np.int64
    assert data.dtype == np.uint8
    assert not offsets.flags.writeable
    assert not data.flags.writeable
    return [data[s:e].tobytes().decode() for s, e in pairwise(offsets)]


@given(
    st.lists(st.one_of(st.none(), st.text())),
    st.sampled_from([pa.string(), pa.large_string()]),
    st.data(),
)
def test_texts_come_back_from_any_slice(texts, kind, data):
    expected = [text or "" for text in texts]
    array = pa.array(texts, kind)
    assert texts_of(array) == expected
    start = data.draw(st.integers(0, len(texts)))
    length = data.draw(st.integers(0, len(texts)))
    assert texts_of(array.slice(start, length)) == expected[start : start + length]
    chunked = pa.chunked_array([array.slice(0, start), array.slice(start)])
    assert texts_of(chunked) == expected
    assert texts_of(chunked.slice(start)) == expected[start:]


def test_large_string_is_not_copied():
    array = pa.array(["one", "two"], pa.large_string())
    offsets, data = text_buffers(array)
    assert offsets.ctypes.data == array.buffers()[1].address
    assert data.ctypes.data == array.buffers()[2].address


def test_bytes_behind_a_null_do_not_count():
    hidden = pa.Array.from_buffers(
        pa.string(),
        2,
        [
            pa.py_buffer(b"\x02"),
            pa.py_buffer(np.array([0, 3, 5], np.int32)),
            pa.py_buffer(b"abcde"),
        ],
    )
    assert hidden.to_pylist() == [None, "de"]
    assert texts_of(hidden) == ["", "de"]


@pytest.mark.parametrize(
    "array", [pa.chunked_array([], pa.string()), pa.array([], pa.large_string())]
)
def test_no_rows(array):
    assert texts_of(array) == []


def test_other_columns_are_refused():
    with pytest.raises(TypeError, match="expected a string or large_string column, got int64"):
        text_buffers(pa.array([1]))


@pytest.mark.parametrize("offsets", [[], [-1, 1], [0, 3], [0, 2, 1]])
def test_offsets_outside_the_data_are_refused(offsets):
    with pytest.raises(ValueError, match=r"rise within 0\.\.2"):
        text_arrays(np.array(offsets, np.int64), np.zeros(2, np.uint8))
