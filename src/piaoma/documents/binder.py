"""Binding (合订): many invoices as one PDF for the printer, one or two to a sheet of A4, in the order they come in."""

from __future__ import annotations

import io
from pathlib import Path

from pypdf import PageObject, PdfReader, PdfWriter
from pypdf.generic import ArrayObject, DictionaryObject, NameObject, NumberObject, StreamObject

A4_WIDTH_POINTS, A4_HEIGHT_POINTS = 595.28, 841.89
MARGIN_POINTS = 20.0


class Binder:
    """Add PDFs, then ``close``."""

    def __init__(self, path: Path, per_sheet: int) -> None:
        assert per_sheet in (1, 2), "a sheet holds one invoice or two"
        self._path, self._per_sheet = path, per_sheet
        self._writer = PdfWriter()
        self._sheet: PageObject | None = None
        self._placed: list[str] = []

    def add(self, pdf: bytes) -> None:
        """Every page of an invoice, each in a place of its own."""
        for page in PdfReader(io.BytesIO(pdf)).pages:
            if self._sheet is None or len(self._placed) == self._per_sheet:
                self._finish_sheet()
                self._sheet = self._writer.add_blank_page(A4_WIDTH_POINTS, A4_HEIGHT_POINTS)
                self._sheet[NameObject("/Resources")] = DictionaryObject({NameObject("/XObject"): DictionaryObject()})
            self._place(self._sheet, page)

    def _place(self, sheet: PageObject, page: PageObject) -> None:
        """The page as one drawing, scaled into its place: what is drawn in it is not read, so this takes little."""
        width, height = float(page.mediabox.width), float(page.mediabox.height)
        height_max = A4_HEIGHT_POINTS / self._per_sheet - 2 * MARGIN_POINTS
        scale = min((A4_WIDTH_POINTS - 2 * MARGIN_POINTS) / width, height_max / height)
        left = (A4_WIDTH_POINTS - width * scale) / 2
        top = A4_HEIGHT_POINTS * (1 - len(self._placed) / self._per_sheet) - MARGIN_POINTS
        drawing = StreamObject()
        drawing.update({
            NameObject("/Type"): NameObject("/XObject"),
            NameObject("/Subtype"): NameObject("/Form"),
            NameObject("/BBox"): ArrayObject(NumberObject(round(side)) for side in (0, 0, width + 1, height + 1)),
            NameObject("/Resources"): page["/Resources"].clone(self._writer),
        })  # fmt: skip
        contents = page.get_contents()
        drawing.set_data(b"" if contents is None else contents.get_data())
        name = f"/P{len(self._placed)}"
        drawings = sheet["/Resources"]["/XObject"]  # type: ignore[index]
        drawings[NameObject(name)] = self._writer._add_object(drawing.flate_encode())
        self._placed.append(f"q {scale:.5f} 0 0 {scale:.5f} {left:.2f} {top - height * scale:.2f} cm {name} Do Q")

    def _finish_sheet(self) -> None:
        if self._sheet is not None:
            contents = StreamObject()
            contents.set_data("\n".join(self._placed).encode())
            self._sheet[NameObject("/Contents")] = self._writer._add_object(contents)
        self._placed = []

    def close(self) -> None:
        """Write the file."""
        self._finish_sheet()
        with self._path.open("wb") as file:
            self._writer.write(file)
