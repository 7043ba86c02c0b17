"""Opening a store by its address, with its migrations applied."""

from __future__ import annotations

from pathlib import Path

from .database import Database
from .migrate import Migration, migrate, migrations
from .postgres import open_postgres
from .sqlite import open_sqlite


async def open_database(url: str, *, schema: str = "piaoma", wanted: list[Migration] | None = None) -> Database:
    """Open ``sqlite:///PATH`` or ``postgresql://…`` and bring its schema up to date.

    ``schema`` is PostgreSQL's; ``wanted`` the migrations, the store's own by default. Raises ``SchemaMismatch``.
    """
    database: Database
    if url.startswith("sqlite:///"):
        path = Path(url.removeprefix("sqlite:///"))
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        database = open_sqlite(path)
    elif url.startswith(("postgresql://", "postgres://")):
        database = await open_postgres(url, schema)
    else:
        raise ValueError("a database address begins with sqlite:/// or postgresql://")
    try:
        await migrate(database, migrations() if wanted is None else wanted)
    except BaseException:
        await database.close()
        raise
    return database
