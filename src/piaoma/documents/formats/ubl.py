"""UBL 2.1 after EN 16931: an original as the European core invoice, for trade across the border.

A blue invoice is an Invoice of type 380. A red one is a CreditNote of type 381 with positive amounts: it corrects, it
names what it corrects, and that is how receivers book a correction without a special case. Fields, and what has no
counterpart, stand in docs/formats.md by BT number. Where no conforming document would be true, there is none.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from decimal import Decimal

from piaoma.documents.ticket import SAMPLE_MARK, TITLES
from piaoma.invoice.issued import IssuedInvoice
from piaoma.invoice.original_reader import read
from piaoma.invoice.parties import Party
from piaoma.invoice.rates import PREFERENCES
from piaoma.invoice.refusal import refuse

from .markup import HEAD, leaf, tag
from .ubl_lines import UblLine, fen_of, lines_of
from .ubl_tax import Category, Subtotal, TaxGroup, is_outside, subtotals_of
from .units import ONE

CUSTOMIZATION = "urn:cen.eu:en16931:2017"
INVOICE, CREDIT_NOTE = "380", "381"  # UNTDID 1001
DISCOUNT_REASON = "95"  # UNTDID 5189
NATIONAL_PRODUCT_GROUP = "GN"  # UNTDID 7143
COUNTRY = "CN"

_URN = "urn:oasis:names:specification:ubl:schema:xsd:"
_COUNTRY = re.compile(r"[A-Z]{2}")
_NO_TERMS = "发票未载明付款条件 Payment terms are not stated by the invoice"


def write(original: bytes, buyer_country: str = "") -> bytes:
    """The UBL of an original. ``buyer_country`` is where the buyer is (ISO 3166, two letters), which no original says:
    China when it is empty.

    Raises ``Refused`` as ``original_reader.read``, and UBL-FIELD-MISSING, UBL-FIGURES, UBL-TAX-DIFFERS,
    UBL-UNTAXED-MIXED, UBL-COUNTRY.
    """
    invoice = read(original)
    lines = lines_of(invoice)
    subtotals = subtotals_of(lines)
    _need_fields(invoice)
    _need_sums(invoice, lines)
    country = _country(buyer_country, subtotals)
    outside, buyer = is_outside(subtotals), invoice.buyer
    kind = "CreditNote" if invoice.red else "Invoice"
    document = tag(
        kind,
        leaf("cbc:CustomizationID", CUSTOMIZATION),
        leaf("cbc:ID", invoice.number),
        leaf("cbc:IssueDate", invoice.issued_on.isoformat()),
        leaf(f"cbc:{kind}TypeCode", CREDIT_NOTE if invoice.red else INVOICE),
        *(leaf("cbc:Note", note) for note in _notes(invoice)),
        leaf("cbc:DocumentCurrencyCode", "CNY"),
        _corrected(invoice),
        _original(original),
        tag("cac:AccountingSupplierParty", _party(invoice.seller, COUNTRY, taxed=not outside)),
        tag("cac:AccountingCustomerParty", _party(buyer, country, taxed=not outside, person=buyer.natural_person)),
        tag("cac:PaymentTerms", leaf("cbc:Note", _NO_TERMS)),
        _tax_total(subtotals),
        _totals(lines, subtotals),
        *(_line(line, kind) for line in lines),
        **{
            "xmlns": f"{_URN}{kind}-2",
            "xmlns:cac": f"{_URN}CommonAggregateComponents-2",
            "xmlns:cbc": f"{_URN}CommonBasicComponents-2",
        },
    )
    return f"{HEAD}{document}\n".encode()


def _need_fields(invoice: IssuedInvoice) -> None:
    """What EN 16931 cannot do without; every invoice that was issued here has it."""
    needed = {
        "number": invoice.number,
        "seller.name": invoice.seller.name,
        "seller.taxpayer_id": invoice.seller.taxpayer_id,
        "buyer.name": invoice.buyer.name,
        **{f"lines[{place}].name": line.name for place, line in enumerate(invoice.lines)},
    }
    for field, text in needed.items():
        if not text.strip():
            raise refuse("UBL-FIELD-MISSING", field, have=field)


def _need_sums(invoice: IssuedInvoice, lines: Sequence[UblLine]) -> None:
    """BR-CO-10, 13, 14, 15: totals are sums. The original's own must be these, or one of them is false."""
    sign = -1 if invoice.red else 1
    totals = invoice.totals
    net = sum((line.net for line in lines), Decimal(0)) * sign
    tax = sum((line.tax for line in lines), Decimal(0)) * sign
    if (totals.amount, totals.tax, totals.inclusive) != (net, tax, net + tax):
        raise refuse("UBL-FIGURES", have=f"{totals.amount:f} + {totals.tax:f} = {totals.inclusive:f}")


def _country(wanted: str, subtotals: Sequence[Subtotal]) -> str:
    """Where the buyer is (BT-55). An export goes abroad, and guessing where to would be false."""
    exported = any(subtotal.group.category is Category.EXPORT for subtotal in subtotals)
    if (exported and not wanted) or (wanted and not _COUNTRY.fullmatch(wanted)):
        raise refuse("UBL-COUNTRY", have=wanted[:20])
    return wanted or COUNTRY


def _notes(invoice: IssuedInvoice) -> list[str]:
    """BT-22: what an invoice must say and the standard has no field for; the mark of a test sample first."""
    notes = [f"{SAMPLE_MARK} TEST SAMPLE, NOT VALID"] if invoice.sandbox else []
    notes += [TITLES[invoice.kind], invoice.remark]
    if invoice.red and invoice.red.form_number not in invoice.remark:
        notes.append(f"红字发票信息确认单编号：{invoice.red.form_number}")
    if invoice.drawer:
        notes.append(f"开票人：{invoice.drawer}")
    return notes + [f"{name}：{value}" for name, value in invoice.additional]


def _corrected(invoice: IssuedInvoice) -> str:
    """BG-3: the blue invoice of a red one."""
    blue = invoice.red.blue_number if invoice.red else ""
    return tag("cac:BillingReference", tag("cac:InvoiceDocumentReference", leaf("cbc:ID", blue)))


def _original(original: bytes) -> str:
    """BG-24: the original by its digest. It cannot be attached: BR-CL-24 has no XML among what may be."""
    return tag(
        "cac:AdditionalDocumentReference",
        leaf("cbc:ID", f"sha256:{hashlib.sha256(original).hexdigest()}"),
        leaf("cbc:DocumentDescription", "数电票 XML 原件 The XML original of this invoice"),
    )


def _party(party: Party, country: str, *, taxed: bool, person: bool = False) -> str:
    """BG-4 or BG-7. The id is given bare as the legal registration (BT-30, BT-47; ISO 6523 has no scheme for it that we
    know of) and behind CN as the VAT number (BT-31, BT-48; BR-CO-09). A party abroad has no Chinese VAT number,
    whatever its id; a person has neither: an id card is BT-46."""
    number = party.taxpayer_id
    return tag(
        "cac:Party",
        tag("cac:PartyIdentification", leaf("cbc:ID", number if person else "")),
        tag(
            "cac:PostalAddress",
            leaf("cbc:StreetName", party.address),
            tag("cac:Country", leaf("cbc:IdentificationCode", country)),
        ),
        tag("cac:PartyTaxScheme", leaf("cbc:CompanyID", f"{COUNTRY}{number}"), _VAT)
        if number and taxed and country == COUNTRY and not person
        else "",
        tag(
            "cac:PartyLegalEntity",
            leaf("cbc:RegistrationName", party.name),
            leaf("cbc:CompanyID", "" if person else number),
        ),
        tag("cac:Contact", leaf("cbc:Telephone", party.phone)),
    )


def _tax_total(subtotals: Sequence[Subtotal]) -> str:
    """BT-110 and BG-23."""
    return tag(
        "cac:TaxTotal",
        _money("cbc:TaxAmount", _tax_of(subtotals)),
        *(
            tag(
                "cac:TaxSubtotal",
                _money("cbc:TaxableAmount", subtotal.base),
                _money("cbc:TaxAmount", subtotal.tax),
                _category("cac:TaxCategory", subtotal.group, subtotal.group.reason),
            )
            for subtotal in subtotals
        ),
    )


def _tax_of(subtotals: Sequence[Subtotal]) -> Decimal:
    return sum((subtotal.tax for subtotal in subtotals), Decimal(0))


def _totals(lines: Sequence[UblLine], subtotals: Sequence[Subtotal]) -> str:
    """BG-22. Nothing is said of what was paid, so all of it is due (BT-115)."""
    net = sum((line.net for line in lines), Decimal(0))
    whole = net + _tax_of(subtotals)
    return tag(
        "cac:LegalMonetaryTotal",
        _money("cbc:LineExtensionAmount", net),
        _money("cbc:TaxExclusiveAmount", net),
        _money("cbc:TaxInclusiveAmount", whole),
        _money("cbc:PayableAmount", whole),
    )


def _line(line: UblLine, kind: str) -> str:
    """BG-25."""
    quantity = "cbc:CreditedQuantity" if kind == "CreditNote" else "cbc:InvoicedQuantity"
    return tag(
        f"cac:{kind}Line",
        leaf("cbc:ID", line.place),
        leaf(quantity, f"{line.quantity:f}", unitCode=line.unit),
        _money("cbc:LineExtensionAmount", line.net),
        _allowance(line),
        _item(line),
        tag(
            "cac:Price",
            leaf("cbc:PriceAmount", f"{line.price:f}", currencyID="CNY"),
            leaf("cbc:BaseQuantity", f"{line.price_quantity:f}", unitCode=line.unit)
            if line.price_quantity != 1
            else "",
        ),
    )


def _allowance(line: UblLine) -> str:
    """BG-27: the discount row."""
    if not line.discount:
        return ""
    return tag(
        "cac:AllowanceCharge",
        leaf("cbc:ChargeIndicator", "false"),
        leaf("cbc:AllowanceChargeReasonCode", DISCOUNT_REASON),
        leaf("cbc:AllowanceChargeReason", "折扣"),
        _money("cbc:Amount", line.discount),
        _money("cbc:BaseAmount", line.gross),
    )


def _item(line: UblLine) -> str:
    """BG-31, and as attributes (BG-32) what has no field: specification, unit without a code, preference mark."""
    row = line.row
    return tag(
        "cac:Item",
        leaf("cbc:Name", row.name),
        tag(
            "cac:CommodityClassification",
            leaf("cbc:ItemClassificationCode", row.code, listID=NATIONAL_PRODUCT_GROUP),
        ),
        _category("cac:ClassifiedTaxCategory", line.group),
        _attribute("规格型号", row.spec),
        _attribute("单位", row.unit if line.unit == ONE or not row.quantity else ""),
        _attribute("优惠政策标识", _preference(row.preference)),
    )


def _preference(mark: str) -> str:
    return f"{mark} {PREFERENCES[mark][0]}" if mark in PREFERENCES else mark


def _attribute(name: str, value: str) -> str:
    if not value.strip():
        return ""
    return tag("cac:AdditionalItemProperty", leaf("cbc:Name", name), leaf("cbc:Value", value))


def _category(name: str, group: TaxGroup, reason: str = "") -> str:
    percent = "" if group.percent is None else f"{group.percent:f}"
    return tag(
        name,
        leaf("cbc:ID", group.category.value),
        leaf("cbc:Percent", percent),
        leaf("cbc:TaxExemptionReason", reason),
        _VAT,
    )


def _money(name: str, amount: Decimal) -> str:
    return leaf(name, f"{fen_of(amount):.2f}", currencyID="CNY")


_VAT = tag("cac:TaxScheme", leaf("cbc:ID", "VAT"))
