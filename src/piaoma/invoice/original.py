"""The original (原件): writing the XML of an invoice, the same bytes each time, ready to be signed.

Element names, order, formats and version 0.33 follow einvoice.md §1 [C]. What real files have no place for stands
in its open name–value lists: a natural person as buyer and the sandbox mark as labels, preference marks and zero
kinds of lines as additional information [U].
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from xml.sax.saxutils import escape as _escape

from .draft import InvoiceKind, ZeroKind
from .issued import SANDBOX_PROVINCE, Bureau, IssuedInvoice, PricedLine
from .parties import Buyer, Seller, TaxpayerKind
from .refusal import refuse

VERSION = "0.33"
SIGNATURE_ALGORITHM = "1.2.156.10197.1.501"  # SM2 with SM3
SIGNATURE_FORMAT = "DETACH"
SIGNED_PARTS = (
    "/Einvoice/Header|/Einvoice/EinvoiceData|/Einvoice/SellerAuthentication|"
    "/Einvoice/TaxSupervisionInfo|/Einvoice/TaxBureauSignature/SignatureTime"
)
SANDBOX_BUREAU = Bureau(
    code=f"1{SANDBOX_PROVINCE}00000000",
    name="票码沙盒测试税务机关（样票无效）",
    tag=f"SWEI{SANDBOX_PROVINCE}00",
)
LABEL_SANDBOX = "沙盒测试样票标签"
LABEL_NATURAL_PERSON = "购买方自然人标志"
EXTRA_PREFERENCES = "行优惠政策标识"
EXTRA_ZERO_KINDS = "行零税率标识"

KIND_NAMES = {InvoiceKind.SPECIAL: "增值税专用发票", InvoiceKind.GENERAL: "普通发票"}
_TAXPAYER_NAMES = {
    TaxpayerKind.GENERAL: "一般纳税人",
    TaxpayerKind.SMALL_SCALE: "小规模纳税人",
    TaxpayerKind.REGISTERED_SMALL_SCALE: "转登记小规模纳税人",
}
BOM = b"\xef\xbb\xbf"  # what editors put in front of a file; no part of what it says
_HEAD = b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<EInvoice>'
_SIGNATURE_OPEN = (
    f'<TaxBureauSignature><Reference URI="{SIGNED_PARTS}"></Reference>'
    f"<SignatureAlgorithm>{SIGNATURE_ALGORITHM}</SignatureAlgorithm>"
    f"<SignatureFormat>{SIGNATURE_FORMAT}</SignatureFormat>"
).encode()
_SIGNATURE_CLOSE = b"</TaxBureauSignature></EInvoice>\n"
_TIME_OPEN = b"<SignatureTime>"
_SIGNATURE = re.compile(
    rb"(<SignatureTime>[^<]{1,40}</SignatureTime>)<SignatureValue>[A-Za-z0-9+/=]{1,200}</SignatureValue>"
    rb"<KeyInfo>(?:<X509Data>(?:<X509Certificate>[A-Za-z0-9+/=]{1,8000}</X509Certificate>){0,5}</X509Data>)?</KeyInfo>"
)


def compose(invoice: IssuedInvoice) -> bytes:
    """The bytes that are signed: the signed parts exactly as they stand in the file, one after the other.

    ``signed_at`` must be set. ``signature`` is not looked at.
    """
    assert invoice.signed_at is not None, "the time of signing is part of what is signed"
    parts = (
        _header(invoice),
        "<EInvoiceData>",
        _seller(invoice.seller),
        _buyer(invoice.buyer),
        _basic(invoice),
        *(_item(line) for line in invoice.lines),
        _specific(invoice),
        _additional(invoice),
        "</EInvoiceData>",
        "<SellerAuthentication><AuthenticationMethods>01</AuthenticationMethods></SellerAuthentication>",
        f"<TaxSupervisionInfo><InvoiceNumber>{invoice.number}</InvoiceNumber>"
        f"<IssueTime>{invoice.issued_on.isoformat()}</IssueTime>"
        f"<TaxBureauCode>{_text(invoice.bureau.code)}</TaxBureauCode>"
        f"<TaxBureauName>{_text(invoice.bureau.name)}</TaxBureauName></TaxSupervisionInfo>",
        f"<SignatureTime>{_moment(invoice.signed_at)}</SignatureTime>",
    )
    return "".join(parts).encode()


def assemble(composed: bytes, signature: bytes, certificates: Sequence[bytes]) -> bytes:
    """The whole file from what was signed, the signature (DER) and the certificates (DER, signer first)."""
    cut = composed.rindex(_TIME_OPEN)
    return b"".join(
        (
            _HEAD,
            composed[:cut],
            _SIGNATURE_OPEN,
            composed[cut:],
            b"<SignatureValue>",
            base64.b64encode(signature),
            b"</SignatureValue>",
            _key_info(tuple(certificates)),
            _SIGNATURE_CLOSE,
        )
    )


@lru_cache(maxsize=16)
def _key_info(certificates: tuple[bytes, ...]) -> bytes:
    """The same for every invoice that a signer signs."""
    chain = b"".join(
        b"<X509Certificate>" + base64.b64encode(certificate) + b"</X509Certificate>" for certificate in certificates
    )
    return b"<KeyInfo>" + (b"<X509Data>" + chain + b"</X509Data>" if chain else b"") + b"</KeyInfo>"


def signed_bytes(original: bytes) -> bytes:
    """What was signed, cut out of a file that ``assemble`` made.

    Strict on purpose: only the one layout that we write, with each part once, so nothing can be signed in one place
    and read from another. One BOM in front is passed over, as the reader does. Raises ``Refused`` ORIGINAL-LAYOUT
    for any other file.
    """
    body, found, rest = original.removeprefix(BOM).partition(_SIGNATURE_OPEN)
    if not (found and body.startswith(_HEAD) and rest.endswith(_SIGNATURE_CLOSE) and _SIGNATURE_OPEN not in rest):
        raise refuse("ORIGINAL-LAYOUT")
    match = _SIGNATURE.fullmatch(rest.removesuffix(_SIGNATURE_CLOSE))
    if match is None:
        raise refuse("ORIGINAL-LAYOUT")
    return body.removeprefix(_HEAD) + match[1]


def _text(text: str) -> str:
    """Text between tags. Line ends and tabs do not occur: the rules refuse control characters."""
    return _escape(text) if "&" in text or "<" in text or ">" in text else text


def _moment(moment: datetime) -> str:
    """YYYY-MM-DD HH:MM:SS in the zone that the moment has, which is Asia/Shanghai."""
    return moment.replace(tzinfo=None).isoformat(" ", "seconds")


def _decimal(value: Decimal) -> str:
    return f"{value:f}"


def _rate(line: PricedLine) -> str:
    """0.06; at least two decimals. 免税 and 不征税 in words [U]."""
    if line.zero is ZeroKind.EXEMPT:
        return "免税"
    if line.zero is ZeroKind.UNTAXED:
        return "不征税"
    written = f"{line.rate.normalize():f}"
    return written if len(written.partition(".")[2]) >= 2 else f"{line.rate:.2f}"


def _labelled(name: str, code: str, label: str) -> str:
    return f"<{name}><LabelCode>{code}</LabelCode><LabelName>{_text(label)}</LabelName></{name}>"


def _header(invoice: IssuedInvoice) -> str:
    labels = [("发票开具方式标签", "1", "网页开票")]
    if invoice.buyer.natural_person:
        labels.append((LABEL_NATURAL_PERSON, "Y", LABEL_NATURAL_PERSON))
    if invoice.sandbox:
        labels.append((LABEL_SANDBOX, "1", "测试样票，无效"))
    undefined = "".join(
        f"<Label><LabelType>{kind}</LabelType><LabelCode>{code}</LabelCode><LabelName>{name}</LabelName></Label>"
        for kind, code, name in labels
    )
    kind = invoice.seller.taxpayer_kind
    return (
        f"<Header><EIid>{invoice.number}</EIid><EInvoiceTag>{_text(invoice.bureau.tag)}</EInvoiceTag>"
        f"<Version>{_text(invoice.version)}</Version><InherentLabel>"
        + _labelled("InIssuType", "N" if invoice.red else "Y", "是否蓝字发票标志")
        + _labelled("EInvoiceType", "01", "电子发票")
        + _labelled("GeneralOrSpecialVAT", invoice.kind.value, KIND_NAMES[invoice.kind])
        + _labelled("TaxpayerType", kind.value, _TAXPAYER_NAMES[kind])
        + f"</InherentLabel><UndefinedLabel>{undefined}</UndefinedLabel></Header>"
    )


def _seller(seller: Seller) -> str:
    return (
        f"<SellerInformation><SellerIdNum>{_text(seller.taxpayer_id)}</SellerIdNum>"
        f"<SellerName>{_text(seller.name)}</SellerName><SellerAddr>{_text(seller.address)}</SellerAddr>"
        f"<SellerTelNum>{_text(seller.phone)}</SellerTelNum><SellerBankName>{_text(seller.bank)}</SellerBankName>"
        f"<SellerBankAccNum>{_text(seller.account)}</SellerBankAccNum></SellerInformation>"
    )


def _buyer(buyer: Buyer) -> str:
    return (
        f"<BuyerInformation><BuyerIdNum>{_text(buyer.taxpayer_id)}</BuyerIdNum>"
        f"<BuyerName>{_text(buyer.name)}</BuyerName><BuyerAddr>{_text(buyer.address)}</BuyerAddr>"
        f"<BuyerTelNum>{_text(buyer.phone)}</BuyerTelNum><BuyerBankName>{_text(buyer.bank)}</BuyerBankName>"
        f"<BuyerBankAccNum>{_text(buyer.account)}</BuyerBankAccNum></BuyerInformation>"
    )


def _basic(invoice: IssuedInvoice) -> str:
    totals = invoice.totals
    return (
        f"<BasicInformation><TotalAmWithoutTax>{totals.amount:.2f}</TotalAmWithoutTax>"
        f"<TotalTaxAm>{totals.tax:.2f}</TotalTaxAm>"
        f"<TotalTax-includedAmount>{totals.inclusive:.2f}</TotalTax-includedAmount>"
        f"<TotalTax-includedAmountInChinese>{_text(totals.words)}</TotalTax-includedAmountInChinese>"
        f"<Drawer>{_text(invoice.drawer)}</Drawer>"
        f"<RequestTime>{_moment(invoice.requested_at)}</RequestTime></BasicInformation>"
    )


def _item(line: PricedLine) -> str:
    quantity = "" if line.quantity is None else f"<Quantity>{_decimal(line.quantity)}</Quantity>"
    price = "" if line.unit_price is None else f"<UnPrice>{_decimal(line.unit_price)}</UnPrice>"
    return (
        f"<IssuItemInformation><ItemName>{_text(line.name)}</ItemName><SpecMod>{_text(line.spec)}</SpecMod>"
        f"<MeaUnits>{_text(line.unit)}</MeaUnits>{quantity}{price}<Amount>{line.amount:.2f}</Amount>"
        f"<TaxRate>{_rate(line)}</TaxRate><ComTaxAm>{line.tax:.2f}</ComTaxAm>"
        f"<TotaltaxIncludedAmount>{line.inclusive:.2f}</TotaltaxIncludedAmount>"
        f"<TaxClassificationCode>{_text(line.code)}</TaxClassificationCode></IssuItemInformation>"
    )


def _specific(invoice: IssuedInvoice) -> str:
    if invoice.red is None:
        return "<SpecificInformation></SpecificInformation>"
    return (
        f"<SpecificInformation><RedEInvoice><OriginalInvoiceCode>{_text(invoice.red.blue_number)}</OriginalInvoiceCode>"
        f"<CreditNoteNumber>{_text(invoice.red.form_number)}</CreditNoteNumber></RedEInvoice></SpecificInformation>"
    )


def _additional(invoice: IssuedInvoice) -> str:
    pairs = [*_line_marks(invoice.lines), *invoice.additional]
    extra = "".join(
        f"<Additional><Information>{_text(name)}</Information><InformationValue>{_text(value)}</InformationValue>"
        "</Additional>"
        for name, value in pairs
    )
    return f"<AdditionalInformation><Remark>{_text(invoice.remark)}</Remark>{extra}</AdditionalInformation>"


def _line_marks(lines: Sequence[PricedLine]) -> list[tuple[str, str]]:
    """Preference marks and zero kinds as ``place=mark`` lists, only where a line has one."""
    marks = []
    preferences = ",".join(f"{place}={line.preference}" for place, line in enumerate(lines, 1) if line.preference)
    if preferences:
        marks.append((EXTRA_PREFERENCES, preferences))
    zeros = ",".join(f"{place}={line.zero.value}" for place, line in enumerate(lines, 1) if line.zero)
    if zeros:
        marks.append((EXTRA_ZERO_KINDS, zeros))
    return marks
