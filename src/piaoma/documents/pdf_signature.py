"""The signature of a PDF document, as an option (文档签名): one update at the end of what we draw, and nothing else.

The drawn file stays whole in front of it, byte for byte, so a signed copy can be checked by drawing again. The form is
PAdES B-B (ETSI EN 319 142-1): a CMS with the certificate, detached, over all but its own place. Its moment is that of
the invoice and the signature is deterministic, so a signed file is the same each time as well.
"""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from importlib.util import find_spec

from asn1crypto import algos, cms, tsp, x509

from piaoma.trust.document_key import DocumentKey, holds

CMS_BYTES_MAX = 4_096
_RANGE = "[0 {:010d} {:010d} {:010d}]"
_CATALOG = re.compile(rb"\n(\d+) 0 obj\n(<</Type/Catalog/.*?>>)\nendobj\n")
_PAGE = re.compile(rb"\n(\d+) 0 obj\n(<</Type/Page/.*?>>)\nendobj\n")
_TRAILER = re.compile(
    rb"trailer\n<</Size (\d+)/Root \d+ 0 R(/Info \d+ 0 R/ID\[.*\])>>\nstartxref\n(\d+)\n%%EOF\Z", re.S
)
_MOMENT = re.compile(rb"/M\(D:(\d{14})\+08'00'\)")
_CONTENTS = re.compile(rb"/Contents<([0-9a-f]{%d})>" % (2 * CMS_BYTES_MAX))


def sign(drawn: bytes, at: datetime, key: DocumentKey) -> bytes:
    """What we drew, with a signature of a moment (aware)."""
    moment = f"{at:%Y%m%d%H%M%S}".encode()
    empty = _updated(drawn, moment, bytes(CMS_BYTES_MAX))
    digest = hashlib.sha256(_covered(empty)).digest()
    signature = key.sign(_attributes(digest, key.certificate).dump())
    return _updated(drawn, moment, _cms(digest, key.certificate, signature))


def is_signed_copy(shown: bytes, drawn: bytes) -> bool:
    """Whether a file is what we draw and just such an update behind it, whose signature holds.

    Whose signature it is, is not judged: it adds nothing to what the original inside says.
    """
    update = shown[len(drawn) :]
    moment, contents = _MOMENT.search(update), _CONTENTS.search(update)
    if not shown.startswith(drawn) or moment is None or contents is None or find_spec("cryptography") is None:
        return False
    made = bytes.fromhex(contents[1].decode())
    # Made again from its two values: so there is nothing else in it.
    return shown == _updated(drawn, moment[1], made) and _holds(made, hashlib.sha256(_covered(shown)).digest())


def _updated(drawn: bytes, moment: bytes, made: bytes) -> bytes:
    """The file with an update (ISO 32000-1 §7.5.6): catalogue and first page name a field that shows nothing."""
    trailer, catalog, page = _TRAILER.search(drawn), _CATALOG.search(drawn), _PAGE.search(drawn)
    if trailer is None or catalog is None or page is None:
        raise ValueError("not a PDF of ours")
    size = int(trailer[1])
    field, signature = size, size + 1
    # Off the page, and without a size: it needs no look of its own and no words for a screen reader.
    widget = (
        f"<</Type/Annot/Subtype/Widget/FT/Sig/T(Signature)/TU(Document signature)/F 132/Rect[-9 -9 -9 -9]"
        f"/P {page[1].decode()} 0 R/V {signature} 0 R>>"
    ).encode()
    head = b"<</Type/Sig/Filter/Adobe.PPKLite/SubFilter/ETSI.CAdES.detached/M(D:" + moment + b"+08'00')/ByteRange"
    objects = [
        (int(page[1]), page[2][:-2] + b"/Annots[%d 0 R]>>" % field),
        (int(catalog[1]), catalog[2][:-2] + b"/AcroForm<</Fields[%d 0 R]/SigFlags 3>>>>" % field),
        (field, widget),
        (signature, b""),
    ]
    body, places = drawn + b"\n", {}
    for number, data in objects:
        places[number] = len(body)
        if number != signature:
            body += b"%d 0 obj\n%b\nendobj\n" % (number, data)
    # What is not covered are the digits of the CMS with their brackets.
    begun = places[signature] + len(b"%d 0 obj\n" % signature) + len(head) + len(_RANGE.format(0, 0, 0)) + 9
    hexed = made.ljust(CMS_BYTES_MAX, b"\0").hex().encode()
    ended = begun + len(hexed) + 2
    rows = b"".join(_rows(places))
    after = b">>\nendobj\n"
    tail = b"xref\n%btrailer\n<</Size %d/Root %b 0 R%b/Prev %b>>\nstartxref\n%d\n%%%%EOF\n" % (
        rows, size + 2, catalog[1], trailer[2], trailer[3], ended + len(after),
    )  # fmt: skip
    covered = _RANGE.format(begun, ended, len(after) + len(tail)).encode()
    return body + b"%d 0 obj\n" % signature + head + covered + b"/Contents<" + hexed + b">" + after + tail


def _rows(places: dict[int, int]) -> list[bytes]:
    """Sections of the table of objects, one for each: their numbers are apart."""
    return [b"%d 1\n%010d 00000 n\r\n" % (number, place) for number, place in sorted(places.items())]


def _covered(pdf: bytes) -> bytes:
    (found,) = re.findall(rb"/ByteRange\[0 (\d{10}) (\d{10}) (\d{10})\]/Contents<", pdf)
    first, second, length = map(int, found)
    return pdf[:first] + pdf[second : second + length]


def _attributes(digest: bytes, certificate: bytes) -> cms.CMSAttributes:
    """What is signed: the digest of the file, and which certificate it is (ESS, RFC 5035)."""
    named = tsp.SigningCertificateV2({"certs": [{"cert_hash": hashlib.sha256(certificate).digest()}]})
    return cms.CMSAttributes(
        [
            {"type": "content_type", "values": ["data"]},
            {"type": "message_digest", "values": [digest]},
            {"type": "signing_certificate_v2", "values": [named]},
        ]
    )


def _cms(digest: bytes, certificate: bytes, signature: bytes) -> bytes:
    """The one form of a CMS that there is for a digest, a certificate (DER) and a signature (RFC 5652)."""
    loaded = x509.Certificate.load(certificate)
    sha256 = algos.DigestAlgorithm({"algorithm": "sha256"})
    named = cms.IssuerAndSerialNumber({"issuer": loaded.issuer, "serial_number": loaded.serial_number})
    signer = {
        "version": "v1",
        "sid": cms.SignerIdentifier({"issuer_and_serial_number": named}),
        "digest_algorithm": sha256,
        "signed_attrs": _attributes(digest, certificate),
        "signature_algorithm": algos.SignedDigestAlgorithm({"algorithm": "sha256_ecdsa"}),
        "signature": signature,
    }
    signed = {
        "version": "v1",
        "digest_algorithms": [sha256],
        "encap_content_info": {"content_type": "data"},
        "certificates": [loaded],
        "signer_infos": [signer],
    }
    made: bytes = cms.ContentInfo({"content_type": "signed_data", "content": cms.SignedData(signed)}).dump()
    if len(made) > CMS_BYTES_MAX:
        raise ValueError("the certificate is too large")
    return made


def _holds(made: bytes, digest: bytes) -> bool:
    """Whether a CMS is over that digest, by the certificate in it, and has no other byte than ours would."""
    try:
        signed = cms.ContentInfo.load(made)["content"]  # zeros follow
        (signer,), (found,) = signed["signer_infos"], signed["certificates"]
        certificate, signature = found.chosen.dump(), signer["signature"].native
        again = _cms(digest, certificate, signature).ljust(CMS_BYTES_MAX, b"\0")
    except (ValueError, TypeError, KeyError, AttributeError):
        return False
    return made == again and holds(certificate, _attributes(digest, certificate).dump(), signature)
