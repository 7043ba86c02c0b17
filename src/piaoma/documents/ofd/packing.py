"""The package (封装) as bytes: a zip with a fixed order and fixed times, so that the same parts make the same bytes."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping

RATIO_MAX_WRITTEN = 40  # a part that shrinks more is kept as it is: readers take it for a bomb


def pack(parts: Mapping[str, bytes]) -> bytes:
    """The parts, in the order of the mapping, as a zip."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as package:
        for name, data in parts.items():
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.create_system = 0
            entry.compress_type = zipfile.ZIP_STORED if _shrinks_too_much(data) else zipfile.ZIP_DEFLATED
            package.writestr(entry, data)
    return file.getvalue()


def _shrinks_too_much(data: bytes) -> bool:
    return len(data) > 65_536 and len(zlib.compress(data, 1)) * RATIO_MAX_WRITTEN < len(data)
