"""Files that must be on disk, whole, and readable by their owner only."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def write_new(path: Path, content: bytes) -> None:
    """A new file with mode 0600, on disk when this returns; its name is when ``sync`` did the folder."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def write_whole(path: Path, content: bytes) -> None:
    """A file with mode 0600 that is there whole or not at all; what had the name before is replaced."""
    aside = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
    write_new(aside, content)
    aside.rename(path)
    sync(path.parent)


def write_once(path: Path, content: bytes) -> None:
    """A file with mode 0600 that is there whole or not at all; one that another process made meanwhile stays."""
    aside = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
    write_new(aside, content)
    with suppress(FileExistsError):
        os.link(aside, path)
    aside.unlink()
    sync(path.parent)


def sync(path: Path) -> None:
    """The bytes of a file, or the names in a folder, on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """One process at a time, by a lock beside the folder; the kernel drops it when the process dies."""
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = os.open(folder.with_name(f"{folder.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
