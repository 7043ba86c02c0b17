"""What is inside a file that was received (内容): the files of an ordinary zip, the original within a view.

Run in a worker, like every look into a file from outside.
"""

from __future__ import annotations

import io
import zipfile

import msgspec

from piaoma.invoice.original_reader import read
from piaoma.invoice.refusal import Refused, refuse

from .bundle import unpack
from .check import PDF_MARK
from .embedded import embedded_original
from .ofd import OFD_MARK, read_ofd
from .ofd.opening import open_package

ITEMS_SHOWN_MAX = 3  # goods of an invoice that a list names
ITEM_NAME_MAX = 60  # characters of each
_REST = ("__MACOSX/", ".DS_Store", "Thumbs.db")  # what computers add to a zip by themselves


class Carried(msgspec.Struct, frozen=True):
    """The original in a file, and what a list shows of it. ``corrects`` is the blue number of a red invoice."""

    original: bytes
    items: str
    corrects: str


def is_archive(data: bytes) -> bool:
    """Whether it is a zip of files; an OFD and a bundle are zips too, and each is one file. Nothing is unpacked."""
    if not data.startswith(OFD_MARK):
        return False
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return False  # whoever checks it says what is wrong with it
    return "OFD.xml" not in names and "proof.json" not in names


def spread(data: bytes) -> list[tuple[str, bytes]]:
    """The (name, content) of every file in a zip; one within it is not opened. Its limits are those of an OFD.

    Raises ``Refused`` ARCHIVE-UNREADABLE, ARCHIVE-TOO-LARGE.
    """
    try:
        parts = open_package(data).parts
    except Refused as refused:
        first = refused.refusals[0]
        cause = "ARCHIVE-TOO-LARGE" if first.cause == "OFD-TOO-LARGE" else "ARCHIVE-UNREADABLE"
        raise refuse(cause, have=first.values.get("have", "")) from None
    return [(name, content) for name, content in parts.items() if not any(rest in name for rest in _REST)]


def carried(data: bytes) -> Carried | None:
    """The original that a file carries, read; None when there is none or it cannot be read."""
    try:
        original = _original(data)
        if original is None:
            return None
        invoice = read(original)
    except Refused:
        return None
    names = [line.name.rpartition("*")[2] or line.name for line in invoice.lines]
    items = "、".join(name[:ITEM_NAME_MAX] for name in list(dict.fromkeys(names))[:ITEMS_SHOWN_MAX])
    return Carried(original, items, invoice.red.blue_number if invoice.red else "")


def _original(data: bytes) -> bytes | None:
    if data.startswith(OFD_MARK):
        return unpack(data).original if _is_bundle(data) else read_ofd(data).original
    if PDF_MARK in data[:1_024] and data.lstrip()[:1] != b"<":
        original = embedded_original(data)
        if original is None:
            from .pdf import Pdf  # a large library, for files of others only

            original = Pdf(data).original()
        return original
    return data


def _is_bundle(data: bytes) -> bool:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return "proof.json" in archive.namelist()
