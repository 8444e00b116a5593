"""The server of `curation browse`: one process, until ctrl-C."""

from __future__ import annotations

import contextlib
import secrets
import socket
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import uvicorn

from curation.errors import CurationError, InputError
from curation.web import templating
from curation.web.app import create_app
from curation.web.guard import TOKEN, is_loopback

if TYPE_CHECKING:
    from curation.web.opened import OpenRun

LAST_S = 20.0  # how long the end waits for what is being read
WAITING = 64  # requests at once; more are answered with 503


def serve(
    outs: Sequence[str], host: str, port: int, opens: bool, say: Callable[[str], Any]
) -> None:
    """Serve the pages of one run or two. `say` receives the address first.

    Raises InputError where nobody can listen there.
    """
    listener = listen(host, port)
    port = listener.getsockname()[1]
    token = "" if is_loopback(host) else secrets.token_urlsafe(24)
    app = create_app(outs, host=host, token=token, cookie=f"curation-{port}")
    address = url(host, port, token)
    say(address)
    if token:
        say("Whoever has this address sees the run; nothing is encrypted on the way.")
    say("ctrl-C ends it.")
    warming = threading.Thread(target=warm, args=(app.runs,), daemon=True)
    warming.start()
    try:
        answer(app, listener, address, opens)
    finally:
        warming.join(LAST_S)  # a thread that reads tables while Python ends would abort it


def answer(app: Any, listener: socket.socket, address: str, opens: bool) -> None:
    """Answer requests until ctrl-C; with `opens` a browser shows the first page."""
    if opens:
        import webbrowser

        webbrowser.open(address)
    config = uvicorn.Config(
        app,
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=WAITING,
        h11_max_incomplete_event_size=32 << 10,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=2,
        ws="none",
    )
    with listener:
        uvicorn.Server(config).run(sockets=[listener])


def warm(runs: Sequence[OpenRun]) -> None:
    """Load what the pages import when they are used, and read what the first page of a run needs."""

    import curation.pipeline.line
    import curation.store.query  # noqa: F401
    from curation.web.views import documents, overview

    for name in templating.environment().list_templates():
        templating.environment().get_template(name)
    for run in runs:
        with contextlib.suppress(CurationError, OSError):  # the pages will say it
            overview.flows_of(run)
            documents.fates(run)
            documents.first_page(run)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens on host and port. Raises InputError where the port is in use, or the host
    is not this machine."""
    listener = None
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        if listener is not None:
            listener.close()
        raise InputError(
            f"{host}:{port}: nothing can listen there ({error.strerror or error}); give another "
            "--port (0: a free one), or another --host"
        ) from error
    return listener


def url(host: str, port: int, token: str = "") -> str:
    """The address of the first page, with the token where there is one.

    >>> url("::1", 80), url("0.0.0.0", 8321, "abc")
    ('http://[::1]:80/', 'http://0.0.0.0:8321/?token=abc')
    """
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{port}/" + (f"?{TOKEN}={token}" if token else "")
