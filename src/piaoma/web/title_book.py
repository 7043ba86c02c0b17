"""The title book (抬头本): what this browser keeps, in one signed cookie and nowhere else. Add, change, choose the
default, delete, forget all. A page of forms; nothing of it is stored on the server.
"""

from __future__ import annotations

import asyncio
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from piaoma.codes.title_qr import read_title
from piaoma.codes.token import canonical
from piaoma.delivery import masked
from piaoma.invoice import rules, taxpayer_id
from piaoma.invoice.draft import InvoiceKind
from piaoma.invoice.parties import Buyer
from piaoma.invoice.refusal import Refusal, Refused
from piaoma.invoice.title_text import parse_title_text

from . import cookies, forms
from .errors import explained, status_of
from .page import render
from .throttle import Throttle
from .titles import typed_title

_photos = Throttle(burst=20, per_minute=20)


async def show_titles(request: Request) -> Response:
    """The book; ``?edit=`` opens one title in the form."""
    titles = cookies.wallet_of(request).titles
    place = _place(request.query_params.get("edit", ""), len(titles))
    return _page(request, typed=None if place is None else titles[place], editing=place)


def _page(
    request: Request, errors: tuple[Refusal, ...] = (), typed: Buyer | None = None, editing: int | None = None
) -> Response:
    wallet = cookies.wallet_of(request)
    view = {
        "titles": list(enumerate(wallet.titles)),
        "pinned": wallet.pinned,
        "masked_email": masked(wallet.email) if wallet.email else "",
        "typed": typed or Buyer(""),
        "editing": editing,
        "open": typed is not None or not wallet.titles,
        "back": _back(request),
        "onward": _onward(request),
        "mended": "mended" in request.query_params,
        "errors": explained(request, errors),
    }
    return render(request, "titles.html", status_of(errors) if errors else 200, **view)


def _place(text: str, count: int) -> int | None:
    return int(text) if text in map(str, range(count)) else None


def _back(request: Request) -> str:
    """The code that somebody came from: only a token leads back, never an address."""
    try:
        return canonical(request.query_params.get("back", ""))
    except Refused:
        return ""


def _onward(request: Request, **more: str) -> str:
    """What every further address of the book must carry."""
    back = _back(request)
    asked = {**({"back": back} if back else {}), **more}
    return f"?{urlencode(asked)}" if asked else ""


async def change_titles(request: Request) -> Response:
    """One button of the book."""
    form = await forms.read_form(request)
    wallet = cookies.wallet_of(request)
    if "paste" in form:
        title = parse_title_text(form.get("block", ""))
        if not title.name and not title.taxpayer_id:
            return _page(request, (Refusal("TITLE-NOT-UNDERSTOOD", "block"),), title)
        return _page(request, typed=title)
    if "save" in form:
        return _save(request, form, wallet)
    for button, change in (("default", _in_front), ("delete", _without)):
        place = _place(form.get(button, ""), len(wallet.titles))
        if place is not None:
            return _kept(request, change(wallet, place))
    if "forget_email" in form:
        return _kept(request, cookies.Wallet(wallet.titles, "", wallet.pinned))
    if "forget" in form:
        return _kept(request, cookies.Wallet())
    return RedirectResponse(f"/titles{_onward(request)}", 303)


def _save(request: Request, form: dict[str, str], wallet: cookies.Wallet) -> Response:
    """Add a title, or change the one that is being edited; it is checked as for an invoice."""
    title = typed_title(form)
    place = _place(form.get("save", ""), len(wallet.titles))
    if place is not None and wallet.titles[place].natural_person and not title.taxpayer_id:
        title = msgspec.structs.replace(title, natural_person=True)
    faults = tuple(rules.parties.check_buyer(title, InvoiceKind.GENERAL))
    if faults:
        return _page(request, faults, title, place)
    others = [kept for at, kept in enumerate(wallet.titles) if at != place and not cookies.same_title(kept, title)]
    at = min(place, len(others)) if place is not None else int(wallet.pinned and bool(others))
    changed = cookies.Wallet([*others[:at], title, *others[at:]], wallet.email, wallet.pinned)
    if not cookies.fits_cookie(request, changed):
        full = Refusal("TITLE-BOOK-FULL", "name", {"have": str(cookies.TITLES_MAX)})
        return _page(request, (full,), title, place)
    mended = title.taxpayer_id != taxpayer_id.normalise(form.get("taxpayer_id", ""))
    return _kept(request, changed, **({"mended": "1"} if mended else {}))


def _in_front(wallet: cookies.Wallet, place: int) -> cookies.Wallet:
    """The default is the first and stays there."""
    others = [kept for at, kept in enumerate(wallet.titles) if at != place]
    return cookies.Wallet([wallet.titles[place], *others], wallet.email, pinned=True)


def _without(wallet: cookies.Wallet, place: int) -> cookies.Wallet:
    others = [kept for at, kept in enumerate(wallet.titles) if at != place]
    return cookies.Wallet(others, wallet.email, wallet.pinned and place != 0)


def _kept(request: Request, wallet: cookies.Wallet, **more: str) -> Response:
    response = RedirectResponse(f"/titles{_onward(request, **more)}", 303)
    cookies.keep_wallet(request, response, wallet)
    return response


async def photo(request: Request) -> Response:
    """Read a title QR from a photo into the form."""
    _photos.spend(request)
    try:
        title = await asyncio.to_thread(read_title, await forms.read_photo(request))
    except Refused as refused:
        return _page(request, refused.refusals, Buyer(""))
    return _page(request, typed=title)


routes = [
    Route("/titles", show_titles),
    Route("/titles", change_titles, methods=["POST"]),
    Route("/titles/photo", photo, methods=["POST"]),
]
