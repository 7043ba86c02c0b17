"""An invoice as its original states it: what the writer writes and the reader reads."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import msgspec

from .draft import InvoiceKind, LineKind, ZeroKind
from .parties import Buyer, Seller

SANDBOX_PROVINCE = "99"  # no such province: a sandbox number can never be real (einvoice.md §3)


class PricedLine(msgspec.Struct, frozen=True):
    """A line with its tax worked out. ``amount`` and ``unit_price`` are always tax-exclusive; yuan."""

    name: str  # as printed: *餐饮服务*餐费
    code: str
    rate: Decimal
    amount: Decimal
    tax: Decimal
    inclusive: Decimal
    quantity: Decimal | None = None
    unit_price: Decimal | None = None
    unit: str = ""
    spec: str = ""
    kind: LineKind = LineKind.PLAIN
    preference: str = ""
    zero: ZeroKind = ZeroKind.NOT_ZERO


class Totals(msgspec.Struct, frozen=True):
    """合计金额, 合计税额, 价税合计 in yuan, and the last one in words (大写)."""

    amount: Decimal
    tax: Decimal
    inclusive: Decimal
    words: str


class Bureau(msgspec.Struct, frozen=True):
    """The tax bureau that answers for the number. ``tag`` is SWEI and four digits."""

    code: str
    name: str
    tag: str


class RedReference(msgspec.Struct, frozen=True):
    """What a red invoice corrects."""

    blue_number: str
    form_number: str  # 红字发票信息确认单编号


class SignatureBlock(msgspec.Struct, frozen=True):
    """TaxBureauSignature as read. ``value`` is DER SEQUENCE{r, s}; ``key_info`` certificates, DER, signer first."""

    reference: str
    algorithm: str
    format: str
    value: bytes
    key_info: tuple[bytes, ...] = ()


class IssuedInvoice(msgspec.Struct, frozen=True):
    """Everything the original says. ``requested_at`` and ``signed_at`` are aware, Asia/Shanghai, whole seconds."""

    number: str
    kind: InvoiceKind
    seller: Seller
    buyer: Buyer
    lines: tuple[PricedLine, ...]
    totals: Totals
    drawer: str
    remark: str
    requested_at: datetime
    issued_on: date
    signed_at: datetime | None
    bureau: Bureau
    version: str = "0.33"
    red: RedReference | None = None
    additional: tuple[tuple[str, str], ...] = ()
    signature: SignatureBlock | None = None  # only after reading a signed file

    @property
    def sandbox(self) -> bool:
        """True when the number cannot be a real one."""
        return self.number[2:4] == SANDBOX_PROVINCE
