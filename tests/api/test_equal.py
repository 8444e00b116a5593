"""`filter`, `tokenize` and `classify` with a fitted model give what their commands write of the same
rows, in one shard or several, with and without workers."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from tiny_corpus import sentences

import curation
import curation.api.memory
from curation.cli import main
from curation.errors import InputError

TEXTS = [
    *(sentences(seed, 12 + seed, "good") for seed in range(9)),
    *(sentences(seed, 4 + seed % 5, "spam") for seed in range(30, 38)),
    "Write to ada@example.org. " + sentences(50, 9, "good"),
    "few words",
]
TABLE = pa.table({"id": [f"d{i}" for i in range(len(TEXTS))], "text": TEXTS})
GOOD = [sentences(500 + i, 15, "good") for i in range(40)]
BAD = [sentences(700 + i, 15, "spam") for i in range(40)]


def command(folder: Path, step: str, *options: str) -> Path:
    """The run directory that a command writes of the table."""
    pq.write_table(TABLE, folder / "table.parquet")
    call = [step, str(folder / "table.parquet"), *options, "--out", str(folder / "run")]
    done = CliRunner().invoke(main, [*call, "--workers", "1"], prog_name="curation")
    assert done.exit_code == 0, done.output
    return folder / "run"


def same(ours: pa.Table, theirs: Path) -> None:
    """Rows and values, in every column that the command wrote."""
    table = pq.read_table(theirs)
    assert table.num_rows
    assert set(table.column_names) <= set(ours.column_names)
    assert ours.select(table.column_names).to_pylist() == table.to_pylist()


@pytest.fixture(params=["one shard", "shards and workers"])
def workers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int | None:
    if request.param == "one shard":
        return None
    monkeypatch.setattr(curation.api.memory, "SHARD_ROWS", 5)
    return 2


def test_filter_is_the_command(tmp_path: Path, workers: int | None) -> None:
    drop = {"few_words": "words < 120", "short_words": "mean_word_length < 4.5"}
    options = ["--mask", "email", "NAME"]
    for name, expression in drop.items():
        options += ["--drop", name, expression]
    theirs = command(tmp_path, "filter", *options)
    result = curation.filter(TABLE, drop=drop, mask={"email": "NAME"}, workers=workers)
    same(result.kept, theirs / "kept")
    same(result.removed, theirs / "removed")
    assert {"reason", "fired", "words"} <= set(result.removed.column_names)


def test_tokenize_is_the_command(tmp_path: Path, workers: int | None) -> None:
    theirs = curation.Run.open(command(tmp_path, "tokenize")).table("tokens")
    result = curation.tokenize(TABLE, workers=workers)
    assert result.kept.column("id").to_pylist() == theirs.column("id").to_pylist()
    whole = [b"".join(pieces) for pieces in theirs.column("tokens").to_pylist()]
    ours = result.kept.column("tokens").combine_chunks()
    width = 2
    assert [len(t) * width for t in ours.to_pylist()] == [len(data) for data in whole]
    assert b"".join(
        token.to_bytes(width, "little") for tokens in ours.to_pylist() for token in tokens
    ) == b"".join(whole)


def test_classify_with_a_fitted_model_is_the_command(tmp_path: Path, workers: int | None) -> None:
    model = curation.QualityClassifier(scaling="tf", signals=()).fit(GOOD, BAD)
    model.save(tmp_path / "model")
    theirs = command(tmp_path, "classify", "--model", str(tmp_path / "model"), "--alpha", "0.5")
    result = curation.classify(TABLE, model=model, alpha=0.5, workers=workers)
    same(result.kept, theirs / "kept")
    same(result.removed, theirs / "removed")


def test_a_result_is_data_for_the_next_step() -> None:
    quote = "the harbour master wrote the names of all nine boats into the green ledger at dawn"
    long = f"{sentences(1, 30, 'good')} {quote}. {sentences(2, 30, 'good')}"
    clean = curation.decontaminate([long, TEXTS[0]], [quote])
    ids = clean.kept.column("id").to_pylist()
    assert len(ids) == 3
    assert len(set(ids)) == 2
    tokens = curation.tokenize(clean)
    assert tokens.kept.column("id").to_pylist() == [f"{ids[0]}/0", f"{ids[0]}/1", ids[2]]
    assert pa.table(curation.dedup(TABLE)).equals(curation.dedup(TABLE).kept)


def test_notebooks_show_why_first_and_no_whole_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = curation.filter(TABLE, rules="gopher")
    assert "<th>reason</th>" in result._repr_html_()
    monkeypatch.chdir(tmp_path)
    done = curation.tokenize(["The tide turns."], out="web")
    assert "out='web'" in repr(done)
    assert repr(curation.Run.open("web")).startswith("Run('web')")


def test_showing_documents_leaves_their_ledger(tmp_path: Path) -> None:
    pq.write_table(TABLE, tmp_path / "table.parquet")
    docs = curation.read(tmp_path / "table.parquet")
    assert "<td>d0</td>" in docs._repr_html_()
    assert docs.ledger.num_rows == 0
    docs.table()
    before = docs.ledger
    docs._repr_html_()
    assert docs.ledger.equals(before)


def test_export_takes_a_run_and_a_result(tmp_path: Path) -> None:
    done = curation.dedup(TABLE, out=tmp_path / "run")
    for number, given in enumerate((done, curation.Run.open(tmp_path / "run"), tmp_path / "run")):
        made = curation.export(given, "jsonl", tmp_path / f"out{number}")
        assert made.documents == done.kept.num_rows
    with pytest.raises(InputError, match=r"^export: a run directory expected.*with out="):
        curation.export(curation.dedup(TABLE), "jsonl", tmp_path / "none")


def test_the_mixture_as_a_table(tmp_path: Path) -> None:
    web = curation.tokenize(TABLE, out=tmp_path / "web")
    books = curation.tokenize(GOOD[:6], out=tmp_path / "books")
    mixed = curation.mix(
        {"web": web, "books": books}, out=tmp_path / "m", weights={"web": 3, "books": 1}, shards=1
    )
    rows = mixed.mixture().to_pylist()
    assert [(row["dataset"], row["weight"]) for row in rows] == [("web", 0.75), ("books", 0.25)]
    for row in rows:
        assert row["planned"] == pytest.approx(row["epochs"] * row["tokens"])
    shards = [s for s in mixed.table("shards").to_pylist() if s["split"] == "train"]
    assert [row["placed"] for row in rows] == [
        sum(column) for column in zip(*(s["dataset_tokens"] for s in shards), strict=True)
    ]
