"""Everything this package raises on purpose.

    CurationError            one clear sentence; the command line prints it and exits with 1
    ├── RecipeError          a recipe key or value that cannot be used
    ├── InputError           a file that is missing, unreadable, empty or of an unknown kind
    │   └── Unreachable      a file at an address that is not there, or stays broken however often it is asked for
    ├── RunError             the run directory: not a run, in use, or made by another recipe
    │   └── AlarmError       dedup or filter stopped because a dataset would lose too much; what it decided is written
    ├── TaskError            a task failed on one shard: names the stage, the shard and the cause
    ├── HubError             the Hub refused what was sent to it, or did not answer
    ├── LedgerError          documents in are not documents out plus documents removed
    └── MissingExtra         an optional part is not installed: says which `pip install` brings it

A message says what was expected, what came, where, and what to do next. It is one line: secrets of
addresses are masked in it, and control characters escaped, whoever they come from.
"""

from __future__ import annotations

import difflib
import errno
import tempfile
from collections.abc import Sequence

from curation.shown import masked, printable

# What Python raises where a file that a person wrote is of another shape than expected.
MISSHAPEN = (
    AttributeError,
    EOFError,
    KeyError,
    IndexError,
    OverflowError,
    RecursionError,
    TypeError,
    ValueError,
)


class CurationError(Exception):
    """The root: catch this to catch everything that `curation` raises on purpose."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(masked(message)))


class RecipeError(CurationError):
    """A recipe key or value that cannot be used."""


class InputError(CurationError):
    """An input file that is missing, unreadable, empty or of an unknown kind."""


class Unreachable(InputError):
    """A file at an address that is not there, or stays broken however often it is asked for."""


class RunError(CurationError):
    """A run directory that is not one, is in use, or was made by another recipe."""


class AlarmError(RunError):
    """Deduplication, or one rule of the filter, would take too much of a dataset; its decisions are written and can be looked at."""


class TaskError(CurationError):
    """A task failed on one shard."""


class LedgerError(CurationError):
    """Documents in are not documents kept plus documents removed."""


class HubError(CurationError):
    """The Hub refused what was sent to it, or did not answer."""


class MissingExtra(CurationError):
    """An optional part is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(
            f"{what} needs the optional part {extra!r}; in the folder of curation's source, run "
            f"pip install '.[{extra}]'"
        )


def system_sentence(error: OSError) -> str:
    """What the system refused, where, and what to do next."""
    where = f"{error.filename}: " if error.filename else ""
    if error.errno == errno.ENOSPC or "No space left" in str(error):
        return (
            f"{where}the disk is full (that of the run directory, or that of temporary files, {tempfile.gettempdir()}, which TMPDIR "
            "names); free some space and run the same command again: what finished is kept"
        )
    if isinstance(error, PermissionError):
        return f"{where}permission denied; give this user the right to it, or name another folder"
    return f"{where}{error.strerror or str(error).partition(chr(10))[0]}"


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """The end of a message about an unknown word: the nearest known one, or all.

    >>> did_you_mean("dedupe", ["dedup", "mix"]), did_you_mean("xyz", ["dedup", "mix"])
    ("; did you mean 'dedup'?", '; known: dedup, mix')
    """
    close = difflib.get_close_matches(word[:80], known, 1)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(known)}"
