"""Two runs compared: a flow from fates to fates, the documents behind each number, and two texts."""

from __future__ import annotations

import shutil
import tempfile
import threading
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curation.errors import CurationError, InputError
from curation.inspect.evidence import frames
from curation.inspect.evidence.differences import compare as differences_of
from curation.inspect.evidence.fate import fate
from curation.inspect.evidence.find import find
from curation.inspect.evidence.two_runs import ABSENT, TwoRuns, flows, pairs_between, two_runs
from curation.inspect.terminal.explain import verdict
from curation.web import render, templating
from curation.web.flowchart import Stream, streams_chart
from curation.web.views.document import MOST_COMPARED, address, side
from curation.web.views.documents import count_of
from curation.web.views.overview import flows_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from curation.inspect.evidence.flow import Line
    from curation.web.opened import OpenRun

ROWS = 50  # documents of one page behind a number
MOST_STREAMS = 60


class Comparison:
    """Two runs, compared once, by a thread of its own, as soon as somebody asks. `pairs`: the file of
    all documents with both of their fates; it is deleted with this object."""

    def __init__(self, a: OpenRun, b: OpenRun) -> None:
        self.runs = a, b
        folder = tempfile.mkdtemp(prefix="curation-browse-")
        weakref.finalize(self, shutil.rmtree, folder, True)
        self.pairs = str(Path(folder, "pairs.parquet"))
        self._result: TwoRuns | None = None
        self._error = ""
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def result(self, wait_s: float) -> TwoRuns | None:
        """The comparison; None where it takes longer. Raises InputError where it failed."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._compare, daemon=True)
                self._thread.start()
        self._thread.join(wait_s)
        if self._error:
            raise InputError(self._error)
        return self._result

    def _compare(self) -> None:
        try:
            self._result = two_runs(self.runs[0].opened(), self.runs[1].opened(), 0, self.pairs)
        except (CurationError, OSError) as error:
            self._error = f"the runs cannot be compared: {error}"


def compare(run: OpenRun, request: Request) -> Response:
    """`/compare`: the flow; `?before=&after=`: the documents behind one of its numbers; `?text=1`: those
    with another text."""
    comparison: Comparison = request.app.state.comparison
    a, b = comparison.runs
    result = comparison.result(1.0 if "hx-request" in request.headers else 0.15)
    if result is None:
        return render.page(request, run, "comparing.html", "Two runs compared", {"a": a, "b": b})
    ordered = sorted(flows(result.changes), key=lambda flow: flow[0] == flow[1])
    streams = [
        Stream(
            *flow,
            f"{run.prefix}/compare{templating.query(before=flow[0], after=flow[1])}#documents",
        )
        for flow in ordered[:MOST_STREAMS]
    ]
    values = {
        "a": a,
        "b": b,
        "result": result,
        "chart": templating.svg(streams_chart("Fates in A, left, and in B, right", streams)),
        "streams": streams,
        "amounts": [(one.name, _kept(one)) for one in comparison.runs],
        "absent": ABSENT,
        **_behind(comparison, result, request),
    }
    return render.page(request, run, "compare.html", "Two runs compared", values)


def _kept(run: OpenRun) -> Line | None:
    """What a run keeps so far; None where nothing has been extracted yet."""
    flows = flows_of(run)
    return flows[-1].kept() if flows else None


def _behind(comparison: Comparison, result: TwoRuns, request: Request) -> dict[str, Any]:
    """The documents behind one number, a page of them: from which place, of how many, and the
    addresses of the pages before and after."""
    given = request.query_params
    is_text = "text" in given
    fates = [given[name][:300] if given.get(name) else None for name in ("before", "after")]
    before, after = (None, None) if is_text else fates
    documents = sum(
        change.text_changed if is_text else change.documents
        for change in result.changes
        if is_text or (change.before, change.after) == (before, after)
    )
    start = min(count_of(given.get("start", "")), documents)
    chosen = (
        pairs_between(comparison.pairs, before, after, is_text, start, ROWS) if documents else []
    )

    def page(place: int) -> str:
        query = templating.query(
            before=before, after=after, text=is_text or None, start=place or None
        )
        return f"{request.url.path}{query}#documents"

    return {
        "before": before,
        "after": after,
        "is_text": is_text,
        "chosen": chosen,
        "start": start,
        "documents": documents,
        "earlier": page(max(0, start - ROWS)) if start else "",
        "later": page(start + ROWS) if start + ROWS < documents else "",
    }


def texts(run: OpenRun, request: Request) -> Response:
    """`/compare/document?dataset=&id=`: one document in both runs, with their differences."""
    comparison: Comparison = request.app.state.comparison
    dataset, id_ = (request.query_params.get(name, "")[:2000] for name in ("dataset", "id"))
    found = []
    for one in comparison.runs:
        rows = [r for r in find(*one.opened(), id_)[0]
                if (r.shard.dataset, r.columns["id"]) == (dataset, id_)]  # fmt: skip
        if rows:
            row = rows[0]
            text = frames.take_one(one.rundir.documents(row.shard), row.row, ["text"])["text"]
            said = verdict(fate(*one.opened(), row))[0]
            found.append((one, address(one, row.shard, row.row), text[:MOST_COMPARED], said))
    if not found:
        raise InputError(f"{dataset[:80]} has no document {id_[:80]!r} in either run")
    parts = differences_of(found[0][2], found[1][2]) if len(found) == 2 else None
    sides = (side(parts, "removed"), side(parts, "kept")) if parts else None
    values = {"dataset": dataset, "id": id_, "found": found, "parts": parts, "sides": sides}
    return render.page(request, run, "texts.html", "One document in both runs", values)
