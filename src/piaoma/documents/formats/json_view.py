"""JSON: everything that an original says, under the published schema, and back again without loss.

The signature stays with the original: the file names its digest and the fingerprint of the signer's certificate, so
the two can be told to belong together, and is no evidence by itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from decimal import Decimal
from typing import TypeVar
from zoneinfo import ZoneInfo

import msgspec

from piaoma.documents.ticket import SAMPLE_MARK, TITLES
from piaoma.invoice.draft import InvoiceKind, LineKind
from piaoma.invoice.issued import Bureau, IssuedInvoice, PricedLine, RedReference, SignatureBlock, Totals
from piaoma.invoice.original_reader import BYTES_MAX
from piaoma.invoice.original_reader import read as read_original
from piaoma.invoice.parties import Buyer, Seller, TaxpayerKind
from piaoma.invoice.refusal import refuse

from .json_document import (
    BureauJson,
    BuyerJson,
    InvoiceJson,
    KindName,
    LineJson,
    LineName,
    OriginalJson,
    PairJson,
    RedJson,
    SellerJson,
    SignatureJson,
    TaxpayerName,
    TotalsJson,
)

Key = TypeVar("Key")

JSON_BYTES_MAX = 2 * BYTES_MAX  # names of fields and indents weigh more than tags, escapes less

_SHANGHAI = ZoneInfo("Asia/Shanghai")
_KINDS: dict[InvoiceKind, KindName] = {InvoiceKind.SPECIAL: "special", InvoiceKind.GENERAL: "general"}
_TAXPAYERS: dict[TaxpayerKind, TaxpayerName] = {
    TaxpayerKind.GENERAL: "general",
    TaxpayerKind.SMALL_SCALE: "small_scale",
    TaxpayerKind.REGISTERED_SMALL_SCALE: "registered_small_scale",
}
_LINES: dict[LineKind, LineName] = {
    LineKind.PLAIN: "plain",
    LineKind.DISCOUNTED: "discounted",
    LineKind.DISCOUNT: "discount",
}


def write(original: bytes) -> bytes:
    """The JSON of an original. Raises ``Refused`` as ``original_reader.read``."""
    document = _document(read_original(original), original)
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def read(data: bytes) -> IssuedInvoice:
    """The invoice that a JSON states, without the signature, which only the original has.

    Raises ``Refused`` JSON-UNREADABLE.
    """
    if len(data) > JSON_BYTES_MAX:
        raise refuse("JSON-UNREADABLE", have=f"{len(data)} bytes")
    try:
        return _invoice(msgspec.json.decode(data, type=InvoiceJson))
    # The last two: a field that we do not know, nested without end; a moment before the first year in Shanghai.
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError) as error:
        raise refuse("JSON-UNREADABLE", have=str(error)[:200]) from None


def _document(invoice: IssuedInvoice, original: bytes) -> InvoiceJson:
    return InvoiceJson(
        schema="urn:piaoma:schema:invoice:1",
        sandbox=invoice.sandbox,
        mark=SAMPLE_MARK if invoice.sandbox else "",
        number=invoice.number,
        title=TITLES[invoice.kind],
        kind=_KINDS[invoice.kind],
        colour="red" if invoice.red else "blue",
        currency="CNY",
        issued_on=invoice.issued_on,
        requested_at=invoice.requested_at,
        signed_at=invoice.signed_at,
        seller=_seller_json(invoice.seller),
        buyer=_buyer_json(invoice.buyer),
        lines=tuple(_line_json(line) for line in invoice.lines),
        totals=TotalsJson(
            amount=_figure(invoice.totals.amount),
            tax=_figure(invoice.totals.tax),
            inclusive=_figure(invoice.totals.inclusive),
            words=invoice.totals.words,
        ),
        drawer=invoice.drawer,
        remark=invoice.remark,
        red=RedJson(blue_number=invoice.red.blue_number, form_number=invoice.red.form_number) if invoice.red else None,
        additional=tuple(PairJson(name=name, value=value) for name, value in invoice.additional),
        bureau=BureauJson(code=invoice.bureau.code, name=invoice.bureau.name, tag=invoice.bureau.tag),
        original=OriginalJson(
            sha256=hashlib.sha256(original).hexdigest(), bytes=len(original), version=invoice.version
        ),
        signature=_signature_json(invoice.signature) if invoice.signature else None,
    )


def _seller_json(seller: Seller) -> SellerJson:
    return SellerJson(
        name=seller.name, taxpayer_id=seller.taxpayer_id, address=seller.address, phone=seller.phone,
        bank=seller.bank, account=seller.account, taxpayer_kind=_TAXPAYERS[seller.taxpayer_kind],
    )  # fmt: skip


def _buyer_json(buyer: Buyer) -> BuyerJson:
    return BuyerJson(
        name=buyer.name, taxpayer_id=buyer.taxpayer_id, address=buyer.address, phone=buyer.phone,
        bank=buyer.bank, account=buyer.account, natural_person=buyer.natural_person,
    )  # fmt: skip


def _line_json(line: PricedLine) -> LineJson:
    return LineJson(
        name=line.name,
        classification_code=line.code,
        spec=line.spec,
        unit=line.unit,
        quantity=None if line.quantity is None else _figure(line.quantity),
        unit_price=None if line.unit_price is None else _figure(line.unit_price),
        amount=_figure(line.amount),
        rate=_figure(line.rate),
        zero=line.zero,
        tax=_figure(line.tax),
        inclusive=_figure(line.inclusive),
        kind=_LINES[line.kind],
        preference=line.preference,
    )


def _signature_json(block: SignatureBlock) -> SignatureJson:
    fingerprint = hashlib.sha256(block.key_info[0]).hexdigest() if block.key_info else None
    return SignatureJson(algorithm=block.algorithm, certificate_sha256=fingerprint)


def _key(names: Mapping[Key, str], name: str) -> Key:
    """The value that a name stands for; the decoder let only known names pass."""
    return next(key for key, known in names.items() if known == name)


def _figure(value: Decimal) -> str:
    return f"{value:f}"


def _invoice(document: InvoiceJson) -> IssuedInvoice:
    totals, bureau, red = document.totals, document.bureau, document.red
    return IssuedInvoice(
        number=document.number,
        kind=_key(_KINDS, document.kind),
        seller=_seller(document.seller),
        buyer=_buyer(document.buyer),
        lines=tuple(_line(line) for line in document.lines),
        totals=Totals(Decimal(totals.amount), Decimal(totals.tax), Decimal(totals.inclusive), totals.words),
        drawer=document.drawer,
        remark=document.remark,
        requested_at=document.requested_at.astimezone(_SHANGHAI),
        issued_on=document.issued_on,
        signed_at=document.signed_at.astimezone(_SHANGHAI) if document.signed_at else None,
        bureau=Bureau(bureau.code, bureau.name, bureau.tag),
        version=document.original.version,
        red=RedReference(red.blue_number, red.form_number) if red else None,
        additional=tuple((pair.name, pair.value) for pair in document.additional),
    )


def _seller(side: SellerJson) -> Seller:
    kind = _key(_TAXPAYERS, side.taxpayer_kind)
    return Seller(side.name, side.taxpayer_id, side.address, side.phone, side.bank, side.account, kind)


def _buyer(side: BuyerJson) -> Buyer:
    return Buyer(side.name, side.taxpayer_id, side.address, side.phone, side.bank, side.account, side.natural_person)


def _line(line: LineJson) -> PricedLine:
    return PricedLine(
        name=line.name,
        code=line.classification_code,
        rate=Decimal(line.rate),
        amount=Decimal(line.amount),
        tax=Decimal(line.tax),
        inclusive=Decimal(line.inclusive),
        quantity=None if line.quantity is None else Decimal(line.quantity),
        unit_price=None if line.unit_price is None else Decimal(line.unit_price),
        unit=line.unit,
        spec=line.spec,
        kind=_key(_LINES, line.kind),
        preference=line.preference,
        zero=line.zero,
    )
