"""The customer's side of a code (消费者扫码): looking at it, confirming it, coming back to it."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

import msgspec

from piaoma.codes.pickup import is_pickup_code
from piaoma.codes.token import canonical, unseal
from piaoma.invoice import rules, taxpayer_id, totals
from piaoma.invoice.issued import PricedLine, Totals
from piaoma.invoice.parties import Buyer
from piaoma.invoice.refusal import Refusal, refuse
from piaoma.store import IssueState, Outcome, milliseconds

from . import devices
from .codes import Code, CodeState, code, standing_offer
from .deliver import send
from .issue import issue
from .merchant import Merchant, merchant
from .mint import NOBODY_YET, draft_of
from .records import Invoice, invoice
from .relations import current

if TYPE_CHECKING:
    from .office import Office

TURNS_MAX = 10  # how often one confirm button can be refused and pressed again


class Scan(msgspec.Struct, frozen=True):
    """What whoever scans a code may see. ``invoice`` is there for its holder only; others see a masked title."""

    code: Code
    merchant: Merchant
    lines: tuple[PricedLine, ...]
    totals: Totals
    mine: bool
    masked_title: str
    invoice: Invoice | None

    @property
    def state(self) -> CodeState:
        return self.code.state


def holder_digest(merchant_id: int, code_id: int, secret: str) -> str:
    """What is stored of a holder: it cannot be linked from one code to another."""
    return hashlib.sha256(f"{merchant_id}:{code_id}:{secret}".encode()).hexdigest()


async def scan(office: Office, token: str, holder: str, *, granted: bool = False) -> Scan:
    """Look at a code; nothing changes. ``holder`` is this browser's secret, ``granted`` that it gave the pick-up code.

    Raises ``Refused`` CODE-MALFORMED or CODE-FORGED before the store is asked, CODE-NOT-FOUND.
    """
    merchant_id, code_id = unseal(office.token_keys, token)
    found = await code(office, merchant_id, code_id, canonical(token))
    shop = await merchant(office, merchant_id)
    draft = draft_of(found.offer, shop, found.offer.buyer or NOBODY_YET)
    lines, sums = totals.price(draft, found.created_at.date(), office.catalogue)
    mine = found.holder is not None and (
        granted or hmac.compare_digest(found.holder, holder_digest(merchant_id, code_id, holder))
    )
    # After a 换开 the code's page is that of the new invoice.
    stands = (
        await invoice(office, merchant_id, await current(office, merchant_id, found.number)) if found.number else None
    )
    masked = taxpayer_id.mask_name(stands.buyer_name) if stands else ""
    return Scan(found, shop, lines, sums, mine, masked, stands if mine else None)


async def viewed(office: Office, token: str) -> None:
    """Note that a customer has opened the code: a hint for the till, no state."""
    merchant_id, code_id = unseal(office.token_keys, token)
    async with office.database.write() as transaction:
        await transaction.execute(
            "UPDATE codes SET viewed_at_ms = $3 WHERE merchant_id = $1 AND code_id = $2 AND viewed_at_ms IS NULL",
            merchant_id, code_id, milliseconds(office.now()),
        )  # fmt: skip


def title_faults(found: Scan, buyer: Buyer) -> list[Refusal]:
    """What is wrong with a title for this code, while it is being filled in."""
    return rules.parties.check_buyer(buyer, found.code.kind)


async def confirm(
    office: Office,
    token: str,
    holder: str,
    buyer: Buyer,
    *,
    issue_key: str,
    email: str = "",
    version: int | None = None,
) -> Outcome:
    """Confirm a code with a title (确认开票). A title that the merchant filled in is taken whatever is sent.

    ``version`` is the one of the offer that was shown; when the shop has changed it since, the outcome is refused with
    CODE-CHANGED, however close the two come.

    Raises ``Refused`` with the faults of the title; every other refusal is in the outcome.
    """
    merchant_id, code_id = unseal(office.token_keys, token)
    standing = await standing_offer(office, merchant_id, code_id)
    offer, state = standing.offer, standing.state
    if state in (CodeState.REVOKED, CodeState.EXPIRED):
        cause = "CODE-REVOKED" if state is CodeState.REVOKED else "CODE-EXPIRED"
        return Outcome(IssueState.REFUSED, refusals=(Refusal(cause),))
    if version not in (None, standing.version) and state in (CodeState.OPEN, CodeState.VIEWED):
        return Outcome(IssueState.REFUSED, refusals=(Refusal("CODE-CHANGED"),))
    if offer.applied and state in (CodeState.OPEN, CodeState.VIEWED):
        # The shop's approval issues it; nobody else can.
        return Outcome(IssueState.REFUSED, refusals=(Refusal("APPLICATION-WAITING"),))
    draft = draft_of(offer, standing.merchant, offer.buyer or buyer)
    digest = holder_digest(merchant_id, code_id, holder)
    for turn in range(TURNS_MAX):
        # A refusal of an earlier try stands for that try only: nothing was issued, so the same button tries again.
        key = f"{issue_key}.{turn}" if turn else issue_key
        outcome = await issue(
            office, merchant_id, draft, issue_key=key, code_id=code_id, code_version=standing.version, holder=digest,
            email=email, origin=standing.origin,
        )  # fmt: skip
        if not (outcome.repeated and outcome.state is IssueState.REFUSED):
            break
    if outcome.number and not outcome.repeated:
        devices.note(office, merchant_id, outcome.number, holder)
    if outcome.repeated and outcome.number and email:
        await send(office, merchant_id, await current(office, merchant_id, outcome.number), email, unless_sent=True)
    return outcome


def unlock(office: Office, token: str, pickup: str) -> None:
    """Check a pick-up code (取票码). Raises ``Refused`` CODE-PICKUP-WRONG. Whoever calls limits the rate."""
    merchant_id, code_id = unseal(office.token_keys, token)
    if not is_pickup_code(pickup, office.cookie_key, merchant_id, code_id):
        raise refuse("CODE-PICKUP-WRONG", "pickup")
