"""Tampered copies of one genuine invoice: every way in which somebody would try to change what it says."""

from __future__ import annotations

import base64
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import msgspec

from piaoma.documents.ofd import SIGNATURE, to_be_sealed, write
from piaoma.documents.render import render
from piaoma.invoice.issued import IssuedInvoice
from piaoma.invoice.words import to_words
from piaoma.trust import FileSigner, open_or_create, open_seal, sign_original, sign_value
from tests.documents.foreign import foreign_pdf, qr_text, with_attachment
from tests.documents.test_ofd import original_of, pack, parts_of, sealed
from tests.invoice.test_original import AT, example

PAGE = "Doc_0/Pages/Page_0/Content.xml"
VALUE = "Doc_0/Signs/Sign_0/SignedValue.dat"
ORIGINAL = "Doc_0/Attachs/original_invoice.xml"
OTHER = msgspec.structs.replace(example(), number="26990000000000000002")


@cache
def genuine() -> dict[str, bytes]:
    """The invoice as XML, PDF and OFD."""
    original, package = sealed(example())
    return {"xml": original, "pdf": render(original, "pdf"), "ofd": package}


@cache
def stranger() -> tuple[bytes, bytes]:
    """(XML, OFD) of the same invoice, signed and sealed by somebody else."""
    folder = Path(mkdtemp(prefix="piaoma-stranger-")) / "keys"
    keyring = open_or_create(folder, AT)
    original = sign_original(example(), FileSigner(keyring))
    listed = to_be_sealed(original, AT)
    assert listed is not None
    return original, write(original, sign_value(listed, f"/{SIGNATURE}", open_seal(folder, keyring, AT), AT))


def dearer() -> IssuedInvoice:
    """The same invoice over another amount, its figures in order."""
    invoice = example()
    line = invoice.lines[0]
    more = msgspec.structs.replace(line, amount=line.amount * 2, tax=line.tax * 2, inclusive=line.inclusive * 2)
    total = invoice.totals.inclusive * 2
    totals = msgspec.structs.replace(
        invoice.totals, amount=more.amount, tax=more.tax, inclusive=total, words=to_words(total)
    )
    return msgspec.structs.replace(invoice, lines=(more,), totals=totals)


def xml(old: str, new: str) -> bytes:
    changed = genuine()["xml"].replace(old.encode(), new.encode())
    assert changed != genuine()["xml"]
    return changed


def between(data: bytes, tag: bytes) -> bytes:
    return data.partition(b"<%s>" % tag)[2].partition(b"</%s>" % tag)[0]


def with_keys_of_a_stranger() -> bytes:
    """Our signature, somebody else's certificates."""
    ours, theirs = between(genuine()["xml"], b"KeyInfo"), between(stranger()[0], b"KeyInfo")
    return genuine()["xml"].replace(ours, theirs)


def with_signature_of(other: bytes) -> bytes:
    ours, theirs = between(genuine()["xml"], b"SignatureValue"), between(other, b"SignatureValue")
    return genuine()["xml"].replace(ours, theirs)


def unsigned() -> bytes:
    data = genuine()["xml"]
    return data.replace(between(data, b"SignatureValue"), b"").replace(between(data, b"KeyInfo"), b"")


def ofd(**changed: bytes) -> bytes:
    """The sealed package with other parts, by the names above."""
    return pack(parts_of(genuine()["ofd"]) | {globals()[name]: data for name, data in changed.items()})


def unsealed(**changed: bytes) -> bytes:
    """Without its seal, so that nothing but the original speaks."""
    return pack(parts_of(write(genuine()["xml"])) | {globals()[name]: data for name, data in changed.items()})


def page_with(old: str, new: str, *, of_sealed: bool) -> bytes:
    part = parts_of(genuine()["ofd"] if of_sealed else write(genuine()["xml"]))[PAGE]
    assert old.encode() in part
    return part.replace(old.encode(), new.encode())


def shown_like_ours(**changed: str) -> bytes:
    """A page drawn by another program around the genuine original, one value or its QR changed."""
    invoice = example()
    stated = {
        "number": invoice.number,
        "date": f"{invoice.issued_on:%Y年%m月%d日}",
        "buyer": invoice.buyer.name,
        "buyer_id": invoice.buyer.taxpayer_id,
        "seller": invoice.seller.name,
        "seller_id": invoice.seller.taxpayer_id,
    }
    qr = changed.pop("qr", qr_text(invoice.number, "58.00", f"{invoice.issued_on:%Y%m%d}"))
    return with_attachment(foreign_pdf(qr, **{**stated, **changed}), genuine()["xml"])


DAY = f"{example().issued_on:%Y%m%d}"

# (name, how it is made, the cause that must be told, whether it is refused or only not known)
TAMPERED: list[tuple[str, Callable[[], bytes], str, bool]] = [
    ("xml: amount", lambda: xml("58.00", "98.00"), "SIGNATURE-INVALID", True),
    ("xml: date", lambda: xml("2026-11-24", "2026-11-25"), "SIGNATURE-INVALID", True),
    ("xml: buyer", lambda: xml("武汉某某科技有限公司", "武汉别的科技有限公司"), "SIGNATURE-INVALID", True),
    ("xml: number", lambda: xml("26990000000000000001", "26990000000000000009"), "SIGNATURE-INVALID", True),
    ("xml: a remark outside what is signed", lambda: genuine()["xml"] + b"<!-- paid -->", "ORIGINAL-LAYOUT", False),
    ("xml: signature of another invoice", lambda: with_signature_of(original_of(OTHER)), "SIGNATURE-INVALID", True),
    ("xml: signature of a stranger", lambda: with_signature_of(stranger()[0]), "SIGNATURE-INVALID", True),
    ("xml: certificate of a stranger", with_keys_of_a_stranger, "SIGNATURE-INVALID", True),
    ("xml: signed by a stranger", lambda: stranger()[0], "SIGNATURE-UNTRUSTED", False),
    ("xml: signature taken away", unsigned, "SIGNATURE-MISSING", False),
    ("xml: cut off", lambda: genuine()["xml"][:-40], "ORIGINAL-NOT-XML", True),
    ("pdf: shows another amount", lambda: with_attachment(render(original_of(dearer()), "pdf"), genuine()["xml"]),
     "VIEW-SHOWS-OTHER", True),
    ("pdf: the XML of another invoice", lambda: with_attachment(genuine()["pdf"], original_of(OTHER)),
     "VIEW-SHOWS-OTHER", True),
    ("pdf: an altered XML inside", lambda: with_attachment(genuine()["pdf"], xml("58.00", "98.00")),
     "SIGNATURE-INVALID", True),
    ("pdf: drawn from an altered XML", lambda: render(xml("58.00", "98.00"), "pdf"), "SIGNATURE-INVALID", True),
    ("pdf: QR of another amount", lambda: shown_like_ours(qr=qr_text(example().number, "98.00", DAY)),
     "VIEW-SHOWS-OTHER", True),
    ("pdf: QR of another invoice", lambda: shown_like_ours(qr=qr_text(OTHER.number, "58.00", DAY)),
     "VIEW-SHOWS-OTHER", True),
    ("pdf: date", lambda: shown_like_ours(date="2026年11月25日"), "VIEW-SHOWS-OTHER", True),
    ("pdf: buyer", lambda: shown_like_ours(buyer="成都别的科技有限公司"), "VIEW-SHOWS-OTHER", True),
    ("pdf: seller's id", lambda: shown_like_ours(seller_id="91110000600037341L"), "VIEW-SHOWS-OTHER", True),
    ("pdf: words", lambda: shown_like_ours(words="玖拾捌圆整"), "VIEW-SHOWS-OTHER", True),
    ("pdf: drawn by another program", shown_like_ours, "VIEW-DIFFERS", False),
    ("pdf: a byte at the end", lambda: genuine()["pdf"] + b"%", "VIEW-DIFFERS", False),
    ("pdf: the original taken away", lambda: with_attachment(genuine()["pdf"], None), "SIGNATURE-MISSING", False),
    ("ofd: amount under the seal", lambda: ofd(PAGE=page_with(">58.00<", ">98.00<", of_sealed=True)),
     "SEAL-ALTERED", True),
    ("ofd: amount, the seal taken away", lambda: unsealed(PAGE=page_with(">58.00<", ">98.00<", of_sealed=False)),
     "VIEW-SHOWS-OTHER", True),
    ("ofd: a line's text, the seal taken away", lambda: unsealed(PAGE=page_with("餐费", "酒店", of_sealed=False)),
     "VIEW-DIFFERS", False),
    ("ofd: seal of another invoice", lambda: ofd(VALUE=parts_of(sealed(OTHER)[1])[VALUE]), "SEAL-ALTERED", True),
    ("ofd: seal of a stranger", lambda: ofd(VALUE=parts_of(stranger()[1])[VALUE]), "SEAL-ALTERED", True),
    ("ofd: sealed by a stranger", lambda: stranger()[1], "SEAL-UNTRUSTED", False),
    ("ofd: original of another invoice", lambda: ofd(ORIGINAL=original_of(OTHER)), "SEAL-ALTERED", True),
    ("ofd: original of another, the seal taken away", lambda: unsealed(ORIGINAL=original_of(OTHER)),
     "VIEW-SHOWS-OTHER", True),
    ("ofd: a part added", lambda: pack(parts_of(genuine()["ofd"]) | {"Doc_0/Annots/later.xml": b"<a/>"}),
     "SEAL-COVERS-PART", False),
    ("ofd: the seal's value is nothing", lambda: ofd(VALUE=base64.b64encode(b"nothing")), "SEAL-UNREADABLE", True),
]  # fmt: skip
