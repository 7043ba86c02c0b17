"""客户资料: the merchant's own buyers, found, added, changed, invoiced."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from piaoma.desk import buyers
from piaoma.desk.sessions import Session
from piaoma.desk.typed_lines import title_of
from piaoma.invoice.refusal import Refusal, Refused
from piaoma.web.errors import explained, status_of
from piaoma.web.page import office_of

from .access import page, read_form, show
from .code_fill import form_of_buyer

TYPED_MAX = 50  # characters of what is looked for


async def book(request: Request, session: Session) -> Response:
    """The list with a search, and one form for a new company or the one that is being changed."""
    office, merchant_id = office_of(request), session.merchant_id
    refusals: tuple[Refusal, ...] = ()
    form: Mapping[str, str] = {}
    if request.method == "POST":
        form = await read_form(request)
        try:
            await _change(request, session, form)
            return RedirectResponse("/console/settings/buyers", 303)
        except Refused as refused:
            refusals = refused.refusals
    elif _id(request.query_params.get("change", "")) is not None:
        found = await buyers.buyer_of(office, merchant_id, int(request.query_params["change"]))
        form = form_of_buyer(found.buyer) | {"email": found.email, "buyer": str(found.buyer_id)}
    wanted = request.query_params.get("q", "")[:TYPED_MAX]
    return show(
        request, session, "buyers.html", status_of(refusals) if refusals else 200, form=form, wanted=wanted,
        errors=explained(request, refusals),
        found=await buyers.find_buyers(office, merchant_id, wanted, buyers.LIST_MAX),
    )  # fmt: skip


async def _change(request: Request, session: Session, form: Mapping[str, str]) -> None:
    office, buyer_id = office_of(request), _id(form.get("buyer", ""))
    if "remove" in form and buyer_id is not None:
        await buyers.remove_buyer(office, session.actor, buyer_id)
        return
    one = title_of(form, person=False)
    await buyers.save_buyer(office, session.actor, one, form.get("email", "").strip(), buyer_id)


def _id(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 15 else None


routes = [Route("/console/settings/buyers", page(book), methods=["GET", "POST"])]
