"""What a customer asks to have changed of a code (信息有误, 要专票) before it is issued, and the shop's answer.

Nothing is issued meanwhile. Yes makes the next version of the code, with the title that was asked for locked in it; the
customer's page follows, and he confirms it himself.
"""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from piaoma.invoice import rules
from piaoma.invoice.draft import InvoiceKind
from piaoma.invoice.money import to_fen
from piaoma.invoice.parties import Buyer
from piaoma.invoice.refusal import refuse, refuse_all
from piaoma.invoice.rules import text
from piaoma.store import Row, Transaction, milliseconds, write_block

from .change_code import put_offer
from .codes import Code, CodeState, code
from .events import Actor, record
from .merchant import Merchant, merchant
from .mint import covered
from .scan import holder_digest

if TYPE_CHECKING:
    from .office import Office

REQUESTS_MAX = 5  # of one code
LINE_MAX = 200  # characters of what the customer writes
ANSWER_MAX = 100  # characters of why the shop refused
WAITING_SHOWN_MAX = 50
OPEN = (CodeState.OPEN, CodeState.VIEWED)


class CodeRequest(msgspec.Struct, frozen=True):
    """A request: waiting 待处理, accepted 已按要求修改 or refused 未采纳 with a reason."""

    code_id: int
    request_id: int
    version: int
    kind: InvoiceKind
    buyer: Buyer
    line: str
    state: str
    reason: str
    asked_at: datetime


def may_ask(shop: Merchant, made: Code) -> bool:
    """Whether a customer finds the form at all: a title that the shop filled in may be wrong, and a shop may give 专票
    to whoever asks for one."""
    if made.state not in OPEN or made.offer.applied:
        return False
    return made.offer.buyer is not None or special_allowed(shop, made)


def special_allowed(shop: Merchant, made: Code) -> bool:
    """Whether a 专票 may be asked for in place of the 普票."""
    return shop.special_requests and not shop.no_special and made.kind is InvoiceKind.GENERAL


async def ask(
    office: Office, made: Code, holder: str, buyer: Buyer, line: str, *, special: bool
) -> CodeRequest:  # fmt: skip
    """Ask the shop for another title or a 专票; asking again while it waits replaces what was asked.

    Raises ``Refused``: the faults of the title, CODE-REQUEST-CLOSED, CODE-REQUEST-MANY, CODE-REQUEST-OTHER while
    somebody else's waits.
    """
    shop = await merchant(office, made.merchant_id)
    if not may_ask(shop, made) or (special and not special_allowed(shop, made)):
        raise refuse("CODE-REQUEST-CLOSED")
    kind = InvoiceKind.SPECIAL if special else made.kind
    line = line.strip()
    refuse_all(rules.parties.check_buyer(buyer, kind) + (text.check(line, "line", LINE_MAX) if line else []))
    device = holder_digest(made.merchant_id, made.code_id, holder)
    key = (made.merchant_id, made.code_id)
    said = (kind.value, msgspec.json.encode(buyer).decode(), line)
    now_ms = milliseconds(office.now())

    async def work(transaction: Transaction) -> int:
        rows = await transaction.fetch(_ALL + " ORDER BY r.asked_at_ms", *key)
        waiting = [row for row in rows if row["state"] == "waiting"]
        if waiting and waiting[0]["device"] != device:
            raise refuse("CODE-REQUEST-OTHER")
        if waiting:
            await transaction.execute(_REPLACE, *key, waiting[0]["request_id"], made.version, *said, now_ms)
            return int(waiting[0]["request_id"])
        if len(rows) >= REQUESTS_MAX:
            raise refuse("CODE-REQUEST-MANY", max=REQUESTS_MAX)
        request_id = secrets.randbits(40)
        await transaction.execute(_INSERT, *key, request_id, made.version, *said, device, now_ms)
        return request_id

    request_id = await write_block(office.database, work)
    return await _one(office, made.merchant_id, made.code_id, request_id)


async def latest(office: Office, merchant_id: int, code_id: int, holder: str | None = None) -> CodeRequest | None:
    """The newest request about a code; with ``holder`` only of that browser."""
    rows = await office.database.read(_ALL + " ORDER BY r.asked_at_ms DESC, r.request_id LIMIT 1", merchant_id, code_id)
    if not rows or (holder is not None and rows[0]["device"] != holder_digest(merchant_id, code_id, holder)):
        return None
    return _request(office, rows[0])


async def waiting_requests(office: Office, merchant_id: int) -> list[CodeRequest]:
    """What waits for the shop, oldest first; not what is about a code that is issued, revoked or past."""
    now_ms = milliseconds(office.now())
    rows = await office.database.read(_WAITING, merchant_id, now_ms, WAITING_SHOWN_MAX)
    return [_request(office, row) for row in rows]


async def answer(office: Office, by: Actor, code_id: int, request_id: int, *, accept: bool, reason: str = "") -> None:
    """Say yes, and the code becomes what was asked for; or no, with a reason. A second answer changes nothing.

    Raises ``Refused``: the faults of what it would become, CODE-ISSUED, CODE-CHANGED when the shop itself changed the
    code since, CODE-REQUEST-DECIDED, TEXT-… at the reason.
    """
    made = await code(office, by.merchant_id, code_id)
    found = await _one(office, by.merchant_id, code_id, request_id)
    reason = reason.strip()
    if not accept:
        refuse_all(text.check(reason, "reason", ANSWER_MAX, required=True))
    offer = msgspec.structs.replace(made.offer, kind=found.kind, buyer=found.buyer)
    total_fen = (
        to_fen((await covered(office, await merchant(office, by.merchant_id), offer)).inclusive) if accept else 0
    )

    async def work(transaction: Transaction) -> None:
        state = "accepted" if accept else "refused"
        now_ms = milliseconds(office.now())
        if not await transaction.execute(_DECIDE, by.merchant_id, code_id, request_id, state, reason, now_ms):
            raise refuse("CODE-REQUEST-DECIDED")
        if accept:
            await put_offer(office, transaction, by.merchant_id, code_id, offer, made.version, total_fen)
        old = made.offer.buyer.name if made.offer.buyer else ""
        before = {"title": old, "kind": made.kind.value}
        after = {"title": found.buyer.name, "kind": found.kind.value} if accept else {"reason": reason}
        await record(transaction, by, office.now(), "code.answer", str(code_id), before, after)

    await write_block(office.database, work)


async def _one(office: Office, merchant_id: int, code_id: int, request_id: int) -> CodeRequest:
    rows = await office.database.read(_ALL + " AND r.request_id = $3", merchant_id, code_id, request_id)
    if not rows:
        raise refuse("CODE-REQUEST-DECIDED")
    return _request(office, rows[0])


def _request(office: Office, row: Row) -> CodeRequest:
    asked_at = datetime.fromtimestamp(row["asked_at_ms"] / 1000, office.now().tzinfo)
    buyer = msgspec.json.decode(row["buyer"], type=Buyer)
    return CodeRequest(
        row["code_id"], row["request_id"], row["version"], InvoiceKind(row["kind"]), buyer, row["line"], row["state"],
        row["reason"], asked_at,
    )  # fmt: skip


_COLUMNS = "r.code_id, r.request_id, r.version, r.kind, r.buyer, r.line, r.device, r.state, r.reason, r.asked_at_ms"
_ALL = f"SELECT {_COLUMNS} FROM code_requests r WHERE r.merchant_id = $1 AND r.code_id = $2"  # noqa: S608
_WAITING = f"""
SELECT {_COLUMNS} FROM code_requests r JOIN codes c ON c.merchant_id = r.merchant_id AND c.code_id = r.code_id
WHERE r.merchant_id = $1 AND r.state = 'waiting' AND c.state = 'open' AND c.expires_at_ms > $2
ORDER BY r.asked_at_ms LIMIT $3
"""  # noqa: S608
_INSERT = """
INSERT INTO code_requests (merchant_id, code_id, request_id, version, kind, buyer, line, device, state, asked_at_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'waiting', $9)
"""
_REPLACE = """
UPDATE code_requests SET version = $4, kind = $5, buyer = $6, line = $7, asked_at_ms = $8
WHERE merchant_id = $1 AND code_id = $2 AND request_id = $3 AND state = 'waiting'
"""
_DECIDE = """
UPDATE code_requests SET state = $4, reason = $5, decided_at_ms = $6
WHERE merchant_id = $1 AND code_id = $2 AND request_id = $3 AND state = 'waiting'
"""
