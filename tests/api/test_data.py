"""What may be given as data: every kind is the same rows, and what is none is one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.dataset as pads
import pytest

from curation.api.data import Batches, Columns, Files, checked, given, without_views
from curation.errors import CurationError, InputError

TEXTS = ["one", None, "three"]
TABLE = pa.table({"n": pa.array([1, 2, 3], pa.int16()), "text": TEXTS})


class Capsule:
    """An object of another library that speaks Arrow's capsule interface, and nothing else."""

    def __init__(self, table: Any) -> None:
        self._table = table

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._table.__arrow_c_stream__(requested_schema)


class Series(Capsule):
    """A single column."""


def rows(data: Any, text_column: str = "text") -> list[dict[str, Any]]:
    source = given(data, "data", text_column)
    assert isinstance(source, Batches)
    return source.table(Columns(text_column)).to_pylist()


KINDS = {
    "table": lambda: TABLE,
    "batch": lambda: TABLE.to_batches()[0],
    "reader": lambda: TABLE.to_reader(1),
    "data set": lambda: pads.dataset(TABLE),
    "capsule": lambda: Capsule(TABLE),
    "frame": lambda: pd.DataFrame({"n": pd.array([1, 2, 3], "int16"), "text": TEXTS}),
    "columns": lambda: {"n": pa.array([1, 2, 3], pa.int16()), "text": TEXTS},
    "dicts": lambda: TABLE.to_pylist(),
    "iterator of dicts": lambda: iter(TABLE.to_pylist()),
    "views": lambda: TABLE.set_column(1, "text", pa.array(TEXTS, pa.string_view())),
    "struct array": lambda: TABLE.to_struct_array().combine_chunks(),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_the_same_rows(kind: str) -> None:
    assert rows(KINDS[kind]()) == TABLE.to_pylist()


@pytest.mark.parametrize(
    "data",
    [
        TEXTS,
        tuple(TEXTS),
        iter(TEXTS),
        pa.array(TEXTS),
        pa.chunked_array([TEXTS]),
        Series(pa.chunked_array([TEXTS])),
        pd.Series(TEXTS, dtype=object),
    ],
    ids=type,
)
def test_texts_alone_are_the_text_column(data: Any) -> None:
    assert rows(data, "body") == [{"body": text} for text in TEXTS]


def test_a_dataset_gives_the_rows_that_were_selected() -> None:
    datasets = pytest.importorskip("datasets")
    whole = datasets.Dataset.from_dict({"text": ["a", "b", "c", "d"]})
    assert rows(whole.select([3, 1])) == [{"text": "d"}, {"text": "b"}]
    assert rows(whole.to_iterable_dataset()) == whole.to_list()
    with pytest.raises(InputError, match=r"dict of 'train'; give one of them.*data\['train'\]"):
        given(datasets.DatasetDict({"train": whole}))


def test_paths_are_files() -> None:
    assert given("a/*.parquet") == Files((str(Path.cwd() / "a/*.parquet"),))
    assert given(Path("/a")) == Files(("/a",))
    assert given([Path("/a"), Path("/b")]) == Files(("/a", "/b"))
    assert given("s3://bucket/a") == Files(("s3://bucket/a",))


def test_rows_of_different_keys_are_one_table() -> None:
    many: list[dict[str, Any]] = [{"text": "a"}] * 1500
    many += [{"text": "b", "n": 1}, {"n": 2.5, "text": "c"}]
    table = given(iter(many)).table(Columns())  # type: ignore[union-attr]
    assert table.column_names == ["text", "n"]
    assert table.column("n").to_pylist()[-3:] == [None, 1.0, 2.5]
    assert table.num_rows == 1502


def test_the_index_of_a_frame_comes_back() -> None:
    frame = pd.DataFrame({"text": ["a", "b"]}, index=[7, 9])
    table = given(frame).table(Columns())  # type: ignore[union-attr]
    assert table.to_pandas().equals(frame)


def broken() -> Iterator[str]:
    yield "one"
    yield "two"
    raise OSError("the disk\nis gone")


class Lazy:
    """As polars has it: asked for its schema, it would compute it."""

    def collect(self) -> None: ...

    def collect_schema(self) -> None: ...


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (7, r"^data: a path, a list of texts, .* expected, got 7$"),
        (b"text", "expected, got b'text'"),
        (None, "expected, got None"),
        ([1, 2], "a text or a dict expected in row 0, got 1"),
        (["a", {"text": "b"}], "a text expected in row 1"),
        ([{"text": "a"}, "b"], "a dict expected in row 1"),
        ([{"text": "a", 5: 1}], "column names that are text expected, got 5"),
        ([{"text": "a", "n": 1}, {"text": "b", "n": "x"}], "one type expected in column 'n'"),
        ({"text": ["a"], "n": [1, 2]}, "columns of one length"),
        (pa.table({"body": ["a"], "n": [1]}), "no column 'text'; .*'body', 'n'.*text_column="),
        (pa.table([["a"], ["b"]], names=["text", "text"]), "two columns are called 'text'"),
        (pd.DataFrame([["a", "b"]], columns=["text", "text"]), "Duplicate column names"),
        (pa.table({"text": [1]}), "text expected in column 'text', got int64"),
        pytest.param(
            broken(),
            r"raised OSError after 2 rows \(the disk\); nothing was written",
            id="an iterator that raises",
        ),
        (["\ud800"], "surrogates not allowed"),
        pytest.param(
            Lazy(), "a LazyFrame has no rows yet; give the result of its collect", id="lazy"
        ),
    ],
    ids=str,
)
def test_what_is_no_data_is_one_sentence(data: Any, message: str) -> None:
    with pytest.raises(CurationError, match=message) as caught:
        rows(data)
    assert "\n" not in str(caught.value)


def test_an_interrupt_passes() -> None:
    def stopped() -> Iterator[str]:
        yield "one"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rows(stopped())


def test_views_become_strings_however_deep() -> None:
    deep = pa.list_(pa.struct([("a", pa.string_view()), ("b", pa.binary_view())]))
    plain = pa.list_(pa.struct([("a", pa.large_string()), ("b", pa.large_binary())]))
    assert without_views(deep) == plain
    table = checked(pa.table({"text": pa.array(["a"], pa.string_view())}), Columns(), "data")
    assert table.take([0]).to_pylist() == [{"text": "a"}]


def test_polars_gives_and_takes_tables() -> None:
    """Where it is installed: `pip install polars`."""
    pl = pytest.importorskip("polars", reason="polars is not installed")
    frame = pl.DataFrame({"text": ["one text", "two", None], "tags": [["x"], [], None]})
    table = given(frame).table(Columns())  # type: ignore[union-attr]
    assert table.to_pylist() == frame.to_dicts()
    assert pl.DataFrame(table).equals(frame)
    with pytest.raises(InputError, match="a LazyFrame has no rows yet"):
        given(frame.lazy())
    texts = given(frame["text"]).table(Columns())  # type: ignore[union-attr]
    assert texts.column("text").to_pylist() == ["one text", "two", None]
