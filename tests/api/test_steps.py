"""Steps from Python: what the command writes of the same rows, in the user's own columns."""

from __future__ import annotations

import datetime
import inspect
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from tiny_corpus import QUOTE, sentences

import curation
import curation.api.files
import curation.api.memory
from curation.cli import main
from curation.errors import CurationError, InputError
from curation.recipe import tables

LONG = sentences(1, 30, "good")
TEXTS = [
    *(sentences(seed, 20, "good") for seed in range(8)),
    *(sentences(seed, 12, "spam") for seed in range(20, 26)),
    sentences(3, 20, "good"),  # a copy
    sentences(4, 20, "good").replace("winter of that", "summer of that", 1),  # nearly one
    f"{LONG}\nThey say {QUOTE}.\n{sentences(2, 30, 'good')}",
    f"They say {QUOTE}.",
    None,
    " \n\u3000",
]
ROWS = len(TEXTS)


def table(ids: bool = True) -> pa.Table:
    """Rows with columns of types that no table of a run directory has."""
    day = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    columns = {
        "when": pa.array([day] * ROWS, pa.timestamp("ms", "UTC")),
        "text": pa.array(TEXTS, pa.large_string()),
        "kind": pa.array([f"k{i % 3}" for i in range(ROWS)]).dictionary_encode(),
        "nested": pa.array([{"a": [i], "b": None} for i in range(ROWS)]),
        "reason": pa.array([f"mine {i}" for i in range(ROWS)]),
        "url": pa.array([f"http://h{i % 5}.example/{i}" for i in range(ROWS)]),
    }
    if ids:
        columns["id"] = pa.array(range(100, 100 + ROWS), pa.int32())
    return pa.table(columns)


def command(folder: Path, *args: str, ids: bool = True) -> dict[str, list[dict[str, Any]]]:
    """What a command writes of the same rows in a file, by folder."""
    narrow = table(ids).select([*(["id"] if ids else []), "text", "url", "reason"])
    pq.write_table(narrow, folder / "table.parquet")
    step, *options = args
    call = [step, str(folder / "table.parquet"), *options, "--out", str(folder / "run")]
    done = CliRunner().invoke(main, [*call, "--workers", "1"], prog_name="curation")
    assert done.exit_code == 0, done.output
    return {
        side: pq.read_table(folder / "run" / side).to_pylist()
        for side in ("kept", "removed")
        if (folder / "run" / side).exists()
    }


def same(ours: pa.Table, theirs: list[dict[str, Any]]) -> None:
    """The command's columns have the same values; the user's others are there too."""
    assert theirs
    names = list(theirs[0])
    assert ours.select(names).to_pylist() == theirs
    assert {"when", "kind", "nested"} <= set(ours.column_names)


def own_types(result: curation.api.results.Result) -> None:  # type: ignore[name-defined]
    given = table().schema
    for side in (result.kept, result.removed):
        for name in ("when", "kind", "nested", "id"):
            assert side.schema.field(name).type == given.field(name).type
        assert side.column_names[:4] == ["when", "text", "kind", "nested"]


def by_stage(removed: pa.Table) -> tuple[pa.Table, list[str]]:
    """Rows that the step removed, and the reasons of those it has not seen."""
    unread = [r in ("missing_text", "empty") for r in removed.column("reason").to_pylist()]
    seen = removed.filter(pa.array([not u for u in unread]))
    return seen, removed.filter(pa.array(unread)).column("reason").to_pylist()


def test_dedup_is_the_command(tmp_path: Path) -> None:
    result = curation.dedup(table())
    theirs = command(tmp_path, "dedup")
    removed, unread = by_stage(result.removed)
    same(result.kept, theirs["kept"])
    same(removed, theirs["removed"])
    assert unread == ["missing_text", "empty"]
    assert sorted(removed.column("reason").to_pylist()) == ["duplicate", "exact_duplicate"]
    assert removed.schema.field("kept_id").type == pa.int32()
    own_types(result)
    assert result.count("in", "extract") == ROWS
    assert result.kept.num_rows + result.removed.num_rows == ROWS
    assert result.removed.column("id").to_pylist() == sorted(
        result.removed.column("id").to_pylist()
    )


def test_made_ids_are_those_of_the_command(tmp_path: Path) -> None:
    result = curation.dedup(table(ids=False))
    theirs = command(tmp_path, "dedup", ids=False)
    assert result.kept.column_names[0] == "id"
    same(result.kept, theirs["kept"])
    same(by_stage(result.removed)[0], theirs["removed"])


def test_classify_is_the_command(tmp_path: Path) -> None:
    good = pa.table({"text": [sentences(500 + i, 15, "good") for i in range(40)]})
    bad = pa.table({"text": [sentences(700 + i, 15, "spam") for i in range(40)]})
    pq.write_table(good, tmp_path / "good.parquet")
    pq.write_table(bad, tmp_path / "bad.parquet")
    shipped = curation.classify(table(), alpha=1.0)
    same_shipped = command(tmp_path, "classify", "--alpha", "1")
    same(by_stage(shipped.removed)[0], same_shipped["removed"])
    assert any("ships with curation" in line for line in shipped.warnings)
    fitted = curation.classify(
        table(), positives=good, negatives=tmp_path / "bad.parquet", alpha=2.0, scaling="tf"
    )
    assert fitted.model.card["scaling"] == "tf"
    again = curation.classify(table(), model=fitted.model, alpha=2.0)
    assert again.kept.column("quality").equals(fitted.kept.column("quality"))
    assert shipped.kept.num_rows + shipped.removed.num_rows == ROWS
    own_types(fitted)


def test_decontaminate_is_the_command(tmp_path: Path) -> None:
    (tmp_path / "quotes.jsonl").write_text(json.dumps({"text": QUOTE}))
    theirs = command(tmp_path, "decontaminate", "--benchmarks", str(tmp_path / "quotes.jsonl"))
    for benchmarks in (tmp_path / "quotes.jsonl", {"quotes": [QUOTE]}):
        result = curation.decontaminate(table(), benchmarks)
        same(result.kept, theirs["kept"])
        removed, unread = by_stage(result.removed)
        same(removed, theirs["removed"])
        assert removed.column("reason").to_pylist() == ["no_piece_left"]
        assert len(unread) == 2
        hits = pq.read_table(tmp_path / "run" / "hits.parquet")
        places = ["id", "start", "end", "benchmark", "gram"]
        assert result.hits.select(places).equals(hits.select(places))
    pieces = [row for row in result.kept.to_pylist() if row["id"] == 100 + 16]
    assert [row["piece"] for row in pieces] == [0, 1]
    assert not any(QUOTE in row["text"] for row in result.kept.to_pylist())
    assert result.kept.schema.field("text").type == pa.large_string()
    own_types(result)


def test_against_removes_what_another_corpus_has(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": ["o"], "text": [TEXTS[5]]}), tmp_path / "old.parquet")
    for against in ([TEXTS[5]], tmp_path / "old.parquet"):
        removed = curation.dedup(table(), against=against).removed.to_pylist()
        row = next(row for row in removed if row["id"] == 105)
        assert (row["reason"], row["kept_dataset"]) == ("exact_duplicate", "reference")
    assert row["kept_id"] == "o"


def test_with_out_the_run_directory_stays(tmp_path: Path) -> None:
    out = tmp_path / "run"
    result = curation.dedup(iter(table().to_pylist()), out=out)
    memory = curation.dedup(table())
    for name in ("id", "text", "url"):
        assert result.kept.column(name).to_pylist() == memory.kept.column(name).to_pylist()
    assert result.ledger.equals(memory.ledger)
    run = curation.Run.open(str(result.out))
    assert run.table("dedup").num_rows == ROWS - 2
    with pytest.raises(InputError, match="no such"):
        curation.dedup(str(tmp_path / "nothing.parquet"), out=out)
    with pytest.raises(CurationError, match=r"made by another recipe .* add update=True"):
        curation.dedup(["a", "b"], out=out, min_jaccard=0.5)
    again = curation.dedup(["a", "b"], out=out, min_jaccard=0.5, update=True)
    assert again.kept.num_rows == 2
    assert curation.dedup(run).kept.num_rows == 2


def test_benchmarks_and_models_in_memory_stay_with_the_run(tmp_path: Path) -> None:
    """The same call goes on where it stopped: what it names lies in the directory."""
    for _ in range(2):
        curation.decontaminate(["a text"], {"quotes": [QUOTE]}, out=tmp_path / "clean")
        model = curation.QualityClassifier.shipped()
        curation.classify(["a text"], model=model, out=tmp_path / "good")


def test_files_are_read_as_the_command_reads_them(tmp_path: Path) -> None:
    theirs = command(tmp_path, "dedup")
    result = curation.dedup(tmp_path / "table.parquet", workers=1)
    assert result.kept.to_pylist() == theirs["kept"]
    assert result.removed.to_pylist() == theirs["removed"]
    assert result.rejects.column("reason").to_pylist() == ["missing_text", "empty"]
    assert result.out is None


@pytest.mark.parametrize("data", [[], [None, ""], pa.table({"text": pa.array([], pa.string())})])
def test_nothing_in_nothing_out(data: Any) -> None:
    for result in (
        curation.dedup(data),
        curation.classify(data),
        curation.decontaminate(data, [QUOTE]),
    ):
        assert result.kept.num_rows == 0
        assert result.removed.num_rows == len(data)
        assert "reason" in result.removed.column_names
        assert repr(result)
    assert {"quality", "text"} <= set(curation.classify(data).kept.column_names)
    assert curation.tokenize(data).kept.column_names == ["id", "text", "tokens"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: curation.dedup(["a"], min_jaccard=2), r"^dedup: min_jaccard: a number"),
        (lambda: curation.dedup(["a"], workers=-1), "a number of processes expected, got -1"),
        (lambda: curation.dedup(["a"], against="no such"), r"^against: .*no such file"),
        (lambda: curation.filter(["a"]), "rules, drop, mask or signals expected"),
        (lambda: curation.filter(["a"], drop="words < 5"), "drop: a dict .* got 'words < 5'"),
        (lambda: curation.filter(["a"], mask={5: "x"}), "mask: a dict of names .* got {5: 'x'}"),
        (
            lambda: curation.filter(["a"], signals=5),
            "signals: a list of names or functions .* got 5",
        ),
        (lambda: curation.filter(["a"], signals=len), "a function of a module expected"),
        (lambda: curation.filter(["a"], rules=5), "rules: a list of names expected, got 5"),
        (lambda: curation.classify(["a"], signals=[5]), r"a list of names expected, got \[5\]"),
        (lambda: curation.QualityClassifier(signals=5), "a list of names expected, got 5"),
        (lambda: curation.QualityClassifier.shipped().save(__file__), "a file is there"),
        (lambda: curation.dedup(["a"], out=__file__), "a file is there; name a folder with out="),
        (lambda: curation.classify(["a"], model=3), "the folder of one expected, got 3"),
        (lambda: curation.tokenize(["a"], encoding="no"), r"Unknown encoding no\.\); use"),
        (lambda: curation.dedup(["a"], against=["b"], index="x"), "either against or index"),
        (lambda: curation.classify(["a"], positives=["b"], model="x"), "positives or model"),
        (lambda: curation.classify(["a"], model="nowhere"), "not a model"),
        (lambda: curation.decontaminate(["a"], {}), "at least one expected"),
        (lambda: curation.decontaminate(["a"], {"../x": ["b"]}), "letters, digits"),
        (lambda: curation.dedup("no such file"), "give texts as a list"),
        (lambda: curation.dedup(pa.table({"id": ["a", "a"], "text": ["b", "c"]})), "there 2 times"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(call: Any, message: str) -> None:
    with pytest.raises(CurationError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("function", "config"),
    [
        (curation.dedup, tables.DedupConfig),
        (curation.classify, tables.ClassifyConfig),
        (curation.decontaminate, tables.DecontaminateConfig),
        (curation.tokenize, tables.TokenizeConfig),
        (curation.mix, tables.MixConfig),
        (curation.read, tables.ExtractConfig),
        (curation.QualityClassifier, tables.ClassifyConfig),
    ],
)
def test_defaults_are_those_of_the_recipe(function: Any, config: Any) -> None:
    others = {"index", "weights", "by_weights", "model", "positives", "negatives"}  # None here
    fields = config.__dataclass_fields__
    checked = 0
    for name, parameter in inspect.signature(function).parameters.items():
        if name in fields and name not in others and parameter.default is not parameter.empty:
            assert parameter.default == fields[name].default
            checked += 1
    assert checked


def broken() -> Any:
    yield "one text"
    raise OSError("gone")


def test_an_iterator_that_raises_leaves_nothing(tmp_path: Path) -> None:
    """Neither a new directory nor a change of one that is there."""
    with pytest.raises(InputError, match=r"data: reading it raised OSError after 1 rows"):
        curation.dedup(broken(), out=tmp_path / "new")
    assert list(tmp_path.iterdir()) == []
    done = curation.dedup(["one", "two"], out=tmp_path / "old")
    before = {p: p.read_bytes() for p in (tmp_path / "old").rglob("*") if p.is_file()}
    with pytest.raises(InputError, match="raised OSError"):
        curation.dedup(broken(), out=tmp_path / "old")
    after = {p: p.read_bytes() for p in (tmp_path / "old").rglob("*") if p.is_file()}
    assert after == before
    assert done.kept.num_rows == 2


@pytest.mark.parametrize(
    "call",
    [
        lambda out: curation.decontaminate(["a"], broken(), out=out),
        lambda out: curation.decontaminate(["a"], [], out=out),
        lambda out: curation.filter(["a"], drop={"x": "wrds < 3"}, out=out),
        lambda out: curation.classify(["a"], model="nowhere", out=out),
        lambda out: curation.tokenize(["a"], encoding="no", out=out),
        lambda out: curation.dedup(["a"], index="nowhere", out=out),
        lambda out: curation.dedup([{"id": 1, "text": "a"}, {"id": 1, "text": "b"}], out=out),
        lambda out: curation.dedup([None, ""], out=out),
    ],
)
def test_what_fails_while_it_reads_leaves_nothing(call: Any, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    for out in (tmp_path / "new", tmp_path / "there"):
        with pytest.raises(CurationError) as caught:
            call(out)
        assert "\n" not in str(caught.value)
        assert "rejects" not in str(caught.value)
    assert [path.name for path in tmp_path.rglob("*")] == ["there"]


def test_one_signal_or_set_of_rules_needs_no_list() -> None:
    alone = curation.filter(["a b"], rules="c4", signals="words")
    listed = curation.filter(["a b"], rules=["c4"], signals=["words"])
    assert alone.removed.equals(listed.removed)
    assert "words" in alone.removed.column_names


def test_a_folder_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    for call in (
        lambda: curation.dedup(["a"], out=tmp_path),
        lambda: curation.decontaminate(["a"], ["b"], out=tmp_path),
        lambda: curation.classify(["a"], model=curation.QualityClassifier.shipped(), out=tmp_path),
    ):
        with pytest.raises(CurationError, match=r"not a run directory.* a new folder with out="):
            call()
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_shards_and_workers_change_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    whole = curation.dedup(table())
    monkeypatch.setattr(curation.api.memory, "SHARD_ROWS", 5)
    parts = curation.dedup(table(), workers=2)
    assert parts.kept.equals(whole.kept)
    assert parts.removed.equals(whole.removed)
    assert parts.rejects.equals(whole.rejects)
    monkeypatch.setattr(curation.api.files, "PART_BYTES", 1)
    batches = table().to_reader(max_chunksize=4)
    written = curation.dedup(batches, out=tmp_path / "run", workers=1)
    assert len(list((tmp_path / "run" / "downloads" / "input").iterdir())) == 5
    assert written.kept.column("id").to_pylist() == whole.kept.column("id").to_pylist()
    assert written.ledger.equals(whole.ledger)


def test_temporary_files_are_gone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    curation.dedup(["a", "b"])
    curation.decontaminate(["a"], ["b"])
    with pytest.raises(InputError):
        curation.dedup(broken())
    assert list(tmp_path.iterdir()) == []
