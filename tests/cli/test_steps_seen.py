"""`curation explain MODEL` against brute force over the shards' own tables."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from curation.cli import main, steps_seen
from curation.engine.inline import InlineEngine
from curation.gpt3.data import open_shards, windows
from curation.pipeline import line
from curation.recipe import reading

torch = pytest.importorskip("torch", reason="the extra `train` is not installed")
# One process makes the run and the model that they all look at.
pytestmark = pytest.mark.xdist_group("steps seen")
from curation.gpt3.sizes import Size  # noqa: E402
from curation.gpt3.train import Options, train  # noqa: E402

CONTEXT = 24


def call(*arguments: object) -> Any:
    result = CliRunner().invoke(main, [*map(str, arguments), "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def refusal(*arguments: object) -> str:
    result = CliRunner().invoke(main, ["explain", *map(str, arguments)])
    assert result.exit_code in (1, 2)
    return " ".join(result.output.split())


def rows(name: str, count: int) -> list[dict[str, Any]]:
    return [
        {
            "id": f"{name}{i}",
            "url": f"http://{name}/{i}",
            "text": " ".join(f"{name}{i}x{k}" for k in range(3 + (7 * i) % 40)),
        }
        for i in range(count)
    ]


def make(folder: Path, engine: InlineEngine) -> tuple[Path, Path]:
    """A run, and a model that has read some of its tokens more than once."""
    torch.set_num_threads(1)
    datasets = []
    for name, count in (("a", 30), ("b", 20)):
        path = folder / f"{name}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows(name, count)))
        datasets.append({"name": name, "files": [str(path)]})
    mix = {"weights": {"a": 60, "b": 41}, "shards": 3, "tokens": 14_000, "parquet": True}
    table = {"stages": ["extract", "tokenize", "mix"], "mix": {**mix, "validation": 0.1}}
    run, model = folder / "run", folder / "model"
    recipe = reading.parse({**table, "dataset": datasets})
    line.run(recipe, str(run), engine, say=lambda text: None)
    size = Size("test", 1, 8, 1, 10 * CONTEXT, 1e-3, context=CONTEXT, band=4)
    train(run, model, size, Options(max_steps=30, checkpoint_every=20))
    return run, model


@pytest.fixture(scope="module")
def kept(inline: InlineEngine, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """For tests that change nothing in it."""
    return make(tmp_path_factory.mktemp("seen"), inline)


@pytest.fixture
def trained(kept: tuple[Path, Path], tmp_path: Path) -> tuple[Path, Path]:
    """A copy, to break; its model knows the copied shards."""
    run, model = (Path(shutil.copytree(folder, tmp_path / folder.name)) for folder in kept)
    for state in model.glob("step-*/state.json"):
        state.write_text(state.read_text().replace(str(kept[0]), str(run)))
    return run, model


def owners_of(run: Path) -> list[tuple[str, str, int]]:
    """(dataset, id, epoch) of each token of the training stream, by the tables beside the shards."""
    return [
        (row["dataset"], row["id"], row["epoch"] + 1)
        for path in sorted((run / "shards").glob("train-*.parquet"))
        for row in pq.read_table(path).to_pylist()
        for _ in row["tokens"]
    ]


def test_the_documents_of_each_step_and_the_steps_of_each_document(
    kept: tuple[Path, Path],
) -> None:
    run, model = kept
    owners, shards = owners_of(run), open_shards(run)
    order = windows(shards, shards.train, CONTEXT, 0)
    seen: dict[tuple[str, str], set[int]] = {}
    for step in range(1, 31):
        expected: Counter[tuple[str, str, int]] = Counter()
        for number in order.visited(10 * (step - 1), 10).tolist():
            expected.update(owners[number * CONTEXT : (number + 1) * CONTEXT + 1])
        for dataset, id_, _ in expected:
            seen.setdefault((dataset, id_), set()).add(step)
        found = call("explain", model, "--step", step) if step % 7 == 1 else None
        if found:
            assert {
                (row["dataset"], row["id"], row["epoch"]): row["tokens"]
                for row in found["documents"]
            } == expected
            assert sum(s["end"] - s["start"] for s in found["spans"]) == 10 * (CONTEXT + 1)
    for dataset, id_ in [*list(seen)[::11], *list(seen)[-2:]]:
        places = call("explain", model, id_)["places"]
        assert {row["dataset"] for row in places} == {dataset}
        assert {step for row in places for step in row["steps"]} == seen[dataset, id_]
        copies = {(row["epoch"], row["chunk"]) for row in places}
        assert len(copies) == len(places)
        assert copies == {(e, 0) for d, i, e in owners if (d, i) == (dataset, id_)}


def test_an_address_finds_a_document_and_a_checkpoint_its_log(kept: tuple[Path, Path]) -> None:
    run, model = kept
    in_first_shard = owners_of(run)[0][1]
    url = f"http://{in_first_shard[0]}/{in_first_shard[1:]}"
    by_id, by_url = call("explain", model, in_first_shard), call("explain", model, url)
    assert by_id["places"] == by_url["places"]
    first = call("explain", model / "step-0000020", in_first_shard)
    assert first["last_step"] == 20
    for row, early in zip(by_id["places"], first["places"], strict=True):
        assert early["steps"] == [step for step in row["steps"] if step <= 20]
    shown = CliRunner().invoke(main, ["explain", str(model), "--step", "30"]).output
    assert "Step 30 of 30 read 250 tokens of train-00" in shown
    shown = CliRunner().invoke(main, ["explain", str(model), in_first_shard]).output
    assert "The model has 30 steps." in shown


def test_places_that_were_not_read_are_few() -> None:
    rows = [{"place": n, "steps": [n] if n % 10 == 0 else []} for n in range(800)]
    shown = steps_seen._worth_showing(rows)
    assert [row["place"] for row in shown] == [0, 1, 2, 3, *range(10, 600, 10)]
    assert steps_seen._worth_showing(rows[:4]) == rows[:4]


def test_what_cannot_be_answered_is_said(trained: tuple[Path, Path], tmp_path: Path) -> None:
    run, model = trained
    assert "a step from 1 to 30 expected, got 31" in refusal(model, "--step", 31)
    assert "give --step N for the documents" in refusal(model)
    assert "is not a model" in refusal(run, "a1", "--step", 3)
    assert "no document 'nobody' is in the training shards" in refusal(model, "nobody")
    moved = run.rename(tmp_path / "moved")
    assert "holds no token shards" in refusal(model, "--step", 1)
    assert call("explain", model, "--step", 1, "--run", moved)["documents"]
    plain = tmp_path / "plain"
    shutil.copytree(moved / "shards", plain)
    step = call("explain", model, "--step", 2, "--run", plain)
    assert step["documents"] is None
    assert len(step["spans"]) >= 10
    assert "its shards are not known" in refusal(model, "a1", "--run", plain).replace(
        "the documents of its shards", "its shards"
    )
    log = model / "log.jsonl"
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join(line for line in lines if '"step": 7,' not in line))
    assert "none for 7" in refusal(model, "--step", 1, "--run", moved)
    log.unlink()
    assert "log.jsonl expected" in refusal(model, "--step", 1, "--run", moved)
    bin_ = plain / "train-00000.bin"
    bin_.write_bytes(bin_.read_bytes()[2:] + b"ab")
    (plain / "manifest.parquet").unlink()
    assert "was trained on other shards" in refusal(model, "--step", 1, "--run", plain)


def test_tables_that_the_shards_are_not_of_are_refused(trained: tuple[Path, Path]) -> None:
    run, model = trained
    index = run / "shards" / "train-00000.idx"
    data = bytearray(index.read_bytes())
    first, second = data[34:38], data[38:42]
    data[34:38], data[38:42] = second, first
    if first == second:
        pytest.skip("two chunks of one length")
    index.write_bytes(bytes(data))
    assert "the shards are of other tables" in refusal(model, "--step", 1)
