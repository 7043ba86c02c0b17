"""Invoices by program: issuing straight, finding, files, sending, taking back, another title; what happened."""

from __future__ import annotations

from decimal import Decimal

from piaoma import wire
from piaoma.desk import (
    deliver,
    direct,
    happenings,
    merchant,
    receipts,
    records,
    red,
    reissue,
    reissue_book,
    relations,
    told,
    webhooks,
)
from piaoma.desk.log import bundle_of
from piaoma.desk.views import view
from piaoma.documents.formats import file_name
from piaoma.invoice.red_form import RedFormEvent, Side
from piaoma.invoice.refusal import Refused, refuse
from piaoma.store import IssueState, find_form
from piaoma.web.console.search import read_wanted
from piaoma.web.files import TYPES

from .operation import Answer, Bytes, Call
from .reading import REASONS, buyer_of, offer_of

LISTED_MAX = 50  # red forms, and requests for a 换开, that are listed


async def preview(call: Call) -> wire.Preview:
    """The figures, and every fault at once; nothing is issued."""
    shop = await merchant.merchant(call.office, call.merchant_id)
    offer = await offer_of(call, shop)
    sums = direct.figures(call.office, shop, offer, _believed(call.body))
    return wire.Preview(
        amount=told.yuan(sums.amount), tax=told.yuan(sums.tax), total=told.yuan(sums.inclusive),
        total_in_words=sums.words, lines=len(offer.lines),
    )  # fmt: skip


def _believed(sent: wire.NewInvoice) -> Decimal | None:
    return None if sent.total is None else Decimal(sent.total)


async def issue(call: Call) -> Answer:
    """开具 without a code."""
    sent: wire.NewInvoice = call.body
    shop = await merchant.merchant(call.office, call.merchant_id)
    by, offer = await call.at_till(sent.till_id), await offer_of(call, shop)
    outcome = await direct.issue_straight(
        call.office, by, shop, offer, issue_id=call.made_from, email=sent.email, total=_believed(sent)
    )
    if outcome.state is IssueState.REFUSED:
        raise Refused(*outcome.refusals)
    standing = direct.Standing(call.made_from, outcome.state, outcome.number)
    value = await told.issue_of(call.office, call.merchant_id, standing, call.language)
    return Answer(value, 201 if outcome.number else 202)


async def show_issue(call: Call) -> wire.Issue:
    """What became of a request to issue."""
    standing = await direct.standing(call.office, call.merchant_id, call.path("id"))
    return await told.issue_of(call.office, call.merchant_id, standing, call.language)


async def list_invoices(call: Call) -> wire.Invoices:
    """Invoices, searched by everything."""
    found = await records.search_invoices(
        call.office, call.merchant_id, read_wanted(call.request.query_params), call.query("cursor")
    )
    return wire.Invoices(
        items=[told.invoice_of(one) for one in found.page.items], next_cursor=found.page.next_cursor,
        count=found.count, total=told.yuan(found.total),
    )  # fmt: skip


async def show_invoice(call: Call) -> wire.Invoice:
    """One invoice."""
    return told.invoice_of(await records.invoice(call.office, call.merchant_id, call.path("number")))


async def invoice_file(call: Call) -> Bytes:
    """The original, a view of it, or the bundle."""
    number, kind = call.path("number"), call.path("kind")
    if kind not in TYPES:
        raise refuse("DOCUMENT-KIND", have=kind[:20])
    if kind == "zip":
        data = await bundle_of(call.office, call.merchant_id, number)
    else:
        data = await view(call.office, call.merchant_id, number, kind)
    return Bytes(data, TYPES[kind], file_name(number, kind))


async def list_deliveries(call: Call) -> wire.Deliveries:
    """Every mail and how far it came."""
    found = await receipts.list_mails(call.office, call.merchant_id, call.query("state"), call.query("cursor"))
    return wire.Deliveries(items=[told.delivery_of(one) for one in found.items], next_cursor=found.next_cursor)


async def invoice_deliveries(call: Call) -> wire.Deliveries:
    """The mails of one invoice."""
    number = (await records.invoice(call.office, call.merchant_id, call.path("number"))).number
    found = await receipts.mails_of(call.office, call.merchant_id, number)
    return wire.Deliveries(items=[told.delivery_of(one) for one in found], next_cursor="")


async def send_invoice(call: Call) -> wire.Delivery:
    """By mail. A request that died after it had sent does not send once more."""
    number = call.path("number")
    made = await deliver.send(
        call.office, call.merchant_id, number, call.body.email, unless_sent=call.again, by=call.actor
    )
    mails = await receipts.mails_of(call.office, call.merchant_id, number)
    return told.delivery_of(next(one for one in mails if one.job_id == made.job_id))


async def retry_delivery(call: Call) -> wire.Deliveries:
    """A mail that failed for good, under the same id."""
    job_id = call.path("id")
    await deliver.retry(call.office, call.merchant_id, job_id, call.actor)
    mails = await receipts.mails_of(call.office, call.merchant_id, job_id.partition(":")[0])
    return wire.Deliveries(items=[told.delivery_of(one) for one in mails], next_cursor="")


# ── corrections ───────────────────────────────────────────────────────────────────────────────────────────────────


async def raise_red_form(call: Call) -> wire.RedForm:
    """红冲: the form, and its red invoice where nobody need confirm."""
    sent: wire.NewRedForm = call.body
    office, number = call.office, call.path("number")
    known = await find_form(office.database, call.merchant_id, call.made_from)
    if known is not None:
        return told.red_form_of(known, call.language)
    await records.invoice(office, call.merchant_id, number)
    lines = None
    if sent.items is not None:
        back: dict[int, Decimal] = {}
        for one in sent.items:
            back[one.line - 1] = back.get(one.line - 1, Decimal(0)) + Decimal(one.amount)
        if any(amount <= 0 for amount in back.values()):
            raise refuse("AMOUNT-NOT-POSITIVE", "items", have="0")
        lines = await red.lines_back(office, call.merchant_id, number, back)
    raised = await red.raise_form(
        office, call.merchant_id, number, REASONS[sent.reason], lines, form_id=call.made_from,
        actor=call.actor, then_issue=sent.issue,
    )  # fmt: skip
    return told.red_form_of(raised, call.language)


async def list_red_forms(call: Call) -> wire.RedForms:
    """Red forms on either side: those that wait for this merchant first."""
    who = await merchant.merchant(call.office, call.merchant_id)
    found = await relations.forms_for(call.office, who, LISTED_MAX)
    return wire.RedForms(items=[told.red_form_of(form, call.language) for form, _ in found], next_cursor="")


async def show_red_form(call: Call) -> wire.RedForm:
    """One red form."""
    who = await merchant.merchant(call.office, call.merchant_id)
    form, _ = await relations.form_for(call.office, who, call.path("id"))
    return told.red_form_of(form, call.language)


_EVENTS = {
    "confirm": RedFormEvent.CONFIRM, "deny": RedFormEvent.DENY, "withdraw": RedFormEvent.WITHDRAW,
}  # fmt: skip


async def act_on_red_form(call: Call) -> wire.RedForm:
    """同意, 否认, 撤销, or issue the red invoice."""
    office, act = call.office, str(call.body.act)
    who = await merchant.merchant(office, call.merchant_id)
    form, side = await relations.form_for(office, who, call.path("id"))
    if act == "issue":
        if side is not Side.SELLER:
            raise refuse("RED-FORM-SIDE", "form")
        outcome = await red.issue_by(office, call.actor, form)
        if outcome.refusals:
            raise Refused(*outcome.refusals)
    else:
        form = await red.act(office, form, _EVENTS[act], side, call.actor)
        await reissue.follow(office, form)
    return await show_red_form(call)


async def start_reissue(call: Call) -> wire.Reissue:
    """换开: the right title."""
    office, number = call.office, call.path("number")
    buyer = buyer_of(call.body.buyer)
    one = await reissue.start(office, call.actor, number, buyer, reissue_id=call.made_from)
    return told.reissue_of(one, call.language)


async def list_reissues(call: Call) -> wire.Reissues:
    """The newest requests."""
    found = await reissue_book.list_reissues(call.office, call.merchant_id, LISTED_MAX)
    return wire.Reissues(items=[told.reissue_of(one, call.language) for one in found], next_cursor="")


async def show_reissue(call: Call) -> wire.Reissue:
    """One request."""
    found = await reissue_book.find_reissue(call.office, call.merchant_id, call.path("id"))
    if found is None:
        raise refuse("REISSUE-NOT-FOUND")
    return told.reissue_of(found, call.language)


async def act_on_reissue(call: Call) -> wire.Reissue:
    """Agree, decline, or try again now."""
    office, act, reissue_id = call.office, str(call.body.act), call.path("id")
    found = await reissue_book.find_reissue(office, call.merchant_id, reissue_id)
    if found is None:
        raise refuse("REISSUE-NOT-FOUND")
    if act == "approve":
        one = await reissue.approve(office, call.actor, reissue_id)
    elif act == "decline":
        one = await reissue.decline(office, call.actor, reissue_id)
    else:
        one = await reissue.retry(office, call.actor, reissue_id)
    return told.reissue_of(one, call.language)


# ── events and endpoints ──────────────────────────────────────────────────────────────────────────────────────────


async def list_events(call: Call) -> wire.Events:
    """What happened, oldest first."""
    return await happenings.list_events(call.office, call.merchant_id, call.query("cursor"), call.query("type"))


async def show_event(call: Call) -> wire.Event:
    """One event."""
    return await happenings.event(call.office, call.merchant_id, call.path("id"))


async def replay_event(call: Call) -> wire.Event:
    """To every endpoint again, under the same id."""
    await webhooks.replay_event(call.office, call.actor, call.path("id"))
    return await show_event(call)


def _webhook(one: webhooks.Webhook) -> wire.Webhook:
    return wire.Webhook(
        id=str(one.webhook_id), url=one.url, types=list(one.types), state=one.state, created_at=one.created_at,
        failing_since=one.failing_since, secret=one.secret or None,
    )  # fmt: skip


async def list_webhooks(call: Call) -> wire.Webhooks:
    """推送地址."""
    found = await webhooks.list_webhooks(call.office, call.merchant_id)
    return wire.Webhooks(items=[_webhook(one) for one in found], next_cursor="")


async def add_webhook(call: Call) -> wire.Webhook:
    """A new endpoint; its secret is told in this answer alone."""
    sent: wire.NewWebhook = call.body
    return _webhook(await webhooks.make(call.office, call.actor, sent.url, sent.types, call.made_number))


async def remove_webhook(call: Call) -> wire.Nothing:
    """No more to this endpoint."""
    webhook_id = call.path_number("id", "WEBHOOK-NOT-FOUND")
    await webhooks.change(call.office, call.actor, webhook_id, "remove")
    return wire.Nothing()
