"""Rendering an original as PDF, PNG, OFD or HTML: a pure function of its bytes, the same bytes each time.

``layout`` says what stands where; each kind has a writer of its own. Runs in worker processes.
"""

from __future__ import annotations

from . import ofd, pdf
from .html_view import html_view

VIEW_VERSION = "v4"


def render(original: bytes, kind: str, signed_value: bytes = b"") -> bytes:
    """The PDF (PDF/A-3a and PDF/UA-1) of an original, one PNG with its pages below each other, the OFD with the seal
    that was made, or a page of HTML.

    Raises ``Refused`` as ``original_reader.read``, and DOCUMENT-GLYPH-MISSING when the fonts lack a character.
    """
    if kind in ofd.VERSIONS:
        return ofd.write(original, signed_value, kind)
    if kind == "html":
        return html_view(original)
    if kind == "png":
        from .picture import picture  # the typesetter is large

        return picture(original)
    return pdf.write(original)
