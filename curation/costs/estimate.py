"""The plan of a run: inputs times rates.

A stage takes core seconds once a worker, once a run, for each shard and for each megabyte of text
that enters it. Its wall time is what one core does alone, and the waves of tasks that the cores need,
or the one task over the largest file that cannot be split.
Text that a stage removes does not reach the later ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from curation.costs.inputs import Input
from curation.costs.rates import Prices, Rates
from curation.recipe.line import folders
from curation.recipe.tables import Recipe

MB = 1e6
# Of a run directory in object storage, a shard (docs/how-to/plan.md says from where).
GETS_A_SHARD, PUTS_A_SHARD = 23, 12
BAND_BYTES = 24  # of a band key in the shuffle of dedup: band, key and document
TOKEN_BYTES = 2
FOLDERS = 8  # with tables of shards, in a run of all stages


@dataclass(frozen=True, slots=True)
class Cluster:
    """What a run has: machines with so many cores, and the network of each."""

    machines: int
    cores: int
    mbit: float

    @property
    def workers(self) -> int:
        return self.machines * self.cores


@dataclass(frozen=True, slots=True)
class StagePlan:
    """One stage: shards, tasks of its longest map, text that enters (megabytes), core and wall
    seconds."""

    stage: str
    shards: int
    tasks: int
    text_mb: float
    core_s: float
    wall_s: float


@dataclass(frozen=True, slots=True)
class Folder:
    """One folder of the run directory, in bytes."""

    folder: str
    bytes: float


@dataclass(frozen=True, slots=True)
class DatasetPlan:
    """One dataset: as it is stored, and what comes of it; `text_mb` after extract, `kept_mb` after
    all stages."""

    input: Input
    documents: float
    text_mb: float
    kept_mb: float


@dataclass(frozen=True, slots=True)
class Dollars:
    """What a run costs at some prices; `storage` is for the months that they say."""

    machines: float
    storage: float
    requests: float
    transfer: float

    @property
    def total(self) -> float:
        return self.machines + self.storage + self.requests + self.transfer


@dataclass(frozen=True, slots=True)
class RunPlan:
    """The whole plan. Seconds, bytes and dollars."""

    rates: str
    is_rough: bool
    cluster: Cluster
    datasets: tuple[DatasetPlan, ...]
    stages: tuple[StagePlan, ...]
    folders: tuple[Folder, ...]
    memory_per_worker_mb: float
    memory_of_driver_mb: float
    shuffle_bytes: float
    mixture_tokens: float
    requests: float
    transfer_bytes: float
    storage_gets: float
    storage_puts: float
    dollars: Dollars

    @property
    def core_s(self) -> float:
        return sum(stage.core_s for stage in self.stages)

    @property
    def wall_s(self) -> float:
        return sum(stage.wall_s for stage in self.stages)

    @property
    def disk_bytes(self) -> float:
        return sum(folder.bytes for folder in self.folders)


def plan(
    recipe: Recipe, inputs: Sequence[Input], rates: Rates, cluster: Cluster, prices: Prices
) -> RunPlan:
    """The plan of a recipe for these inputs, rates, machines and prices."""
    extracted = {one.dataset: _text_mb(one, rates) for one in inputs}
    stages, disk, kept, tokens = _line(recipe, inputs, rates, cluster, extracted)
    datasets = tuple(
        DatasetPlan(
            one,
            _documents(one, extracted[one.dataset], rates),
            extracted[one.dataset],
            kept[one.dataset],
        )
        for one in inputs
    )
    shards = sum(one.shards for one in inputs)
    requests = float(sum(one.requests + one.index_requests for one in inputs))
    transfer = float(sum(one.remote_bytes + one.index_bytes for one in inputs))
    gets, puts = float(GETS_A_SHARD * shards), float(PUTS_A_SHARD * shards)
    wall_s = sum(stage.wall_s for stage in stages)
    dollars = _dollars(prices, cluster, wall_s, sum(disk.values()), gets + requests, puts, transfer)
    return RunPlan(
        rates=rates.name,
        is_rough=rates.is_rough,
        cluster=cluster,
        datasets=datasets,
        stages=tuple(stages),
        folders=tuple(Folder(name, size) for name, size in disk.items()),
        memory_per_worker_mb=rates.worker_mb,
        memory_of_driver_mb=max(rates.driver_mb, recipe.memory_gb * 1000),
        shuffle_bytes=_shuffle_bytes(recipe, datasets, tokens),
        mixture_tokens=tokens,
        requests=requests,
        transfer_bytes=transfer,
        storage_gets=gets,
        storage_puts=puts,
        dollars=dollars,
    )


def _line(
    recipe: Recipe,
    inputs: Sequence[Input],
    rates: Rates,
    cluster: Cluster,
    extracted: Mapping[str, float],
) -> tuple[list[StagePlan], dict[str, float], dict[str, float], float]:
    """The stages, the bytes of their folders, the megabytes of each dataset that all of them keep,
    and the tokens of the mixture."""
    text = dict(extracted)
    stages: list[StagePlan] = []
    disk: dict[str, float] = {}
    shards, tokens = sum(one.shards for one in inputs), 0.0
    for stage in recipe.stages:
        if stage == "download":
            stages.append(_download(recipe, inputs, cluster))
            disk["downloads"] = float(sum(one.stored_here for one in inputs))
            continue
        entering = [name for name in text if _takes_part(recipe, stage, name)]
        mb = sum(text[name] for name in entering)
        if stage == "mix":
            tokens = _mixture_tokens(recipe, text, rates)
            mb = tokens * rates.chars_per_token / MB
        stages.append(_stage(recipe, stage, inputs, rates, cluster, shards, mb))
        for folder in folders(stage, recipe.stages):
            disk[folder] = _folder_bytes(folder, rates, mb, shards)
        for name in entering:
            if _may_lose(recipe, stage, name):
                text[name] *= rates.stages[stage].kept
    return stages, disk, text, tokens


def _text_mb(one: Input, rates: Rates) -> float:
    return one.bytes / MB * rates.of_input(one.dataset, one.kind).text_mb


def _documents(one: Input, text_mb: float, rates: Rates) -> float:
    return float(one.records or text_mb * 1000 / max(rates.document_kb, 0.001))


def _takes_part(recipe: Recipe, stage: str, name: str) -> bool:
    """Whether a stage reads the text of a dataset."""
    dataset = recipe.named(name)
    if stage == "filter":
        return recipe.decides("filter", name)
    return dataset.role != "reference" or stage in ("extract", "dedup")


def _may_lose(recipe: Recipe, stage: str, name: str) -> bool:
    """Whether a stage removes documents of a dataset."""
    return recipe.decides(stage, name) and recipe.named(name).role != "reference"


def _download(recipe: Recipe, inputs: Sequence[Input], cluster: Cluster) -> StagePlan:
    """Fetching takes the network's time, and the pace of requests; hardly any core."""
    files = sum(one.requests for one in inputs if one.stored_here)
    size = sum(one.stored_here + one.index_bytes for one in inputs)
    requests = files + sum(one.index_requests for one in inputs)
    wall = max(_network_s(size, cluster), requests / recipe.download.requests_per_second)
    return StagePlan("download", 0, files, 0.0, size / 250e6, wall)


def _network_s(size: float, cluster: Cluster) -> float:
    return size * 8 / (cluster.mbit * MB * cluster.machines)


def _stage(
    recipe: Recipe,
    stage: str,
    inputs: Sequence[Input],
    rates: Rates,
    cluster: Cluster,
    shards: int,
    mb: float,
) -> StagePlan:
    rate = rates.stages[stage]
    work = rate.mb * mb + rate.shard * shards
    tasks = shards
    network_s = 0.0
    if stage == "extract":
        work += sum(one.bytes / MB * rates.of_input(one.dataset, one.kind).core_s for one in inputs)
        streamed = [one for one in inputs if not one.stored_here]
        pace = recipe.download.requests_per_second
        network_s = max(
            _network_s(sum(one.remote_bytes for one in streamed), cluster),
            sum(one.requests for one in streamed) / pace,
        )
    start = rate.start * min(cluster.workers, max(1, tasks))
    waves = math.ceil(tasks / cluster.workers) if tasks else 0
    parallel = waves * (work / tasks) if tasks else 0.0
    parallel = max(parallel, work * _largest_share(inputs, rates))
    wall = rate.serial + rate.start + max(parallel, network_s)
    return StagePlan(stage, shards, tasks, mb, rate.serial + start + work, wall)


def _largest_share(inputs: Sequence[Input], rates: Rates) -> float:
    """The share of all text in the largest file that is one shard since it cannot be split."""
    total = sum(_text_mb(one, rates) for one in inputs)
    alone = [
        size / MB * rates.of_input(one.dataset, one.kind).text_mb
        for one in inputs
        for _, size in one.alone
    ]
    return max(alone, default=0.0) / total if total else 0.0


def _mixture_tokens(recipe: Recipe, text: dict[str, float], rates: Rates) -> float:
    """Tokens of the whole mixture, as `mix.tokens` says; else until the first dataset is used up."""
    if recipe.mix.tokens:
        return float(recipe.mix.tokens)
    weights = {name: w for name, w in recipe.mix.weights.items() if w > 0}
    total = sum(weights.values())
    have = [text[name] * MB / rates.chars_per_token * total / w for name, w in weights.items()]
    return min(have, default=0.0)


def _folder_bytes(folder: str, rates: Rates, mb: float, shards: int) -> float:
    each = 0.0 if folder == "shards" else shard_bytes(rates)
    once = rates.disk_once.get(folder, 0.0)
    return once + rates.disk.get(folder, 0.0) * mb * MB + each * shards


def shard_bytes(rates: Rates) -> float:
    """What a shard takes in one of the folders that have tables of shards, however little is in
    it."""
    return rates.bytes_per_shard / FOLDERS


def _shuffle_bytes(recipe: Recipe, datasets: Sequence[DatasetPlan], tokens: float) -> float:
    """What meets: the bands of signatures, and the tokens of the mixture."""
    out = 0.0
    if "dedup" in recipe.stages:
        bands, _ = recipe.dedup.banding()
        out += sum(one.documents for one in datasets) * bands * BAND_BYTES
    return out + tokens * TOKEN_BYTES * ("mix" in recipe.stages)


def _dollars(
    prices: Prices,
    cluster: Cluster,
    wall_s: float,
    disk_bytes: float,
    gets: float,
    puts: float,
    transfer: float,
) -> Dollars:
    return Dollars(
        prices.machine_per_core_hour * cluster.workers * wall_s / 3600,
        prices.storage_per_gb_month * prices.storage_months * disk_bytes / 1e9,
        prices.get_per_1000 * gets / 1000 + prices.put_per_1000 * puts / 1000,
        prices.transfer_in_per_gb * transfer / 1e9,
    )
