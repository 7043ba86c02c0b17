"""月末确认 and 额度: a month held against the authority's books and confirmed; the quota and asking for more."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from piaoma.desk import merchant, month_end, quota_requests, vouchers
from piaoma.desk.board import channel_state
from piaoma.desk.outlook import outlook
from piaoma.desk.sessions import Session
from piaoma.invoice.money import parse_amount
from piaoma.invoice.refusal import Refusal, Refused
from piaoma.web.errors import explained, status_of
from piaoma.web.page import office_of

from .access import page, read_form, show

REFRESH_SECONDS = 10  # of the page of quota while a request is not decided, without scripts


async def month(request: Request, session: Session) -> Response:
    """The month that is due, or another; as vouchers when they are asked for."""
    office, asked = office_of(request), request.query_params
    wanted = asked.get("month") or month_end.last_month(office)
    if asked.get("as") == "vouchers":
        found = await month_end.month_end(office, session.merchant_id, wanted)
        shop = await merchant.merchant(office, session.merchant_id)
        headers = {"content-disposition": f'attachment; filename="vouchers-{found.month}.csv"'}
        data = vouchers.as_csv(vouchers.vouchers(found.rates, shop))
        return Response(data, media_type="text/csv; charset=utf-8", headers=headers)
    return await _month_page(request, session, wanted)


async def _month_page(request: Request, session: Session, wanted: str, refusals: tuple[Refusal, ...] = ()) -> Response:
    office = office_of(request)
    try:
        found = await month_end.month_end(office, session.merchant_id, wanted)
    except Refused as refused:
        refusals = (*refusals, *refused.refusals)
        found = await month_end.month_end(office, session.merchant_id, month_end.last_month(office))
    return show(
        request, session, "month.html", status_of(refusals) if refusals else 200, found=found,
        confirmations=await month_end.confirmations(office, session.merchant_id), errors=explained(request, refusals),
        hindrances=explained(request, found.hindrances), latest=f"{office.now():%Y-%m}",
    )  # fmt: skip


async def confirm_month(request: Request, session: Session) -> Response:
    """汇总确认; refused with what differs."""
    form = await read_form(request)
    wanted = form.get("month", "")
    try:
        await month_end.confirm(office_of(request), session.actor, wanted)
    except Refused as refused:
        return await _month_page(request, session, wanted, refused.refusals)
    return RedirectResponse(f"/console/tax?month={wanted}", 303)


async def quota(request: Request, session: Session) -> Response:
    """This month's quota, how long it lasts, and requests for more."""
    return await _quota_page(request, session)


async def _quota_page(
    request: Request, session: Session, refusals: tuple[Refusal, ...] = (), form: dict[str, str] | None = None
) -> Response:
    office = office_of(request)
    asked = await quota_requests.list_requests(office, session.merchant_id)
    shop = await merchant.merchant(office, session.merchant_id)
    this_month = await merchant.quota(office, shop)
    ahead = await outlook(office, session.merchant_id, this_month) if this_month else None
    extra = quota_requests.proposed(this_month, ahead) if this_month and ahead else Decimal(0)
    view: dict[str, Any] = form if form is not None else {"extra": f"{extra:f}" if extra else ""}
    waiting = any(one.open for one in asked)
    return show(
        request, session, "quota.html", status_of(refusals) if refusals else 200, quota=this_month, outlook=ahead,
        asked=asked, waiting=waiting, form=view, errors=explained(request, refusals),
        reason_max=quota_requests.REASON_MAX, refresh=REFRESH_SECONDS if waiting else 0,
        channel=(await channel_state(office)).value,
    )  # fmt: skip


async def apply_quota(request: Request, session: Session) -> Response:
    """Ask for more."""
    form = await read_form(request)
    try:
        extra = parse_amount(form.get("extra", ""), "extra")
        await quota_requests.apply(office_of(request), session.actor, extra, form.get("reason", ""))
    except Refused as refused:
        return await _quota_page(request, session, refused.refusals, form)
    return RedirectResponse("/console/quota", 303)


routes = [
    Route("/console/tax", page(month)),
    Route("/console/tax", page(confirm_month), methods=["POST"]),
    Route("/console/quota", page(quota)),
    Route("/console/quota", page(apply_quota), methods=["POST"]),
]
