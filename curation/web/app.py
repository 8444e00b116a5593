"""`curation browse`: the addresses, what answers each, and the server.

Everything is read only and by GET, but the labels that a person gives (`views/label.py`). No part of
an address is ever a path: datasets, shards and rows are looked up in the plan, ids in tables, files
of ours in a list.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import asynccontextmanager
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from curation.errors import CurationError, InputError
from curation.web import render
from curation.web.guard import Guard
from curation.web.opened import OpenRun
from curation.web.views import (
    alpha,
    compare,
    document,
    documents,
    label,
    overview,
    sections,
    thresholds,
)

if TYPE_CHECKING:
    from starlette.requests import Request

STATIC = {"style.css": "text/css", "htmx.min.js": "text/javascript", "label.js": "text/javascript"}
THREADS = 8  # requests at work at once
VIEWS: dict[str, Callable[[OpenRun, Any], Any]] = {
    "/": overview.overview,
    "/live": overview.live,
    "/hints": overview.hints_view,
    "/documents": documents.documents,
    "/find": documents.find_view,
    "/id": document.in_run,
    "/document/{dataset}/{shard:int}/{row:int}": document.document,
    "/document/{dataset}/{shard:int}/{row:int}/blocks": document.blocks,
    "/document/{dataset}/{shard:int}/{row:int}/duplicate": document.duplicate,
    "/alpha": alpha.alpha,
    "/thresholds": thresholds.thresholds,
    "/label": label.label,
    "/part/{name}": sections.part,
    **{f"/{name}": sections.view for name in sections.PAGES},
}


def create_app(
    runs: Sequence[str], *, host: str = "127.0.0.1", token: str = "", cookie: str = "curation"
) -> Any:
    """The ASGI application for one run, or for two that are compared."""
    names = [Path(out.rstrip("/")).name or out for out in runs]
    opened = [OpenRun(out, "/b" * place, name)
              for place, (out, name) in enumerate(zip(runs, names, strict=True))]  # fmt: skip
    routes = [Route("/static/{name}", _static)]
    for run in opened:
        run.others = [other for other in opened if other is not run]
        routes += [Route(run.prefix + path, partial(view, run)) for path, view in VIEWS.items()]
        routes.append(Route(run.prefix + "/label", partial(label.answer, run), methods=["POST"]))
    if len(opened) == 2:
        routes += [
            Route("/compare", partial(compare.compare, opened[0])),
            Route("/compare/document", partial(compare.texts, opened[0])),
        ]
    handlers: dict[Any, Any] = {
        CurationError: partial(_refused, opened),
        HTTPException: partial(_missing, opened[0]),
    }
    app = Starlette(routes=routes, exception_handlers=handlers, lifespan=_few_threads)
    app.state.runs = opened
    app.state.comparison = compare.Comparison(*opened) if len(opened) == 2 else None
    return Guard(app, host, token, cookie, opened, [f"{run.prefix}/label" for run in opened])


@asynccontextmanager
async def _few_threads(app: Any) -> Any:
    import anyio.to_thread

    anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
    yield


@cache
def _file(name: str) -> bytes:
    return Path(__file__).with_name("static").joinpath(name).read_bytes()


def _static(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in STATIC:
        raise HTTPException(404)
    headers = {"cache-control": "max-age=3600"}
    return Response(_file(name), media_type=STATIC[name], headers=headers)


def _refused(runs: list[OpenRun], request: Request, error: Exception) -> Response:
    """What cannot be answered, in its one sentence."""
    run = next((r for r in reversed(runs) if request.url.path.startswith(f"{r.prefix}/")), runs[0])
    status = 404 if isinstance(error, InputError) else 503
    values = {"sentence": str(error)}
    return render.page(request, run, "refused.html", "Not found", values, status)


def _missing(run: OpenRun, request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    sentence = "There is no such page; go on from those above."
    return render.page(request, run, "refused.html", "Not found", {"sentence": sentence}, status)
