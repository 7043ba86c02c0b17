"""Handing an invoice on (转发): links that expire and can be taken back, for a messenger; what their receiver sees;
the picture to keep by a long press where an app's browser saves no files.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from piaoma.desk import records
from piaoma.desk.hand_on import SHARE_DAYS, Share, make_share, note_share_used, revoke_share, share_of, shares_of
from piaoma.desk.scan import Scan
from piaoma.documents.ticket import ticket_of
from piaoma.invoice.original_reader import read
from piaoma.invoice.refusal import Refused

from . import forms
from .files import file_response
from .looking import carried, carried_parts, held_invoice
from .page import office_of, render
from .throttle import Throttle

# Browsers inside apps, by their names in the user agent: most of them open no downloads.
APPS = {
    "MicroMessenger": "wechat", "AlipayClient": "alipay", "DingTalk": "dingtalk", "aweme": "douyin", "Weibo": "weibo",
    " QQ/": "qq",
}  # fmt: skip

_makes = Throttle(burst=10, per_minute=5)
_strangers = Throttle(burst=60, per_minute=60)


def app_of(request: Request) -> str:
    """The app whose own browser this is; empty for a browser proper. It is a hint, and nothing depends on it."""
    agent = request.headers.get("user-agent", "")
    return next((name for mark, name in APPS.items() if mark in agent), "")


async def hand_on_view(request: Request, found: Scan) -> dict[str, Any]:
    """What the result page needs for handing on: the links that stand, the holder's own link, the app's hint."""
    office = office_of(request)
    assert found.invoice is not None
    return {
        "shares": await shares_of(office, found.invoice.merchant_id, found.invoice.number),
        "days": SHARE_DAYS,
        "own_link": office.own_link(found.code.merchant_id, found.code.code_id),
        "app": app_of(request),
    }


async def share(request: Request) -> Response:
    """Make a link for so many days, or take one back."""
    form = await forms.read_form(request)
    found, issued = await held_invoice(request)
    office, token = office_of(request), found.code.token
    _makes.spend(request, token)
    if "revoke" in form:
        wanted = form["revoke"]
        if wanted.isascii() and wanted.isdigit() and len(wanted) < 15:
            await revoke_share(office, issued.merchant_id, issued.number, int(wanted))
        return RedirectResponse(f"/s/{token}/result{carried(request)}#share", 303)
    days = form.get("days", "7")
    made = await make_share(office, issued.merchant_id, issued.number, int(days) if days in ("1", "7", "30") else 0)
    onward = urlencode({**carried_parts(request), "shared": made.token})
    return RedirectResponse(f"/s/{token}/result?{onward}#share", 303)


async def picture(request: Request) -> Response:
    """The ticket as a picture, to keep by a long press where files cannot be saved."""
    found, issued = await held_invoice(request)
    return render(request, "scan/picture.html", token=found.code.token, number=issued.number, invoice=issued,
                  carried=carried(request),
                  own_link=office_of(request).own_link(found.code.merchant_id, found.code.code_id),
                  app=app_of(request))  # fmt: skip


async def _shared(request: Request) -> Share:
    try:
        return await share_of(office_of(request), request.path_params["token"])
    except Refused:
        _strangers.spend(request)
        raise


async def show_shared(request: Request) -> Response:
    """What the receiver of a link sees: the ticket, its files, how to check them. No more than that."""
    handed = await _shared(request)
    office = office_of(request)
    stated = read(await records.original(office, handed.merchant_id, handed.number))
    if request.method == "GET":
        await note_share_used(office, handed, downloaded=False)
    keeps_books = not stated.buyer.natural_person
    # Whoever gets the link may be about to pay for it: the original never changes, what became of it does.
    invoice = await records.invoice(office, handed.merchant_id, handed.number)
    view: dict[str, Any] = {"share": handed, "ticket": ticket_of(stated), "invoice": invoice,
                            "keeps_books": keeps_books, "carried": ""}  # fmt: skip
    return render(request, "scan/shared.html", app=app_of(request), **view)


async def shared_file(request: Request) -> Response:
    """A file of an invoice that was handed on."""
    handed = await _shared(request)
    response = await file_response(request, handed.merchant_id, handed.number, request.path_params["kind"])
    if request.method == "GET":
        await note_share_used(office_of(request), handed, downloaded=True)
    return response


routes = [
    Route("/s/{token}/share", share, methods=["POST"]),
    Route("/s/{token}/picture", picture),
    Route("/h/{token}", show_shared),
    Route("/h/{token}/file/{kind}", shared_file),
]
