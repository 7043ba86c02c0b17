"""Values that go to the browser and come back: JSON under a signature, so that nobody but us can have made them.

They are signed, not secret: whoever holds the browser can read them. One purpose cannot pass for another.
"""

from __future__ import annotations

import hmac
from functools import lru_cache
from hashlib import sha256
from typing import TypeVar

import msgspec
from itsdangerous import BadSignature, Signer
from itsdangerous.encoding import base64_decode, base64_encode

Value = TypeVar("Value")


@lru_cache(maxsize=16)
def _signer(key: bytes, purpose: str) -> Signer:
    """Each purpose has a key of its own, derived once."""
    derived = hmac.digest(key, f"piaoma.{purpose}".encode(), "sha256")
    return Signer(derived, key_derivation="none", digest_method=sha256)


def payload(value: object) -> str:
    """The part of a packed value before its signature."""
    return base64_encode(msgspec.json.encode(value)).decode()


def pack(key: bytes, purpose: str, value: object) -> str:
    """A value as text for a cookie or a hidden field."""
    return _signer(key, purpose).sign(payload(value)).decode()


def unpack(key: bytes, purpose: str, text: str, kind: type[Value]) -> Value | None:
    """The value, or None when it is not ours, of another purpose, or of another kind than was packed."""
    try:
        return msgspec.json.decode(base64_decode(_signer(key, purpose).unsign(text)), type=kind)
    except (BadSignature, ValueError, msgspec.MsgspecError):
        return None
