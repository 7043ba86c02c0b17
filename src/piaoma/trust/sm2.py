"""SM2 signatures with SM3 (GB/T 32918, GB/T 32905), by the native library; the rest of the program sees bytes only.

The user id in Z is ``1234567812345678`` as everywhere in this field; signatures are DER ``SEQUENCE {r, s}``. Signing
and verifying let the interpreter go, so threads run beside each other.
"""

from __future__ import annotations

from tongsuopy.crypto import hashes, serialization
from tongsuopy.crypto.asymciphers import ec
from tongsuopy.crypto.exceptions import InvalidSignature

_SM2_WITH_SM3 = ec.ECDSA(hashes.SM3())
RAW_BYTES = 64  # r ‖ s without DER, as some producers write it


def sm3(data: bytes) -> bytes:
    """The SM3 digest, 32 bytes."""
    digest = hashes.Hash(hashes.SM3())
    digest.update(data)
    return bytes(digest.finalize())


class PrivateKey:
    """An SM2 private key, parsed once."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key

    @classmethod
    def generate(cls) -> PrivateKey:
        """A new key from the system's randomness."""
        return cls(ec.generate_private_key(ec.SM2()))

    @classmethod
    def from_pem(cls, pem: bytes) -> PrivateKey:
        """A key from unencrypted PKCS#8."""
        return cls(serialization.load_pem_private_key(pem, None))

    def to_pem(self) -> bytes:
        """Unencrypted PKCS#8; whoever writes it keeps the file 0600."""
        form = serialization.PrivateFormat.PKCS8
        pem: bytes = self._key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
        return pem

    def public_der(self) -> bytes:
        """SubjectPublicKeyInfo."""
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        der: bytes = self._key.public_key().public_bytes(serialization.Encoding.DER, form)
        return der

    def sign(self, data: bytes) -> bytes:
        """The signature over data, DER. SM2 draws a random number for each, so no two are alike."""
        signature: bytes = self._key.sign(data, _SM2_WITH_SM3)
        return signature


class PublicKey:
    """An SM2 public key, parsed once."""

    def __init__(self, der: bytes) -> None:
        """From SubjectPublicKeyInfo. Raises ``ValueError`` when it is no SM2 key."""
        try:
            self._key = serialization.load_der_public_key(der)
        except Exception as error:  # the library raises several kinds, all of which mean this
            raise ValueError("not an SM2 public key") from error
        if getattr(getattr(self._key, "curve", None), "name", "") != "SM2":
            raise ValueError("not an SM2 public key")

    def verifies(self, signature: bytes, data: bytes) -> bool:
        """Whether the signature, DER or raw r ‖ s, is over the data."""
        if len(signature) == RAW_BYTES and not _is_der(signature):
            signature = _der(signature)
        try:
            self._key.verify(signature, data, _SM2_WITH_SM3)
        except InvalidSignature:
            return False
        except Exception:  # a malformed signature makes the library complain in several ways
            return False
        return True


def _is_der(signature: bytes) -> bool:
    return signature[0] == 0x30 and signature[1] == len(signature) - 2


def _der(raw: bytes) -> bytes:
    parts = b""
    for number in (raw[:32], raw[32:]):
        stripped = number.lstrip(b"\0") or b"\0"
        if stripped[0] & 0x80:
            stripped = b"\0" + stripped
        parts += bytes((0x02, len(stripped))) + stripped
    return bytes((0x30, len(parts))) + parts
