"""What every request of `curation browse` passes: method, size, Host, token; and the headers of
every answer.

The pages show text of strangers. The policy lets a page load nothing but our own style sheet and
script, so that text which got past escaping would still do nothing.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
import socket
from collections.abc import Collection, Sequence
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, urlencode

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
MOST_QUERY = 4000  # bytes
MOST_BODY = 1 << 16  # bytes
TOKEN = "token"
LOOPBACK = ("127.0.0.1", "::1", "localhost")
_PORT = re.compile(r":\d{1,5}$")


def is_loopback(host: str) -> bool:
    """Whether a host to listen on is reached from this machine only.

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("0.0.0.0"), is_loopback("localhost")
    (True, True, False, True)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Guard:
    """An ASGI application around another one.

    `host`: what the server listens on. `token`: what a visitor must have, "" for none: given once as
    `?token=`, then kept in a cookie. `runs`: what the pages are of. `writing`: the paths
    that take a form by POST; all others are only read.
    """

    def __init__(
        self,
        app: Any,
        host: str,
        token: str,
        cookie: str,
        runs: Sequence[Any] = (),
        writing: Collection[str] = (),
    ) -> None:
        self.runs, self._writing = runs, writing
        self._app, self._token, self._cookie = app, token, cookie
        self._hosts = {*LOOPBACK, host.lower()}
        self._any_address = not is_loopback(host)
        if self._any_address:
            self._hosts |= {socket.gethostname().lower(), socket.getfqdn().lower()}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        status, message, more = self._verdict(scope, headers)

        async def sent(event: Any) -> None:
            if event["type"] == "http.response.start":
                event["headers"] = [*event["headers"], *_encoded(HEADERS), *_encoded(more)]
            await send(event)

        if not status:
            await self._app(scope, receive, sent)
            return
        body = message.encode()
        plain = {"content-type": "text/plain; charset=utf-8", "content-length": str(len(body))}
        await sent({"type": "http.response.start", "status": status, "headers": _encoded(plain)})
        await sent({"type": "http.response.body", "body": body})

    def _verdict(self, scope: Any, headers: dict[str, str]) -> tuple[int, str, dict[str, str]]:
        """A status and sentence for what is refused (0: it passes), and headers."""
        writes = scope["method"] == "POST" and scope["path"] in self._writing
        if scope["method"] not in ("GET", "HEAD") and not writes:
            return 405, "Only GET is answered here.\n", {"allow": "GET, HEAD"}
        size = headers.get("content-length", "")
        if writes and not (size.isdecimal() and len(size) < 9 and int(size) <= MOST_BODY):
            return 413, f"A form of at most {MOST_BODY:,} bytes is expected.\n", {}
        if len(scope["query_string"]) > MOST_QUERY or len(scope["path"]) > MOST_QUERY:
            return 414, f"An address of at most {MOST_QUERY:,} bytes is expected.\n", {}
        if not self._is_known(headers.get("host", "")):
            return 421, "This server is not called that; use the address that it printed.\n", {}
        site = headers.get("sec-fetch-site", "same-origin")
        links = headers.get("sec-fetch-mode") == "navigate" and not writes
        if site not in ("same-origin", "none") and not links:
            return 403, "Pages of other sites may link here, and load nothing.\n", {}
        return self._token_verdict(scope, headers)

    def _token_verdict(
        self, scope: Any, headers: dict[str, str]
    ) -> tuple[int, str, dict[str, str]]:
        if not self._token:
            return 0, "", {}
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = next((value for name, value in query if name == TOKEN), None)
        if given is not None and self._is_token(given):
            rest = urlencode([pair for pair in query if pair[0] != TOKEN])
            path = "/" + scope["path"].lstrip("/\\")
            # The path is quoted: a name may hold anything.
            from urllib.parse import quote

            where = quote(path) + (f"?{rest}" if rest else "")
            cookie = f"{self._cookie}={self._token}; HttpOnly; SameSite=Lax; Path=/"
            return 303, "", {"location": where, "set-cookie": cookie}
        if self._is_token(_cookie(headers.get("cookie", ""), self._cookie)):
            return 0, "", {}
        return 401, "A token is needed: open the whole address that the server printed.\n", {}

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode("utf-8", "replace"), self._token.encode())

    def _is_known(self, host: str) -> bool:
        """Whether a Host header names this server: against names that turn to a loopback address."""
        name = _PORT.sub("", host.lower()).strip("[]")
        if name in self._hosts:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return self._any_address or address.is_loopback


def _encoded(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]


def _cookie(header: str, name: str) -> str:
    try:
        found = SimpleCookie(header[:MOST_QUERY]).get(name)
    except CookieError:
        return ""
    return found.value if found else ""
