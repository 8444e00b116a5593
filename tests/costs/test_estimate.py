"""The sum: inputs times rates."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from curation.costs import estimate, rates
from curation.costs.inputs import Input
from curation.costs.rates import InputRate, StageRate
from curation.recipe import reading

STAGES = ["extract", "classify", "dedup", "tokenize", "mix"]


def recipe(**more: Any) -> Any:
    datasets = [
        {"name": "good", "files": "a.jsonl"},
        {"name": "web", "role": "crawl", "files": "b.warc.gz"},
    ]
    mix = {"weights": {"good": 1, "web": 3}}
    return reading.parse({"dataset": datasets, "stages": STAGES, "mix": mix, **more})


def inputs(scale: int = 1) -> list[Input]:
    return [
        Input("good", "trusted", "table", scale, 10_000_000 * scale, scale, "listing", True),
        Input("web", "crawl", "warc", 4 * scale, 40_000_000 * scale, 4 * scale, "listing", True),
    ]


def simple() -> rates.Rates:
    stage = StageRate(start=2.0, serial=3.0, mb=0.5, shard=0.1, kept=1.0)
    stages = dict.fromkeys(rates.load().stages, stage)
    stages["classify"] = dataclasses.replace(stage, kept=0.25)
    stages["dedup"] = dataclasses.replace(stage, kept=0.5)
    stages["extract"] = dataclasses.replace(stage, mb=0.0)
    extract = {"table": InputRate(0.1, 2.0), "warc": InputRate(1.0, 0.5)}
    return dataclasses.replace(rates.load(), stages=stages, extract=extract, chars_per_token=4.0)


PRICES = rates.Prices(0.1, 0.02, 2.0, 0.001, 0.01, 0.05)


def planned(machines: int = 1, cores: int = 5, scale: int = 1, **more: Any) -> estimate.RunPlan:
    cluster = estimate.Cluster(machines, cores, 1000.0)
    return estimate.plan(recipe(**more), inputs(scale), simple(), cluster, PRICES)


def test_the_sum_by_hand() -> None:
    plan = planned()
    by_stage = {stage.stage: stage for stage in plan.stages}
    # text: 20 MB of good, 20 of web; classify keeps a quarter of web; dedup half of both
    assert by_stage["classify"].text_mb == pytest.approx(40)
    assert by_stage["dedup"].text_mb == pytest.approx(25)
    assert by_stage["tokenize"].text_mb == pytest.approx(12.5)
    kept = {one.input.dataset: one.kept_mb for one in plan.datasets}
    assert kept == pytest.approx({"good": 10, "web": 2.5})
    # the mixture ends with web: 0.625 million tokens are three quarters
    assert plan.mixture_tokens == pytest.approx(625_000 * 4 / 3)
    # 5 workers start, 5 shards, 10 MB at 0.1 s and 40 at 1 s
    assert by_stage["extract"].core_s == pytest.approx(3 + 2 * 5 + 0.1 * 5 + 1 + 40)
    assert by_stage["extract"].wall_s == pytest.approx(3 + 2 + (0.5 + 41) / 5)
    assert by_stage["dedup"].core_s == pytest.approx(3 + 2 * 5 + 0.1 * 5 + 0.5 * 25)


def test_more_machines_take_less_time_and_hardly_more_of_cores() -> None:
    one, ten = planned(1, 4, scale=200), planned(10, 4, scale=200)
    assert ten.wall_s < one.wall_s / 5
    assert one.core_s < ten.core_s < one.core_s * 1.1
    serial = sum(simple().stages[s].serial + simple().stages[s].start for s in STAGES)
    assert planned(10_000, 16, scale=200).wall_s > serial  # no number of cores helps further


def test_a_file_that_cannot_be_split_takes_one_core_as_long_as_it_is() -> None:
    many = estimate.Cluster(100, 16, 1e9)
    good, web = inputs(100)
    alone = dataclasses.replace(good, alone=(("a.jsonl.gz", good.bytes // 2),))
    split, whole = (
        estimate.plan(recipe(), [one, web], simple(), many, PRICES) for one in (good, alone)
    )
    assert whole.core_s == split.core_s
    assert whole.wall_s > 5 * split.wall_s


def test_it_grows_with_the_inputs() -> None:
    small, large = planned(scale=100), planned(scale=1000)
    assert large.core_s / small.core_s == pytest.approx(10, rel=0.1)
    assert large.disk_bytes / small.disk_bytes == pytest.approx(10, rel=0.1)
    assert large.shuffle_bytes / small.shuffle_bytes == pytest.approx(10, rel=0.01)


def test_dollars() -> None:
    plan = planned(2, 8, scale=50)
    assert plan.dollars.machines == pytest.approx(0.1 * 16 * plan.wall_s / 3600)
    assert plan.dollars.storage == pytest.approx(0.02 * 2 * plan.disk_bytes / 1e9)
    assert plan.dollars.total == pytest.approx(
        plan.dollars.machines + plan.dollars.storage + plan.dollars.requests
    )


def test_records_that_are_selected_take_the_pace_of_requests() -> None:
    one = dataclasses.replace(
        inputs()[1], requests=3000, remote_bytes=40_000_000, records=500, index_requests=7
    )
    cluster = estimate.Cluster(100, 16, 1000.0)
    plan = estimate.plan(recipe(), [inputs()[0], one], simple(), cluster, PRICES)
    extract = next(stage for stage in plan.stages if stage.stage == "extract")
    assert extract.wall_s >= 3000 / 5.0  # requests_per_second
    assert plan.requests == 3007
    assert plan.datasets[1].documents == 500
