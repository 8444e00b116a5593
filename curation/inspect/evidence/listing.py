"""A table of text for people: its rows are made once and printed by a terminal and a page."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Listing:
    """Cells are text. `left`: the columns aligned to the left; `strong`: the rows to emphasise."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: tuple[int, ...] = (0,)
    strong: tuple[int, ...] = ()


def listing(
    title: str,
    head: Iterable[str],
    rows: Iterable[Iterable[str]],
    left: tuple[int, ...] = (0,),
    strong: Iterable[int] = (),
) -> Listing:
    """A Listing from any rows.

    >>> listing("Sites", ("site", "pages"), [("a.org", "3")]).rows
    (('a.org', '3'),)
    """
    return Listing(title, tuple(head), tuple(map(tuple, rows)), left, tuple(strong))
