"""A recipe: one TOML file that says where the corpora are and what each stage does.

Each table is the config class of the stage of the same name (`[dedup]` is `tables.py: DedupConfig`), with its defaults there. An
unknown key or a bad value is refused with its place, what was expected and, where a name is nearly right, what was meant.
Paths are relative to the recipe's own folder.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import math
import os
import tomllib
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from curation import store
from curation.errors import InputError, RecipeError, did_you_mean
from curation.kernels.vocabularies import is_file
from curation.recipe.filter import (
    LISTS,
    FilterConfig,
    for_lists,
    rule_set_names,
    rule_set_table,
    with_rule_sets,
)
from curation.recipe.own import is_own, resolve_own
from curation.recipe.tables import Recipe
from curation.shown import brief, masked

MAX_TEXT = 4000  # characters of a value, which may be an address or a path
MAX_SHOWN = 80


def load(path: str, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe file. `overrides` are `table.key=value` with a TOML value; a bare word is taken as a string."""
    is_folder = os.path.isdir(path)
    if not store.is_remote(path) and (is_folder or not os.path.exists(path)):
        found = "a folder" if is_folder else "no such file"
        raise RecipeError(
            f"{path}: a recipe (a TOML file) expected, found {found}; "
            "`curation init recipe.toml` writes one to begin with"
        )
    try:
        table = tomllib.loads(store.read_bytes(path).decode("utf-8"))
    except RecursionError as error:
        raise RecipeError(
            f"{path}: not a recipe: lists or tables too deep in each other"
        ) from error
    except ValueError as error:  # that of TOML, of UTF-8, and of numbers of thousands of digits
        raise RecipeError(f"{path}: not a TOML file: {error}") from error
    for override in overrides:
        override_key(table, override)
    folder = (
        path.rpartition("/")[0] if store.is_remote(path) else os.path.dirname(os.path.abspath(path))
    )
    return parse(table, path, folder)


def parse(table: Mapping[str, Any], where: str = "recipe", folder: str = "") -> Recipe:
    """A recipe from its TOML tables, with the sets of rules that it names taken in; paths are
    relative to `folder`, where one is given."""
    recipe = typing.cast(Recipe, build(Recipe, table, where))
    recipe = resolved(recipe, folder) if folder else recipe
    sets = []
    for name in recipe.filter.rules:
        part = build(FilterConfig, *rule_set_table(name))
        sets.append(for_lists(part, recipe.filter) if name in rule_set_names() else part)
    return dataclasses.replace(recipe, filter=with_rule_sets(recipe.filter, sets))


def as_dict(recipe: Recipe) -> dict[str, Any]:
    """The recipe with every default filled in, as JSON can hold it, addresses without secrets."""
    return typing.cast(dict[str, Any], _plain(dataclasses.asdict(recipe)))


def changes(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    """What differs between two recipes, a line each.

    >>> changes({"seed": 0, "mix": {"tokens": 5}}, {"seed": 1, "mix": {"tokens": 5}})
    ['seed: 0 -> 1']
    """
    out = []
    for key in sorted(set(old) | set(new)):
        a, b = old.get(key), new.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            out += changes(a, b, f"{prefix}{key}.")
        elif key == "dataset" and isinstance(a, list) and isinstance(b, list):
            out += changes({d["name"]: d for d in a}, {d["name"]: d for d in b}, "dataset ")
            if [d["name"] for d in a] != [d["name"] for d in b]:
                out.append(
                    f"datasets: {', '.join(d['name'] for d in a)} -> {', '.join(d['name'] for d in b)}"
                )
        elif f"{prefix}{key}" == "filter.rule" and isinstance(a, list) and isinstance(b, list):
            of_a, of_b = ({rule["name"]: rule["drop"] for rule in rules} for rules in (a, b))
            out += changes(of_a, of_b, "filter.rule ")
            if [name for name in of_a if name in of_b] != [name for name in of_b if name in of_a]:
                out.append("filter.rule: the same rules in another order")
        elif a != b:
            out.append(f"{prefix}{key}: {_short(a)} -> {_short(b)}")
    return out


def _short(value: Any) -> str:
    text = "nothing" if value is None else '""' if value == "" else str(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, str) and store.is_remote(value):
        return masked(value)
    return [_plain(v) for v in value] if isinstance(value, tuple) else value


def resolved(recipe: Recipe, folder: str) -> Recipe:
    """The recipe with its paths from the root, where they are relative to a folder."""

    def absolute(path: str) -> str:
        if not path or store.is_remote(path):
            return path
        joined = store.join(folder, path)
        return joined if store.is_remote(joined) else os.path.normpath(joined)

    lists: dict[str, Any] = {
        name: tuple(map(absolute, getattr(recipe.filter, name))) for name in LISTS
    }
    datasets = tuple(
        dataclasses.replace(
            d,
            files=tuple(map(absolute, d.files)),
            urls=absolute(d.urls),
            annotations=absolute(d.annotations),
            index=tuple(map(absolute, d.index)),
        )
        for d in recipe.dataset
    )
    return dataclasses.replace(
        recipe,
        dataset=datasets,
        extract=dataclasses.replace(
            recipe.extract, language_model=absolute(recipe.extract.language_model)
        ),
        filter=dataclasses.replace(
            recipe.filter,
            rules=tuple(absolute(r) if r.endswith(".toml") else r for r in recipe.filter.rules),
            signals=tuple(
                resolve_own(s, folder) if is_own(s) else s for s in recipe.filter.signals
            ),
            **lists,
        ),
        classify=dataclasses.replace(recipe.classify, model=absolute(recipe.classify.model)),
        dedup=dataclasses.replace(recipe.dedup, index=absolute(recipe.dedup.index)),
        decontaminate=dataclasses.replace(
            recipe.decontaminate,
            benchmarks=tuple(map(absolute, recipe.decontaminate.benchmarks)),
            catalogue=absolute(recipe.decontaminate.catalogue),
        ),
        tokenize=dataclasses.replace(
            recipe.tokenize,
            encoding=absolute(recipe.tokenize.encoding)
            if is_file(recipe.tokenize.encoding)
            else recipe.tokenize.encoding,
        ),
    )


def override_key(table: dict[str, Any], text: str, option: str = "--set") -> None:
    """Set one value of a recipe's tables, as `table.key=value` says it on a command line."""
    name, equals, value = text.partition("=")
    keys = name.strip().split(".")
    shown = f"{option} {text[:MAX_SHOWN]}"
    if not equals or not all(keys):
        raise RecipeError(f"{shown}: table.key=value expected, for instance classify.alpha=5")
    try:
        parsed = tomllib.loads(f"v = {value}")["v"]
    except tomllib.TOMLDecodeError:
        parsed = value
    except (ValueError, RecursionError) as error:
        raise RecipeError(f"{shown}: a number too long, or lists too deep in each other") from error
    for key in keys[:-1]:
        table = table.setdefault(key, {})
        if not isinstance(table, dict):
            raise RecipeError(f"{shown}: {key!r} is not a table")
    table[keys[-1]] = parsed


def build(cls: Any, table: Any, where: str) -> Any:
    """A config class of a table that a person wrote. Raises RecipeError, with `where` and the key."""
    if not isinstance(table, Mapping):
        raise RecipeError(f"{where}: a table expected, got {brief(table)}")
    hints = _hints(cls)
    values = {}
    for key, value in table.items():
        if key not in hints:
            raise RecipeError(f"{where}: no key {brief(key)}{did_you_mean(key, list(hints))}")
        values[key] = _convert(hints[key], value, f"{where}: {key}")
    for f in dataclasses.fields(cls):
        missing = f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
        if missing and f.name not in values:
            raise RecipeError(f"{where}: the key {f.name!r} is missing")
    try:
        return cls(**values)
    except (ValueError, InputError) as error:
        raise RecipeError(f"{where}: {error}") from error


# Each look evaluates every annotation anew; a recipe's tables are built a few hundred times in a run.
_hints = functools.cache(typing.get_type_hints)


def _convert(kind: Any, value: Any, where: str) -> Any:
    """A TOML value as the annotated type of its key: scalars, tuples, dicts of numbers, choices, nested tables."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    got = brief(value)
    if dataclasses.is_dataclass(kind):
        return build(kind, value, where)
    if origin is Literal:
        if value in args and type(value) in {type(a) for a in args}:
            return value
        raise RecipeError(
            f"{where}: one of {', '.join(map(repr, args))} expected, got {got}{_meant_choice(value, args)}"
        )
    if origin in (types.UnionType, typing.Union):
        kinds = [arg for arg in args if arg is not type(None)]
        if value is None and len(kinds) < len(args):  # TOML has no null, plan.json has
            return None
        refused = []
        for option in kinds:
            try:
                return _convert(option, value, where)
            except RecipeError as error:
                refused.append(str(error).removeprefix(f"{where}: ").partition(" expected")[0])
        raise RecipeError(f"{where}: {' or '.join(refused)} expected, got {got}")
    if origin is tuple:
        if isinstance(value, str) and args[0] is str and len(args) == 2 and args[1] is ...:
            value = [value]
        if (
            not isinstance(value, Sequence)
            or isinstance(value, str)
            or (args[-1] is not ... and len(value) != len(args))
        ):
            raise RecipeError(f"{where}: a list expected, got {got}")
        if "" in value:
            raise RecipeError(f"{where}: no empty text expected, got {got}")
        return tuple(_convert(args[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if origin is dict:
        if not isinstance(value, Mapping):
            raise RecipeError(f"{where}: a table expected, got {got}")
        return {k: _convert(args[1], v, f"{where}.{k[:MAX_SHOWN]}") for k, v in value.items()}
    if kind is float and type(value) is int and abs(value) < 1 << 1000:
        value = float(value)
    if type(value) is not kind or (kind is float and not math.isfinite(value)):
        name = "a finite number" if kind is float else kind.__name__
        raise RecipeError(f"{where}: {name} expected, got {got}")
    if kind is str and (len(value) > MAX_TEXT or "\0" in value or not _is_unicode(value)):
        raise RecipeError(
            f"{where}: text of at most {MAX_TEXT:,} characters without NUL expected, got {got}"
        )
    return value


def _is_unicode(text: str) -> bool:
    """Whether text can be written as UTF-8: an argument of the command line may be other bytes."""
    return not any("\ud800" <= c <= "\udfff" for c in text)


def _meant_choice(value: Any, args: Sequence[Any]) -> str:
    close = difflib.get_close_matches(brief(value).strip("'"), [str(a) for a in args], 1)
    return f"; did you mean {close[0]!r}?" if close else ""
