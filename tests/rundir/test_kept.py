"""What a run keeps is what it encodes, in the same pieces; columns of several datasets fit together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from curation import store
from curation.errors import InputError, RunError
from curation.kernels.bpe import encoding
from curation.rundir.directory import RunDirectory
from curation.rundir.kept import default_columns, kept_documents, kept_schema, merged
from curation.rundir.plan import Plan, read


def rows(
    rundir: RunDirectory, plan: Plan, columns: list[str] | None = None
) -> list[dict[str, Any]]:
    return [row for batch in kept_documents(rundir, plan, columns) for row in batch.to_pylist()]


def test_the_texts_are_those_of_the_tokens(opened: tuple[RunDirectory, Plan]) -> None:
    """Decoded, piece by piece, in their order."""
    rundir, plan = opened
    decoded, ids = [], []
    for shard in plan.shards:
        for row in store.read_table(rundir.table("tokens", shard)).to_pylist():
            for number, tokens in enumerate(row["tokens"] or ()):
                words = memoryview(tokens).cast("H").tolist()
                decoded.append(encoding("gpt2").decode(words[:-1]))
                ids.append((shard.dataset, row["id"], number))
    kept = rows(rundir, plan, ["dataset", "id", "piece", "text"])
    assert [row["text"] for row in kept] == decoded
    cut = [row for row in kept if row["piece"] is not None]
    assert {row["piece"] for row in cut} == {0, 1}
    for row, (dataset, id_, number) in zip(kept, ids, strict=True):
        assert row["dataset"] == dataset
        assert row["id"] == (id_ if row["piece"] is None else f"{id_}/{number}")
    assert len({row["id"] for row in kept}) == len(kept)


def test_the_score_is_that_of_the_document(opened: tuple[RunDirectory, Plan]) -> None:
    rundir, plan = opened
    scores = {}
    for shard in plan.shards:
        ids = store.read_table(rundir.documents(shard), ["id"]).column(0).to_pylist()
        evidence = store.read_table(rundir.table("classify", shard, "evidence"), ["score"])
        scores |= dict(zip(ids, evidence.column(0).to_pylist(), strict=True))
    kept = rows(rundir, plan, ["id", "quality"])
    assert kept
    assert all(row["quality"] == scores[row["id"].partition("/")[0]] for row in kept)


def test_columns_of_several_datasets_have_one_type(run_recipe: Callable[..., Any]) -> None:
    a = [{"id": "a", "text": "one text", "n": 1, "meta": {"x": 1}, "mixed": 5, "dataset": "mine"}]
    b = [{"id": "b", "text": "another", "n": 1.5, "meta": {"y": [1]}, "mixed": "s", "date": "2001"}]
    rundir, plan = run_recipe({"a": a, "b": b}, {"stages": ["extract"]})
    schema = kept_schema(rundir, plan)
    assert schema.field("n").type == pa.float64()
    assert set(default_columns(schema)) == {
        *("id", "dataset", "url", "text", "date", "language", "language_score"),
        *("n", "meta", "mixed", "input_dataset"),
    }
    first, second = rows(rundir, plan)
    assert (first["dataset"], first["input_dataset"], second["input_dataset"]) == (
        "a",
        "mine",
        None,
    )
    assert (first["n"], second["n"]) == (1.0, 1.5)
    assert (first["mixed"], second["mixed"]) == ("5", "s")
    assert (first["meta"], second["meta"]) == ({"x": 1, "y": None}, {"x": None, "y": [1]})
    assert (first["date"], second["date"]) == (None, "2001")  # the input's own


def test_columns_called_as_those_of_tables_are_the_inputs_own(
    run_recipe: Callable[..., Any],
) -> None:
    """`row` and `extra` are columns of ours too, of a filtered dataset's table."""
    good = [{"id": f"g{i}", "text": f"the river and the library {i} were old"} for i in range(8)]
    bad = [{"id": f"b{i}", "text": f"buy cheap pills now {i} click"} for i in range(8)]
    own = {"row": None, "extra": "mine", "keep": 1, "pieces": [1], "record_id": "r"}
    bad[0] |= {**own, "row": 77}
    bad[1] |= own
    table = {"stages": ["extract", "classify"], "classify": {"model": "", "alpha": 0.01}}
    rundir, plan = run_recipe({"a": good, "crawl:b": bad}, table)
    names = [name for name in own if name != "quality"]
    found = {row["id"]: row for row in rows(rundir, plan, ["id", *names, "quality"])}
    for expected in (row for row in bad[:2] if row["id"] in found):
        assert {name: found[expected["id"]][name] for name in names} == {
            name: expected[name] for name in names
        }
    assert {"b0", "b1"} & found.keys()
    assert all(row["row"] in (None, 77) for row in found.values())
    scores = {row["id"]: row["quality"] for row in found.values()}
    assert all(0 <= score <= 1 for score in scores.values()), scores


def test_what_cannot_be_given_is_refused(
    opened: tuple[RunDirectory, Plan], mixed_run: Path, half_run: Path
) -> None:
    with pytest.raises(InputError, match=r"no column 'txt'; did you mean 'text'\?"):
        rows(*opened, ["id", "txt"])
    with pytest.raises(InputError, match="the column 'id' is named twice"):
        rows(*opened, ["id", "id"])
    with pytest.raises(RunError, match="has tokens of other runs and no texts"):
        rows(*read(str(mixed_run)))
    with pytest.raises(RunError, match="is not finished, for decontaminate has not ended"):
        rows(*read(str(half_run)))


def test_documents_of_a_reference_are_not_kept(dedup_run: Path) -> None:
    rundir, plan = read(str(dedup_run))
    kept = rows(rundir, plan, ["dataset", "id"])
    assert {row["dataset"] for row in kept} == {"crawl"}
    (shard,) = plan.of("crawl")
    decided = store.read_table(rundir.decision("dedup", shard), ["keep"]).column(0).to_pylist()
    assert len(kept) == sum(decided) < len(decided)


def test_merged_batches_have_the_same_rows() -> None:
    batches = [pa.record_batch({"a": list(range(i, i + 3))}) for i in range(0, 30, 3)]
    out = list(merged(iter(batches), 60))
    assert 1 < len(out) < len(batches)
    assert [v for b in out for v in b.column(0).to_pylist()] == list(range(30))
