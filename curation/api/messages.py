"""Messages of the line in the words of Python: arguments where they name options of a command."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from curation.errors import CurationError

_ARGUMENTS = {"from": "again_from=", "update": "update=True", "alarm": "dedup.alarm ="}


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
