"""The signature of a PDF: good by another library, the same each time, and nothing else can hide behind it."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from asn1crypto import x509
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import SignatureCoverageLevel, validate_pdf_signature
from pyhanko_certvalidator import ValidationContext

from piaoma.desk.config import Config, ConfigFault, load_config
from piaoma.documents.check import Trusted, check
from piaoma.documents.embedded import embedded_original
from piaoma.documents.pdf_signature import is_signed_copy, sign
from piaoma.documents.render import render
from piaoma.documents.report import Light
from piaoma.invoice.refusal import Refused
from piaoma.trust import Verdict
from piaoma.trust.document_key import DocumentKey, open_document_key
from tests.conftest import Shop, with_shop
from tests.desk.test_views import issue_one
from tests.documents.goldens import original_of, pdf_pages
from tests.documents.verapdf import judged
from tests.invoice.test_original import AT

SECRET = "a secret of the tests that is long enough"


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> DocumentKey:
    return open_document_key(tmp_path_factory.mktemp("keys"), SECRET)


@pytest.fixture(scope="module", params=["one-line", "two-pages"])
def pair(request: pytest.FixtureRequest, key: DocumentKey) -> tuple[bytes, bytes]:
    """(drawn, signed)."""
    drawn = render(original_of(request.param), "pdf")
    return drawn, sign(drawn, AT, key)


def test_another_library_finds_it_good(pair: tuple[bytes, bytes], key: DocumentKey) -> None:
    """pyHanko: the digest, the signature, the certificate, all of the file covered; a flipped byte is seen."""
    _, signed = pair
    trusted = ValidationContext(trust_roots=[x509.Certificate.load(key.certificate)], moment=AT, allow_fetching=False)
    (found,) = PdfFileReader(io.BytesIO(signed)).embedded_signatures
    status = validate_pdf_signature(found, trusted)
    assert status.intact and status.valid and status.trusted and status.bottom_line
    assert status.coverage is SignatureCoverageLevel.ENTIRE_FILE
    assert found.self_reported_timestamp == AT
    at = signed.index(b"/Title")
    broken = signed[: at + 8] + bytes((signed[at + 8] ^ 1,)) + signed[at + 9 :]
    (found,) = PdfFileReader(io.BytesIO(broken)).embedded_signatures
    assert not validate_pdf_signature(found, trusted).intact


def test_it_still_conforms_carries_the_original_and_looks_the_same(pair: tuple[bytes, bytes], tmp_path: Path) -> None:
    """PDF/A-3a and PDF/UA-1 by veraPDF; the original comes out; no pixel changes."""
    drawn, signed = pair
    (tmp_path / "a.pdf").write_bytes(signed)
    assert judged(tmp_path / "a.pdf")[str(tmp_path / "a.pdf")] == {"PDFA_3_A": [], "PDFUA_1": []}
    assert embedded_original(signed) == embedded_original(drawn)
    assert [page.tobytes() for page in pdf_pages(signed)] == [page.tobytes() for page in pdf_pages(drawn)]


def test_it_is_the_same_each_time_and_another_key_is_another_file(
    pair: tuple[bytes, bytes], key: DocumentKey, tmp_path: Path
) -> None:
    """RFC 6979, and the moment of the invoice."""
    drawn, signed = pair
    assert sign(drawn, AT, key) == signed
    other = sign(drawn, AT, open_document_key(tmp_path, SECRET))
    assert other != signed and is_signed_copy(other, drawn)


def test_only_just_such_an_update_is_taken_for_a_signed_copy(pair: tuple[bytes, bytes], key: DocumentKey) -> None:
    """Anything else behind the drawn file could show anything: other updates, a second one, any changed byte."""
    drawn, signed = pair
    assert is_signed_copy(signed, drawn)
    assert not is_signed_copy(drawn, drawn)
    assert not is_signed_copy(signed + b"\n", drawn)
    assert not is_signed_copy(signed + b"1 0 obj\n<</Type/Pages>>\nendobj\n", drawn)
    assert not is_signed_copy(signed[:-1], drawn)
    assert not is_signed_copy(signed.replace(b"/F 132", b"/F 134"), drawn)
    assert not is_signed_copy(signed + signed[len(drawn) :], drawn)
    for place in range(len(drawn) + 1, len(signed), 211):
        assert not is_signed_copy(signed[:place] + bytes((signed[place] ^ 1,)) + signed[place + 1 :], drawn), place


def test_the_shop_signs_when_it_is_told_to(tmp_path: Path) -> None:
    """By configuration: the same bytes each time, and valid for whoever checks the file; without it, no signature."""

    async def story(shop: Shop) -> tuple[bytes, bytes]:
        number = await issue_one(shop)
        pdf = await shop.office.view(shop.id, number, "pdf")
        report = check(pdf, Trusted(shop.office.roots))
        assert report.verdict is Verdict.VALID and report.light("view") is Light.OK
        # With another byte in the signature only the original inside is known to be good.
        broken = check(pdf[:-700] + bytes((pdf[-700] ^ 1,)) + pdf[-699:], Trusted(shop.office.roots))
        assert broken.verdict is not Verdict.VALID
        return await shop.office.view(shop.id, number, "pdf"), await shop.office.view(shop.id, number, "pdf")

    first, second = with_shop(Config(data=str(tmp_path / "a"), pdf_signature="p256"), story)
    assert first == second and b"ETSI.CAdES.detached" in first
    plain, _ = with_shop(Config(data=str(tmp_path / "b")), story)
    assert b"ETSI.CAdES.detached" not in plain


def test_the_key_is_kept_under_the_secret(tmp_path: Path) -> None:
    """Enciphered, for its owner only; with another secret it does not open, with this one it is the same."""
    key = open_document_key(tmp_path / "document", SECRET)
    file = tmp_path / "document" / "document.key"
    assert file.read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
    assert file.stat().st_mode & 0o777 == 0o600
    assert open_document_key(tmp_path / "document", SECRET).certificate == key.certificate
    with pytest.raises(Refused) as caught:
        open_document_key(tmp_path / "document", SECRET + "!")
    assert caught.value.refusals[0].cause == "KEYS-SECRET-WRONG"


def test_a_wrong_word_in_the_configuration_is_told() -> None:
    """At start."""
    with pytest.raises(ConfigFault, match="pdf_signature"):
        load_config(None, {"PIAOMA_PDF_SIGNATURE": "sm2"})
