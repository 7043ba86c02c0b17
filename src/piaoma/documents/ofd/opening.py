"""Opening a package from outside: everything in it is hostile until it is counted (ofd-and-pdf.md §3).

Sizes are counted while inflating, not believed from headers. What two readers could read differently is refused:
a name that stands twice, entries that are encrypted or links, bytes that belong to no entry at the end.
"""

from __future__ import annotations

import io
import re
import time
import zipfile
from collections.abc import Mapping
from typing import Any

from lxml import etree

from piaoma.invoice.refusal import Refused, refuse

OFD_MARK = b"PK\x03\x04"
BYTES_MAX = 20 * 1024 * 1024
# The largest invoice that the rules let us write has 2,000 lines of 17 rows each: 2,019 entries, 266,114 elements.
ENTRIES_MAX = 4_000
ENTRY_BYTES_MAX = 10 * 1024 * 1024
UNPACKED_BYTES_MAX = 64 * 1024 * 1024
RATIO_MAX = 100  # of an entry that is larger than RATIO_FREE_BYTES
RATIO_FREE_BYTES = 65_536
DEPTH_MAX = 64
NODES_MAX = 400_000  # in all parts that are read
SECONDS_MAX = 10.0
PATH_CHARACTERS_MAX = 200

# Both are counted by the parser's own library: a walk in Python takes as long as all else about a part.
_NODES, _TOO_DEEP = etree.XPath("count(//*)"), etree.XPath(f"boolean({'/*' * (DEPTH_MAX + 1)})")
_END = b"PK\x05\x06"
_END_BYTES = 22
_NAME = re.compile(r"[^/\\:\x00-\x1f][^\\:\x00-\x1f]*")
_BOM = b"\xef\xbb\xbf"


class Package:
    """The parts of a package by name, and their XML, parsed within the limits of one package."""

    def __init__(self, parts: Mapping[str, bytes], deadline: float) -> None:
        self.parts = parts
        self._deadline = deadline
        self._nodes = 0

    def xml(self, name: str) -> etree._Element:
        """A part as XML. Raises ``Refused`` OFD-UNREADABLE, OFD-TOO-LARGE."""
        data = self.parts.get(name)
        if data is None:
            raise refuse("OFD-UNREADABLE", have=f"{name} is missing")
        _in_time(self._deadline)
        if b"<!DOCTYPE" in data or b"<!ENTITY" in data or b"\0" in data:
            raise refuse("OFD-UNREADABLE", have=f"{name} declares a document type")
        parser = etree.XMLParser(
            resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True,
            remove_pis=True,
        )  # fmt: skip
        try:
            root = etree.fromstring(data.removeprefix(_BOM), parser)
        except (etree.XMLSyntaxError, ValueError):
            raise refuse("OFD-UNREADABLE", have=f"{name} is not XML") from None
        information: Any = root.getroottree().docinfo
        if information.doctype:
            raise refuse("OFD-UNREADABLE", have=f"{name} declares a document type")
        self._nodes += int(_NODES(root))  # type: ignore[arg-type]
        if self._nodes > NODES_MAX:
            raise refuse("OFD-TOO-LARGE", have=f"{self._nodes} XML", max=NODES_MAX)
        if _TOO_DEEP(root):
            raise refuse("OFD-TOO-LARGE", have=f"{name}: > {DEPTH_MAX}", max=DEPTH_MAX)
        _in_time(self._deadline)
        return root


def open_package(data: bytes) -> Package:
    """The package in some bytes. Raises ``Refused`` OFD-UNREADABLE, OFD-TOO-LARGE."""
    deadline = time.monotonic() + SECONDS_MAX
    if len(data) > BYTES_MAX:
        raise refuse("OFD-TOO-LARGE", have=len(data), max=BYTES_MAX)
    _check_end(data)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return Package(_parts(archive, deadline), deadline)
    except Refused:
        raise
    except Exception as error:  # a hostile zip makes the library fail in many ways; all mean the same
        raise refuse("OFD-UNREADABLE", have="zip") from error


def _check_end(data: bytes) -> None:
    """One end record, at the very end, of one disk and without the extension to 64 bits."""
    place = data.rfind(_END)
    if place < 0 or len(data) < place + _END_BYTES:
        raise refuse("OFD-UNREADABLE", have="zip")
    record = data[place : place + _END_BYTES]
    disks, size, start = record[4:8], int.from_bytes(record[12:16], "little"), int.from_bytes(record[16:20], "little")
    if place + _END_BYTES + int.from_bytes(record[20:22], "little") != len(data):
        raise refuse("OFD-UNREADABLE", have="data after the end")
    if disks != bytes(4) or start + size != place or data[place - 20 : place - 16] == b"PK\x06\x07":
        raise refuse("OFD-UNREADABLE", have="zip64")
    if int.from_bytes(record[10:12], "little") > ENTRIES_MAX:
        raise refuse("OFD-TOO-LARGE", have=int.from_bytes(record[10:12], "little"), max=ENTRIES_MAX)
    if not data.startswith(OFD_MARK):
        raise refuse("OFD-UNREADABLE", have="data before the beginning")


def _parts(archive: zipfile.ZipFile, deadline: float) -> dict[str, bytes]:
    parts: dict[str, bytes] = {}
    entries, total = archive.infolist(), 0
    if len(entries) > ENTRIES_MAX:
        raise refuse("OFD-TOO-LARGE", have=len(entries), max=ENTRIES_MAX)
    for entry in entries:
        name = entry.orig_filename
        _check_entry(entry, name)
        if entry.is_dir():
            continue
        if name in parts:
            raise refuse("OFD-UNREADABLE", have=f"{name[:60]} twice")
        with archive.open(entry) as file:
            content = file.read(ENTRY_BYTES_MAX + 1)
        total += len(content)
        if len(content) > ENTRY_BYTES_MAX or total > UNPACKED_BYTES_MAX:
            raise refuse("OFD-TOO-LARGE", have=name[:60], max=f"{ENTRY_BYTES_MAX}/{UNPACKED_BYTES_MAX}")
        if len(content) > max(RATIO_FREE_BYTES, entry.compress_size * RATIO_MAX):
            raise refuse("OFD-TOO-LARGE", have=f"{name[:60]} 1:{len(content) // max(1, entry.compress_size)}",
                         max=f"1:{RATIO_MAX}")  # fmt: skip
        parts[name] = content
        _in_time(deadline)
    return parts


def _check_entry(entry: zipfile.ZipInfo, name: str) -> None:
    steps = name.rstrip("/").split("/")
    unsafe = not _NAME.fullmatch(name) or any(step in ("", ".", "..") for step in steps)
    if unsafe or len(name) > PATH_CHARACTERS_MAX:
        raise refuse("OFD-UNREADABLE", have=f"name {name[:60]!a}")
    if entry.flag_bits & 0x2041:
        raise refuse("OFD-UNREADABLE", have=f"{name[:60]} is encrypted")
    if entry.external_attr >> 28 == 0xA:
        raise refuse("OFD-UNREADABLE", have=f"{name[:60]} is a link")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise refuse("OFD-UNREADABLE", have=f"{name[:60]} is packed in an unknown way")


def _in_time(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise refuse("OFD-TOO-LARGE", have=f"> {SECONDS_MAX} s", max=f"{SECONDS_MAX} s")
