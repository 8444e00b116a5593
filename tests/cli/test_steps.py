"""Steps on one's own files: what they leave in kept/ and removed/, whatever the user's columns are called."""

from __future__ import annotations

import datetime
import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from internet import internet

from curation.cli import main
from curation.rundir.schema import REASONS

TEXT = "the quick brown fox jumps over the lazy dog while nobody looks at the old red barn beside the road"


def call(*args: str) -> Result:
    return CliRunner().invoke(main, list(args), prog_name="curation")


def jsonl(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def read(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return rows


def test_kept_and_removed_hold_every_input_row_once(tmp_path: Path) -> None:
    rows = [{"id": str(i), "text": TEXT + f" {i % 3}", "n": i} for i in range(9)]
    result = call(
        "dedup", jsonl(tmp_path / "a.jsonl", rows), "--out", str(tmp_path / "o"), "--workers", "1"
    )
    assert result.exit_code == 0, result.output
    kept, removed = read(tmp_path / "o" / "kept"), read(tmp_path / "o" / "removed")
    assert sorted(row["n"] for row in kept + removed) == list(range(9))
    assert {row["kept_id"] for row in removed} <= {row["id"] for row in kept}
    assert all(row["jaccard"] >= 0.8 for row in removed)
    assert call("check", str(tmp_path / "o")).exit_code == 0
    assert call("explain", str(tmp_path / "o"), removed[0]["id"]).exit_code == 0


def test_an_earlier_run_is_the_index_of_the_next(tmp_path: Path) -> None:
    """What it kept is found, shown beside what left for it, and both runs are whole."""
    text = " ".join(f"{TEXT} {i}" for i in range(5))
    old = jsonl(tmp_path / "old.jsonl", [{"id": "o", "text": text, "url": "http://old/"}])
    new = jsonl(
        tmp_path / "new.jsonl",
        [{"id": "n", "text": text + " more"}, {"id": "m", "text": "quite another text"}],
    )
    first, second = str(tmp_path / "first"), str(tmp_path / "second")
    assert call("dedup", old, "--out", first, "--workers", "1").exit_code == 0
    result = call("dedup", new, "--index", first, "--out", second, "--workers", "1")
    assert result.exit_code == 0, result.output
    (removed,) = read(tmp_path / "second" / "removed")
    assert (removed["id"], removed["kept_id"], removed["reason"]) == ("n", "o", "duplicate")
    explained = call("explain", second, "n")
    assert explained.exit_code == 0, explained.output
    assert "http://old/" in explained.output
    assert "1 of input removed" in call("clusters", second).output
    assert call("check", second).exit_code == 0
    refused = call(
        "dedup",
        new,
        "--index",
        first,
        "--out",
        str(tmp_path / "third"),
        "--bands",
        "9",
        "--workers",
        "1",
    )
    assert refused.exit_code == 1
    assert "made with --bands = 20, and here it is 9" in " ".join(refused.output.split())
    assert not (tmp_path / "third").exists()


def test_a_run_that_removes_nothing_can_be_explained(tmp_path: Path) -> None:
    path = jsonl(
        tmp_path / "a.jsonl", [{"id": "x", "text": TEXT}, {"id": "y", "text": "quite another text"}]
    )
    assert call("dedup", path, "--out", str(tmp_path / "o")).exit_code == 0
    result = call("explain", str(tmp_path / "o"), "x")
    assert result.exit_code == 0, result.output


def test_columns_called_as_ours_are_kept_under_another_name(tmp_path: Path) -> None:
    rows = [
        {"id": str(i), "text": TEXT, "reason": "mine", "jaccard": "mine", "piece": "p"}
        for i in range(2)
    ]
    assert (
        call("dedup", jsonl(tmp_path / "a.jsonl", rows), "--out", str(tmp_path / "o")).exit_code
        == 0
    )
    (kept,), (removed,) = read(tmp_path / "o" / "kept"), read(tmp_path / "o" / "removed")
    assert (kept["id"], kept["input_reason"], kept["input_jaccard"]) == ("0", "mine", "mine")
    assert (removed["reason"], removed["input_reason"], removed["jaccard"]) == (
        "exact_duplicate",
        "mine",
        1.0,
    )


def _kept_table(out: Path) -> pa.Table:
    (path,) = (out / "kept").glob("*.parquet")
    return pq.read_table(path)


def test_columns_come_out_as_they_went_in(tmp_path: Path) -> None:
    table = pa.table(
        {
            "vector": pa.array([[1.0, 2.0]], pa.list_(pa.float32(), 2)),
            "text": ["a page of text"],
            "quality": [0.5],
            "id": pa.array([7], pa.int32()),
            "half": pa.array([0.5], pa.float16()),
            "kind": pa.array(["a"]).dictionary_encode(),
            "at": pa.array([[{"when": 0}]], pa.list_(pa.struct([("when", pa.timestamp("us"))]))),
            "count": pa.array([(1 << 64) - 1], pa.uint64()),
        }
    )
    pq.write_table(table, tmp_path / "t.parquet")
    assert call("dedup", str(tmp_path / "t.parquet"), "--out", str(tmp_path / "o")).exit_code == 0
    kept = _kept_table(tmp_path / "o")
    assert kept.column_names == [*table.column_names, "cluster_size"]
    assert kept.schema.field("id").type == pa.int32()
    assert kept.schema.field("vector").type == pa.list_(pa.float32(), 2)
    assert kept.to_pylist() == [
        {
            "vector": [1.0, 2.0],
            "text": "a page of text",
            "quality": 0.5,
            "id": 7,
            "half": 0.5,
            "kind": "a",
            "at": [{"when": "1970-01-01T00:00:00"}],
            "count": (1 << 64) - 1,
            "cluster_size": 1,
        }
    ]
    result = call("decontaminate", str(tmp_path / "o"), "--benchmarks", _benchmark(tmp_path),
                  "--out", str(tmp_path / "p"))  # fmt: skip
    assert result.exit_code == 0, result.output
    pieces = _kept_table(tmp_path / "p")
    assert pieces.column_names == [*table.column_names, "cluster_size", "piece"]
    assert (pieces["id"].to_pylist(), pieces["quality"].to_pylist()) == ([7], [0.5])


def _benchmark(folder: Path) -> str:
    words = " ".join(f"word{n}" for n in range(20))
    return jsonl(folder / "benchmark.jsonl", [{"id": "b", "text": words}])


def test_an_id_that_is_not_there_comes_first_and_makes_all_ids_text(tmp_path: Path) -> None:
    rows = [{"text": "one", "n": 1}, {"text": "two", "id": 5}]
    path = jsonl(tmp_path / "a.jsonl", rows)
    assert call("dedup", path, "--out", str(tmp_path / "o")).exit_code == 0
    kept = _kept_table(tmp_path / "o")
    assert kept.column_names == ["id", "text", "n", "cluster_size"]
    assert kept["id"].to_pylist()[1] == "5"


def test_integer_ids_of_kept_documents_can_be_joined(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", [{"id": 5 + n, "text": TEXT} for n in range(2)])
    assert call("dedup", path, "--out", str(tmp_path / "o")).exit_code == 0
    (kept,), (removed,) = read(tmp_path / "o" / "kept"), read(tmp_path / "o" / "removed")
    assert {type(kept["id"]), type(removed["kept_id"])} == {int}
    assert kept["id"] == removed["kept_id"] != removed["id"]


def test_an_address_that_is_no_string_is_kept(tmp_path: Path) -> None:
    for name, urls in {"lists": [["u", "v"], None], "mixed": [["u"], "http://m/"]}.items():
        rows = [{"url": url, "id": n, "text": f"text {n}"} for n, url in enumerate(urls)]
        path = jsonl(tmp_path / f"{name}.jsonl", rows)
        assert call("dedup", path, "--out", str(tmp_path / name)).exit_code == 0
    assert _kept_table(tmp_path / "lists")["url"].to_pylist() == [["u", "v"], None]
    assert _kept_table(tmp_path / "mixed")["url"].to_pylist() == ['["u"]', "http://m/"]
    names = _kept_table(tmp_path / "mixed").column_names
    assert names == ["url", "id", "text", "cluster_size"]


def test_files_of_different_types_make_one_table(tmp_path: Path) -> None:
    a = jsonl(tmp_path / "a.jsonl", [{"id": "1", "text": "one", "x": 1}])
    b = jsonl(
        tmp_path / "b.jsonl",
        [{"id": "2", "text": "two", "x": "s"}, {"id": "3", "text": "six", "x": (1 << 64) - 1}],
    )
    result = call("dedup", a, b, "--out", str(tmp_path / "o"))
    assert result.exit_code == 0, result.output
    assert [row["x"] for row in read(tmp_path / "o" / "kept")] == ["1", "s", str((1 << 64) - 1)]


def test_parquet_of_any_types(tmp_path: Path) -> None:
    table = pa.table(
        {
            "text": ["hello there"],
            "when": pa.array([datetime.datetime(2020, 1, 2)], pa.timestamp("us")),
            "day": pa.array([datetime.date(2020, 1, 2)]),
            "price": pa.array(["1.50"]).cast(pa.decimal128(5, 2)),
            "pairs": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())),
            "list": [[1, 2]],
            "kind": pa.array(["a"]).dictionary_encode(),
        }
    )
    pq.write_table(table, tmp_path / "t.parquet")
    result = call("dedup", str(tmp_path / "t.parquet"), "--out", str(tmp_path / "o"))
    assert result.exit_code == 0, result.output
    (row,) = read(tmp_path / "o" / "kept")
    assert (row["day"], row["price"], row["list"], row["kind"]) == (
        "2020-01-02",
        "1.50",
        [1, 2],
        "a",
    )


def test_another_input_leaves_nothing_of_the_old_one(tmp_path: Path) -> None:
    a, b = (
        jsonl(tmp_path / f"{n}.jsonl", [{"id": n, "text": f"text of {n}", "label": "OLD"}])
        for n in "ab"
    )
    out = str(tmp_path / "o")
    assert call("dedup", a, b, "--out", out).exit_code == 0
    assert len(read(tmp_path / "o" / "kept")) == 2
    assert call("dedup", a, "--out", out, "--update").exit_code == 0
    assert [row["id"] for row in read(tmp_path / "o" / "kept")] == ["a"]
    jsonl(Path(a), [{"id": "a", "text": "text of a", "label": "NEW"}])
    os.utime(a, ns=(1, 1))
    assert call("dedup", a, "--out", out).exit_code == 0
    assert [row["label"] for row in read(tmp_path / "o" / "kept")] == ["NEW"]


def test_copies_of_a_reference_leave_even_without_words(tmp_path: Path) -> None:
    reference = jsonl(tmp_path / "r.jsonl", [{"id": "r", "text": "!!!"}, {"id": "s", "text": TEXT}])
    rows = [
        {"id": "1", "text": "!!!"},
        {"id": "2", "text": "???"},
        {"id": "3", "text": TEXT},
        {"id": "4", "text": TEXT},
    ]
    path = jsonl(tmp_path / "a.jsonl", rows)
    assert call("dedup", path, "--against", reference, "--out", str(tmp_path / "o")).exit_code == 0
    assert [row["id"] for row in read(tmp_path / "o" / "kept")] == ["2"]
    removed = {
        row["id"]: (row["kept_id"], row["kept_dataset"]) for row in read(tmp_path / "o" / "removed")
    }
    assert removed == {"1": ("r", "reference"), "3": ("s", "reference"), "4": ("s", "reference")}


def test_pieces_can_be_read_again(tmp_path: Path) -> None:
    quote = " ".join(f"word{i}" for i in range(13))
    filler = " ".join(f"some{i}" for i in range(60))
    path = jsonl(tmp_path / "a.jsonl", [{"id": "x", "text": f"{filler} {quote} {filler}"}])
    benchmark = jsonl(tmp_path / "b.jsonl", [{"q": quote}])
    assert (
        call(
            "decontaminate", path, "--benchmarks", benchmark, "--out", str(tmp_path / "o")
        ).exit_code
        == 0
    )
    assert [(row["id"], row["piece"]) for row in read(tmp_path / "o" / "kept")] == [
        ("x", 0),
        ("x", 1),
    ]
    assert {row["gram"] for row in read(tmp_path / "o" / "hits.parquet")} == {quote}
    result = call("tokenize", str(tmp_path / "o" / "kept"), "--out", str(tmp_path / "t"))
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["web=T", "web=T", "--weights", "web=1"], "'web' is named twice"),
        (["a=T", "b=T", "--weights", "a=1"], "'b' has no weight"),
        (["a=T", "--weights", "a=1,c=1"], "'c' has a weight, but no NAME=DIR"),
        (["a", "--weights", "a=1"], "NAME=DIR expected, got 'a'"),
        (["a=T", "--weights", "a=x"], "a weight is a number, got 'x'"),
    ],
)
def test_mixtures_that_cannot_be_meant(
    arguments: list[str], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = call("mix", *arguments, "--tokens", "10", "--out", "o")
    assert result.exit_code == 2
    assert expected in result.output
    nothing = call("mix", "a=T", "--tokens", "10", "--out", "o")
    assert nothing.exit_code == 2
    assert "T: no tokens there" in nothing.output
    Path("T/tokens/a").mkdir(parents=True)
    nan = call("mix", "a=T", "--weights", "a=nan", "--tokens", "10", "--out", "o")
    assert nan.exit_code == 1
    assert "a finite number expected" in nan.output


def test_an_input_at_an_address_is_brought_first(tmp_path: Path) -> None:
    rows = b"".join(b'{"id": "%d", "text": "%s"}\n' % (n, TEXT.encode()) for n in range(3))
    with internet() as server:
        server.files["/a.jsonl"] = rows
        out = tmp_path / "o"
        result = call("dedup", f"{server.url}/a.jsonl", "--out", str(out), "--workers", "1")
    assert result.exit_code == 0, result.output
    assert len(read(out / "kept")) + len(read(out / "removed")) == 3
    assert (out / "downloads" / "input" / "a.jsonl").read_bytes() == rows


def test_junk_parquet_is_named(tmp_path: Path) -> None:
    for content in (b"", b"junk" * 100):
        (tmp_path / "bad.parquet").write_bytes(content)
        result = call("dedup", str(tmp_path / "bad.parquet"), "--out", str(tmp_path / "o"))
        assert result.exit_code == 1
        assert "bad.parquet: not a Parquet file" in result.output


def test_a_mixture_without_weights_takes_everything_once(tmp_path: Path) -> None:
    runs = []
    for name, n in (("a", 3), ("b", 8)):
        rows = [{"id": f"{name}{i}", "text": f"{name} {i} {TEXT}"} for i in range(n)]
        run = str(tmp_path / f"run-{name}")
        made = call("tokenize", jsonl(tmp_path / f"{name}.jsonl", rows), "--out", run)
        assert made.exit_code == 0, made.output
        runs.append(f"{name}={run}")
    out = tmp_path / "mixed"
    options = ["--validation", "0", "--shards", "2", "--parquet", "--workers", "1", "--out"]
    refused = call("mix", *runs, "--weights", "a=1,b=1", "--tokens", "9999999", *options, str(out))
    assert refused.exit_code == 1
    assert "--max-epochs allows 16" in " ".join(refused.output.split())
    assert not (out / "shards").exists()
    assert not (out / "tokens").exists()
    result = call("mix", *runs, *options, str(out))
    assert result.exit_code == 0, result.output
    ids = sorted(row["id"] for i in range(2) for row in read(out / f"shards/train-0000{i}.parquet"))
    assert ids == sorted([f"a{i}" for i in range(3)] + [f"b{i}" for i in range(8)])


def test_each_input_has_column_names_of_its_own(tmp_path: Path) -> None:
    new = jsonl(
        tmp_path / "new.jsonl", [{"key": "n1", "body": TEXT}, {"key": "n2", "body": "other words"}]
    )
    old = jsonl(tmp_path / "old.jsonl", [{"name": "o1", "content": TEXT}])
    options = ["--text-column", "body", "--id-column", "key", "--against-text-column", "content"]
    out = tmp_path / "o"
    result = call(
        "dedup", new, "--against", old, *options, "--against-id-column", "name", "--out", str(out),
        "--workers", "1",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert [row["kept_id"] for row in read(out / "removed")] == ["o1"]
    assert [row["key"] for row in read(out / "kept")] == ["n2"]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["tokenize", "INPUT", "--text-column", "absent"], "--text-column"),
        (["extract", "INPUT", "--languages", "EN"], "Error: --languages: a code such as 'en'"),
        (["dedup", "INPUT", "--bands", "auto", "--min-jaccard", "0.01", "--hashes", "1"], "--"),
    ],
)
def test_errors_speak_of_the_options_that_were_typed(
    tmp_path: Path, args: list[str], said: str
) -> None:
    path = jsonl(tmp_path / "a.jsonl", [{"text": TEXT}])
    filled = [path if arg == "INPUT" else arg for arg in args]
    result = call(*filled, "--out", str(tmp_path / "o"), "--workers", "1")
    assert result.exit_code == 1
    assert said in result.output
    for word in ("text_column", "command line", "extract:", "dedup."):
        assert word not in result.output.replace("extract: columns", "")


def test_strict_has_an_exit_code_for_damaged_archives(tmp_path: Path) -> None:
    block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p>" + TEXT.encode() * 3
    one = (
        b"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://a.example/\r\n"
        b"Content-Length: %d\r\n\r\n%s\r\n\r\n" % (len(block), block)
    )
    for name, data, code in (("whole", one, 0), ("cut", one + one[:200], 3)):
        path = tmp_path / f"{name}.warc"
        path.write_bytes(data)
        out = str(tmp_path / name)
        result = call("extract", str(path), "--out", out, "--workers", "1", "--strict")
        assert result.exit_code == code, result.output
        assert (f"1 in {name}.warc;" in " ".join(result.output.split())) == bool(code)
    assert call("extract", str(path), "--out", out, "--workers", "1").exit_code == 0


def test_reasons_are_listed_with_their_meaning() -> None:
    result = call("reasons")
    assert all(name in result.output for name in REASONS)
    assert "MediaWiki" in call("reasons", "stub").output
    assert "words < 50" in call("reasons", "gopher_few_words").output
    assert "did you mean 'low_quality'" in call("reasons", "low_qualty").output
