"""A mixture that weighs documents by a column: what is drawn of each value, and what is refused."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from curation import store
from curation.cli.mix import mix as mix_command
from curation.errors import InputError
from curation.gpt3 import data
from curation.inspect.check import check
from curation.inspect.evidence.fate import fate
from curation.inspect.evidence.find import find
from curation.inspect.evidence.mixture import mixture_plan, placed_mixture
from curation.pipeline import line as pipeline
from curation.recipe import reading
from curation.rundir.plan import read
from curation.stages.mix import mixture as theory

WEIGHTS = {"low": 0.5, "mid": 1, "high": 3, "": 0.25, "spam": 0}
KINDS = ("low", "mid", "high", None, "spam")


def rows(n: int = 200, seed: int = 0) -> list[dict[str, Any]]:
    chance = random.Random(seed)
    return [
        {
            "id": f"{seed}.{i}",
            "text": " ".join(f"w{chance.randrange(10**6)}" for _ in range(chance.randrange(5, 90))),
            "kind": KINDS[i % 5],
            "score": chance.choice([None, chance.random(), 0.5]),
        }
        for i in range(n)
    ]


def table(**mix: Any) -> dict[str, Any]:
    settings = {
        **{"weights": {"web": 3, "books": 1}, "shards": 3, "validation": 0.1, "parquet": True},
        **{"by": "extra.kind", "by_weights": {"web": WEIGHTS}, "tokens": 60_000},
    }
    return {"stages": ["extract", "tokenize", "mix"], "mix": {**settings, **mix}}


def made_mixture(rundir: Any) -> dict[str, dict[str, Any]]:
    listed = store.read_json(rundir.path("shards", "shards.json"))["mixture"]
    return {row["dataset"]: row for row in listed}


def placed(rundir: Any, prefix: str, dataset: str) -> list[dict[str, Any]]:
    """The chunks of a dataset in the shards whose names begin so."""
    paths = sorted(Path(rundir.path("shards")).glob(f"{prefix}-*.parquet"))
    read = [row for path in paths for row in pq.read_table(path).to_pylist()]
    return [row for row in read if row["dataset"] == dataset]


@pytest.fixture
def mixed(run_recipe: Callable[..., Any]) -> Any:
    return run_recipe({"web": rows(), "books": rows(40, 7)}, table())


def test_what_is_drawn_of_each_value_follows_its_weight(mixed: Any) -> None:
    rundir, _ = mixed
    web = made_mixture(rundir)["web"]
    kind = {row["id"]: row["kind"] or "" for row in rows()}
    groups = {group["value"]: group for group in web["groups"]}
    assert {value: group["weight"] for value, group in groups.items()} == WEIGHTS
    # the dataset's part of the mixture is that of its weight, and epochs are as the weights
    drawn = sum(group["epochs"] * group["tokens"] for group in groups.values())
    assert drawn == pytest.approx(60_000 * 3 / 4)
    assert web["epochs"] * web["tokens"] == pytest.approx(drawn)
    for value, group in groups.items():
        assert group["epochs"] == pytest.approx(WEIGHTS[value] * groups["mid"]["epochs"])
        assert group["documents"] == 40
    tokens: Counter[str] = Counter()
    times: Counter[tuple[str, int]] = Counter()
    for row in placed(rundir, "train", "web"):
        tokens[kind[row["id"]]] += len(row["tokens"])
        times[row["id"], row["chunk"]] += 1
    held_out = {row["id"] for row in placed(rundir, "validation", "web")}
    assert held_out
    assert "spam" not in {kind[id_] for id_ in held_out}
    for value, group in groups.items():
        ids = [i for i, k in kind.items() if k == value and i not in held_out]
        copies = [times[id_, 0] for id_ in ids]
        epochs = group["epochs"]
        if value == "spam":
            assert not any(copies)
            continue
        assert set(copies) <= {int(np.floor(epochs)), int(np.ceil(epochs))}
        lengths = np.array([len(row["text"].split()) * 3 for row in rows() if row["id"] in ids])
        spread = theory.spread(epochs, 3) * float((lengths**2).sum()) * 4
        bound = theory.bound(spread, 2.0 * lengths.max(), 10)
        assert abs(tokens[value] - epochs * group["tokens"]) < bound
    assert groups["high"]["epochs"] > 2  # whole epochs and a part of one are both looked at


def test_an_epoch_of_a_value_ends_before_its_next_begins(mixed: Any) -> None:
    rundir, _ = mixed
    kind = {row["id"]: row["kind"] or "" for row in rows()}
    for value in ("low", "mid", "high", ""):
        epochs = [
            row["epoch"] for row in placed(rundir, "train", "web") if kind[row["id"]] == value
        ]
        assert epochs == sorted(epochs)


def test_check_and_explain_know_the_groups(mixed: Any) -> None:
    rundir, plan = mixed
    problems = [line for result in check.check(rundir, plan) for line in result.problems]
    assert problems == []
    for shard in plan.of("web"):
        for number, row in enumerate(rows()[:25]):
            ((document,), _) = find(rundir, plan, row["id"])
            where = fate(rundir, plan, document).placed
            chunks = [r["id"] for r in placed(rundir, "train", "web")].count(row["id"])
            if where.held_out:
                assert not chunks
            else:
                assert sum(where.shards.values()) == chunks, (number, shard)
    rundir, plan = read(rundir.out)  # the stored recipe, whose tables are sorted
    stored = placed_mixture(rundir)
    assert stored is not None
    planned = mixture_plan(rundir, plan)
    assert [row.groups for row in planned] == [row.groups for row in stored.datasets]
    assert [row.placed for row in planned] == [row.placed for row in stored.datasets]
    assert [len(row.groups) for row in planned] == [5, 0]


def test_without_a_budget_the_value_of_the_highest_weight_is_read_once(
    run_recipe: Callable[..., Any],
) -> None:
    rundir, _ = run_recipe({"web": rows(), "books": rows(400, 7)}, table(tokens=0))
    web = made_mixture(rundir)["web"]
    assert max(group["epochs"] for group in web["groups"]) == pytest.approx(1)


# ---- what is refused, and what is warned of ------------------------------------------------------


def test_a_value_without_a_weight_is_refused_with_what_to_add(
    run_recipe: Callable[..., Any],
) -> None:
    weights = {"low": 1, "mid": 1}
    message = (
        r"40 documents of dataset 'web' have the value '' \(no value\) of 'extra\.kind', which has "
        r"no weight, and 80 have 2 other values without one; add \"\" = WEIGHT to "
        r"mix\.by_weights\.web, or \"\*\" = WEIGHT for all values not named"
    )
    data = {"web": rows(), "books": rows(40, 7)}
    with pytest.raises(InputError, match=message):
        run_recipe(data, table(by_weights={"web": weights}))
    rundir, _ = run_recipe(data, table(by_weights={"web": {**weights, "*": 2}}))
    groups = {group["value"]: group for group in made_mixture(rundir)["web"]["groups"]}
    assert groups["*"]["documents"] == 120
    assert groups["*"]["epochs"] == pytest.approx(2 * groups["low"]["epochs"])


def test_a_weight_of_a_value_that_no_document_has_is_warned_of(
    run_recipe: Callable[..., Any],
) -> None:
    weights = {"web": {**WEIGHTS, "lwo": 1}}
    rundir, _ = run_recipe(
        {"web": rows(), "books": rows(40, 7)}, table(by_weights=weights, tokens=9000)
    )
    absent = [line for line in pipeline.warnings(rundir) if "no document has" in line]
    assert absent == ["mix: mix.by_weights.web has a weight for 'lwo', which no document has"]


def test_a_value_repeated_too_often_is_refused(run_recipe: Callable[..., Any]) -> None:
    data = {"web": rows(), "books": rows(40, 7)}
    with pytest.raises(
        InputError, match=r"repeat value 'high' of dataset 'web' .* ask for ([\d,]+)"
    ):
        run_recipe(data, table(max_epochs=3))


def test_a_dataset_of_which_no_value_has_a_weight_is_refused(
    run_recipe: Callable[..., Any],
) -> None:
    with pytest.raises(InputError, match="no tokens of a value with a weight above 0"):
        run_recipe(
            {"web": rows(), "books": rows(40, 7)},
            table(by_weights={"web": {"*": 0, "other": 1}}),
        )


def test_a_column_that_is_not_there(run_recipe: Callable[..., Any]) -> None:
    data = {"web": rows(), "books": rows(40, 7)}
    with pytest.raises(InputError, match=r"mix\.by: no column 'langage'; did you mean 'language'"):
        run_recipe(data, table(by="langage"))
    with pytest.raises(InputError, match="needs the stage classify"):
        run_recipe(data, table(by="quality_decile"))
    with pytest.raises(InputError, match=r"'' .*no weight"):  # of nobody's: each has no value
        run_recipe(data, table(by="extra.absent", by_weights={"web": {"a": 1}}))


# ---- shards and steps ----------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["extra.kind", "extra.score_quantile:4"])
def test_any_number_of_shards_gives_the_same_bytes(tmp_path: Path, inline: Any, by: str) -> None:
    weights = WEIGHTS if by == "extra.kind" else {"1": 0, "2": 1, "3": 2.5, "4": 4, "": 1}
    for part in range(6):
        lines = [json.dumps(row) for row in rows(300)[part::6]]
        (tmp_path / f"{part}.jsonl").write_text("\n".join(lines) + "\n")
    found = []
    for number, target_mb in enumerate((0, 0.02, 100, 0.002)):
        dataset = {"name": "web", "files": [str(tmp_path / "*.jsonl")]}
        made = table(by=by, by_weights={"web": weights}, weights={"web": 1})
        made["dataset"] = [{**dataset, "target_shard_mb": target_mb}]
        rundir, plan = pipeline.run(
            reading.parse(made), str(tmp_path / f"run{number}"), inline, say=lambda line: None
        )
        groups = {
            row["id"]: row["group"]
            for shard in plan.shards
            for row in pq.read_table(rundir.table("tokens", shard)).to_pylist()
        }
        files = sorted(Path(rundir.path("shards")).glob("*.bin"))
        found.append((groups, [file.read_bytes() for file in files]))
    assert len(set(found[0][0].values())) == 5
    assert all(other == found[0] for other in found[1:])


def test_other_weights_leave_the_tokens_and_no_column_leaves_no_trace(
    run_recipe: Callable[..., Any],
) -> None:
    data = {"web": rows(), "books": rows(40, 7)}

    def digests(*settings: Any) -> tuple[str, str]:
        rundir, plan = run_recipe(data, *settings)
        tokens = store.need_footer(rundir.table("tokens", plan.shards[0])).digest
        return tokens, store.need_footer(rundir.path("shards", "manifest.parquet")).digest

    first = digests(table())
    other = digests(table(by_weights={"web": {"*": 1, "low": 2}}))
    assert first[0] == other[0]
    assert first[1] != other[1]
    plain = table()
    del plain["mix"]["by"], plain["mix"]["by_weights"]
    rundir, plan = run_recipe(data, plain)
    assert "group" not in store.read_schema(rundir.table("tokens", plan.shards[0])).names
    assert "by" not in store.read_json(rundir.path("tokens", "encoding.json"))
    assert "groups" not in made_mixture(rundir)["web"]


def test_the_command_mixes_runs_whose_tokens_have_the_column(
    run_recipe: Callable[..., Any], tmp_path: Path
) -> None:
    data = {"web": rows(), "books": rows(40, 7)}
    source = {"stages": ["extract", "tokenize"], "mix": {"by": "extra.kind"}}
    rundir, _ = run_recipe({"web": data["web"]}, source)
    other, _ = run_recipe({"books": data["books"]}, {"stages": source["stages"]}, out="other")
    out = str(tmp_path / "mixed")
    arguments = [f"web={rundir.out}", f"books={other.out}", "--tokens", "20000"]
    arguments += ["--weights", "web=3,books=1", "--by", "extra.kind", "--workers", "1"]
    arguments += ["--by-weights", "web:low=1,mid=2,=0", "--by-weights", "web:*=1"]
    planned = CliRunner().invoke(mix_command, [*arguments, "--plan"], catch_exceptions=False)
    assert planned.exit_code == 0, planned.output
    assert "By extra.kind" in planned.output
    done = CliRunner().invoke(mix_command, [*arguments, "--out", out], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    facts = json.loads(Path(out, "shards", "shards.json").read_text())
    assert facts["by"] == "extra.kind"
    groups = {g["value"]: g for g in facts["mixture"][0]["groups"]}
    assert groups["mid"]["epochs"] == pytest.approx(2 * groups["low"]["epochs"])
    assert (groups[""]["documents"], groups["*"]["documents"]) == (40, 80)
    wrong = [f"books={other.out}", "--by", "extra.kind", "--by-weights", "books:low=1", "--plan"]
    with pytest.raises(InputError, match=r"tokens with the column 'extra\.kind' expected"):
        CliRunner().invoke(mix_command, wrong, catch_exceptions=False)


def test_the_epochs_of_each_group_are_kept_apart(run_recipe: Callable[..., Any]) -> None:
    """A document that is read three times as often begins its epochs at other places."""
    rundir, _ = run_recipe({"web": rows(), "books": rows(40, 7)}, table(tokens=180_000))
    shards = data.open_shards(Path(rundir.path("shards")))
    kinds = {row["id"]: row["kind"] for row in rows()}
    owners: list[tuple[str, int]] = []
    for name in shards.train:
        for row in store.read_table(str(shards.folder / f"{name}.parquet")).to_pylist():
            text = f"{row['dataset']} {kinds.get(row['id'])}"
            owners += [(text, row["epoch"])] * len(row["tokens"])
    windows = data.windows(shards, shards.train, 16, seed=0)
    latest: dict[str, int] = {}
    for number in windows.visited(0, len(windows)).tolist():
        for text, epoch in owners[number * 16 : (number + 1) * 16]:
            assert epoch >= latest.get(text, 0)
            latest[text] = epoch
    assert latest["web high"] > 2 * latest["web low"] > 2
