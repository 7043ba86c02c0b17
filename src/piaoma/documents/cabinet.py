"""The cabinet (版式文件柜): views rendered when asked for, in worker processes, kept in a folder that may be deleted.

A view's name in the folder is the digest of its original and the version of its renderer, so a stale view cannot be
found, and deleting all of them changes nothing but time.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from piaoma.invoice.refusal import refuse

from . import ofd
from .code_sheets import Card, render_sheet
from .ofd import VERSIONS
from .render import VIEW_VERSION, render
from .workers import WorkerFailed, Workers

Result = TypeVar("Result")

RENDER_SECONDS_MAX = 15  # of the processor
CACHE_BYTES_MAX = 512 * 1024 * 1024
KINDS = ("pdf", "png", "ofd", "html")


class Cabinet:
    """Renders and keeps views. One for a process."""

    def __init__(self, folder: Path, workers: int = 1) -> None:
        self._folder = folder
        self.workers = Workers(workers)
        self._under_way: dict[str, asyncio.Task[bytes]] = {}
        folder.mkdir(parents=True, exist_ok=True)

    async def view(self, original: bytes, kind: str, signed_value: bytes = b"") -> bytes:
        """The view of an original: ``xml`` is the original itself, the others are rendered; an OFD with its seal.

        Raises ``Refused`` DOCUMENT-KIND, DOCUMENT-GLYPH-MISSING, DOCUMENT-RENDER-FAILED.
        """
        if kind == "xml":
            return original
        if kind not in {*KINDS, *VERSIONS}:
            raise refuse("DOCUMENT-KIND", have=kind[:10])
        version = VIEW_VERSION
        if kind in VERSIONS:
            version = f"{VERSIONS[kind]}-{hashlib.sha256(signed_value).hexdigest()[:16]}"
        name = f"{hashlib.sha256(original).hexdigest()}.{version}.{kind}"
        kept = self._folder / name
        try:
            return await asyncio.to_thread(kept.read_bytes)
        except FileNotFoundError:
            pass
        # The same view asked for twice at once is rendered once.
        task = self._under_way.get(name)
        if task is None:
            task = asyncio.create_task(self._render(original, kind, signed_value, kept))
            self._under_way[name] = task
            task.add_done_callback(lambda _: self._under_way.pop(name, None))
        return await asyncio.shield(task)

    async def close(self) -> None:
        """End the workers."""
        for task in list(self._under_way.values()):
            task.cancel()
        self.workers.close()

    async def to_be_sealed(self, original: bytes, at: datetime, kind: str) -> bytes | None:
        """What a seal on the OFD of an original is set on; see ``ofd.to_be_sealed``.

        Raises ``Refused`` DOCUMENT-RENDER-FAILED.
        """
        return await self._worked(ofd.to_be_sealed, original, at, kind)

    async def sheet(self, cards: tuple[Card, ...], size: str, kind: str) -> bytes:
        """A sheet with codes to print, or a picture of one; see ``code_sheets.render_sheet``. Not kept."""
        return await self._worked(render_sheet, cards, size, kind)

    async def _render(self, original: bytes, kind: str, signed_value: bytes, kept: Path) -> bytes:
        data = await self._worked(render, original, kind, signed_value)
        await asyncio.to_thread(self._keep, kept, data)
        return data

    async def _worked(self, function: Callable[..., Result], *arguments: object) -> Result:
        """What a function gives in a worker, within its time."""
        try:
            return await self.workers.run(RENDER_SECONDS_MAX, function, *arguments)
        except (WorkerFailed, RuntimeError):
            raise refuse("DOCUMENT-RENDER-FAILED") from None

    def _keep(self, kept: Path, data: bytes) -> None:
        """Into the folder, whole or not at all; no sync, since it can be made again."""
        aside = kept.with_suffix(f".{secrets.token_hex(4)}.new")
        aside.write_bytes(data)
        os.replace(aside, kept)
        self._make_room()

    def _make_room(self) -> None:
        """Drop the views that were made longest ago while the folder is over its limit."""
        files = [(entry.stat(), Path(entry.path)) for entry in os.scandir(self._folder) if entry.is_file()]
        total = sum(stat.st_size for stat, _ in files)
        for stat, path in sorted(files, key=lambda item: item[0].st_mtime):
            if total <= CACHE_BYTES_MAX:
                return
            path.unlink(missing_ok=True)
            total -= stat.st_size
