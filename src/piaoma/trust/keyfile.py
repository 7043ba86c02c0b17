"""A private key at rest (密钥落盘): PKCS#8 enciphered by PBES2 with scrypt and SM4-CBC, as PEM.

The form is RFC 5958, RFC 8018 and RFC 7914, so ``openssl pkey -in FILE -passin file:SECRET`` opens it too. CBC does not
prove that a file is whole; whoever opens a key therefore tries it against its certificate before it is used.
"""

from __future__ import annotations

import hashlib
import secrets
from functools import lru_cache
from typing import Any, ClassVar

from asn1crypto import core, pem

from .sm2 import BLOCK_BYTES, PrivateKey, sm4_cbc

PBES2, SCRYPT, SM4_CBC = "1.2.840.113549.1.5.13", "1.3.6.1.4.1.11591.4.11", "1.2.156.10197.1.104.2"
SALT_BYTES = 16
COST, BLOCK_SIZE, PARALLEL = 1 << 14, 8, 1  # what openssl takes: 16 MiB and some 50 ms for each secret and salt
COST_MAX, BLOCK_SIZE_MAX, PARALLEL_MAX = 1 << 17, 16, 4  # of a file from elsewhere: at most 256 MiB
_MEMORY_BYTES = 2 * 128 * COST_MAX * BLOCK_SIZE_MAX

_PLAIN, _ENCIPHERED = "PRIVATE KEY", "ENCRYPTED PRIVATE KEY"
_Fields = list[Any]


class _Scrypt(core.Sequence):  # type: ignore[misc]
    _fields: ClassVar[_Fields] = [
        ("salt", core.OctetString),
        ("cost", core.Integer),
        ("block_size", core.Integer),
        ("parallel", core.Integer),
        ("length", core.Integer, {"optional": True}),
    ]


class _Derivation(core.Sequence):  # type: ignore[misc]
    _fields: ClassVar[_Fields] = [("algorithm", core.ObjectIdentifier), ("parameters", _Scrypt)]


class _Cipher(core.Sequence):  # type: ignore[misc]
    _fields: ClassVar[_Fields] = [("algorithm", core.ObjectIdentifier), ("iv", core.OctetString)]


class _Parameters(core.Sequence):  # type: ignore[misc]
    _fields: ClassVar[_Fields] = [("derivation", _Derivation), ("cipher", _Cipher)]


class _Scheme(core.Sequence):  # type: ignore[misc]
    _fields: ClassVar[_Fields] = [("algorithm", core.ObjectIdentifier), ("parameters", _Parameters)]


class _KeyFile(core.Sequence):  # type: ignore[misc]
    """EncryptedPrivateKeyInfo."""

    _fields: ClassVar[_Fields] = [("scheme", _Scheme), ("data", core.OctetString)]


class KeyFileFault(Exception):
    """A key file does not open: another secret, or not whole. Nobody can tell the two apart."""


def new_salt() -> bytes:
    """A salt. Keys of one folder share theirs, so that a start derives once; each has an IV of its own."""
    return secrets.token_bytes(SALT_BYTES)


def enciphered(key: PrivateKey, secret: str, salt: bytes) -> bytes:
    """The key as it is kept."""
    plain = key.to_der()
    padding = BLOCK_BYTES - len(plain) % BLOCK_BYTES
    iv = secrets.token_bytes(BLOCK_BYTES)
    data = sm4_cbc(
        _derived(secret, salt, COST, BLOCK_SIZE, PARALLEL), iv, plain + bytes((padding,)) * padding, encrypt=True
    )
    scrypt = {"salt": salt, "cost": COST, "block_size": BLOCK_SIZE, "parallel": PARALLEL}
    parameters = {
        "derivation": {"algorithm": SCRYPT, "parameters": scrypt},
        "cipher": {"algorithm": SM4_CBC, "iv": iv},
    }
    kept: bytes = pem.armor(
        _ENCIPHERED, _KeyFile({"scheme": {"algorithm": PBES2, "parameters": parameters}, "data": data}).dump()
    )
    return kept


def is_plain(kept: bytes) -> bool:
    """Whether a file holds a key that is not enciphered, as earlier versions wrote them."""
    return kept.startswith(f"-----BEGIN {_PLAIN}-----".encode())


def is_enciphered(kept: bytes) -> bool:
    """Whether a file says that it holds an enciphered key."""
    return kept.startswith(f"-----BEGIN {_ENCIPHERED}-----".encode())


def salt_of(kept: bytes) -> bytes:
    """The salt of an enciphered key. Raises ``KeyFileFault``."""
    try:
        salt: bytes = _KeyFile.load(pem.unarmor(kept)[2])["scheme"]["parameters"]["derivation"]["parameters"][
            "salt"
        ].native
    except Exception as error:
        raise KeyFileFault("not a key file") from error
    return salt


def opened(kept: bytes, secret: str) -> PrivateKey:
    """The key of a file, enciphered or, from an earlier version, plain. Raises ``KeyFileFault``."""
    try:
        if is_plain(kept):
            return PrivateKey.from_pem(kept)
        file = _KeyFile.load(pem.unarmor(kept)[2], strict=True)
        derivation, cipher = (file["scheme"]["parameters"][part] for part in ("derivation", "cipher"))
        stated = (file["scheme"]["algorithm"].dotted, derivation["algorithm"].dotted, cipher["algorithm"].dotted)
        scrypt = derivation["parameters"].native
        cost, block_size, parallel = scrypt["cost"], scrypt["block_size"], scrypt["parallel"]
        if stated != (PBES2, SCRYPT, SM4_CBC):
            raise ValueError("another form")
        if not (cost <= COST_MAX and block_size <= BLOCK_SIZE_MAX and parallel <= PARALLEL_MAX):
            raise ValueError("too costly")
        key = _derived(secret, scrypt["salt"], cost, block_size, parallel)
        plain = sm4_cbc(key, cipher["iv"].native, file["data"].native, encrypt=False)
        padding = plain[-1]
        if not 0 < padding <= BLOCK_BYTES or plain[-padding:] != bytes((padding,)) * padding:
            raise ValueError("padding")
        return PrivateKey(plain[:-padding])
    except Exception as error:  # a wrong secret and a damaged file make every step fail in its own way
        raise KeyFileFault("the key does not open") from error


@lru_cache(maxsize=8)
def _derived(secret: str, salt: bytes, cost: int, block_size: int, parallel: int) -> bytes:
    return hashlib.scrypt(
        secret.encode(), salt=salt, n=cost, r=block_size, p=parallel, maxmem=_MEMORY_BYTES + (1 << 20),
        dklen=BLOCK_BYTES,
    )  # fmt: skip
