"""Issuing straight (直接开具): a program's order becomes an invoice without a code, by the way of all."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from piaoma.invoice.issued import Totals
from piaoma.invoice.money import format_yuan
from piaoma.invoice.refusal import Refusal, refuse
from piaoma.store import IssueState, Origin, Outcome

from .codes import Offer
from .deliver import check_address
from .events import Actor
from .issue import issue
from .limits import check_limits
from .merchant import Merchant
from .mint import draft_of, preview

if TYPE_CHECKING:
    from .office import Office


class Standing(msgspec.Struct, frozen=True):
    """What became of a request to issue; ``number`` once issued."""

    issue_id: str
    state: IssueState
    number: str | None = None
    refusals: tuple[Refusal, ...] = ()


def figures(office: Office, shop: Merchant, offer: Offer, total: Decimal | None = None) -> Totals:
    """The sums of an offer; nothing is stored. ``total`` is what the sender believes, tax included.

    Raises ``Refused`` with every fault, TOTAL-DISAGREES.
    """
    _, _, sums = preview(office, shop, offer)
    if total is not None and total != sums.inclusive:
        raise refuse("TOTAL-DISAGREES", "total", have=total, sum=format_yuan(sums.inclusive))
    return sums


async def issue_straight(
    office: Office, by: Actor, shop: Merchant, offer: Offer, *, issue_id: str, email: str = "",
    total: Decimal | None = None,
) -> Outcome:  # fmt: skip
    """Issue an offer to its buyer for a program; the same ``issue_id`` is the same invoice for ever.

    Who issued it stands in the invoice's record, written with it; the trail is not filled with every sale of a till.
    Raises ``Refused`` as ``figures``, MAIL-ADDRESS, MERCHANT-LIMIT-…; a refusal of the channel stands in the outcome.
    """
    assert offer.buyer is not None, "an order names its buyer"
    email = check_address(email) if email else ""
    if await office.database.read_by_key(_STANDING, by.merchant_id, issue_id) is None:
        # What was taken before is not judged by a limit of today.
        await check_limits(office, by.merchant_id, figures(office, shop, offer, total).inclusive)
    origin = Origin(by.shop_id, by.till_id, by.person_id, by.name, offer.own_number)
    draft = draft_of(offer, shop, offer.buyer)
    return await issue(office, by.merchant_id, draft, issue_key=issue_id, email=email, origin=origin)


async def standing(office: Office, merchant_id: int, issue_id: str) -> Standing:
    """Where a request stands now. Raises ``Refused`` ISSUE-NOT-FOUND."""
    row = await office.database.read_by_key(_STANDING, merchant_id, issue_id)
    if row is None:
        raise refuse("ISSUE-NOT-FOUND")
    refusals = msgspec.json.decode(row[2], type=tuple[Refusal, ...]) if row[2] else ()
    return Standing(issue_id, IssueState(row[0]), row[1], refusals)


_STANDING = "SELECT state, number, refusal FROM issues WHERE merchant_id = $1 AND issue_key = $2"
