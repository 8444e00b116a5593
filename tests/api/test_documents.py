"""Rows in memory become the tables that `extract` writes of the same rows in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation import store
from curation.api.data import Columns
from curation.api.documents import FILE, check_ids, with_ids, write_documents
from curation.engine.inline import InlineEngine
from curation.errors import InputError
from curation.pipeline import line
from curation.recipe import reading
from curation.rundir.directory import RunDirectory, Shard

TEXTS = ["plain", "ünï\u2028 code", None, "", "\x1c\u3000 ", "a" * 5000, "plain"]
URLS = ["http://a/", "", None, "x", "http://b/", "é", "http://c/"]
IDS: dict[str, Any] = {
    "none": None,
    "text": ["a", "", None, "d", "e", "f", "g"],
    "numbers": pa.array([3, None, 5, 6, 7, 8, 9], pa.int16()),
    "floats": [0.5, 1.0, 2.0, 3.0, None, 5.0, 6.0],
    "dictionary": pa.array(list("abcdefg")).dictionary_encode(),
}


@pytest.mark.parametrize("kind", IDS)
def test_documents_and_rejects_are_those_of_extract(kind: str, tmp_path: Path) -> None:
    table = pa.table({"body": pa.array(TEXTS, pa.large_string()), "url": URLS})
    if IDS[kind] is not None:
        table = table.append_column("key", pa.array(IDS[kind]))
    pq.write_table(table, tmp_path / FILE)
    dataset = {"name": "input", "files": [str(tmp_path / FILE)]}
    dataset |= {"text_column": "body", "id_column": "key"}
    recipe = reading.parse(
        {"stages": ["extract"], "extract": {"table_languages": False}, "dataset": [dataset]}
    )
    engine = InlineEngine()
    try:
        theirs, _ = line.run(recipe, str(tmp_path / "run"), engine, say=lambda text: None)
    finally:
        engine.close()
    ours, shard = RunDirectory(str(tmp_path / "ours"), recipe), Shard("input", 0, 0, 0, ())
    ids = write_documents(ours, shard, table, Columns("body", "key", "url"))
    for path in ("documents", "rejects"):
        read = [store.read_table(rundir.table(path, shard)) for rundir in (ours, theirs)]
        names = read[0].column_names
        assert read[0].to_pylist() == read[1].select(names).to_pylist()
    footers = [store.need_footer(rundir.documents(shard)) for rundir in (ours, theirs)]
    assert footers[0].ledger == footers[1].ledger
    assert footers[0].ledger["missing_text"][0] == 1
    assert footers[0].ledger["empty"][0] == 2
    kept = store.read_table(ours.documents(shard), ["id", "offset"]).to_pylist()
    assert [ids[row["offset"]] for row in kept] == [row["id"] for row in kept]


def test_the_column_of_ids_keeps_its_type_where_it_is_whole() -> None:
    whole = pa.table({"text": ["a"], "id": pa.array([7], pa.int8())})
    assert with_ids(whole, "id", ["7"]).equals(whole)
    partly = pa.table({"text": ["a", "b"], "id": pa.array([7, None], pa.int8())})
    assert with_ids(partly, "id", ["7", "x"]).column("id").to_pylist() == ["7", "x"]
    assert with_ids(pa.table({"id": ["", "b"]}), "id", ["x", "b"]).to_pydict() == {"id": ["x", "b"]}


def test_an_id_that_is_there_twice_is_named() -> None:
    check_ids(["a", "b"], "data")
    with pytest.raises(InputError, match=r"data: the id 'b' is there 2 times.*id_column="):
        check_ids(["a", "b", "b"], "data")
