"""The shards read back, by other readers than ours, and the odd mixtures."""

from __future__ import annotations

import json
import struct
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from curation import store
from curation.errors import InputError, RecipeError
from curation.gpt3 import data
from curation.kernels.bpe import encoding


def rows(name: str, n: int, words: int = 120) -> list[dict[str, Any]]:
    return [
        {
            "id": f"{name}{i}",
            "url": f"http://{name}/{i}",
            "text": " ".join(f"{name}{i}x{k}" for k in range(5 + (7 * i) % words)),
        }
        for i in range(n)
    ]


def table(**settings: Any) -> dict[str, Any]:
    weights = {"a": 60, "b": 41}
    return {
        "stages": ["extract", "tokenize", "mix"],
        "mix": {"weights": weights, "shards": 3, **settings},
    }


def sequences(out: str, name: str) -> list[np.ndarray[Any, Any]]:
    """A shard by Megatron-core's published layout, without any code of ours.

    megatron/core/datasets/indexed_dataset.py (0.16): magic, version, dtype code, sequence count, document count, int32 lengths, int64
    pointers in bytes, int64 document indices.
    """
    index = Path(out, "shards", name + ".idx").read_bytes()
    assert index[:9] == b"MMIDIDX\x00\x00"
    version, code, n, documents = struct.unpack_from("<QBQQ", index, 9)
    assert (version, code) == (1, 8)  # uint16
    at = 9 + 25
    lengths = np.frombuffer(index, "<i4", n, at)
    pointers = np.frombuffer(index, "<i8", n, at + 4 * n)
    bounds = np.frombuffer(index, "<i8", documents, at + 12 * n)
    assert len(index) == at + 12 * n + 8 * documents
    assert bounds.tolist() == list(range(n + 1))
    data = Path(out, "shards", name + ".bin").read_bytes()
    return [
        np.frombuffer(data, "<u2", length, pointer)
        for length, pointer in zip(lengths, pointers, strict=True)
    ]


@pytest.fixture
def mixed(run_recipe: Callable[..., Any]) -> Any:
    return run_recipe(
        {"a": rows("a", 60), "b": rows("b", 40)}, table(tokens=40_000, validation=0.1, parquet=True)
    )


@pytest.mark.slow
def test_megatron_reads_the_shards(mixed: Any) -> None:
    reader = pytest.importorskip(
        "megatron.core.datasets.indexed_dataset", reason="megatron-core is not installed"
    )
    rundir, _ = mixed
    for name in ("train-00000", "train-00002", "validation-a-00000"):
        ours = sequences(rundir.out, name)
        theirs = reader.IndexedDataset(rundir.path("shards", name))
        assert len(theirs) == len(ours)
        assert theirs.document_indices.tolist() == list(range(len(ours) + 1))
        for i, tokens in enumerate(ours):
            assert np.array_equal(theirs[i], tokens)
            assert np.array_equal(theirs.get(i, offset=1), tokens[1:])


def test_nanogpts_loader_reads_the_shards(mixed: Any) -> None:
    """As in nanoGPT's train.py, get_batch: a memmap of uint16."""
    rundir, _ = mixed
    data = np.memmap(rundir.path("shards", "train-00000.bin"), dtype=np.uint16, mode="r")
    assert np.array_equal(np.concatenate(sequences(rundir.out, "train-00000")), data)
    block = np.asarray(data[10 : 10 + 64].astype(np.int64))
    assert block.max() < 50257


def test_every_sample_leads_back_to_its_url(mixed: Any) -> None:
    rundir, plan = mixed
    urls, texts = {}, {}
    for shard in plan.shards:
        for row in store.read_table(rundir.documents(shard), ["id", "url", "text"]).to_pylist():
            urls[shard.dataset, row["id"]], texts[shard.dataset, row["id"]] = (
                row["url"],
                row["text"],
            )
    for name in ("train-00000", "train-00001", "train-00002", "validation-b-00000"):
        found = pq.read_table(rundir.path("shards", name + ".parquet")).to_pylist()
        own = sequences(rundir.out, name)
        assert [row["tokens"] for row in found] == [tokens.tolist() for tokens in own]
        for row in found:
            key = row["dataset"], row["id"]
            assert urls[key].startswith(f"http://{row['dataset']}/")
            assert encoding("gpt2").decode(row["tokens"][:-1]) == texts[key]
    made = json.loads(Path(rundir.out, "shards", "shards.json").read_text())
    assert set(made["train"]) == {f"train-{i:05d}" for i in range(3)}


def test_a_mixture_without_the_tables_has_none(mixed: Any, run_recipe: Callable[..., Any]) -> None:
    rundir, _ = run_recipe({"a": [], "b": []}, table(tokens=40_000, validation=0.1))
    assert [p.name for p in Path(rundir.out, "shards").glob("*.parquet")] == ["manifest.parquet"]


def test_within_an_epoch_no_chunk_repeats_and_none_is_missing(
    run_recipe: Callable[..., Any],
) -> None:
    """Epoch by epoch, in the order of the shards: the first complete ones hold each chunk once, the last one none twice."""
    rundir, _ = run_recipe(
        {"a": rows("a", 60), "b": rows("b", 40)}, table(tokens=80_000, validation=0.0, parquet=True)
    )
    mixture = {
        row["dataset"]: row
        for row in json.loads(Path(rundir.out, "shards", "shards.json").read_text())["mixture"]
    }
    read = [
        row
        for i in range(3)
        for row in pq.read_table(rundir.path("shards", f"train-{i:05d}.parquet")).to_pylist()
    ]
    for name, n in (("a", 60), ("b", 40)):
        own = [row for row in read if row["dataset"] == name]
        epochs = mixture[name]["epochs"]
        assert [row["epoch"] for row in own] == sorted(row["epoch"] for row in own)
        assert epochs > 2
        for epoch in range(int(np.ceil(epochs))):
            times = Counter((row["id"], row["chunk"]) for row in own if row["epoch"] == epoch)
            assert set(times.values()) == {1}
            if epoch + 1 <= epochs:
                assert len(times) == n


# ---- odd mixtures ----------------------------------------------------------------------------------------------------------------------


def test_a_document_longer_than_a_shard(run_recipe: Callable[..., Any]) -> None:
    """A book of ten shards' tokens is spread over all of them, in parts, and comes together again."""
    book = {"id": "book", "text": " ".join(f"{k * 7919 % 100_003}" for k in range(120_000))}
    rundir, plan = run_recipe(
        {"a": [book], "b": rows("b", 40)},
        table(tokens=400_000, shards=20, validation=0.0, parquet=True, max_epochs=20.0),
    )
    (shard,) = plan.of("a")
    whole = np.frombuffer(
        store.read_table(rundir.table("tokens", shard)).column("tokens")[0].as_py()[0], "<u2"
    )
    per_shard = json.loads(Path(rundir.out, "shards", "shards.json").read_text())["tokens"] / 20
    assert len(whole) > 5 * per_shard
    parts, homes = {}, set()
    for i in range(20):
        for row in pq.read_table(rundir.path("shards", f"train-{i:05d}.parquet")).to_pylist():
            if row["id"] == "book":
                assert row["chunk"] not in parts
                parts[row["chunk"]] = row["tokens"]
                homes.add(i)
    assert all(len(part) <= 32_768 for part in parts.values())
    assert len(homes) > 1
    for number, part in parts.items():
        assert part == whole[number * 32_768 : number * 32_768 + len(part)].tolist()


def test_no_tokens_are_left(run_recipe: Callable[..., Any]) -> None:
    with pytest.raises(InputError, match="no tokens are left of it"):
        run_recipe({"a": rows("a", 5), "b": []}, table(tokens=100))
    with pytest.raises(InputError, match="no tokens are left of it"):  # all of it is held out
        run_recipe({"a": [], "b": rows("b", 1)}, table(tokens=100, validation=0.999), out="other")


def test_weights_that_do_not_fit_the_datasets(run_recipe: Callable[..., Any]) -> None:
    with pytest.raises(RecipeError, match=r"mix\.weights: no dataset 'c'"):
        run_recipe(
            {"a": rows("a", 5)},
            {"stages": ["extract", "tokenize", "mix"], "mix": {"weights": {"a": 1, "c": 1}}},
        )
    with pytest.raises(RecipeError, match="not all 0"):
        run_recipe(
            {"a": []}, {"stages": ["extract", "tokenize", "mix"], "mix": {"weights": {"a": 0}}}
        )
    mix = {"weights": {"a": 7}, "shards": 2, "validation": 0.0}
    rundir, _ = run_recipe(
        {"a": [], "b": rows("b", 5)}, {"stages": ["extract", "tokenize", "mix"], "mix": mix}
    )
    made = json.loads(Path(rundir.out, "shards", "shards.json").read_text())
    assert [(row["dataset"], row["weight"]) for row in made["mixture"]] == [
        ("a", 1.0)
    ]  # b has none: it takes no part


def test_more_shards_than_documents_and_a_budget_of_zero(run_recipe: Callable[..., Any]) -> None:
    rundir, _ = run_recipe(
        {"a": rows("a", 3), "b": rows("b", 2)}, table(tokens=0, shards=30, validation=0.0)
    )
    found = [len(sequences(rundir.out, f"train-{i:05d}")) for i in range(30)]
    assert 0 < sum(found) <= 5
    assert found.count(0) >= 25
    for i in range(30):
        assert Path(rundir.out, "shards", f"train-{i:05d}.bin").exists()


@pytest.mark.parametrize("name", ["tiny_run", pytest.param("sample_run", marks=pytest.mark.slow)])
def test_no_verified_pair_stands_on_both_sides(name: str, request: pytest.FixtureRequest) -> None:
    """Of two documents that dedup measured as duplicates one left, so none of its text can be held out while the other trains."""
    from curation.rundir.plan import read

    rundir, plan = read(str(request.getfixturevalue(name)))
    kept = set()
    for shard in plan.shards:
        decided = store.read_table(rundir.decision("dedup", shard), ["keep"]).column(0).to_pylist()
        kept |= {shard.doc(row) for row, keep in enumerate(decided) if keep}
    pairs = [
        row
        for file in store.find(rundir.path("dedup", "pairs", "measured"))
        for row in store.read_table(file.path).to_pylist()
    ]
    alike = [p for p in pairs if p["shared"] >= rundir.recipe.dedup.min_jaccard * p["total"]]
    assert alike
    assert not [p for p in alike if p["a"] in kept and p["b"] in kept]


def visited_epochs(folder: Path, context: int) -> list[tuple[str, int]]:
    """(text, epoch) of each token in the order that the trainer visits the windows of shards that
    have tables; a text is a dataset, or a group where "group" is a part of its ids.
    """
    shards = data.open_shards(folder)
    owners: list[tuple[str, int]] = []
    for name in shards.train:
        for row in pq.read_table(folder / f"{name}.parquet").to_pylist():
            owner = row["dataset"] + row["id"].rpartition("/")[0], row["epoch"]
            owners += [owner] * len(row["tokens"])
    windows = data.windows(shards, shards.train, context, seed=3)
    assert len(windows) * context > len(owners) - context
    order = windows.visited(0, len(windows)).tolist()
    assert sorted(order) == list(range(len(windows)))
    return [
        owner for number in order for owner in owners[number * context : (number + 1) * context]
    ]


def out_of_order(visited: list[tuple[str, int]]) -> int:
    """How many tokens come after one of a later epoch of their text."""
    latest: Counter[str] = Counter()
    late = 0
    for text, epoch in visited:
        late += epoch < latest[text]
        latest[text] = max(latest[text], epoch)
    return late


@pytest.mark.parametrize("context", [16, 50])
@pytest.mark.parametrize("shards", [3, 8])
def test_the_trainer_finishes_an_epoch_before_the_next(
    run_recipe: Callable[..., Any], context: int, shards: int
) -> None:
    documents = {"a": rows("a", 60, 30), "b": rows("b", 40, 30)}
    settings = table(tokens=80_000, validation=0.0, parquet=True, shards=shards)
    rundir, _ = run_recipe(documents, settings)
    folder = Path(rundir.path("shards"))
    visited = visited_epochs(folder, context)
    assert {epoch for _, epoch in visited} > {0, 1, 2}
    assert out_of_order(visited) == 0
    # Without the places of the epochs they are not in order.
    listing = folder / "shards.json"
    listing.write_text(json.dumps({**json.loads(listing.read_text()), "epochs": {}}))
    assert out_of_order(visited_epochs(folder, context)) > 100
