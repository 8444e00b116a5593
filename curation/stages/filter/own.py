"""A user's own signals: functions of a batch of documents, found, tried, and called in the workers.

A function gets a `pyarrow.RecordBatch` of the columns that it names, and returns an array (a column
of the function's name) or a dictionary of arrays. Each row's value is a number, a flag, a text or a
list of spans, and depends on that row alone.

The source of a file goes with the task, so that it works on every engine without being installed. A
module of an installed package is imported where the task runs, and must be the same there.

Trap: only the function's own file is hashed. One that imports what may change needs a `version`.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import linecache
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, TypeVar

import pyarrow as pa

from curation import store
from curation.digests import config_digest
from curation.errors import InputError, RecipeError, did_you_mean
from curation.recipe.own import split_own
from curation.rundir import schema
from curation.shown import brief
from curation.stages.filter import own_values

MAX_SOURCE_BYTES = 1 << 20
_OF_EXAMPLES = " of the example documents"
Function = Callable[[pa.RecordBatch], Any]
F = TypeVar("F", bound=Function)
R = TypeVar("R")


def signal(columns: Sequence[str] = ("text",), version: str = "") -> Callable[[F], F]:
    """A decorator that says which columns of documents a signal's function reads.

    With a `version` the signal is measured again where the version changes; without, where its file
    does.

    >>> @signal(columns=["url"], version="1")
    ... def long_url(batch): ...
    >>> long_url.columns, long_url.version
    (('url',), '1')
    """

    def mark(function: F) -> F:
        function.columns = tuple([columns] if isinstance(columns, str) else columns)  # type: ignore[attr-defined]
        function.version = version  # type: ignore[attr-defined]
        return function

    return mark


@dataclass(frozen=True, slots=True)
class OwnSignal:
    """A user's signal as it goes with a task.

    `where`: its file or module. `source`: the text of the file; empty for a module of a package,
    which is imported. `identity`: changes where the signal must be measured again.
    """

    where: str
    function: str
    source: str
    columns: tuple[str, ...]
    identity: str

    def __str__(self) -> str:
        return f"{self.where}:{self.function}"


def find_signal(name: str) -> OwnSignal:
    """The signal that a recipe names, `file.py:function` or `module:function`, loaded once.

    Raises RecipeError where it cannot be loaded, or names columns that documents do not have.
    """
    where, function = split_own(name)
    source, text = _source(where)
    module = _module(where, source)
    found = _function(module, where, function)
    columns = getattr(found, "columns", ("text",))
    columns = (columns,) if isinstance(columns, str) else tuple(columns)
    known = [*schema.DOCUMENTS.names, "extra"]
    if wrong := [c for c in columns if c not in known]:
        hint = did_you_mean(str(wrong[0]), known)
        raise RecipeError(f"signal {name}: documents have no column {brief(wrong[0])}{hint}")
    if not columns or len(set(columns)) != len(columns):
        raise RecipeError(f"signal {name}: columns, each once, expected, got {brief(columns)}")
    return OwnSignal(where, function, source, columns, _identity(found, columns, text, name))


def signal_types(
    own: OwnSignal, taken: Collection[str], extra: pa.DataType | None = None
) -> dict[str, pa.DataType]:
    """The columns of a signal and their types, found by calling it on example documents.

    `taken`: names that it may not use. `extra`: the type of the user's columns, for a signal that
    reads them. Raises RecipeError where it fails, or where a row's value depends on other rows.
    """
    example = own_values.example_documents(own.columns, extra)
    whole = _called(own, example, 0, "the example documents", _OF_EXAMPLES)
    types = _checked(own, lambda: own_values.types_of(whole, taken), "the example documents")
    values = measure_own(own, example, types, of=_OF_EXAMPLES)
    middle = example.num_rows // 2
    cut = [(start, example.slice(start, middle)) for start in range(0, example.num_rows, middle)]
    for start, part in cut:
        again = measure_own(own, part, types, start, _OF_EXAMPLES)
        for column, array in again.items():
            if not array.equals(values[column].slice(start, len(array))):
                raise RecipeError(
                    f"signal {own}: {column} of an example document differs where other documents "
                    "come with it, or from call to call; a value of the row alone expected"
                )
    return types


def measure_own(
    own: OwnSignal,
    batch: pa.RecordBatch,
    types: Mapping[str, pa.DataType],
    first_row: int = 0,
    of: str = "",
) -> dict[str, pa.Array]:
    """The columns of a signal for a batch of documents, of the types that `signal_types` found.

    Raises RecipeError, with the rows (counted from `first_row`; `of` says of what), where the function raises or returns
    something else. Numbers are float64; NaN is null.
    """
    last = first_row + max(0, batch.num_rows - 1)
    rows = f"rows {first_row:,} to {last:,}" if last > first_row else f"row {last:,}"
    rows += of
    if not batch.num_rows:
        return {name: pa.array([], kind) for name, kind in types.items()}
    documents = batch.select(list(own.columns))
    result = _called(own, documents, first_row, rows, of)
    return _checked(own, lambda: own_values.columns_of(result, documents, types), rows)


def _called(
    own: OwnSignal, documents: pa.RecordBatch, first_row: int, rows: str, of: str
) -> dict[str, Any]:
    """What the function returns, as a dictionary. Raises RecipeError where it raises."""
    try:
        return _returned(own, documents, rows)
    except RecipeError as error:
        row = _failing_row(own, documents)
        if row is None or documents.num_rows < 2:
            raise
        cause = error.__cause__ or error
        where = f"row {first_row + row:,}{of}"
        raise RecipeError(f"signal {own}: it raised {_line(cause)} on {where}") from cause


def _returned(own: OwnSignal, documents: pa.RecordBatch, rows: str) -> dict[str, Any]:
    function = _loaded(own)
    try:
        result = function(own_values.read_only(documents))
    # A user's function may raise anything, and all of it is reported with the rows.
    except (Exception, SystemExit) as error:
        raise RecipeError(f"signal {own}: it raised {_line(error)} on {rows}") from error
    return dict(result) if isinstance(result, Mapping) else {own.function: result}


def _failing_row(own: OwnSignal, documents: pa.RecordBatch) -> int | None:
    """The first row on which a function raises alone; None where none is found by halving."""

    def raises(start: int, rows: int) -> bool:
        try:
            _returned(own, documents.slice(start, rows), "")
        except RecipeError:
            return True
        return False

    start, rows = 0, documents.num_rows
    while rows > 1:
        half = rows // 2
        start, rows = (start, half) if raises(start, half) else (start + half, rows - half)
    return start if rows and raises(start, 1) else None


def _checked(own: OwnSignal, work: Callable[[], R], rows: str) -> R:
    """`work()`; its ValueError as a RecipeError with the signal and the rows."""
    try:
        return work()
    except (ValueError, pa.ArrowException) as error:
        raise RecipeError(f"signal {own}: {_line(error, kind=False)} (on {rows})") from error


def _line(error: BaseException, kind: bool = True) -> str:
    text = (str(error).splitlines() or [""])[0][:300]
    return f"{type(error).__name__}: {text}" if kind else text


# ---- loading -------------------------------------------------------------------------------------


def _source(where: str) -> tuple[str, str]:
    """The source that goes with tasks (empty for a module of a package), and the source hashed."""
    if where.endswith(".py"):
        try:
            text = store.read_bytes(where).decode("utf-8")
        except (OSError, InputError, UnicodeDecodeError) as error:
            raise RecipeError(
                f"signal {where}: a Python file expected beside the recipe, got {_line(error)}"
            ) from error
        if len(text) > MAX_SOURCE_BYTES:
            raise RecipeError(
                f"signal {where}: a file of at most {MAX_SOURCE_BYTES:,} bytes expected"
            )
        return text, text
    try:
        spec = importlib.util.find_spec(where)
    except (ImportError, ValueError) as error:
        raise RecipeError(f"signal {where}: cannot be imported: {_line(error)}") from error
    if spec is None:
        raise RecipeError(
            f"signal {where}: no file {where}.py beside the recipe and no module of this name; "
            "write the path of the file, 'mine/signals.py:function', or install the module"
        )
    get = getattr(spec.loader, "get_source", None)
    text = (get(where) if get else None) or ""
    alone = "." not in where and spec.submodule_search_locations is None
    return text if alone else "", text


def _module(where: str, source: str) -> ModuleType:
    """The module of a source, or the installed one. Raises RecipeError where it cannot be imported."""
    try:
        if not source:
            return importlib.import_module(where)
        name = f"curation_signal_{config_digest(where, source)}"
        if name not in sys.modules:
            sys.modules[name] = _executed(name, where, source)
        return sys.modules[name]
    # What a module does when it is imported is the user's, and may raise anything.
    except (Exception, SystemExit) as error:
        hint = (
            "; a signal's file imports installed packages only, on every worker"
            if isinstance(error, ImportError)
            else ""
        )
        raise RecipeError(f"signal {where}: cannot be imported: {_line(error)}{hint}") from error


def _executed(name: str, where: str, source: str) -> ModuleType:
    module = ModuleType(name)
    module.__file__ = where
    # Tracebacks show the lines also where the file is not.
    linecache.cache[where] = (len(source), None, source.splitlines(keepends=True), where)
    code = compile(source, where, "exec")
    sys.modules[name] = module
    try:
        exec(code, module.__dict__)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _function(module: ModuleType, where: str, function: str) -> Function:
    found = getattr(module, function, None)
    if not callable(found):
        names = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
        hint = did_you_mean(function, names) if names else ""
        raise RecipeError(f"signal {where}: no function {brief(function)} in it{hint}")
    return found  # type: ignore[no-any-return]


def _identity(function: Function, columns: tuple[str, ...], source: str, name: str) -> str:
    version = getattr(function, "version", "")
    if not isinstance(version, str | int):
        raise RecipeError(f"signal {name}: a version of text expected, got {brief(version)}")
    if not str(version) and not source:
        raise RecipeError(f"signal {name}: it has no Python source; give the function a `version`")
    named = ("version", str(version)) if str(version) else ("source", source)
    return config_digest("own signal", name.rpartition(":")[2], columns, named)


@functools.lru_cache(maxsize=64)
def _loaded(own: OwnSignal) -> Function:
    """The function in this process. Raises RecipeError where the module here is another one."""
    function = _function(_module(own.where, own.source), own.where, own.function)
    if not own.source:
        here = _identity(function, own.columns, _source(own.where)[1], str(own))
        if here != own.identity:
            raise RecipeError(
                f"signal {own}: this worker has another version of the module than the machine that "
                "planned the run; install the same on both"
            )
    return function
