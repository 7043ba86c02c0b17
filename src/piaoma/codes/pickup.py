"""The pick-up code (取票码): it opens the invoice of a code on another device. Derived, never stored."""

from __future__ import annotations

import hmac

from .token import ALPHABET

LENGTH = 8  # characters, 40 bits; whoever asks for it limits the rate of tries
_LOOK_ALIKE = str.maketrans("OIL", "011")


def pickup_code(key: bytes, merchant_id: int, code_id: int) -> str:
    """The pick-up code of a code under the installation's key."""
    digest = hmac.digest(key, f"pickup:{merchant_id}:{code_id}".encode(), "sha256")
    return "".join(ALPHABET[byte & 31] for byte in digest[:LENGTH])


def is_pickup_code(typed: str, key: bytes, merchant_id: int, code_id: int) -> bool:
    """Whether that is what somebody typed: any case, blanks and dashes, look-alikes; in constant time."""
    plain = "".join(typed.upper().split()).replace("-", "").translate(_LOOK_ALIKE)
    return hmac.compare_digest(plain.encode(), pickup_code(key, merchant_id, code_id).encode())
