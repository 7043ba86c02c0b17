"""抬头有误，换开: the holder of an invoice asks for another title, on the pages of his code.

Looking changes nothing. The one button that asks carries, signed, what stands on it: the code, the holder, the invoice
it is about and the new title; pressed twice, or from a page kept open, it asks once.
"""

from __future__ import annotations

import asyncio

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from piaoma.codes.title_qr import read_title as read_title_qr
from piaoma.codes.token import canonical
from piaoma.desk.reissue import ask, customers_refusal
from piaoma.desk.reissue_book import latest_reissue
from piaoma.desk.reissue_rules import Mode, rules_of
from piaoma.desk.scan import Scan, scan, title_faults
from piaoma.invoice.parties import Buyer
from piaoma.invoice.refusal import Refusal, Refused, refuse

from . import cookies, forms
from .errors import explained, status_of
from .live import stream_state
from .looking import carried, scanned
from .page import office_of, render
from .signed import pack, unpack
from .throttle import Throttle
from .titles import read_title

_asks = Throttle(burst=6, per_minute=3)  # requests and photos, for one code from one address


class Asked(msgspec.Struct, frozen=True, array_like=True):
    """What the button stands for."""

    token: str
    number: str
    key: str
    buyer: Buyer


async def _mine(request: Request) -> Scan:
    """The code, for whoever holds its invoice. Raises ``Refused`` INVOICE-NOT-FOUND for anybody else."""
    found, _ = await scanned(request)
    if found.invoice is None:
        raise refuse("INVOICE-NOT-FOUND")
    return found


async def show(request: Request) -> Response:
    """The titles of this browser to choose from, and the form for another."""
    found = await _mine(request)
    titles = _other_titles(request, found)
    wanted = request.query_params.get("use", "")
    chosen = titles[int(wanted)] if wanted in map(str, range(len(titles))) else None
    return await _page(request, found, chosen)


async def _page(
    request: Request, found: Scan, chosen: Buyer | None, errors: tuple[Refusal, ...] = (), typed: Buyer | None = None
) -> Response:
    assert found.invoice is not None
    office = office_of(request)
    rules = await rules_of(office, found.invoice.merchant_id)
    refusal = await customers_refusal(office, found.invoice, found.code.code_id)
    errors = errors or ((refusal,) if refusal else ())
    asked = ""
    if chosen is not None:
        button = Asked(found.code.token, found.invoice.number, forms.new_issue_key(), chosen)
        asked = pack(office.cookie_key, "reissue", button)
    return render(
        request, "scan/reissue.html", status_of(errors) if errors else 200, scan=found, token=found.code.token,
        chosen=chosen, asked=asked, titles=list(enumerate(_other_titles(request, found))), typed=typed or Buyer(""),
        special=found.code.kind.name == "SPECIAL", rules=rules, automatic=rules.mode is Mode.AUTO,
        refused=refusal is not None, errors=explained(request, errors), carried=carried(request),
    )  # fmt: skip


def _other_titles(request: Request, found: Scan) -> list[Buyer]:
    """The titles of this browser that this invoice does not have."""
    assert found.invoice is not None
    has = (found.invoice.buyer_name, found.invoice.buyer_id)
    kept = cookies.wallet_of(request).titles
    return [one for one in kept if (one.name, one.taxpayer_id) != has and not title_faults(found, one)]


async def keep_title(request: Request) -> Response:
    """Take a title from the form, a pasted block or the button 个人; then show the button that asks."""
    found = await _mine(request)
    form = await forms.read_form(request)
    try:
        title = read_title(form)
    except Refused as refused:
        return await _page(request, found, None, refused.refusals)
    if "paste" in form:
        # What was understood is shown to be checked before it is used.
        return await _page(request, found, None, (), title)
    faults = tuple(title_faults(found, title))
    if faults:
        return await _page(request, found, None, faults, title)
    return await _page(request, found, title)


async def photo(request: Request) -> Response:
    """Read a title QR from a photo."""
    found = await _mine(request)
    _asks.spend(request, f"photo {found.code.token}")
    try:
        title = await asyncio.to_thread(read_title_qr, await forms.read_photo(request))
    except Refused as refused:
        return await _page(request, found, None, refused.refusals)
    return await _page(request, found, None, (), title)


async def do_ask(request: Request) -> Response:
    """确认换开."""
    form = await forms.read_form(request)
    office, token = office_of(request), canonical(request.path_params["token"])
    asked = unpack(office.cookie_key, "reissue", form.get("asked", ""), Asked)
    if asked is None or asked.token != token:
        raise refuse("REQUEST-STALE")
    found = await _mine(request)
    assert found.invoice is not None
    _asks.spend(request, token)
    email = cookies.wallet_of(request).email
    try:
        await ask(
            office, found.invoice.merchant_id, asked.number, asked.buyer, reissue_id=asked.key,
            code_id=found.code.code_id, email=email,
        )  # fmt: skip
    except Refused as refused:
        return await _page(request, found, None, refused.refusals, asked.buyer)
    response = RedirectResponse(f"/s/{token}/result{carried(request)}", 303)
    wallet = cookies.wallet_of(request)
    if wallet.titles and not asked.buyer.natural_person:
        cookies.keep_wallet(request, response, cookies.used(wallet, asked.buyer))
    return response


async def _state(request: Request, token: str, secret: str, *, granted: bool) -> tuple[str, bool]:
    """Where the request about the invoice that stands now is, and whether nothing more comes of it."""
    office = office_of(request)
    found = await scan(office, token, secret, granted=granted)
    one = found.invoice and await latest_reissue(office, found.invoice.merchant_id, found.invoice.number)
    return (one.state.value, not one.under_way) if one else ("none", True)


async def state(request: Request) -> Response:
    """The state of the request, for scripts that poll."""
    found, secret = await scanned(request)
    return JSONResponse({"state": (await _state(request, found.code.token, secret, granted=found.mine))[0]})


async def events(request: Request) -> Response:
    """The state of the request as server-sent events until it is final."""
    found, secret = await scanned(request)

    async def read_state() -> tuple[str, bool]:
        return await _state(request, found.code.token, secret, granted=found.mine)

    return stream_state(request, read_state)


routes = [
    Route("/s/{token}/reissue/state.json", state),
    Route("/s/{token}/reissue/events", events),
    Route("/s/{token}/reissue", show),
    Route("/s/{token}/reissue", do_ask, methods=["POST"]),
    Route("/s/{token}/reissue/title", keep_title, methods=["POST"]),
    Route("/s/{token}/reissue/photo", photo, methods=["POST"]),
]
