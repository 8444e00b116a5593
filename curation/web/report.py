"""`curation report`: writes the report of a run, as JSON and as one HTML page.

Nothing is fetched by the page; what is wide scrolls sideways. The numbers first, then hints and the
funnel, as in browse; then a section for each part of the evidence that is there.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

import orjson

from curation import store
from curation.inspect.evidence.flow import funnel_rows
from curation.inspect.evidence.report import report
from curation.web import parts, templating
from curation.web.sections import TITLES, section

if TYPE_CHECKING:
    from curation.inspect.evidence.report import Report
    from curation.rundir.directory import RunDirectory
    from curation.rundir.plan import Plan


def write_report(rundir: RunDirectory, plan: Plan) -> str:
    """Write `report.json` and, after it, `report.html`; returns the page's path."""
    found = report(rundir, plan)
    data = orjson.dumps(found, option=orjson.OPT_INDENT_2)
    store.write_bytes(rundir.path("report.json"), data + b"\n")
    path = rundir.path("report.html")
    store.write_bytes(path, page(found).encode())
    return path


IN_BROWSE_ONLY = ("sites", "clusters")  # lists that grow with the corpus


def page(report: Report) -> str:
    """The whole page."""
    flows = report.funnel
    values = {field.name: getattr(report, field.name) for field in fields(report)}
    values["by"] = report.recipe.get("mix", {}).get("by", "")
    sections = [
        (name, title, section(name, None, **values))
        for name, title in TITLES.items()
        if name not in IN_BROWSE_ONLY
    ]
    return templating.standalone(
        "report.html",
        "Curation report",
        base=None,
        numbers=parts.numbers(flows, report.recipe["stages"]),
        hints=[parts.hint(text, None) for text in report.warnings],
        is_finished=True,
        chart=templating.svg(parts.chart(flows[-1], None)),
        table=parts.table(flows) if funnel_rows(flows) else None,
        sections=[part for part in sections if part[2]],
        settings=parts.settings(report.recipe),
        version=report.curation,
    )
