"""What each stage takes for a megabyte, a shard, a worker and a run: measured, or those that ship.

A file of rates is TOML as `rates.toml` beside this one, or the JSON that `curation plan --save-rates`
writes.
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from curation import store
from curation.errors import InputError
from curation.shown import brief

SHIPPED = Path(__file__).with_name("rates.toml")
PRICES = Path(__file__).with_name("prices.toml")


@dataclass(frozen=True, slots=True)
class InputRate:
    """Of each stored megabyte of an input: core seconds of extract, and megabytes of text."""

    core_s: float
    text_mb: float


@dataclass(frozen=True, slots=True)
class StageRate:
    """Core seconds: `start` once a worker, `serial` once a run on one core, `mb` for each megabyte
    of text that enters, `shard` for each shard. `kept` is the share of text that stays."""

    start: float
    serial: float
    mb: float
    shard: float
    kept: float


@dataclass(frozen=True, slots=True)
class Rates:
    """All of a plan's rates. `extract` is by kind of input, or by dataset where it was measured;
    `disk` bytes written for each byte of text that enters, `disk_once` bytes once a run, by folder."""

    name: str
    is_rough: bool
    chars_per_token: float
    document_kb: float
    bytes_per_shard: float
    worker_mb: float
    driver_mb: float
    extract: Mapping[str, InputRate]
    stages: Mapping[str, StageRate]
    disk: Mapping[str, float]
    disk_once: Mapping[str, float]

    def of_input(self, dataset: str, kind: str) -> InputRate:
        """The rate of a dataset, or of its kind."""
        return self.extract.get(dataset) or self.extract[kind]


@dataclass(frozen=True, slots=True)
class Prices:
    """Dollars."""

    machine_per_core_hour: float
    storage_per_gb_month: float
    storage_months: float
    get_per_1000: float
    put_per_1000: float
    transfer_in_per_gb: float


def load(path: str = "") -> Rates:
    """The rates of a file, or those that ship. Raises InputError where a key is missing or no
    number."""
    table = _table(path or str(SHIPPED))
    where = path or "the rates that ship"
    try:
        return Rates(
            name=str(table["name"]),
            is_rough=not path or bool(table.get("is_rough", False)),
            chars_per_token=_number(table["chars_per_token"], "chars_per_token"),
            document_kb=_number(table["document_kb"], "document_kb"),
            bytes_per_shard=_number(table["bytes_per_shard"], "bytes_per_shard"),
            worker_mb=_number(table["worker_mb"], "worker_mb"),
            driver_mb=_number(table["driver_mb"], "driver_mb"),
            extract={k: InputRate(**_numbers(v)) for k, v in table["extract"].items()},
            stages={k: StageRate(**_numbers(v)) for k, v in table["stages"].items()},
            disk=_numbers(table["disk"]),
            disk_once=_numbers(table.get("disk_once", {})),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InputError(
            f"{where}: a file of rates as --save-rates writes it expected, got {brief(error)} in it"
        ) from error


def save(path: str, rates: Rates) -> None:
    """Write rates as JSON, for `load`."""
    store.write_bytes(path, orjson.dumps(rates, option=orjson.OPT_INDENT_2) + b"\n")


def prices(path: str = "") -> Prices:
    """The prices of a TOML file, or those that ship as an example."""
    table = _table(path or str(PRICES))
    names = [f.name for f in dataclasses.fields(Prices)]
    if set(table) != set(names):
        wrong = sorted(set(table) ^ set(names))[0]
        raise InputError(f"{path}: the keys {', '.join(names)} expected; see {wrong!r}")
    try:
        return Prices(**_numbers(table))
    except ValueError as error:
        raise InputError(f"{path}: {error}; dollars as numbers expected") from error


def _table(path: str) -> dict[str, Any]:
    data = store.read_bytes(path)
    try:
        if path.endswith(".json"):
            table = orjson.loads(data)
        else:
            table = tomllib.loads(data.decode("utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: TOML, or JSON in a file .json, expected: {error}") from error
    if not isinstance(table, dict):
        raise InputError(f"{path}: a table expected, got {brief(table)}")
    return table


def _numbers(table: Mapping[str, Any]) -> dict[str, float]:
    return {name: _number(value, name) for name, value in table.items()}


def _number(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e15:
        raise ValueError(f"{name}: a number of at least 0 expected, got {brief(value)}")
    return float(value)
