"""Reading a PDF from anywhere: its text by rows, the original attached to it, the QR in its pixels.

Runs in a worker only: the library is written in C++, and what a hostile file makes it do is bounded from outside.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator

import pypdfium2
import pypdfium2.raw as pdfium
import zxingcpp

from piaoma.documents.printed_text import Row
from piaoma.invoice.original_reader import BYTES_MAX
from piaoma.invoice.refusal import refuse

ATTACHMENTS_MAX = 32
PAGES_MAX = 50  # whose text is read
CHARACTERS_MAX = 100_000  # of all these pages
PIXELS_SIDE_MAX = 3_000  # of a page that is drawn, however large it is
SCALES = (2.0, 4.0)  # pixels a point at which the QR is looked for, one after the other

_SAME_ROW = 0.5  # heights of a character: what lies closer stands in one row
_GAP = 0.6  # heights: what is further apart are two words
_UPRIGHT = 0.1  # radians
_ROOT = b"<EInvoice"


class Pdf:
    """An open PDF. Raises ``Refused`` PDF-UNREADABLE when it cannot be opened."""

    def __init__(self, data: bytes) -> None:
        try:
            self._document = pypdfium2.PdfDocument(data)
            self.pages = len(self._document)
        except (pypdfium2.PdfiumError, ValueError) as error:
            raise refuse("PDF-UNREADABLE", have=str(error)[:80]) from None
        if not self.pages:
            raise refuse("PDF-UNREADABLE", have="0 pages")

    def original(self) -> bytes | None:
        """The first attachment that is the XML of an e-invoice."""
        try:
            for place in range(min(self._document.count_attachments(), ATTACHMENTS_MAX)):
                data = bytes(self._document.get_attachment(place).get_data())
                if len(data) <= BYTES_MAX and _ROOT in data[:400]:
                    return data
        except pypdfium2.PdfiumError:
            pass  # an attachment that cannot be read is none
        return None

    def rows(self) -> list[Row]:
        """The text of the first pages, row by row from the top. Slanted text, such as a watermark, is left out."""
        rows: list[Row] = []
        left = CHARACTERS_MAX
        for place in range(min(self.pages, PAGES_MAX)):
            try:
                page = self._document[place]
                letters = list(_letters(page, left))
            except pypdfium2.PdfiumError:
                continue  # a page that cannot be read says nothing
            left -= len(letters)
            rows += _rows(letters, page.get_width() / 2)
            if left <= 0:
                break
        return rows

    def symbols(self) -> list[str]:
        """The texts of the QR codes on the first page."""
        try:
            page = self._document[0]
            side = max(page.get_size())
            for scale in SCALES:
                bitmap = page.render(scale=min(scale, PIXELS_SIDE_MAX / max(side, 1)), grayscale=True)
                found = [one.text for one in zxingcpp.read_barcodes(bitmap.to_pil()) if one.text]
                if found:
                    return found
        except (pypdfium2.PdfiumError, ValueError):
            pass  # a page that cannot be drawn shows nothing
        return []


class _Letter:
    """A character and its box: left, right, the height of its middle over the page's foot, its height."""

    __slots__ = ("height", "left", "middle", "right", "text")

    def __init__(self, text: str, left: float, right: float, bottom: float, top: float) -> None:
        self.text, self.left, self.right = text, left, right
        self.middle, self.height = (bottom + top) / 2, max(top - bottom, 1.0)


def _letters(page: pypdfium2.PdfPage, most: int) -> Iterator[_Letter]:
    text = page.get_textpage()
    box = [ctypes.c_double() for _ in range(4)]  # left, right, bottom, top
    for place in range(min(text.count_chars(), most)):
        letter = chr(pdfium.FPDFText_GetUnicode(text, place))
        if letter.isspace() or not letter.isprintable():
            continue
        if abs(pdfium.FPDFText_GetCharAngle(text, place)) > _UPRIGHT:
            continue
        # The loose box has the height of the font, so that a dot and a figure stand in one row.
        rectangle = pdfium.FS_RECTF()
        if pdfium.FPDFText_GetLooseCharBox(text, place, ctypes.byref(rectangle)):
            yield _Letter(letter, rectangle.left, rectangle.right, rectangle.bottom, rectangle.top)
        elif pdfium.FPDFText_GetCharBox(text, place, *(ctypes.byref(one) for one in box)):
            yield _Letter(letter, *(one.value for one in box))


def _rows(letters: list[_Letter], middle: float) -> Iterator[Row]:
    """Letters by their place: rows from the top, each from the left, cut at the middle of the page."""
    rows: list[list[_Letter]] = []
    for letter in sorted(letters, key=lambda one: -one.middle):
        if not rows or abs(rows[-1][0].middle - letter.middle) > _SAME_ROW * min(rows[-1][0].height, letter.height):
            rows.append([])
        rows[-1].append(letter)
    for row in rows:
        row.sort(key=lambda one: one.left)
        yield Row(
            _joined([one for one in row if one.left < middle]), _joined([one for one in row if one.left >= middle])
        )


def _joined(row: list[_Letter]) -> str:
    text, end = "", None
    for letter in row:
        if end is not None and letter.left - end > _GAP * letter.height:
            text += " "
        text += letter.text
        end = letter.right
    return text
