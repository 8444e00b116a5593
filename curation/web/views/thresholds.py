"""What a rule would remove with other numbers, decided anew from the stored signals; nothing is
written."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from curation.errors import InputError, did_you_mean
from curation.inspect.evidence import frames
from curation.inspect.evidence.thresholds import (
    Decided,
    Trial,
    bounds,
    decided,
    spread,
    thresholds_in,
    try_rule,
    with_numbers,
)
from curation.web import charts, render, templating
from curation.web.views.document import address
from curation.web.views.sections import NOTHING

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from curation.web.opened import OpenRun

STEPS = 200  # of a slider
BINS = 40
NO_NUMBER = "No rule of filter compares a signal with a number here."


@dataclass(frozen=True, slots=True)
class Slider:
    """A number of a rule that can be moved: its name in the address, what it is compared with, where
    it stands, and between what it moves."""

    name: str
    column: str
    value: float
    low: float
    high: float
    step: float


def thresholds(run: OpenRun, request: Request) -> Response:
    """`/thresholds?rule=NAME&t0=60`; where htmx asks, only the result."""
    rules = {r.name: r.drop for r in run.rundir.recipe.filter.rule if thresholds_in(r.drop)}
    values: dict[str, Any] = {"rules": rules, "rule": "", "sliders": [], "trials": None}
    has_rules = "filter" in run.rundir.recipe.stages and run.rundir.recipe.filter.rule
    values["nothing"] = NO_NUMBER if has_rules else NOTHING["filter"]
    if rules and "filter" in run.rundir.recipe.stages:
        name = request.query_params.get("rule") or _busiest(run, list(rules))
        if name not in rules:
            raise InputError(
                f"no rule with a number is called {name[:80]!r}{did_you_mean(name, list(rules))}"
            )
        values |= _rule(run, request, name, rules[name])
    return render.page(request, run, "thresholds.html", "Thresholds", values)


def _busiest(run: OpenRun, names: list[str]) -> str:
    """The rule that is true of most documents; the first one of a large run, where that takes long."""
    if not run.small():
        return names[0]
    rules = [rule.name for rule in run.rundir.recipe.filter.rule]
    fired = {name: sum(int(table.fired[rules.index(name)].sum()) for table in _decided(run))
             for name in names}  # fmt: skip
    return max(names, key=lambda name: fired[name])


def _rule(run: OpenRun, request: Request, name: str, drop: str) -> dict[str, Any]:
    """The sliders of a rule, and what it removes as they stand."""
    found = thresholds_in(drop)
    given = (request.query_params.get(f"t{k}", "") for k in range(len(found)))
    asked = [render.number_of(text, -1e15, 1e15, "a threshold is a number") for text in given]
    numbers = [t.value if x is None else x for t, x in zip(found, asked, strict=True)]
    changed = with_numbers(drop, numbers) if numbers != [t.value for t in found] else drop
    is_asked_for = "hx-request" in request.headers or run.small() or "now" in request.query_params
    tables = _decided(run) if is_asked_for else []
    sliders = [
        _slider(k, threshold.column, number, *_bounds(run, tables, k, name, drop))
        for k, (threshold, number) in enumerate(zip(found, numbers, strict=True))
    ]
    place = [rule.name for rule in run.rundir.recipe.filter.rule].index(name)
    trials = [
        (*_shown(run, try_rule(table, place, changed)), _charts(table, sliders)) for table in tables
    ]
    return {
        "rule": name,
        "drop": drop,
        "changed": changed,
        "sliders": sliders,
        "trials": trials if is_asked_for else None,
        "query": templating.query(rule=name, now=1, **{s.name: f"{s.value:g}" for s in sliders}),
    }


def _charts(table: Decided, sliders: list[Slider]) -> list[Any]:
    """How the values of each column are spread, and where its sliders stand."""
    drawn = []
    for column in dict.fromkeys(slider.column for slider in sliders):
        own = [slider for slider in sliders if slider.column == column]
        edges = np.linspace(min(s.low for s in own), max(s.high for s in own), BINS + 1)
        chart = charts.histogram(
            f"Documents of {table.dataset} by {column}",
            edges.tolist(),
            spread(table, column, edges),
            marks=[slider.value for slider in own],
            labels=(column, ""),
            log=True,
        )
        drawn.append(templating.svg(chart))
    return drawn


def _decided(run: OpenRun) -> list[Decided]:
    names = filter(run.rundir.recipe.ruled, run.rundir.recipe.names())
    tables = [
        run.cached(("decided", name), partial(decided, *run.opened(), name)) for name in names
    ]
    return [table for table in tables if table is not None]


def _bounds(
    run: OpenRun, tables: list[Decided], k: int, name: str, drop: str
) -> tuple[float, float]:
    """Where a slider begins and ends; of the number alone where nothing is read yet."""
    threshold = thresholds_in(drop)[k]
    if tables:
        return run.cached(("bounds", name, k), lambda: bounds(tables, threshold))
    return (0.0, 2 * threshold.value) if threshold.value > 0 else (threshold.value - 1, 1.0)


def _slider(k: int, column: str, value: float, low: float, high: float) -> Slider:
    """A slider of about STEPS steps, each a power of ten times 1, 2 or 5; of whole ones where all are."""
    low, high = min(low, value), max(high, value)
    raw = (high - low) / STEPS
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw)
    if low == int(low) and value == int(value) and high > 20:
        step = max(1.0, step)
    return Slider(
        f"t{k}", column, value, math.floor(low / step) * step, math.ceil(high / step) * step, step
    )


def _shown(run: OpenRun, trial: Trial) -> tuple[Trial, list[Any], list[Any]]:
    """A trial, and the documents of its examples: (address, name) each."""

    def documents(places: tuple[tuple[int, int], ...]) -> list[Any]:
        shown = []
        for ordinal, row in places:
            shard = run.plan.shards[ordinal]
            document = frames.take_one(run.rundir.documents(shard), row, ["id", "url"])
            where = address(run, shard, row)
            shown.append((where, document["url"] or document["id"]))
        return shown

    return trial, documents(trial.left), documents(trial.entered)
