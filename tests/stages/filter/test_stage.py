"""The stage as a whole, on toy tables: what is decided, what is masked, what the books say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from curation import store
from curation.errors import AlarmError, InputError, RecipeError, TaskError
from curation.kernels.bpe import encoding
from curation.recipe import reading
from curation.stages.filter.stage import never_decided, warnings

LONG = "Each evening the keeper of the lamps wrote down what had happened on the river. "
ROWS = [
    {"id": "long", "text": LONG * 4, "stars": 5},
    {"id": "short", "text": "Too few.", "stars": 5},
    {"id": "mail", "text": f"{LONG}Write to orla@finch-lamps.org about it. {LONG}", "stars": 4},
    {"id": "poor", "text": LONG * 3, "stars": 1},
    {"id": "both", "text": "Few.", "stars": 1},
    {"id": "unknown", "text": LONG * 2, "stars": None},
]
RULES = [
    {"name": "few_words", "drop": "words < 5"},
    {"name": "few_stars", "drop": "extra.stars < 3"},
]


def _table(**settings: Any) -> dict[str, Any]:
    return {"stages": ["extract", "filter"], "filter": {"rule": RULES, **settings}}


def _kept_ids(rundir: Any, shard: Any) -> list[str]:
    return store.read_table(rundir.survivors(shard), ["id"]).column(0).to_pylist()


def test_the_first_rule_is_the_reason_and_all_that_are_true_are_stored(
    run_recipe: Callable[..., Any],
) -> None:
    rundir, plan = run_recipe({"crawl:a": ROWS}, _table())
    (shard,) = plan.shards
    decided = store.read_table(rundir.decision("filter", shard)).to_pylist()
    assert [row["reason"] for row in decided] == [
        None, "few_words", None, "few_stars", "few_words", None,
    ]  # fmt: skip
    assert [row["fired"] for row in decided] == [[], [0], [], [1], [0, 1], []]
    assert [row["undecided"] for row in decided] == [[], [], [], [], [], [1]]
    assert _kept_ids(rundir, shard) == ["long", "mail", "unknown"]
    counts = store.need_footer(rundir.decision("filter", shard)).ledger
    chars = {row["id"]: len(row["text"]) for row in ROWS}
    assert counts["in"] == [6, sum(chars.values()), 0]
    assert counts["few_words"] == [2, chars["short"] + chars["both"], 0]
    assert counts["few_stars"] == [1, chars["poor"], 0]


def test_another_threshold_reads_the_evidence_and_measures_nothing(
    run_recipe: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    rundir, plan = run_recipe({"crawl:a": ROWS}, _table(), out="same")
    (shard,) = plan.shards
    before = store.need_footer(rundir.table("filter", shard, "evidence"))
    rules = [{"name": "few_words", "drop": "words < 2"}]
    rundir, plan = run_recipe({"crawl:a": ROWS}, _table(rule=rules), out="same")
    assert store.need_footer(rundir.table("filter", shard, "evidence")) == before
    assert _kept_ids(rundir, shard) == ["long", "short", "mail", "poor", "unknown"]


def test_datasets_that_are_not_filtered_keep_everything(run_recipe: Callable[..., Any]) -> None:
    datasets = {"crawl:a": ROWS, "b": ROWS}
    rundir, plan = run_recipe(datasets, _table())
    assert _kept_ids(rundir, plan.of("b")[0]) == [row["id"] for row in ROWS]
    assert rundir.survivors(plan.of("b")[0]) == rundir.documents(plan.of("b")[0])
    rundir, plan = run_recipe(datasets, _table(datasets=["b"]))
    assert _kept_ids(rundir, plan.of("b")[0]) == ["long", "mail", "unknown"]
    assert _kept_ids(rundir, plan.of("a")[0]) == [row["id"] for row in ROWS]


def test_classify_decides_on_what_is_left_and_writes_the_survivors(
    run_recipe: Callable[..., Any],
) -> None:
    good = [{"id": f"g{i}", "text": f"{LONG * (i % 7 + 2)} {i}"} for i in range(60)]
    table = _table(datasets=["a", "b"]) | {"stages": ["extract", "filter", "classify"]}
    table["classify"] = {"alpha": 0.05}  # keeps nearly all
    table["filter"]["rule"] = RULES[:1]
    rundir, plan = run_recipe({"crawl:a": ROWS + good, "b": ROWS}, table)
    crawl, trusted = plan.of("a")[0], plan.of("b")[0]
    ruled = store.read_table(rundir.decision("filter", crawl)).column("keep").to_pylist()
    decided = store.read_table(rundir.decision("classify", crawl)).to_pylist()
    assert [row["keep"] is None for row in decided] == [not keep for keep in ruled]
    scored = store.read_table(rundir.table("classify", crawl, "evidence"))
    assert scored.column("score").null_count == 0  # evidence is over all documents
    kept = [row["id"] for row, d in zip(ROWS + good, decided, strict=True) if d["keep"]]
    assert _kept_ids(rundir, crawl) == kept
    assert _kept_ids(rundir, trusted) == ["long", "mail", "poor", "unknown"]
    entered = store.need_footer(rundir.decision("classify", crawl)).ledger["in"]
    assert entered[0] == sum(ruled)


def test_masks_stand_in_the_tokens_and_not_in_the_evidence(run_recipe: Callable[..., Any]) -> None:
    table = _table(mask={"email": "email@example.com"})
    table["stages"] = ["extract", "filter", "tokenize"]
    rundir, plan = run_recipe({"crawl:a": ROWS}, table)
    (shard,) = plan.shards
    survivors = store.read_table(rundir.survivors(shard)).to_pylist()
    assert "orla@finch-lamps.org" in survivors[1]["text"]
    rows = store.read_table(rundir.table("tokens", shard)).to_pylist()
    texts = [encoding("gpt2").decode(_tokens(row)) for row in rows]
    assert texts[0] == ROWS[0]["text"]
    assert texts[1] == ROWS[2]["text"].replace("orla@finch-lamps.org", "email@example.com")
    counts = store.need_footer(rundir.table("tokens", shard)).ledger
    assert counts["masked"] == [1, len("orla@finch-lamps.org"), 0]
    assert counts["kept"][1] == sum(len(row["text"]) for row in survivors)


def _tokens(row: dict[str, Any]) -> list[int]:
    import numpy as np

    return np.frombuffer(row["tokens"][0], "<u2")[:-1].tolist()


def test_what_masks_stand_for_is_counted_without_tokens_too(
    run_recipe: Callable[..., Any],
) -> None:
    rundir, plan = run_recipe({"crawl:a": ROWS}, _table(mask={"email": ""}))
    counts = store.need_footer(rundir.decision("filter", plan.shards[0])).ledger
    assert counts["masked"] == [1, len("orla@finch-lamps.org"), 0]


def test_a_mixture_is_weighed_by_a_signal_and_by_one_of_the_users(
    run_recipe: Callable[..., Any], tmp_path: Any
) -> None:
    (tmp_path / "mine.py").write_text(
        "import pyarrow.compute as pc\n\ndef size(batch):\n"
        "    return pc.utf8_length(batch.column('text'))\n"
    )
    rows = [{"id": str(i), "text": LONG * (i + 1)} for i in range(6)]
    for by, limit in (("words", "40+"), ("size", "200+")):
        table = _table(rule=RULES[:1], signals=[f"{tmp_path}/mine.py:size"])
        table["stages"] = ["extract", "filter", "tokenize", "mix"]
        table["mix"] = {
            "weights": {"a": 1},
            "shards": 1,
            "validation": 0.0,
            "by": by,
            "by_weights": {"a": {"0+": 0.0, limit: 1.0}},
        }
        rundir, plan = run_recipe({"crawl:a": rows}, table, out=by)
        groups = store.read_table(rundir.table("tokens", plan.shards[0]), ["group"]).column(0)
        measured = store.read_table(rundir.table("filter", plan.shards[0], "evidence"), [by])
        values = measured.column(0).to_pylist()
        assert [float(group) for group in groups.to_pylist()] == values


def test_a_removed_span_is_not_read_by_later_groups(run_recipe: Callable[..., Any]) -> None:
    lines = [LONG.strip()] * 3 + ["Home | About | Contact | Menu | Login | Search | More"] * 5
    rows = [{"id": "a", "text": "\n".join(lines)}]
    rule = [{"name": "unended", "drop": "line_punct_ratio < 0.5"}]
    signals = ["c4", "fineweb"]
    without = run_recipe({"crawl:a": rows}, _table(rule=rule, signals=signals))
    assert _kept_ids(without[0], without[1].shards[0]) == []
    removing = _table(rule=rule, signals=signals, mask={"c4_lines": ""})
    rundir, plan = run_recipe({"crawl:a": rows}, removing)
    assert _kept_ids(rundir, plan.shards[0]) == ["a"]


def test_a_rule_that_takes_nearly_everything_is_an_alarm(run_recipe: Callable[..., Any]) -> None:
    rows = [{"id": str(i), "text": f"{LONG} {i}"} for i in range(1000)]
    table = _table(rule=[{"name": "all_of_it", "drop": "words > 1"}])
    with pytest.raises(AlarmError, match="rule all_of_it removes 100"):
        run_recipe({"crawl:a": rows}, table)
    table["filter"]["alarm"] = "warn"
    rundir, _ = run_recipe({"crawl:a": rows}, table)
    assert warnings(rundir)[0].startswith("filter: the rule all_of_it removes 100.0 % of a")


def test_a_rule_that_is_null_for_a_whole_dataset_is_warned_of(
    run_recipe: Callable[..., Any],
) -> None:
    rows = [{"id": str(i), "text": f"{LONG} {i}"} for i in range(3)]
    addressed = [{**row, "url": "https://a.org/x"} for row in rows]
    table = _table(rule=[{"name": "tag", "drop": "url LIKE '%/tag/%'"}], alarm="warn")
    rundir, plan = run_recipe({"crawl:a": rows, "crawl:b": addressed}, table)
    assert warnings(rundir) == [
        "filter: the rule tag is null for each of the 3 documents of a, so it removed none: what it "
        "reads is missing there"
    ]
    assert never_decided(rundir, [s for s in plan.shards if s.dataset == "b"]) == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"signals": ["gofer"]}, "no signal 'gofer'; did you mean 'gopher'?"),
        (
            {"rule": [{"name": "x", "drop": "wordz < 5"}]},
            "no column 'wordz'; did you mean 'words'?",
        ),
        ({"rule": [{"name": "x", "drop": "words + 1"}]}, "rule 'x'"),
        ({"rule": [{"name": "x", "drop": "words <"}]}, "filter: rule 'x': syntax error"),
        ({"rule": [{"name": "x", "drop": "ln(words) < 3"}]}, "'ln' is not allowed"),
        ({"rule": [{"name": "x", "drop": "extra.starz < 5"}]}, "starz"),
        ({"mask": {"words": "X"}}, "mask.words"),
        ({"rule": [{"name": "x", "drop": "blocked_domain"}]}, "no list says what is blocked"),
        ({"block_lists": ["/no/such/list"]}, "filter.block_lists: no rule reads"),
        ({"block_lists": ["/no/such/list"], "signals": ["url"]}, "/no/such/list"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    run_recipe: Callable[..., Any], settings: dict[str, Any], message: str
) -> None:
    with pytest.raises((InputError, RecipeError, TaskError)) as caught:
        run_recipe({"crawl:a": ROWS}, _table(**settings))
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_table_without_the_stage_and_the_stage_without_rules_are_refused() -> None:
    dataset = {"dataset": [{"name": "a", "role": "crawl", "files": ["x.jsonl"]}]}
    rule = {"rule": [{"name": "few", "drop": "words < 5"}]}
    with pytest.raises(RecipeError, match="got only the table"):
        reading.parse({**dataset, "stages": ["extract"], "filter": rule})
    with pytest.raises(RecipeError, match="got only the stage"):
        reading.parse({**dataset, "stages": ["extract", "filter"]})


@pytest.mark.spark
def test_both_engines_write_the_same_tables(
    run_recipe: Callable[..., Any], spark_engine: Any, tmp_path: Any
) -> None:
    source = (
        "import pyarrow.compute as pc\n\ndef shouts(batch):\n"
        "    return pc.utf8_length(pc.utf8_upper(batch.column('text')))\n"
    )
    (tmp_path / "mine.py").write_text(source)
    table = _table(
        rules=["fineweb"], signals=["pii", f"{tmp_path}/mine.py:shouts"], mask={"email": "X"}
    )
    table["stages"] = ["extract", "filter", "tokenize"]
    footers = []
    for engine, out in ((None, "local"), (spark_engine, "spark")):
        rundir, plan = run_recipe({"crawl:a": ROWS}, table, engine, out=out)
        (shard,) = plan.shards
        paths = (
            rundir.table("filter", shard, "evidence"),
            rundir.decision("filter", shard),
            rundir.survivors(shard),
            rundir.table("tokens", shard),
        )
        tables = [store.read_table(path) for path in paths]
        footers.append(([store.need_footer(path) for path in paths], tables))
    assert footers[0] == footers[1]
