"""filter: rules on measured signals. The stage of every other recipe of the field; GPT-3's has none.

Evidence: one row a document with every signal (measure.py). Decision: the first rule that is true of
a document removes it, and its name is the reason; what each rule would remove alone stands beside it
(expressions.py). Another threshold decides again from the evidence, no text is measured again.

Cost: measuring reads each text once, at some 40 MB/s a core; deciding reads the evidence and, where
this stage writes the survivors, the texts. Memory: one row group, and the evidence of one shard.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curation import store
from curation.digests import config_digest
from curation.errors import AlarmError, InputError, RecipeError, did_you_mean
from curation.recipe.filter import LISTED, LISTS
from curation.recipe.line import survivors_writer
from curation.recipe.rules import check as check_rule
from curation.rundir import ledger, schema
from curation.rundir.directory import RunDirectory, Shard
from curation.rundir.results import ShardResult, check_ledgers, run_once
from curation.rundir.survivors import counted, shard_masks, write_survivors
from curation.stages.filter.expressions import decide
from curation.stages.filter.measure import (
    Measurement,
    columns_before,
    decision_columns,
    decision_table,
    measure_batch,
    measurement,
    named_signals,
    own_types,
    read_columns,
)

if TYPE_CHECKING:
    from curation.engine.base import Engine
    from curation.recipe.filter import FilterConfig
    from curation.rundir.plan import Plan

VERSION = 1
ALARM_FROM = 1000  # documents: shares of smaller datasets say little


def check(rundir: RunDirectory) -> None:
    """Raise what would end the stage and is known before it: names, lists, functions, expressions."""
    config = rundir.recipe.filter
    asked = measurement(config)
    columns = columns_before(config, asked)
    later = any("extra" in function.columns for function in asked.own.values())
    _check_lists(config, asked)
    for name in config.mask:
        if name not in columns and not later:
            raise RecipeError(f"filter.mask: no signal {name!r}{did_you_mean(name, [*columns])}")
        if (kind := columns.get(name)) is not None and not pa.types.is_list(kind):
            raise RecipeError(f"filter.mask.{name}: a signal of spans expected, {kind} is none")
    try:
        for rule in config.rule:
            check_rule(rule.name, rule.drop, columns, more_columns=later)
    except ValueError as error:
        raise RecipeError(f"filter: {error}") from error


def _check_lists(config: FilterConfig, asked: Measurement) -> None:
    """Raise RecipeError where a rule reads a signal of a list that is not there, or a list is there
    and nothing reads its signals."""
    measured = {name for step in asked.steps for name in step.columns if name in LISTED}
    for name in sorted(measured & set(named_signals(config))):
        if not getattr(config, LISTED[name]):
            raise RecipeError(
                f"filter: a rule reads {name}, and no list says what is blocked; name lists in "
                f"{LISTED[name]}"
            )
    for key in LISTS:
        names = [name for name in LISTED if LISTED[name] == key]
        if getattr(config, key) and not measured & set(names):
            raise RecipeError(
                f"filter.{key}: no rule reads what it is for; add one, for instance "
                f'drop = "{names[0]}{"" if key == "block_lists" else " > 0"}", or "url" to `signals`'
            )


def outside(rundir: RunDirectory, plan: Plan) -> str:
    """What the stage depends on beside its recipe and its documents."""
    config, stages = rundir.recipe.filter, rundir.recipe.stages
    return f"{measurement(config).identity} {survivors_writer(stages)}" * ("filter" in stages)


def run(rundir: RunDirectory, plan: Plan, engine: Engine) -> dict[Shard, ShardResult]:
    """Measure every document of the datasets that are filtered, and decide on them."""
    shards = [shard for shard in plan.shards if rundir.recipe.ruled(shard.dataset)]
    asked = measurement(rundir.recipe.filter)
    engine.map("filter: measure", partial(measure_shard, rundir, asked), shards)
    for shard in {shard.dataset: shard for shard in shards}.values():
        if store.footer(rundir.table("filter", shard, "evidence")):  # an array task may not have it
            check_columns(rundir, shard)
    results = engine.map("filter: decide", partial(decide_shard, rundir), shards)
    by_shard = dict(zip(shards, results, strict=True))
    check_ledgers(rundir, "filter", by_shard)
    _write_warnings(rundir, by_shard)
    return by_shard


def warnings(rundir: RunDirectory) -> list[str]:
    """The alarms of a finished run's rules, and the rules that decided nothing, a line each."""
    path = rundir.path("filter", "warnings.json")
    return [f"filter: {line}" for line in store.read_json(path)] if store.exists(path) else []


def check_columns(rundir: RunDirectory, shard: Shard) -> None:
    """Raise InputError for a rule that does not fit the columns of a dataset, which are all known
    once it is measured."""
    columns = decision_columns(rundir, shard)
    for rule in rundir.recipe.filter.rule:
        try:
            check_rule(rule.name, rule.drop, columns)
        except ValueError as error:
            raise InputError(f"dataset {shard.dataset!r}: {error}") from error


# ---- evidence ------------------------------------------------------------------------------------


def measure_shard(rundir: RunDirectory, asked: Measurement, shard: Shard) -> ShardResult:
    """Write the signals of every document of a shard."""
    path, documents = rundir.table("filter", shard, "evidence"), rundir.documents(shard)
    upstream = store.need_footer(documents).identity
    digest = config_digest("filter/evidence", VERSION, asked.identity, upstream)

    def make() -> ShardResult:
        columns = store.read_schema(documents)
        types = own_types(asked, columns)
        names = read_columns(asked, columns)
        empty = pa.RecordBatch.from_pylist([], pa.schema([columns.field(name) for name in names]))
        signals = measure_batch(asked, types, empty, 0).schema
        start = 0
        with store.TableWriter(path, signals, digest) as writer:
            for batch in store.read_groups(documents, names):
                writer.write(measure_batch(asked, types, batch, start))
                start += batch.num_rows
        return ShardResult(digest)

    return run_once(path, digest, make)


# ---- decision ------------------------------------------------------------------------------------


def decide_shard(rundir: RunDirectory, shard: Shard) -> ShardResult:
    """Write the decision on one shard, and its survivors where no later stage decides."""
    evidence, config = rundir.table("filter", shard, "evidence"), rundir.recipe.filter
    rules = [(rule.name, rule.drop) for rule in config.rule]
    writes = survivors_writer(rundir.recipe.stages) == "filter"
    digest = config_digest(
        "filter/decision", VERSION, rules, config.mask, writes, store.need_footer(evidence).identity
    )
    path = rundir.decision("filter", shard)

    def make() -> ShardResult:
        table = decision_table(rundir, shard)
        fires = decide(table, rules).values()
        shape = (len(rules), table.num_rows)
        fired = np.array([pc.fill_null(row, False) for row in fires], bool).reshape(shape)
        undecided = np.array([row.is_null() for row in fires], bool).reshape(shape)
        columns = _decision_columns(fired, undecided, config.reasons())
        chars = store.read_table(evidence, ["chars"]).column(0).to_numpy()
        keep = columns[0].to_numpy(zero_copy_only=False)
        if writes:
            write_survivors(rundir, shard, digest, keep)
        shard_ledger = counted(chars, np.ones(len(keep), bool), columns[1])
        if writes and "tokenize" not in rundir.recipe.stages:  # which counts them otherwise
            documents, masked_chars = _masked(rundir, shard, keep)
            if documents:
                ledger.add(shard_ledger, ledger.MASKED, documents, masked_chars)
        with store.TableWriter(path, schema.FILTERED, digest, shard_ledger) as writer:
            writer.write(pa.record_batch(columns, schema=schema.FILTERED))
        return ShardResult(digest, shard_ledger)

    return run_once(path, digest, make, rundir.survivors(shard) if writes else "")


def _masked(rundir: RunDirectory, shard: Shard, keep: npt.NDArray[np.bool_]) -> tuple[int, int]:
    """How many kept documents have masks, and the code points that these stand for."""
    masks = shard_masks(rundir, shard)
    if masks is None:
        return 0, 0
    masks = masks.filter(pa.array(keep)).drop_null()
    spans = masks.flatten()
    chars = pc.sum(pc.subtract(spans.field("end"), spans.field("start"))).as_py() or 0
    return len(masks), chars


def _decision_columns(
    fired: npt.NDArray[np.bool_], undecided: npt.NDArray[np.bool_], reasons: Sequence[str]
) -> list[pa.Array]:
    """The columns of `schema.FILTERED`, of bool[rules, n] of what is true and what is null."""
    gone = fired.any(axis=0)
    first = np.argmax(fired, axis=0) if len(fired) else np.zeros(fired.shape[1], np.int64)
    names = pa.array(reasons, pa.string())
    reason = names.take(pa.array(first, pa.int64(), mask=~gone))
    return [pa.array(~gone), reason, _places(fired), _places(undecided)]


def _places(flags: npt.NDArray[np.bool_]) -> pa.ListArray:
    """For each of n documents the places of the rules that are set, of bool[rules, n]."""
    rules = np.nonzero(flags.T)[1].astype(np.int16)
    offsets = np.concatenate([[0], np.cumsum(flags.sum(axis=0))]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(rules))


def _write_warnings(rundir: RunDirectory, results: Mapping[Shard, ShardResult]) -> None:
    """Write what to warn of to filter/warnings.json; raise AlarmError for the alarms among them
    unless the recipe says to go on."""
    config = rundir.recipe.filter
    lines = alarms(ledgers_by_dataset(results), config)
    undecided = never_decided(rundir, list(results))
    store.write_json(rundir.path("filter", "warnings.json"), lines + undecided)
    if lines and config.alarm == "stop":
        raise AlarmError(
            f"filter: {lines[0]}. `curation sample {rundir.out} --stage filter` shows what it removed; "
            'where that is right, run again with alarm = "warn" in [filter] (--alarm warn) and --update, '
            "and it goes on from here"
        )


def never_decided(rundir: RunDirectory, shards: Sequence[Shard]) -> list[str]:
    """The rules that are null for every document of a dataset, a line each: they removed nothing,
    and say nothing of what stayed.

    Reads decisions of a dataset until each rule has decided once: most often those of one shard.
    """
    names = rundir.recipe.filter.reasons()
    out = []
    for dataset in dict.fromkeys(shard.dataset for shard in shards):
        rules, rows = np.arange(len(names)), 0
        for shard in (s for s in shards if s.dataset == dataset and len(rules)):
            table = store.read_table(rundir.decision("filter", shard), ["undecided"])
            places = pc.list_flatten(table.column(0)).to_numpy()
            counts = np.bincount(places, minlength=len(names))
            rules = rules[counts[rules] == table.num_rows]
            rows += table.num_rows
        if rows:
            out += [
                f"the rule {names[rule]} is null for each of the {rows:,} documents of {dataset}, "
                "so it removed none: what it reads is missing there"
                for rule in rules
            ]
    return out


def ledgers_by_dataset(results: Mapping[Shard, ShardResult]) -> dict[str, ledger.Ledger]:
    """The sum of the shards' ledgers of each dataset."""
    names = dict.fromkeys(shard.dataset for shard in results)
    return {
        name: ledger.total(r.ledger for shard, r in results.items() if shard.dataset == name)
        for name in names
    }


def alarms(ledgers: Mapping[str, ledger.Ledger], config: FilterConfig) -> list[str]:
    """The rules that remove nearly all of a dataset, a line each.

    Datasets of fewer than 1,000 documents raise none: their shares say little.

    >>> from curation.recipe.filter import FilterConfig
    >>> alarms({"web": {"in": [2000, 0, 0], "short": [1990, 0, 0]}}, FilterConfig())
    ['the rule short removes 99.5 % of web (filter.max_removed is 95 %)']
    """
    out = []
    for name, counts in ledgers.items():
        documents = ledger.documents(counts, ledger.IN)
        for reason, (removed, *_) in ledger.removed(counts).items():
            if documents >= ALARM_FROM and removed > config.max_removed * documents:
                share = 100 * removed / documents
                limit = f"filter.max_removed is {100 * config.max_removed:g} %"
                out.append(f"the rule {reason} removes {share:.1f} % of {name} ({limit})")
    return out
