from __future__ import annotations

import itertools
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation import store
from curation.errors import InputError, RunError
from curation.store import tables

SCHEMA = pa.schema([("id", pa.string()), ("n", pa.int64()), ("many", pa.list_(pa.binary()))])


def _rows(n: int) -> pa.RecordBatch:
    many = [[b"x" * (i % 7)] * (i % 3) for i in range(n)]
    return pa.record_batch([[f"d{i}" for i in range(n)], list(range(n)), many], schema=SCHEMA)


def _write(path: Path, batches: list[pa.RecordBatch]) -> bytes:
    with store.TableWriter(str(path), SCHEMA, "digest") as writer:
        for batch in batches:
            writer.write(batch)
    return path.read_bytes()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 400), max_size=8))
def test_bytes_do_not_depend_on_batching(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("t")
    rows = _rows(1000)
    edges = sorted({0, 1000, *(min(1000, c * 3) for c in cuts)})
    slices = [rows.slice(a, b - a) for a, b in itertools.pairwise(edges)]
    old = tables.GROUP_ROWS, tables.GROUP_BYTES
    tables.GROUP_ROWS, tables.GROUP_BYTES = 300, 9000
    try:
        assert _write(folder / "a", [rows]) == _write(folder / "b", slices)
    finally:
        tables.GROUP_ROWS, tables.GROUP_BYTES = old


def test_row_groups_close_by_rows_and_by_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "GROUP_ROWS", 300)
    _write(tmp_path / "rows", [_rows(1000)])
    assert [g.num_rows for g in store.read_groups(str(tmp_path / "rows"))] == [300, 300, 300, 100]
    monkeypatch.setattr(tables, "GROUP_BYTES", 1000)
    _write(tmp_path / "bytes", [_rows(1000)])
    sizes = [int(store.row_bytes(g).sum()) for g in store.read_groups(str(tmp_path / "bytes"))]
    assert all(1000 <= size < 1000 + 60 for size in sizes[:-1])


def test_nothing_appears_when_the_block_fails(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "table.parquet"
    with pytest.raises(KeyError), store.TableWriter(str(path), SCHEMA, "d") as writer:
        writer.write(pa.concat_batches([_rows(10), _rows(3).select(["none"])]))
    assert list(tmp_path.rglob("*.*")) == []


def test_footer_says_what_the_table_is(tmp_path: Path) -> None:
    path = str(tmp_path / "t.parquet")
    with store.TableWriter(path, SCHEMA, "d1", {"in": [3, 9, 0]}) as writer:
        writer.write(_rows(3))
        writer.identity = "i1"
    assert store.footer(path) == store.Footer("d1", "i1", {"in": [3, 9, 0]}, 3)
    assert store.done(path, "d1") is not None
    assert store.done(path, "d2") is None
    assert store.footer(str(tmp_path / "none")) is None
    (tmp_path / "garbage").write_bytes(b"PAR1 not really")
    assert store.footer(str(tmp_path / "garbage")) is None
    with pytest.raises(RunError, match="garbage"):
        store.need_footer(str(tmp_path / "garbage"))


def test_many_tables_are_read_as_one_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Joined on the way: a table in memory costs much more than the few rows it may have."""
    monkeypatch.setattr(tables, "_JOINED", 4)
    paths = [str(tmp_path / f"{number}.parquet") for number in range(10)]
    written = [pa.table({"n": pa.array(range(number % 3), pa.int64())}) for number in range(10)]
    for path, table in zip(paths, written, strict=True):
        pq.write_table(table, path)
    read = store.read_tables(paths)
    assert read.equals(pa.concat_tables(written))
    assert read.column("n").num_chunks <= 3


@pytest.mark.parametrize("column", ["doc", "other"])  # one with statistics, one without
def test_read_between_is_a_slice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, column: str
) -> None:
    monkeypatch.setattr(tables, "GROUP_ROWS", 10)
    path = str(tmp_path / "t.parquet")
    numbers = sorted(int(n) for n in np.random.default_rng(0).integers(0, 50, 100))
    names = pa.schema([(column, pa.int64()), ("row", pa.int64())])
    with store.TableWriter(path, names, "digest") as writer:
        writer.write(pa.record_batch([numbers, range(100)], schema=names))
    for start, end in [(0, 50), (7, 8), (7, 7), (20, 31), (60, 70), (-9, 0)]:
        inside = [row for row, number in enumerate(numbers) if start <= number < end]
        assert store.read_between(path, column, start, end)["row"].to_pylist() == inside
        rows = store.read_between(path, column, start, end, ["row"])
        assert rows.to_pydict() == {"row": inside}


def test_read_groups_keeps_the_asked_order_of_columns(tmp_path: Path) -> None:
    _write(tmp_path / "t", [_rows(5)])
    (batch,) = store.read_groups(str(tmp_path / "t"), ["n", "id"])
    assert batch.schema.names == ["n", "id"]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.lists(st.binary(max_size=9), max_size=4) | st.none(), max_size=30),
    st.integers(0, 30),
)
def test_row_bytes_of_a_slice_are_the_slice_of_row_bytes(
    rows: list[list[bytes] | None], start: int
) -> None:
    batch = pa.record_batch([pa.array(rows, pa.list_(pa.binary()))], names=["x"])
    start = min(start, len(rows))
    assert np.array_equal(store.row_bytes(batch.slice(start)), store.row_bytes(batch)[start:])


def test_find_takes_paths_folders_and_globs(tmp_path: Path) -> None:
    for name in ("a/x.txt", "a/b/y.txt", "a/.hidden", "a/_private", "a/z.jsonl"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("t")

    def names(pattern: str) -> list[str]:
        return [file.name for file in store.find(f"{tmp_path}/{pattern}")]

    assert names("a/x.txt") == ["x.txt"]
    assert names("a") == ["b/y.txt", "x.txt", "z.jsonl"]
    assert names("a/*.txt") == ["x.txt"]
    assert names("a/**.txt") == ["b/y.txt", "x.txt"]
    assert names("a/[xz].*") == ["x.txt", "z.jsonl"]
    assert names("?/*.jsonl") == ["a/z.jsonl"]
    for missing in ("nothing", "a/*.parquet"):
        with pytest.raises(InputError, match=missing.rpartition("/")[2].replace("*", r"\*")):
            names(missing)


def test_a_path_that_exists_is_no_glob(tmp_path: Path) -> None:
    for name in ("log[2].txt", "log2.txt", "ab/x.txt", "a*/x.txt", "a*/y.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("t")

    def paths(pattern: str) -> list[str]:
        found = store.find(f"{tmp_path}/{pattern}")
        return [file.path.removeprefix(f"{tmp_path}/") for file in found]

    assert paths("log[2].txt") == ["log[2].txt"]
    assert paths("a*") == ["a*/x.txt", "a*/y.txt"]
    assert paths("a*/*.txt") == ["a*/x.txt", "a*/y.txt"]
    assert paths("log[0-9].txt") == ["log2.txt"]


def test_two_stars_also_mean_no_folder(tmp_path: Path) -> None:
    for name in ("d/a.txt", "d/x/a.txt", "d/x/y/a.txt", "d/x/ya.txt", "da.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("t")
    names = [file.name for file in store.find(f"{tmp_path}/d/**/a.txt")]
    assert names == ["a.txt", "x/a.txt", "x/y/a.txt"]
    names = [file.name for file in store.find(f"{tmp_path}/**/x/**/*.txt")]
    assert names == ["d/x/a.txt", "d/x/y/a.txt", "d/x/ya.txt"]


def test_a_folder_that_links_to_itself_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "d" / "z").mkdir(parents=True)
    (tmp_path / "d" / "z" / "x.txt").write_text("t")
    (tmp_path / "d" / "z" / "up").symlink_to(tmp_path / "d")
    (tmp_path / "d" / "a").symlink_to(tmp_path / "d" / "z")
    assert [file.name for file in store.find(f"{tmp_path}/d")] == ["z/x.txt"]
    assert [file.name for file in store.find(f"{tmp_path}/d/a")] == ["x.txt"]


def test_what_is_no_file_and_what_has_no_name_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("t")
    os.mkfifo(tmp_path / "pipe.txt")
    assert [file.name for file in store.find(str(tmp_path))] == ["a.txt"]
    for path in (tmp_path / "pipe.txt", "/dev/null"):
        with pytest.raises(InputError, match="a pipe or a device"):
            store.find(str(path))
    name = os.fsdecode(b"b\xff.txt")
    (tmp_path / name).write_text("t")
    for pattern in (tmp_path, tmp_path / name, f"{tmp_path}/*.txt"):
        with pytest.raises(InputError, match=r"b.\.txt: the file name is not UTF-8"):
            store.find(str(pattern))


def test_brackets_that_are_no_pattern_are_said(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("t")
    for name in ("x[z-a].txt", "x[[:a-].txt", "x[9-0]*"):
        with pytest.raises(InputError, match=r"no such file, and no pattern|no files there"):
            store.find(f"{tmp_path}/{name}")
    (tmp_path / "x^.txt").write_text("t")
    assert [file.name for file in store.find(f"{tmp_path}/x[[&&^].txt")] == ["x^.txt"]
    (tmp_path / "x[z-a].txt").write_text("t")
    assert [file.name for file in store.find(f"{tmp_path}/x[z-a].txt")] == ["x[z-a].txt"]


def test_sweep_removes_only_temporary_files(tmp_path: Path) -> None:
    (tmp_path / f"x.parquet{store.TEMPORARY}abc").write_text("t")
    (tmp_path / "x.parquet").write_text("t")
    store.sweep(str(tmp_path))
    assert os.listdir(tmp_path) == ["x.parquet"]


def test_a_copy_of_a_local_file_is_another_name_of_it_where_that_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(b"given")
    for _ in range(2):  # the second time it is there
        store.copy_local(str(tmp_path / "a"), str(tmp_path / "in" / "b"))
        assert (tmp_path / "in" / "b").samefile(tmp_path / "a")
    store.write_bytes(str(tmp_path / "in" / "b"), b"other")
    assert (tmp_path / "a").read_bytes() == b"given"

    def refused(*_: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refused)
    store.copy_local(str(tmp_path / "a"), str(tmp_path / "in" / "b"))
    assert (tmp_path / "in" / "b").read_bytes() == b"given"
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["b"]
