"""Writing an OFD: a pure function of the original and of the signed value that was made for it once.

The package is that of GB/T 33190-2016 as real 数电票 have it (ofd-and-pdf.md §1 [C]): a template for the frame of each
page, values on the page, CustomTags that point at them, the original attached. Fonts are named, as real files do it,
or, as an option, go with the document, so that it looks the same wherever it is read.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from datetime import date, datetime
from functools import lru_cache

import msgspec

from piaoma.codes.printed_symbol import invoice_symbol
from piaoma.documents.layout import Page, pages_of
from piaoma.documents.ticket import Ticket, ticket_of
from piaoma.invoice.issued import IssuedInvoice
from piaoma.invoice.original_reader import read
from piaoma.trust import sealed_at

from .drawing import FIRST_OWN_ID, FIRST_SHARED_ID, FONTS, KAI, MONO, SONG, Ids, escaped, number
from .fonts import FORM, Subset
from .form import LINE_TAGS, SEAL, Form, PageForm, Tag, sample_marks
from .packing import Part, pack
from .signs import SIGNATURE, SIGNED_VALUE, signature_xml, signatures_xml

# Of what is drawn, by its kind: another version draws other bytes, which need a seal of their own. Fonts are named, or
# go with the document.
NAMED, EMBEDDED = "ofd", "ofd-embedded"
VERSIONS = {NAMED: "o3", EMBEDDED: "o3e"}
CREATOR = "Piaoma"
ORIGINAL = "Doc_0/Attachs/original_invoice.xml"

_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
_NAMESPACE = 'xmlns:ofd="http://www.ofdspec.org/2016"'
_KEPT = 64  # shared parts that stay in memory, of each kind: some MB at most, for the longest invoices

Parts = dict[str, Part]
Subsets = Mapping[int, Subset]


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
        listed = Part(_listed(drawn, sealed_at(signed_value)))
        parts = parts | {SIGNATURE: listed, SIGNED_VALUE: Part(signed_value, dense=True)}
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
    shared, ids = Ids(FIRST_SHARED_ID), Ids(FIRST_OWN_ID)
    symbol = invoice_symbol(invoice)
    laid = pages_of(ticket)
    kinds = [_kind(page, place) for place, page in enumerate(laid)]
    firsts = {one: kinds.index(one) for one in kinds}  # the first page of each kind
    pages = [ids.next() for _ in laid]
    templates = {one: ids.next() for one in firsts}
    subsets = {SONG: Subset(), MONO: Subset()} if kind == EMBEDDED else {}
    forms = [PageForm(ids, ticket, symbol, page, subsets) for page in laid]
    parts: Parts = {
        "OFD.xml": _part(_package_xml(invoice, ticket, original, VERSIONS[kind], sealed=sealed)),
        "Doc_0/Document.xml": _NOTHING,  # when the highest id is known
        "Doc_0/PublicRes.xml": _NOTHING,  # when it is known which fonts go with the document
        "Doc_0/DocumentRes.xml": _RESOURCES,
    }
    for place, (one, form, page) in enumerate(zip(kinds, forms, laid, strict=True)):
        if firsts[one] == place:
            parts[f"Doc_0/Tpls/Tpl_{place}/Content.xml"] = _template(form.form, shared, page.height, subsets)
        parts[f"Doc_0/Pages/Page_{place}/Content.xml"] = _part(
            f'<ofd:Page {_NAMESPACE}>{_area(page.height)}<ofd:Template TemplateID="{templates[one]}"'
            f' ZOrder="Background"/><ofd:Content><ofd:Layer Type="Body" ID="{ids.next()}">{form.values.xml}</ofd:Layer>'
            f"</ofd:Content></ofd:Page>"
        )
    if invoice.sandbox:
        parts["Doc_0/Annots/Annotations.xml"] = _annotations(tuple(pages), tuple(firsts[one] for one in kinds))
        for place in firsts.values():
            marked = _marks(ticket.mark, shared, laid[place].height, invoice.issued_on, subsets)
            parts[f"Doc_0/Annots/Page_{place}/Annotation.xml"] = marked
    else:
        parts["Doc_0/Annots/Annotations.xml"] = _annotations((), ())
    parts["Doc_0/Tags/CustomTags.xml"] = _TAG_FILES
    parts["Doc_0/Tags/CustomTag.xml"] = _tags(tuple(tuple(form.tags) for form in forms), tuple(pages))
    attachment = ids.next()
    parts["Doc_0/Attachs/Attachments.xml"] = _part(
        f'<ofd:Attachments {_NAMESPACE}><ofd:Attachment ID="{attachment}" Name="original_invoice" Format="xml"'
        f' CreationDate="{invoice.issued_on:%Y-%m-%d}" Size="{number(len(original) / 1024)}" Visible="false">'
        f"<ofd:FileLoc>original_invoice.xml</ofd:FileLoc></ofd:Attachment></ofd:Attachments>"
    )
    parts[ORIGINAL] = Part(original)
    if sealed:
        parts["Doc_0/Signs/Signatures.xml"] = _SIGNATURES
    files = {font: subset.file(f"PiaomaSubset{font}") for font, subset in subsets.items() if subset.complete}
    if subsets:
        files[KAI] = FORM.read_bytes()
    parts |= {f"Doc_0/Res/{_font_file(font)}": Part(files[font]) for font in sorted(files)}
    parts["Doc_0/PublicRes.xml"] = _fonts(tuple(sorted(files)))
    parts["Doc_0/Document.xml"] = _document(
        tuple(pages), tuple((templates[one], place) for one, place in firsts.items()), laid[0].height, ids.last
    )
    assert shared.last < FIRST_OWN_ID, "an id would be given twice"
    return Drawn(parts, pages[0], invoice.sandbox)


def _part(xml: str, *, often: bool = False) -> Part:
    return Part((_HEAD + xml).encode(), often=often)


def _area(height: float) -> str:
    return f"<ofd:Area><ofd:PhysicalBox>0 0 210 {number(height)}</ofd:PhysicalBox></ofd:Area>"


def _template(form: Form, ids: Ids, height: float, subsets: Subsets) -> Part:
    """The frame and labels of a kind of page: drawn once for all invoices that have the same."""
    if subsets:
        return _template_drawn(form, ids, height, subsets)
    part, ids.last = _template_kept(form, ids.last + 1, height)
    return part


@lru_cache(maxsize=_KEPT)
def _template_kept(form: Form, first: int, height: float) -> tuple[Part, int]:
    ids = Ids(first)
    return _template_drawn(form, ids, height, {}), ids.last


def _template_drawn(form: Form, ids: Ids, height: float, subsets: Subsets) -> Part:
    return _part(
        f'<ofd:Page {_NAMESPACE}>{_area(height)}<ofd:Content><ofd:Layer Type="Background" ID="{ids.next()}">'
        f"{form.drawn(ids, subsets)}</ofd:Layer></ofd:Content></ofd:Page>",
        often=True,
    )


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


@lru_cache(maxsize=_KEPT)
def _document(pages: tuple[int, ...], templates: tuple[tuple[int, int], ...], height: float, last: int) -> Part:
    """``templates`` are the id of each and the page that it was drawn for."""
    template_xml = "".join(
        f'<ofd:TemplatePage ID="{template}" BaseLoc="Tpls/Tpl_{place}/Content.xml"/>' for template, place in templates
    )
    page_xml = "".join(
        f'<ofd:Page ID="{page}" BaseLoc="Pages/Page_{place}/Content.xml"/>' for place, page in enumerate(pages)
    )
    return _part(
        f"<ofd:Document {_NAMESPACE}><ofd:CommonData><ofd:MaxUnitID>{last}</ofd:MaxUnitID>"
        f"<ofd:PageArea><ofd:PhysicalBox>0 0 210 {number(height)}</ofd:PhysicalBox></ofd:PageArea>"
        f"<ofd:PublicRes>PublicRes.xml</ofd:PublicRes><ofd:DocumentRes>DocumentRes.xml</ofd:DocumentRes>{template_xml}"
        f"</ofd:CommonData><ofd:Pages>{page_xml}</ofd:Pages>"
        f"<ofd:Annotations>Annots/Annotations.xml</ofd:Annotations>"
        f"<ofd:CustomTags>Tags/CustomTags.xml</ofd:CustomTags>"
        f"<ofd:Attachments>Attachs/Attachments.xml</ofd:Attachments></ofd:Document>",
        often=True,
    )


@lru_cache(maxsize=_KEPT)
def _fonts(files: tuple[int, ...]) -> Part:
    """The fonts; those that go with the document have a file. A font that lacks a character of this invoice has none:
    a reader's own may have it."""
    fonts = "".join(
        f'<ofd:Font ID="{font}" FontName="{name}" FamilyName="{family}"'
        + (f"><ofd:FontFile>{_font_file(font)}</ofd:FontFile></ofd:Font>" if font in files else "/>")
        for font, name, family in FONTS
    )
    return _part(f'<ofd:Res {_NAMESPACE} BaseLoc="Res"><ofd:Fonts>{fonts}</ofd:Fonts></ofd:Res>', often=True)


def _font_file(font: int) -> str:
    return f"font_{font}.ttf"


@lru_cache(maxsize=_KEPT)
def _annotations(pages: tuple[int, ...], places: tuple[int, ...]) -> Part:
    found = "".join(
        f'<ofd:Page PageID="{page}"><ofd:FileLoc>Page_{place}/Annotation.xml</ofd:FileLoc></ofd:Page>'
        for page, place in zip(pages, places, strict=True)
    )
    return _part(f"<ofd:Annotations {_NAMESPACE}>{found}</ofd:Annotations>", often=True)


def _marks(mark: str, ids: Ids, height: float, day: date, subsets: Subsets) -> Part:
    """The sandbox's marks on a page: the stamp, and the watermark, which is drawn last."""
    if subsets:
        return _marks_drawn(mark, ids, height, day, subsets)
    part, ids.last = _marks_kept(mark, ids.last + 1, height, day)
    return part


@lru_cache(maxsize=_KEPT)
def _marks_kept(mark: str, first: int, height: float, day: date) -> tuple[Part, int]:
    ids = Ids(first)
    return _marks_drawn(mark, ids, height, day, {}), ids.last


def _marks_drawn(mark: str, ids: Ids, height: float, day: date, subsets: Subsets) -> Part:
    annotations = "".join(
        f'<ofd:Annot ID="{ids.next()}" Type="{kind}" Creator="{CREATOR}" LastModDate="{day:%Y-%m-%d}">'
        f'<ofd:Appearance Boundary="0 0 210 {number(height)}">{objects}</ofd:Appearance></ofd:Annot>'
        for kind, objects in zip(("Stamp", "Watermark"), sample_marks(ids, mark, height, subsets), strict=True)
    )
    return _part(f"<ofd:PageAnnot {_NAMESPACE}>{annotations}</ofd:PageAnnot>", often=True)


@lru_cache(maxsize=_KEPT)
def _tags(tagged: tuple[tuple[Tag, ...], ...], pages: tuple[int, ...]) -> Part:
    """Names of values, each with the objects that show it; ``Buyer/BuyerName`` stands inside ``Buyer``.

    Values of lines stand flat, one element for each, as in real files. Where lines do not all have the same values,
    nobody could tell which belong together; then ``GoodsInfos`` has them once more, line by line.
    """
    whole: defaultdict[str, str] = defaultdict(str)
    lines: defaultdict[int, defaultdict[str, str]] = defaultdict(lambda: defaultdict(str))
    for tags_of_page, page in zip(tagged, pages, strict=True):
        for tag in tags_of_page:
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
    return _part(f"<ofd:root {_NAMESPACE}>{tags}{flat}{goods}</ofd:root>", often=True)


def _element(name: str, inner: str) -> str:
    return f"<ofd:{name}>{inner}</ofd:{name}>"


_NOTHING = Part(b"")
_RESOURCES = _part(f'<ofd:Res {_NAMESPACE} BaseLoc="Res"/>', often=True)
_SIGNATURES = _part(signatures_xml(), often=True)
_TAG_FILES = _part(
    f'<ofd:CustomTags {_NAMESPACE}><ofd:CustomTag TypeID="0"><ofd:FileLoc>CustomTag.xml</ofd:FileLoc></ofd:CustomTag>'
    f"</ofd:CustomTags>",
    often=True,
)
