"""Applications (开票申请): what the customer of a static code asks for, and what becomes of it.

Nothing is issued here. An application waits for the clerk (``approve``); approved, it becomes a code with the same
number, held by this customer, and goes the one way to an invoice.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from piaoma.codes.token import unseal
from piaoma.invoice import rules
from piaoma.invoice.draft import InvoiceKind
from piaoma.invoice.money import format_yuan, from_fen, to_fen
from piaoma.invoice.parties import Buyer
from piaoma.invoice.refusal import Refusal, refuse, refuse_all
from piaoma.store import Row, Transaction, milliseconds, write_block

from .merchant import Merchant
from .scan import holder_digest
from .static_codes import Mode, StaticCode, StaticState, scan_static

if TYPE_CHECKING:
    from .office import Office

WAIT_DAYS_MAX = 7  # an application that nobody decided is then past
MINE_MAX = 5  # of one browser, shown to it when it scans again
LIST_MAX = 100
REASON_MAX = 100  # characters of why the shop refused
_DAY_MS, _HOUR_MS = 86_400_000, 3_600_000


class ApplicationState(StrEnum):
    """States of an application. EXPIRED is derived: the store knows only when it was made."""

    WAITING = "waiting"  # 待审批
    APPROVED = "approved"  # 已同意, the invoice is under way
    ISSUED = "issued"  # 已开具
    REFUSED = "refused"  # 店家已拒绝
    WITHDRAWN = "withdrawn"  # 已撤回
    EXPIRED = "expired"  # 已过期


class Wanted(msgspec.Struct, frozen=True):
    """What a customer fills in. ``total`` is tax-inclusive yuan."""

    total: Decimal
    paid_on: date
    buyer: Buyer
    email: str = ""
    kind: InvoiceKind = InvoiceKind.GENERAL


class Application(msgspec.Struct, frozen=True):
    """An application. ``asked`` is what the customer typed, ``total`` what the shop made of it."""

    merchant_id: int
    application_id: int
    static_id: int
    token: str
    state: ApplicationState
    place: str
    asked: Decimal
    total: Decimal
    paid_at: datetime
    buyer: Buyer
    email: str
    holder: str
    device: str
    approvals: int
    reason: str
    refusals: tuple[Refusal, ...]
    decided_by: str
    decided_at: datetime | None
    created_at: datetime
    expires_at: datetime
    kind: InvoiceKind = InvoiceKind.GENERAL


async def apply(office: Office, token: str, holder: str, wanted: Wanted, *, apply_key: str) -> Application:
    """Ask the shop of a static code for an invoice. The same ``apply_key`` with the same content is one application.

    Raises ``Refused``: what keeps this code from taking any, the faults of what was filled in, APPLICATION-TOO-MANY.
    """
    code, shop = await scan_static(office, token)
    refuse_all(closed(code, shop) or faults(office, code, wanted, shop))
    digest = hashlib.sha256(msgspec.json.encode(wanted)).hexdigest()[:16]
    now_ms = milliseconds(office.now())
    application_id = secrets.randbits(40)
    noon = datetime.combine(wanted.paid_on, datetime.min.time(), office.now().tzinfo) + timedelta(hours=12)
    row = (
        code.merchant_id, application_id, code.static_id, f"{apply_key}:{digest}", to_fen(wanted.total),
        milliseconds(min(noon, office.now())), msgspec.json.encode(wanted.buyer).decode(), wanted.email,
        holder_digest(code.merchant_id, application_id, holder), device_digest(code.merchant_id, holder), now_ms,
        wanted.kind.value,
    )  # fmt: skip

    # The code's row is held, so that those who come at once are counted one after the other.
    lock = _LOCK_CODE.format(for_update=office.database.dialect.for_update)

    async def work(transaction: Transaction) -> int:
        await transaction.fetch(lock, code.merchant_id, code.static_id)
        found = await transaction.fetch(_FIND, code.merchant_id, row[3])
        if found:
            return int(found[0][0])
        by_device = await transaction.fetch(_BY_DEVICE, code.merchant_id, row[9], now_ms - _DAY_MS)
        if by_device[0][0] >= code.terms.device_max:
            raise refuse("APPLICATION-TOO-MANY", max=code.terms.device_max)
        by_code = await transaction.fetch(_BY_CODE, code.merchant_id, code.static_id, now_ms - _HOUR_MS)
        if by_code[0][0] >= code.terms.hour_max:
            raise refuse("APPLICATION-RUSH")
        await transaction.execute(_INSERT, *row)
        return application_id

    return await application(office, code.merchant_id, await write_block(office.database, work))


def closed(code: StaticCode, shop: Merchant) -> list[Refusal]:
    """Why nobody can apply by this code at all."""
    if code.state is not StaticState.ACTIVE:
        return [Refusal("CODE-REVOKED" if code.state is StaticState.REVOKED else "CODE-REPLACED")]
    if shop.state != "active":
        return [Refusal("MERCHANT-SUSPENDED")]
    return []


def faults(office: Office, code: StaticCode, wanted: Wanted, shop: Merchant | None = None) -> list[Refusal]:
    """Everything that is wrong with what was filled in, each at its field."""
    found: list[Refusal] = []
    terms, today = code.terms, office.now().date()
    if code.terms.mode is not Mode.APPROVAL:
        found.append(Refusal("APPLICATION-BY-NUMBER", "sale_number"))
    if not terms.amount_min <= wanted.total <= terms.amount_max:
        bounds = {"min": format_yuan(terms.amount_min), "max": format_yuan(terms.amount_max)}
        found.append(Refusal("APPLICATION-AMOUNT", "total", bounds))
    if not today - timedelta(days=terms.days_back) <= wanted.paid_on <= today:
        found.append(Refusal("APPLICATION-DATE", "paid_on", {"days": str(terms.days_back)}))
    if wanted.kind is InvoiceKind.SPECIAL and (shop is None or shop.no_special or not shop.special_requests):
        found.append(Refusal("APPLICATION-NO-SPECIAL", "special"))
    return found + rules.parties.check_buyer(wanted.buyer, wanted.kind)


def device_digest(merchant_id: int, holder: str) -> str:
    """What is stored of a browser, so that its applications to one shop can be counted, and to no other."""
    return holder_digest(merchant_id, -1, holder)


async def application(office: Office, merchant_id: int, application_id: int) -> Application:
    """Raises ``Refused`` CODE-NOT-FOUND."""
    row = await office.database.read_by_key(_ONE, merchant_id, application_id)
    if row is None:
        raise refuse("CODE-NOT-FOUND")
    return application_of(office, row)


async def applied(office: Office, token: str, holder: str) -> tuple[Application, bool]:
    """The application of a token, and whether this browser made it. Raises ``Refused`` like ``scan``."""
    merchant_id, application_id = unseal(office.token_keys, token)
    found = await application(office, merchant_id, application_id)
    mine = hmac.compare_digest(found.holder, holder_digest(merchant_id, application_id, holder))
    return found, mine


async def mine(office: Office, code: StaticCode, holder: str) -> list[Application]:
    """What this browser applied for by this code lately, newest first."""
    rows = await office.database.read(
        SELECT_APPLICATION + " AND a.device = $2 AND a.static_id = $3 ORDER BY a.created_at_ms DESC LIMIT $4",
        code.merchant_id, device_digest(code.merchant_id, holder), code.static_id, MINE_MAX,
    )  # fmt: skip
    return [application_of(office, row) for row in rows]


async def withdraw(office: Office, merchant_id: int, application_id: int) -> Application:
    """撤回 by the customer, while nobody has decided. Raises ``Refused`` APPLICATION-DECIDED; twice is as once."""
    async with office.database.write() as transaction:
        await transaction.execute(
            "UPDATE applications SET state = 'withdrawn', decided_at_ms = $3"
            " WHERE merchant_id = $1 AND application_id = $2 AND state = 'waiting'",
            merchant_id, application_id, milliseconds(office.now()),
        )  # fmt: skip
    found = await application(office, merchant_id, application_id)
    if found.state not in (ApplicationState.WITHDRAWN, ApplicationState.EXPIRED):
        raise refuse("APPLICATION-DECIDED")
    return found


async def waiting(office: Office, merchant_id: int) -> list[Application]:
    """What waits for the clerk, oldest first."""
    since = milliseconds(office.now()) - WAIT_DAYS_MAX * _DAY_MS
    rows = await office.database.read(
        SELECT_APPLICATION + " AND a.state = 'waiting' AND a.created_at_ms > $2"
        " ORDER BY a.created_at_ms, a.application_id LIMIT $3",
        merchant_id, since, LIST_MAX,
    )  # fmt: skip
    return [application_of(office, row) for row in rows]


async def waiting_count(office: Office, merchant_id: int) -> int:
    """How many wait for the clerk."""
    since = milliseconds(office.now()) - WAIT_DAYS_MAX * _DAY_MS
    row = await office.database.read_by_key(_COUNT_WAITING, merchant_id, since)
    return int(row[0]) if row else 0


async def decided(office: Office, merchant_id: int, count: int) -> list[Application]:
    """What is no longer waiting, newest first."""
    rows = await office.database.read(
        SELECT_APPLICATION + " AND a.state <> 'waiting' ORDER BY a.created_at_ms DESC LIMIT $2", merchant_id, count
    )
    return [application_of(office, row) for row in rows]


def application_of(office: Office, row: Row) -> Application:
    """An application from a row of ``SELECT_APPLICATION``."""
    now = office.now()
    zone = now.tzinfo

    def moment(ms: int) -> datetime:
        return datetime.fromtimestamp(ms / 1000, zone)

    created_at = moment(row["created_at_ms"])
    expires_at = created_at + timedelta(days=WAIT_DAYS_MAX)
    state = ApplicationState(row["state"])
    if state is ApplicationState.WAITING and expires_at <= now:
        state = ApplicationState.EXPIRED
    return Application(
        merchant_id=row["merchant_id"],
        application_id=row["application_id"],
        static_id=row["static_id"],
        token=office.token(row["merchant_id"], row["application_id"]),
        state=state,
        place=row["place"] or "",
        asked=from_fen(row["asked_fen"]),
        total=from_fen(row["total_fen"]),
        paid_at=moment(row["paid_at_ms"]),
        buyer=msgspec.json.decode(row["buyer"], type=Buyer),
        email=row["email"],
        holder=row["holder"],
        device=row["device"],
        approvals=row["approvals"],
        reason=row["reason"],
        refusals=msgspec.json.decode(row["refusal"], type=tuple[Refusal, ...]) if row["refusal"] else (),
        decided_by=row["decided_by"],
        decided_at=moment(row["decided_at_ms"]) if row["decided_at_ms"] else None,
        created_at=created_at,
        expires_at=expires_at,
        kind=InvoiceKind(row["kind"]),
    )


SELECT_APPLICATION = """
SELECT a.merchant_id, a.application_id, a.static_id, a.state, a.asked_fen, a.total_fen, a.paid_at_ms, a.buyer, a.email,
       a.holder, a.device, a.approvals, a.reason, a.refusal, a.decided_by, a.decided_at_ms, a.created_at_ms, a.kind,
       s.place
FROM applications a LEFT JOIN static_codes s ON s.merchant_id = a.merchant_id AND s.static_id = a.static_id
WHERE a.merchant_id = $1
"""
_ONE = SELECT_APPLICATION + " AND a.application_id = $2"
_LOCK_CODE = "SELECT 1 FROM static_codes t WHERE merchant_id = $1 AND static_id = $2 {for_update}"
_FIND = "SELECT application_id FROM applications WHERE merchant_id = $1 AND apply_key = $2"
_BY_DEVICE = "SELECT count(*) FROM applications WHERE merchant_id = $1 AND device = $2 AND created_at_ms > $3"
_BY_CODE = "SELECT count(*) FROM applications WHERE merchant_id = $1 AND static_id = $2 AND created_at_ms > $3"
# Both kinds of what waits for the clerk: applications, and changes that customers ask for (``code_requests``).
_COUNT_WAITING = """
SELECT (SELECT count(*) FROM applications WHERE merchant_id = $1 AND state = 'waiting' AND created_at_ms > $2)
     + (SELECT count(*) FROM code_requests r JOIN codes c ON c.merchant_id = r.merchant_id AND c.code_id = r.code_id
        WHERE r.merchant_id = $1 AND r.state = 'waiting' AND c.state = 'open' AND r.asked_at_ms > $2)
"""
_INSERT = """
INSERT INTO applications (merchant_id, application_id, static_id, apply_key, state, asked_fen, total_fen, paid_at_ms,
                          buyer, email, holder, device, created_at_ms, kind)
VALUES ($1, $2, $3, $4, 'waiting', $5, $5, $6, $7, $8, $9, $10, $11, $12)
"""
