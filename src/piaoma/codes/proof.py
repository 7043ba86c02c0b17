"""Proving a symbol scannable before it is shown: it is decoded again, under a fixed set of damage, by a real decoder.

Each kind of damage stands for something that happens at a counter: a moved phone, a tilted slip, a stain, a pale
print, a small picture far away, a noisy sensor.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import msgspec
import zxingcpp
from PIL import Image, ImageDraw, ImageFilter

from piaoma.invoice.refusal import refuse

from .symbol import QUIET_MODULES, Symbol

MODULE_PIXELS = 6
DIRT_SHARE = 0.05  # of the symbol's area
RECEIPT_MODULE_MM = 0.5  # 4 dots at 203 dpi
READING_DISTANCE_SHARE = 10  # a symbol is read from ten times its width
PLAIN = "plain"

_QR = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)


class ScanProof(msgspec.Struct, frozen=True):
    """What was tried and what was read. ``score`` is the share that was read, 0–100."""

    score: int
    passed: tuple[str, ...]
    failed: tuple[str, ...]
    receipt_mm: float  # smallest width on a receipt, quiet zone included
    card_mm: float  # on a counter card, read from 30 cm
    poster_mm: float  # on a wall, read from 1.5 m


def prove(symbol: Symbol, picture: Image.Image | None = None) -> ScanProof:
    """Decode the symbol plain and under every damage. ``picture`` is another drawing of it, such as one with a logo.

    Raises ``Refused`` SYMBOL-UNREADABLE when even the plain one does not give back its text.
    """
    plain = (picture if picture is not None else symbol.image(MODULE_PIXELS)).convert("L")
    if not _reads(plain, symbol.text):
        raise refuse("SYMBOL-UNREADABLE", have="plain")
    passed: list[str] = [PLAIN]
    failed: list[str] = []
    for name, damage in DAMAGES.items():
        (passed if _reads(damage(plain), symbol.text) else failed).append(name)
    modules = symbol.size + 2 * QUIET_MODULES
    return ScanProof(
        score=round(100 * len(passed) / (len(passed) + len(failed))),
        passed=tuple(passed),
        failed=tuple(failed),
        receipt_mm=round(modules * RECEIPT_MODULE_MM, 1),
        card_mm=max(30.0, round(modules * RECEIPT_MODULE_MM, 1)),
        poster_mm=1500 / READING_DISTANCE_SHARE,
    )


def _reads(picture: Image.Image, text: str) -> bool:
    # Looking for a dozen other kinds of symbols too takes six times as long, and finds no more of this one.
    return any(found.text == text for found in zxingcpp.read_barcodes(picture, formats=_QR))


def _blur(modules: float) -> Callable[[Image.Image], Image.Image]:
    return lambda picture: picture.filter(ImageFilter.GaussianBlur(modules * MODULE_PIXELS))


def _rotate(degrees: float) -> Callable[[Image.Image], Image.Image]:
    return lambda picture: picture.rotate(degrees, Image.Resampling.BILINEAR, expand=True, fillcolor=255)


def _tilt(picture: Image.Image) -> Image.Image:
    """Seen from the side: the right edge is a tenth shorter."""
    width, height = picture.size
    inset = height * 0.06
    # A quadrilateral of the source larger than the picture on the right draws that side smaller.
    wide = Image.new("L", (width, height + int(2 * inset)), 255)
    wide.paste(picture, (0, int(inset)))
    corners = (0, inset, 0, inset + height, width, height + 2 * inset, width, 0)
    return wide.transform((width, height), Image.Transform.QUAD, corners, Image.Resampling.BILINEAR, fillcolor=255)


def _dirt(seed: int) -> Callable[[Image.Image], Image.Image]:
    def stain(picture: Image.Image) -> Image.Image:
        # Stains fall on the data, away from the three finder patterns, whose loss no error correction mends.
        soiled = picture.copy()
        draw = ImageDraw.Draw(soiled)
        place = random.Random(seed)  # noqa: S311 - the same stains each time
        width = picture.width
        radius = width * (DIRT_SHARE / 3 / 3.1416) ** 0.5
        for _ in range(3):
            x, y = place.uniform(0.45, 0.8) * width, place.uniform(0.45, 0.8) * width
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=place.choice((0, 255)))
        return soiled

    return stain


def _pale(picture: Image.Image) -> Image.Image:
    """A worn thermal print: black has become grey, white has yellowed."""
    return picture.point(lambda value: 110 + value * 60 // 255)


def _dark(picture: Image.Image) -> Image.Image:
    """A dim corner."""
    return picture.point(lambda value: value * 50 // 255)


def _small(picture: Image.Image) -> Image.Image:
    """Far away: two pixels a module."""
    side = picture.width * 2 // MODULE_PIXELS
    return picture.resize((side, side), Image.Resampling.BILINEAR)


def _noisy(picture: Image.Image) -> Image.Image:
    noise = Image.frombytes("L", picture.size, random.Random(7).randbytes(picture.width * picture.height))  # noqa: S311
    return Image.blend(picture, noise, 0.35)


DAMAGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "blur-light": _blur(0.35),
    "blur-strong": _blur(0.6),
    "rotated-7": _rotate(7),
    "rotated-45": _rotate(45),
    "tilted": _tilt,
    "dirt-a": _dirt(11),
    "dirt-b": _dirt(23),
    "pale": _pale,
    "dark": _dark,
    "small": _small,
    "noisy": _noisy,
}
