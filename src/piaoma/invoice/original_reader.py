"""Reading an original (原件) from anywhere: tolerant of what real files do, safe on what hostile ones try.

Tolerated (einvoice.md §1, Traps [C]): any order of elements, optional ones absent or empty, rates as ``0.06`` or
``0.060000`` or ``6%`` or in words, tax with any number of decimals, times with or without the hour, a BOM.
"""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from lxml import etree

from . import original
from .draft import InvoiceKind, LineKind, ZeroKind
from .issued import Bureau, IssuedInvoice, PricedLine, RedReference, SignatureBlock, Totals
from .parties import Buyer, Seller, TaxpayerKind
from .refusal import Refused, refuse

# The largest original that the rules let us write has 2,000 lines of 200 + 100 + 50 characters, each of them an
# ampersand of five bytes, and is below 7 MiB and 25,000 elements; a test writes it and reads it.
BYTES_MAX = 8 * 1024 * 1024
DEPTH_MAX = 64
NODES_MAX = 200_000
LINES_MAX = 2_000
FIGURE_CHARACTERS_MAX = 40

# Asked of the library, which walks a tree ten times as fast as we could.
_IS_TOO_DEEP: Any = etree.XPath(f"boolean({'/*' * (DEPTH_MAX + 1)})")
_COUNT: Any = etree.XPath("count(//*)")

SHANGHAI = ZoneInfo("Asia/Shanghai")


def read(data: bytes) -> IssuedInvoice:
    """The invoice that an XML states. Nothing is judged here but what cannot be read at all.

    Raises ``Refused`` ORIGINAL-TOO-LARGE, ORIGINAL-NOT-XML, ORIGINAL-DTD, ORIGINAL-TOO-DEEP, ORIGINAL-ROOT,
    ORIGINAL-ELEMENT-MISSING, ORIGINAL-FIGURE, ORIGINAL-TIME.
    """
    root = parse_bounded(data)
    if etree.QName(root).localname.lower() != "einvoice" or etree.QName(root).namespace:
        raise refuse("ORIGINAL-ROOT", have=str(root.tag)[:80])
    header, content = _child(root, "Header"), _child(root, "EInvoiceData")
    labels, basic = _child(header, "InherentLabel"), _child(content, "BasicInformation")
    supervision = _child(root, "TaxSupervisionInfo")
    extra = _child(content, "AdditionalInformation", required=False)
    pairs = _additional(extra)
    own = dict(pairs)
    lines = _lines(content, own)
    signature = _child(root, "TaxBureauSignature", required=False)
    signed_at = _text(signature, "SignatureTime")
    return IssuedInvoice(
        number=_text(supervision, "InvoiceNumber") or _text(header, "EIid"),
        kind=_kind(_text(_child(labels, "GeneralOrSpecialVAT"), "LabelCode")),
        seller=_seller(_child(content, "SellerInformation"), _child(labels, "TaxpayerType", required=False)),
        buyer=_buyer(_child(content, "BuyerInformation"), _child(header, "UndefinedLabel", required=False)),
        lines=lines,
        totals=Totals(
            _figure(basic, "TotalAmWithoutTax"),
            _figure(basic, "TotalTaxAm"),
            _figure(basic, "TotalTax-includedAmount"),
            _text(basic, "TotalTax-includedAmountInChinese"),
        ),
        drawer=_text(basic, "Drawer"),
        remark=_text(extra, "Remark"),
        requested_at=_moment(_text(basic, "RequestTime"), "RequestTime"),
        issued_on=_moment(_text(supervision, "IssueTime"), "IssueTime").date(),
        signed_at=_moment(signed_at, "SignatureTime") if signed_at else None,
        bureau=Bureau(
            _text(supervision, "TaxBureauCode"),
            _text(supervision, "TaxBureauName"),
            _text(header, "EInvoiceTag"),
        ),
        version=_text(header, "Version"),
        red=_red(content, _text(_child(labels, "InIssuType"), "LabelCode")),
        additional=tuple(
            pair for pair in pairs if pair[0] not in (original.EXTRA_PREFERENCES, original.EXTRA_ZERO_KINDS)
        ),
        signature=_signature(signature),
    )


def is_canonical(data: bytes) -> bool:
    """Whether the file is, byte for byte, what our writer writes for what it says. Every flipped byte shows here.

    One BOM in front, which editors add when they save, is not counted: nothing can be said in it, and nothing that
    stands behind it is read differently.
    """
    try:
        invoice = read(data)
    except Refused:
        return False
    if invoice.signature is None or invoice.signed_at is None:
        return False
    rewritten = original.assemble(original.compose(invoice), invoice.signature.value, invoice.signature.key_info)
    return rewritten == data.removeprefix(original.BOM)


def parse_bounded(data: bytes) -> etree._Element:
    """The root of an XML from outside: no entity, no DTD, no network, bounded in bytes, depth and elements.

    Raises ``Refused`` ORIGINAL-TOO-LARGE, ORIGINAL-NOT-XML, ORIGINAL-DTD, ORIGINAL-TOO-DEEP.
    """
    if len(data) > BYTES_MAX:
        raise refuse("ORIGINAL-TOO-LARGE", have=len(data), max=BYTES_MAX)
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(data.removeprefix(original.BOM), parser)
    except (etree.XMLSyntaxError, ValueError):
        raise refuse("ORIGINAL-NOT-XML") from None
    information: Any = root.getroottree().docinfo
    if information.doctype:
        raise refuse("ORIGINAL-DTD")
    if _IS_TOO_DEEP(root) or _COUNT(root) > NODES_MAX:
        raise refuse("ORIGINAL-TOO-DEEP")
    return root


def _child(parent: etree._Element | None, name: str, *, required: bool = True) -> etree._Element | None:
    """The one child of that name, whatever its place and case; an element that stands twice is refused."""
    found = None
    if parent is not None:
        wanted, length = name.lower(), len(name)
        for child in parent:
            tag = child.tag
            if isinstance(tag, str) and len(tag) == length and tag.lower() == wanted:  # the length tells most apart
                if found is not None:
                    raise refuse("ORIGINAL-ELEMENT-TWICE", name)
                found = child
    if found is None and required:
        raise refuse("ORIGINAL-ELEMENT-MISSING", name, name=name)
    return found


def _text(parent: etree._Element | None, name: str) -> str:
    """A child's text; empty when the child is absent or empty."""
    child = _child(parent, name, required=False)
    return (child.text or "") if child is not None else ""


def _number(text: str, name: str) -> Decimal:
    try:
        value = Decimal(text.strip().replace(",", ""))
    except InvalidOperation:
        raise refuse("ORIGINAL-FIGURE", name, have=text[:40]) from None
    if not value.is_finite() or len(text) > FIGURE_CHARACTERS_MAX or abs(value.adjusted()) > FIGURE_CHARACTERS_MAX:
        raise refuse("ORIGINAL-FIGURE", name, have=text[:40])
    return value


def _figure(parent: etree._Element | None, name: str) -> Decimal:
    """A required figure."""
    return _number(_text(parent, name), name)


def _optional_figure(parent: etree._Element, name: str) -> Decimal | None:
    text = _text(parent, name).strip()
    return _number(text, name) if text else None


def _moment(text: str, name: str) -> datetime:
    """A time of Asia/Shanghai; midnight when only the date is given."""
    try:
        return datetime.fromisoformat(text.strip()).replace(tzinfo=SHANGHAI)
    except ValueError:
        raise refuse("ORIGINAL-TIME", name, have=text[:40]) from None


def _kind(code: str) -> InvoiceKind:
    try:
        return InvoiceKind(code)
    except ValueError:
        raise refuse("ORIGINAL-KIND", have=code[:10]) from None


def _seller(element: etree._Element | None, taxpayer: etree._Element | None) -> Seller:
    code = _text(taxpayer, "LabelCode")
    known = code in set(TaxpayerKind)
    return Seller(
        name=_text(element, "SellerName"),
        taxpayer_id=_text(element, "SellerIdNum"),
        address=_text(element, "SellerAddr"),
        phone=_text(element, "SellerTelNum"),
        bank=_text(element, "SellerBankName"),
        account=_text(element, "SellerBankAccNum"),
        taxpayer_kind=TaxpayerKind(code) if known else TaxpayerKind.GENERAL,
    )


def _buyer(element: etree._Element | None, labels: etree._Element | None) -> Buyer:
    marked = labels is not None and any(
        _text(label, "LabelType") == original.LABEL_NATURAL_PERSON and _text(label, "LabelCode") == "Y"
        for label in labels
    )
    taxpayer_id = _text(element, "BuyerIdNum")
    return Buyer(
        name=_text(element, "BuyerName"),
        taxpayer_id=taxpayer_id,
        address=_text(element, "BuyerAddr"),
        phone=_text(element, "BuyerTelNum"),
        bank=_text(element, "BuyerBankName"),
        account=_text(element, "BuyerBankAccNum"),
        natural_person=marked or not taxpayer_id,
    )


def _lines(content: etree._Element | None, own: dict[str, str]) -> tuple[PricedLine, ...]:
    assert content is not None
    items = [child for child in content if isinstance(child.tag, str) and child.tag.lower() == "issuiteminformation"]
    if not items:
        raise refuse("ORIGINAL-ELEMENT-MISSING", "IssuItemInformation", name="IssuItemInformation")
    if len(items) > LINES_MAX:
        raise refuse("ORIGINAL-TOO-LARGE", have=len(items), max=LINES_MAX)
    preferences, zeros = _marks(own, original.EXTRA_PREFERENCES), _marks(own, original.EXTRA_ZERO_KINDS)
    lines = [_line(item, preferences.get(place, ""), zeros.get(place, "")) for place, item in enumerate(items, 1)]
    return tuple(_with_discounts(lines))


def _marks(own: dict[str, str], name: str) -> dict[int, str]:
    """``2=03,4=01`` as a mapping of places; what is malformed is left out."""
    marks = {}
    for part in own.get(name, "").split(","):
        place, _, mark = part.partition("=")
        if place.isascii() and place.isdigit() and len(place) <= 4:
            marks[int(place)] = mark
    return marks


def _line(item: etree._Element, preference: str, zero: str) -> PricedLine:
    rate, zero_kind = _rate(_text(item, "TaxRate"))
    if rate == 0 and zero in set(ZeroKind) and (zero or zero_kind is ZeroKind.ORDINARY):
        zero_kind = ZeroKind(zero)  # what the rate column says in words stands, unless a mark says otherwise
    amount, tax = _figure(item, "Amount"), _optional_figure(item, "ComTaxAm") or Decimal("0.00")
    inclusive = _optional_figure(item, "TotaltaxIncludedAmount")
    return PricedLine(
        name=_text(item, "ItemName"),
        code=_text(item, "TaxClassificationCode"),
        rate=rate,
        amount=amount,
        tax=tax,
        inclusive=amount + tax if inclusive is None else inclusive,
        quantity=_optional_figure(item, "Quantity"),
        unit_price=_optional_figure(item, "UnPrice"),
        unit=_text(item, "MeaUnits"),
        spec=_text(item, "SpecMod"),
        preference=preference,
        zero=zero_kind,
    )


def _rate(text: str) -> tuple[Decimal, ZeroKind]:
    """``0.06``, ``0.060000``, ``6%``, 免税, 不征税, ``***``."""
    text = text.strip()
    if text in ("免税", "***", ""):
        return Decimal(0), ZeroKind.EXEMPT
    if text == "不征税":
        return Decimal(0), ZeroKind.UNTAXED
    if text.endswith("%"):
        return _number(text[:-1], "TaxRate") / 100, ZeroKind.NOT_ZERO
    rate = _number(text, "TaxRate")
    return rate, ZeroKind.ORDINARY if rate == 0 else ZeroKind.NOT_ZERO


def _with_discounts(lines: list[PricedLine]) -> list[PricedLine]:
    """Discount lines (折扣行) as such. The XML does not name them: a negative line without quantity that follows its
    own item, in an invoice whose other lines are positive, is one."""
    if all(line.amount < 0 for line in lines):
        return lines
    for place in range(1, len(lines)):
        item, line = lines[place - 1], lines[place]
        same = (item.name, item.code, item.rate) == (line.name, line.code, line.rate)
        if same and line.amount < 0 <= item.amount and line.quantity is None and item.kind is LineKind.PLAIN:
            lines[place - 1] = _of_kind(item, LineKind.DISCOUNTED)
            lines[place] = _of_kind(line, LineKind.DISCOUNT)
    return lines


def _of_kind(line: PricedLine, kind: LineKind) -> PricedLine:
    fields = {name: getattr(line, name) for name in line.__struct_fields__}
    return PricedLine(**{**fields, "kind": kind})


def _red(content: etree._Element | None, blue_mark: str) -> RedReference | None:
    specific = _child(content, "SpecificInformation", required=False)
    element = _child(specific, "RedEInvoice", required=False)
    if element is None and blue_mark != "N":
        return None
    return RedReference(_text(element, "OriginalInvoiceCode"), _text(element, "CreditNoteNumber"))


def _additional(extra: etree._Element | None) -> list[tuple[str, str]]:
    """Name–value pairs; the element that wraps a pair is called differently in different files."""
    if extra is None:
        return []
    pairs = [(_text(child, "Information"), _text(child, "InformationValue")) for child in extra if len(child)]
    return [pair for pair in pairs if pair[0]]


def _signature(element: etree._Element | None) -> SignatureBlock | None:
    value = _text(element, "SignatureValue")
    if element is None or not value:
        return None
    reference = _child(element, "Reference", required=False)
    key_info = _child(element, "KeyInfo", required=False)
    certificates = [] if key_info is None else [node.text or "" for node in key_info.iter() if not len(node)]
    return SignatureBlock(
        reference="" if reference is None else reference.get("URI", ""),
        algorithm=_text(element, "SignatureAlgorithm"),
        format=_text(element, "SignatureFormat"),
        value=_base64(value),
        key_info=tuple(decoded for text in certificates if (decoded := _base64(text))),
    )


def _base64(text: str) -> bytes:
    """Decoded, or empty when it is not base64: a foreign signature is not a reason not to read the rest."""
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return b""
