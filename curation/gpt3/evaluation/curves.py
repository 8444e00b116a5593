"""Scores over the number of shots, with and without a description in words, of one or several
models: what figures 1.2 and 3.2 to 3.12 and table H.1 are made of.

A task whose wording is the same with and without a description is asked once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curation.gpt3.evaluate import Reader, evaluate
from curation.gpt3.tasks import Task, examples, find_tasks, shot_pool

Results = list[dict[str, Any]]


@dataclass(frozen=True)
class Plan:
    """What is asked: the benchmarks, tasks (none: all), numbers of shots, and whether with the
    description, without it, or both."""

    benchmarks: Sequence[Path]
    tasks: Sequence[str] = ()
    shots: Sequence[int] = (0,)
    described: Sequence[bool] = (True,)
    limit: int | None = None
    seed: int = 0


def check(plan: Plan) -> None:
    """Read all that will be asked, so that a file that cannot be used is said before a model is
    loaded. Raises InputError, as `find_tasks`, `examples` and `shot_pool` do."""
    for task, path in find_tasks(plan.benchmarks, plan.tasks):
        examples(task, path)
        if max(plan.shots) > 0:
            shot_pool(task, path)


def curves(
    reader: Reader,
    plan: Plan,
    dirty: Mapping[str, set[str]] | None = None,
    say: Callable[[dict[str, Any]], None] = lambda _: None,
    **facts: Any,
) -> Results:
    """The results of `evaluate` for every number of shots, each with `facts` of the model."""
    results: Results = []
    found = [task for task, _ in find_tasks(plan.benchmarks, plan.tasks)]
    for described in plan.described:
        for shots in plan.shots:
            names = [
                task.name
                for task in found
                if described or True not in plan.described or has_description(task, shots)
            ]
            if not names:
                continue
            results += [
                {**facts, **result}
                for result in evaluate(
                    reader,
                    plan.benchmarks,
                    list(dict.fromkeys(names)),
                    shots=shots,
                    limit=plan.limit,
                    seed=plan.seed,
                    dirty=dirty,
                    say=say,
                    describe=described,
                )
            ]
    return results


def has_description(task: Task, shots: int) -> bool:
    """Whether the task's wording for so many shots depends on a description."""
    return bool(task.header) or (task.zero_read is not None and shots == 0)
