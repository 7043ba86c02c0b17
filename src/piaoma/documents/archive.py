"""Many files as one zip that is sent while it is made: nothing is kept but the file under way.

Nothing is compressed, as in a bundle: what is inside is compressed already.
"""

from __future__ import annotations

import zipfile
from collections.abc import AsyncIterable, AsyncIterator

_EPOCH = (1980, 1, 1, 0, 0, 0)


class _Outlet:
    """What ``zipfile`` writes to: a buffer that is emptied after each file and cannot be gone back in."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing waits behind this."""

    def taken(self) -> bytes:
        """What was written since the last time."""
        data = b"".join(self._parts)
        self._parts.clear()
        return data


async def zipped(files: AsyncIterable[tuple[str, bytes]]) -> AsyncIterator[bytes]:
    """The bytes of a zip with these (name, content), in order; each name once."""
    outlet = _Outlet()
    with zipfile.ZipFile(outlet, "w", zipfile.ZIP_STORED) as archive:  # type: ignore[call-overload]
        async for name, data in files:
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            archive.writestr(entry, data)
            yield outlet.taken()
    yield outlet.taken()
