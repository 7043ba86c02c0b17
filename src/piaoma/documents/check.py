"""Checking a file from outside (查验): one pure function from its bytes to a report, run in a worker.

XML, PDF, OFD and pictures each have their way in; all of them end in the same items. A PDF or OFD is judged by the
original inside and by what it shows; where there is no original, its sources are held against each other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import urlsplit

import msgspec

from piaoma.codes.printed import PrintedCode, parse
from piaoma.codes.title_qr import parse_title, read_symbols
from piaoma.invoice.inspect import inspect
from piaoma.invoice.issued import IssuedInvoice
from piaoma.invoice.original_reader import read
from piaoma.invoice.refusal import Refusal, Refused, refuse
from piaoma.trust import Verdict, verify_original
from piaoma.trust.checkpoint import LogPublicKey

from .bundle import is_bundle, log_faults, unpack
from .embedded import embedded_original
from .facts import Facts, bare, disagreements, facts_of, facts_of_code, figure_faults, id_faults, merged, number_faults
from .ofd import CREATOR, NAMED, OFD_MARK, VERSIONS, Document, SealCheck, check_seal, read_ofd
from .pdf_signature import is_signed_copy
from .printed_text import Row, numbers_in, printed_facts
from .report import Item, Light, Report, Source, item

CHECK_SECONDS_MAX = 8  # of the processor, for one file; the largest legal invoice takes 3
CHECK_MEMORY_BYTES_MAX = 768 * 1024 * 1024  # addresses of a worker that checks; the largest legal invoice takes 430 MiB
FILE_BYTES_MAX = 20 * 1024 * 1024
PICTURES_MAX = 8  # of an OFD in which a QR is looked for

PDF_MARK = b"%PDF"
_MARK_BYTES = 1_024  # within which a PDF must begin
_PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"RIFF")
_DOUBTS = ("OFD-TOO-LARGE", "PHOTO-TOO-LARGE", "ORIGINAL-TOO-LARGE", "PHOTO-NO-CODE")
_NUMBER_CAUSES = ("INSPECT-NUMBER-FORM", "INSPECT-NUMBER-PROVINCE", "INSPECT-NUMBER-YEAR")
_LOG_DOUBTS = ("LOG-PENDING", "LOG-UNTRUSTED")
_LIGHTS = {Verdict.VALID: Light.OK, Verdict.INVALID: Light.BAD, Verdict.UNKNOWN: Light.UNKNOWN}


class Trusted(msgspec.Struct, frozen=True):
    """What files are judged against: roots (DER), published keys of logs, where codes of this site point."""

    roots: tuple[bytes, ...] = ()
    log_keys: tuple[str, ...] = ()
    base_url: str = ""


def check(data: bytes, trusted: Trusted) -> Report:
    """What is known of a file.

    Takes what it takes: whoever calls bounds its time and memory, since any file may be hostile.
    """
    try:
        if len(data) > FILE_BYTES_MAX:
            raise refuse("ORIGINAL-TOO-LARGE", have=len(data), max=FILE_BYTES_MAX)
        if data.startswith(OFD_MARK):  # both are zips
            return _check_bundle(data, trusted) if is_bundle(data) else _check_ofd(data, trusted.roots)[0]
        if PDF_MARK in data[:_MARK_BYTES] and data.lstrip()[:1] != b"<":
            return _check_pdf(data, trusted.roots)[0]
        if data.startswith(_PICTURES):
            return check_symbols(read_symbols(data), trusted.base_url)
        if data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] != b"<":
            raise refuse("FILE-KIND")
        return _check_xml(data, trusted.roots)
    except Refused as refused:
        return unreadable(refused.refusals)


def unreadable(reasons: Iterable[Refusal], source: Source = Source.NONE) -> Report:
    """A file that could not be read: bad when it is broken or hostile, unknown when only a limit stood in the way."""
    found = tuple(reasons)
    doubt = all(reason.cause in _DOUBTS or reason.cause.startswith("FILE-") for reason in found)
    return Report(source, (item("file", found, Light.UNKNOWN if doubt else Light.BAD),))


def _report(source: Source, items: Iterable[Item], facts: Facts, signer: str = "", original: bytes = b"") -> Report:
    digest = hashlib.sha256(original).hexdigest() if original else ""
    return Report(source, (), facts, signer, digest).with_items(items)


# ── the original, alone and in a bundle ───────────────────────────────────────────────────────────────────────────────


def _check_xml(data: bytes, roots: Sequence[bytes]) -> Report:
    items, invoice, signer = _judged(data, roots)
    return _report(Source.XML, items, facts_of(invoice) if invoice else Facts(), signer, data)


def _check_bundle(data: bytes, trusted: Trusted) -> Report:
    """The original in a bundle, whether the log has it, and its views, each of which must carry just this original."""
    bundle = unpack(data)
    report = _check_xml(bundle.original, trusted.roots)
    keys = {key.name: key for key in map(LogPublicKey.of, trusted.log_keys)}
    faults = log_faults(bundle, keys)
    if report.facts.number and report.facts.number != bundle.number:
        faults.append(Refusal("LOG-PROOF-INVALID", "", {"have": bundle.number}))
    doubt = all(fault.cause in _LOG_DOUBTS for fault in faults)
    items = [*report.items, item("log", faults, Light.UNKNOWN if doubt else Light.BAD, leaf=str(bundle.proof.leaf))]
    for kind, shown in bundle.views.items():
        try:
            known, original = (_check_pdf if kind == "pdf" else _check_ofd)(shown, trusted.roots)
            items += known.items
        except Refused as refused:
            items.append(item("file", refused.refusals))
            original = None
        if original != bundle.original:
            items.append(item("view", (Refusal("BUNDLE-VIEW-OTHER", "", {"have": kind.upper()}),)))
    return _report(Source.BUNDLE, _gravest(items), report.facts, report.signer, bundle.original)


def _gravest(items: Iterable[Item]) -> list[Item]:
    """One item of each name: the gravest of those that several parts of a file have."""
    kept: dict[str, Item] = {}
    for one in items:
        if one.name not in kept or one.gravity > kept[one.name].gravity:
            kept[one.name] = one
    return list(kept.values())


def _judged(original: bytes, roots: Sequence[bytes]) -> tuple[list[Item], IssuedInvoice | None, str]:
    """Items of an original, what it says, and its signer."""
    signature = verify_original(original, roots)
    try:
        invoice = read(original)
    except Refused as refused:
        return [item("file", signature.reasons or refused.refusals)], None, signature.signer
    faults = inspect(invoice)
    about_ids = [fault for fault in faults if fault.cause == "INSPECT-ID"]
    about_number = [fault for fault in faults if fault.cause in _NUMBER_CAUSES]
    rest = [fault for fault in faults if fault not in about_ids and fault not in about_number]
    items = [
        item("file"),
        item("signature", signature.reasons, _LIGHTS[signature.verdict], signer=signature.signer),
        _number(facts_of(invoice), about_number),
        item("figures", rest),
        item("ids", about_ids),
    ]
    return items, invoice, signature.signer


def _number(facts: Facts, faults: Sequence[Refusal]) -> Item:
    if not faults and facts.sandbox:
        return item("number", (Refusal("INSPECT-SANDBOX"),), Light.WARN)
    return item("number", faults)


def _without_original(sources: Sequence[tuple[str, Facts]]) -> tuple[list[Item], Facts]:
    """Items of a file that has no original, from what its sources say; the first is believed most."""
    facts = Facts()
    clashes: list[Refusal] = []
    for name, stated in sources:
        clashes += [
            Refusal("VIEW-SOURCES-DIFFER", field, {"field": field, "have": one[:80], "name": name, "other": other[:80]})
            for field, one, other in disagreements(facts, stated)
        ]
        facts = merged(facts, stated)
    items = [item("signature", (Refusal("SIGNATURE-MISSING"),), Light.UNKNOWN)]
    if clashes or sum(stated != Facts() for _, stated in sources) > 1:
        items.append(item("view", clashes, form="same"))
    if facts.number:
        items.append(_number(facts, number_faults(facts)))
    if facts.total is not None and (facts.words or facts.amount is not None):
        items.append(item("figures", figure_faults(facts)))
    if facts.seller_id or facts.buyer_id:
        items.append(item("ids", id_faults(facts)))
    return items, facts


# ── PDF ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _check_pdf(data: bytes, roots: Sequence[bytes]) -> tuple[Report, bytes | None]:
    """(report, the original inside). Judged by that, if any, and by what its pages show, unless it is byte for byte
    what we draw, or that and a signature behind it."""
    original = embedded_original(data)
    drawn = b"" if original is None else _drawn(original, "pdf")
    if original is not None and drawn and (drawn == data or is_signed_copy(data, drawn)):
        items, invoice, signer = _judged(original, roots)
        items += [item("view"), *_checksum(None)]
        return _report(Source.PDF, items, facts_of(invoice) if invoice else Facts(), signer, original), original
    from .pdf.reader import Pdf  # a large library, for files of others only

    opened = Pdf(data)
    original = original or opened.original()
    rows, symbols = opened.rows(), opened.symbols()
    codes = _invoice_codes(symbols)
    shown = [("text", printed_facts(rows)), *(("QR", facts_of_code(code)) for code in codes[:1])]
    if original is None:
        items, facts = _without_original(shown)
        several = _several(numbers_in(rows), [code.number for code in codes])
        return _report(Source.PDF, [item("file", several, Light.WARN), *items, *_checksum(codes)], facts), None
    items, invoice, signer = _judged(original, roots)
    if invoice is None:
        return _report(Source.PDF, items, Facts(), signer), original
    items += [_shown(invoice, shown), *_checksum(codes)]
    return _report(Source.PDF, items, facts_of(invoice), signer, original), original


def _shown(invoice: IssuedInvoice, sources: Iterable[tuple[str, Facts]]) -> Item:
    """The view item of a file that is not drawn by us: what it shows must be what the original says, and even then it
    may show more, so it is not known as a whole."""
    stated = facts_of(invoice)
    clashes = [
        Refusal("VIEW-SHOWS-OTHER", field, {"field": field, "name": name, "have": have[:80], "original": said[:80]})
        for name, facts in sources
        for field, said, have in disagreements(stated, facts)
    ]
    if clashes:
        return item("view", clashes)
    return item("view", (Refusal("VIEW-DIFFERS"),), Light.UNKNOWN)


def _drawn(original: bytes, kind: str, signed_value: bytes = b"") -> bytes:
    """The view as we draw it; empty when we cannot."""
    from .render import render  # the fonts are read only when a view is to be compared

    try:
        return render(original, kind, signed_value)
    except (Refused, RuntimeError, ValueError):
        return b""


# ── OFD ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _check_ofd(data: bytes, roots: Sequence[bytes]) -> tuple[Report, bytes | None]:
    """(report, the original inside). Valid when its original is, and either its seal covers every part, or it is just
    what we draw."""
    document = read_ofd(data)
    if document.original is None:
        seal = check_seal(document, roots)
        return _ofd_without_original(document, seal), None
    items, invoice, signer = _judged(document.original, roots)
    block = invoice.signature if invoice else None
    seal = check_seal(document, roots, block.key_info if block else ())
    if seal is not None:
        items.append(_seal(seal))
        signer = signer or seal.signer
    if invoice is None:
        return _report(Source.OFD, items, Facts(), signer), document.original
    clashes = _clashes(document, invoice)
    kinds = {version: kind for kind, version in VERSIONS.items()} if document.creator == CREATOR else {}
    kind = kinds.get(document.creator_version, "" if seal else NAMED)  # as which of ours it is to be drawn again
    if clashes:
        items.append(item("view", clashes))
    elif seal is not None and seal.verdict is not Verdict.VALID:
        pass  # what its seal says is enough to know
    elif kind:
        same = _drawn(document.original, kind, seal.signed_value if seal else b"") == data
        items.append(item("view", () if same else (Refusal("VIEW-DIFFERS"),), Light.UNKNOWN))
    else:
        items.append(item("view", form="sealed"))
    return _report(Source.OFD, items, facts_of(invoice), signer, document.original), document.original


def _seal(seal: SealCheck) -> Item:
    return item("seal", seal.reasons, _LIGHTS[seal.verdict], signer=seal.signer)


def _ofd_without_original(document: Document, seal: SealCheck | None) -> Report:
    """By its tags, the text of its pages, and the QR among its pictures."""
    codes = _invoice_codes(_symbols_of(document))
    text = printed_facts([Row(row) for page in document.text for row in page.splitlines()])
    sources = [("tags", _tagged(document)), ("text", text), *(("QR", facts_of_code(code)) for code in codes[:1])]
    items, facts = _without_original(sources)
    if seal is not None:
        items.append(_seal(seal))
    missing = item("signature", (Refusal("OFD-ORIGINAL-MISSING"),), Light.UNKNOWN)
    items = [item("file"), *(missing if one.name == "signature" else one for one in items), *_checksum(codes)]
    return _report(Source.OFD, items, facts, seal.signer if seal else "")


def _clashes(document: Document, invoice: IssuedInvoice) -> list[Refusal]:
    """Every value named by a tag that a page shows otherwise than the original says."""
    stated = facts_of(invoice)
    return [
        Refusal("VIEW-SHOWS-OTHER", field, {"field": field, "name": "OFD", "have": have[:80], "original": said[:80]})
        for facts in _all_tagged(document)
        for field, said, have in disagreements(stated, facts)
    ]


_TAGS = {"IssueDate": "开票日期：{}", "TaxInclusiveTotalAmount": "（小写）{}"}


def _tagged(document: Document) -> Facts:
    return next(_all_tagged(document), Facts())


def _all_tagged(document: Document) -> Iterator[Facts]:
    """What the tags name, once for each time that they name it."""
    values = document.values
    for place in range(max((len(found) for found in values.values()), default=0)):
        text = {name: found[place].strip() for name, found in values.items() if place < len(found) and found[place]}
        facts = printed_facts([Row(label.format(text[name])) for name, label in _TAGS.items() if name in text])
        sums = printed_facts([Row(f"合计 {text[name]}") for name in ("TaxExclusiveTotalAmount",) if name in text])
        yield msgspec.structs.replace(
            facts,
            number=bare(text.get("InvoiceNo", "")),  # as it stands, whatever it is
            amount=sums.amount,
            buyer_name=text.get("BuyerName", ""),
            buyer_id=text.get("BuyerTaxID", ""),
            seller_name=text.get("SellerName", ""),
            seller_id=text.get("SellerTaxID", ""),
        )


def _symbols_of(document: Document) -> list[str]:
    found: list[str] = []
    pictures = [data for data in document.package.parts.values() if data.startswith(_PICTURES)]
    for data in pictures[:PICTURES_MAX]:
        try:
            found += read_symbols(data)
        except Refused:
            continue
    return found


# ── pictures and symbols ──────────────────────────────────────────────────────────────────────────────────────────


def check_symbols(symbols: Sequence[str], base_url: str) -> Report:
    """What the QR codes of a photo or picture say. It proves nothing by itself, and the report says so."""
    codes = _invoice_codes(symbols)
    if not codes:
        pickup = _pickup(symbols, base_url)
        return Report(Source.PICTURE, (_other_symbol(symbols, pickup),), pickup=pickup)
    facts = facts_of_code(codes[0])
    several = _several([code.number for code in codes])
    items = [
        item("file", several, Light.WARN),
        item("signature", (Refusal("VIEW-PICTURE-ONLY"),), Light.UNKNOWN),
        *_checksum(codes),
        _number(facts, number_faults(facts)),
    ]
    return _report(Source.PICTURE, items, facts)


def _other_symbol(symbols: Sequence[str], pickup: str) -> Item:
    """Which code it is, when it is not that of an invoice."""
    if pickup:
        cause = "QR-PICKUP"
    elif any(parse_title(text) for text in symbols):
        cause = "QR-TITLE"
    else:
        cause = "QR-OTHER"
    return item("file", (Refusal(cause),), Light.UNKNOWN)


def _pickup(symbols: Iterable[str], base_url: str) -> str:
    """The path of a code of this site among texts."""
    host = urlsplit(base_url).netloc.lower()
    for text in symbols:
        try:
            address = urlsplit(text)
        except ValueError:
            continue
        if host and address.netloc.lower() == host and address.path[:3].lower() in ("/s/", "/t/"):
            return address.path
    return ""


def _invoice_codes(symbols: Iterable[str]) -> list[PrintedCode]:
    return [code for text in symbols if (code := parse(text)) is not None]


def _checksum(codes: Sequence[PrintedCode] | None) -> list[Item]:
    """The QR item: no item without a QR; None when it is known to be what we draw. A mismatch is suspicious, not proof
    (einvoice.md §2)."""
    if codes is None:
        return [item("qr")]
    wrong = [code for code in codes if code.crc_holds is False]
    without = [code for code in codes if code.crc_holds is None]
    if wrong:
        return [item("qr", (Refusal("QR-CHECKSUM"),), Light.WARN)]
    if without:
        return [item("qr", (Refusal("QR-CHECKSUM-NONE"),), Light.UNKNOWN)]
    return [item("qr")] if codes else []


def _several(*numbers: Sequence[str]) -> list[Refusal]:
    """A word about a file that holds several invoices, of which the first is looked at."""
    most = max((list(dict.fromkeys(found)) for found in numbers), key=len)
    return [Refusal("FILE-SEVERAL", "", {"have": str(len(most)), "others": ", ".join(most[1:6])})] if most[1:] else []
