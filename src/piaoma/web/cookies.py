"""Cookies (小甜饼), all signed, HttpOnly, SameSite=Lax, Secure under HTTPS.

The customer's titles live here and nowhere else: the server keeps no profile of who scans.
"""

from __future__ import annotations

import secrets
from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from piaoma.invoice.parties import Buyer

from .page import office_of
from .signed import pack, payload, unpack

HOLDER, TITLES, GRANTS, SESSION = "pm_h", "pm_t", "pm_g", "pm_s"
DEVICE = "pm_d"  # this browser, known again at log-in and as the device of a till: a random secret
SECOND = "pm_2"  # whose password was right, between it and the second factor
CHALLENGE = "pm_c"  # what a passkey is asked to sign
YEAR_SECONDS = 365 * 86400
TITLES_MAX = 12
GRANTS_MAX = 20
COOKIE_BYTES_MAX = 3_500

Value = TypeVar("Value")


class Wallet(msgspec.Struct, frozen=True, array_like=True):
    """The titles of this browser, last used first, and the address that it last sent to.

    ``pinned`` says that the first is the default and stays in front whichever is used.
    """

    titles: list[Buyer] = []
    email: str = ""
    pinned: bool = False


def _read(request: Request, name: str, kind: type[Value]) -> Value | None:
    text = request.cookies.get(name, "")
    return unpack(office_of(request).cookie_key, name, text, kind) if text else None


def _write(request: Request, response: Response, name: str, signed: str) -> None:
    response.set_cookie(
        name, signed, max_age=YEAR_SECONDS, httponly=True, samesite="lax", secure=office_of(request).config.secure
    )


def holder_of(request: Request) -> str:
    """This browser's secret; empty when it has none yet."""
    return _read(request, HOLDER, str) or ""


def holds(request: Request, secret: str) -> bool:
    """Whether the cookie says this secret, which the caller knows to be one of ours: no signature is checked."""
    return f"{HOLDER}={payload(secret)}." in request.headers.get("cookie", "")


def new_holder() -> str:
    """A secret for a browser that has none."""
    return secrets.token_urlsafe(16)


def keep_holder(request: Request, response: Response, secret: str) -> None:
    """Let this browser be known again."""
    _write(request, response, HOLDER, pack(office_of(request).cookie_key, HOLDER, secret))


def wallet_of(request: Request) -> Wallet:
    """The titles kept in this browser."""
    return _read(request, TITLES, Wallet) or Wallet()


def keep_wallet(request: Request, response: Response, wallet: Wallet) -> None:
    """Keep the titles; when they are too long for a cookie, fewer of them."""
    titles = wallet.titles[:TITLES_MAX]
    while titles:
        kept = Wallet(titles, wallet.email, wallet.pinned)
        if fits_cookie(request, kept):
            _write(request, response, TITLES, pack(office_of(request).cookie_key, TITLES, kept))
            return
        titles = titles[:-1]
    response.delete_cookie(TITLES)


def fits_cookie(request: Request, wallet: Wallet) -> bool:
    """Whether all the titles can be kept."""
    signed = pack(office_of(request).cookie_key, TITLES, wallet)
    return len(wallet.titles) <= TITLES_MAX and len(signed) <= COOKIE_BYTES_MAX


def used(wallet: Wallet, title: Buyer, email: str = "") -> Wallet:
    """The wallet after a title, and an address if any, was used: the title stands in front, behind a default."""
    others = [kept for kept in wallet.titles if not same_title(kept, title)]
    if wallet.pinned and others and others[0] == wallet.titles[0]:
        return Wallet([others[0], title, *others[1:]][:TITLES_MAX], email or wallet.email, pinned=True)
    return Wallet([title, *others][:TITLES_MAX], email or wallet.email, wallet.pinned)


def same_title(one: Buyer, other: Buyer) -> bool:
    """Whether two titles are the same to the tax authority, whatever stands beside name and id."""
    return (one.name, one.taxpayer_id) == (other.name, other.taxpayer_id)


def forget_all(request: Request, response: Response) -> None:
    """Take everything that a customer's browser keeps of ours from it."""
    for name in (HOLDER, TITLES, GRANTS):
        response.delete_cookie(name)


def granted(request: Request, token: str) -> bool:
    """Whether this browser gave the right pick-up code for a code."""
    return token in (_read(request, GRANTS, list[str]) or ())


def keep_grant(request: Request, response: Response, token: str) -> None:
    """Let this browser open the invoice of a code from now on."""
    kept = [one for one in _read(request, GRANTS, list[str]) or () if one != token]
    _write(request, response, GRANTS, pack(office_of(request).cookie_key, GRANTS, [token, *kept][:GRANTS_MAX]))
