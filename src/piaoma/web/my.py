"""我的发票: the invoices of this browser, across shops, without an account; those of an address by a link in a mail.

Every page of it shows only what lies on the shelf of the browser's own secret (``desk.shelf``). A link by mail fills
that shelf and is gone. Looking at a link does not use it: mail servers look at links before people do.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from piaoma.delivery import likely_address, masked
from piaoma.desk import deliver, mailed, records, shelf
from piaoma.desk.filters import Filter
from piaoma.documents.archive import zipped
from piaoma.documents.formats import file_name
from piaoma.invoice.money import format_yuan, parse_amount
from piaoma.invoice.refusal import Refusal, Refused, refuse

from . import cookies, forms
from .errors import explained, status_of
from .page import office_of, render
from .throttle import Throttle

ZIP_MAX = 200  # invoices in one zip, the newest that fit
SEND_MAX = 20  # invoices that are sent by one tap
KINDS = ("xml", "pdf", "ofd")

_links_from = Throttle(burst=5, per_minute=1)
_links_to = Throttle(burst=3, per_minute=0.1)
_uses = Throttle(burst=20, per_minute=20)
_zips = Throttle(burst=4, per_minute=2)
_mails = Throttle(burst=3, per_minute=1)


class Asked(msgspec.Struct, frozen=True):
    """What the list is narrowed to, as its address says it."""

    wanted: Filter
    shop: str
    month: str
    page: int


def _asked(request: Request) -> Asked:
    """Raises ``Refused`` at the field: AMOUNT-…."""
    asked = request.query_params
    page = asked.get("page", "1")
    wanted = Filter(
        text=asked.get("q", ""),
        total_min=parse_amount(asked["min"], "min") if asked.get("min") else None,
        total_max=parse_amount(asked["max"], "max") if asked.get("max") else None,
    )
    number = int(page) if page.isascii() and page.isdigit() and len(page) < 5 else 1
    return Asked(wanted, asked.get("shop", ""), asked.get("month", ""), number)


def _query(request: Request, **more: str) -> str:
    """The same narrowing as part of an address."""
    names = ("q", "shop", "month", "min", "max")
    kept = {name: request.query_params[name] for name in names if request.query_params.get(name)} | more
    return f"?{urlencode(kept)}" if kept else ""


async def show(request: Request) -> Response:
    """The list; without a holder's cookie, the way to it."""
    return await _page(request)


async def _page(request: Request, errors: tuple[Refusal, ...] = (), typed: str = "", suggestion: str = "") -> Response:
    office, secret = office_of(request), cookies.holder_of(request)
    try:
        asked = _asked(request)
    except Refused as refused:
        errors, asked = refused.refusals, Asked(Filter(), "", "", 1)
    found = await shelf.held_page(office, secret, asked.wanted, asked.shop, asked.month, asked.page)
    page = min(max(asked.page, 1), found.pages)
    view: dict[str, Any] = {
        "found": found,
        "page": page,
        "asked": request.query_params,
        "narrowed": _query(request),
        "newer": _query(request, page=str(page - 1)) if page > 1 else "",
        "older": _query(request, page=str(page + 1)) if page < found.pages else "",
        "email": typed or cookies.wallet_of(request).email,
        "suggestion": suggestion,
        "link_sent": "sent" in request.query_params,
        "came": request.query_params.get("came", "") if request.query_params.get("came", "").isdigit() else "",
        "mailed": "mailed" in request.query_params,
        "errors": explained(request, errors),
        "zip_max": ZIP_MAX,
        "send_max": SEND_MAX,
    }
    return render(request, "my/list.html", status_of(errors) if errors else 200, **view)


async def _fitting(request: Request, most: int) -> list[shelf.Held]:
    """What the address narrows the list to."""
    asked = _asked(request)
    everything = await shelf.everything(office_of(request), cookies.holder_of(request))
    return [each for each in everything if shelf.fits(each, asked.wanted, asked.shop, asked.month)][:most]


async def remove(request: Request) -> Response:
    """Take one invoice off the list of this browser."""
    form = await forms.read_form(request)
    office, secret = office_of(request), cookies.holder_of(request)
    merchant, _, number = form.get("remove", "").partition(":")
    if not (merchant.isascii() and merchant.isdigit() and len(merchant) < 12):
        raise refuse("INVOICE-NOT-FOUND")
    found = await records.invoice(office, int(merchant), number)
    if not secret or not await shelf.holds(office, secret, found):
        raise refuse("INVOICE-NOT-FOUND")
    await shelf.remove(office, secret, found)
    return RedirectResponse(f"/my{_query(request)}", 303)


async def send(request: Request) -> Response:
    """Mail what the list shows, a few at a time."""
    form = await forms.read_form(request)
    try:
        email = deliver.check_address(form.get("email", ""))
        suggestion = likely_address(email)
        if suggestion and "sure" not in form:
            return await _page(request, typed=email, suggestion=suggestion)
        _mails.spend(request)
        for each in await _fitting(request, SEND_MAX):
            await deliver.send(office_of(request), each.invoice.merchant_id, each.invoice.number, email)
    except Refused as refused:
        return await _page(request, refused.refusals, form.get("email", "")[:254])
    return RedirectResponse(f"/my{_query(request, mailed='1')}#send", 303)


async def download_all(request: Request) -> Response:
    """XML, PDF and OFD of what the list shows, as one zip that is sent while it is made."""
    _zips.spend(request)
    held = await _fitting(request, ZIP_MAX)
    if not held:
        raise refuse("INVOICE-NOT-FOUND")
    office = office_of(request)

    async def files() -> AsyncIterator[tuple[str, bytes]]:
        missing = []
        for each in held:
            found = each.invoice
            for kind in KINDS:
                try:
                    data = await office.view(found.merchant_id, found.number, kind)
                except Refused as refused:
                    missing.append(f"{file_name(found.number, kind)}  {refused}")
                    continue
                yield f"{found.issued_at:%Y-%m}/{file_name(found.number, kind)}", data
        if missing:
            # The answer has begun, so what is missing is said inside it.
            yield "没有放进来的文件.txt", "\n".join(missing).encode()

    headers = {"content-disposition": f'attachment; filename="invoices-{held[0].invoice.issued_at:%Y%m%d}.zip"'}
    return StreamingResponse(zipped(files()), media_type="application/zip", headers=headers)


async def ask_for_link(request: Request) -> Response:
    """Have a link mailed. What is said here does not depend on whether the address is known."""
    form = await forms.read_form(request)
    try:
        email = deliver.check_address(form.get("address", ""))
        _links_from.spend(request)
        _links_to.spend_for_all(request, mailed.address_digest(office_of(request), email))
        mailed.ask_for_link(office_of(request), email)
    except Refused as refused:
        return await _page(request, refused.refusals)
    return RedirectResponse("/my?sent=1#link", 303)


async def open_link(request: Request) -> Response:
    """What a link by mail leads to: looking asks, the button uses it up."""
    office, secret = office_of(request), request.path_params["secret"]
    _uses.spend(request)
    if request.method != "POST":
        if not await mailed.link_stands(office, secret):
            raise refuse("LIST-LINK-GONE")
        return render(request, "my/link.html", secret=secret)
    form = await forms.read_form(request)
    if "erase" in form:
        count = await mailed.forget_address(office, secret)
        return render(request, "my/erased.html", count=count)
    holder = cookies.holder_of(request) or cookies.new_holder()
    count = await mailed.use_link(office, secret, holder)
    response = RedirectResponse(f"/my?came={count}", 303)
    cookies.keep_holder(request, response, holder)
    return response


async def privacy(request: Request) -> Response:
    """What is held about whoever looks, why, how long; taking it along and erasing it."""
    held = await shelf.everything(office_of(request), cookies.holder_of(request))
    wallet = cookies.wallet_of(request)
    email = masked(wallet.email) if wallet.email else ""
    return render(request, "privacy.html", titles=len(wallet.titles), email=email, held=len(held))


async def export(request: Request) -> Response:
    """Everything that is held about this browser, as JSON."""
    wallet = cookies.wallet_of(request)
    held = await shelf.everything(office_of(request), cookies.holder_of(request))
    told = {
        "form": "piaoma-mine-1",
        "at": office_of(request).now().isoformat(),
        "titles": wallet.titles,
        "email": wallet.email,
        "invoices": [
            {
                "number": each.invoice.number, "issued_at": each.invoice.issued_at.isoformat(), "shop": each.shop_name,
                "buyer": each.invoice.buyer_name, "buyer_id": each.invoice.buyer_id,
                "total": format_yuan(each.invoice.total).replace(",", ""), "code": each.token,
            }
            for each in held
        ],
    }  # fmt: skip
    data = msgspec.json.format(msgspec.json.encode(told), indent=2)
    headers = {"content-disposition": 'attachment; filename="piaoma-mine.json"'}
    return Response(data, media_type="application/json", headers=headers)


async def forget(request: Request) -> Response:
    """Erase what is held about this browser: the shelf on the server, then the cookies."""
    await forms.read_form(request)
    secret = cookies.holder_of(request)
    if secret:
        await shelf.forget(office_of(request), secret)
    response = RedirectResponse("/my", 303)
    cookies.forget_all(request, response)
    return response


routes = [
    Route("/my", show),
    Route("/my/remove", remove, methods=["POST"]),
    Route("/my/send", send, methods=["POST"]),
    Route("/my/zip", download_all),
    Route("/my/link", ask_for_link, methods=["POST"]),
    Route("/my/link/{secret}", open_link, methods=["GET", "POST"]),
    Route("/my/export", export),
    Route("/my/forget", forget, methods=["POST"]),
    Route("/privacy", privacy),
]
