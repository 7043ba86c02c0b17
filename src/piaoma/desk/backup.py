"""Backup and restore (备份与恢复): a folder with the rows of the store, the sandbox's books and the keys, and a list of
digests.

Taking one disturbs nobody. Putting one back begins the store's next life before anybody can open it (``store.renew``):
a file in the data folder keeps every other process out from the first byte until the last step is on disk. A backup
of one engine may be put into the other.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from datetime import datetime
from importlib import resources
from pathlib import Path

import msgspec

import piaoma
import piaoma.channels
from piaoma.channels import SandboxAuthority
from piaoma.index.following import rebuild
from piaoma.invoice.refusal import refuse
from piaoma.store import FolderLock, Renewal, migrations, milliseconds, open_database, renew, sequence
from piaoma.store.migrate import Migration
from piaoma.store.rows import drop_store, export_rows, import_rows, store_exists, tables_of, version_of
from piaoma.trust.checkpoint import end_log_key
from piaoma.trust.files import sync
from piaoma.trust.outside_signer import AbsentSigner

from .config import SANDBOX, Config
from .office import RESTORING, make_private, shanghai_now

FORM = "piaoma-backup-1"
MANIFEST = "manifest.json"
STORE, AUTHORITY, KEYS, TABLE = "store", "authority", "keys", "classification.csv"
SCHEMAS = {STORE: "piaoma", AUTHORITY: "piaoma_authority"}


class Part(msgspec.Struct, frozen=True):
    """A file of a backup; ``sha256`` is hex."""

    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """What a backup holds. ``at`` is from before the first row was read: all that it lacks is later than that.
    ``migrations`` says how many the store and the books have had."""

    form: str
    version: str
    at: datetime
    migrations: dict[str, int]
    parts: dict[str, Part]


async def take_backup(config: Config, target: Path) -> Manifest:
    """A backup as a new folder, there whole or not at all; the server may go on working.

    Raises ``Refused`` BACKUP-TARGET-EXISTS, ``FileNotFoundError`` when there is nothing to copy.
    """
    if target.exists():
        raise refuse("BACKUP-TARGET-EXISTS", have=target)
    folder, at = config.data_folder, shanghai_now()
    if not (folder / KEYS).exists():
        raise FileNotFoundError(f"no keys in {folder}: is this the data folder of the server?")
    aside = target.with_name(f"{target.name}.{os.getpid()}.new")
    aside.mkdir(parents=True, mode=0o700)
    try:
        versions = {}
        # The store first: the books of the authority may know more than the store, never less.
        for name, url in _stores(config):
            versions[name] = await version_of(url, SCHEMAS[name])
            (aside / name).mkdir()
            await export_rows(url, SCHEMAS[name], tables_of(_wanted(name, versions)), aside / name)
        shutil.copytree(folder / KEYS, aside / KEYS, ignore=shutil.ignore_patterns("*.lock", "*.new"))
        if (folder / TABLE).exists():
            shutil.copyfile(folder / TABLE, aside / TABLE)
        parts = {name: _part(aside / name) for name in _names(aside)}
        manifest = Manifest(FORM, piaoma.__version__, at, versions, parts)
        (aside / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest)))
        _sync_all(aside)
        aside.rename(target)
        sync(target.parent)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    return manifest


def check_backup(source: Path) -> Manifest:
    """The list of a backup that is whole and that this version can read. Raises ``Refused`` BACKUP-DAMAGED with the
    first file that is not, BACKUP-NEWER."""
    try:
        manifest = msgspec.json.decode((source / MANIFEST).read_bytes(), type=Manifest)
    except (OSError, msgspec.MsgspecError):
        raise refuse("BACKUP-DAMAGED", have=MANIFEST) from None
    if manifest.form != FORM or not {STORE} <= set(manifest.migrations) <= set(SCHEMAS):
        raise refuse("BACKUP-DAMAGED", have=MANIFEST)
    there = set(_names(source)) - {MANIFEST}
    for name in sorted(there | set(manifest.parts)):
        if name not in there or name not in manifest.parts or _part(source / name) != manifest.parts[name]:
            raise refuse("BACKUP-DAMAGED", have=name)
    if any(len(_migrations(name)) < version for name, version in manifest.migrations.items()):
        raise refuse("BACKUP-NEWER", have=manifest.version[:40], known=piaoma.__version__)
    return manifest


async def restore(config: Config, source: Path) -> Renewal:
    """Put a backup back and begin the store's next life.

    The data folder must be new or empty, and so the database, or hold a restore that was not finished, which is done
    again from the start. Raises ``Refused`` BACKUP-DAMAGED, BACKUP-NEWER, BACKUP-TARGET-EXISTS,
    BACKUP-STORE-IN-USE; ``StoreLocked``.
    """
    manifest = check_backup(source)
    folder = config.data_folder
    begun = (folder / RESTORING).exists()
    if folder.exists() and any(folder.iterdir()) and not begun:
        raise refuse("BACKUP-TARGET-EXISTS", have=folder)
    if not begun and any([await store_exists(url, SCHEMAS[name]) for name, url in _stores(config)]):
        raise refuse("BACKUP-STORE-IN-USE")
    make_private(folder)
    lock = FolderLock(folder)
    try:
        _mark(folder)
        await _put_back(config, source, manifest)
        renewal = await _begin_again(config, milliseconds(manifest.at))
        _sync_all(folder)
        (folder / RESTORING).unlink()
        sync(folder)
    finally:
        lock.release()
    return renewal


def _mark(folder: Path) -> None:
    """Keep everybody else out, also when this process dies."""
    (folder / RESTORING).write_text("a restore from a backup has begun and not ended\n")
    sync(folder / RESTORING)
    sync(folder)


async def _put_back(config: Config, source: Path, manifest: Manifest) -> None:
    """Keys, and the rows into tables as they were at the backup; what an earlier try left is dropped."""
    folder = config.data_folder
    shutil.rmtree(folder / KEYS)
    shutil.copytree(source / KEYS, folder / KEYS)
    if TABLE in manifest.parts:
        shutil.copyfile(source / TABLE, folder / TABLE)
    for name, url in _stores(config):
        if name not in manifest.migrations:
            continue  # taken while the store issued through a channel outside
        wanted = _wanted(name, manifest.migrations)
        await drop_store(url, SCHEMAS[name])
        database = await open_database(url, schema=SCHEMAS[name], wanted=wanted)
        try:
            await import_rows(database, tables_of(wanted), source / name)
        finally:
            await database.close()


async def _begin_again(config: Config, backup_at_ms: int) -> Renewal:
    """Store, log, and the books of the sandbox, which an authority outside keeps itself."""
    now = shanghai_now()
    database = await open_database(config.database_url)
    try:
        renewal = await renew(database, backup_at_ms, milliseconds(now))
        await rebuild(database)  # it follows the log, whose leaves get other places
        key = end_log_key(config.data_folder / KEYS / "log.key", renewal.epoch, config.secret)
        while await sequence(database, key, milliseconds(now)):
            pass
    finally:
        await database.close()
    if config.channel == SANDBOX:
        ledger = await open_database(config.authority_url, schema=SCHEMAS[AUTHORITY], wanted=_migrations(AUTHORITY))
        try:
            await SandboxAuthority(ledger, AbsentSigner, shanghai_now).leave_room()  # nothing is signed here
        finally:
            await ledger.close()
    return renewal


def _stores(config: Config) -> tuple[tuple[str, str], ...]:
    """The store, and the sandbox's books while it issues: those of a channel outside are not ours to put back."""
    if config.channel != SANDBOX:
        return ((STORE, config.database_url),)
    return (STORE, config.database_url), (AUTHORITY, config.authority_url)


def _migrations(name: str) -> list[Migration]:
    return migrations() if name == STORE else migrations(resources.files(piaoma.channels) / "migrations")


def _wanted(name: str, versions: dict[str, int]) -> list[Migration]:
    return _migrations(name)[: versions[name]]


def _names(folder: Path) -> Iterator[str]:
    """All files of a folder and those below, by their path in it."""
    return (str(path.relative_to(folder)) for path in sorted(folder.rglob("*")) if path.is_file())


def _part(path: Path) -> Part:
    with path.open("rb") as file:
        return Part(path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())


def _sync_all(folder: Path) -> None:
    for path in folder.rglob("*"):
        sync(path)
    sync(folder)
