"""One run as many jobs of a scheduler, without Spark: main jobs, and array tasks between them.

A main job does all that plans or meets, under the run's lock, and stops at the next map that is
shared out. Array task i of n then does the shards whose number is i modulo n, under a lock of its
own, and leaves what they returned in `parts/`. The next main job takes these results in place of the
map, and goes on. A job more than needed does nothing, and a run without `--shards` finishes whatever
is left: the bytes are those of one run.

Cost: a main job walks through the stage that it is in from its beginning, with results in place of
maps. Memory: the results of all shards, as in one run.

Trap: array tasks never plan, fetch, clear or sweep, and no main job runs while one of them does.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from curation import store
from curation.digests import config_digest
from curation.engine.base import Engine, item_name
from curation.errors import InputError, RunError
from curation.pipeline import line
from curation.pipeline.compile import compile_kernels
from curation.recipe import reading as recipes
from curation.rundir import manifest as manifests
from curation.rundir import metrics as run_metrics
from curation.rundir import parts
from curation.rundir import plan as plans
from curation.rundir.directory import RunDirectory
from curation.rundir.lock import Lock, member_lock
from curation.rundir.results import ShardResult
from curation.shown import masked

if TYPE_CHECKING:
    from curation.recipe.tables import Recipe
    from curation.rundir.plan import Plan

# Maps over shards whose results nobody reads: an array task goes on to the next one.
PASSED = ("filter: measure", "classify: score")
# Of each stage the maps over shards that are shared out, in their order; the others are small, or
# read what a main job has in its memory.
SHARED: Mapping[str, tuple[str, ...]] = {
    "extract": ("extract",),
    "filter": ("filter: measure", "filter: decide"),
    "classify": ("classify: survivors", "classify: sample", "classify: score", "classify: decide"),
    "dedup": ("dedup: sign", "dedup: decide"),
    "decontaminate": ("decontaminate: scan", "decontaminate: cut"),
    "tokenize": ("tokenize",),
}


@dataclass(frozen=True, slots=True)
class Role:
    """What a job of a run does: array task `index` of `of`, or a main job between (None)."""

    index: int | None
    of: int


class Waiting(Exception):
    """A map was reached that waits for array tasks: its label."""


def role_of(text: str) -> Role:
    """What `--shards` says. Raises InputError.

    >>> role_of("3/16"), role_of("main/16")
    (Role(index=3, of=16), Role(index=None, of=16))
    """
    match = re.fullmatch(r"(main|[0-9]{1,6})/([0-9]{1,6})", text)
    if match and int(match[2]):
        role = Role(None if match[1] == "main" else int(match[1]), int(match[2]))
        if role.index is None or role.index < role.of:
            return role
    raise InputError(
        f"--shards {text[:40]}: i/n expected, with i from 0 to n - 1 (array task i of n), or main/n"
    )


def rounds(stages: Sequence[str]) -> int:
    """How many times array tasks are needed between main jobs, at most."""
    labels = [label for stage in stages for label in SHARED.get(stage, ())]
    hashed = [stage for stage in stages if stage != "download"]
    return sum(label not in PASSED for label in labels) + len(hashed)


def run_main(recipe: Recipe, out: str, engine: Engine, role: Role, **options: Any) -> str:
    """A main job; returns the label of the map that array tasks do next, empty where the run is
    finished. `options` are those of `line.run`."""

    def dealt(inner: Engine, stage: str, key: str) -> Engine:
        return _Main(inner, RunDirectory(out, recipe), stage, key, role.of)

    try:
        line.run(recipe, out, engine, engine_of=dealt, **options)
    except Waiting as waiting:
        return str(waiting)
    return ""


def run_member(
    recipe: Recipe, out: str, engine: Engine, role: Role, say: Callable[[str], None]
) -> str:
    """Array task `role.index`: its shards of the map that a main job stopped at; returns the label,
    empty where there was nothing to do."""
    assert role.index is not None
    rundir = RunDirectory(out, recipe)
    _need_recipe(rundir)
    with Lock(out, say, member_lock(role.index, role.of), ("run.lock",)):
        shared = parts.next_map(out)
        if shared is None:
            return ""
        if shared.of != role.of:
            raise RunError(
                f"{rundir.path(parts.NEXT)}: the main job shared out to {shared.of} array tasks, "
                f"and this is one of {role.of}; give the same n to all"
            )
        member = _Member(engine, rundir, shared.stage, shared.key, role)
        name = f"{run_metrics.FOLDER}/{role.index}-of-{role.of}.jsonl"
        metrics = run_metrics.Metrics(out, name)
        with metrics.following(engine):
            compile_kernels(engine, [shared.stage])
            plan = _plan(rundir)
            metrics.stage(shared.stage, 1, [shared.stage], len(plan.shards))
            _stage_as_member(rundir, plan, member, shared)
    return shared.label


def _need_recipe(rundir: RunDirectory) -> None:
    """Raise RunError where the main job planned by another recipe."""
    stored = manifests.stored_plan(rundir.out)
    if stored and (
        differences := recipes.changes(stored["recipe"], recipes.as_dict(rundir.recipe))
    ):
        raise RunError(
            f"{rundir.out}: its main job planned by another recipe ({'; '.join(differences[:3])}); "
            "give array tasks the same one, or run a main job with this one first"
        )


def _stage_as_member(
    rundir: RunDirectory, plan: Plan, member: _Member, shared: parts.SharedMap
) -> None:
    stage, label = shared.stage, shared.label
    try:
        if label == f"{stage}: manifest":
            manifests.write(rundir.out, member, stage, shared.key, line.places(rundir, stage))
        else:
            line.MODULES[stage].run(rundir.for_tasks(), plan, member)
    except Waiting:
        return
    raise RunError(
        f"{rundir.path(parts.NEXT)}: {label} expected next, and it was not reached; run a main job again "
        f"(--shards main/{member.role.of})"
    )


def _plan(rundir: RunDirectory) -> Plan:
    """The plan that a main job wrote. Where addresses have secrets, which no plan holds, the inputs
    are listed again."""
    texts = [text for dataset in rundir.recipe.dataset for text in dataset.files]
    if any(masked(text) != text for text in (*texts, rundir.recipe.download.base_url)):
        return plans.make(rundir.recipe, rundir.out)
    return plans.read(rundir.out)[1]


def is_shared(stage: str, label: str) -> bool:
    """Whether a map of a stage is shared out."""
    return label in SHARED.get(stage, ()) or label == f"{stage}: manifest"


# ---- the engines of both -------------------------------------------------------------------------


class _Sharing:
    """An engine whose maps over shards are done by several jobs; what else it is asked for is done
    by the engine inside it."""

    def __init__(self, inner: Engine, rundir: RunDirectory, stage: str, key: str, of: int) -> None:
        self.inner, self.rundir, self.stage, self.key, self.of = inner, rundir, stage, key, of
        self.progress, self.observe = inner.progress, inner.observe
        self.workers = inner.workers
        self.map_here, self.close = inner.map_here, inner.close
        self.sql, self.shuffle = inner.sql, inner.shuffle

    def map(self, label: str, task: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
        if not items or not is_shared(self.stage, label):
            return self.inner.map(label, task, items)
        return self.shared(label, task, items)

    def shared(self, label: str, task: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
        raise NotImplementedError

    def state(self, label: str, items: Sequence[Any]) -> str:
        """What results are of: the stage and all that it depends on, the map and its items."""
        names = hashlib.sha256("\n".join(map(item_name, items)).encode()).hexdigest()
        return config_digest(self.key, label, names, self.of)

    def path(self, label: str, index: int) -> str:
        place = re.sub(r"\W+", "-", label)
        return self.rundir.path(parts.FOLDER, place, f"{index}-of-{self.of}.json")

    def saved(self, label: str, items: Sequence[Any]) -> list[Any] | None:
        """The results of all array tasks; None where one of them is not there."""
        state, results = self.state(label, items), dict[int, Any]()
        for index in range(self.of):
            data = manifests.read_data(self.path(label, index))
            if not isinstance(data, dict) or data.get("state") != state:
                return None
            results |= {int(number): _result(row) for number, row in data["results"].items()}
        return [results[number] for number in range(len(items))]


class _Main(_Sharing):
    """Takes the results of array tasks, and stops where they are not there."""

    def shared(self, label: str, task: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
        if label in PASSED:
            return []
        results = self.saved(label, items)
        if results is None:
            row = {"stage": self.stage, "label": label, "key": self.key, "of": self.of}
            store.write_json(self.rundir.path(parts.NEXT), row)
            raise Waiting(label)
        return results


class _Member(_Sharing):
    """Does its own items of the first map whose results are not there, and stops."""

    def __init__(
        self, inner: Engine, rundir: RunDirectory, stage: str, key: str, role: Role
    ) -> None:
        super().__init__(inner, rundir, stage, key, role.of)
        self.role = role
        self.sql = self.shuffle = self._meets

    def _meets(self, *_: Any, **__: Any) -> Any:
        raise RunError(
            f"{self.rundir.out}: rows would have to meet here, which a main job does; run one again "
            f"(--shards main/{self.of})"
        )

    def shared(self, label: str, task: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
        saved = None if label in PASSED else self.saved(label, items)
        if saved is not None:
            return saved
        index = self.role.index or 0
        own = [n for n, item in enumerate(items) if _owner(item, n) % self.of == index]
        results = self.inner.map(label, task, [items[number] for number in own])
        if label in PASSED:
            return []
        rows = {str(n): _row(result) for n, result in zip(own, results, strict=True)}
        data = {"state": self.state(label, items), "results": rows}
        store.write_json(self.path(label, index), data)
        raise Waiting(label)


def _owner(item: Any, number: int) -> int:
    """The number that says whose an item is: of a shard its own, so that the maps of one stage are
    cut alike."""
    shard = item[0] if isinstance(item, tuple) else item
    return int(getattr(shard, "ordinal", number))


def _row(result: Any) -> Any:
    """A result as JSON."""
    return {"shard": asdict(result)} if isinstance(result, ShardResult) else {"value": result}


def _result(row: Any) -> Any:
    return ShardResult(**row["shard"]) if "shard" in row else row["value"]
