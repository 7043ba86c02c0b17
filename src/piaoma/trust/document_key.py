"""The key that signs PDF documents, as an option (文档签名密钥): ECDSA on P-256, which every PDF reader knows.

It says who gave the file away, not that an invoice is genuine: that is said by the original inside. The sandbox makes
its own key with its own certificate; nobody else trusts it. Needs ``cryptography``, which only this option needs.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from piaoma.invoice.refusal import refuse

from .files import alone, write_whole

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

KEY_FILE, CERTIFICATE_FILE = "document.key", "document.pem"
NAME = "Piaoma sandbox documents (测试)"
VALID_FROM = datetime(2020, 1, 1, tzinfo=UTC)  # before any invoice: a PDF is signed as of its invoice's moment
VALID_DAYS = 30 * 365


class DocumentKey(msgspec.Struct, frozen=True):
    """A private key and its certificate (DER)."""

    key: EllipticCurvePrivateKey
    certificate: bytes

    def sign(self, data: bytes) -> bytes:
        """ECDSA with SHA-256, DER; the same signature each time (RFC 6979), so that files stay the same."""
        from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
        from cryptography.hazmat.primitives.hashes import SHA256

        return self.key.sign(data, ECDSA(SHA256(), deterministic_signing=True))


def open_document_key(folder: Path, secret: str) -> DocumentKey:
    """The key in a folder, enciphered under a secret; made at the first time.

    Raises ``Refused`` KEYS-SECRET-WRONG, KEYS-NOT-FITTING.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

    with alone(folder):
        if not (folder / CERTIFICATE_FILE).exists():
            _make(folder, secret)
    try:
        key = load_pem_private_key((folder / KEY_FILE).read_bytes(), secret.encode())
        certificate = x509.load_pem_x509_certificate((folder / CERTIFICATE_FILE).read_bytes())
    except (OSError, ValueError, TypeError):
        raise refuse("KEYS-SECRET-WRONG", have=folder / KEY_FILE) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or certificate.public_key() != key.public_key():
        raise refuse("KEYS-NOT-FITTING", have=folder)
    return DocumentKey(key, certificate.public_bytes(Encoding.DER))


def encipher_document_key(folder: Path, secret: str, before: str) -> None:
    """Keep the key of a folder under another secret; one that the present secret opens, or none, stays as it is.

    Raises ``Refused`` KEYS-SECRET-WRONG with nothing changed when neither is the one.
    """
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        PrivateFormat,
        load_pem_private_key,
    )

    path = folder / KEY_FILE
    if not path.exists():
        return
    kept = path.read_bytes()
    try:
        load_pem_private_key(kept, secret.encode())
    except ValueError:
        try:
            key = load_pem_private_key(kept, before.encode())
        except ValueError:
            raise refuse("KEYS-SECRET-WRONG", have=path) from None
        cipher = BestAvailableEncryption(secret.encode())
        write_whole(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, cipher))


def holds(certificate: bytes, data: bytes, signature: bytes) -> bool:
    """Whether a signature over data is by the key of a certificate (DER), ECDSA on P-256 with SHA-256."""
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import SHA256

    try:
        key = x509.load_der_x509_certificate(certificate).public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey):
            return False
        key.verify(signature, data, ec.ECDSA(SHA256()))
    except (InvalidSignature, ValueError):
        return False
    return True


def _make(folder: Path, secret: str) -> None:
    """A key and a certificate that names itself its issuer; the certificate last, so that half a pair is made anew."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    usage = dict.fromkeys(
        ("key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign", "encipher_only",
         "decipher_only"), False,
    )  # fmt: skip
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(VALID_FROM)
        .not_valid_after(VALID_FROM + timedelta(days=VALID_DAYS))
        .add_extension(x509.KeyUsage(digital_signature=True, content_commitment=True, **usage), critical=True)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    kept = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(secret.encode()))
    write_whole(folder / KEY_FILE, kept)
    write_whole(folder / CERTIFICATE_FILE, certificate.public_bytes(Encoding.PEM))
