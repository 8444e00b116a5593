"""Pages of the browser: a template with the run and where the reader is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import HTMLResponse

from curation.errors import InputError
from curation.web.templating import environment

if TYPE_CHECKING:
    from curation.web.opened import OpenRun

NAV = (
    ("/", "Overview"),
    ("/documents", "Documents"),
    ("/sites", "Sites"),
    ("/duplicates", "Duplicates"),
    ("/classifier", "Classifier"),
    ("/alpha", "Alpha"),
    ("/label", "Label"),
    ("/rules", "Rules"),
    ("/thresholds", "Thresholds"),
    ("/benchmarks", "Benchmarks"),
    ("/mixture", "Mixture"),
)


def asks_for_part(request: Request) -> bool:
    """Whether htmx asks for a part of a page; where it goes back in the history it wants the whole."""
    return "hx-request" in request.headers and "hx-history-restore-request" not in request.headers


def number_of(text: str, least: float, most: float, what: str) -> float | None:
    """The number in a parameter of an address; None where it is empty. Raises InputError, saying
    `what` is expected, for one out of bounds and for what is none."""
    if not text.strip():
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not least <= value <= most:
        raise InputError(f"{what}, got {text[:40]!r}; correct the address")
    return value


def page(
    request: Request,
    run: OpenRun,
    template: str,
    title: str,
    values: Mapping[str, Any],
    status: int = 200,
) -> HTMLResponse:
    """A page of a run; where htmx asks for a part of it, the template sees `part`."""
    state = request.app.state
    html = (
        environment()
        .get_template(template)
        .render(
            run=run,
            title=title,
            nav=NAV,
            here=request.url.path.removeprefix(run.prefix) or "/",
            base=run.prefix,
            runs=state.runs,
            address=str(request.url.path),
            part=asks_for_part(request),
            **values,
        )
    )
    return HTMLResponse(html, status)
