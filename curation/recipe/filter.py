"""[filter]: the signals that are measured, the rules that decide on them, and the masks.

A set of rules is a TOML file with `signals`, `mask` and `[[rule]]`, as the table [filter] itself has
them. Some ship (`curation/recipe/rule_sets`): each says what of the original procedure it reproduces.
Sets that a recipe names are read once, with the recipe, and become its own rules, so that a run
directory holds the rules that it ran.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from curation.errors import InputError, RecipeError, did_you_mean
from curation.keys import check_bounds, key
from curation.recipe.dataset import check_addresses
from curation.recipe.own import is_own, split_own
from curation.recipe.reasons import REASONS
from curation.shown import brief

FOLDER = Path(__file__).parent / "rule_sets"
NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
LISTS = ("block_lists", "block_words", "block_soft_words", "block_subwords")  # keys of paths
# The list that each signal of an address looks into: where none is given it is null.
LISTED = {
    "blocked_domain": "block_lists",
    "blocked_url": "block_lists",
    "blocked_words": "block_words",
    "blocked_soft_words": "block_soft_words",
    "blocked_subwords": "block_subwords",
}
MAX_RULES = 500
MAX_EXPRESSION = 4000  # characters
# What the ledgers call other things: outcomes that are no reasons, and reasons of other stages.
TAKEN = frozenset({"in", "kept", "cut", "masked", *REASONS})


@dataclass(frozen=True, slots=True)
class Rule:
    """[[filter.rule]]: documents of which `drop` is true are removed, and `name` is the reason."""

    name: str = key("", "The reason in the ledgers: lower case letters, digits and `_`.")
    drop: str = key("", "An expression on signals and columns; true removes, null does not.")

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ValueError(
                "name: a lower case letter, then letters, digits and _ expected, got "
                f"{brief(self.name)}"
            )
        if self.name in TAKEN:
            raise ValueError(f"name: {self.name!r} means something else in the ledgers; rename it")
        if len(self.drop) > MAX_EXPRESSION:
            raise ValueError(f"rule {self.name}: at most {MAX_EXPRESSION:,} characters expected")


@dataclass(frozen=True, slots=True)
class FilterConfig:
    """[filter]: rules on measured signals. Not part of the paper's recipe."""

    rules: tuple[str, ...] = key(
        (), "Sets of rules: names of those that ship, or TOML files; your rules come after."
    )
    signals: tuple[str, ...] = key(
        (), "Groups or names of signals, or functions of yours (`file.py:function`)."
    )
    rule: tuple[Rule, ...] = key(
        (), 'Rules, in order. One named as an earlier one takes its place; drop = "" removes it.'
    )
    mask: dict[str, str] = key(
        {}, 'What stands in the text for the spans of a signal; "" removes them.'
    )
    datasets: tuple[str, ...] = key((), "Datasets to filter; those of role crawl when empty.")
    block_lists: tuple[str, ...] = key(
        (), "Lists of domains and addresses, for `blocked_domain` and `blocked_url`."
    )
    block_words: tuple[str, ...] = key((), "Lists of words, for `blocked_words` of an address.")
    block_soft_words: tuple[str, ...] = key((), "The same for `blocked_soft_words`.")
    block_subwords: tuple[str, ...] = key(
        (), "Lists of parts of words, for `blocked_subwords` of an address."
    )
    max_removed: float = key(
        0.95, "Share of a dataset that one rule may remove before the alarm.", above=0, most=1
    )
    alarm: Literal["stop", "warn"] = key(
        "stop", "What happens where one rule removes nearly all of a dataset."
    )

    def __post_init__(self) -> None:
        check_bounds(self)
        for name in LISTS:
            check_addresses(name, getattr(self, name))
        if len(self.rule) > MAX_RULES:
            raise ValueError(f"rule: at most {MAX_RULES} rules expected, got {len(self.rule):,}")
        names = self.reasons()
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"rule: two rules are called {twice[0]!r}")
        for name in filter(is_own, self.signals):
            split_own(name)
        for name, replacement in self.mask.items():
            if "\x00" in replacement or "\n" in replacement:
                raise ValueError(f"mask.{name}: text without line ends and NUL expected")

    def reasons(self) -> tuple[str, ...]:
        """The names of the rules, which are reasons in the ledgers."""
        return tuple(rule.name for rule in self.rule)

    def changed(self) -> bool:
        """Whether anything is asked of the stage."""
        return bool(self.rules or self.signals or self.rule or self.mask)


def with_rule_sets(config: FilterConfig, sets: Sequence[FilterConfig]) -> FilterConfig:
    """The same with the sets that `rules` names taken in: their signals, masks and rules first.

    Raises RecipeError for a rule that is to be removed and is in none of them.
    """
    signals: dict[str, None] = {}
    mask: dict[str, str] = {}
    rules: dict[str, Rule] = {}
    for part in (*sets, config):
        signals |= dict.fromkeys(part.signals)
        mask |= part.mask
        rules |= {rule.name: rule for rule in part.rule}
    known = [rule.name for part in sets for rule in part.rule]
    for rule in config.rule:
        if not rule.drop and rule.name not in known:
            hint = did_you_mean(rule.name, known) if known else ""
            raise RecipeError(
                f"filter.rule {rule.name}: an expression expected, or the name of a rule of the sets "
                f'in `rules`, which drop = "" removes{hint}'
            )
    kept = tuple(rule for rule in rules.values() if rule.drop)
    return replace(config, rules=(), signals=tuple(signals), mask=mask, rule=kept)


def for_lists(part: FilterConfig, config: FilterConfig) -> FilterConfig:
    """A set that ships, for a recipe: its rules on lists that the recipe does not name are none."""
    missing = [name for name, key in LISTED.items() if not getattr(config, key)]
    rules = [
        Rule(rule.name, "") if any(name in rule.drop for name in missing) else rule
        for rule in part.rule
    ]
    return replace(part, rule=tuple(rules))


def rule_set_names() -> list[str]:
    """The sets of rules that ship.

    >>> "gopher" in rule_set_names()
    True
    """
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def rules_that_ship() -> dict[str, tuple[str, list[str]]]:
    """Each rule of the sets that ship: its expression, and the sets that have it.

    >>> rules_that_ship()["gopher_few_words"]
    ('words < 50', ['fineweb', 'gopher'])
    """
    found: dict[str, tuple[str, list[str]]] = {}
    for name in rule_set_names():
        for rule in rule_set_table(name)[0]["rule"]:
            found.setdefault(rule["name"], (rule["drop"], []))[1].append(name)
    return found


def rule_set_table(name: str) -> tuple[Mapping[str, Any], str]:
    """The table of one set of rules, one that ships or a file, and what errors call it.

    Raises RecipeError where there is none.
    """
    from curation import store

    known = rule_set_names()
    if name in known:
        text, where = (FOLDER / f"{name}.toml").read_text("utf-8"), f"rules {name!r}"
    elif not name.endswith(".toml"):
        raise RecipeError(
            f"filter.rules: {', '.join(known)} or a .toml file expected, got {brief(name)}"
            + did_you_mean(name, known)
        )
    else:
        try:
            text, where = store.read_bytes(name).decode("utf-8"), name
        except (InputError, OSError, ValueError) as error:
            raise RecipeError(f"filter.rules: {name}: no file of rules ({error})") from error
    try:
        table: Mapping[str, Any] = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise RecipeError(f"{where}: not a TOML file: {error}") from error
    if wrong := sorted(set(table) - {"signals", "mask", "rule"}):
        raise RecipeError(f"{where}: only signals, mask and [[rule]] expected, got {wrong[0]!r}")
    return table, where
