"""An invoice and a red form in the fields of 乐企 (channels.md): everything from the original, nothing from elsewhere.

Names and numberings are those of the platform. A field that an invoice has nothing for is left out, but for those that
channels.md names as always there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal

from piaoma.invoice.draft import ZeroKind
from piaoma.invoice.issued import IssuedInvoice, PricedLine
from piaoma.invoice.money import from_fen
from piaoma.invoice.red import items
from piaoma.invoice.red_form import Side

from ..contract import MonthSum, RedFormRequest

BLUE, RED = "0", "1"
SIDES = {Side.SELLER: "0", Side.BUYER: "1"}
# What stands for a zero in a line that is exempt or not taxed; how the platform wants 出口零税率 is not known [U].
ZERO_MARKS = {ZeroKind.EXEMPT: "03", ZeroKind.UNTAXED: "04"}
_DIFFERENCE = re.compile(r"差额征税：(\d+\.\d\d) 元。")
_FULL_DIFFERENCE = "差额征税-全额开票。"


def uploaded(
    invoice: IssuedInvoice, platform: str, form_uuid: str = "", blue_lines: Sequence[str] = ()
) -> dict[str, object]:
    """The fields of QDFPSC. ``form_uuid`` and ``blue_lines`` (of the blue invoice, by number) belong to a red one."""
    red, seller, buyer = invoice.red, invoice.seller, invoice.buyer
    difference = _DIFFERENCE.search(invoice.remark)
    mode = "02" if difference else "01" if _FULL_DIFFERENCE in invoice.remark else ""
    fields: dict[str, object] = {
        "fphm": invoice.number,
        "lzfpbz": BLUE if red is None else RED,
        "ptbh": platform,
        "fppz": invoice.kind.value,
        "gmfzrrbz": "Y" if buyer.natural_person else "N",
        "cezslxDm": mode,
        "xsfnsrsbh": seller.taxpayer_id,
        "xsfmc": seller.name,
        "xsfdz": seller.address,
        "xsfdh": seller.phone,
        "xsfkhh": seller.bank,
        "xsfzh": seller.account,
        "gmfnsrsbh": buyer.taxpayer_id,
        "gmfmc": buyer.name,
        "gmfdz": buyer.address,
        "gmfdh": buyer.phone,
        "gmfkhh": buyer.bank,
        "gmfzh": buyer.account,
        "hjje": invoice.totals.amount,
        "hjse": invoice.totals.tax,
        "jshj": invoice.totals.inclusive,
        "kpr": invoice.drawer,
        "bz": invoice.remark,
        "kprq": invoice.requested_at.replace(tzinfo=None).isoformat(" ", "seconds"),
        "sfzsxsfyhzhbq": _yes("销方开户行" in invoice.remark or "销方开户银行" in invoice.remark),
        "sfzsgmfyhzhbq": _yes("购方开户行" in invoice.remark or "购方开户银行" in invoice.remark),
        "fpmxList": [
            _line(place, line, difference[1] if difference and len(invoice.lines) == 1 else "", blue_line)
            for (place, line), blue_line in zip(
                enumerate(invoice.lines, 1), blue_lines or [""] * len(invoice.lines), strict=True
            )
        ],
    }
    if red is not None:
        fields |= {"dylzfphm": red.blue_number, "hzqrxxdbh": red.form_number, "hzqrduuid": form_uuid}
    return fields


def _line(place: int, line: PricedLine, deduction: str, blue_line: str) -> dict[str, object]:
    _, _, rest = line.name.partition("*")
    short, _, name = rest.rpartition("*")
    fields: dict[str, object] = {
        "mxxh": str(place),
        "xmmc": name or line.name,
        "hwhyslwfwmc": line.name,
        "spfwjc": short,
        "ggxh": line.spec,
        "dw": line.unit,
        "je": line.amount,
        "slv": line.rate,
        "se": line.tax,
        "hsje": line.inclusive,
        "kce": deduction,
        "sphfwssflhbbm": line.code,
        "fphxz": line.kind.value,
        "yhzcbs": line.preference or ZERO_MARKS.get(line.zero, ""),
    }
    if line.quantity is not None:
        fields["sl"] = line.quantity
    if line.unit_price is not None:
        fields["dj"] = line.unit_price
    if blue_line:
        fields["dylzfpmxxh"] = blue_line
    return fields


def applied(request: RedFormRequest) -> dict[str, object]:
    """The fields of QDHZQRDSQ."""
    blue, named = request.blue, items(request.blue)
    return {
        "lrfsf": SIDES[request.raised_by],
        "xsfnsrsbh": blue.seller.taxpayer_id,
        "xsfmc": blue.seller.name,
        "gmfnsrsbh": blue.buyer.taxpayer_id,
        "gmfmc": blue.buyer.name,
        "lzfphm": blue.number,
        "sfzzfpbz": "N",
        "lzkprq": blue.requested_at.replace(tzinfo=None).isoformat(" ", "seconds"),
        "lzhjje": blue.totals.amount,
        "lzhjse": blue.totals.tax,
        "lzfppzDm": blue.kind.value,
        **sums_of(request),
        "chyyDm": request.reason.value,
        "hzqrdmxList": [
            {
                "lzmxxh": str(line.place + 1),
                "xh": str(place),
                "sphfwssflhbbm": named[line.place].code,
                "hwhyslwfwmc": named[line.place].name,
                "xmmc": named[line.place].name.rpartition("*")[2],
                **({"fpspsl": line.quantity} if line.quantity is not None else {}),
                "je": line.amount,
                "sl1": named[line.place].rate,
                "se": line.tax,
            }
            for place, line in enumerate(request.lines, 1)
        ],
    }


def sums_of(request: RedFormRequest) -> dict[str, Decimal]:
    """What a form takes back, in all: with the blue invoice's number, all that finds it again."""
    zero = Decimal("0.00")
    return {
        "hzcxje": sum((line.amount for line in request.lines), zero),
        "hzcxse": sum((line.tax for line in request.lines), zero),
    }


def summed(taxpayer_id: str, month: str, sums: Sequence[MonthSum], platform: str) -> dict[str, object]:
    """The fields of SCFPHZQRXX, which knows colours and no kinds."""
    fields: dict[str, object] = {"xsfnsrsbh": taxpayer_id, "ywlx": "0", "ptbh": platform, "yf": month}
    for colour, names in (("blue", SUMMED[:3]), ("red", SUMMED[3:])):
        ours = [one for one in sums if one.colour == colour]
        fields[names[0]] = str(sum(one.invoices for one in ours))
        fields[names[1]] = from_fen(sum(one.amount_fen for one in ours))
        fields[names[2]] = from_fen(sum(one.tax_fen for one in ours))
    return fields


SUMMED = ("lzfpsl", "lzfpje", "lzfpse", "hzfpsl", "hzfpje", "hzfpse")


def same_figures(one: Mapping[str, object], other: Mapping[str, object]) -> bool:
    """Whether two summaries state the same; ``Decimal`` compares 5 and 5.00 alike."""
    try:
        return all(Decimal(str(one[name])) == Decimal(str(other[name])) for name in SUMMED)
    except (KeyError, ArithmeticError):
        return False


def _yes(holds: bool) -> str:
    return "Y" if holds else "N"
