"""What the sandbox authority asks of the store that it is given for its books."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol


class LedgerTransaction(Protocol):
    """Statements of a block that is open."""

    async def fetch(self, statement: str, *parameters: Any) -> Sequence[Any]: ...
    async def execute(self, statement: str, *parameters: Any) -> int: ...
    async def execute_many(self, statement: str, rows: Iterable[Sequence[Any]]) -> None: ...


class Ledger(Protocol):
    """The store that the authority is given. ``store.Database`` is one."""

    def write(self) -> AbstractAsyncContextManager[LedgerTransaction]: ...
    async def read(self, statement: str, *parameters: Any) -> Sequence[Any]: ...
