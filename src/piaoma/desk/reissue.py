"""换开: an invoice with a wrong title is taken back as a whole and issued anew with the right one, as one thing.

Everything that could refuse the new invoice is asked before the old one is touched. Then red form, red invoice, new
invoice, each under a key that comes from the request, so that whoever goes on, and however often, makes each once. A
request is on disk before its first step; the worker takes it up wherever a crash or an outage left it. When the old one
is red and the new one does not come, the state says so, 已红冲待重开, and it is tried again.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import structlog

from piaoma.invoice import rules, totals
from piaoma.invoice.draft import Draft, Line
from piaoma.invoice.issued import IssuedInvoice, PricedLine
from piaoma.invoice.lines import complete
from piaoma.invoice.money import format_yuan
from piaoma.invoice.parties import Buyer
from piaoma.invoice.red_form import FINAL, PENDING, RedFormEvent, RedReason, Side
from piaoma.invoice.refusal import Refusal, Refused, refuse, refuse_all
from piaoma.store import IssueState, RedForm, find_form

from . import records, red, relations
from .deliver import contact_of
from .events import Actor, telling
from .issue import PASSING, issue
from .merchant import Merchant, merchant, quota
from .reissue_book import (
    Reissue,
    ReissueState,
    add_reissue,
    asked_before,
    decide_asked,
    due_reissues,
    find_reissue,
    note_refusal,
    retry_now,
    set_done,
    set_failed,
    set_red,
    wait,
)
from .reissue_rules import Mode, rules_of
from .turns import take_turns

if TYPE_CHECKING:
    from .office import Office

CORRECTION_TURN_SECONDS = 0.5
NEW_TRIES_MAX = 100  # keys that the new invoice may use; each stands for one refusal of the channel
CONFIRMING_SECONDS = 60  # between two looks whether the form of a 换开 was confirmed
REISSUE_DELAYS_S = (2, 4, 8, 15, 30, 60, 300, 900, 3600)  # between two tries; the last repeats

_log = structlog.get_logger("piaoma.reissue")


async def ask(
    office: Office, merchant_id: int, number: str, buyer: Buyer, *, reissue_id: str, code_id: int, email: str = ""
) -> Reissue:
    """The customer who holds a code asks for another title (抬头有误，换开), within the merchant's rules.

    The same ``reissue_id`` gives the same request. With the rule 审核 it waits for the shop; with 自动 it is done at
    once. Raises ``Refused`` with every reason why not; then nothing was changed.
    """
    known = await find_reissue(office, merchant_id, reissue_id)
    if known is not None:
        return known
    old = await records.invoice(office, merchant_id, number)
    refusal = await customers_refusal(office, old, code_id)
    if refusal is not None:
        raise Refused(refusal)
    if await red.is_used(office, merchant_id, number):
        raise refuse("REISSUE-USED")
    await _check(office, old, buyer)
    asked = (await rules_of(office, merchant_id)).mode is not Mode.AUTO
    one = await add_reissue(
        office, old, buyer, reissue_id=reissue_id, by=Side.BUYER, made_by="", code_id=code_id, email=email,
        state=ReissueState.ASKED if asked else ReissueState.WORKING,
    )  # fmt: skip
    return one if asked else await advance(office, one)


async def customers_refusal(office: Office, old: records.Invoice, code_id: int) -> Refusal | None:
    """Why the customer may not ask, as far as our own books tell; None when he may. What the tax platform and the new
    title have to say is asked when he does."""
    chosen = await rules_of(office, old.merchant_id)
    if chosen.mode is Mode.OFF:
        return Refusal("REISSUE-OFF")
    if (refusal := await _standing_refusal(office, old)) is not None:
        return refusal
    if office.now() > old.issued_at + timedelta(days=chosen.days):
        return Refusal("REISSUE-LATE", "", {"days": str(chosen.days)})
    if await asked_before(office, old.merchant_id, code_id) >= chosen.times:
        return Refusal("REISSUE-TIMES", "", {"times": str(chosen.times)})
    return None


async def start(office: Office, by: Actor, number: str, buyer: Buyer, *, reissue_id: str) -> Reissue:
    """The merchant corrects a title. Where the buyer has used the invoice he must confirm the form first."""
    merchant_id = by.merchant_id
    known = await find_reissue(office, merchant_id, reissue_id)
    if known is not None:
        return known
    old = await records.invoice(office, merchant_id, number)
    if (refusal := await _standing_refusal(office, old)) is not None:
        raise Refused(refusal)
    await red.is_used(office, merchant_id, number)  # nothing begins while the platform cannot be reached
    await _check(office, old, buyer)
    one = await add_reissue(
        office, old, buyer, reissue_id=reissue_id, by=Side.SELLER, made_by=by.name, code_id=None, email="",
        state=ReissueState.WORKING, also=telling(office, by, "reissue.start", number, after={"name": buyer.name}),
    )  # fmt: skip
    return await advance(office, one)


async def approve(office: Office, by: Actor, reissue_id: str) -> Reissue:
    """The shop agrees to what a customer asked. Raises ``Refused`` REISSUE-STATE when it was decided, REISSUE-USED and
    whatever forbids it by now; then it still waits."""
    merchant_id = by.merchant_id
    one = await _found(office, merchant_id, reissue_id)
    if one.state is not ReissueState.ASKED:
        if one.state is ReissueState.DECLINED:
            raise refuse("REISSUE-STATE")
        return one
    if await red.is_used(office, merchant_id, one.blue_number):
        raise refuse("REISSUE-USED")
    await _check(office, await records.invoice(office, merchant_id, one.blue_number), one.buyer)
    await decide_asked(office, one, ReissueState.WORKING, by)
    return await advance(office, await _found(office, merchant_id, reissue_id))


async def decline(office: Office, by: Actor, reissue_id: str) -> Reissue:
    """The shop does not agree; nothing is changed. Raises ``Refused`` REISSUE-STATE when it was decided."""
    one = await _found(office, by.merchant_id, reissue_id)
    if not await decide_asked(office, one, ReissueState.DECLINED, by) and one.state is not ReissueState.DECLINED:
        raise refuse("REISSUE-STATE")
    return await _found(office, by.merchant_id, reissue_id)


async def retry(office: Office, by: Actor, reissue_id: str) -> Reissue:
    """Try at once what waits for its next try."""
    merchant_id = by.merchant_id
    await retry_now(office, await _found(office, merchant_id, reissue_id), by)
    return await advance(office, await _found(office, merchant_id, reissue_id))


async def follow(office: Office, form: RedForm) -> None:
    """Go on with the 换开 that a form belongs to, if it belongs to one."""
    one = await find_reissue(office, form.merchant_id, form.form_id.removesuffix(_FORM))
    if one is not None and form.form_id.endswith(_FORM):
        await advance(office, one)


_FORM = ".f"


async def advance(office: Office, one: Reissue) -> Reissue:
    """Go on from where a 换开 stands, as far as it goes now."""
    if one.state in (ReissueState.WORKING, ReissueState.CONFIRMING):
        await _redden(office, one)
        one = await _found(office, one.merchant_id, one.reissue_id)
    if one.state is ReissueState.RED:
        await _issue_anew(office, one)
        one = await _found(office, one.merchant_id, one.reissue_id)
    return one


async def _redden(office: Office, one: Reissue) -> None:
    """Red form and red invoice; what refuses them ends the matter with nothing changed."""
    form_id = f"{one.reissue_id}{_FORM}"
    form = await find_form(office.database, one.merchant_id, form_id)
    if form is None:
        try:
            form = await red.raise_form(
                office, one.merchant_id, one.blue_number, RedReason.WRONG, form_id=form_id,
                made_by=one.made_by or one.started_by,
            )  # fmt: skip
        except Refused as refused:
            if any(refusal.cause in PASSING for refusal in refused.refusals):
                await wait(office, one, _delay(one))
            else:
                await set_failed(office, one, refused.refusals)
            return
    if form.number is not None:
        await set_red(office, one, form.number)
    elif form.open_state == "refused":
        await set_failed(office, one, form.refusals)
    elif form.state in FINAL:
        assert form.state is not None
        await set_failed(office, one, (Refusal("RED-FORM-STATE", "form", {"state": form.state.value}),))
    elif form.state in PENDING:
        await wait(office, one, CONFIRMING_SECONDS, ReissueState.CONFIRMING)
    elif form.issuable and not form.then_issue:
        await _give_up(office, one, form)
    else:
        await wait(office, one, _delay(one))


async def _give_up(office: Office, one: Reissue, form: RedForm) -> None:
    """The red invoice was refused for good; the form is withdrawn, so that it stands in nobody's way."""
    outcome = await red.issue_of(office, form)
    if outcome.state is not IssueState.REFUSED:
        await wait(office, one, _delay(one))
        return
    await set_failed(office, one, outcome.refusals)
    try:
        await red.act(office, form, RedFormEvent.WITHDRAW, form.raised_by)
    except Refused:
        _log.warning("a form could not be withdrawn", form=form.form_id)


async def _issue_anew(office: Office, one: Reissue) -> None:
    """The new invoice. Whatever refuses it is told, and it is tried again: the old one is red already."""
    invoice = await red.blue(office, one.merchant_id, one.blue_number)
    draft = draft_anew(invoice, one.buyer, await merchant(office, one.merchant_id))
    email = one.email or await contact_of(office, one.merchant_id, one.blue_number)
    refusals: tuple[Refusal, ...] = ()
    for turn in range(NEW_TRIES_MAX):
        # A refusal of the channel stands for its key for ever; nothing was issued, so another key may try again.
        try:
            outcome = await issue(
                office, one.merchant_id, draft, issue_key=f"{one.reissue_id}.b{turn or ''}", email=email,
                replaces=one.blue_number,
            )  # fmt: skip
        except Refused as refused:
            refusals = refused.refusals
            break
        refusals = outcome.refusals
        if not (outcome.repeated and outcome.state is IssueState.REFUSED):
            break
    if not refusals and outcome.number is not None:
        await set_done(office, one, outcome.number)
        return
    if refusals:
        _log.error("the old invoice is red and the new one refused", reissue=one.reissue_id,
                   causes=[refusal.cause for refusal in refusals])  # fmt: skip
    await note_refusal(office, one, refusals)
    await wait(office, one, _delay(one))


def draft_anew(old: IssuedInvoice, buyer: Buyer, seller: Merchant) -> Draft:
    """The draft of the old invoice with another buyer. Amounts are taken tax-inclusive, which gives the same amounts
    and taxes again however the old ones were priced; ``_check`` makes sure of it."""
    return Draft(
        kind=old.kind,
        seller=seller.seller,
        buyer=buyer,
        lines=tuple(_line(line) for line in old.lines),
        drawer=seller.drawer,
        remark=old.remark,
    )


def _line(line: PricedLine) -> Line:
    """``*餐饮服务*餐费`` becomes 餐费 again; the tax-inclusive price follows from amount and quantity."""
    name = line.name[1:].partition("*")[2] if line.name.startswith("*") else line.name
    unit_price: Decimal | None = None
    if line.quantity is not None:
        _, _, unit_price = complete(line.inclusive, line.quantity, None)
    return Line(
        name, line.code, line.rate, line.inclusive, line.quantity, unit_price, line.unit, line.spec, line.kind,
        line.preference, line.zero,
    )  # fmt: skip


async def _standing_refusal(office: Office, old: records.Invoice) -> Refusal | None:
    """Why this invoice cannot be replaced by anyone."""
    if old.corrects is not None:
        return Refusal("RED-OF-RED")
    if await relations.replacing(office, old.merchant_id, old.number) is not None:
        return Refusal("REISSUE-REPLACED")
    return Refusal("REISSUE-PARTLY-RED") if old.taken else None


async def _check(office: Office, old: records.Invoice, buyer: Buyer) -> None:
    """Everything that could refuse the new invoice, asked before the old one is touched. Raises ``Refused``."""
    invoice = await red.blue(office, old.merchant_id, old.number)
    if buyer == invoice.buyer:
        raise refuse("REISSUE-SAME-TITLE", "buyer.name")
    if "差额征税" in invoice.remark:
        raise refuse("REISSUE-DIFFERENCE")
    seller = await merchant(office, old.merchant_id)
    if seller.state != "active":
        raise refuse("MERCHANT-SUSPENDED")
    if (fault := office.signer.fault_at(office.now())) is not None:
        raise refuse(fault)
    draft, today = draft_anew(invoice, buyer, seller), office.now().date()
    refuse_all(rules.check(draft, today, office.catalogue))
    lines, sums = totals.price(draft, today, office.catalogue)
    if [(one.amount, one.tax) for one in lines] != [(one.amount, one.tax) for one in invoice.lines]:
        raise refuse("REISSUE-AMOUNT")
    month = await quota(office, seller, sums.amount)
    if month is None:
        raise refuse("ISSUE-CHANNEL-DOWN")
    if sums.amount > month.left:
        raise refuse("QUOTA-EXCEEDED", "amount", left=format_yuan(month.left), month=month.month)


async def _found(office: Office, merchant_id: int, reissue_id: str) -> Reissue:
    one = await find_reissue(office, merchant_id, reissue_id)
    if one is None:
        raise refuse("REISSUE-NOT-FOUND")
    return one


def _delay(one: Reissue) -> int:
    return REISSUE_DELAYS_S[min(one.attempts, len(REISSUE_DELAYS_S) - 1)]


async def correct_for_ever(office: Office) -> None:
    """Ask after red forms and go on with every 换开, until cancelled."""
    await take_turns(_log, CORRECTION_TURN_SECONDS, lambda: correct_once(office))


async def correct_once(office: Office) -> int:
    """One turn; how many forms and requests there were to go on with."""
    count = await red.pursue_forms(office)
    due = await due_reissues(office)
    for one in due:
        # One that cannot be dealt with must not keep the others waiting.
        try:
            await advance(office, one)
        except Exception:
            _log.exception("pursuit of a reissue", reissue=one.reissue_id)
            await wait(office, one, _delay(one))
    return count + len(due)
