"""SM2 signatures with SM3 (GB/T 32918, GB/T 32905) and the cipher SM4 (GB/T 32907); the rest of the program sees bytes.

The user id in Z is ``1234567812345678`` as everywhere in this field; signatures are DER ``SEQUENCE {r, s}``. The work
is done by one of two native libraries, chosen at start; both let the interpreter go while they sign and verify, so
threads run beside each other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

from asn1crypto import pem as armor

Choice = Literal["auto", "tongsuo", "openssl"]
USER_ID = b"1234567812345678"
RAW_BYTES = 64  # r ‖ s without DER, as some producers write it
BLOCK_BYTES = 16  # of SM4


class EngineMissing(Exception):
    """A native library is not there, or cannot do SM2; the text says which and why."""


class Signs(Protocol):
    """A private key inside a library."""

    def public_der(self) -> bytes: ...

    def sign(self, data: bytes) -> bytes: ...


class Verifies(Protocol):
    """A public key inside a library."""

    def verifies(self, signature: bytes, data: bytes) -> bool:
        """Whether a DER signature is over the data. A malformed one is not."""
        ...


class Engine(Protocol):
    """What a native library must do. Keys come and go as DER: PKCS#8 and SubjectPublicKeyInfo."""

    name: str

    def sm3(self, data: bytes) -> bytes: ...

    def sm4_cbc(self, key: bytes, iv: bytes, data: bytes, *, encrypt: bool) -> bytes:
        """Whole blocks, without padding."""
        ...

    def sm4_ecb(self, key: bytes, data: bytes, *, encrypt: bool) -> bytes:
        """Whole blocks, without padding."""
        ...

    def generate(self) -> bytes:
        """PKCS#8 of a new key."""
        ...

    def private(self, der: bytes) -> Signs:
        """Raises ``ValueError`` when it is no SM2 key."""
        ...

    def public(self, der: bytes) -> Verifies:
        """Raises ``ValueError`` when it is no SM2 key."""
        ...


def tongsuo() -> Engine:
    """The library that the package ``tongsuopy`` brings along. Raises ``EngineMissing``."""
    try:
        from .sm2_tongsuo import Tongsuo
    except ImportError as error:
        raise EngineMissing(f"tongsuopy: {error}") from None
    return _tried(Tongsuo())


def openssl() -> Engine:
    """The system's libcrypto. Raises ``EngineMissing``."""
    from .sm2_openssl import LibCrypto

    return _tried(LibCrypto())


_ENGINES: dict[str, Callable[[], Engine]] = {"tongsuo": tongsuo, "openssl": openssl}


def choose(wanted: Choice) -> tuple[str, str]:
    """Take a library into use: the wanted one, or the other when that cannot be had.

    The name of the one in force, and why it is not the wanted one (empty when it is). Raises ``EngineMissing`` when
    neither can do SM2. Keys that were loaded before stay with their library.
    """
    global _engine
    names = sorted(_ENGINES, key=lambda name: name != (wanted if wanted != "auto" else "tongsuo"))
    faults: list[str] = []
    for name in names:
        try:
            _engine = _ENGINES[name]()
        except EngineMissing as fault:
            faults.append(str(fault))
        else:
            return name, "; ".join(faults)
    raise EngineMissing("; ".join(faults))


def engine() -> Engine:
    """The library in use."""
    if _engine is None:
        choose("auto")
    assert _engine is not None
    return _engine


_engine: Engine | None = None

# The example of GB/T 32918.5 on the recommended curve: a library that does not know it may sign nothing here.
EXAMPLE_PUBLIC = bytes.fromhex(
    "3059301306072a8648ce3d020106082a811ccf5501822d03420004"
    "09f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020"
    "ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13"
)
EXAMPLE_SIGNATURE = bytes.fromhex(
    "f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3"
    "b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa"
)
EXAMPLE_DATA = b"message digest"


def _tried(candidate: Engine) -> Engine:
    """The candidate, after it has told the standard's signature from another and its own from none."""
    try:
        public, signature = candidate.public(EXAMPLE_PUBLIC), _der(EXAMPLE_SIGNATURE)
        key = candidate.private(candidate.generate())
        own = candidate.public(key.public_der()).verifies(key.sign(EXAMPLE_DATA), EXAMPLE_DATA)
        good = own and public.verifies(signature, EXAMPLE_DATA) and not public.verifies(signature, b"another")
    except Exception as error:  # a library without SM2 fails in ways of its own
        raise EngineMissing(f"{candidate.name} cannot do SM2 here: {error}") from None
    if not good:
        raise EngineMissing(f"{candidate.name} does not know the standard's example")
    return candidate


def sm3(data: bytes) -> bytes:
    """The SM3 digest, 32 bytes."""
    return engine().sm3(data)


def sm4_cbc(key: bytes, iv: bytes, data: bytes, *, encrypt: bool) -> bytes:
    """SM4 in CBC mode over whole blocks, without padding."""
    assert len(key) == len(iv) == BLOCK_BYTES and len(data) % BLOCK_BYTES == 0, "whole blocks"
    return engine().sm4_cbc(key, iv, data, encrypt=encrypt)


def sm4_ecb(key: bytes, data: bytes, *, encrypt: bool) -> bytes:
    """SM4 in ECB mode over whole blocks, without padding: only where another's protocol demands it."""
    assert len(key) == BLOCK_BYTES and len(data) % BLOCK_BYTES == 0, "whole blocks"
    return engine().sm4_ecb(key, data, encrypt=encrypt)


class PrivateKey:
    """An SM2 private key, parsed once."""

    def __init__(self, der: bytes) -> None:
        """From unencrypted PKCS#8. Raises ``ValueError`` when it is no SM2 key."""
        self._der = der
        self._key = engine().private(der)

    def __repr__(self) -> str:
        return "PrivateKey(…)"

    @classmethod
    def generate(cls) -> PrivateKey:
        """A new key from the system's randomness."""
        return cls(engine().generate())

    @classmethod
    def from_pem(cls, pem: bytes) -> PrivateKey:
        """A key from unencrypted PKCS#8."""
        return cls(armor.unarmor(pem)[2])

    def to_der(self) -> bytes:
        """Unencrypted PKCS#8. Whoever writes it enciphers it."""
        return self._der

    def to_pem(self) -> bytes:
        """Unencrypted PKCS#8."""
        pem: bytes = armor.armor("PRIVATE KEY", self._der)
        return pem

    def public_der(self) -> bytes:
        """SubjectPublicKeyInfo."""
        return self._key.public_der()

    def sign(self, data: bytes) -> bytes:
        """The signature over data, DER. SM2 draws a random number for each, so no two are alike."""
        return self._key.sign(data)


class PublicKey:
    """An SM2 public key, parsed once."""

    def __init__(self, der: bytes) -> None:
        """From SubjectPublicKeyInfo. Raises ``ValueError`` when it is no SM2 key."""
        self._key = engine().public(der)

    def verifies(self, signature: bytes, data: bytes) -> bool:
        """Whether the signature, DER or raw r ‖ s, is over the data."""
        if len(signature) == RAW_BYTES and not _is_der(signature):
            signature = _der(signature)
        return self._key.verifies(signature, data)


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
