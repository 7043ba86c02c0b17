"""Who sells and who buys: 销售方 and 购买方."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class TaxpayerKind(StrEnum):
    """纳税人类型. Values are the LabelCode of the original's TaxpayerType."""

    GENERAL = "1"  # 一般纳税人
    SMALL_SCALE = "2"  # 小规模纳税人; the code 2 is uncertain (einvoice.md §1)
    REGISTERED_SMALL_SCALE = "3"  # 转登记小规模纳税人


class Party(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an invoice says of either side. All but the name may be empty."""

    name: str
    taxpayer_id: str = ""  # 统一社会信用代码/纳税人识别号, without spaces, upper case
    address: str = ""
    phone: str = ""
    bank: str = ""  # 开户银行
    account: str = ""  # 银行账号


class Seller(Party, frozen=True, forbid_unknown_fields=True):
    """销售方."""

    taxpayer_kind: TaxpayerKind = TaxpayerKind.GENERAL


class Buyer(Party, frozen=True, forbid_unknown_fields=True):
    """购买方. A natural person has no 专票 and needs no id."""

    natural_person: bool = False
