"""The original inside a PDF: found by its marks, inflated within bounds, without a PDF library."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator

from piaoma.invoice.original_reader import BYTES_MAX

STREAMS_MAX = 32  # embedded files that are looked at
DICTIONARY_BYTES_MAX = 1_024  # between the mark of an embedded file and its bytes

_MARK = b"/EmbeddedFile"
_ROOT = b"<EInvoice>"
_LENGTH = re.compile(rb"/Length (\d{1,9})(?= *[/>])")


def embedded_original(pdf: bytes) -> bytes | None:
    """The first embedded file that is the XML of an e-invoice, or None. Bounded in number and size."""
    for mark, start in _starts(pdf):
        data = _inflated(memoryview(pdf)[start : start + BYTES_MAX])
        if data is None:
            data = _plain(pdf, mark, start)
        if data is not None and _ROOT in data[:400]:
            return data
    return None


def _starts(pdf: bytes) -> Iterator[tuple[int, int]]:
    """Where the mark of each embedded file is, and where its bytes begin."""
    at = -1
    for _ in range(STREAMS_MAX):
        at = pdf.find(_MARK, at + 1)
        while at >= 0 and pdf[at + len(_MARK) : at + len(_MARK) + 1] == b"s":
            at = pdf.find(_MARK, at + 1)  # /EmbeddedFiles is the index of them
        if at < 0:
            return
        stream = pdf.find(b"stream", at, at + DICTIONARY_BYTES_MAX)
        if stream >= 0:
            start = stream + len(b"stream")
            yield at, start + (2 if pdf[start : start + 2] == b"\r\n" else 1)


def _inflated(stream: memoryview) -> bytes | None:
    engine = zlib.decompressobj()
    try:
        data = engine.decompress(stream, BYTES_MAX + 1)
    except zlib.error:
        return None
    return data if len(data) <= BYTES_MAX else None


def _plain(pdf: bytes, mark: int, start: int) -> bytes | None:
    """Bytes that are not compressed: as many as are announced, else up to the word that ends them."""
    announced = _LENGTH.search(pdf, mark, start)
    if announced is not None:
        end = start + int(announced[1])
        if end - start <= BYTES_MAX and pdf[end : end + 11].lstrip(b"\r\n").startswith(b"endstream"):
            return pdf[start:end]
    end = pdf.find(b"endstream", start, start + BYTES_MAX)
    return pdf[start:end].rstrip(b"\r\n") + b"\n" if end > 0 else None
