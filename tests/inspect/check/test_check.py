from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from curation.inspect.check.check import check
from curation.inspect.terminal.results import check_table
from curation.kernels.bpe import encoding
from curation.kernels.indexed import index_bytes, read_index
from curation.rundir.plan import read


def failed(run: Path) -> dict[str, str]:
    """The checks that fail, with what they say first."""
    return {result.name: result.problems[0] for result in check(*read(str(run))) if not result.ok}


def rewrite(
    path: Path, change: Callable[[pa.Table], pa.Table], ledger: dict[str, Any] | None = None
) -> None:
    """Change a table's rows under its old footer, or under another ledger."""
    said = {k: v for k, v in pq.read_metadata(path).metadata.items() if k.startswith(b"curation")}
    if ledger is not None:
        said[b"curation.ledger"] = json.dumps(ledger).encode()
    table = change(pq.read_table(path).replace_schema_metadata(None))
    with pq.ParquetWriter(path, table.schema) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata(said)


def manifest(run: Path, name: str, **values: Any) -> None:
    """Change one shard's row in the manifest."""

    def change(table: pa.Table) -> pa.Table:
        rows = [row | values if row["name"] == name else row for row in table.to_pylist()]
        return pa.Table.from_pylist(rows, table.schema)

    rewrite(run / "shards" / "manifest.parquet", change)


def overwrite(run: Path, name: str, data: bytes) -> None:
    """Change a shard's bytes and let the manifest agree."""
    (run / "shards" / f"{name}.bin").write_bytes(data)
    manifest(run, name, sha256=hashlib.sha256(data).hexdigest())


def test_a_finished_run_passes_every_check(tiny_run: Path) -> None:
    results = check(*read(str(tiny_run)))
    assert [result for result in results if not result.ok] == []
    assert len(results) == 12
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(check_table(results))
    assert console.export_text().count("pass") == 12


def test_of_a_half_finished_run_only_what_is_there_is_checked(half_run: Path) -> None:
    results = check(*read(str(half_run)))
    names = ["the run is finished", "ledgers balance", "ledger.json", "a row for every document"]
    assert [result.name for result in results] == names
    assert not results[0].ok
    assert "decontaminate has not ended" in results[0].problems[0]


def test_an_edited_ledger(copied: Path) -> None:
    path = copied / "ledger.json"
    ledgers = json.loads(path.read_text())
    ledgers["dedup"]["crawl"]["kept"][0] += 1
    path.write_text(json.dumps(ledgers))
    assert "ledger.json: dedup of crawl" in failed(copied)["ledger.json"]
    assert set(failed(copied)) == {"ledger.json"}


def test_books_that_do_not_balance(copied: Path) -> None:
    path = copied / "dedup" / "decision" / "wiki" / "00000.parquet"
    rewrite(path, lambda table: table, {"in": [12, 5, 0], "kept": [11, 5, 0]})
    assert "12 documents came in, but 11" in failed(copied)["ledgers balance"]


def test_a_stage_that_took_in_other_documents_than_were_kept(copied: Path) -> None:
    path = copied / "decontaminate" / "decision" / "wiki" / "00000.parquet"
    rewrite(path, lambda table: table, {"in": [11, 5, 0], "kept": [11, 5, 0]})
    assert "the stage before kept 12 documents" in failed(copied)["ledgers balance"]


def test_rows_that_say_something_else_than_the_ledger(copied: Path) -> None:
    path = copied / "dedup" / "decision" / "crawl" / "00000.parquet"
    rewrite(path, lambda table: table.set_column(0, "keep", pa.array([True] * table.num_rows)))
    assert "rows say keep" in failed(copied)["ledgers balance"]


def test_a_row_too_few(copied: Path) -> None:
    rewrite(copied / "dedup" / "decision" / "wiki" / "00000.parquet", lambda table: table.slice(1))
    assert (
        failed(copied)["a row for every document"] == "dedup wiki/00000: 11 rows for 12 documents"
    )


def test_a_damaged_table_is_a_finding(copied: Path) -> None:
    (copied / "survivors" / "crawl" / "00000.parquet").write_bytes(b"PAR1 nothing")
    assert "missing or damaged" in failed(copied)["a row for every document"]


def test_tokens_of_another_text(copied: Path) -> None:
    def change(table: pa.Table) -> pa.Table:
        rows = table.to_pylist()
        rows[0]["tokens"], rows[1]["tokens"] = rows[1]["tokens"], rows[0]["tokens"]
        return pa.Table.from_pylist(rows, table.schema)

    rewrite(copied / "tokens" / "books" / "00000.parquet", change)
    assert "do not decode" in failed(copied)["tokens decode to texts"]


def test_a_flipped_byte_in_a_shard(copied: Path) -> None:
    path = copied / "shards" / "train-00000.bin"
    data = bytearray(path.read_bytes())
    data[10] ^= 1
    path.write_bytes(data)
    assert "sha256" in failed(copied)["shards are what the manifest says"]


def test_a_missing_shard(copied: Path) -> None:
    (copied / "shards" / "train-00001.bin").unlink()
    assert "train-00001.bin is missing" in failed(copied)["shards are what the manifest says"]


def test_a_wrong_token_count(copied: Path) -> None:
    manifest(copied, "train-00000", tokens=5)
    assert "but the manifest says 5" in failed(copied)["shards are what the manifest says"]


def test_a_token_outside_the_vocabulary(copied: Path) -> None:
    tokens = np.fromfile(copied / "shards" / "train-00000.bin", "<u2")
    tokens[3] = 60_000
    overwrite(copied, "train-00000", tokens.tobytes())
    assert "token 60,000" in failed(copied)["tokens within the vocabulary"]


def test_an_end_of_text_too_many(copied: Path) -> None:
    tokens = np.fromfile(copied / "shards" / "train-00000.bin", "<u2")
    tokens[3] = 50_256
    overwrite(copied, "train-00000", tokens.tobytes())
    assert set(failed(copied)) == {"end-of-text tokens"}


def test_an_index_whose_boundaries_are_off(copied: Path) -> None:
    path = copied / "shards" / "train-00000.idx"
    lengths, dtype = read_index(path.read_bytes())
    lengths = lengths.copy()
    lengths[0] += 1
    lengths[1] -= 1
    path.write_bytes(index_bytes(lengths, dtype))
    assert "does not end where a piece" in failed(copied)["indexes fit the shards"]


@pytest.mark.parametrize("data", [b"", b"no index at all"])
def test_a_damaged_index(copied: Path, data: bytes) -> None:
    (copied / "shards" / "train-00000.idx").write_bytes(data)
    assert "train-00000" in failed(copied)["indexes fit the shards"]


def test_a_held_out_document_in_training(copied: Path) -> None:
    held = next(
        path for path in sorted((copied / "shards").glob("validation-*.bin")) if path.stat().st_size
    )
    lengths, dtype = read_index(held.with_suffix(".idx").read_bytes())
    path = copied / "shards" / "train-00000.bin"
    train, _ = read_index(path.with_suffix(".idx").read_bytes())
    data = held.read_bytes()[: int(lengths[0]) * 2] + path.read_bytes()[int(train[0]) * 2 :]
    path.write_bytes(data)
    train = train.copy()
    train[0] = lengths[0]
    path.with_suffix(".idx").write_bytes(index_bytes(train, dtype))
    assert "held out for validation" in failed(copied)["train and validation apart"]


def test_a_shard_that_holds_other_chunks_than_belong_there(copied: Path) -> None:
    manifest(copied, "train-00001", sequences=1)
    assert "belong there" in failed(copied)["train and validation apart"]


def test_a_mixture_far_from_its_plan(copied: Path) -> None:
    manifest(copied, "train-00000", dataset_tokens=[10**6, 0, 0])
    assert "planned" in failed(copied)["mixture as planned"]


def first_sequence(run: Path, name: str, tokens: list[int]) -> None:
    """Put other tokens in place of a shard's first sequence, index and manifest agreeing."""
    path = run / "shards" / f"{name}.idx"
    lengths, dtype = read_index(path.read_bytes())
    data = (
        np.array(tokens, "<u2").tobytes()
        + (run / "shards" / f"{name}.bin").read_bytes()[2 * int(lengths[0]) :]
    )
    path.write_bytes(index_bytes(np.concatenate([[len(tokens)], lengths[1:]]), dtype))
    overwrite(run, name, data)


@pytest.mark.parametrize(("words", "found"), [(13, True), (12, False)])
def test_a_benchmark_passage_in_a_shard(
    copied: Path, tiny_run: Path, words: int, found: bool
) -> None:
    quote = json.loads((tiny_run.parent / "lamps.jsonl").read_text())["text"]
    text = "They say: " + " — ".join(quote.upper().split()[:words]) + "!"
    first_sequence(copied, "train-00001", [*encoding("gpt2").encode_ordinary(text), 50_256])
    said = failed(copied).get("no benchmark gram left")
    assert (said is not None) == found
    if said:
        assert "train-00001: sequence 0 holds “the seven lamps" in said
        assert "lamps lamp-1" in said


def test_a_gram_that_is_ignored_for_being_common_may_stay(
    run_recipe: Callable[..., Any], tmp_path: Path, inline: Any
) -> None:
    quote = " ".join(f"said{i}" for i in range(13))
    (tmp_path / "quiz.jsonl").write_text(json.dumps({"text": quote}) + "\n")
    rows = [
        {"id": str(i), "text": f"{' '.join(f'w{i}x{k}' for k in range(80))} {quote}"}
        for i in range(11)
    ]
    table = {
        "stages": ["extract", "decontaminate", "tokenize", "mix"],
        "decontaminate": {"benchmarks": [str(tmp_path / "quiz.jsonl")]},
        "mix": {"weights": {"a": 1}, "shards": 2},
    }
    rundir, plan = run_recipe({"a": rows}, table)
    assert [result.name for result in check(rundir, plan) if not result.ok] == []
    path = Path(rundir.out, "decontaminate", "common", "00000.parquet")
    rewrite(path, lambda common: common.slice(0, 0))
    assert "no benchmark gram left" in failed(Path(rundir.out))


def test_one_shard_with_a_share_far_off(copied: Path) -> None:
    """The sum over all shards is right: only the bound of the single shard sees it."""
    rows = pq.read_table(copied / "shards" / "manifest.parquet").to_pylist()
    moved = rows[0]["dataset_tokens"][1] + 10**5
    for row, sign in ((rows[0], 1), (rows[1], -1)):
        tokens = list(row["dataset_tokens"])
        tokens[1] += sign * moved
        manifest(copied, row["name"], dataset_tokens=tokens)
    assert "in train-00000" in failed(copied)["mixture as planned"]
