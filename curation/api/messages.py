"""Messages of the line in the words of Python: arguments where they name options of a command."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from curation.errors import CurationError, InputError
from curation.shown import brief

_ARGUMENTS = {"from": "again_from=", "update": "update=True", "alarm": "dedup.alarm ="}


def listed(stage: str, argument: str, value: Any, *kinds: Any) -> list[Any]:
    """The values of an argument that takes one or a list of them.

    Raises InputError where one is not of `kinds`: texts, paths, functions.

    >>> listed("filter", "rules", "c4", str)
    ['c4']
    >>> listed("filter", "rules", 5, str)
    Traceback (most recent call last):
    ...
    curation.errors.InputError: filter: rules: a list of names expected, got 5; write ['...']
    """
    if isinstance(value, kinds):
        return [value]
    if isinstance(value, Iterable) and not isinstance(value, bytes | Mapping):
        values = list(value)
        if all(isinstance(one, kinds) for one in values):
            return values
    what = "names or functions" if len(kinds) > 1 else "names"
    raise InputError(
        f"{stage}: {argument}: a list of {what} expected, got {brief(value)}; write ['...']"
    )


@contextlib.contextmanager
def in_python() -> Iterator[None]:
    """In this block messages that name options of the command name arguments instead, and of a
    step's own recipe only the key.

    >>> with in_python():
    ...     raise CurationError("dedup: dedup: rows: add --update, or name another --out")
    Traceback (most recent call last):
    ...
    curation.errors.CurationError: dedup: rows: add update=True, or name another out=
    """
    try:
        yield
    except CurationError as error:
        message = re.sub(r"--([a-z][a-z-]*)", _argument, str(error))
        error.args = (re.sub(r"^(\w+): (?:\1|extract|dataset\[\d+\]): ", r"\1: ", message),)
        raise


def _argument(option: re.Match[str]) -> str:
    return _ARGUMENTS.get(option[1], option[1].replace("-", "_") + "=")
