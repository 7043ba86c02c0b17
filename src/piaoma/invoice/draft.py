"""What somebody wants to have invoiced, before any rule has looked at it: 草稿."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec

from .parties import Buyer, Seller


class InvoiceKind(StrEnum):
    """发票种类. Values are the LabelCode of GeneralOrSpecialVAT."""

    SPECIAL = "01"  # 电子发票（增值税专用发票）
    GENERAL = "02"  # 电子发票（普通发票）


class Pricing(StrEnum):
    """Whether amounts and unit prices of a draft include the tax."""

    INCLUSIVE = "inclusive"  # 含税
    EXCLUSIVE = "exclusive"  # 不含税


class ZeroKind(StrEnum):
    """The four faces of a rate of zero."""

    NOT_ZERO = ""
    EXPORT = "export"  # 出口零税率
    EXEMPT = "exempt"  # 免税
    UNTAXED = "untaxed"  # 不征税
    ORDINARY = "ordinary"  # 普通零税率


class LineKind(StrEnum):
    """发票行性质 as 乐企 numbers it (fphxz)."""

    PLAIN = "00"
    DISCOUNT = "01"  # 折扣行: follows its item directly, amount negative
    DISCOUNTED = "02"  # 被折扣行


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """项目行. ``amount`` and ``unit_price`` are in the pricing of the draft. Money has two decimals, in yuan."""

    name: str  # 商品名称, without the short name between asterisks
    code: str  # 19-digit classification code (商品和服务税收分类编码)
    rate: Decimal  # 0.06; a levy rate (征收率) likewise
    amount: Decimal
    quantity: Decimal | None = None
    unit_price: Decimal | None = None
    unit: str = ""
    spec: str = ""
    kind: LineKind = LineKind.PLAIN
    preference: str = ""  # 优惠政策标识, two digits, empty when none
    zero: ZeroKind = ZeroKind.NOT_ZERO


class Deduction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One voucher (凭证) deducted under 差额征税. ``amount`` in yuan."""

    kind: str  # 凭证类型, as the platform numbers it
    amount: Decimal
    number: str = ""
    remark: str = ""


class DifferenceMode(StrEnum):
    """How 差额征税 is invoiced. That there are these two is certain [C]."""

    FULL = "01"  # 差额征税-全额开票: tax on the whole amount; the deduction is made in the seller's return only [L]
    DIFFERENCE = "02"  # 差额征税-差额开票: tax on the amount less the deduction [C]


class Difference(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """差额征税: the seller owes tax on the amount less the deduction; ``mode`` says what the invoice shows of it.

    Whether the platform wants the vouchers in either mode is not known [U]: when they are given, they must add up.
    """

    mode: DifferenceMode
    deduction: Decimal  # 扣除额, yuan
    vouchers: tuple[Deduction, ...] = ()


class Draft(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole wish. A draft that passed ``rules.check`` can be priced and issued."""

    kind: InvoiceKind
    seller: Seller
    buyer: Buyer
    lines: tuple[Line, ...]
    pricing: Pricing = Pricing.INCLUSIVE
    drawer: str = ""  # 开票人
    remark: str = ""
    print_seller_bank: bool = False  # address, phone, bank, account of the seller in the remark
    print_buyer_bank: bool = False
    difference: Difference | None = None
    total_inclusive: Decimal | None = None  # what the sender believes; compared, never used
    words: str | None = None  # 大写 as the sender believes; compared, never used
