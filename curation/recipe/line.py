"""What a stage is, in one place: its name, its folders, and the table that says what it kept.

    download -> extract -> classify -> dedup -> decontaminate -> tokenize -> mix

A new stage is an entry here, a config class in `tables.py` and a folder under `stages/`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage.

    `folders`: what it writes in a run directory. `ledger`: the folder of the tables, one a shard,
    whose footers have its ledger; empty where it has none. `aligned_to`: for a stage that decides,
    the table whose rows its decision table follows, row by row. `roles`: the roles of datasets that
    it decides on; empty means all.
    """

    name: str
    folders: tuple[str, ...]
    ledger: str = ""
    aligned_to: str = ""
    roles: tuple[str, ...] = ()


LINE = (
    Stage("download", ("downloads",)),
    Stage("extract", ("documents", "rejects"), "documents"),
    Stage("classify", ("classify", "survivors"), "classify/decision", "documents", ("crawl",)),
    Stage("dedup", ("dedup",), "dedup/decision", "survivors"),
    Stage("decontaminate", ("decontaminate",), "decontaminate/decision", "survivors"),
    Stage("tokenize", ("tokens",), "tokens"),
    Stage("mix", ("shards",)),
)
STAGES = tuple(stage.name for stage in LINE)
DECIDING = tuple(stage.name for stage in LINE if stage.aligned_to)


def stage_named(name: str) -> Stage:
    """The entry of a stage.

    >>> stage_named("dedup").folders
    ('dedup',)
    """
    return LINE[STAGES.index(name)]
