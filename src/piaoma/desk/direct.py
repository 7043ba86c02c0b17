"""Issuing straight (直接开具): a program's order becomes an invoice without a code, by the way of all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from piaoma.invoice import rules, totals
from piaoma.invoice.draft import Draft
from piaoma.invoice.issued import Totals
from piaoma.invoice.refusal import Refusal, refuse, refuse_all
from piaoma.store import IssueState, Origin, Outcome

from .deliver import check_address
from .events import Actor
from .issue import issue

if TYPE_CHECKING:
    from .office import Office


class Standing(msgspec.Struct, frozen=True):
    """What became of a request to issue; ``number`` once issued."""

    issue_id: str
    state: IssueState
    number: str | None = None
    refusals: tuple[Refusal, ...] = ()


def preview(office: Office, draft: Draft) -> Totals:
    """The figures of a draft. Raises ``Refused`` with every fault. Nothing is stored."""
    today = office.now().date()
    refuse_all(rules.check(draft, today, office.catalogue))
    return totals.price(draft, today, office.catalogue)[1]


async def issue_straight(office: Office, by: Actor, draft: Draft, *, issue_id: str, email: str = "") -> Outcome:
    """Issue a draft for a program; the same ``issue_id`` is the same invoice for ever.

    Who issued it stands in the invoice's record, written with it; the trail is not filled with every sale of a till.
    Raises ``Refused`` with every fault, MAIL-ADDRESS; a refusal of the channel stands in the outcome.
    """
    email = check_address(email) if email else ""
    origin = Origin(by.shop_id, by.till_id, by.person_id, by.name)
    return await issue(office, by.merchant_id, draft, issue_key=issue_id, email=email, origin=origin)


async def standing(office: Office, merchant_id: int, issue_id: str) -> Standing:
    """Where a request stands now. Raises ``Refused`` ISSUE-NOT-FOUND."""
    row = await office.database.read_by_key(_STANDING, merchant_id, issue_id)
    if row is None:
        raise refuse("ISSUE-NOT-FOUND")
    refusals = msgspec.json.decode(row[2], type=tuple[Refusal, ...]) if row[2] else ()
    return Standing(issue_id, IssueState(row[0]), row[1], refusals)


_STANDING = "SELECT state, number, refusal FROM issues WHERE merchant_id = $1 AND issue_key = $2"
