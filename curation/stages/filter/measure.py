"""What is measured of each document: groups of signals in the order of the recipe, then what its
rules and masks name besides.

Trap: a group of numbers that stands after a group of spans reads the text without those spans that
`mask` removes, as the filters after C4 do in FineWeb's pipeline. Spans are of the original text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from curation import store
from curation.digests import config_digest
from curation.errors import InputError
from curation.recipe.rules import columns_of
from curation.recipe.signals import GROUPS, KINDS, SPAN_GROUPS, group_of
from curation.rundir import schema
from curation.rundir.survivors import char_lengths
from curation.stages.filter import own

if TYPE_CHECKING:
    from curation.recipe.filter import FilterConfig
    from curation.rundir.directory import RunDirectory, Shard

# Columns of documents that no rule reads: the text itself, and what only this run knows.
_NOT_FOR_RULES = ("text", "content", "record_id")


@dataclass(frozen=True, slots=True)
class Step:
    """One group of signals, or one function of the user's: which of its columns are kept (empty:
    all), and the spans that are left out of the text it reads."""

    name: str
    columns: tuple[str, ...]
    without: tuple[str, ...] = ()

    @property
    def is_own(self) -> bool:
        return ":" in self.name


def steps(config: FilterConfig) -> tuple[Step, ...]:
    """What is measured, in order. Raises InputError for a name that is no signal.

    >>> from curation.recipe.filter import FilterConfig, Rule
    >>> [step.name for step in steps(FilterConfig(rule=(Rule("few", "words < 5"),)))]
    ['gopher']
    """
    groups: dict[str, tuple[str, ...]] = {}
    named = [name for name in named_signals(config) if group_of(name)]
    listed = {group_of(name) or name for name in config.signals}
    for name in [*(n for n in named if group_of(n) not in listed), *config.signals]:
        if name in GROUPS:
            groups[name] = GROUPS[name]
        elif ":" in name:
            groups[name] = ()
        elif group := group_of(name):
            groups[group] = (*groups.get(group, ()), name)
        else:
            known = [*GROUPS, *KINDS]
            raise InputError(f"filter.signals: no signal {name!r}{did_you_mean(name, known)}")
    removed: list[str] = []
    out = []
    for group, columns in groups.items():
        more = [name for name in named if group_of(name) == group]
        columns = tuple(dict.fromkeys((*columns, *more)))
        is_spans = group in SPAN_GROUPS or ":" in group
        out.append(Step(group, columns, () if is_spans else tuple(removed)))
        removed += [name for name in columns if config.mask.get(name) == ""]
    return tuple(out)


def named_signals(config: FilterConfig) -> list[str]:
    """Every name that a rule reads, and every name that is masked."""
    names: dict[str, None] = {}
    for rule in config.rule:
        names |= dict.fromkeys(sorted(columns_of(rule.name, rule.drop)))
    return list(names | dict.fromkeys(config.mask))
