"""`curation report`: writes the report of a run, as a page and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from curation import store
from curation.inspect.evidence.report import report
from curation.web.page import page

if TYPE_CHECKING:
    from curation.rundir.directory import RunDirectory
    from curation.rundir.plan import Plan


def write_report(rundir: RunDirectory, plan: Plan) -> str:
    """Write `report.json` and, after it, `report.html`; returns the page's path."""
    parts = report(rundir, plan)
    data = orjson.dumps(parts, option=orjson.OPT_INDENT_2)
    store.write_bytes(rundir.path("report.json"), data + b"\n")
    path = rundir.path("report.html")
    store.write_bytes(path, page(parts).encode())
    return path
