"""The original inside a PDF: found by its marks, inflated within bounds, without a PDF library."""

from __future__ import annotations

import re
import zlib

ORIGINAL_BYTES_MAX = 2 * 1024 * 1024
STREAMS_MAX = 2_000

_STREAM = re.compile(rb"/Type\s*/EmbeddedFile\b.{0,600}?stream\r?\n", re.DOTALL)


def embedded_original(pdf: bytes) -> bytes | None:
    """The first embedded file that is an XML of an e-invoice, or None. Bounded in number and size."""
    for count, found in enumerate(_STREAM.finditer(pdf)):
        if count >= STREAMS_MAX:
            return None
        data = _inflated(pdf[found.end() :]) if b"/FlateDecode" in found.group() else _plain(pdf, found.end())
        if data is not None and b"<EInvoice>" in data[:400]:
            return data
    return None


def _inflated(stream: bytes) -> bytes | None:
    engine = zlib.decompressobj()
    try:
        data = engine.decompress(stream, ORIGINAL_BYTES_MAX + 1)
    except zlib.error:
        return None
    return data if len(data) <= ORIGINAL_BYTES_MAX else None


def _plain(pdf: bytes, start: int) -> bytes | None:
    end = pdf.find(b"endstream", start, start + ORIGINAL_BYTES_MAX + 32)
    return pdf[start:end].rstrip(b"\r\n") + b"\n" if end > 0 else None
