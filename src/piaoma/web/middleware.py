"""What happens to every request before a page sees it (pure ASGI): limits, security headers, a request id, a log line.

Logs hold no token, address or name: the path of a code is cut to its prefix.
"""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BODY_MAX = 1024 * 1024
PHOTO_BODY_MAX = 8 * 1024 * 1024 + 4096  # only where a photo is uploaded
VERIFY_BODY_MAX = 32 * 1024 * 1024  # all files that are checked, or received, at once
SHEET_BODY_MAX = 4 * 1024 * 1024 + 8192  # of a sheet of sales
_VERIFY = ("/verify", "/api/v1/verify", "/console/received")
_STATEMENT = "/console/payments"  # where a statement is uploaded, as large as a photo
PATH_MAX = 2_000  # characters of path and query together
SLOW_MS = 1_000
HEADERS_MAX = 64 * 1024  # bytes of all headers

_CSP = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self';"
    " manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_OWN = {b"content-security-policy", b"permissions-policy"}
_ALWAYS = (b"referrer-policy", b"strict-transport-security")
_log = structlog.get_logger("piaoma.web")
_PROCESS = secrets.token_hex(4)  # so that the ids of two processes differ
_REQUESTS = itertools.count(1)


Answering = Callable[[Request, Exception], Awaitable[Response]]


class BodyTooLarge(Exception):
    """More bytes came than the limit of the path."""


class Guard:
    """The outermost layer."""

    def __init__(self, app: ASGIApp, *, secure: bool, on_bug: Answering) -> None:
        """``on_bug`` answers what nothing else has: here, so that its page has our headers as any other."""
        self._app, self._on_bug = app, on_bug
        headers = {
            "content-security-policy": _CSP,
            "x-content-type-options": "nosniff",
            "referrer-policy": "no-referrer",
            "permissions-policy": "camera=(), geolocation=(), microphone=()",
            "cross-origin-opener-policy": "same-origin",
        }
        if secure:
            headers["strict-transport-security"] = "max-age=31536000"
        self._headers = [(name.encode(), value.encode()) for name, value in headers.items()]
        self._always = [pair for pair in self._headers if pair[0] in _ALWAYS]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if sum(len(name) + len(value) for name, value in scope["headers"]) > HEADERS_MAX:
            await send({"type": "http.response.start", "status": 431, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body"})
            return
        started = time.perf_counter()
        request_id = f"{_PROCESS}{next(_REQUESTS):08x}"
        scope.setdefault("state", {})["request_id"] = request_id
        structlog.contextvars.bind_contextvars(id=request_id)  # on every line that anything of this request logs
        if scope["path"].startswith(("/S/", "/T/", "/A/")):
            # Symbols hold capitals; people type either.
            scope["path"] = scope["path"][:3].lower() + scope["path"][3:]
            scope["raw_path"] = scope["path"].encode()
        if b"%00" in scope.get("raw_path", b"") or "\0" in scope["path"] or b"%00" in scope["query_string"]:
            # No page has such an address, and PostgreSQL has no such text.
            scope["path"], scope["raw_path"], scope["query_string"] = "/-", b"/-", b""
        limit = _limit(scope["path"])
        status = 0
        received = 0

        async def bounded_receive() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise BodyTooLarge
            return message

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = message["headers"]
                if not any(name == b"cache-control" for name, _ in headers):
                    headers.append((b"cache-control", b"no-store"))
                headers.append((b"x-request-id", request_id.encode()))
                # A redirect shows nothing: what a page may do does not concern it.
                given = self._always if 300 <= status < 400 else self._headers
                own = {name for name, _ in headers} & _OWN  # a page may have its own
                headers.extend(pair for pair in given if pair[0] not in own)
            await send(message)

        try:
            await self._app(scope, bounded_receive, send_with_headers)
        except Exception as bug:
            if status:  # half an answer is out: the server closes the connection
                raise
            answer = await self._on_bug(Request(scope), bug)
            await answer(scope, bounded_receive, send_with_headers)
        finally:
            elapsed_ms = round((time.perf_counter() - started) * 1000, 1)
            # What failed or was slow is worth a line; a thousand good answers a second are not.
            if status >= 400 or elapsed_ms > SLOW_MS:
                path = shown_path(scope["path"])
                _log.info("request", method=scope["method"], path=path, status=status, ms=elapsed_ms, id=request_id)


def _limit(path: str) -> int:
    """Bytes that the body of a request to a path may have."""
    if path in _VERIFY:
        return VERIFY_BODY_MAX
    if path == "/console/batches":
        return SHEET_BODY_MAX
    return PHOTO_BODY_MAX if path.endswith("/photo") or path == _STATEMENT else BODY_MAX


def shown_path(path: str) -> str:
    """A path as logs may show it: the token of a code and the secret of a link are cut."""
    parts = path.split("/")
    if len(parts) > 2 and parts[1] in ("s", "t", "a", "h", "join", "recover"):
        parts[2] = "…"
    if len(parts) > 3 and (parts[1:3] == ["my", "link"] or parts[1] == "support"):
        parts[3] = "…"
    return "/".join(parts)[:PATH_MAX]


def same_origin(scope: Scope) -> bool:
    """Whether a form was sent from our own pages: the Origin, when a browser gives one, names this host."""
    headers: dict[bytes, bytes] = dict(scope["headers"])
    origin = headers.get(b"origin", b"").decode("latin-1")
    if not origin or origin == "null":
        # Old webviews send none; the form's own token is what protects then.
        return origin != "null" or headers.get(b"sec-fetch-site", b"same-origin") == b"same-origin"
    try:
        return urlsplit(origin).netloc.encode("latin-1") == headers.get(b"host", b"")
    except ValueError:
        return False
