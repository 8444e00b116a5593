"""Rates measured on a sample of the user's own data.

The first bytes of some files of each dataset are copied to a temporary folder, and the line runs
over them: in this process once to start all that starts, then over a small and a larger sample, and
once more over the small one with worker processes, which have to start. What two sizes tell is parted
into what a run takes once and what each megabyte takes; what a shard takes is of the rates that ship.
"""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pyarrow.parquet as pq

from curation import store
from curation.costs import estimate, processor
from curation.costs.inputs import Input
from curation.costs.rates import InputRate, Rates, StageRate
from curation.engine.inline import InlineEngine
from curation.engine.local import LocalEngine
from curation.errors import InputError
from curation.pipeline import line
from curation.recipe.line import folders
from curation.recipe.tables import Dataset, Recipe
from curation.rundir import plan as plans
from curation.rundir.directory import RunDirectory, Shard

T = TypeVar("T")
R = TypeVar("R")
WORKERS = 2  # of the run that says what starting them takes
FILES = 4  # of a dataset, evenly spread
LEAST_BYTES = 300_000  # of a dataset in the smallest sample
SMALL_BYTES = 2_000_000  # of all together
MOST_BYTES = 400_000_000
LEAST_TIMES = 4.0  # the larger sample, where that takes less than all the time asked for
MB = 1e6


@dataclass
class Measured:
    """What one run over a sample took. `work` is by stage, in tasks and queries; `extract` by
    dataset; `total` by stage."""

    bytes: dict[str, int]
    total: dict[str, float] = field(default_factory=dict)
    work: dict[str, float] = field(default_factory=dict)
    extract: dict[str, float] = field(default_factory=dict)
    ledgers: dict[str, dict[str, Any]] = field(default_factory=dict)
    disk: dict[str, int] = field(default_factory=dict)
    tokens: int = 0
    shards: dict[str, int] = field(default_factory=dict)

    def entering_mb(self, stage: str) -> float:
        """Megabytes of text that entered a stage."""
        return float(sum(one["in"][1] for one in self.ledgers.get(stage, {}).values())) / MB


class _Timed(InlineEngine):
    """Runs tasks here, and adds up what they and queries take."""

    def __init__(self, memory_gb: float) -> None:
        super().__init__(memory_gb)
        self.work = 0.0
        self.by_dataset: dict[str, float] = {}

    def map(self, label: str, task: Callable[[T], R], items: Sequence[T]) -> list[R]:
        out = []
        for item in items:
            began = processor.core_s()
            out += super().map(label, task, [item])
            spent = processor.core_s() - began
            self.work += spent
            if isinstance(item, Shard):
                old = self.by_dataset.get(item.dataset, 0.0)
                self.by_dataset[item.dataset] = old + spent
        return out

    map_here = map

    def sql(self, *args: Any, **options: Any) -> Any:
        return self._timed(super().sql, *args, **options)

    def shuffle(self, *args: Any, **options: Any) -> Any:
        return self._timed(super().shuffle, *args, **options)

    def _timed(self, verb: Callable[..., R], *args: Any, **options: Any) -> R:
        began = processor.core_s()
        out = verb(*args, **options)
        self.work += processor.core_s() - began
        return out


def calibrate(
    recipe: Recipe,
    inputs: Sequence[Input],
    base: Rates,
    folder: str,
    seconds: float,
    say: Callable[[str], None],
) -> Rates:
    """Rates for a recipe, measured in at most about `seconds`; what a sample cannot tell is of
    `base`.

    Raises InputError where a dataset's files cannot be sampled.
    """
    began = time.monotonic()
    small, size = _sampled(recipe, inputs, store.join(folder, "small"), SMALL_BYTES)
    say(
        f"Calibrating on {size / MB:.1f} MB of the inputs, then on more, for up to {seconds:.0f} s."
    )
    _measured(small, store.join(folder, "first"))
    started = _measured(small, store.join(folder, "started"), LocalEngine(WORKERS))
    again_from = time.monotonic()
    second = _measured(small, store.join(folder, "second"))
    took = time.monotonic() - again_from
    left = seconds - (time.monotonic() - began)
    times = min(0.8 * left / max(took, 0.1), 40.0)
    if LEAST_TIMES * took < seconds:  # without a larger sample, what a run takes once is not known
        times = max(LEAST_TIMES, times)
    third = None
    whole = sum(one.bytes for one in inputs)
    if times >= 2 and size < whole:
        more = min(int(size * times), MOST_BYTES)
        large, size = _sampled(recipe, inputs, store.join(folder, "large"), more)
        third = _measured(large, store.join(folder, "third"))
        say(f"The larger sample: {size / MB:.1f} MB.")
    starts = {s: (started.total[s] - second.total[s]) / WORKERS for s in second.total}
    return _rates(recipe, inputs, base, starts, second, third)


# ---- samples -------------------------------------------------------------------------------------


def _sampled(recipe: Recipe, inputs: Sequence[Input], folder: str, size: int) -> tuple[Recipe, int]:
    """The recipe over samples of its inputs, and the stored bytes of these."""
    whole = sum(one.bytes for one in inputs)
    datasets, total = [], 0
    for one in inputs:
        dataset = recipe.named(one.dataset)
        wanted = max(LEAST_BYTES, int(size * one.bytes / max(1, whole)))
        files = [file for pattern in dataset.files for file in _found(dataset, pattern)]
        if not files:
            raise InputError(
                f"dataset {dataset.name!r}: --calibrate reads samples of files that are here; fetch a "
                "few of its archives and name them in `files`, or give rates with --rates"
            )
        if len(files) > FILES:
            files = [files[i * (len(files) - 1) // (FILES - 1)] for i in range(FILES)]
        place = store.join(folder, dataset.name)
        copied = [_copied(file, i, place, -(-wanted // len(files))) for i, file in enumerate(files)]
        total += sum(os.path.getsize(path) for path in copied)
        datasets.append(
            dataclasses.replace(
                dataset, files=tuple(copied), first_pages=0, stream=False, first_mb=0.0
            )
        )
    stages = tuple(stage for stage in recipe.stages if stage != "download")
    dedup = dataclasses.replace(recipe.dedup, alarm="warn")
    filters = dataclasses.replace(recipe.filter, alarm="warn")
    mix = dataclasses.replace(recipe.mix, tokens=0, shards=min(8, recipe.mix.shards))
    made = dataclasses.replace(
        recipe, dataset=tuple(datasets), stages=stages, dedup=dedup, filter=filters, mix=mix
    )
    return made, total


def _found(dataset: Dataset, pattern: str) -> list[store.File]:
    return [] if store.is_web(pattern) or dataset.by_record else store.find(pattern)


def _copied(file: store.File, number: int, folder: str, size: int) -> str:
    """The first bytes of a file, or of a Parquet table its first row groups; the copy's path."""
    os.makedirs(folder, exist_ok=True)
    path = store.join(folder, f"{number}-{os.path.basename(file.name)}")
    with store.open_input(file.path) as stream, open(path, "wb") as out:
        if not path.endswith(".parquet"):
            left = size if not path.endswith((".txt", ".md", ".arrow")) else file.size
            while left > 0 and (block := stream.read(min(left, 1 << 20))):
                out.write(block)
                left -= len(block)
            return path
        table = pq.ParquetFile(stream)
        rows = max(1, round(table.metadata.num_rows * min(1.0, size / max(1, file.size))))
        with pq.ParquetWriter(out, table.schema_arrow, compression="zstd") as writer:
            for batch in table.iter_batches(min(rows, 8192)):
                writer.write_batch(batch.slice(0, rows))
                rows -= batch.num_rows
                if rows <= 0:
                    break
    return path


# ---- measuring -----------------------------------------------------------------------------------


def _measured(recipe: Recipe, out: str, engine: LocalEngine | None = None) -> Measured:
    """Run the line over a sample, stage by stage: in this process, or by an engine, which is closed
    then."""
    sizes = {d.name: sum(os.path.getsize(file) for file in d.files) for d in recipe.dataset}
    found = Measured(sizes)
    rundir = RunDirectory(out, recipe)
    for stage in recipe.stages:
        timed = _Timed(recipe.memory_gb)
        began = processor.core_s()
        line.run(recipe, out, engine or timed, until=stage, say=lambda _: None)
        timed.close()
        found.total[stage] = processor.core_s() - began
        found.work[stage] = timed.work
        if stage == "extract":
            found.extract = timed.by_dataset
    if engine:
        engine.close()
    _, made = plans.read(out)
    found.shards = {name: len(made.of(name)) for name in recipe.names()}
    found.ledgers = line.ledgers(rundir, made)
    for name in {f for stage in recipe.stages for f in folders(stage, recipe.stages)}:
        found.disk[name] = sum(file.size for file in store.listing(rundir.path(name), hidden=True))
    if "tokenize" in found.ledgers:
        found.tokens = sum(one["kept"][2] for one in found.ledgers["tokenize"].values())
    return found


def _rates(
    recipe: Recipe,
    inputs: Sequence[Input],
    base: Rates,
    starts: Mapping[str, float],
    second: Measured,
    third: Measured | None,
) -> Rates:
    best = third or second
    extract = {}
    for one in inputs:
        mb = best.bytes[one.dataset] / MB
        kept = best.ledgers["extract"][one.dataset]["kept"]
        shared = base.stages["extract"].shard * best.shards[one.dataset]
        spent = max(0.0, best.extract.get(one.dataset, 0.0) - shared)
        if third is not None and (more := mb - second.bytes[one.dataset] / MB) > 0.3 * mb:
            before = max(0.0, second.extract.get(one.dataset, 0.0) - shared)
            grown = (spent - before) / more
            spent = max(grown, 0.5 * spent / mb) * mb
        extract[one.dataset] = InputRate(spent / mb, kept[1] / MB / mb)
    documents = sum(best.ledgers["extract"][one.dataset]["kept"][0] for one in inputs)
    chars = sum(best.ledgers["extract"][one.dataset]["kept"][1] for one in inputs)
    stages = dict(base.stages)
    for stage in recipe.stages:
        if stage in best.total:
            stages[stage] = _stage_rate(stage, base, starts[stage], second, third)
    tokenized = best.entering_mb("tokenize") * MB
    per_token = tokenized / best.tokens if best.tokens else base.chars_per_token
    return Rates(
        "measured on a sample of these inputs",
        False,
        per_token,
        chars / 1000 / max(1, documents),
        base.bytes_per_shard,
        max(processor.peak_mb(), 1.0),
        base.driver_mb,
        extract,
        stages,
        *_disk(recipe, base, second, third, per_token),
    )


def _stage_rate(
    stage: str, base: Rates, start: float, second: Measured, third: Measured | None
) -> StageRate:
    old, best = base.stages[stage], third or second
    shared = old.shard * sum(best.shards.values())
    serial = max(0.0, best.total[stage] - best.work[stage])
    low, high = _mb(second, stage), _mb(best, stage)
    work = max(0.0, best.work[stage] - shared)
    each = work / high if high else 0.0
    if third is not None and high - low > 0.3 * high:
        each = max(0.0, (best.work[stage] - second.work[stage]) / (high - low))
        serial += max(0.0, work - each * high)
    mb = 0.0 if stage == "extract" else each
    return StageRate(max(0.0, start), serial if stage != "extract" else old.serial, mb, old.shard,
                     _kept(stage, best))  # fmt: skip


def _mb(found: Measured, stage: str) -> float:
    """What a stage's work grows with: text that enters; for `mix` that of its shards."""
    if stage == "extract":
        return sum(found.bytes.values()) / MB
    if stage == "mix":
        return found.entering_mb("tokenize")
    return found.entering_mb(stage)


def _kept(stage: str, found: Measured) -> float:
    """The share of text that a stage keeps."""
    ledgers = found.ledgers.get(stage, {}).values()
    entered = sum(one["in"][1] for one in ledgers)
    if stage in ("extract", "tokenize", "mix") or not entered:
        return 1.0
    return float(sum(one.get("kept", [0, 0])[1] for one in ledgers) / entered)


def _disk(
    recipe: Recipe, base: Rates, second: Measured, third: Measured | None, per_token: float
) -> tuple[dict[str, float], dict[str, float]]:
    """Bytes of each folder for each byte of text that enters its stage, and once a run."""
    best, slopes, once = third or second, dict(base.disk), dict[str, float]()
    for stage in recipe.stages:
        high, low = (_entering(found, stage) * MB for found in (best, second))
        for name in folders(stage, recipe.stages):
            if not high or name not in best.disk:
                continue
            each = estimate.shard_bytes(base)
            size, before = (
                max(0.0, found.disk[name] - each * sum(found.shards.values()))
                for found in (best, second)
            )
            slopes[name] = size / high
            if high - low > 0.3 * high:
                slopes[name] = max(0.0, (size - before) / (high - low))
                once[name] = max(0.0, size - slopes[name] * high)
    if "shards" in slopes:
        slopes["shards"], once["shards"] = 2.0 / per_token, 0.0
    return slopes, once


def _entering(found: Measured, stage: str) -> float:
    return _mb(found, stage) if stage != "extract" else _text_mb(found)


def _text_mb(found: Measured) -> float:
    return float(sum(one["kept"][1] for one in found.ledgers["extract"].values())) / MB
