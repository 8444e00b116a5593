"""The list of documents with its filters and the search for words."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from curation.errors import InputError
from curation.inspect.evidence.fates import KEPT
from curation.inspect.evidence.find import find
from curation.inspect.evidence.frames import REMOVING
from curation.inspect.evidence.listed import Filters, ListPage, Place, list_page
from curation.rundir import ledger
from curation.web import render, templating

if TYPE_CHECKING:
    from starlette.datastructures import QueryParams
    from starlette.requests import Request
    from starlette.responses import Response

    from curation.web.opened import OpenRun

ROWS = 50
FIRST_S = 0.1  # a first page does not wait longer for matches
MORE_S = 1.0
MOST_HITS = 500  # of a search
MOST_VALUE = 200  # characters of a filter


def documents(run: OpenRun, request: Request) -> Response:
    """`/documents`: a page of the list; where htmx asks for more of it, only its rows."""
    filters = filters_of(request.query_params)
    after = place_of(request.query_params.get("after", ""))
    shown = count_of(request.query_params.get("shown", ""))
    seconds = MORE_S if after != (0, 0) else FIRST_S
    sizes = run.sizes(filters.rejects)
    listed = list_page(*run.opened(), filters, sizes, after, ROWS, seconds)
    found = shown + len(listed.rows)
    values = {
        "filters": filters,
        "listed": listed,
        "found": found,
        "is_full": found >= MOST_HITS,
        "more": more_address(request, listed, found),
        "goes_on": listed.next_place is not None and len(listed.rows) < ROWS,
        "first": f"{request.url.path}{address_of(filters)}",
        "is_first": after == (0, 0),
        "fates": fates(run),
        "datasets": run.rundir.recipe.names(),
    }
    return render.page(request, run, "documents.html", "Documents", values)


def first_page(run: OpenRun) -> ListPage:
    """The first documents, without filters."""
    return list_page(*run.opened(), Filters(), run.sizes(), size=ROWS, seconds=FIRST_S)


def find_view(run: OpenRun, request: Request) -> Response:
    """`/find`: the documents and rejects with an id or address."""
    key = request.query_params.get("key", "").strip()[:2000]
    found, rejects = find(*run.opened(), key) if key else ([], [])
    values = {"key": key, "found": found[:ROWS], "rejects": rejects[:ROWS]}
    return render.page(request, run, "find.html", "Find", values)


def filters_of(given: QueryParams) -> Filters:
    """The filters of an address. Raises InputError for a score that is no number."""
    text = {
        name: given.get(name, "").strip()[:MOST_VALUE]
        for name in ("dataset", "fate", "language", "host", "address", "words")
    }
    score = (-sys.float_info.max, sys.float_info.max, "a score is a number from 0 to 1")
    low, high = (render.number_of(given.get(name, ""), *score) for name in ("low", "high"))
    return Filters(**text, low=low, high=high)


def place_of(text: str) -> Place:
    """Where a page begins, as `shard.row`. Raises InputError for anything else."""
    if not text:
        return 0, 0
    first, _, second = text.partition(".")
    return count_of(first), count_of(second)


def count_of(text: str) -> int:
    """A number of an address, 0 where there is none. Raises InputError for what is no number."""
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise InputError(f"a whole number is expected in the address, got {text[:40]!r}")
    return int(text)


def address_of(filters: Filters, **more: object) -> str:
    """The query of a list with these filters."""
    names = ("dataset", "fate", "language", "host", "address", "low", "high", "words")
    return templating.query(**{name: getattr(filters, name) for name in names}, **more)


def more_address(request: Request, listed: ListPage, found: int) -> str:
    """The address of the next page; empty at the end."""
    if listed.next_place is None:
        return ""
    after = "{}.{}".format(*listed.next_place)
    filters = filters_of(request.query_params)
    return f"{request.url.path}{address_of(filters, after=after, shown=found)}"


def fates(run: OpenRun) -> list[tuple[str, int]]:
    """Every fate of the run's ledgers with its documents: kept, and each stage's reasons."""
    from curation.pipeline.line import ledgers

    def read() -> list[tuple[str, int]]:
        counts: dict[str, int] = {}
        for stage, datasets in ledgers(*run.opened()).items():
            for reason in (r for row in datasets.values() for r in row):
                if reason not in ledger.NO_REASONS and stage in REMOVING:
                    counts[f"{stage}: {reason}"] = sum(
                        ledger.documents(row, reason) for row in datasets.values()
                    )
        return [(KEPT, 0), ("removed", 0), *((fate, n) for fate, n in counts.items() if n)]

    return run.cached("fates", read)
