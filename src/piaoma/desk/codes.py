"""Codes (二维码) as the merchant sees them: state, symbol, list, revoking, extending."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from piaoma.codes.proof import ScanProof
from piaoma.codes.symbol import Symbol, draw, pointer_url
from piaoma.invoice.draft import InvoiceKind, Line, Pricing
from piaoma.invoice.money import from_fen
from piaoma.invoice.parties import Buyer
from piaoma.invoice.refusal import Refusal, refuse
from piaoma.store import Origin, Row, milliseconds

from .events import Actor, record
from .filters import Conditions, Filter
from .merchant import MERCHANT_COLUMNS, Merchant, merchant_of
from .page import Page, cut, resume

if TYPE_CHECKING:
    from .office import Office

LIST_MAX = 50
DAYS_MAX = 365
OWN_NUMBER_MAX = 60  # characters of the merchant's order number (自有单号)
NO_FILTER = Filter()


class CodeState(StrEnum):
    """What a code is doing. VIEWED and EXPIRED are derived: the store knows a time for each, not a state."""

    OPEN = "open"  # 待扫码
    VIEWED = "viewed"  # 已扫码, a hint for the till only
    SUBMITTED = "submitted"  # 开票中
    UNKNOWN = "unknown"  # 结果未知
    ISSUED = "issued"  # 已开具
    REVOKED = "revoked"  # 已作废
    EXPIRED = "expired"  # 已过期


class Offer(msgspec.Struct, frozen=True):
    """What a code offers to be invoiced. ``buyer`` is set when the merchant fills the title, which is then locked.

    ``applied`` marks what a customer of a static code applied for: the shop issues it, and no scan can confirm it.
    """

    kind: InvoiceKind
    lines: tuple[Line, ...]
    pricing: Pricing = Pricing.INCLUSIVE
    remark: str = ""
    buyer: Buyer | None = None
    sold_at: datetime | None = None
    applied: bool = False
    own_number: str = ""
    drawer: str = ""  # 开票人; the profile's when empty
    seller_bank: bool | None = None  # printed in the remark or not; None: on a 专票
    buyer_bank: bool = False


class Code(msgspec.Struct, frozen=True):
    """A code. Times are aware; ``number`` and ``buyer_name`` are there once issued."""

    merchant_id: int
    code_id: int
    token: str
    url: str
    state: CodeState
    offer: Offer
    total: Decimal
    summary: str
    created_at: datetime
    created_by: str
    expires_at: datetime
    viewed_at: datetime | None
    state_since: datetime
    proof: ScanProof
    refusals: tuple[Refusal, ...]
    number: str | None
    buyer_name: str | None
    holder: str | None
    version: int = 1
    former: Offer | None = None  # what it offered before the last change

    @property
    def kind(self) -> InvoiceKind:
        return self.offer.kind

    @property
    def symbol(self) -> Symbol:
        """The same symbol every time."""
        return draw(self.url)


class Standing(msgspec.Struct, frozen=True):
    """Who offers what and where, whether he still does, and which version of the offer it is."""

    merchant: Merchant
    offer: Offer
    state: CodeState
    origin: Origin
    version: int


async def standing_offer(office: Office, merchant_id: int, code_id: int) -> Standing:
    """All that confirming a code needs. Raises ``Refused`` CODE-NOT-FOUND."""
    row = await office.database.read_by_key(_STANDING_OFFER, merchant_id, code_id)
    if row is None:
        raise refuse("CODE-NOT-FOUND")
    state = _state(row["code_state"], row["expires_at_ms"], row["viewed_at_ms"], milliseconds(office.now()))
    origin = Origin(row["shop_id"], row["till_id"], row["person_id"], row["created_by"], row["own_number"])
    return Standing(merchant_of(row), _OFFER.decode(row["offer"]), state, origin, row["version"])


_OFFER = msgspec.json.Decoder(Offer)
_STANDING_OFFER = f"""
SELECT {MERCHANT_COLUMNS}, c.state AS code_state, c.expires_at_ms, c.viewed_at_ms, c.offer, c.shop_id, c.till_id,
       c.person_id, c.created_by, c.own_number, c.version
FROM codes c JOIN merchants m ON m.merchant_id = c.merchant_id WHERE c.merchant_id = $1 AND c.code_id = $2
"""  # noqa: S608
SELECT_CODE = """
SELECT c.merchant_id, c.code_id, c.state, c.offer, c.total_fen, c.summary, c.created_by, c.created_at_ms,
       c.expires_at_ms, c.viewed_at_ms, c.changed_at_ms, c.holder, c.refusal, c.proof, c.version, c.former_offer,
       i.number, i.buyer_name
FROM codes c LEFT JOIN issues s ON s.merchant_id = c.merchant_id AND s.issue_key = c.issue_key
             LEFT JOIN invoices i ON i.merchant_id = s.merchant_id AND i.number = s.number
"""


_ONE_CODE = SELECT_CODE + "WHERE c.merchant_id = $1 AND c.code_id = $2"


async def code(office: Office, merchant_id: int, code_id: int, token: str = "") -> Code:
    """A code; ``token`` when the caller knows it already. Raises ``Refused`` CODE-NOT-FOUND."""
    row = await office.database.read_by_key(_ONE_CODE, merchant_id, code_id)
    if row is None:
        raise refuse("CODE-NOT-FOUND")
    return _code(office, row, token)


def _code(office: Office, row: Row, token: str = "") -> Code:
    now = office.now()
    zone = now.tzinfo
    token = token or office.token(row["merchant_id"], row["code_id"])

    def moment(ms: int) -> datetime:
        return datetime.fromtimestamp(ms / 1000, zone)

    return Code(
        merchant_id=row["merchant_id"],
        code_id=row["code_id"],
        token=token,
        url=pointer_url(office.config.base_url, token),
        state=_state(row["state"], row["expires_at_ms"], row["viewed_at_ms"], milliseconds(now)),
        offer=msgspec.json.decode(row["offer"], type=Offer),
        total=from_fen(row["total_fen"]),
        summary=row["summary"],
        created_at=moment(row["created_at_ms"]),
        created_by=row["created_by"],
        expires_at=moment(row["expires_at_ms"]),
        viewed_at=moment(row["viewed_at_ms"]) if row["viewed_at_ms"] else None,
        state_since=moment(row["changed_at_ms"]),
        proof=msgspec.json.decode(row["proof"], type=ScanProof),
        refusals=msgspec.json.decode(row["refusal"], type=tuple[Refusal, ...]) if row["refusal"] else (),
        number=row["number"],
        buyer_name=row["buyer_name"],
        holder=row["holder"],
        version=row["version"],
        former=_OFFER.decode(row["former_offer"]) if row["former_offer"] else None,
    )


def _state(stored: str, expires_at_ms: int, viewed_at_ms: int | None, now_ms: int) -> CodeState:
    if stored != "open":
        return CodeState(stored)
    if expires_at_ms <= now_ms:
        return CodeState.EXPIRED
    return CodeState.VIEWED if viewed_at_ms else CodeState.OPEN


async def code_state(office: Office, merchant_id: int, code_id: int) -> CodeState | None:
    """What a code is doing; None when there is none."""
    row = await office.database.read_by_key(_STATE_OF, merchant_id, code_id)
    return _state(row[0], row[1], row[2], milliseconds(office.now())) if row else None


_STATE_OF = "SELECT state, expires_at_ms, viewed_at_ms FROM codes WHERE merchant_id = $1 AND code_id = $2"


async def list_codes(
    office: Office, merchant_id: int, wanted: Filter = NO_FILTER, state: str = "", cursor: str = ""
) -> Page[Code]:
    """The merchant's codes that fit, newest first. ``state`` is a ``CodeState``; an unknown one finds nothing.

    Words are looked for in goods, title, number and who made the code.
    """
    before_ms, before_id = resume(cursor)
    where = Conditions("c.merchant_id = {0}", merchant_id)
    where.add_text(wanted.text, ("c.summary", "c.created_by", "i.buyer_name", "i.number", "c.own_number"))
    if wanted.since is not None:
        where.add("c.created_at_ms >= {0}", _midnight_ms(office, wanted.since))
    if wanted.until is not None:
        where.add("c.created_at_ms < {0}", _midnight_ms(office, wanted.until + timedelta(days=1)))
    where.add_totals(wanted, "c.total_fen")
    if state:
        _add_state(where, state, milliseconds(office.now()))
    place = len(where.values)
    rows = await office.database.read(
        SELECT_CODE + f"WHERE {where} AND (c.created_at_ms, c.code_id) < (${place + 1}, ${place + 2})"
        f" ORDER BY c.created_at_ms DESC, c.code_id DESC LIMIT ${place + 3}",
        *where.values, before_ms, min(before_id, 1 << 62), LIST_MAX + 1,
    )  # fmt: skip
    return cut(
        [_code(office, row) for row in rows],
        LIST_MAX,
        lambda one: (milliseconds(one.created_at), one.code_id),
    )


# How far a code came (漏斗). Who confirmed has scanned, whether or not his browser said so.
STAGES = {
    "scanned": "c.viewed_at_ms IS NOT NULL OR c.issue_key IS NOT NULL OR c.refusal IS NOT NULL",
    "confirmed": "c.issue_key IS NOT NULL OR c.refusal IS NOT NULL",
}


def _midnight_ms(office: Office, day: date) -> int:
    return milliseconds(datetime.combine(day, time(), office.now().tzinfo))


def _add_state(where: Conditions, state: str, now_ms: int) -> None:
    """Three states are one in the store, told apart by times; stages of the funnel are several."""
    if state in STAGES:
        where.add(f"c.created_at_ms >= {{0}} AND ({STAGES[state]})", 0)
    elif state == CodeState.EXPIRED:
        where.add("c.state = 'open' AND c.expires_at_ms <= {0}", now_ms)
    elif state in (CodeState.OPEN, CodeState.VIEWED):
        viewed = "IS NOT NULL" if state == CodeState.VIEWED else "IS NULL"
        where.add(f"c.state = 'open' AND c.viewed_at_ms {viewed} AND c.expires_at_ms > {{0}}", now_ms)
    else:
        where.add("c.state = {0}", state)


async def revoke(office: Office, actor: Actor, code_id: int) -> Code:
    """Revoke (作废) an open code. Raises CODE-ISSUED when it is claimed already; twice is as once."""
    async with office.database.write() as transaction:
        changed = await transaction.execute(
            "UPDATE codes SET state = 'revoked', changed_at_ms = $3"
            " WHERE merchant_id = $1 AND code_id = $2 AND state = 'open'",
            actor.merchant_id, code_id, milliseconds(office.now()),
        )  # fmt: skip
        if changed:
            await record(transaction, actor, office.now(), "code.revoke", str(code_id))
    found = await code(office, actor.merchant_id, code_id)
    if not changed and found.state is not CodeState.REVOKED:
        raise refuse("CODE-ISSUED")
    return found


async def extend(office: Office, actor: Actor, code_id: int, days: int) -> Code:
    """Let a code be valid for so many days from now. Raises CODE-VALIDITY."""
    if not 1 <= days <= DAYS_MAX:
        raise refuse("CODE-VALIDITY", "days")
    async with office.database.write() as transaction:
        if await transaction.execute(
            "UPDATE codes SET expires_at_ms = $3 WHERE merchant_id = $1 AND code_id = $2 AND state = 'open'",
            actor.merchant_id, code_id, milliseconds(office.now() + timedelta(days=days)),
        ):  # fmt: skip
            await record(transaction, actor, office.now(), "code.extend", str(code_id), after={"days": days})
    return await code(office, actor.merchant_id, code_id)
