"""Options of the commands: those made from recipe keys, and those that several commands share."""

from __future__ import annotations

import functools
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any, Literal

import click

from curation.cli.completion import among, rule_sets
from curation.keys import MANY
from curation.recipe.line import STAGES
from curation.recipe.tables import Dataset, Recipe

Command = Callable[..., None]
Decorator = Callable[[Command], Command]

PATH = click.Path(path_type=Path)
FILE = click.Path(path_type=Path, exists=True, dir_okay=False)  # one to read
checkpoint_argument = click.argument("checkpoint", type=PATH)
device_option = click.option("--device", help="cpu or cuda. [default: cuda where there is a GPU]")
tuned_option = click.option("--out", type=PATH, required=True, help="Folder to train into.")
written_option = click.option(
    "--out", type=PATH, help="Also write everything as JSON to this file."
)
out_option = click.option("--out", required=True, help="The run directory to write.")
rows_out_option = click.option(
    "--out", help="The run directory to write.  [default: kept rows to stdout, as lines of JSON]"
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
# The same for a command whose --plan writes nothing.
out_or_plan_option = click.option("--out", help="The run directory to write.")
workers_option = click.option(
    "--workers",
    type=click.IntRange(1),
    help="Worker processes, or threads where little is to do.  [default: one a core]",
)
update_option = click.option(
    "--update", is_flag=True, help="Run again in a directory made with other settings."
)
# The names are those of `pipeline/export.py`, which takes long to import.
ROWS = ("parquet", "same", "jsonl", "jsonl.gz", "jsonl.zst")
format_option = click.option(
    "--format",
    "export_format",
    type=click.Choice(ROWS),
    default="parquet",
    show_default=True,
    help="Of the files in DIR/kept/ and DIR/removed/; same: lines of JSON where INPUT is lines, "
    "packed alike, and Parquet else.",
)


def row_options(command: Command) -> Command:
    """What every step has that writes kept and removed rows, or kept ones to stdout."""
    for option in (json_option, update_option, workers_option, rows_out_option, format_option):
        command = option(command)
    return command


strict_option = click.option(
    "--strict", is_flag=True, help="Exit code 3 where archives are damaged; the run ends as usual."
)
set_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="TABLE.KEY=VALUE",
    help="Change one value of the recipe.",
)
OTHER_NAMES = {"languages": ["--language"]}  # of options, in scripts that people have
COLUMNS = ("text_column", "id_column", "url_column")
# Further keys of a dataset that fit files on a command line.
DATASET_KEYS = ("format", "languages", "language_threshold", "first_pages", "first_mb", "stream",
                "target_shard_mb")  # fmt: skip


def column_options(*others: str, **renamed: str) -> Decorator:
    """Options that name columns: `--text-column` and its like of all inputs, and of each other input
    its own, such as `--against-text-column` of `against="reference"`.

    `--dataset-set` sets any other key that fits. The command gets one argument `columns`: by dataset
    the keys that were given, those of all under the name "".
    """
    names = {"": "", **dict(zip(others, others, strict=True)), **renamed}

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def with_columns(*args: Any, **given: Any) -> None:
            columns: dict[str, dict[str, Any]] = {}
            for option, dataset in names.items():
                values = {key: given.pop(f"{option}_{key}".lstrip("_")) for key in COLUMNS}
                columns[dataset] = {key: value for key, value in values.items() if value}
            for text in given.pop("dataset_keys"):
                _set_dataset_key(columns, names, text)
            command(*args, columns=columns, **given)

        click.option(
            "--dataset-set",
            "dataset_keys",
            multiple=True,
            metavar="KEY=VALUE",
            help=f"Another key of the inputs: {', '.join(DATASET_KEYS)}."
            + (
                f"  NAME.KEY=VALUE: of one ({', '.join(['input', *list(names)[1:]])})."
                * (len(names) > 1)
            )
            + "  May be repeated.",
        )(with_columns)
        for option in reversed(names):
            for key in reversed(COLUMNS):
                entry = Dataset.__dataclass_fields__[key]
                name = f"{option}_{key}".lstrip("_")
                of = f"The same for --{option}." if option else entry.metadata["help"]
                default = f"--{key.replace('_', '-')}" if option else entry.default
                click.option(
                    "--" + name.replace("_", "-"), name, help=f"{of}  [default: {default}]"
                )(with_columns)
        return with_columns

    return decorate


def _set_dataset_key(columns: dict[str, dict[str, Any]], names: dict[str, str], text: str) -> None:
    """Put `[NAME.]KEY=VALUE` under its dataset. Raises UsageError where no such key fits."""
    from curation.errors import did_you_mean
    from curation.recipe.reading import override_key

    left, equals, value = text.partition("=")
    if not equals or not value.strip():
        raise click.UsageError(f"--dataset-set: KEY=VALUE expected, got {text[:80]!r}")
    name, _, key = left.strip().rpartition(".")
    known = {"input": "input", **names}
    if name not in known:
        raise click.UsageError(
            f"--dataset-set {name}: one of {', '.join(n for n in known if n)} expected"
        )
    if key not in (allowed := (*COLUMNS, *DATASET_KEYS)):
        more = did_you_mean(key, allowed)
        raise click.UsageError(f"--dataset-set {key[:80]!r}: no such key of an input{more}")
    override_key(columns.setdefault(known[name], {}), f"{key}={value}", "--dataset-set")


def with_options(message: str) -> str:
    """A message about recipe keys in the words of the command line: `--alpha` for `classify.alpha`."""
    params = click.get_current_context().command.params
    options = {param.name: param.opts[0] for param in params if isinstance(param, click.Option)}

    def option(match: re.Match[str]) -> str:
        return options.get(match["key"], match[0])

    key = r"(?P<key>[a-z][a-z_]*)"
    message = re.sub(rf"^command line: (?:\w+: )?(?:\w+\.)?{key}(?=[:.\[])", option, message)
    message = re.sub(rf"\b(?:{'|'.join(STAGES)})\.{key}\b", option, message)
    columns = "|".join((*COLUMNS, "max_epochs"))
    return re.sub(rf"`?\b(?P<key>{columns})\b`?", option, message)


def config_options(config: type, *keys: str) -> Decorator:
    """Options made from keys of a config class in `recipe/tables.py`: `--min-jaccard` of `min_jaccard`;
    without `keys` from all.

    The type, bounds, default and help are the key's own. The command gets one argument `settings`:
    recipe tables with the values that stand on the command line, for instance
    {"dedup": {"rows": 5}}.
    """
    by_name = {field.name: field for field in fields(config)}
    keys = keys or tuple(by_name)
    hints = typing.get_type_hints(config)
    table = "" if config is Recipe else config.__name__.removesuffix("Config").lower()

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def with_settings(*args: Any, settings: dict[str, Any] | None = None, **given: Any) -> None:
            source = click.get_current_context().get_parameter_source
            tables: dict[str, Any] = settings or {}
            values = tables.setdefault(table, {}) if table else tables
            for key in keys:
                value = given.pop(key)
                if source(key) is click.core.ParameterSource.COMMANDLINE:
                    values[key] = value
            command(*args, settings=tables, **given)

        for key in reversed(keys):
            option_of(key, by_name[key], hints[key], by_name)(with_settings)
        return with_settings

    return decorate


def option_of(option: str, key: Field[Any], hint: Any, keys: Iterable[str]) -> Callable[[Any], Any]:
    """The click option of one key; others of `keys` in its help are options too."""
    default = None if key.default is MISSING else key.default
    repeated = typing.get_origin(hint) is tuple
    dashed = re.compile(rf"`({'|'.join(keys)})`")
    text = dashed.sub(lambda match: "--" + match[1].replace("_", "-"), key.metadata["help"])
    text += "  May be repeated." if repeated else ""
    names = ["--" + option.replace("_", "-"), *OTHER_NAMES.get(option, ())]
    if hint is bool:
        return click.option(*names, option, is_flag=True, default=default, help=text)
    complete = among(rule_sets) if option == "rules" else None
    return click.option(
        *names,
        option,
        shell_complete=complete,
        type=str if repeated else parameter_type(hint, key),
        default=default,
        multiple=repeated,
        show_default=bool(default),
        help=text,
    )


def parameter_type(hint: Any, key: Field[Any]) -> Any:
    """What click makes of a key's annotation: a choice, a number in its bounds, or text."""
    if typing.get_origin(hint) is Literal:
        return click.Choice(typing.get_args(hint))
    if hint is Path:
        return click.Path(path_type=Path)
    if typing.get_origin(hint) is tuple:
        return Words()
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        number, words = typing.get_args(hint)
        if words is type(None):
            return parameter_type(number, key)
        return NumberOrWord(parameter_type(number, key), typing.get_args(words))
    if hint not in (int, float):
        return str
    return number_type(hint, {name: key.metadata[name] for name in key.metadata if name != "help"})


def number_type(kind: type, bounds: Mapping[str, float]) -> Any:
    """What click makes of whole numbers or others from `least` or `above` to `most` or `below`."""
    if not bounds:
        return kind
    in_bounds = click.IntRange if kind is int else click.FloatRange
    most = bounds.get("most", bounds.get("below"))
    return in_bounds(
        bounds.get("least", bounds.get("above")),  # type: ignore[arg-type]
        None if most is None or most >= MANY else most,  # type: ignore[arg-type]  # `check_bounds` refuses those
        min_open="above" in bounds,
        max_open="below" in bounds,
    )


def number_option(*names: str, default: float, help: str, **bounds: float) -> Decorator:
    """An option for a number of the default's kind, within bounds as `key` has them."""
    kind = number_type(type(default), bounds)
    return click.option(*names, type=kind, default=default, show_default=True, help=help)


class Words(click.ParamType):  # type: ignore[type-arg]  # click 8.1 has no such argument
    """Words with commas between them."""

    name = "word,word"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value


class NumberOrWord(click.ParamType):  # type: ignore[type-arg]  # click 8.1 has no such argument
    """A number in its bounds, or one of a few words such as "auto"."""

    name = "number"

    def __init__(self, number: Any, words: tuple[str, ...]) -> None:
        self.number, self.words = number, words

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return "|".join(["NUMBER", *self.words])

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value in self.words:
            return value
        try:
            return self.number.convert(value, param, ctx)
        except click.BadParameter as error:
            words = " or ".join(f'"{word}"' for word in self.words)
            self.fail(f"a number or {words} expected, got {value!r} ({error.message})", param, ctx)
