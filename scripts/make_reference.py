"""The pages of docs/reference/, made from the code: recipe keys, tables and reasons, commands, Python.

`python scripts/make_reference.py` writes them; `--check` only names those that are out of date, and
exits with 1 if any is. A wrong sentence on these pages is wrong in the code: correct it there.
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
import types
import typing
from pathlib import Path
from typing import Any

import click
import pyarrow as pa

import curation
from curation.cli import main
from curation.cli.lazy import LazyGroup
from curation.keys import expected
from curation.recipe import tables
from curation.recipe.filter import Rule
from curation.recipe.line import STAGES
from curation.rundir import schema

FOLDER = Path(__file__).parents[1] / "docs" / "reference"
MADE = "<!-- Made by scripts/make_reference.py; do not edit. -->\n"

# Every table schema of `schema.py`: its constant, and where its files are in a run directory.
PLACES = {
    "DOCUMENTS": "documents/<dataset>/<shard>.parquet",
    "REJECTS": "rejects/<dataset>/<shard>.parquet",
    "WANTED": "downloads/<dataset>/captures/, the list of addresses",
    "CAPTURES": "downloads/<dataset>/captures/, what the index has of them",
    "SELECTED": "downloads/<dataset>/selected/<crawl>/, the records that are chosen by the index",
    "FILTERED": "filter/decision/<dataset>/<shard>.parquet; filter/evidence has a column a signal",
    "QUALITY": "classify/evidence/<dataset>/<shard>.parquet",
    "CLASSIFIED": "classify/decision/<dataset>/<shard>.parquet",
    "FEATURES": "classify/features/<dataset>/<shard>.parquet",
    "DEDUP_DOCUMENTS": "dedup/evidence/<dataset>/<shard>.parquet",
    "PAIRS": "dedup/pairs/, measured pairs",
    "DEDUPED": "dedup/decision/<dataset>/<shard>.parquet",
    "HITS": "decontaminate/evidence/<dataset>/<shard>.parquet",
    "DECONTAMINATED": "decontaminate/decision/<dataset>/<shard>.parquet",
    "TOKENS": "tokens/<dataset>/<shard>.parquet",
    "GROUPED_TOKENS": "tokens/<dataset>/<shard>.parquet, where the recipe has `[mix] by`",
    "CHUNKS": "what `mix` shuffles; not kept",
    "SHARDS": "shards/manifest.parquet",
}
# Public beside what `curation` itself names: stable import paths, by their docstrings.
PYTHON = (
    "curation.api.results.Result",
    "curation.api.quality.Classified",
    "curation.api.results.Decontaminated",
    "curation.api.results.Tokenized",
    "curation.api.read.Documents",
    "curation.api.runs.Explanation",
    "curation.formats.export.export",
    "curation.formats.export.Exported",
    "curation.gpt3.evaluate.evaluate",
    "curation.gpt3.evaluate.read_dirty",
    "curation.gpt3.scoring.Score",
    "curation.pipeline.line.run",
    "curation.recipe.reading.load",
    "curation.errors",
)


def cell(text: str) -> str:
    """Text as one cell of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|")


def toml(value: Any) -> str:
    """A value as TOML writes it.

    >>> toml(("a", True)), toml(1.5), toml({}), toml(None)
    ('["a", true]', '1.5', '{}', 'none')
    """
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        return "[" + ", ".join(map(toml, value)) + "]"
    return str(value)


def kind(hint: Any) -> str:
    """What a key's type asks for, in words.

    >>> kind(tuple[str, ...]), kind(typing.Literal["a", "b"])
    ('list of text', '`"a"` or `"b"`')
    """
    simple = {str: "text", int: "whole number", float: "number", bool: "true or false"}
    if hint in simple:
        return simple[hint]
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return " or ".join(f"`{toml(arg)}`" for arg in args)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(kind(arg) for arg in args if arg is not type(None))
    if origin is dict:
        kinds = {str: "text", float: "numbers"}
        return f"table of {kinds.get(args[1], 'tables of numbers')}"
    if origin is tuple and args[-1] is Ellipsis:
        if dataclasses.is_dataclass(args[0]):
            return "list of tables"
        return f"list of {'pairs of text' if args[0] is not str else 'text'}"
    raise TypeError(f"no words for the type {hint!r}: add them to kind()")


def keys(cls: Any) -> str:
    """The table of a config class's keys."""
    hints = typing.get_type_hints(cls)
    rows = ["| key | meaning | type | default |", "|---|---|---|---|"]
    for field in dataclasses.fields(cls):
        if field.name == "dataset" or dataclasses.is_dataclass(hints[field.name]):
            continue
        default = f"`{toml(field.default)}`"
        if field.default_factory is not dataclasses.MISSING:
            default = f"`{toml(field.default_factory())}`"
        elif field.default is dataclasses.MISSING:
            default = "required"
        meaning = field.metadata.get(
            "help", "Names the dataset and its folders in a run directory."
        )
        numbers = {name: value for name, value in field.metadata.items() if name != "help"}
        bounds = expected(numbers).removeprefix("a number ") if numbers else ""
        words = kind(hints[field.name]) + (f" ({bounds})" if bounds else "")
        rows.append(f"| `{field.name}` | {cell(meaning)} | {cell(words)} | {cell(default)} |")
    return "\n".join(rows)


def recipe_page() -> str:
    parts = [
        MADE,
        "# Recipe keys\n",
        "Every table of a recipe and every key, with its type, default and meaning.",
        "[Write a recipe](../how-to/recipe.md) shows how they are used together.\n",
    ]
    sections = [("Top of the file", tables.Recipe), ("[[dataset]]", tables.Dataset)]
    hints = typing.get_type_hints(tables.Recipe)
    sections += [(f"[{stage}]", hints[stage]) for stage in STAGES]
    for heading, cls in sections:
        parts += [f"## {heading}\n", *wrap(inspect.getdoc(cls) or ""), "", keys(cls), ""]
        if cls is tables.FilterConfig:
            parts += [
                "### [[filter.rule]]\n",
                *wrap(inspect.getdoc(Rule) or ""),
                "",
                keys(Rule),
                "",
            ]
    return "\n".join(parts)


def wrap(docstring: str) -> list[str]:
    """A docstring's lines, without the table's name before the colon of the first."""
    first, *rest = docstring.splitlines()
    head, colon, tail = first.partition(": ")
    if colon and head.startswith("["):
        first = tail[:1].upper() + tail[1:]
    return [first, *rest]


def columns(table: pa.Schema) -> list[str]:
    rows = ["| column | type | meaning |", "|---|---|---|"]
    for field in table:
        meaning = (field.metadata or {}).get(b"meaning", b"").decode()
        rows.append(f"| `{field.name}` | `{cell(str(field.type))}` | {cell(meaning)} |")
    return rows


def tables_page() -> str:
    parts = [
        MADE,
        "# Tables, columns and reasons\n",
        "Every table of a run directory is Parquet. Its columns, with meaning and unit, are in",
        "`curation/rundir/schema.py`, from which this page is made.\n",
        "## Reasons\n",
        "Why a record never became a document, or why a document was removed.\n",
        "| reason | meaning |",
        "|---|---|",
        *(f"| `{reason}` | {cell(meaning)} |" for reason, meaning in schema.REASONS.items()),
        "",
    ]
    for name, place in PLACES.items():
        where = place if "`" in place else f"`{place}`"
        parts += [f"## {name}\n", f"In {where}.\n", *columns(getattr(schema, name)), ""]
    parts += [
        "## A token shard as a table\n",
        "In `shards/NAME.parquet`, with `mix.parquet = true`.\n",
        *columns(schema.packed("uint16")),
        "",
    ]
    return "\n".join(parts)


def commands_page() -> str:
    parts = [MADE, "# Commands\n", "What `curation COMMAND --help` prints.\n"]

    def add(group: LazyGroup, context: click.Context) -> None:
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            assert command is not None
            inner = click.Context(command, context, name, terminal_width=90, max_content_width=90)
            lines = [line.rstrip() for line in inner.get_help().splitlines()]
            parts.extend([f"## {inner.command_path}\n", "```text", *lines, "```", ""])
            if isinstance(command, LazyGroup):
                add(command, inner)

    add(main, click.Context(main, info_name="curation", terminal_width=90, max_content_width=90))
    return "\n".join(parts)


def python_page() -> str:
    own = [f"curation.{name}" for name in sorted(curation.__all__) if name != "__version__"]
    parts = [
        MADE,
        "# Python\n",
        "What `import curation` names comes first, then what it gives back. The other names are",
        "called by the commands; their import paths are kept. How they are used together:",
        "[Use it from Python](../how-to/python.md).\n",
        "Every step has the arguments `out`: a run directory to write, as its command does;",
        "`workers`: processes, by default none below 20 MB and one a core above; and `update`: run",
        "again in a directory that was made with other settings.\n",
    ]
    for name in (*own, *PYTHON):
        parts += [f"::: {name}", "    options:", "      show_root_full_path: true", ""]
    return "\n".join(parts)


def pages() -> dict[str, str]:
    """Every generated page by its file name."""
    return {
        "recipe.md": recipe_page(),
        "tables.md": tables_page(),
        "commands.md": commands_page(),
        "python.md": python_page(),
    }


def out_of_date() -> list[str]:
    """The names of pages that are not what the code says."""
    return [
        name
        for name, text in pages().items()
        if not (FOLDER / name).exists() or (FOLDER / name).read_text(encoding="utf-8") != text
    ]


if __name__ == "__main__":
    stale = out_of_date()
    if "--check" in sys.argv:
        sys.exit(f"out of date: {', '.join(stale)}; run scripts/make_reference.py" if stale else 0)
    for name in stale:
        (FOLDER / name).write_text(pages()[name], encoding="utf-8")
        print(f"wrote docs/reference/{name}")
