"""A secret of the program at rest (密钥落盘): the keys of tokens, cookies and the log, enciphered under the key secret.

AES-256-GCM under a key that scrypt derives from the secret. The file's name is part of what is proven, so no file
takes another's place. A file of an earlier version, which was plain, is enciphered when it is read.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from piaoma.invoice.refusal import Refused, refuse

from .files import write_once, write_whole
from .key_secret import KeySecret
from .keyfile import BLOCK_SIZE, COST, PARALLEL, SALT_BYTES

KEY_BYTES = 32  # of a symmetric key
MARK = b"piaoma sealed file 1\n"

Kept = TypeVar("Kept")

_NONCE_BYTES = 12
_MEMORY_BYTES = 2 * 128 * COST * BLOCK_SIZE


def load_or_create_key(path: Path, secret: KeySecret) -> bytes:
    """The ``KEY_BYTES`` random bytes kept in a file, made there at first use and on disk before they are used.

    Raises ``ValueError`` for a key of another length, ``Refused`` as ``load_or_create`` does.
    """

    def read(kept: bytes) -> bytes:
        if len(kept) != KEY_BYTES:
            raise ValueError(f"{path} does not hold a key of {KEY_BYTES} bytes")
        return kept

    return load_or_create(path, secret, lambda: secrets.token_bytes(KEY_BYTES), read)


def load_or_create(path: Path, secret: KeySecret, make: Callable[[], bytes], read: Callable[[bytes], Kept]) -> Kept:
    """What a file keeps, as ``read`` understands it; made there at first use, and on disk before it is used. Of two
    processes that make it at once, one makes it for both.

    Raises what ``read`` does, with nothing changed, and ``Refused`` KEYS-SECRET-WRONG, KEYS-SECRET-MISSING.
    """
    if not path.exists():
        write_once(path, _sealed(path, make(), secret.read(needed=False)))
    kept = path.read_bytes()
    if is_sealed(kept):
        return read(_opened(path, kept, secret.read(needed=True)))
    understood = read(kept)
    write_whole(path, _sealed(path, kept, secret.read(needed=False)))
    return understood


def encipher_anew(path: Path, secret: KeySecret, before: KeySecret) -> None:
    """Encipher under the present secret what the one before opens. What the present one opens already stays.

    Raises ``Refused`` KEYS-SECRET-WRONG with nothing changed when neither is the one.
    """
    kept, now = path.read_bytes(), secret.read(needed=True)
    if not is_sealed(kept):
        write_whole(path, _sealed(path, kept, now))
        return
    try:
        _opened(path, kept, now)
    except Refused:
        write_whole(path, _sealed(path, _opened(path, kept, before.read(needed=True)), now))


def is_sealed(kept: bytes) -> bool:
    """Whether the bytes of a file say that they are enciphered."""
    return kept.startswith(MARK)


def _sealed(path: Path, content: bytes, secret: str) -> bytes:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    salt, nonce = _salt_beside(path), secrets.token_bytes(_NONCE_BYTES)
    return MARK + salt + nonce + AESGCM(_derived(secret, salt)).encrypt(nonce, content, path.name.encode())


def _opened(path: Path, kept: bytes, secret: str) -> bytes:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    body = kept[len(MARK) :]
    salt, nonce, data = body[:SALT_BYTES], body[SALT_BYTES:][:_NONCE_BYTES], body[SALT_BYTES + _NONCE_BYTES :]
    try:
        return AESGCM(_derived(secret, salt)).decrypt(nonce, data, path.name.encode())
    except (InvalidTag, ValueError):  # cut short, or another secret: nobody can tell the two apart
        raise refuse("KEYS-SECRET-WRONG", have=path) from None


def _salt_beside(path: Path) -> bytes:
    """The salt that another file of the folder has, so that a start derives once; or a new one."""
    for other in sorted(path.parent.glob("*.key")):
        kept = other.read_bytes()[: len(MARK) + SALT_BYTES]
        if other != path and is_sealed(kept):
            return kept[len(MARK) :]
    return secrets.token_bytes(SALT_BYTES)


@lru_cache(maxsize=8)
def _derived(secret: str, salt: bytes) -> bytes:
    return hashlib.scrypt(secret.encode(), salt=salt, n=COST, r=BLOCK_SIZE, p=PARALLEL, maxmem=_MEMORY_BYTES, dklen=32)
