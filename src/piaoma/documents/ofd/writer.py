"""Writing an OFD: a pure function of the original and of the signed value that was made for it once.

The package is that of GB/T 33190-2016 as real 数电票 have it (ofd-and-pdf.md §1 [C]): a template for the frame of each
page, values on the page, CustomTags that point at them, the original attached. Fonts are named, as real files do it,
or, as an option, go with the document, so that it looks the same wherever it is read.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Container
from datetime import datetime
from functools import lru_cache

import msgspec

from piaoma.codes.printed_symbol import invoice_symbol
from piaoma.documents.faces import FORM
from piaoma.documents.layout import Page, pages_of
from piaoma.documents.ticket import Ticket, ticket_of
from piaoma.invoice.issued import IssuedInvoice
from piaoma.invoice.original_reader import read
from piaoma.trust import sealed_at

from .drawing import FONTS, KAI, MONO, SONG, Ids, escaped, number
from .fonts import Subset
from .form import LINE_TAGS, SEAL, PageForm
from .packing import pack
from .signs import SIGNATURE, SIGNED_VALUE, signature_xml, signatures_xml

# Of what is drawn, by its kind: another version draws other bytes, which need a seal of their own. Fonts are named, or
# go with the document.
NAMED, EMBEDDED = "ofd", "ofd-embedded"
VERSIONS = {NAMED: "o2", EMBEDDED: "o2e"}
CREATOR = "Piaoma"
ORIGINAL = "Doc_0/Attachs/original_invoice.xml"

_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
_NAMESPACE = 'xmlns:ofd="http://www.ofdspec.org/2016"'

Parts = dict[str, bytes]


class Drawn(msgspec.Struct, frozen=True):
    """An OFD before its seal: its parts, and the id of its first page, which bears the seal."""

    parts: Parts
    first_page: int
    sandbox: bool


def write(original: bytes, signed_value: bytes = b"", kind: str = NAMED) -> bytes:
    """The OFD of an original; sealed when there is a signed value over ``to_be_sealed``.

    Raises ``Refused`` as ``original_reader.read``, and ``ValueError`` when the signed value cannot be read.
    """
    drawn = draw(original, sealed=bool(signed_value), kind=kind)
    parts = drawn.parts
    if signed_value:
        parts = parts | {SIGNATURE: _listed(drawn, sealed_at(signed_value)), SIGNED_VALUE: signed_value}
    return pack(parts)


def to_be_sealed(original: bytes, at: datetime, kind: str = NAMED) -> bytes | None:
    """The file that lists what a seal of that moment covers; it stands at ``SIGNATURE``.

    None for a real number: the sandbox's seal is not set on what may be a real invoice.
    """
    drawn = draw(original, sealed=True, kind=kind)
    return _listed(drawn, at) if drawn.sandbox else None


def _listed(drawn: Drawn, at: datetime) -> bytes:
    return signature_xml(drawn.parts, drawn.first_page, SEAL, at)


@lru_cache(maxsize=1)  # what is to be sealed is written next
def draw(original: bytes, *, sealed: bool, kind: str = NAMED) -> Drawn:
    """All parts but the seal's own."""
    invoice = read(original)
    ticket = ticket_of(invoice)
    ids = Ids()
    symbol = invoice_symbol(invoice)
    laid = pages_of(ticket)
    kinds = [_kind(page, place) for place, page in enumerate(laid)]
    firsts = {kind: kinds.index(kind) for kind in kinds}  # the first page of each kind
    pages = [ids.next() for _ in laid]
    templates = {kind: ids.next() for kind in firsts}
    subsets = {SONG: Subset(), MONO: Subset()} if kind == EMBEDDED else {}
    forms = [PageForm(ids, ticket, symbol, page, subsets) for page in laid]
    files = {font: subset.file(f"PiaomaSubset{font}") for font, subset in subsets.items() if subset.complete}
    if subsets:
        files[KAI] = FORM.read_bytes()
    marks = {kind: (ids.next(), ids.next()) for kind in firsts}  # annotations
    attachment = ids.next()
    parts: dict[str, str | bytes] = {
        "OFD.xml": _package_xml(invoice, ticket, original, VERSIONS[kind], sealed=sealed),
        "Doc_0/Document.xml": "",  # when the highest id is known
        "Doc_0/PublicRes.xml": _fonts_xml(files),
        "Doc_0/DocumentRes.xml": f'<ofd:Res {_NAMESPACE} BaseLoc="Res"/>',
    } | {f"Doc_0/Res/{_font_file(font)}": files[font] for font in sorted(files)}
    for place, (kind, form, page) in enumerate(zip(kinds, forms, laid, strict=True)):
        area = f"<ofd:Area><ofd:PhysicalBox>0 0 210 {number(page.height)}</ofd:PhysicalBox></ofd:Area>"
        if firsts[kind] == place:
            parts[f"Doc_0/Tpls/Tpl_{place}/Content.xml"] = (
                f'<ofd:Page {_NAMESPACE}>{area}<ofd:Content><ofd:Layer Type="Background" ID="{ids.next()}">'
                f"{form.template.xml}</ofd:Layer></ofd:Content></ofd:Page>"
            )
        parts[f"Doc_0/Pages/Page_{place}/Content.xml"] = (
            f'<ofd:Page {_NAMESPACE}>{area}<ofd:Template TemplateID="{templates[kind]}" ZOrder="Background"/>'
            f'<ofd:Content><ofd:Layer Type="Body" ID="{ids.next()}">{form.values.xml}</ofd:Layer></ofd:Content>'
            f"</ofd:Page>"
        )
    parts["Doc_0/Document.xml"] = _document_xml(pages, firsts, templates, laid[0].height, ids.last)
    if invoice.sandbox:
        parts["Doc_0/Annots/Annotations.xml"] = _annotations_xml(pages, [firsts[kind] for kind in kinds])
        for kind, place in firsts.items():
            marked = _marks_xml(forms[place], marks[kind], laid[place].height, invoice)
            parts[f"Doc_0/Annots/Page_{place}/Annotation.xml"] = marked
    else:
        parts["Doc_0/Annots/Annotations.xml"] = f"<ofd:Annotations {_NAMESPACE}/>"
    parts["Doc_0/Tags/CustomTags.xml"] = (
        f'<ofd:CustomTags {_NAMESPACE}><ofd:CustomTag TypeID="0"><ofd:FileLoc>CustomTag.xml</ofd:FileLoc>'
        f"</ofd:CustomTag></ofd:CustomTags>"
    )
    parts["Doc_0/Tags/CustomTag.xml"] = _tags_xml(forms, pages)
    parts["Doc_0/Attachs/Attachments.xml"] = (
        f'<ofd:Attachments {_NAMESPACE}><ofd:Attachment ID="{attachment}" Name="original_invoice" Format="xml"'
        f' CreationDate="{invoice.issued_on:%Y-%m-%d}" Size="{number(len(original) / 1024)}" Visible="false">'
        f"<ofd:FileLoc>original_invoice.xml</ofd:FileLoc></ofd:Attachment></ofd:Attachments>"
    )
    parts[ORIGINAL] = original
    if sealed:
        parts["Doc_0/Signs/Signatures.xml"] = signatures_xml()
    ready = {
        name: part if isinstance(part, bytes) else (part if part.startswith("<?") else _HEAD + part).encode()
        for name, part in parts.items()
    }
    return Drawn(ready, pages[0], invoice.sandbox)


def _kind(page: Page, place: int) -> str:
    """Pages of a kind have the same frame and labels, so that a long invoice has few templates."""
    if place == 0 or page.totals is not None:
        return f"page {place}"
    return "items" if page.rows is not None else "remark"


def _package_xml(invoice: IssuedInvoice, ticket: Ticket, original: bytes, version: str, *, sealed: bool) -> str:
    facts = {
        "发票号码": ticket.number,
        "销售方纳税人识别号": ticket.seller.taxpayer_id,
        "购买方纳税人识别号": ticket.buyer.taxpayer_id,
        "合计金额": f"{invoice.totals.amount:.2f}",
        "合计税额": f"{invoice.totals.tax:.2f}",
        "价税合计": f"{invoice.totals.inclusive:.2f}",
        "开票日期": ticket.issued_on,
    }
    data = "".join(
        f'<ofd:CustomData Name="{name}">{escaped(value)}</ofd:CustomData>' for name, value in facts.items() if value
    )
    day = f"{invoice.issued_on:%Y-%m-%d}"
    return (
        f'<ofd:OFD {_NAMESPACE} Version="1.0" DocType="OFD"><ofd:DocBody><ofd:DocInfo>'
        f"<ofd:DocID>{hashlib.sha256(original).hexdigest()[:32]}</ofd:DocID>"
        f"<ofd:Author>{escaped(ticket.seller.name)}</ofd:Author>"
        f"<ofd:CreationDate>{day}</ofd:CreationDate><ofd:ModDate>{day}</ofd:ModDate>"
        f"<ofd:Creator>{CREATOR}</ofd:Creator><ofd:CreatorVersion>{version}</ofd:CreatorVersion>"
        f"<ofd:CustomDatas>{data}</ofd:CustomDatas></ofd:DocInfo><ofd:DocRoot>Doc_0/Document.xml</ofd:DocRoot>"
        + ("<ofd:Signatures>Doc_0/Signs/Signatures.xml</ofd:Signatures>" if sealed else "")
        + "</ofd:DocBody></ofd:OFD>"
    )


def _document_xml(pages: list[int], firsts: dict[str, int], templates: dict[str, int], height: float, last: int) -> str:
    template_xml = "".join(
        f'<ofd:TemplatePage ID="{templates[kind]}" BaseLoc="Tpls/Tpl_{place}/Content.xml"/>'
        for kind, place in firsts.items()
    )
    page_xml = "".join(
        f'<ofd:Page ID="{page}" BaseLoc="Pages/Page_{place}/Content.xml"/>' for place, page in enumerate(pages)
    )
    return (
        f"<ofd:Document {_NAMESPACE}><ofd:CommonData><ofd:MaxUnitID>{last}</ofd:MaxUnitID>"
        f"<ofd:PageArea><ofd:PhysicalBox>0 0 210 {number(height)}</ofd:PhysicalBox></ofd:PageArea>"
        f"<ofd:PublicRes>PublicRes.xml</ofd:PublicRes><ofd:DocumentRes>DocumentRes.xml</ofd:DocumentRes>{template_xml}"
        f"</ofd:CommonData><ofd:Pages>{page_xml}</ofd:Pages>"
        f"<ofd:Annotations>Annots/Annotations.xml</ofd:Annotations>"
        f"<ofd:CustomTags>Tags/CustomTags.xml</ofd:CustomTags>"
        f"<ofd:Attachments>Attachs/Attachments.xml</ofd:Attachments></ofd:Document>"
    )


def _fonts_xml(files: Container[int]) -> str:
    """The fonts; those that go with the document have a file. A font that lacks a character of this invoice has none:
    a reader's own may have it."""
    fonts = "".join(
        f'<ofd:Font ID="{font}" FontName="{name}" FamilyName="{family}"'
        + (f"><ofd:FontFile>{_font_file(font)}</ofd:FontFile></ofd:Font>" if font in files else "/>")
        for font, name, family in FONTS
    )
    return f'<ofd:Res {_NAMESPACE} BaseLoc="Res"><ofd:Fonts>{fonts}</ofd:Fonts></ofd:Res>'


def _font_file(font: int) -> str:
    return f"font_{font}.ttf"


def _annotations_xml(pages: list[int], places: list[int]) -> str:
    found = "".join(
        f'<ofd:Page PageID="{page}"><ofd:FileLoc>Page_{place}/Annotation.xml</ofd:FileLoc></ofd:Page>'
        for page, place in zip(pages, places, strict=True)
    )
    return f"<ofd:Annotations {_NAMESPACE}>{found}</ofd:Annotations>"


def _marks_xml(form: PageForm, names: tuple[int, int], height: float, invoice: IssuedInvoice) -> str:
    """The sandbox's marks on a page: the stamp, and the watermark, which is drawn last."""
    *stamp, watermark = form.marks.objects
    annotations = "".join(
        f'<ofd:Annot ID="{name}" Type="{kind}" Creator="{CREATOR}" LastModDate="{invoice.issued_on:%Y-%m-%d}">'
        f'<ofd:Appearance Boundary="0 0 210 {number(height)}">{objects}</ofd:Appearance></ofd:Annot>'
        for name, kind, objects in zip(names, ("Stamp", "Watermark"), ("".join(stamp), watermark), strict=True)
    )
    return f"<ofd:PageAnnot {_NAMESPACE}>{annotations}</ofd:PageAnnot>"


def _tags_xml(forms: list[PageForm], pages: list[int]) -> str:
    """Names of values, each with the objects that show it; ``Buyer/BuyerName`` stands inside ``Buyer``.

    Values of lines stand flat, one element for each, as in real files. Where lines do not all have the same values,
    nobody could tell which belong together; then ``GoodsInfos`` has them once more, line by line.
    """
    whole: defaultdict[str, str] = defaultdict(str)
    lines: defaultdict[int, defaultdict[str, str]] = defaultdict(lambda: defaultdict(str))
    for form, page in zip(forms, pages, strict=True):
        for tag in form.tags:
            found = "".join(f'<ofd:ObjectRef PageRef="{page}">{one}</ofd:ObjectRef>' for one in tag.objects)
            if tag.line < 0:
                whole[tag.name] += found
            else:
                lines[tag.line][tag.name] += found
    groups: defaultdict[str, str] = defaultdict(str)
    for name, found in whole.items():
        group, _, leaf = name.rpartition("/")
        groups[group or leaf] += _element(leaf, found) if group else found
    tags = "".join(_element(name, inner) for name, inner in groups.items())
    flat = "".join(_element(name, line[name]) for name in LINE_TAGS for line in lines.values() if name in line)
    goods = ""
    if len({tuple(sorted(line)) for line in lines.values()}) > 1:
        rows = (_element("GoodsInfo", "".join(map(_element, line, line.values()))) for line in lines.values())
        goods = _element("GoodsInfos", "".join(rows))
    return f"<ofd:root {_NAMESPACE}>{tags}{flat}{goods}</ofd:root>"


def _element(name: str, inner: str) -> str:
    return f"<ofd:{name}>{inner}</ofd:{name}>"
