"""Drawing a symbol (二维码): black on white, quiet zone included, the same bytes each time.

The scheme of a pointer stays in lower case (a byte segment), because some scanners do not open ``HTTPS://`` in
capitals though the standard allows it (wuhan-system.md §5.3); host and path are capitals (an alphanumeric segment).
"""

from __future__ import annotations

import io
from functools import cached_property
from typing import Any

import segno
from PIL import Image

QUIET_MODULES = 4


class Symbol:
    """A QR symbol of a text. ``modules`` are rows of 0 and 1 without the quiet zone."""

    def __init__(self, text: str, code: segno.QRCode) -> None:
        self._set(text, tuple(bytes(row) for row in code.matrix), int(code.version), code.error)

    @classmethod
    def of_modules(cls, text: str, modules: tuple[bytes, ...], version: int, level: str) -> Symbol:
        """One that was encoded elsewhere."""
        symbol = cls.__new__(cls)
        symbol._set(text, modules, version, level)
        return symbol

    def _set(self, text: str, modules: tuple[bytes, ...], version: int, level: str) -> None:
        self.text, self.modules, self.version, self.level = text, modules, version, level

    @property
    def size(self) -> int:
        """Modules along a side, without the quiet zone."""
        return len(self.modules)

    @cached_property
    def svg(self) -> str:
        """One path, one unit a module, quiet zone included."""
        return self._svg(QUIET_MODULES)

    @cached_property
    def svg_bare(self) -> str:
        """Without the quiet zone, for a place on paper that has its own."""
        return self._svg(0)

    def _svg(self, quiet: int) -> str:
        side = self.size + 2 * quiet
        strokes = []
        for y, row in enumerate(self.modules, quiet):
            start = row.find(1)
            while start >= 0:
                end = row.find(0, start)
                end = len(row) if end < 0 else end
                strokes.append(f"M{start + quiet} {y}h{end - start}v1H{start + quiet}z")
                start = row.find(1, end)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {side} {side}" shape-rendering="crispEdges">'
            f'<path fill="#fff" d="M0 0h{side}v{side}H0z"/><path d="{"".join(strokes)}"/></svg>'
        )

    def image(self, module_pixels: int) -> Image.Image:
        """A grey picture, quiet zone included."""
        side = self.size + 2 * QUIET_MODULES
        picture = Image.new("L", (side, side), 255)
        for y, row in enumerate(self.modules):
            for x, dark in enumerate(row):
                if dark:
                    picture.putpixel((x + QUIET_MODULES, y + QUIET_MODULES), 0)
        return picture.resize((side * module_pixels, side * module_pixels), Image.Resampling.NEAREST)

    def png(self, module_pixels: int = 12) -> bytes:
        """A 1-bit PNG."""
        out = io.BytesIO()
        self.image(module_pixels).convert("1").save(out, "PNG", optimize=True)
        return out.getvalue()

    def terminal(self) -> str:
        """For a terminal: two rows a line with half blocks, dark on light whatever the terminal's colours."""
        side = self.size + 2 * QUIET_MODULES
        rows = [[1] * side for _ in range(side + side % 2)]
        for y, row in enumerate(self.modules):
            for x, dark in enumerate(row):
                rows[y + QUIET_MODULES][x + QUIET_MODULES] = 1 - dark
        blocks = {(0, 0): " ", (0, 1): "▄", (1, 0): "▀", (1, 1): "█"}
        return "\n".join(
            "".join(blocks[pair] for pair in zip(upper, lower, strict=True))
            for upper, lower in zip(rows[::2], rows[1::2], strict=True)
        )


def pointer_url(base_url: str, token: str, path: str = "S") -> str:
    """``https://HOST/S/TOKEN``: what a dynamic code holds; a static one has ``/T/``. ``base_url`` has no path."""
    scheme, _, host = base_url.rstrip("/").partition("://")
    return f"{scheme}://{host.upper()}/{path}/{token}"


def draw(text: str) -> Symbol:
    """The symbol of a pointer: level M, segments chosen so that it is as small as the text allows."""
    scheme, separator, rest = text.partition("://")
    segments: Any = text if text.isupper() or not separator else [scheme + separator, rest]
    return Symbol(text, segno.make_qr(segments, error="m", boost_error=False))
