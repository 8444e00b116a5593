"""The page of `curation tune rank --browse`: a prompt with its answers, and a rank for each.

It writes, so every visitor needs the token that the command printed, on this machine too; the form
carries it once more, since other servers of this machine share our cookies. Nothing is loaded but our
style sheet, and texts are escaped. One question is open at a time, for all who have the address.
"""

from __future__ import annotations

import hmac
import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from curation.errors import InputError
from curation.web import templating
from curation.web.guard import Guard

MOST_BODY = 4000  # bytes of a form
LETTERS = "abcdefghi"


@dataclass
class Questions:
    """Prompts that wait for a ranking. `answers` samples to one of them, `record` takes the ranks.

    Of several requests at once one works, the others wait.
    """

    prompts: Sequence[str]
    answers: Callable[[int], list[str]]
    record: Callable[[int, list[str], list[int]], None]
    number: int = 0
    _open: list[str] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def current(self) -> tuple[int, list[str]] | None:
        """The open question: its number and answers; None where no prompt is left."""
        with self._lock:
            return self._current()

    def _current(self) -> tuple[int, list[str]] | None:
        while self.number < len(self.prompts):
            if self._open is None:
                self._open = self.answers(self.number)
            if len(self._open) > 1:
                return self.number, self._open
            self._forward()
        return None

    def _forward(self) -> None:
        self.number, self._open = self.number + 1, None

    def ranked(self, number: int, ranks: list[int] | None) -> None:
        """Record the ranks of the open question, None to skip it; an older one is left alone."""
        with self._lock:
            question = self._current()
            if question is None or question[0] != number:
                return
            if ranks is not None:
                self.record(number, question[1], ranks)
            self._forward()


def create_ranking_app(questions: Questions, host: str, token: str, cookie: str) -> Any:
    """The ASGI application around some questions."""

    def page(sentence: str = "", status: int = 200) -> Response:
        question = questions.current()
        number, answers = question or (len(questions.prompts), [])
        values = {
            "left": question is not None,
            "number": number,
            "count": len(questions.prompts),
            "prompt": questions.prompts[number] if question else "",
            "answers": list(zip(LETTERS, answers, strict=False)),
            "sentence": sentence,
            "token": token,
        }
        text = templating.environment().get_template("ranking.html").render(values)
        headers = {"cache-control": "no-store"}
        return Response(text, status, headers, "text/html; charset=utf-8")

    def show(request: Request) -> Response:
        return page()

    async def take(request: Request) -> Response:
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > MOST_BODY:
                return PlainTextResponse(f"At most {MOST_BODY:,} bytes are expected.\n", 413)
        return await run_in_threadpool(_taken, body)

    def _taken(body: bytes) -> Response:
        given = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
        if not hmac.compare_digest(given.get("token", "").encode(), token.encode()):
            return PlainTextResponse("The form's token is missing; open the page again.\n", 403)
        try:
            number = _whole(given.get("number", ""))
            if "skip" in given:
                questions.ranked(number, None)
            else:
                names = [name for name in LETTERS if name in given]
                questions.ranked(number, [_whole(given[name]) for name in names])
        except InputError as error:
            return page(str(error), 422)
        return RedirectResponse("/", 303)

    routes = [
        Route("/", show, methods=["GET"]),
        Route("/rank", take, methods=["POST"]),
        Route("/static/style.css", _style),
    ]
    return Guard(Starlette(routes=routes), host, token, cookie, writing=["/rank"])


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 9):
        raise InputError("a rank for each answer expected: choose a number beside every one")
    return int(text)


def _style(request: Request) -> Response:
    data = Path(__file__).with_name("static").joinpath("style.css").read_bytes()
    return Response(data, media_type="text/css", headers={"cache-control": "max-age=3600"})


def serve_ranking(questions: Questions, port: int, opens: bool, say: Callable[[str], Any]) -> None:
    """Serve the page on this machine until ctrl-C. `say` receives the address first."""
    from curation.web.server import answer, listen, url

    host = "127.0.0.1"
    listener = listen(host, port)
    port, token = listener.getsockname()[1], secrets.token_urlsafe(24)
    address = url(host, port, token)
    say(address)
    say("ctrl-C ends it; what you ranked is kept.")
    app = create_ranking_app(questions, host, token, f"curation-rank-{port}")
    answer(app, listener, address, opens)
