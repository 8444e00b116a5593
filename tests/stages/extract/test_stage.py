from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from curation import store
from curation.engine.inline import InlineEngine
from curation.errors import InputError
from curation.pipeline import line as pipeline
from curation.recipe import reading as recipe
from curation.rundir import plan as plans
from curation.rundir.directory import RunDirectory
from curation.stages.extract import stage as extract
from curation.stages.extract.columns import MAX_FIELDS

TABLE = {"stages": ["extract"]}


def _documents(rundir: Any, plan: Any) -> list[dict[str, Any]]:
    return [
        row
        for shard in plan.shards
        for row in store.read_table(rundir.documents(shard)).to_pylist()
    ]


def test_other_columns_travel_in_extra_and_mixed_types_as_json(
    run_recipe: Callable[..., Any],
) -> None:
    rows = [
        {"id": "1", "text": "one", "n": 1, "mixed": 1, "deep": {"x": [1]}},
        {"id": "2", "text": "two", "n": 2.5, "mixed": "s", "flag": True},
    ]
    rundir, plan = run_recipe({"a": rows}, TABLE)
    extra = [row["extra"] for row in _documents(rundir, plan)]
    assert extra == [
        {"n": 1.0, "mixed": "1", "deep": {"x": [1]}, "flag": None},
        {"n": 2.5, "mixed": "s", "deep": None, "flag": True},
    ]


def test_a_number_stays_the_number_it_was(run_recipe: Callable[..., Any]) -> None:
    large = (1 << 53) + 1
    rows = [
        {"id": "1", "text": "one", "n": large, "near": 1 << 53, "deep": [{"n": large}]},
        {"id": "2", "text": "two", "n": 0.5, "near": 0.5, "deep": [{"n": 0.5}], "whole": large},
        {"id": "3", "text": "six", "n": 1 << 70, "deep": [{"n": 1 << 70}], "whole": 1},
    ]
    extra = [row["extra"] for row in _documents(*run_recipe({"a": rows}, TABLE))]
    assert [row["n"] for row in extra] == [str(large), "0.5", str(1 << 70)]
    assert [row["deep"][0]["n"] for row in extra] == [str(large), "0.5", str(1 << 70)]
    assert [row["near"] for row in extra] == [float(1 << 53), 0.5, None]
    assert [row["whole"] for row in extra] == [None, large, 1]


def test_integers_of_one_parquet_file_and_floats_of_another(
    tmp_path: Path, inline: InlineEngine
) -> None:
    large = (1 << 60) + 1
    columns = {"text": ["x y"], "large": [large], "small": [7], "nested": [[large]]}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    columns = {"text": ["z"], "large": [0.5], "small": [0.5], "nested": [[0.5]]}
    pq.write_table(pa.table(columns), tmp_path / "b.parquet")
    made = recipe.parse({**TABLE, "dataset": [{"name": "a", "files": [str(tmp_path / "*.p*")]}]})
    extra = [row["extra"] for row in _documents(*pipeline.run(made, str(tmp_path / "o"), inline))]
    assert [row["large"] for row in extra] == [str(large), "0.5"]
    assert [row["small"] for row in extra] == [7.0, 0.5]
    assert [row["nested"] for row in extra] == [[str(large)], ["0.5"]]


def test_objects_are_structs_unless_they_have_very_many_keys(
    run_recipe: Callable[..., Any],
) -> None:
    many = {str(n): n for n in range(MAX_FIELDS + 1)}
    rows = [
        {"id": "1", "text": "one", "meta": {"a": 1, "d": {}}, "map": many, "none": {}, "n": []},
        {"id": "2", "text": "two", "meta": {"b": [{"c": 1}, {"d": "x"}]}, "map": {}, "n": [None]},
    ]
    one, two = (row["extra"] for row in _documents(*run_recipe({"a": rows}, TABLE)))
    assert one["meta"] == {"a": 1, "d": "{}", "b": None}
    assert two["meta"] == {"a": None, "d": None, "b": [{"c": 1, "d": None}, {"c": None, "d": "x"}]}
    assert (json.loads(one["map"]), two["map"], one["none"]) == (many, "{}", "{}")
    assert (one["n"], two["n"]) == ([], [None])


def test_parquet_columns_keep_their_types(tmp_path: Path, inline: InlineEngine) -> None:
    table = pa.table(
        {"text": ["x y", None], "tags": [["a"], []], "when": pa.array([1, 2], pa.int32())}
    )
    pq.write_table(table, tmp_path / "t.parquet")
    made = recipe.parse(
        {**TABLE, "dataset": [{"name": "a", "files": [str(tmp_path / "t.parquet")]}]}
    )
    rundir, plan = pipeline.run(made, str(tmp_path / "run"), inline)
    (row,) = _documents(rundir, plan)
    assert row["extra"] == {"tags": ["a"], "when": 1}
    books = pipeline.ledgers(rundir, plan)["extract"]["a"]
    assert books == {"in": [2, 3, 0], "kept": [1, 3, 0], "missing_text": [1, 0, 0]}


def test_every_line_is_a_document_or_a_listed_reject(tmp_path: Path, inline: InlineEngine) -> None:
    lines = [
        b'{"text": "good"}',
        b"{not json",
        b'{"text": 5}',
        b'{"text": "\xff"}',
        b'{"text": "  "}',
        b'{"text": "also"}',
    ]
    (tmp_path / "t.jsonl.gz").write_bytes(gzip.compress(b"\n".join(lines)))
    made = recipe.parse(
        {**TABLE, "dataset": [{"name": "a", "files": [str(tmp_path / "t.jsonl.gz")]}]}
    )
    rundir, plan = pipeline.run(made, str(tmp_path / "run"), inline)
    rejects = store.read_table(rundir.table("rejects", plan.shards[0])).to_pylist()
    assert len(_documents(rundir, plan)) + len(rejects) == len(lines)
    assert sorted(r["reason"] for r in rejects) == [
        "empty",
        "malformed",
        "missing_text",
        "undecodable",
    ]


def test_a_repeated_id_is_an_error_that_names_it(run_recipe: Callable[..., Any]) -> None:
    rows = [{"id": "same", "text": str(i)} for i in range(2)]
    with pytest.raises(InputError, match=r"'a': the id 'same' is there 2 times"):
        run_recipe({"a": rows}, TABLE)


def test_ids_of_archives_and_tables_without_ids_do_not_depend_on_the_folder(
    tmp_path: Path, inline: InlineEngine
) -> None:
    found = []
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "t.jsonl").write_text(json.dumps({"text": "hello"}) + "\n")
        made = recipe.parse(
            {**TABLE, "dataset": [{"name": "a", "files": [str(tmp_path / folder / "t.jsonl")]}]}
        )
        rundir, plan = pipeline.run(made, str(tmp_path / f"run-{folder}"), inline)
        found.append(Path(rundir.documents(plan.shards[0])).read_bytes())
    assert found[0] == found[1]


def test_only_the_wanted_languages_stay(run_recipe: Callable[..., Any]) -> None:
    rows = [
        {
            "id": "en",
            "text": "The committee will meet again on Thursday to discuss the proposal in detail.",
        },
        {
            "id": "de",
            "text": "Der Ausschuss wird am Donnerstag erneut zusammentreten, um den Vorschlag zu beraten.",
        },
    ]
    rundir, plan = run_recipe({"a": rows}, {**TABLE, "extract": {"languages": ["en"]}})
    assert [row["id"] for row in _documents(rundir, plan)] == ["en"]
    (reject,) = store.read_table(rundir.table("rejects", plan.shards[0])).to_pylist()
    assert reject["reason"] == "language"
    assert reject["detail"].startswith("de ")


def test_a_missing_column_is_named_with_those_that_are_there(
    tmp_path: Path, inline: InlineEngine
) -> None:
    (tmp_path / "t.jsonl").write_text('{"body": "hello"}\n')
    dataset = {"name": "a", "files": [str(tmp_path / "t.jsonl")]}
    with pytest.raises(Exception, match="body"):
        pipeline.run(recipe.parse({**TABLE, "dataset": [dataset]}), str(tmp_path / "run"), inline)
    made = recipe.parse({**TABLE, "dataset": [{**dataset, "text_column": "body"}]})
    rundir, plan = pipeline.run(made, str(tmp_path / "run2"), inline)
    assert _documents(rundir, plan)[0]["text"] == "hello"


def test_a_page_that_took_too_long_is_listed_and_the_run_says_so(
    tmp_path: Path, inline: InlineEngine
) -> None:
    bodies = [
        b"<p>" + b"A short page of a few words. " * 9,
        b"<p>" + b"<i>x</i> " * 180_000,
        b"<p>" + b"Another one, after it. " * 9,
    ]
    records = [
        b"WARC/1.0\r\nWARC-Type: resource\r\nWARC-Target-URI: http://a.example/%d\r\nContent-Type: text/html\r\n"
        b"Content-Length: %d\r\n\r\n%s\r\n\r\n" % (number, len(body), body)
        for number, body in enumerate(bodies)
    ]
    (tmp_path / "a.warc.gz").write_bytes(b"".join(map(gzip.compress, records)))
    config = {"extractor": "none", "max_page_s": 0.05}
    dataset = {"name": "a", "files": [str(tmp_path / "a.warc.gz")]}
    made = recipe.parse({**TABLE, "extract": config, "dataset": [dataset]})
    rundir, plan = pipeline.run(made, str(tmp_path / "run"), inline)
    assert [row["url"][-1] for row in _documents(rundir, plan)] == ["0", "2"]
    (reject,) = store.read_table(rundir.table("rejects", plan.shards[0])).to_pylist()
    assert (reject["reason"], reject["url"]) == ("too_slow", "http://a.example/1")
    assert reject["offset"] == len(gzip.compress(records[0]))
    (warning,) = pipeline.warnings(rundir)
    assert "1 pages as too_slow" in warning
    assert "other bytes" in warning


@pytest.mark.parametrize("digests", ["warn", "refuse", "ignore"])
def test_a_record_whose_bytes_were_changed(tmp_path: Path, inline: Any, digests: str) -> None:
    block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p>" + b"A mill by the river. " * 9
    heads = (
        f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://a.example/{i}\r\n{line}"
        f"Content-Type: application/http\r\nContent-Length: {len(block)}\r\n\r\n"
        for i, line in enumerate(("", f"WARC-Block-Digest: sha1:{'A' * 32}\r\n"))
    )
    data = b"".join(head.encode() + block + b"\r\n\r\n" for head in heads)
    (tmp_path / "a.warc").write_bytes(data)
    table = {
        "stages": ["extract"],
        "dataset": [{"name": "a", "files": [str(tmp_path / "a.warc")]}],
        "extract": {"digests": digests},
    }
    made = recipe.parse(table)
    rundir, plan = pipeline.run(made, str(tmp_path / "run"), inline, say=lambda _: None)
    counts = pipeline.ledgers(rundir, plan)["extract"]["a"]
    assert counts["kept"][0] == (1 if digests == "refuse" else 2)
    assert counts.get("malformed", [0])[0] == (digests == "refuse")
    said = [line for line in extract.warnings(rundir) if "1 records of a do not fit" in line]
    assert len(said) == (digests == "warn")


def _pieces(rundir: Any, plan: Any) -> list[bytes]:
    """The tokens of every piece of a run, in order of their values."""
    out = []
    for shard in plan.shards:
        for row in store.read_table(rundir.table("tokens", shard)).to_pylist():
            out += row["tokens"] or []  # none of a document that was removed
    return sorted(out)


def test_a_whole_run_as_input_means_the_pieces_that_it_kept(
    tiny_run: Path, tmp_path: Path, inline: InlineEngine
) -> None:
    described = [{"name": "again", "files": [str(tiny_run)]}]
    table = {"stages": ["extract", "tokenize"], "dataset": described}
    again = pipeline.run(recipe.parse(table), str(tmp_path / "run"), inline, say=lambda line: None)
    assert _pieces(*again) == _pieces(*plans.read(str(tiny_run)))
    documents = _documents(*again)
    assert {"language", "piece"} <= documents[0]["extra"].keys()
    assert not {"date", "archive", "content"} & documents[0]["extra"].keys()  # of rows of a table
    assert not {"content", "row", "extra"} & documents[0]["extra"].keys()
    assert len({row["id"] for row in documents}) == len(documents)


def test_a_filtered_run_as_input_means_what_dedup_kept(
    tiny_run: Path, tmp_path: Path, inline: InlineEngine
) -> None:
    from curation.rundir.sources import input_files

    earlier, plan = plans.read(str(tiny_run))
    stages = tuple(s for s in earlier.recipe.stages if s in ("extract", "classify", "dedup"))
    shorter = replace(earlier.recipe, stages=stages)
    copy = shutil.copytree(tiny_run, tmp_path / "earlier")
    plans.commit(RunDirectory(str(copy), shorter), plan)
    described = [{"name": "again", "files": [str(copy)]}]
    table = {"stages": ["extract"], "dataset": described}
    run = pipeline.run(recipe.parse(table), str(tmp_path / "run"), inline, say=lambda line: None)
    kept = [
        row["id"]
        for shard in plan.shards
        for row, keep in zip(
            store.read_table(earlier.survivors(shard)).to_pylist(),
            store.read_table(earlier.decision("dedup", shard)).column("keep").to_pylist(),
            strict=True,
        )
        if keep
    ]
    assert sorted(row["id"] for row in _documents(*run)) == sorted(kept)
    (files,) = input_files(*run[:1], run[0].recipe.dataset[0])
    assert all("dedup/decision" in file.path for file in files)


def _response(number: int) -> bytes:
    block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p>" + b"A mill by the river. " * 9
    return (
        b"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://a.example/%d\r\n"
        b"Content-Type: application/http\r\nContent-Length: %d\r\n\r\n%s%d\r\n\r\n"
    ) % (number, len(block) + 1, block, number)


def _run(tmp_path: Path, inline: Any, **extract_: Any) -> tuple[Any, Any]:
    table = {"stages": ["extract"], "extract": extract_}
    dataset = {"name": "a", "files": [str(tmp_path / "in")]}
    made = recipe.parse({**table, "dataset": [dataset]})
    return pipeline.run(made, str(tmp_path / "run"), inline, say=lambda _: None)


def test_damaged_archives_end_no_run_and_are_named(tmp_path: Path, inline: Any) -> None:
    members = [gzip.compress(_response(n)) for n in range(6)]
    for n in (2, 3):
        members[n] = members[n][:12] + b"\xff" * 40 + members[n][52:]
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "hurt.warc.gz").write_bytes(b"".join(members))
    front = b"\x5d\x2a\x4d\x18\x08\0\0\0\x37\xa4\x30\xecjunk"
    (tmp_path / "in" / "lost.warc.zst").write_bytes(front + zstandard.compress(_response(7)))
    (tmp_path / "in" / "whole.warc").write_bytes(_response(8))
    rundir, plan = _run(tmp_path, inline)
    assert [row["url"][-1] for row in _documents(rundir, plan)] == ["0", "1", "4", "5", "8"]
    assert pipeline.ledgers(rundir, plan)["extract"]["a"]["malformed"][0] == 3
    (warning,) = extract.warnings(rundir)
    assert "2 in hurt.warc.gz, 1 in lost.warc.zst;" in warning
    assert extract.damage(rundir) == {
        "a": {"lost in hurt.warc.gz": 2, "lost in lost.warc.zst": 1},
    }


def test_an_undamaged_archive_gives_no_warning(tmp_path: Path, inline: Any) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.warc").write_bytes(_response(0) + _response(1))
    rundir, _ = _run(tmp_path, inline)
    assert extract.damage(rundir) == {}
    assert extract.warnings(rundir) == []


@pytest.mark.parametrize("digests", ["warn", "refuse"])
def test_a_record_that_is_followed_by_bytes_of_no_record(
    tmp_path: Path, inline: Any, digests: str
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.warc").write_bytes(_response(0) + b"junk" + _response(1))
    rundir, plan = _run(tmp_path, inline, digests=digests)
    kept = [row["url"][-1] for row in _documents(rundir, plan)]
    assert kept == (["0", "1"] if digests == "warn" else ["1"])
    assert extract.damage(rundir)["a"].get(extract.MISFIT, 0) == (digests == "warn")


def test_pages_of_one_member_have_places_and_ids(tmp_path: Path, inline: Any) -> None:
    (tmp_path / "in").mkdir()
    data = gzip.compress(_response(0) + _response(1)) + gzip.compress(_response(2))
    (tmp_path / "in" / "a.warc.gz").write_bytes(data)
    rows = _documents(*_run(tmp_path, inline))
    start = len(gzip.compress(_response(0) + _response(1)))
    assert [(row["offset"], row["place"]) for row in rows] == [
        (0, 0),
        (0, len(_response(0))),
        (start, 0),
    ]
    assert len({row["id"] for row in rows}) == 3
