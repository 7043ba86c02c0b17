"""Sale numbers (消费号): six digits that lead from a static code to the code of one sale that the till has entered.

A shop that hangs up a static code of this kind gets a sale number with every code it makes. The customer scans what is
on his table and types the digits of his slip; what opens is the code of that sale, which gives one invoice as ever.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from piaoma.invoice.refusal import refuse
from piaoma.store import Transaction, milliseconds

from .static_codes import StaticCode

if TYPE_CHECKING:
    from .office import Office

SALE_DIGITS_MAX = 6
TRIES_MAX = 50  # to find a number that no open sale has


async def give_number(transaction: Transaction, merchant_id: int, code_id: int, now_ms: int) -> None:
    """Give a new code a sale number, if the shop has a static code that asks for one.

    Raises ``Refused`` SALE-NUMBERS-USED when nearly all numbers lead to sales that are open.
    """
    if not await transaction.fetch(_ASKED_FOR, merchant_id):
        return
    for _ in range(TRIES_MAX):
        number = f"{secrets.randbelow(10**SALE_DIGITS_MAX):0{SALE_DIGITS_MAX}d}"
        if await transaction.execute(_TAKE, merchant_id, number, code_id, now_ms):
            return
    raise refuse("SALE-NUMBERS-USED")


async def sale_number(office: Office, merchant_id: int, code_id: int) -> str:
    """The sale number of a code; empty when it has none."""
    rows = await office.database.read(_NUMBER_OF, merchant_id, code_id)
    return str(rows[0][0]) if rows else ""


async def find_sale(office: Office, code: StaticCode, typed: str) -> str:
    """The token of the sale whose number was typed. Whoever calls limits the rate.

    Raises ``Refused`` SALE-NOT-FOUND, in the same words whether it never was or is over.
    """
    number = "".join(letter for letter in typed if letter.isdigit() and letter.isascii())
    if len(number) != SALE_DIGITS_MAX:
        raise refuse("SALE-NOT-FOUND", "sale_number")
    rows = await office.database.read(_FIND, code.merchant_id, number)
    if not rows:
        raise refuse("SALE-NOT-FOUND", "sale_number")
    async with office.database.write() as transaction:
        now_ms = milliseconds(office.now())
        await transaction.execute(_MATCHED, code.merchant_id, number, code.static_id, now_ms, rows[0][0])
    return office.token(code.merchant_id, rows[0][0])


_ASKED_FOR = "SELECT 1 FROM static_codes WHERE merchant_id = $1 AND mode = 'sale' AND state = 'active' LIMIT 1"
# A number whose sale is issued, revoked or past is free for the next one.
_TAKE = """
INSERT INTO sale_numbers (merchant_id, sale_number, code_id) VALUES ($1, $2, $3)
ON CONFLICT (merchant_id, sale_number) DO UPDATE SET code_id = $3, static_id = NULL, matched_at_ms = NULL
WHERE NOT EXISTS (SELECT 1 FROM codes c WHERE c.merchant_id = sale_numbers.merchant_id
                  AND c.code_id = sale_numbers.code_id AND c.state <> 'revoked'
                  AND (c.state <> 'issued' OR c.changed_at_ms > CAST($4 AS BIGINT) - 86400000)
                  AND (c.state <> 'open' OR c.expires_at_ms > CAST($4 AS BIGINT)))
"""
_NUMBER_OF = "SELECT sale_number FROM sale_numbers WHERE merchant_id = $1 AND code_id = $2"
_FIND = """
SELECT n.code_id FROM sale_numbers n JOIN codes c ON c.merchant_id = n.merchant_id AND c.code_id = n.code_id
WHERE n.merchant_id = $1 AND n.sale_number = $2 AND c.state <> 'revoked'
"""
_MATCHED = """
UPDATE sale_numbers SET static_id = $3, matched_at_ms = $4
WHERE merchant_id = $1 AND sale_number = $2 AND code_id = $5 AND matched_at_ms IS NULL
"""
