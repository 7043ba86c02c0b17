"""Cookies (小甜饼), all signed, HttpOnly, SameSite=Lax, Secure under HTTPS.

The customer's titles live here and nowhere else: the server keeps no profile of who scans.
"""

from __future__ import annotations

import secrets

import msgspec
from itsdangerous import BadData, URLSafeSerializer
from starlette.requests import Request
from starlette.responses import Response

from piaoma.invoice.parties import Buyer

from .page import office_of

HOLDER, TITLES, GRANTS, SESSION = "pm_h", "pm_t", "pm_g", "pm_s"
YEAR_SECONDS = 365 * 86400
TITLES_MAX = 3
GRANTS_MAX = 20
COOKIE_BYTES_MAX = 3_500


class Wallet(msgspec.Struct, array_like=True):
    """The titles of this browser, last used first, and the address that it last sent to."""

    titles: list[Buyer] = []
    email: str = ""


def _serializer(request: Request, name: str) -> URLSafeSerializer:
    return URLSafeSerializer(office_of(request).cookie_key, salt=name)


def _read(request: Request, name: str) -> object:
    try:
        return _serializer(request, name).loads(request.cookies.get(name, ""))
    except BadData:
        return None


def _write(request: Request, response: Response, name: str, value: object, max_age: int = YEAR_SECONDS) -> None:
    signed = _serializer(request, name).dumps(value)
    if len(signed) <= COOKIE_BYTES_MAX:
        response.set_cookie(
            name,
            signed,
            max_age=max_age,
            httponly=True,
            samesite="lax",
            secure=office_of(request).config.secure,
        )


def holder_of(request: Request) -> str:
    """This browser's secret; empty when it has none yet."""
    secret = _read(request, HOLDER)
    return secret if isinstance(secret, str) else ""


def new_holder() -> str:
    """A secret for a browser that has none."""
    return secrets.token_urlsafe(16)


def keep_holder(request: Request, response: Response, secret: str) -> None:
    _write(request, response, HOLDER, secret)


def wallet_of(request: Request) -> Wallet:
    """The titles kept in this browser."""
    try:
        return msgspec.convert(_read(request, TITLES) or [], Wallet)
    except msgspec.ValidationError:
        return Wallet()


def keep_wallet(request: Request, response: Response, wallet: Wallet) -> None:
    """Keep the titles; when they are too long for a cookie, fewer of them."""
    titles = wallet.titles[:TITLES_MAX]
    while titles:
        value = msgspec.to_builtins(Wallet(titles, wallet.email))
        if len(_serializer(request, TITLES).dumps(value)) <= COOKIE_BYTES_MAX:
            _write(request, response, TITLES, value)
            return
        titles = titles[:-1]
    response.delete_cookie(TITLES)


def with_title(wallet: Wallet, title: Buyer) -> Wallet:
    """The wallet with a title in front."""
    others = [kept for kept in wallet.titles if (kept.name, kept.taxpayer_id) != (title.name, title.taxpayer_id)]
    return Wallet([title, *others][:TITLES_MAX], wallet.email)


def granted(request: Request, token: str) -> bool:
    """Whether this browser gave the right pick-up code for a code."""
    grants = _read(request, GRANTS)
    return isinstance(grants, list) and token in grants


def keep_grant(request: Request, response: Response, token: str) -> None:
    grants = _read(request, GRANTS)
    kept = [one for one in grants if isinstance(one, str) and one != token] if isinstance(grants, list) else []
    _write(request, response, GRANTS, [token, *kept][:GRANTS_MAX])
