"""The envelope of 乐企 (报文): JSON under SM4, as text in the body, with who is asking in headers; and its answer.

Certain are the path, the headers, base64 of SM4-ECB and the shape of the answer (channels.md). Padding as in PKCS#7 is
likely [L]. How ``access_signature`` is made is not published, and clients that are known to work send it empty [U]: it
is written empty unless a secret is set, and then it is HMAC-SM3 over service, capability and body, which the simulator
checks; a real platform that wants another form gets it here, in one place.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.hmac import HMAC

from piaoma.trust.sm2 import BLOCK_BYTES, sm4_ecb

KEY_BYTES = 16


class EnvelopeFault(Exception):
    """What came is no envelope of ours. The text holds nothing of its content."""


def wrap(key: bytes, content: object) -> bytes:
    """The body for a content: base64(SM4-ECB(JSON))."""
    plain = json.dumps(content, ensure_ascii=False, separators=(",", ":"), default=_written).encode()
    pad = BLOCK_BYTES - len(plain) % BLOCK_BYTES
    return base64.b64encode(sm4_ecb(key, plain + bytes([pad]) * pad, encrypt=True))


def unwrap(key: bytes, body: bytes | str) -> Any:
    """The content of a body; figures as ``Decimal``. Raises ``EnvelopeFault``."""
    try:
        data = base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        raise EnvelopeFault("no base64") from None
    if not data or len(data) % BLOCK_BYTES:
        raise EnvelopeFault("no whole blocks")
    plain = sm4_ecb(key, data, encrypt=False)
    pad = plain[-1]
    if not 1 <= pad <= BLOCK_BYTES or plain[-pad:] != bytes([pad]) * pad:
        raise EnvelopeFault("another key, or another padding")
    try:
        return json.loads(plain[:-pad], parse_float=Decimal)
    except ValueError:
        raise EnvelopeFault("no JSON inside") from None


def signature(secret: bytes, service: str, capability: str, body: bytes) -> str:
    """HMAC-SM3 in hex; empty without a secret."""
    if not secret:
        return ""
    mac = HMAC(secret, hashes.SM3())
    mac.update(f"{service}\n{capability}\n".encode() + body)
    return mac.finalize().hex()


def is_signature(given: str, secret: bytes, service: str, capability: str, body: bytes) -> bool:
    """Whether a signature is ours; without a secret every one is."""
    return hmac.compare_digest(given, signature(secret, service, capability, body)) if secret else True


def seal_answer(key: bytes, content: object) -> bytes:
    """A good answer as the platform sends it."""
    return _answer(200, {"Data": wrap(key, content).decode()})


def seal_error(code: str, message: str) -> bytes:
    """An error of the platform itself: no service has seen the request."""
    return _answer(200, {"Error": {"code": code, "Message": message}})


def open_answer(key: bytes, answer: bytes) -> tuple[Any, tuple[str, str] | None]:
    """(content, None) or (None, (code, message) of the platform's own error). Raises ``EnvelopeFault``.

    ``body`` occurs as an object and as text that holds one; both are read.
    """
    try:
        whole = json.loads(answer)
        body = whole["body"]
        response = (json.loads(body) if isinstance(body, str) else body)["Response"]
        if not isinstance(response, Mapping):
            raise EnvelopeFault("no answer inside")
        error, data = response.get("Error"), response.get("Data")
        if error:
            return None, (str(error.get("code", error.get("Code", ""))), str(error.get("Message", "")))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise EnvelopeFault("no envelope") from None
    if not isinstance(data, str):
        raise EnvelopeFault("neither data nor an error")
    return unwrap(key, data), None


def _answer(status: int, response: dict[str, object]) -> bytes:
    return json.dumps({"httpStatusCode": status, "body": {"Response": response}}, ensure_ascii=False).encode()


def _written(value: object) -> object:
    """Money as text of a plain figure: a binary float would be another amount."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    raise TypeError(f"{type(value).__name__} is not written")
