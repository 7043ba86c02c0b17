"""Migrations: numbered SQL files, forward only, each applied once in a transaction with its checksum."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from importlib import resources
from importlib.resources.abc import Traversable

import msgspec

from .database import Database, SchemaMismatch

_LEDGER = """
CREATE TABLE IF NOT EXISTS migrations (
    version       BIGINT PRIMARY KEY,
    name          TEXT NOT NULL,
    checksum      TEXT NOT NULL,
    applied_at_ms BIGINT NOT NULL
)
"""


class Migration(msgspec.Struct, frozen=True):
    """One file: ``0001_main.sql`` is version 1, name main."""

    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, hex."""
        return hashlib.sha256(self.sql.encode()).hexdigest()

    def statements(self) -> list[str]:
        """The statements in order.

        A migration keeps each statement's closing semicolon at the end of a line and uses none elsewhere, which a
        test checks; so no SQL parser is needed here.
        """
        uncommented = "\n".join(line for line in self.sql.splitlines() if not line.lstrip().startswith("--"))
        return [part.strip() for part in uncommented.split(";\n") if part.strip()]


def migrations(folder: Traversable | None = None) -> list[Migration]:
    """All migrations of a folder in order of version; the store's own by default."""
    folder = folder or resources.files(__package__) / "migrations"
    found = []
    for file in folder.iterdir():
        if file.name.endswith(".sql"):
            version, _, name = file.name.removesuffix(".sql").partition("_")
            found.append(Migration(int(version), name, file.read_text(encoding="utf-8")))
    found.sort(key=lambda migration: migration.version)
    assert [migration.version for migration in found] == list(range(1, len(found) + 1)), "a migration is missing"
    return found


async def migrate(database: Database, wanted: list[Migration]) -> list[int]:
    """Bring the store to the newest version; the versions that were applied now.

    Raises ``SchemaMismatch`` when an applied migration's text has changed, or the store is newer than this program.
    """
    # One process at a time, all in one transaction: a start that dies halfway leaves the store as it was.
    async with database.write() as transaction:
        await transaction.fetch(database.dialect.migration_lock)
        await transaction.execute(_LEDGER)
        applied = {row[0]: row[1] for row in await transaction.fetch("SELECT version, checksum FROM migrations")}
        _check(applied, wanted)
        fresh = [migration for migration in wanted if migration.version not in applied]
        for migration in fresh:
            for statement in migration.statements():
                await transaction.execute(statement)
            await transaction.execute(
                "INSERT INTO migrations (version, name, checksum, applied_at_ms) VALUES ($1, $2, $3, $4)",
                migration.version,
                migration.name,
                migration.checksum,
                time.time_ns() // 1_000_000,
            )
    return [migration.version for migration in fresh]


def _check(applied: Mapping[int, str], wanted: list[Migration]) -> None:
    known = {migration.version: migration for migration in wanted}
    for version, checksum in sorted(applied.items()):
        if version not in known:
            raise SchemaMismatch(f"the store has migration {version}, which this version of Piaoma does not know")
        if known[version].checksum != checksum:
            raise SchemaMismatch(f"migration {version} was changed after it had been applied")
