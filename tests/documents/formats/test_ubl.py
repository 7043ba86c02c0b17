"""UBL: valid by the XSD of UBL 2.1 and the rules of EN 16931, true to the original, or refused with a cause."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import msgspec
import pytest
from hypothesis import event, given, settings
from lxml import etree

from piaoma.documents.formats import ubl
from piaoma.invoice.draft import Difference, DifferenceMode, Pricing, ZeroKind
from piaoma.invoice.issued import IssuedInvoice
from piaoma.invoice.money import round_fen
from piaoma.invoice.original_reader import read
from piaoma.invoice.parties import Buyer
from piaoma.invoice.refusal import Refused
from tests.documents.formats.examples import PERSON, draft_of, invoices, issued, kept, line, reversed_of
from tests.documents.formats.receivers import faults
from tests.invoice.test_original import file_of

NAMES = {
    "cac": "urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2",
    "cbc": "urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2",
}


def texts(document: bytes, path: str) -> list[str]:
    """The texts at a path, by a reader of XML."""
    root = etree.fromstring(document)
    return [str(found.text or "") for found in root.findall(path, NAMES)]


def cause_of(invoice: IssuedInvoice, country: str = "") -> str:
    with pytest.raises(Refused) as caught:
        ubl.write(file_of(invoice), country)
    return caught.value.refusals[0].cause


@settings(max_examples=100, deadline=None)
@given(invoices())
def test_every_invoice_conforms_or_is_refused(invoice: IssuedInvoice) -> None:
    """No failed rule, not even a warning; payable, tax and lines are the original's; twice is the same bytes.

    Only 不征税 beside others, a tax that differs, and a red 差额征税 (whose deduction it does not state) have no UBL.
    """
    data = file_of(invoice)
    try:
        document = ubl.write(data)
    except Refused as refused:
        event("refused")
        causes = {refusal.cause for refusal in refused.refusals}
        if causes <= {"UBL-UNTAXED-MIXED", "UBL-TAX-DIFFERS"}:
            return
        raise
    assert faults(document) == []
    assert ubl.write(data) == document
    stated, sign = read(data), -1 if invoice.red else 1
    assert texts(document, ".//cbc:PayableAmount") == [f"{stated.totals.inclusive * sign:.2f}"]
    assert texts(document, "cac:TaxTotal/cbc:TaxAmount") == [f"{stated.totals.tax * sign + 0:.2f}"]
    places = texts(document, "./{*}InvoiceLine/cbc:ID") + texts(document, "./{*}CreditNoteLine/cbc:ID")
    names = texts(document, ".//cac:Item/cbc:Name")
    assert names == [stated.lines[int(place.partition(".")[0]) - 1].name for place in places]
    assert texts(document, ".//cac:PartyLegalEntity/cbc:RegistrationName") == [stated.seller.name, stated.buyer.name]


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        (b">5.88<", b">7.88<", "BR-CO-14"),
        (b">370.50</cbc:LineExtensionAmount>", b">370.51</cbc:LineExtensionAmount>", "BR-CO-10"),
        (b">CN91420100MA4K00000Q<", b">91420100MA4K00000Q<", "BR-CO-09"),
        (b'unitCode="KGM"', b'unitCode="KILO"', "BR-CL-23"),
        (b"<cbc:PriceAmount currencyID=\"CNY\">100<", b"<cbc:PriceAmount currencyID=\"CNY\">-100<", "BR-27"),
        (b"urn:cen.eu:en16931:2017", b"", "BR-01"),
    ],
)  # fmt: skip
def test_the_rules_notice_what_is_wrong(old: bytes, new: bytes, rule: str) -> None:
    """The control: the rules of the receivers do look at our file, and a spoilt one fails by its rule."""
    document = ubl.write(file_of(kept()["dinner"]))
    spoilt = document.replace(old, new)
    if rule == "BR-CO-14":
        spoilt = document.replace(b"17.83</cbc:TaxAmount>", b"18.83</cbc:TaxAmount>", 1)
    assert spoilt != document
    assert any(fault.startswith(f"{rule} ") for fault in faults(spoilt)), faults(spoilt)


@pytest.mark.parametrize(
    ("zero", "category", "percent"),
    [
        (ZeroKind.EXEMPT, "E", ["0"]),
        (ZeroKind.ORDINARY, "Z", ["0"]),
        (ZeroKind.UNTAXED, "O", []),
        (ZeroKind.EXPORT, "G", ["0"]),
    ],
)
def test_each_face_of_zero_has_its_category(zero: ZeroKind, category: str, percent: list[str]) -> None:
    """E, Z, O and G; each with the reason that the standard wants of it, and conforming."""
    document = ubl.write(file_of(issued(draft_of(line("88.00", "0", zero=zero)))), "DE")
    assert faults(document) == []
    assert texts(document, ".//cac:TaxCategory/cbc:ID") == [category]
    assert texts(document, ".//cac:TaxCategory/cbc:Percent") == percent
    assert bool(texts(document, ".//cbc:TaxExemptionReason")) is (zero is not ZeroKind.ORDINARY)
    vat_numbers = texts(document, ".//cac:PartyTaxScheme/cbc:CompanyID")
    assert bool(vat_numbers) is (zero is not ZeroKind.UNTAXED), "BR-O-02: who is outside VAT has no number of it"


def test_untaxed_rows_beside_others_have_no_ubl() -> None:
    """BR-O-11: there is no such document."""
    mixed = draft_of(line("88.00", "0", zero=ZeroKind.UNTAXED), line("10.00"))
    assert cause_of(issued(mixed)) == "UBL-UNTAXED-MIXED"


def test_an_export_needs_the_country_it_goes_to() -> None:
    """The original does not say it, and China would be false. What is no code of a country is refused as well."""
    export = issued(draft_of(line("88.00", "0", zero=ZeroKind.EXPORT)))
    assert cause_of(export) == cause_of(export, "germany") == cause_of(export, "d<") == "UBL-COUNTRY"
    document = ubl.write(file_of(export), "DE")
    assert texts(document, ".//cbc:IdentificationCode") == ["CN", "DE"]
    numbers = texts(document, ".//cac:PartyTaxScheme/cbc:CompanyID")
    assert numbers == ["CN91420100MA4K00000Q"], "who is abroad has no Chinese VAT number"
    assert texts(ubl.write(file_of(kept()["dinner"])), ".//cbc:IdentificationCode") == ["CN", "CN"]


def test_a_discount_is_an_allowance_of_its_item() -> None:
    """Two rows of the original are one line: gross 300, less 30; and the number of the next one is the original's."""
    document = ubl.write(file_of(kept()["dinner"]))
    assert texts(document, "cac:InvoiceLine/cbc:ID") == ["1", "3", "4"]
    assert texts(document, ".//cac:AllowanceCharge/cbc:Amount") == ["30.00"]
    assert texts(document, "cac:InvoiceLine/cbc:LineExtensionAmount") == ["270.00", "12.50", "88.00"]


def test_a_red_invoice_is_a_credit_note_of_the_blue_one() -> None:
    """Type 381, positive amounts, the number of what it corrects, the number of the red form in a note."""
    document = ubl.write(file_of(kept()["red"]))
    assert faults(document) == []
    assert document.startswith(b'<?xml version="1.0" encoding="UTF-8"?>\n<CreditNote ')
    assert texts(document, "cbc:CreditNoteTypeCode") == ["381"]
    assert texts(document, "cac:BillingReference/cac:InvoiceDocumentReference/cbc:ID") == ["26990000000000000001"]
    assert texts(document, ".//cbc:PayableAmount") == ["388.33"]
    assert texts(document, ".//cbc:CreditedQuantity") == ["3", "0.25", "1"]
    assert any("42019900000000000001" in note for note in texts(document, "cbc:Note"))


def test_a_person_has_no_numbers_of_a_company() -> None:
    """Without an id nothing is invented; an id card is an identifier, no VAT number and no registration."""
    nobody = ubl.write(file_of(kept()["person"]))
    card = ubl.write(
        file_of(issued(draft_of(line("58.00"), buyer=Buyer("张某", "420100199001010000", natural_person=True))))
    )
    for document, ids in ((nobody, []), (card, ["420100199001010000"])):
        assert faults(document) == []
        buyer = "cac:AccountingCustomerParty/cac:Party/"
        assert texts(document, f"{buyer}cac:PartyIdentification/cbc:ID") == ids
        assert texts(document, f"{buyer}cac:PartyTaxScheme/cbc:CompanyID") == []
        assert texts(document, f"{buyer}cac:PartyLegalEntity/cbc:CompanyID") == []


def test_what_is_deducted_is_a_line_of_its_own() -> None:
    """差额征税: tax is base times rate, so what was deducted stands apart, exempt; sums are the original's."""
    priced = line("1000.00", quantity=Decimal(2), unit_price=Decimal(500), unit="人")
    mode = Difference(DifferenceMode.DIFFERENCE, Decimal("600.00"))
    invoice = issued(draft_of(priced, pricing=Pricing.INCLUSIVE, difference=mode))
    document = ubl.write(file_of(invoice))
    assert faults(document) == []
    assert texts(document, ".//cbc:LineExtensionAmount")[1:] == ["377.36", "600.00"]
    assert texts(document, ".//cac:ClassifiedTaxCategory/cbc:ID") == ["S", "E"]
    assert texts(document, ".//cbc:InvoicedQuantity") == ["2", "1"]
    assert texts(document, ".//cbc:PayableAmount") == ["1000.00"]
    everything = issued(draft_of(line("600.00"), pricing=Pricing.INCLUSIVE, difference=mode))
    assert texts(ubl.write(file_of(everything)), ".//cac:ClassifiedTaxCategory/cbc:ID") == ["E"]


def test_a_red_one_does_not_state_what_was_deducted() -> None:
    """Its tax is not base times rate, and nothing says why: refused rather than guessed."""
    assert cause_of(reversed_of(kept()["difference"])) == "UBL-TAX-DIFFERS"


def many(count: int) -> IssuedInvoice:
    """Equal rows of 0.58: each is 0.03 of tax where 0.0348 would be exact, and the difference adds up."""
    return issued(draft_of(*(line("0.58") for _ in range(count))))


def test_rounding_by_row_is_kept_within_what_the_rules_allow() -> None:
    """The original's tax is written unchanged; at a difference of one yuan the official rules refuse, and so do we."""
    for count, differs in ((200, "0.96"), (208, "1.00")):
        invoice = many(count)
        exact = round_fen(invoice.totals.amount * Decimal("0.06"))
        assert f"{exact - invoice.totals.tax:.2f}" == differs
    document = ubl.write(file_of(many(200)))
    assert faults(document) == [] and texts(document, "cac:TaxTotal/cbc:TaxAmount") == ["6.00"]
    assert cause_of(many(208)) == "UBL-TAX-DIFFERS"


def test_without_the_refusal_the_rules_would_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: what was refused above breaks BR-CO-17 and BR-S-09 when it is written all the same."""
    monkeypatch.setattr("piaoma.documents.formats.ubl_tax.CATEGORY_TOLERANCE", Decimal(100))
    assert faults(ubl.write(file_of(many(208)))) == ["BR-CO-17 fatal", "BR-S-09 fatal"]


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda data: data.replace(b"<SellerIdNum>91420100MA4K00000Q<", b"<SellerIdNum><"), "UBL-FIELD-MISSING"),
        (lambda data: data.replace(b"<TotalAmWithoutTax>370.50<", b"<TotalAmWithoutTax>370.51<"), "UBL-FIGURES"),
        (lambda data: data.replace(b"<Amount>12.50<", b"<Amount>12.501<"), "UBL-FIGURES"),
        (lambda data: b"<EInvoice/>", "ORIGINAL-ELEMENT-MISSING"),
    ],
)
def test_an_original_that_lacks_or_contradicts_is_refused(change: Callable[[bytes], bytes], cause: str) -> None:
    """Files from outside may be anything; a document that only looks right is not made of them."""
    with pytest.raises(Refused) as caught:
        ubl.write(change(file_of(kept()["dinner"])))
    assert caught.value.refusals[0].cause == cause


def test_a_unit_without_a_code_keeps_its_text() -> None:
    """份 is C62 and an attribute; 千克 is KGM and none; what states no quantity is one lump sum."""
    document = ubl.write(file_of(kept()["dinner"]))
    root = etree.fromstring(document)
    codes = [found.get("unitCode") for found in root.iterfind(".//cbc:InvoicedQuantity", NAMES)]
    assert codes == ["C62", "KGM", "LS"]
    assert texts(document, ".//cac:AdditionalItemProperty/cbc:Value") == ["六人桌", "份", "03 免税"]


def test_a_quantity_without_a_price_gives_a_price_for_all_of_it() -> None:
    """Other issuers' files have it; a quotient would have no end."""
    data = file_of(issued(draft_of(line("10.00", quantity=Decimal(3), unit_price=Decimal("3.3333333333333")))))
    document = ubl.write(data.replace(b"<UnPrice>3.3333333333333</UnPrice>", b""))
    assert faults(document) == []
    assert texts(document, ".//cac:Price/cbc:PriceAmount") == ["10.00"]
    assert texts(document, ".//cac:Price/cbc:BaseQuantity") == ["3"]


def test_without_escaping_a_name_would_break_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control of the hostile texts above: with the escaping taken out, one bracket is enough."""
    monkeypatch.setattr("piaoma.documents.formats.markup.escape", lambda text, more: text)
    with pytest.raises(etree.XMLSyntaxError):
        etree.fromstring(ubl.write(file_of(kept()["dinner"])))


def test_a_sample_says_so_first() -> None:
    """The first note of a sandbox invoice; no note of another."""
    data = file_of(issued(draft_of(line("58.00"), buyer=PERSON)))
    assert texts(ubl.write(data), "cbc:Note")[0] == "测试样票 无效 TEST SAMPLE, NOT VALID"
    real = msgspec.structs.replace(read(data), number="26420000000000000001")
    assert not any("测试样票" in note for note in texts(ubl.write(file_of(real)), "cbc:Note"))
