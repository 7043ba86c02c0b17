"""Taking back (红冲): the red form that is raised, what either side says of it, and the red invoice that it allows.

A form is stored before the channel is called, and asked after until its answer is known. The red invoice then goes the
way of every invoice (``issue``): the plan looks once more, under the lock, that no more is taken back than there is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec
import structlog

from piaoma.channels import OutcomeUnknown, RedFormAnswer, RedFormRequest, Unavailable
from piaoma.invoice.issued import IssuedInvoice
from piaoma.invoice.original_reader import read
from piaoma.invoice.red import RedDraft, RedLine, items, left, share, whole
from piaoma.invoice.red_form import ISSUABLE, RedFormEvent, RedFormState, RedReason, Side, after
from piaoma.invoice.refusal import Refusal, Refused, refuse, refuse_all
from piaoma.invoice.rules.red import check_red
from piaoma.store import (
    Also,
    IssueState,
    NewForm,
    Outcome,
    RedForm,
    add_form,
    due_forms,
    find_form,
    keep_form_waiting,
    refuse_form,
    send_form,
    settle_form,
    stop_asking,
    taken_back,
    unsend_form,
    want_issue,
)

from . import records
from .deliver import contact_of
from .events import Actor, telling
from .issue import KEY_MAX, PASSING, issue_red
from .merchant import merchant

if TYPE_CHECKING:
    from .office import Office

FORM_ID_MAX = KEY_MAX - 10  # characters: the key of its red invoice is made from it
ISSUE_TRIES_MAX = 10  # keys that the red invoice of one form may use; each stands for one refusal of the channel
NOT_RAISED_YET = "?"  # the form's number while the rules are asked before it has one

_log = structlog.get_logger("piaoma.red")


def serial_of(merchant_id: int, form_id: str) -> str:
    """The serial (流水号) of a form towards the channel: the same for ever, and nobody else's."""
    return hashlib.sha256(f"{merchant_id}:form:{form_id}".encode()).hexdigest()[:32]


async def blue(office: Office, merchant_id: int, number: str) -> IssuedInvoice:
    """A blue invoice as its original states it. Raises ``Refused`` INVOICE-NOT-FOUND, RED-OF-RED."""
    invoice = read(await records.original(office, merchant_id, number))
    if invoice.red is not None:
        raise refuse("RED-OF-RED", "blue")
    return invoice


async def is_used(office: Office, merchant_id: int, number: str) -> bool:
    """Whether the buyer confirmed the use of an invoice or booked it. Raises ``Refused`` ISSUE-CHANNEL-DOWN."""
    seller = await merchant(office, merchant_id)
    try:
        return await office.channel.query_usage(seller.taxpayer_id, number)
    except Unavailable:
        raise refuse("ISSUE-CHANNEL-DOWN") from None


async def raise_form(
    office: Office,
    merchant_id: int,
    blue_number: str,
    reason: RedReason,
    lines: Sequence[RedLine] | None = None,
    *,
    form_id: str,
    by: Side = Side.SELLER,
    made_by: str = "",
    actor: Actor | None = None,
    then_issue: bool = True,
) -> RedForm:
    """Raise a red form for an invoice of this seller, and issue its red invoice at once where nobody need confirm.

    ``lines`` are what is taken back, all that is left by default. The same ``form_id`` gives the same form. An
    ``actor``, who may be of the buyer's merchant, stands in his trail; without one it is the program, for ``made_by``.
    ``then_issue`` issues the red invoice by itself as soon as the form allows it. Raises ``Refused`` with every fault;
    what the channel says stands in the form.
    """
    assert 0 < len(form_id) <= FORM_ID_MAX, "the border bounds keys"
    known = await find_form(office.database, merchant_id, form_id)
    if known is not None:
        return known
    invoice = await blue(office, merchant_id, blue_number)
    used = await is_used(office, merchant_id, blue_number)
    if by is Side.BUYER and not used:
        raise refuse("RED-BUYER-UNUSED")
    earlier = await taken_back(office.database, merchant_id, blue_number)
    wanted = tuple(whole(invoice, earlier) if lines is None else lines)
    if not wanted:
        raise refuse("RED-WHOLLY" if lines is None else "LINES-NONE", "lines")
    seller = await merchant(office, merchant_id)
    draft = RedDraft(invoice, reason, wanted, NOT_RAISED_YET, seller.drawer)
    refuse_all(check_red(draft, RedFormState.NO_CONFIRMATION, earlier, used=used))
    form = NewForm(
        merchant_id,
        form_id,
        invoice,
        invoice.buyer.taxpayer_id,
        by,
        actor.name if actor else made_by,
        reason,
        used,
        wanted,
        then_issue,
    )
    told = telling(office, actor, "red.raise", blue_number, after={"form": form_id})
    if await add_form(office.database, form, office.now(), told):
        await _apply(office, await _form(office, merchant_id, form_id))
        await _go_on(office, await _form(office, merchant_id, form_id))
    return await _form(office, merchant_id, form_id)


async def act(office: Office, form: RedForm, event: RedFormEvent, by: Side, actor: Actor | None = None) -> RedForm:
    """One side says something: the other confirms or denies, whoever raised it withdraws.

    Said twice is said once. Raises ``Refused`` as ``red_form.after``, RED-FORM-UNKNOWN while the authority has not
    answered, ISSUE-CHANNEL-DOWN when nothing was submitted.
    """
    form = await _form(office, form.merchant_id, form.form_id)
    if form.standing is None:
        raise refuse("RED-FORM-UNKNOWN") if form.open_state != "refused" else Refused(*form.refusals)
    following = after(form.standing, event, office.now(), by)
    if isinstance(following, Refusal):
        if _said_already(form, event):
            return form
        if following.cause == "RED-FORM-LATE":
            await _ask(office, form)
        raise Refused(following)
    told = telling(office, actor, "red.act", form.blue_number, after={"act": event.value})
    try:
        answer = await office.channel.act_on_red_form(await _request(office, form), event, by)
    except Unavailable:
        raise refuse("ISSUE-CHANNEL-DOWN") from None
    except OutcomeUnknown as unknown:
        await keep_form_waiting(office.database, form, office.now(), unknown=True, said=unknown.said, also=told)
        raise refuse("RED-FORM-UNKNOWN") from None
    if answer.refusals:
        raise Refused(*answer.refusals)
    await _record(office, form, answer, told)
    await _go_on(office, await _form(office, form.merchant_id, form.form_id))
    return await _form(office, form.merchant_id, form.form_id)


def _said_already(form: RedForm, event: RedFormEvent) -> bool:
    said = {
        RedFormEvent.CONFIRM: {RedFormState.CONFIRMED},
        RedFormEvent.DENY: {RedFormState.BUYER_DENIED, RedFormState.SELLER_DENIED},
        RedFormEvent.WITHDRAW: {RedFormState.WITHDRAWN, RedFormState.WITHDRAWN_AFTERWARDS},
    }
    return form.state in said.get(event, ())


async def issue_of(office: Office, form: RedForm) -> Outcome:
    """Issue the red invoice of a form. However often, there is one: its key comes from the form."""
    if form.state not in ISSUABLE:
        return Outcome(IssueState.REFUSED, refusals=(_why_not(form),))
    seller = await merchant(office, form.merchant_id)
    invoice = await blue(office, form.merchant_id, form.blue_number)
    draft = RedDraft(invoice, form.reason, form.lines, form.form_number, seller.drawer)
    email = await contact_of(office, form.merchant_id, form.blue_number)
    for turn in range(ISSUE_TRIES_MAX):
        # A refusal of the channel stands for its key for ever; nothing was issued, so another key may try again.
        key = f"{form.form_id}.red{turn or ''}"
        outcome = await issue_red(office, form.merchant_id, form.form_id, draft, issue_key=key, email=email)
        if not (outcome.repeated and outcome.state is IssueState.REFUSED):
            break
    return outcome


async def issue_by(office: Office, actor: Actor, form: RedForm) -> Outcome:
    """Somebody issues the red invoice of a form. That he wants it is on disk, with his event, before it is tried."""
    told = telling(office, actor, "red.act", form.blue_number, after={"act": "issue"})
    assert told is not None
    await want_issue(office.database, form, office.now(), told)
    outcome = await issue_of(office, await _form(office, form.merchant_id, form.form_id))
    if outcome.state is IssueState.REFUSED and not any(one.cause in PASSING for one in outcome.refusals):
        await stop_asking(office.database, form)
    return outcome


def _why_not(form: RedForm) -> Refusal:
    if form.state is None:
        return form.refusals[0] if form.refusals else Refusal("RED-FORM-UNKNOWN")
    return Refusal("RED-FORM-STATE", "form", {"state": form.state.value})


async def pursue_forms(office: Office) -> int:
    """Ask after every form that is due, and issue what may be. How many there were."""
    forms = await due_forms(office.database, office.now())
    for form in forms:
        # One that cannot be dealt with must not keep the others waiting.
        try:
            await _pursue(office, form)
        except Exception:
            _log.exception("pursuit of a red form", form=form.form_id)
            await keep_form_waiting(office.database, form, office.now(), unknown=True)
    return len(forms)


async def _pursue(office: Office, form: RedForm) -> None:
    if form.state not in ISSUABLE:
        await _ask(office, form)
        form = await _form(office, form.merchant_id, form.form_id)
    await _go_on(office, form)


async def _ask(office: Office, form: RedForm) -> None:
    """Where does it stand? A form that the authority never got is sent again, under the same serial."""
    try:
        answer = await office.channel.query_red_form(await _request(office, form))
    except OutcomeUnknown as unknown:
        await keep_form_waiting(office.database, form, office.now(), unknown=True, said=unknown.said)
        return
    except Unavailable:
        # Without a recorded try it may have been sent just before a crash, so its outcome counts as unknown.
        await keep_form_waiting(office.database, form, office.now(), unknown=form.attempts == 0)
        return
    if answer is None:
        await _apply(office, form)
    else:
        await _record(office, form, answer)


async def _request(office: Office, form: RedForm) -> RedFormRequest:
    """A form as channels are told of it."""
    invoice = await blue(office, form.merchant_id, form.blue_number)
    serial = serial_of(form.merchant_id, form.form_id)
    return RedFormRequest(serial, form.raised_by, invoice, form.reason, form.lines, form.total, form.form_number)


async def _apply(office: Office, form: RedForm) -> None:
    if not await send_form(office.database, form, office.now(), office.channel.forms_settle_seconds):
        # That it is not there yet does not say that it never arrived.
        await keep_form_waiting(office.database, form, office.now(), unknown=True)
        return
    try:
        answer = await office.channel.apply_red_form(await _request(office, form))
    except Unavailable:
        await unsend_form(office.database, form)
        await keep_form_waiting(office.database, form, office.now(), unknown=False)
        return
    except Exception as error:
        # A garbled answer says nothing about what happened on the other side.
        said = error.said if isinstance(error, OutcomeUnknown) else ""
        if not isinstance(error, OutcomeUnknown):
            _log.exception("channel call")
        await keep_form_waiting(office.database, form, office.now(), unknown=True, said=said)
        return
    await _record(office, form, answer)


async def _record(office: Office, form: RedForm, answer: RedFormAnswer, told: Also | None = None) -> None:
    """Take in what the authority says; an answer that cannot be one to this form is none."""
    now = office.now()
    fault = ""
    if answer.serial != serial_of(form.merchant_id, form.form_id):
        fault = "another serial"
    elif answer.refusals:
        if form.state is None:
            await refuse_form(office.database, form, answer.refusals, now)
            return
        fault = "refused after it was taken"
    elif answer.state is None or answer.confirm_until is None or not answer.form_number:
        fault = "incomplete"
    elif form.form_number not in ("", answer.form_number):
        fault = "another form"
    elif not await settle_form(
        office.database, form, answer.state, answer.form_number, answer.confirm_until, now, told
    ):
        fault = f"state {answer.state.value} cannot follow"
    if fault:
        _log.error("channel answered with something else", fault=fault, form=form.form_id)
        await keep_form_waiting(office.database, form, now, unknown=True)


async def _go_on(office: Office, form: RedForm) -> None:
    """Issue the red invoice where that is wanted by itself; what is refused for good waits for a person."""
    if not (form.issuable and form.then_issue):
        return
    outcome = await issue_of(office, form)
    if outcome.state is not IssueState.REFUSED:
        return
    if any(refusal.cause in PASSING for refusal in outcome.refusals):
        await keep_form_waiting(office.database, form, office.now(), unknown=False)
    else:
        _log.warning("red invoice refused", form=form.form_id, causes=[one.cause for one in outcome.refusals])
        await stop_asking(office.database, form)


async def _form(office: Office, merchant_id: int, form_id: str) -> RedForm:
    form = await find_form(office.database, merchant_id, form_id)
    assert form is not None, "a form that was stored is there"
    return form


class Left(msgspec.Struct, frozen=True):
    """What may still be taken back of an item of a blue invoice; yuan."""

    place: int
    name: str
    amount: Decimal
    tax: Decimal

    @property
    def inclusive(self) -> Decimal:
        return self.amount + self.tax


async def items_left(office: Office, merchant_id: int, number: str) -> list[Left]:
    """The items of a blue invoice that something is left of. Raises ``Refused`` INVOICE-NOT-FOUND, RED-OF-RED."""
    invoice = await blue(office, merchant_id, number)
    rest = left(invoice, await taken_back(office.database, merchant_id, number))
    return [Left(place, invoice.lines[place].name, *both) for place, both in rest.items() if any(both)]


async def lines_back(
    office: Office, merchant_id: int, number: str, given_back: Mapping[int, Decimal]
) -> tuple[RedLine, ...]:
    """Red lines for the tax-inclusive sums that are given back of items, by place. Raises ``Refused`` RED-EXCEEDS,
    RED-LINE-UNKNOWN at the field of the item."""
    invoice = await blue(office, merchant_id, number)
    named = items(invoice)
    rest = {one.place: one for one in await items_left(office, merchant_id, number)}
    lines = []
    for place, inclusive in sorted(given_back.items()):
        if place not in rest:
            raise refuse("RED-LINE-UNKNOWN", f"back{place}", place=place + 1)
        one = rest[place]
        if inclusive > one.inclusive:
            raise refuse("RED-EXCEEDS", f"back{place}", have=inclusive, left=one.inclusive)
        lines.append(RedLine(place, *share(named[place], (one.amount, one.tax), inclusive)))
    return tuple(lines)


def seconds_left(form: RedForm, now: datetime) -> int:
    """Until a pending form is void; 0 when it is, or does not wait."""
    if form.standing is None or form.standing.confirmed_by is None or form.confirm_until is None:
        return 0
    return max(0, int((form.confirm_until - now).total_seconds()))
