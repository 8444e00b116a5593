"""What a stage is, in one place: its name, its folders, and the table that says what it kept.

    download -> extract -> filter -> classify -> dedup -> decontaminate -> tokenize -> mix

A new stage is an entry here, a config class in `tables.py` and a folder under `stages/`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from curation.errors import RecipeError


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage.

    `folders`: what it alone writes in a run directory; `survivors/` is beside them. `ledger`: the folder of the tables, one a shard,
    whose footers have its ledger; empty where it has none. `aligned_to`: for a stage that decides,
    the table whose rows its decision table follows, row by row. `some`: it decides on some datasets
    only, as the recipe says; what it does not decide on, it keeps whole.
    """

    name: str
    folders: tuple[str, ...]
    ledger: str = ""
    aligned_to: str = ""
    some: bool = False


LINE = (
    Stage("download", ("downloads",)),
    Stage("extract", ("documents", "rejects"), "documents"),
    Stage("filter", ("filter",), "filter/decision", "documents", True),
    Stage("classify", ("classify",), "classify/decision", "documents", True),
    Stage("dedup", ("dedup",), "dedup/decision", "survivors"),
    Stage("decontaminate", ("decontaminate",), "decontaminate/decision", "survivors"),
    Stage("tokenize", ("tokens",), "tokens"),
    Stage("mix", ("shards",)),
)
STAGES = tuple(stage.name for stage in LINE)
DEFAULT = tuple(name for name in STAGES if name != "filter")  # as in the paper
DECIDING = tuple(stage.name for stage in LINE if stage.aligned_to)


def stage_named(name: str) -> Stage:
    """The entry of a stage.

    >>> stage_named("dedup").folders
    ('dedup',)
    """
    return LINE[STAGES.index(name)]


def survivors_writer(stages: Collection[str]) -> str:
    """The stage that writes `survivors/`: the last one of a recipe that decides on documents; empty
    where there is none.

    >>> survivors_writer(STAGES), survivors_writer(["extract", "filter", "dedup"])
    ('classify', 'filter')
    """
    deciding = (stage.name for stage in reversed(LINE) if stage.aligned_to == "documents")
    return next((name for name in deciding if name in stages), "")


def folders(stage: str, stages: Collection[str]) -> tuple[str, ...]:
    """The folders that a stage of a recipe with these stages writes."""
    return stage_named(stage).folders + ("survivors",) * (stage == survivors_writer(stages))


def check_stages(stages: Sequence[str], again_from: str | None, until: str | None) -> None:
    """Raise RecipeError where a run of some stages cannot begin or end with these."""
    for stage in (again_from, until):
        if stage is not None and stage not in stages:
            raise RecipeError(f"no stage {stage!r} in this recipe; it has {', '.join(stages)}")
    if again_from and until and stages.index(again_from) > stages.index(until):
        raise RecipeError(
            f"--from {again_from} comes after --until {until}; nothing would be made again"
        )
