"""XBRL: what the receiver's books take over of an invoice (电子凭证会计数据标准, 接收端入账信息).

A draft. Namespace, elements and types follow einvoice.md §1 and a published list of the elements of the trial version
[L]; the taxonomy itself was not at hand, so nothing here was validated against it. Bookings (凭证, 科目) are what the
buyer's program adds: an original knows none, and none is written. See docs/formats.md.
"""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal, InvalidOperation

import msgspec
from lxml import etree

from piaoma.documents.ticket import SAMPLE_MARK
from piaoma.invoice.issued import IssuedInvoice
from piaoma.invoice.original_reader import parse_bounded
from piaoma.invoice.original_reader import read as read_original
from piaoma.invoice.refusal import refuse

from .markup import HEAD, leaf, tag

EINV = "http://xbrl.mof.gov.cn/taxonomy/2023-12-31/einv"
ENTRY_POINT = "einv_entry_point_2023-12-31.xsd"
ENTITY_SCHEME = "http://xbrl.mof.gov.cn"
XBRLI = "http://www.xbrl.org/2003/instance"
_ROLES = "http://www.xbrl.org/2003"

_EINV_OF_ANY_DAY = re.compile(r"http://xbrl\.mof\.gov\.cn/taxonomy/[^/{}]{1,20}/einv")
_YES, _NO = ("true", "1", "y", "是"), ("false", "0", "n", "否", "")
_FROM_ISSUER = "由开票原件生成，只含发票信息，未入账；入账信息由会计核算软件补充。"


class EinvFacts(msgspec.Struct, frozen=True):
    """What an instance states of the invoice itself. Amounts in yuan; empty or None where it does not say."""

    number: str
    seller_name: str
    seller_id: str
    amount: Decimal
    tax: Decimal
    inclusive: Decimal
    requested_on: date | None
    red: bool
    entity_id: str
    entity_name: str


def write(original: bytes) -> bytes:
    """The instance for the buyer of an original. Raises ``Refused`` as ``original_reader.read``, and XBRL-NO-ENTITY
    for a buyer who keeps no books under a taxpayer id."""
    invoice = read_original(original)
    buyer = invoice.buyer
    if buyer.natural_person or not buyer.taxpayer_id.strip() or not invoice.number.strip():
        raise refuse("XBRL-NO-ENTITY", "buyer.taxpayer_id")
    document = tag(
        "xbrli:xbrl",
        f'<link:schemaRef xlink:type="simple" xlink:href="{ENTRY_POINT}"/>',
        _context(invoice),
        tag("xbrli:unit", leaf("xbrli:measure", "iso4217:CNY"), id="CNY"),
        *_facts(invoice),
        _footnotes(invoice),
        **{
            "xmlns:xbrli": XBRLI,
            "xmlns:link": f"{_ROLES}/linkbase",
            "xmlns:xlink": "http://www.w3.org/1999/xlink",
            "xmlns:iso4217": f"{_ROLES}/iso4217",
            "xmlns:einv": EINV,
        },
    )
    return f"{HEAD}{document}\n".encode()


def read(data: bytes) -> EinvFacts:
    """What an instance says, of any program and any day's taxonomy: prefixes, order, contexts, yes and no as they come.

    Raises ``Refused`` as ``original_reader.parse_bounded``, and XBRL-NOT-EINV when it is no instance of the standard or
    lacks a figure.
    """
    root = parse_bounded(data)
    found: dict[str, str] = {}
    for element in root.iter(etree.Element):
        name = etree.QName(element)
        if name.namespace and _EINV_OF_ANY_DAY.fullmatch(name.namespace):
            found.setdefault(name.localname, (element.text or "").strip())
    if root.tag != f"{{{XBRLI}}}xbrl" or not found:
        raise refuse("XBRL-NOT-EINV", have=str(root.tag)[:80])
    return EinvFacts(
        number=found.get("InvoiceNumber", ""),
        seller_name=found.get("SellerName", ""),
        seller_id=found.get("SellerIdNum", ""),
        amount=_figure(found, "TotalAmWithoutTax"),
        tax=_figure(found, "TotalTaxAm"),
        inclusive=_figure(found, "TotalTax-includedAmount"),
        requested_on=_day(found, "RequestTime"),
        red=_is_so(found, "WhetherEinvoiceIsRedEinvoice"),
        entity_id=found.get("UnifiedSocialCreditCodeOfAccountingEntity", ""),
        entity_name=found.get("NameOfAccountingEntity", ""),
    )


def _context(invoice: IssuedInvoice) -> str:
    """One for all facts: the buyer, on the day of issue."""
    return tag(
        "xbrli:context",
        tag("xbrli:entity", leaf("xbrli:identifier", invoice.buyer.taxpayer_id, scheme=ENTITY_SCHEME)),
        tag("xbrli:period", leaf("xbrli:instant", invoice.issued_on.isoformat())),
        id="issued",
    )


def _facts(invoice: IssuedInvoice) -> list[str]:
    """In the order of the list of elements. A yes or no that the original does not know is not written."""
    return [
        leaf("einv:InvoiceNumber", invoice.number, contextRef="issued", id="number"),
        _said("SellerName", invoice.seller.name),
        _said("SellerIdNum", invoice.seller.taxpayer_id),
        _money("TotalAmWithoutTax", invoice.totals.amount),
        _money("TotalTaxAm", invoice.totals.tax),
        _money("TotalTax-includedAmount", invoice.totals.inclusive),
        _said("RequestTime", invoice.requested_at.date().isoformat()),
        _said("WhetherEinvoiceIsRedEinvoice", "true" if invoice.red else "false"),
        _said("UnifiedSocialCreditCodeOfAccountingEntity", invoice.buyer.taxpayer_id),
        _said("NameOfAccountingEntity", invoice.buyer.name),
    ]


def _said(name: str, text: str) -> str:
    return leaf(f"einv:{name}", text, contextRef="issued")


def _money(name: str, amount: Decimal) -> str:
    """``decimals`` is INF: the figure is exact, not rounded."""
    return leaf(f"einv:{name}", f"{amount:f}", contextRef="issued", unitRef="CNY", decimals="INF")


def _footnotes(invoice: IssuedInvoice) -> str:
    """Where the file comes from, and that a test sample is one: a comment would be lost in the first program."""
    mark = f"{SAMPLE_MARK}，不得入账。" if invoice.sandbox else ""
    footnote = leaf(
        "link:footnote", f"{mark}{_FROM_ISSUER}",
        **{"xlink:type": "resource", "xlink:label": "note", "xlink:role": f"{_ROLES}/role/footnote", "xml:lang": "zh"},
    )  # fmt: skip
    arcrole = f"{_ROLES}/arcrole/fact-footnote"
    return tag(
        "link:footnoteLink",
        '<link:loc xlink:type="locator" xlink:href="#number" xlink:label="invoice"/>',
        footnote,
        f'<link:footnoteArc xlink:type="arc" xlink:arcrole="{arcrole}" xlink:from="invoice" xlink:to="note"/>',
        **{"xlink:type": "extended", "xlink:role": f"{_ROLES}/role/link"},
    )


def _figure(found: dict[str, str], name: str) -> Decimal:
    text = found.get(name, "").replace(",", "")
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise refuse("XBRL-NOT-EINV", name, have=f"{name} {text[:40]}") from None
    if not value.is_finite():
        raise refuse("XBRL-NOT-EINV", name, have=f"{name} {text[:40]}")
    return value


def _day(found: dict[str, str], name: str) -> date | None:
    """The day of a date or a moment."""
    try:
        return date.fromisoformat(found.get(name, "")[:10])
    except ValueError:
        return None


def _is_so(found: dict[str, str], name: str) -> bool:
    text = found.get(name, "").lower()
    if text not in (*_YES, *_NO):
        raise refuse("XBRL-NOT-EINV", name, have=f"{name} {text[:40]}")
    return text in _YES
