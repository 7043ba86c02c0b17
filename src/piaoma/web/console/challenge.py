"""The challenge that a passkey signs, on its way through the browser: in a signed cookie, for minutes."""

from __future__ import annotations

import base64

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from piaoma.invoice.refusal import refuse
from piaoma.store import milliseconds
from piaoma.web import cookies
from piaoma.web.page import office_of
from piaoma.web.signed import pack, unpack

CHALLENGE_SECONDS = 300


class _Asked(msgspec.Struct, frozen=True):
    person_id: int
    challenge: str
    until_ms: int


def ask_browser(request: Request, person_id: int, challenge: bytes, options: str) -> Response:
    """What the page's script hands to ``navigator.credentials``, with the challenge kept beside it."""
    office = office_of(request)
    until_ms = milliseconds(office.now()) + CHALLENGE_SECONDS * 1000
    asked = _Asked(person_id, base64.b64encode(challenge).decode(), until_ms)
    response = Response(options or "null", media_type="application/json")
    response.set_cookie(
        cookies.CHALLENGE, pack(office.cookie_key, cookies.CHALLENGE, asked), max_age=CHALLENGE_SECONDS,
        httponly=True, samesite="strict", secure=office.config.secure,
    )  # fmt: skip
    return response


def asked_of(request: Request, person_id: int) -> bytes:
    """The challenge that this browser was given for this person. Raises ``Refused`` FACTOR-PASSKEY."""
    office = office_of(request)
    asked = unpack(office.cookie_key, cookies.CHALLENGE, request.cookies.get(cookies.CHALLENGE, ""), _Asked)
    if asked is None or asked.person_id != person_id or asked.until_ms <= milliseconds(office.now()):
        raise refuse("FACTOR-PASSKEY")
    return base64.b64decode(asked.challenge)
