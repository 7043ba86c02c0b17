"""Reading forms within bounds, and the tokens that bind a form to whom it was shown."""

from __future__ import annotations

import hmac
import secrets
import time
from urllib.parse import parse_qsl

import msgspec
from starlette.datastructures import UploadFile
from starlette.requests import Request

from piaoma.codes.title_qr import PHOTO_BYTES_MAX
from piaoma.invoice.parties import Buyer
from piaoma.invoice.refusal import refuse

from .middleware import same_origin
from .page import office_of
from .signed import pack, unpack

FIELDS_MAX = 500
FIELD_MAX = 20_000  # characters
UPLOAD_FIELDS_MAX = 10  # beside the file
FILE_NAME_MAX = 100  # characters of the name of a file; its end is kept


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a urlencoded form; a field sent twice keeps its last value.

    Raises ``Refused`` REQUEST-MALFORMED, REQUEST-STALE when it was sent from elsewhere.
    """
    if not same_origin(request.scope):
        raise refuse("REQUEST-STALE")
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if kind not in ("application/x-www-form-urlencoded", ""):
        raise refuse("REQUEST-MALFORMED", have="content-type")
    body = await request.body()
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=FIELDS_MAX, errors="strict")
    except (UnicodeDecodeError, ValueError):
        raise refuse("REQUEST-MALFORMED", have="form") from None
    if any(len(value) > FIELD_MAX or "\0" in value for _, value in pairs):
        raise refuse("REQUEST-MALFORMED", have="field")
    return dict(pairs)


async def read_photo(request: Request) -> bytes:
    """The one file of an upload. Raises ``Refused`` REQUEST-MALFORMED, PHOTO-TOO-LARGE."""
    if not same_origin(request.scope):
        raise refuse("REQUEST-STALE")
    async with request.form(max_files=1, max_fields=5) as form:
        photo = form.get("photo")
        if not isinstance(photo, UploadFile):
            raise refuse("PHOTO-FORMAT", "photo")
        data = await photo.read(PHOTO_BYTES_MAX + 1)
    if len(data) > PHOTO_BYTES_MAX:
        raise refuse("PHOTO-TOO-LARGE", "photo")
    return data


async def read_upload(request: Request, name: str, bytes_max: int, too_large: str) -> tuple[dict[str, str], str, bytes]:
    """The fields of an upload, and its one file: its name and its bytes; the bytes are empty when there is none.

    Raises ``Refused`` REQUEST-STALE, and ``too_large``, which is a cause.
    """
    if not same_origin(request.scope):
        raise refuse("REQUEST-STALE")
    async with request.form(max_files=1, max_fields=UPLOAD_FIELDS_MAX) as form:
        fields = {key: value for key, value in form.items() if isinstance(value, str) and len(value) <= FIELD_MAX}
        file = form.get(name)
        if not isinstance(file, UploadFile):
            return fields, "", b""
        data = await file.read(bytes_max + 1)
    if len(data) > bytes_max:
        raise refuse(too_large, name)
    return fields, (file.filename or "")[-FILE_NAME_MAX:], data


class Confirmation(msgspec.Struct, frozen=True, array_like=True):
    """What a confirm button stands for. Signed, so that what was shown is what is issued."""

    token: str
    holder: str
    issue_key: str
    buyer: Buyer
    in_front: bool = False  # the browser keeps this title in front already
    version: int = 1  # of the offer that was shown


def new_issue_key() -> str:
    """An idempotency key for a button. It begins with the time, so that the store's index grows at its end and a busy
    day touches few of its pages; the rest is chance."""
    return f"{time.time_ns() // 1_000_000:012x}{secrets.token_urlsafe(12)}"


def sign_confirmation(request: Request, confirmation: Confirmation) -> str:
    """The hidden field behind a confirm button."""
    return pack(office_of(request).cookie_key, "confirm", confirmation)


def read_confirmation(request: Request, signed: str, token: str) -> Confirmation:
    """What the button stood for. Raises ``Refused`` REQUEST-STALE when it is not ours or of another code."""
    confirmation = unpack(office_of(request).cookie_key, "confirm", signed, Confirmation)
    if confirmation is None or confirmation.token != token:
        raise refuse("REQUEST-STALE")
    return confirmation


def csrf_token(request: Request, session_secret: str) -> str:
    """The token in every form of a logged-in page: bound to the session."""
    return hmac.digest(office_of(request).cookie_key, f"csrf:{session_secret}".encode(), "sha256").hex()


def check_csrf(request: Request, session_secret: str, sent: str) -> None:
    """Raises ``Refused`` REQUEST-STALE."""
    if not hmac.compare_digest(sent.encode(), csrf_token(request, session_secret).encode()):
        raise refuse("REQUEST-STALE")
