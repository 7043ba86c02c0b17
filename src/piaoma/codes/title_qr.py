"""The title QR (抬头二维码) that a customer may show, and reading any QR from a photo.

Form: ``$`` ``01`` + base64(``名称</>税号</>地址电话</>开户行账号</>CRC``) + ``$`` (einvoice.md §2 [L]).
Whether the text is GBK or UTF-8 is not stated: both are tried.
"""

from __future__ import annotations

import base64
import binascii
import io
import warnings
from collections.abc import Callable
from typing import Any, cast

import zxingcpp
from PIL import Image, ImageFilter, ImageOps, ImageStat, UnidentifiedImageError

from piaoma.invoice import taxpayer_id
from piaoma.invoice.parties import Buyer
from piaoma.invoice.refusal import refuse
from piaoma.invoice.title_text import split_address_phone, split_bank_account

from .printed import crc16

PHOTO_BYTES_MAX = 8 * 1024 * 1024
PHOTO_PIXELS_MAX = 40_000_000
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
_WORKING_SIDE = 1600  # pixels; a photo is scaled down to it first
_SEPARATOR = "</>"


def write_title(buyer: Buyer) -> str:
    """The text of a title QR, UTF-8."""
    fields = (buyer.name, buyer.taxpayer_id, buyer.address + buyer.phone, buyer.bank + buyer.account)
    body = _SEPARATOR.join(fields) + _SEPARATOR
    content = f"{body}{crc16(body.encode()):04X}".encode()
    return f"$01{base64.b64encode(content).decode()}$"


def parse_title(text: str) -> Buyer | None:
    """The title that a text holds, or None when it is none or its checksum fails."""
    text = text.strip()
    if not (text.startswith("$01") and text.endswith("$") and len(text) < 4000):
        return None
    try:
        content = base64.b64decode(text[3:-1], validate=True)
    except (binascii.Error, ValueError):
        return None
    body, separator, crc = content.rpartition(_SEPARATOR.encode())
    try:
        if int(crc, 16) != crc16(body + separator):
            return None
    except ValueError:
        return None
    for encoding in ("utf-8", "gbk"):
        try:
            fields = body.decode(encoding).split(_SEPARATOR)
            break
        except UnicodeDecodeError:
            continue
    else:
        return None
    name, number, place, bank = (*fields, "", "", "", "")[:4]
    address, phone = split_address_phone(place.strip())
    bank_name, account = split_bank_account(bank.strip())
    number = taxpayer_id.normalise(number)
    return Buyer(
        name.strip(),
        number,
        address,
        phone,
        bank_name,
        account,
        natural_person=not number or taxpayer_id.is_id_card(number),
    )


def read_title(photo: bytes) -> Buyer:
    """The title QR in a photo. Raises ``Refused`` PHOTO-… as ``read_symbols``, PHOTO-NOT-TITLE for other codes."""
    for text in read_symbols(photo):
        title = parse_title(text)
        if title is not None:
            return title
    raise refuse("PHOTO-NOT-TITLE", "photo")


def read_symbols(photo: bytes) -> list[str]:
    """The texts of all codes in a photo.

    Raises ``Refused`` PHOTO-TOO-LARGE, PHOTO-FORMAT, or PHOTO-NO-CODE with the measured reason.
    """
    picture = _open(photo)
    attempts: tuple[Callable[[], Image.Image], ...] = (
        lambda: picture,
        lambda: ImageOps.autocontrast(picture, cutoff=2),
        lambda: picture.filter(ImageFilter.UnsharpMask(3, 200)),
        lambda: picture.resize((picture.width * 2, picture.height * 2)) if picture.width < 800 else picture,
    )
    for attempt in attempts:
        found = [result.text for result in zxingcpp.read_barcodes(attempt()) if result.text]
        if found:
            return found
    raise refuse("PHOTO-NO-CODE", "photo", have=_why(picture))


def _open(photo: bytes) -> Image.Image:
    if len(photo) > PHOTO_BYTES_MAX:
        raise refuse("PHOTO-TOO-LARGE", "photo")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(photo), formats=FORMATS)
            if picture.width * picture.height > PHOTO_PIXELS_MAX:
                raise refuse("PHOTO-TOO-LARGE", "photo")
            cast(Any, picture).draft("L", (_WORKING_SIDE, _WORKING_SIDE))
            upright = ImageOps.exif_transpose(picture).convert("L")
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise refuse("PHOTO-TOO-LARGE", "photo") from None
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError):
        raise refuse("PHOTO-FORMAT", "photo") from None
    upright.thumbnail((_WORKING_SIDE, _WORKING_SIDE))
    return upright


def _why(picture: Image.Image) -> str:
    """The likeliest reason that nothing was found, from the picture itself: 过暗, 反光, 模糊 or 没有码."""
    brightness = ImageStat.Stat(picture).mean[0]
    white = sum(picture.histogram()[250:]) / (picture.width * picture.height)
    # The filter leaves a frame of its own around the picture.
    inner = (2, 2, max(3, picture.width - 2), max(3, picture.height - 2))
    edges = ImageStat.Stat(picture.filter(ImageFilter.FIND_EDGES).crop(inner)).stddev[0]
    if brightness < 50:
        return "过暗 too dark"
    if white > 0.5 and brightness > 220:
        return "反光 glare"
    if edges < 12:
        return "模糊 blurred"
    return "没有码 none"
