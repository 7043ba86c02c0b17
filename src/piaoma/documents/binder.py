"""Binding (合订): many invoices as one PDF for the printer, one or two to a sheet of A4, in the order they come in."""

from __future__ import annotations

from pathlib import Path

import pypdfium2

A4_WIDTH_POINTS, A4_HEIGHT_POINTS = 595.28, 841.89
MARGIN_POINTS = 20.0
BOOKLET_SHEETS = 25  # bound together before they join the rest


class Binder:
    """Add PDFs, then ``close``."""

    def __init__(self, path: Path, per_sheet: int) -> None:
        assert per_sheet in (1, 2), "a sheet holds one invoice or two"
        self._path, self._per_sheet = path, per_sheet
        self._bound = pypdfium2.PdfDocument.new()
        # What pdfium does to write a page grows with all that its document holds; a few sheets at a time keep it small.
        self._booklet = pypdfium2.PdfDocument.new()
        self._sheet: pypdfium2.PdfPage | None = None
        self._placed = 0

    def add(self, pdf: bytes) -> None:
        """Every page of an invoice, each in a place of its own."""
        document = pypdfium2.PdfDocument(pdf)
        for place in range(len(document)):
            if self._sheet is None or self._placed == self._per_sheet:
                self._finish_sheet()
                self._sheet = self._booklet.new_page(A4_WIDTH_POINTS, A4_HEIGHT_POINTS)
            self._place(self._sheet, document, place)
        document.close()

    def _place(self, sheet: pypdfium2.PdfPage, document: pypdfium2.PdfDocument, place: int) -> None:
        """The page as one drawing, scaled into its place on the sheet."""
        width, height = document.get_page_size(place)
        height_max = A4_HEIGHT_POINTS / self._per_sheet - 2 * MARGIN_POINTS
        scale = min((A4_WIDTH_POINTS - 2 * MARGIN_POINTS) / width, height_max / height)
        left = (A4_WIDTH_POINTS - width * scale) / 2
        top = A4_HEIGHT_POINTS * (1 - self._placed / self._per_sheet) - MARGIN_POINTS
        drawing = document.page_as_xobject(place, self._booklet)
        placed = drawing.as_pageobject()
        drawing.close()
        placed.set_matrix(pypdfium2.PdfMatrix().scale(scale, scale).translate(left, top - height * scale))
        sheet.insert_obj(placed)
        self._placed += 1

    def _finish_sheet(self) -> None:
        if self._sheet is not None:
            self._sheet.gen_content()
            self._sheet.close()
            self._sheet = None
            if len(self._booklet) >= BOOKLET_SHEETS:
                self._join()
        self._placed = 0

    def _join(self) -> None:
        self._bound.import_pages(self._booklet)
        self._booklet.close()
        self._booklet = pypdfium2.PdfDocument.new()

    def close(self) -> None:
        """Write the file."""
        self._finish_sheet()
        if len(self._booklet):
            self._join()
        self._booklet.close()
        self._bound.save(str(self._path))
        self._bound.close()
