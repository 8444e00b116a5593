"""A recipe: one TOML file that says where the corpora are and what each stage does.

Each table is the config class of the stage of the same name (`[dedup]` is `stages/dedup.py: DedupConfig`), with its defaults there. An
unknown key or a bad value is refused with its place, what was expected and, where a name is nearly right, what was meant.
Paths are relative to the recipe's own folder.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import os
import tomllib
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from curation import store
from curation.errors import RecipeError
from curation.stages.classify import ClassifyConfig
from curation.stages.decontaminate import DecontaminateConfig
from curation.stages.dedup import DedupConfig
from curation.stages.download import DownloadConfig
from curation.stages.extract import ExtractConfig
from curation.stages.mix import MixConfig
from curation.stages.tokenize import TokenizeConfig

STAGES = ("download", "extract", "classify", "dedup", "decontaminate", "tokenize", "mix")


@dataclass(frozen=True, slots=True)
class Dataset:
    """One corpus. The order of the `[[dataset]]` tables is their priority in dedup: the first wins.

    `trusted` corpora are kept whole by `classify` and are its positives; `crawl` is filtered, and is its negatives; `reference` takes part
    in a stage only to be compared with (positives, `--against`) and is never mixed.
    """

    name: str
    role: Literal["trusted", "crawl", "reference"] = "trusted"
    files: tuple[str, ...] = ()
    format: Literal["auto", "archive", "mediawiki", "table", "text"] = "auto"
    crawls: tuple[str, ...] = ()
    kind: Literal["warc", "wet"] = "wet"
    archives: str = ""  # "0:100" or "sample:20": which archives of each crawl; all when empty
    stream: bool = False  # read at the address, nothing is downloaded
    first_mb: float = 0.0  # with stream: only so many million bytes of each file; 0: all
    urls: str = (
        ""  # a list of addresses, a line each, looked up in `index` and fetched record by record
    )
    index: tuple[str, ...] = ()  # Parquet files of Common Crawl's columnar index
    archives_per_shard: int = 1  # input files of one shard, whatever they are
    text_column: str = "text"
    id_column: str = "id"
    url_column: str = "url"

    def __post_init__(self) -> None:
        if (
            not self.name
            or not all(c.isalnum() or c in "-_." for c in self.name)
            or self.name[0] in "._"
        ):
            raise ValueError(
                f"name: letters and digits, and after the first '-', '_' and '.', expected, got {self.name!r}"
            )
        if bool(self.files) + bool(self.crawls) + bool(self.urls) != 1:
            raise ValueError(
                f"dataset {self.name!r}: give either `files`, `crawls`, or `urls` and `index`"
            )
        if bool(self.urls) != bool(self.index):
            raise ValueError(f"dataset {self.name!r}: `urls` and `index` go together")
        if self.first_mb < 0 or (self.first_mb and not self.stream):
            raise ValueError(
                f"dataset {self.name!r}: first_mb is 0 or more, and goes with stream = true"
            )
        if self.stream and any("#" in text and store.address(text).digest for text in self.files):
            raise ValueError(
                f"dataset {self.name!r}: a digest can only be checked of a whole file; leave it or `stream` out"
            )
        if self.archives_per_shard < 1:
            raise ValueError(
                f"archives_per_shard: at least 1 expected, got {self.archives_per_shard}"
            )


@dataclass(frozen=True, slots=True)
class Recipe:
    """The whole recipe. `stages` may leave stages out; those that stand keep the order of the line."""

    dataset: tuple[Dataset, ...]
    seed: int = 0
    memory_gb: float = 2.0  # for each SQL query of the local engine, which spills to disk beyond it
    stages: tuple[str, ...] = STAGES
    download: DownloadConfig = field(default_factory=DownloadConfig)
    extract: ExtractConfig = field(default_factory=ExtractConfig)
    classify: ClassifyConfig = field(default_factory=ClassifyConfig)
    dedup: DedupConfig = field(default_factory=DedupConfig)
    decontaminate: DecontaminateConfig = field(default_factory=DecontaminateConfig)
    tokenize: TokenizeConfig = field(default_factory=TokenizeConfig)
    mix: MixConfig = field(default_factory=MixConfig)

    def __post_init__(self) -> None:
        names = [d.name for d in self.dataset]
        if not names:
            raise ValueError("at least one [[dataset]] expected")
        if twice := {n for n in names if names.count(n) > 1}:
            raise ValueError(f"two datasets are called {min(twice)!r}")
        for stage in self.stages:
            if stage not in STAGES:
                raise ValueError(f"stages: no stage {stage!r}{_meant(stage, STAGES)}")
        if self.memory_gb <= 0:
            raise ValueError(f"memory_gb: more than 0 expected, got {self.memory_gb}")
        for dataset in self.dataset:
            remote = bool(dataset.crawls) or any(map(store.is_web, dataset.files))
            if remote and not dataset.stream and "download" not in self.stages:
                raise ValueError(
                    f'dataset {dataset.name!r}: its files lie at addresses; put "download" into `stages`, or stream = true'
                )
        for table, key, used in self._dataset_names():
            if table in self.stages and (wrong := [n for n in used if n not in names]):
                raise ValueError(f"{table}.{key}: no dataset {wrong[0]!r}{_meant(wrong[0], names)}")
        if "decontaminate" in self.stages and not self.decontaminate.benchmarks:
            raise ValueError(
                "decontaminate.benchmarks: at least one file expected (or leave the stage out of `stages`)"
            )
        if "mix" in self.stages and not self.mix.weights:
            raise ValueError(
                "mix.weights: a weight for each dataset expected, for instance { crawl = 60, books = 40 }"
            )

    def _dataset_names(self) -> list[tuple[str, str, Sequence[str]]]:
        free = (
            self.dedup.across == "all" or self.dedup.index
        )  # an index has datasets of its own, and the same pairs
        across = () if free else [n for pair in self.dedup.across for n in pair]
        return [
            ("classify", "positives", self.classify.positives),
            ("classify", "negatives", self.classify.negatives),
            ("classify", "weights", tuple(self.classify.weights)),
            ("dedup", "across", across),
            ("mix", "weights", tuple(self.mix.weights)),
        ]

    def names(self) -> tuple[str, ...]:
        return tuple(d.name for d in self.dataset)

    def place(self, name: str) -> int:
        """Position of a dataset in the recipe, which is its priority."""
        return self.names().index(name)

    def filtered(self, name: str) -> bool:
        """Whether `classify` decides on this dataset."""
        return "classify" in self.stages and self.dataset[self.place(name)].role == "crawl"

    def positives(self) -> tuple[str, ...]:
        return self.classify.positives or tuple(d.name for d in self.dataset if d.role == "trusted")

    def negatives(self) -> tuple[str, ...]:
        return self.classify.negatives or tuple(d.name for d in self.dataset if d.role == "crawl")


def load(path: str, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe file. `overrides` are `table.key=value` with a TOML value; a bare word is taken as a string."""
    try:
        table = tomllib.loads(store.read_bytes(path).decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: not a TOML file: {error}") from error
    for override in overrides:
        _override(table, override)
    recipe = parse(table, path)
    folder = (
        path.rpartition("/")[0] if store.is_remote(path) else os.path.dirname(os.path.abspath(path))
    )
    return _resolve(recipe, folder)


def parse(table: Mapping[str, Any], where: str = "recipe") -> Recipe:
    """A recipe from its TOML tables."""
    return typing.cast(Recipe, _build(Recipe, table, where))


def as_dict(recipe: Recipe) -> dict[str, Any]:
    """The recipe with every default filled in, as JSON can hold it."""
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
        elif a != b:
            out.append(f"{prefix}{key}: {_short(a)} -> {_short(b)}")
    return out


def _short(value: Any) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, tuple) else value


def _resolve(recipe: Recipe, folder: str) -> Recipe:
    def absolute(path: str) -> str:
        if not path or store.is_remote(path):
            return path
        joined = store.join(folder, path)
        return joined if store.is_remote(joined) else os.path.normpath(joined)

    datasets = tuple(
        dataclasses.replace(
            d,
            files=tuple(map(absolute, d.files)),
            urls=absolute(d.urls),
            index=tuple(map(absolute, d.index)),
        )
        for d in recipe.dataset
    )
    return dataclasses.replace(
        recipe,
        dataset=datasets,
        classify=dataclasses.replace(recipe.classify, model=absolute(recipe.classify.model)),
        dedup=dataclasses.replace(recipe.dedup, index=absolute(recipe.dedup.index)),
        decontaminate=dataclasses.replace(
            recipe.decontaminate,
            benchmarks=tuple(map(absolute, recipe.decontaminate.benchmarks)),
            catalogue=absolute(recipe.decontaminate.catalogue),
        ),
    )


def _override(table: dict[str, Any], text: str) -> None:
    name, equals, value = text.partition("=")
    keys = name.strip().split(".")
    if not equals or not all(keys):
        raise RecipeError(f"--set {text}: table.key=value expected, for instance classify.alpha=5")
    try:
        parsed = tomllib.loads(f"v = {value}")["v"]
    except tomllib.TOMLDecodeError:
        parsed = value
    for key in keys[:-1]:
        table = table.setdefault(key, {})
        if not isinstance(table, dict):
            raise RecipeError(f"--set {text}: {key!r} is not a table")
    table[keys[-1]] = parsed


def _meant(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, known, 1)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(known)}"


def _build(cls: Any, table: Any, where: str) -> Any:
    if not isinstance(table, Mapping):
        raise RecipeError(f"{where}: a table expected, got {table!r}")
    hints = typing.get_type_hints(cls)
    values = {}
    for key, value in table.items():
        if key not in hints:
            raise RecipeError(f"{where}: no key {key!r}{_meant(key, list(hints))}")
        values[key] = _convert(hints[key], value, f"{where}: {key}")
    for f in dataclasses.fields(cls):
        missing = f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
        if missing and f.name not in values:
            raise RecipeError(f"{where}: the key {f.name!r} is missing")
    try:
        return cls(**values)
    except ValueError as error:
        raise RecipeError(f"{where}: {error}") from error


def _convert(kind: Any, value: Any, where: str) -> Any:
    """A TOML value as the annotated type of its key: scalars, tuples, dicts of numbers, choices, nested tables."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        return _build(kind, value, where)
    if origin is Literal:
        if value in args and type(value) in {type(a) for a in args}:
            return value
        raise RecipeError(
            f"{where}: one of {', '.join(map(repr, args))} expected, got {value!r}{_meant_choice(value, args)}"
        )
    if origin in (types.UnionType, typing.Union):
        for option in args:
            try:
                return _convert(option, value, where)
            except RecipeError:
                continue
        raise RecipeError(f"{where}: {kind} expected, got {value!r}")
    if origin is tuple:
        if isinstance(value, str) and args[0] is str and len(args) == 2 and args[1] is ...:
            value = [value]
        if (
            not isinstance(value, Sequence)
            or isinstance(value, str)
            or (args[-1] is not ... and len(value) != len(args))
        ):
            raise RecipeError(f"{where}: a list expected, got {value!r}")
        return tuple(_convert(args[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if origin is dict:
        if not isinstance(value, Mapping):
            raise RecipeError(f"{where}: a table expected, got {value!r}")
        return {k: _convert(args[1], v, f"{where}.{k}") for k, v in value.items()}
    if kind is float and type(value) in (int, float):
        if not math.isfinite(value):
            raise RecipeError(f"{where}: a finite number expected, got {value!r}")
        return float(value)
    if type(value) is kind:
        return value
    raise RecipeError(f"{where}: {kind.__name__} expected, got {value!r}")


def _meant_choice(value: Any, args: Sequence[Any]) -> str:
    close = difflib.get_close_matches(str(value), [str(a) for a in args], 1)
    return f"; did you mean {close[0]!r}?" if close else ""
