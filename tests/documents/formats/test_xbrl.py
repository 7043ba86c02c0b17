"""XBRL: what the books of a buyer take over, read back by a tolerant reader; a draft, as docs/formats.md says."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from lxml import etree

from piaoma.documents.formats import xbrl
from piaoma.invoice.issued import IssuedInvoice
from piaoma.invoice.original_reader import read as read_original
from piaoma.invoice.refusal import Refused
from tests.documents.formats.examples import invoices, kept
from tests.invoice.test_original import AT, BOMB, file_of

EINV = f"{{{xbrl.EINV}}}"
INSTANCE = f"{{{xbrl.XBRLI}}}"


@settings(max_examples=80, deadline=None)
@given(invoices())
def test_what_is_written_is_read_again(invoice: IssuedInvoice) -> None:
    """Every fact is the original's; a buyer without books is refused; twice is the same bytes."""
    data = file_of(invoice)
    stated = read_original(data)
    if stated.buyer.natural_person:
        with pytest.raises(Refused) as caught:
            xbrl.write(data)
        assert caught.value.refusals[0].cause == "XBRL-NO-ENTITY"
        return
    written = xbrl.write(data)
    assert xbrl.write(data) == written
    assert xbrl.read(written) == xbrl.EinvFacts(
        stated.number, stated.seller.name.strip(), stated.seller.taxpayer_id, stated.totals.amount, stated.totals.tax,
        stated.totals.inclusive, AT.date(), stated.red is not None, stated.buyer.taxpayer_id, stated.buyer.name.strip(),
    )  # fmt: skip


def test_facts_have_one_context_and_money_has_the_unit() -> None:
    """What XBRL 2.1 asks of an instance: references lead to what is there, once; money has unit and precision."""
    root = etree.fromstring(xbrl.write(file_of(kept()["dinner"])))
    contexts = [found.get("id") for found in root.findall(f"{INSTANCE}context")]
    units = [found.get("id") for found in root.findall(f"{INSTANCE}unit")]
    assert (len(contexts), len(units)) == (1, 1)
    facts = [element for element in root if str(element.tag).startswith(EINV)]
    assert len({fact.tag for fact in facts}) == len(facts) == 10
    assert {fact.get("contextRef") for fact in facts} == set(contexts)
    money = [fact for fact in facts if fact.get("unitRef")]
    assert [fact.text for fact in money] == ["370.50", "17.83", "388.33"]
    assert {fact.get("decimals") for fact in money} == {"INF"}
    identifier = root.find(f"{INSTANCE}context/{INSTANCE}entity/{INSTANCE}identifier")
    assert identifier is not None and identifier.text == "91110108690017781B"


def test_it_claims_no_booking_and_says_where_it_is_from() -> None:
    """The footnote hangs on the number; nothing says booked, checked or paid, which an original cannot know."""
    written = xbrl.write(file_of(kept()["dinner"])).decode()
    assert "未入账" in written and "测试样票 无效" in written
    assert "HasBeen" not in written and "Tuple" not in written
    real = xbrl.write(file_of(kept()["dinner"]).replace(b"2699000", b"2642000")).decode()
    assert "未入账" in real and "测试样票" not in real


FOREIGN = f"""<?xml version="1.0"?>
<x:xbrl xmlns:x="{xbrl.XBRLI}" xmlns:e="http://xbrl.mof.gov.cn/taxonomy/2022-08-31/einv">
  <e:WhetherEinvoiceHasBeenBooked contextRef="c">true</e:WhetherEinvoiceHasBeenBooked>
  <e:WhetherEinvoiceIsRedEinvoice contextRef="c">RED</e:WhetherEinvoiceIsRedEinvoice>
  <e:TotalTax-includedAmount contextRef="c">1,060.00</e:TotalTax-includedAmount>
  <e:TotalTaxAm contextRef="c"> 60.00 </e:TotalTaxAm><e:TotalAmWithoutTax contextRef="c">1000</e:TotalAmWithoutTax>
  <e:RequestTime contextRef="c">2026-01-10T09:30:00</e:RequestTime>
  <e:InformationOfAccountingDocumentsTuple><e:PostingDate contextRef="c">2026-02-01</e:PostingDate>
  </e:InformationOfAccountingDocumentsTuple><e:InvoiceNumber contextRef="c">1</e:InvoiceNumber>
</x:xbrl>"""


@pytest.mark.parametrize(("said", "red"), [("true", True), ("Y", True), ("是", True), ("0", False), ("N", False)])
def test_other_programs_files_are_read(said: str, red: bool) -> None:
    """Another day's namespace, another prefix, another order, moments for days, yes and no in every spelling."""
    facts = xbrl.read(FOREIGN.replace("RED", said).encode())
    assert (facts.inclusive, facts.tax, facts.red) == (Decimal("1060.00"), Decimal("60.00"), red)
    assert str(facts.requested_on) == "2026-01-10" and facts.seller_name == ""


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (b"", "ORIGINAL-NOT-XML"),
        (BOMB + b"<xbrl/>", "ORIGINAL-DTD"),
        (b"<xbrl/>", "XBRL-NOT-EINV"),
        (f'<x:xbrl xmlns:x="{xbrl.XBRLI}"/>'.encode(), "XBRL-NOT-EINV"),
        (FOREIGN.replace("RED", "perhaps").encode(), "XBRL-NOT-EINV"),
        (FOREIGN.replace("RED", "N").replace("1,060.00", "NaN").encode(), "XBRL-NOT-EINV"),
        (FOREIGN.replace("RED", "N").replace("1,060.00", "").encode(), "XBRL-NOT-EINV"),
    ],
)
def test_what_is_no_instance_is_refused(data: bytes, cause: str) -> None:
    """Each with its cause, never another exception."""
    with pytest.raises(Refused) as caught:
        xbrl.read(data)
    assert caught.value.refusals[0].cause == cause
