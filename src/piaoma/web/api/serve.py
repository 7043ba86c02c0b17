"""How a request of a program is answered, the same for every row of the table: who, may he, how often, once, what."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from piaoma.desk import api_keys
from piaoma.desk.api_keys import ApiKey
from piaoma.desk.once import Begun, Kept
from piaoma.invoice.refusal import Refused, refuse
from piaoma.web.errors import refusal_response
from piaoma.web.page import office_of
from piaoma.web.throttle import Throttle

from .operation import QUERY_CHARS_MAX, Answer, Bytes, Call, Operation, actor_of
from .table import OPERATIONS

BASE = "/api/v1"
KEY_CHARS_MAX = 80  # of an Idempotency-Key
BODY_DEPTH_MAX = 20  # of nested arrays and objects

_requests = Throttle(burst=600, per_minute=3_000, cause="API-RATE")
_wrong_keys = Throttle(burst=20, per_minute=10, cause="API-RATE")
_KEY = re.compile(r"[\x21-\x7e]{8,80}")
_PATH_OF_ERROR = re.compile(r"^(?P<what>.*?)(?: - at `\$\.?(?P<path>.*?)`)?$", re.DOTALL)
_log = structlog.get_logger("piaoma.api")


def endpoint(operation: Operation) -> Any:
    """The route of an operation."""

    async def handle(request: Request) -> Response:
        started = time.perf_counter()
        headers: dict[str, str] = {}
        key = None
        try:
            key = await authenticate(request)
            headers = _rate_headers(request, key)
            if operation.scope is not None and operation.scope not in key.scopes:
                raise refuse("API-SCOPE", scope=operation.scope.value)
            response = await _answer(request, operation, key)
        except Refused as refused:
            response = refusal_response(request, refused.refusals)
            if response.status_code == 401:
                response.headers["www-authenticate"] = 'Bearer realm="piaoma"'
            if refused.refusals[0].cause == "API-RATE" and key is not None:
                headers = _requests.headers(request, str(key.key_id))
        response.headers.update(headers)
        if key is not None and request.method not in ("GET", "HEAD"):
            _log.info(
                "api", id=request.scope["state"]["request_id"], merchant=key.merchant_id, key=key.key_id,
                operation=operation.name, status=response.status_code,
                ms=round((time.perf_counter() - started) * 1000, 1),
            )  # fmt: skip
        return response

    handle.__name__ = operation.name
    return handle


async def authenticate(request: Request) -> ApiKey:
    """The key of a request. Raises ``Refused`` API-KEY-…, API-RATE after many wrong ones.

    A right key is never made to wait for a wrong one: one till that was set up badly must not stop the others behind
    the same address.
    """
    kind, _, secret = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not secret.strip():
        raise refuse("API-KEY-NONE")
    try:
        return await api_keys.key_of(office_of(request), secret.strip())
    except Refused as refused:
        if refused.refusals[0].cause == "API-KEY-WRONG":
            _wrong_keys.spend(request)
        raise


def _rate_headers(request: Request, key: ApiKey) -> dict[str, str]:
    """Take one request of a key's allowance, and say what is left."""
    _requests.spend_for_all(request, str(key.key_id))
    return _requests.headers(request, str(key.key_id))


async def _answer(request: Request, operation: Operation, key: ApiKey) -> Response:
    _check_query(request, operation)
    call = Call(request, key, actor_of(request, key))
    if request.method in ("POST", "PUT"):
        raw = await request.body()
        call.body = read_body(request, raw, operation)
    if request.method == "POST":
        return await _once(call, operation)
    await _check_match(call, operation)
    return _response(call, operation, await operation.handler(call))


def read_body(request: Request, raw: bytes, operation: Operation) -> Any:
    """The body as its type. Raises ``Refused`` API-BODY-TYPE, API-BODY at the field."""
    assert operation.body is not None, "what is sent has a type"
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise refuse("API-BODY-TYPE", have=kind[:60])
    if b"\\u0000" in raw or _too_deep(raw):
        raise refuse("API-BODY", have="depth or U+0000")
    try:
        return msgspec.json.decode(raw, type=operation.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        parts = _PATH_OF_ERROR.match(str(error))
        what, path = (parts["what"], parts["path"] or "") if parts else (str(error), "")
        raise refuse("API-BODY", path[:100], have=what[:160]) from None


def _too_deep(raw: bytes) -> bool:
    """Whether there are more brackets in a row open than any body of ours has; those in texts count too."""
    depth = deepest = 0
    for byte in raw if raw.count(b"[") + raw.count(b"{") > BODY_DEPTH_MAX else b"":
        if byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    return deepest > BODY_DEPTH_MAX


def _check_query(request: Request, operation: Operation) -> None:
    """Raises ``Refused`` API-QUERY for a name that is not known, a value that is too long or of another form."""
    known = {one.name: one for one in operation.query}
    for name, value in request.query_params.multi_items():
        if name == "lang":
            continue
        one = known.get(name)
        if one is None or len(value) > QUERY_CHARS_MAX or "\0" in value:
            raise refuse("API-QUERY", name[:40], have=name[:40])
        if value and one.choices and value not in one.choices:
            raise refuse("API-QUERY", name, have=value[:40])
        if value and one.pattern and not re.fullmatch(one.pattern, value):
            raise refuse("API-QUERY", name, have=value[:40])


async def _check_match(call: Call, operation: Operation) -> None:
    """With ``If-Match`` what is to be changed must be what was read. Raises ``Refused`` API-PRECONDITION."""
    wanted = call.request.headers.get("if-match", "")
    if operation.read is None or not wanted or wanted.strip() == "*":
        return
    now = await operation.read(call)
    assert isinstance(now, msgspec.Struct) and not isinstance(now, Bytes | Answer), "what is matched is an object"
    if etag_of(msgspec.json.encode(now)) not in [one.strip() for one in wanted.split(",")]:
        raise refuse("API-PRECONDITION")


async def _once(call: Call, operation: Operation) -> Response:
    """A POST: begun on disk, done, its answer kept, then told. A refusal changed nothing and frees the key."""
    key = idempotency_key(call.request)
    office, merchant_id = call.office, call.merchant_id
    digest = _digest(call.request, await call.request.body())
    begun = await office.once.begin(merchant_id, key, digest)
    if isinstance(begun, Kept):
        response = _json(begun.body, begun.status)
        response.headers["idempotency-replayed"] = "true"
        return response
    call.again = begun is Begun.AGAIN
    try:
        if not call.again:
            # What it was to match may have been changed by this very request, before it died.
            await _check_match(call, operation)
        response = _response(call, operation, await operation.handler(call))
    except Refused:
        await office.once.forget(merchant_id, key)
        raise
    except BaseException:
        await office.once.let_go(merchant_id, key)
        raise
    body = bytes(response.body)
    secret = operation.answer is not None and "secret" in operation.answer.__struct_fields__
    kept = Kept(response.status_code, _without_secret(body) if secret else body)
    await office.once.finish(merchant_id, key, kept)
    return response


def idempotency_key(request: Request) -> str:
    """Raises ``Refused`` API-IDEMPOTENCY-MISSING, API-IDEMPOTENCY-FORM."""
    key = request.headers.get("idempotency-key", "")
    if not key:
        raise refuse("API-IDEMPOTENCY-MISSING")
    if not _KEY.fullmatch(key):
        raise refuse("API-IDEMPOTENCY-FORM", max=KEY_CHARS_MAX)
    return key


def _digest(request: Request, raw: bytes) -> str:
    """What was asked for: blanks and the order of fields are no difference."""
    asked = msgspec.json.encode(msgspec.json.decode(raw), order="sorted")
    return hashlib.sha256(f"{request.method} {request.url.path}\n".encode() + asked).hexdigest()


def _without_secret(body: bytes) -> bytes:
    """A secret is told once and kept nowhere in plain."""
    told: dict[str, Any] = msgspec.json.decode(body)
    return msgspec.json.encode({**told, "secret": None})


def _response(call: Call, operation: Operation, made: msgspec.Struct | Answer | Bytes) -> Response:
    if isinstance(made, Bytes):
        return _file(call, made)
    value, status = (made.value, made.status) if isinstance(made, Answer) else (made, operation.status)
    body = msgspec.json.encode(value)
    etag = etag_of(body)
    if call.request.method == "GET" and etag in [
        one.strip().removeprefix("W/") for one in call.request.headers.get("if-none-match", "").split(",")
    ]:
        return Response(status_code=304, headers={"etag": etag, "cache-control": "private, no-cache"})
    return _json(body, status, {"etag": etag})


def etag_of(body: bytes) -> str:
    """A name for exactly this content."""
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def _json(body: bytes, status: int, headers: Mapping[str, str] | None = None) -> Response:
    return Response(body, status, {"cache-control": "private, no-cache", **(headers or {})}, "application/json")


def _file(call: Call, made: Bytes) -> Response:
    headers = {"etag": etag_of(made.data), "cache-control": "private, no-cache"}
    if headers["etag"] == call.request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if made.name:
        plain = made.name.replace("-电子发票", "")
        headers["content-disposition"] = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(made.name)}"
    return Response(made.data, 200, headers, made.media_type)


routes = [Route(BASE + one.path, endpoint(one), methods=[one.method]) for one in OPERATIONS]
