"""Check of master data (资料体检): items with retired codes or rates that no longer hold, buyers with bad numbers,
addresses that mail came back from, gaps in the profile. Looked at when asked; nothing is changed here."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from piaoma.invoice.draft import Draft, InvoiceKind, Line
from piaoma.invoice.parties import Buyer
from piaoma.invoice.refusal import Refusal
from piaoma.invoice.rules import line as line_rules

from .buyers import all_buyers, catch_up, faults_of
from .goods import all_goods
from .merchant import Merchant, merchant

if TYPE_CHECKING:
    from .office import Office

FOUND_MAX = 200  # shown of each kind


class Finding(msgspec.Struct, frozen=True):
    """Something stale: what it is (goods, buyer, mail, profile), its name, where it is mended, what is wrong."""

    kind: str
    name: str
    mend: str
    faults: tuple[Refusal, ...]


async def check_up(office: Office, merchant_id: int) -> list[Finding]:
    """Everything that would be refused, or come back, when it is used next."""
    shop = await merchant(office, merchant_id)
    await catch_up(office)
    found = [Finding("profile", field, "/console/settings/profile", ()) for field in shop.missing]
    goods = await _goods(office, shop)
    buyers = [
        Finding("buyer", one.buyer.name, f"/console/settings/buyers?change={one.buyer_id}#save", tuple(faults))
        for one in await all_buyers(office, merchant_id)
        if (faults := faults_of(one.buyer))
    ]
    rows = await office.database.read(_BOUNCED, merchant_id, FOUND_MAX)
    mails = [Finding("mail", row["target"], f"/console/invoices/{row['number']}#delivery", ()) for row in rows]
    return [*found, *goods[:FOUND_MAX], *buyers[:FOUND_MAX], *mails]


async def _goods(office: Office, shop: Merchant) -> list[Finding]:
    """Items whose line would be refused today."""
    today, person = office.now().date(), Buyer("个人", natural_person=True)
    found = []
    for item in await all_goods(office, shop.merchant_id):
        line = Line(item.name, item.code, item.rate, Decimal("1.00"), zero=item.zero, preference=item.preference)
        draft = Draft(InvoiceKind.GENERAL, shop.seller, person, (line,))
        faults = tuple(line_rules.check(line, 0, draft, today, office.catalogue))
        if faults:
            mend = f"/console/settings/goods?change={item.goods_id}&find={item.name}#save"
            found.append(Finding("goods", item.name, mend, faults))
    return found


_BOUNCED = """
SELECT target, max(number) AS number FROM jobs WHERE merchant_id = $1 AND kind = 'mail' AND state = 'dead'
AND target <> '' GROUP BY target ORDER BY max(created_at_ms) DESC LIMIT $2
"""
