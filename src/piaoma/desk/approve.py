"""Approving (审批): the clerk says yes, or no with a reason. Yes makes a code of the application and issues it.

Two clerks, two taps, a crash between yes and issue: the application's row is locked while its fate is written, and the
code can be claimed once, by this customer. What a crash left half done is finished by ``finish_for_ever``.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec
import structlog

from piaoma.codes.proof import ScanProof
from piaoma.invoice.money import format_yuan, from_fen, to_fen
from piaoma.invoice.refusal import Refusal, Refused, refuse, refuse_all
from piaoma.invoice.rules import text
from piaoma.store import IssueState, Origin, Outcome, Transaction, milliseconds, write_block

from .applications import REASON_MAX, SELECT_APPLICATION, Application, ApplicationState, application, application_of
from .codes import Offer
from .events import Actor, record
from .issue import issue
from .limits import check_limits
from .merchant import Merchant, merchant
from .mint import DAYS_MAX, draft_of, preview
from .share import ADD_LETTER
from .static_codes import StaticCode, static_code

if TYPE_CHECKING:
    from .office import Office

FINISH_SECONDS = 2.0  # between two looks for what was approved and not issued
FINISH_AFTER_MS = 5_000  # an approval that is younger is being issued by whoever approved it
BATCH_MAX = 50  # approved by one tap

_log = structlog.get_logger("piaoma.desk")
# Nobody scans the code of an application: its customer has the page open already.
_NO_SYMBOL = msgspec.json.encode(ScanProof(0, (), (), 0.0, 0.0, 0.0)).decode()


async def approve(office: Office, by: Actor, application_id: int, *, total: Decimal | None = None) -> Outcome:
    """Say yes, to another total if one is given, and issue. However often, by whomever: at most one invoice.

    An outcome that is refused leaves the application waiting, with the reason. Raises ``Refused`` with the faults of
    the draft and MERCHANT-LIMIT-… (nothing has changed), CODE-NOT-FOUND, APPLICATION-DECIDED when it was refused,
    withdrawn or is too old.
    """
    found = await application(office, by.merchant_id, application_id)
    shop = await merchant(office, by.merchant_id)
    if found.state is ApplicationState.WAITING:
        code = await static_code(office, found.merchant_id, found.static_id)
        offer = _offer(code, found, found.total if total is None else total)
        _, _, sums = preview(office, shop, offer)
        await check_limits(office, by.merchant_id, sums.inclusive)
        found = await _agree(office, found, offer, to_fen(sums.inclusive), by, code.shop_id or by.shop_id)
    if found.state not in (ApplicationState.APPROVED, ApplicationState.ISSUED):
        raise refuse("APPLICATION-DECIDED")
    return await _issue(office, shop, found)


def _offer(code: StaticCode, found: Application, total: Decimal) -> Offer:
    line = code.terms.item.line(total)
    return Offer(found.kind, (line,), buyer=found.buyer, sold_at=found.paid_at, applied=True)


async def _agree(
    office: Office, found: Application, offer: Offer, total_fen: int, by: Actor, shop_id: int | None
) -> Application:
    """Write down the yes, and the code that will be issued, in one transaction. Who comes second finds it decided."""
    now = office.now()
    code_row = (
        found.merchant_id, found.application_id, f"application:{found.application_id}",
        msgspec.json.encode(offer).decode(), offer.kind.value, total_fen, offer.lines[0].name, by.name,
        milliseconds(now), milliseconds(now + timedelta(days=DAYS_MAX)), _NO_SYMBOL, shop_id, by.till_id,
        by.person_id,
    )  # fmt: skip

    async def work(transaction: Transaction) -> Application:
        held = await lock_application(office, transaction, found.merchant_id, found.application_id)
        if held.state is not ApplicationState.WAITING:
            return held
        await transaction.execute(_AGREE, held.merchant_id, held.application_id, total_fen, by.name, milliseconds(now))
        await transaction.execute(_MAKE_CODE, *code_row)
        told = {"name": found.buyer.name, "total": format_yuan(from_fen(total_fen))}
        await record(transaction, by, now, "application.approve", str(held.application_id), after=told)
        return await lock_application(office, transaction, found.merchant_id, found.application_id)

    return await write_block(office.database, work)


async def _issue(office: Office, shop: Merchant, found: Application) -> Outcome:
    """Issue what was agreed to. The key names this approval, so trying again repeats it and never starts another."""
    rows = await office.database.read(_CODE, found.merchant_id, found.application_id)
    if not rows:
        # Another clerk's try was refused a moment ago and put the application back.
        raise refuse("APPLICATION-DECIDED")
    row = rows[0]
    offer = msgspec.json.decode(row["offer"], type=Offer)
    origin = Origin(row["shop_id"], row["till_id"], row["person_id"], row["created_by"])
    assert offer.buyer is not None, "an application names its buyer"
    key = f"application:{found.application_id}:{found.approvals}"
    try:
        outcome = await issue(
            office, found.merchant_id, draft_of(offer, shop, offer.buyer), issue_key=key,
            code_id=found.application_id, holder=found.holder, email=found.email, origin=origin,
        )  # fmt: skip
    except Refused as refused:
        outcome = Outcome(IssueState.REFUSED, refusals=refused.refusals)
    if outcome.state is IssueState.ISSUED:
        await _settle(office, found)
    elif outcome.state is IssueState.REFUSED:
        await _put_back(office, found, outcome.refusals)
    return outcome


async def _settle(office: Office, found: Application) -> None:
    async with office.database.write() as transaction:
        await transaction.execute(_SETTLE, found.merchant_id, found.application_id, milliseconds(office.now()))


async def _put_back(office: Office, found: Application, refusals: tuple[Refusal, ...]) -> None:
    """Nothing was issued: the application waits again, and says why. A code that was claimed meanwhile stays."""
    told = msgspec.json.encode(refusals).decode()

    async def work(transaction: Transaction) -> None:
        held = await lock_application(office, transaction, found.merchant_id, found.application_id)
        if held.state is ApplicationState.APPROVED and held.approvals == found.approvals:
            freed = await transaction.execute(_DROP_CODE, found.merchant_id, found.application_id)
            if freed:
                await transaction.execute(_PUT_BACK, found.merchant_id, found.application_id, told)

    await write_block(office.database, work)


async def refuse_application(office: Office, by: Actor, application_id: int, reason: str) -> Application:
    """Say no. Raises ``Refused`` TEXT-… at the reason, APPLICATION-DECIDED; the same no twice is as once."""
    merchant_id, reason = by.merchant_id, reason.strip()
    refuse_all(text.check(reason, "reason", REASON_MAX, required=True))

    async def work(transaction: Transaction) -> Application:
        held = await lock_application(office, transaction, merchant_id, application_id)
        if held.state is ApplicationState.WAITING:
            now_ms = milliseconds(office.now())
            await transaction.execute(_REFUSE, merchant_id, application_id, reason, by.name, now_ms)
            told = {"name": held.buyer.name, "reason": reason}
            await record(transaction, by, office.now(), "application.refuse", str(application_id), after=told)
            if held.email:
                # The page may be closed: the answer goes where the invoice would have gone.
                job_id = f"application:{application_id}:mail:0"
                await transaction.execute(ADD_LETTER, merchant_id, job_id, held.email, now_ms)
        elif held.state is not ApplicationState.REFUSED:
            raise refuse("APPLICATION-DECIDED")
        return await lock_application(office, transaction, merchant_id, application_id)

    return await write_block(office.database, work)


async def lock_application(
    office: Office, transaction: Transaction, merchant_id: int, application_id: int
) -> Application:
    """The application, held until the transaction ends. Raises ``Refused`` CODE-NOT-FOUND."""
    lock = _LOCK.format(for_update=office.database.dialect.for_update)
    if not await transaction.fetch(lock, merchant_id, application_id):
        raise refuse("CODE-NOT-FOUND")
    rows = await transaction.fetch(SELECT_APPLICATION + " AND a.application_id = $2", merchant_id, application_id)
    return application_of(office, rows[0])


async def finish_for_ever(office: Office) -> None:
    """Finish what a crash, or a channel that answered later, left between yes and invoice. Runs until cancelled."""
    while True:
        try:
            await finish_approved(office)
        except Exception:
            _log.exception("finishing approvals")
        await asyncio.sleep(FINISH_SECONDS)


async def finish_approved(office: Office, after_ms: int = FINISH_AFTER_MS) -> int:
    """Look once at every approval that is not settled; how many there were."""
    rows = await office.database.read(_UNSETTLED, milliseconds(office.now()) - after_ms, BATCH_MAX)
    for row in rows:
        found = await application(office, row["merchant_id"], row["application_id"])
        if row["code_state"] == IssueState.ISSUED:
            await _settle(office, found)
        elif row["code_state"] == "open" and row["refusal"]:
            # The authority refused after it had taken the request: the clerk must decide anew.
            await _put_back(office, found, msgspec.json.decode(row["refusal"], type=tuple[Refusal, ...]))
        elif row["code_state"] == "open" and found.state is ApplicationState.APPROVED:
            await _issue(office, await merchant(office, found.merchant_id), found)
    return len(rows)


_LOCK = "SELECT 1 FROM applications t WHERE merchant_id = $1 AND application_id = $2 {for_update}"
_CODE = "SELECT offer, shop_id, till_id, person_id, created_by FROM codes WHERE merchant_id = $1 AND code_id = $2"
_AGREE = """
UPDATE applications SET state = 'approved', total_fen = $3, decided_by = $4, decided_at_ms = $5, refusal = NULL,
                        approvals = approvals + 1
WHERE merchant_id = $1 AND application_id = $2 AND state = 'waiting'
"""
_MAKE_CODE = """
INSERT INTO codes (merchant_id, code_id, mint_key, mint_digest, offer, kind, total_fen, summary, created_by,
                   created_at_ms, changed_at_ms, expires_at_ms, proof, shop_id, till_id, person_id)
VALUES ($1, $2, $3, '', $4, $5, $6, $7, $8, $9, $9, $10, $11, $12, $13, $14)
"""
_SETTLE = """
UPDATE applications SET state = 'issued', settled_at_ms = $3
WHERE merchant_id = $1 AND application_id = $2 AND state = 'approved'
"""
_DROP_CODE = "DELETE FROM codes WHERE merchant_id = $1 AND code_id = $2 AND issue_key IS NULL"
_PUT_BACK = """
UPDATE applications SET state = 'waiting', refusal = $3
WHERE merchant_id = $1 AND application_id = $2 AND state = 'approved'
"""
_REFUSE = """
UPDATE applications SET state = 'refused', reason = $3, decided_by = $4, decided_at_ms = $5, refusal = NULL
WHERE merchant_id = $1 AND application_id = $2 AND state = 'waiting'
"""
_UNSETTLED = """
SELECT a.merchant_id, a.application_id, c.state AS code_state, c.refusal FROM applications a
JOIN codes c ON c.merchant_id = a.merchant_id AND c.code_id = a.application_id
WHERE a.state = 'approved' AND a.decided_at_ms <= $1 AND c.state IN ('open', 'issued')
ORDER BY a.decided_at_ms LIMIT $2
"""
