"""What every call is made of: the request, whether it may be tried again, and what its answer means."""

from __future__ import annotations

import random
import secrets
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import httpx
import msgspec

from piaoma import wire

TRIES_MAX = 6  # of one call
DELAY_FIRST_SECONDS, DELAY_SECONDS_MAX = 0.5, 20.0
ANSWER_SECONDS_MAX = 30.0
_AGAIN = frozenset({425, 429, 500, 502, 503, 504})  # by status; what a POST has done by then it does not do twice
_RUNNING = "API-IDEMPOTENCY-RUNNING"

Told = TypeVar("Told")


class Refused(Exception):
    """The server refused; nothing was done. ``problem`` has every cause, its field and what to do about it."""

    def __init__(self, problem: wire.Problem) -> None:
        self.problem = problem
        super().__init__(f"{problem.cause}: {problem.title} {problem.detail} (request {problem.request_id})")

    @property
    def cause(self) -> str:
        return self.problem.cause


class Unreachable(Exception):
    """No answer after every try. A POST may have been done or not: the same key tells, whenever it is sent again."""


class Call(msgspec.Struct, Generic[Told], frozen=True):
    """One request. ``answer`` is what a good one holds, None for a file."""

    method: str
    path: str
    answer: type[Told] | None
    body: bytes | None = None
    query: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}


def call(
    method: str, path: str, answer: type[Told], body: msgspec.Struct | None = None, *, key: str = "",
    query: Mapping[str, str | None] | None = None, if_match: str = "",
) -> Call[Told]:  # fmt: skip
    """A request with its headers. A POST without a key gets one, so that each of its tries is the same request."""
    headers = {}
    if body is not None:
        headers["content-type"] = "application/json"
    if method == "POST":
        headers["idempotency-key"] = key or new_key()
    if if_match:
        headers["if-match"] = if_match
    given = {name: value for name, value in (query or {}).items() if value}
    return Call(method, path, answer, None if body is None else msgspec.json.encode(body), given, headers)


def new_key() -> str:
    """A key for one sale. Keep it with the sale before it is sent: then a crash of your own does no harm either."""
    return f"py-{secrets.token_hex(12)}"


def tried_again(answer: httpx.Response | None, tries: int) -> float | None:
    """How many seconds to wait before the next try, or None when the answer is final. No answer is tried again."""
    if tries >= TRIES_MAX:
        return None
    full = min(DELAY_SECONDS_MAX, DELAY_FIRST_SECONDS * 2.0 ** (tries - 1))
    delay: float = full * random.uniform(0.5, 1)  # noqa: S311 - spreads tries, no secret
    if answer is None:
        return delay
    running = answer.status_code == 409 and _problem(answer).cause == _RUNNING
    if answer.status_code not in _AGAIN and not running:
        return None
    asked = answer.headers.get("retry-after", "")
    return max(delay, min(float(asked), DELAY_SECONDS_MAX)) if asked.isdigit() else delay


def read(answer: httpx.Response, what: Call[Told]) -> Told:
    """What an answer says. Raises ``Refused``."""
    if answer.status_code >= 400:
        raise Refused(_problem(answer))
    assert what.answer is not None, "files are read as bytes"
    return msgspec.json.decode(answer.content, type=what.answer)


def read_bytes(answer: httpx.Response) -> bytes:
    """A file. Raises ``Refused``."""
    if answer.status_code >= 400:
        raise Refused(_problem(answer))
    return answer.content


def _problem(answer: httpx.Response) -> wire.Problem:
    """The problem of an answer; of one that is none (a proxy's page, say) its status."""
    try:
        return msgspec.json.decode(answer.content, type=wire.Problem)
    except msgspec.DecodeError:
        status = answer.status_code
        return wire.Problem(
            type="about:blank", title=f"HTTP {status}", status=status, detail=answer.text[:200], cause="", errors=[],
            request_id=answer.headers.get("x-request-id", ""),
        )  # fmt: skip


def settings(url: str, key: str, language: str, **more: Any) -> dict[str, Any]:
    """How either client is opened."""
    return {
        "base_url": f"{url.rstrip('/')}/api/v1",
        "headers": {"authorization": f"Bearer {key}", "accept-language": language, "user-agent": "piaoma-client"},
        "timeout": ANSWER_SECONDS_MAX,
        **more,
    }
