"""The merchant (商户): its profile (开票资料), and the quota (额度) of this month."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from piaoma.channels import Unavailable
from piaoma.invoice.money import from_fen, to_fen
from piaoma.invoice.parties import Seller, TaxpayerKind
from piaoma.invoice.refusal import Refused, refuse, refuse_all
from piaoma.invoice.rules import text
from piaoma.store import Row, month_of, set_quota, used_of_quota

from .events import Actor, record

if TYPE_CHECKING:
    from .office import Office


QUOTA_WAIT_SECONDS = 2.0  # that a page waits for the channel before it shows what it was told last


class Merchant(msgspec.Struct, frozen=True):
    """A merchant as it stands now."""

    merchant_id: int
    name: str
    taxpayer_id: str
    taxpayer_kind: TaxpayerKind
    shop_name: str
    address: str
    phone: str
    bank: str
    account: str
    drawer: str
    state: str
    verified: bool
    no_special: bool = False  # the tax authority opened no 专票 to it
    special_requests: bool = False  # its customers may ask for a 专票

    @property
    def seller(self) -> Seller:
        """As the selling party of an invoice."""
        return Seller(
            self.name, self.taxpayer_id, self.address, self.phone, self.bank, self.account, self.taxpayer_kind
        )

    @property
    def missing(self) -> tuple[str, ...]:
        """Fields of the profile that are still empty, in the order of the form."""
        return tuple(field for field in PROFILE_FIELDS if not getattr(self, field))


PROFILE_FIELDS = ("shop_name", "address", "phone", "bank", "account", "drawer")
PROFILE_CHOICES = ("no_special", "special_requests")
_LIMITS = {
    "shop_name": text.NAME_MAX,
    "address": text.ADDRESS_MAX,
    "phone": text.PHONE_MAX,
    "bank": text.BANK_MAX,
    "account": text.ACCOUNT_MAX,
    "drawer": text.DRAWER_MAX,
}


class Profile(msgspec.Struct, frozen=True):
    """What the owner may change. Issued invoices are never touched by it."""

    shop_name: str
    address: str = ""
    phone: str = ""
    bank: str = ""
    account: str = ""
    drawer: str = ""
    no_special: bool = False
    special_requests: bool = False


class Quota(msgspec.Struct, frozen=True):
    """A month's quota, tax-exclusive yuan."""

    month: str
    limit: Decimal
    issued: Decimal
    reserved: Decimal

    @property
    def left(self) -> Decimal:
        return self.limit - self.issued - self.reserved


MERCHANT_COLUMNS = """m.merchant_id, m.name, m.taxpayer_id, m.taxpayer_kind, m.shop_name, m.address, m.phone, m.bank,
                      m.account, m.drawer, m.state, m.verified_at_ms, m.no_special, m.special_requests"""
_ONE_MERCHANT = f"SELECT {MERCHANT_COLUMNS} FROM merchants m WHERE m.merchant_id = $1"  # noqa: S608


async def merchant(office: Office, merchant_id: int) -> Merchant:
    """Raises ``Refused`` MERCHANT-NOT-FOUND."""
    row = await office.database.read_by_key(_ONE_MERCHANT, merchant_id)
    if row is None:
        raise refuse("MERCHANT-NOT-FOUND")
    return merchant_of(row)


def merchant_of(row: Row) -> Merchant:
    """A merchant from a row that begins with ``MERCHANT_COLUMNS``."""
    return Merchant(
        row[0], row[1], row[2], TaxpayerKind(row[3]), row[4], row[5], row[6], row[7], row[8], row[9], row[10],
        row[11] is not None, bool(row[12]), bool(row[13]),
    )  # fmt: skip


async def change_profile(office: Office, by: Actor, profile: Profile) -> Merchant:
    """Change the profile; before and after stand in the trail. Raises ``Refused`` with every fault at its field."""
    faults = []
    for field, length_max in _LIMITS.items():
        faults += text.check(getattr(profile, field), field, length_max, required=field in ("shop_name", "drawer"))
    refuse_all(faults)
    async with office.database.write() as transaction:
        columns = ", ".join((*PROFILE_FIELDS, *PROFILE_CHOICES))
        rows = await transaction.fetch(f"SELECT {columns} FROM merchants WHERE merchant_id = $1", by.merchant_id)  # noqa: S608
        before = {field: rows[0][field] for field in (*PROFILE_FIELDS, *PROFILE_CHOICES)}
        after = {field: getattr(profile, field).strip() for field in PROFILE_FIELDS}
        after |= {field: int(getattr(profile, field)) for field in PROFILE_CHOICES}
        await transaction.execute(
            "UPDATE merchants SET shop_name = $2, address = $3, phone = $4, bank = $5, account = $6, drawer = $7,"
            " no_special = $8, special_requests = $9 WHERE merchant_id = $1",
            by.merchant_id, *after.values(),
        )  # fmt: skip
        await record(transaction, by, office.now(), "profile.change", before=before, after=after)
    return await merchant(office, by.merchant_id)


async def quota(office: Office, merchant: Merchant, needed: Decimal = Decimal(0)) -> Quota | None:
    """This month's quota, with the limit as the channel tells it now, or as it told it last; None when it never did.
    ``needed`` is what shall still fit into it, in yuan: a channel that gives quota in blocks then takes another."""
    month = month_of(office.now())
    used_fen = await used_of_quota(office.database, merchant.merchant_id, month) if needed else 0
    try:
        needed_fen = max(0, used_fen + to_fen(needed))
        asking = office.channel.get_quota(merchant.taxpayer_id, month, needed_fen)
        limit_fen = await asyncio.wait_for(asking, QUOTA_WAIT_SECONDS)
    except (Unavailable, Refused, TimeoutError):
        limit_fen = None
    select = "SELECT limit_fen, issued_fen, reserved_fen FROM quotas WHERE merchant_id = $1 AND month = $2"
    rows = await office.database.read(select, merchant.merchant_id, month)
    if limit_fen is not None and (not rows or rows[0][0] != limit_fen):
        await set_quota(office.database, merchant.merchant_id, month, limit_fen)
        rows = await office.database.read(select, merchant.merchant_id, month)
    if not rows:
        return None
    return Quota(month, from_fen(rows[0][0]), from_fen(rows[0][1]), from_fen(rows[0][2]))
