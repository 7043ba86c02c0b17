"""Changing a code before it is issued (开票前修改), and issuing it at once for the shop (立即开具).

The symbol stays good: what is behind it follows the newest version, and only that can be confirmed. A customer who has
an older one open is told what changed and asked again.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from piaoma.invoice.money import format_yuan, to_fen
from piaoma.invoice.refusal import refuse
from piaoma.store import Outcome, Transaction, milliseconds, write_block

from .codes import Code, CodeState, Offer, code
from .events import Actor, record
from .merchant import Merchant
from .mint import NOTHING, covered, summary_of
from .scan import confirm

if TYPE_CHECKING:
    from .office import Office


async def change_code(
    office: Office, merchant: Merchant, code_id: int, offer: Offer, *, version: int, by: Actor,
    told: Mapping[str, str] = NOTHING,
) -> Code:  # fmt: skip
    """Put another offer behind a code that nobody has claimed; ``version`` is the one that was shown.

    Raises ``Refused``: the faults of the draft, QUOTA-EXCEEDED, CODE-ISSUED, CODE-REVOKED, CODE-EXPIRED, and
    CODE-CHANGED when somebody else changed it meanwhile.
    """
    sums = await covered(office, merchant, offer)

    async def work(transaction: Transaction) -> None:
        await put_offer(office, transaction, merchant.merchant_id, code_id, offer, version, to_fen(sums.inclusive))
        after = {"total": format_yuan(sums.inclusive), "title": offer.buyer.name if offer.buyer else "", **told}
        await record(transaction, by, office.now(), "code.change", str(code_id), after=after)

    await write_block(office.database, work)
    return await code(office, merchant.merchant_id, code_id)


async def put_offer(
    office: Office, transaction: Transaction, merchant_id: int, code_id: int, offer: Offer, version: int, total_fen: int
) -> None:
    """The next version of a code, in a transaction under way."""
    lock = _LOCK.format(for_update=office.database.dialect.for_update)
    rows = await transaction.fetch(lock, merchant_id, code_id)
    if not rows:
        raise refuse("CODE-NOT-FOUND")
    row = rows[0]
    if row["state"] != "open":
        raise refuse("CODE-REVOKED" if row["state"] == CodeState.REVOKED else "CODE-ISSUED")
    if row["expires_at_ms"] <= milliseconds(office.now()):
        raise refuse("CODE-EXPIRED")
    if row["version"] != version:
        raise refuse("CODE-CHANGED")
    old = msgspec.json.decode(row["offer"], type=Offer)
    if old.applied:
        raise refuse("APPLICATION-DECIDED")
    kept = msgspec.structs.replace(offer, sold_at=old.sold_at)
    values = (msgspec.json.encode(kept).decode(), row["offer"], kept.kind.value, total_fen, summary_of(kept))
    await transaction.execute(_CHANGE, merchant_id, code_id, *values, kept.own_number, milliseconds(office.now()))


async def issue_now(office: Office, made: Code, email: str = "") -> Outcome:
    """Issue a code for the shop itself, without a scan. The shop is its holder; the customer opens it with the pick-up
    code (取票码). Pressed twice, or again after a crash, it is one invoice.

    Raises ``Refused`` with the faults of the title.
    """
    assert made.offer.buyer is not None, "nobody is asked for a title any more"
    # Nobody else can know it, and it is the same when the button is pressed again.
    holder = hmac.digest(office.cookie_key, f"shop:{made.merchant_id}:{made.code_id}".encode(), "sha256").hex()
    return await confirm(
        office, made.token, holder, made.offer.buyer, issue_key=f"now:{made.code_id}", email=email, version=made.version
    )


_LOCK = "SELECT state, offer, version, expires_at_ms FROM codes t WHERE merchant_id = $1 AND code_id = $2 {for_update}"
_CHANGE = """
UPDATE codes SET offer = $3, former_offer = $4, kind = $5, total_fen = $6, summary = $7, own_number = $8,
                 changed_at_ms = $9, refusal = NULL, version = version + 1
WHERE merchant_id = $1 AND code_id = $2 AND state = 'open'
"""
