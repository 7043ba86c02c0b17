"""Tax rates, levy rates and preference marks (税率, 征收率, 优惠政策标识) that hold on a day.

Source: tax-rules.md, Rates; its marks of certainty are repeated here.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from .draft import ZeroKind
from .parties import TaxpayerKind

ZERO = Decimal("0")
GENERAL_RATES = (Decimal("0.13"), Decimal("0.09"), Decimal("0.06"), ZERO)
LEVY_3, LEVY_1, LEVY_5, LEVY_1_5 = Decimal("0.03"), Decimal("0.01"), Decimal("0.05"), Decimal("0.015")
LEVY_4 = Decimal("0.04")  # only beside mark 01

# Small-scale taxpayers pay 1 % instead of 3 % on these days, and must then invoice 1 %.
REDUCED_LEVY_FROM, REDUCED_LEVY_TO = date(2026, 1, 1), date(2027, 12, 31)

# 优惠政策标识 [C]. The rates that a mark goes with; an empty tuple leaves the rate free.
PREFERENCES: dict[str, tuple[str, tuple[Decimal, ...]]] = {
    "01": ("简易征收", (LEVY_3, LEVY_4, LEVY_5)),
    "02": ("稀土产品", ()),
    "03": ("免税", (ZERO,)),
    "04": ("不征税", (ZERO,)),
    "05": ("先征后退", ()),
    "06": ("100%先征后退", ()),
    "07": ("50%先征后退", ()),
    "08": ("按3%简易征收", (LEVY_3,)),
    "09": ("按5%简易征收", (LEVY_5,)),
    "10": ("按5%简易征收减按1.5%计征", (LEVY_1_5,)),
    "11": ("即征即退30%", ()),
    "12": ("即征即退50%", ()),
    "13": ("即征即退70%", ()),
    "14": ("即征即退100%", ()),
    "15": ("超税负3%即征即退", ()),
    "16": ("超税负8%即征即退", ()),
    "17": ("超税负12%即征即退", ()),
    "18": ("超税负6%即征即退", ()),
}
ZERO_OF_PREFERENCE = {"03": ZeroKind.EXEMPT, "04": ZeroKind.UNTAXED}


def is_known(rate: Decimal) -> bool:
    """Whether any taxpayer may use this rate in any case."""
    return rate in GENERAL_RATES or rate in (LEVY_1, LEVY_1_5, LEVY_3, LEVY_4, LEVY_5)


def small_scale_levy(on: date) -> Decimal:
    """The levy rate that a small-scale taxpayer invoices on a day."""
    return LEVY_1 if REDUCED_LEVY_FROM <= on <= REDUCED_LEVY_TO else LEVY_3


def is_small_scale(kind: TaxpayerKind) -> bool:
    """小规模纳税人, registered as such or moved there."""
    return kind is not TaxpayerKind.GENERAL


def printed(rate: Decimal, zero: ZeroKind = ZeroKind.NOT_ZERO) -> str:
    """The rate column of the form: 6%, 1.5%, 免税, 不征税 (the last two [U])."""
    if zero is ZeroKind.EXEMPT:
        return "免税"
    if zero is ZeroKind.UNTAXED:
        return "不征税"
    return f"{(rate * 100).normalize():f}%"
