"""Binding (合订): many invoices as one PDF for the printer, one or two to a sheet of A4, in the order they come in."""

from __future__ import annotations

import io
from pathlib import Path

from pypdf import PageObject, PdfReader, PdfWriter, Transformation

A4_WIDTH_POINTS, A4_HEIGHT_POINTS = 595.28, 841.89
MARGIN_POINTS = 20.0


class Binder:
    """Add PDFs, then ``close``."""

    def __init__(self, path: Path, per_sheet: int) -> None:
        assert per_sheet in (1, 2), "a sheet holds one invoice or two"
        self._path, self._per_sheet = path, per_sheet
        self._writer = PdfWriter()
        self._sheet: PageObject | None = None
        self._used = 0

    def add(self, pdf: bytes) -> None:
        """Every page of an invoice, each in a place of its own."""
        for page in PdfReader(io.BytesIO(pdf)).pages:
            if self._sheet is None or self._used == self._per_sheet:
                self._sheet = self._writer.add_blank_page(A4_WIDTH_POINTS, A4_HEIGHT_POINTS)
                self._used = 0
            self._place(self._sheet, page)
            self._used += 1

    def _place(self, sheet: PageObject, page: PageObject) -> None:
        height_max = A4_HEIGHT_POINTS / self._per_sheet - 2 * MARGIN_POINTS
        width, height = float(page.mediabox.width), float(page.mediabox.height)
        scale = min((A4_WIDTH_POINTS - 2 * MARGIN_POINTS) / width, height_max / height)
        top = A4_HEIGHT_POINTS * (1 - self._used / self._per_sheet) - MARGIN_POINTS
        left = (A4_WIDTH_POINTS - width * scale) / 2
        moved = Transformation().scale(scale).translate(left, top - height * scale)
        sheet.merge_transformed_page(page, moved)

    def close(self) -> None:
        """Write the file. Fonts that several invoices share are written once."""
        self._writer.compress_identical_objects(remove_identicals=True, remove_orphans=True)
        with self._path.open("wb") as file:
            self._writer.write(file)
