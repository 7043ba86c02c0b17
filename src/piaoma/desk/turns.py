"""Turns (轮次): the work that a server does by itself, again and again while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any


async def take_turns(log: Any, seconds: float, turn: Callable[[], Awaitable[object]]) -> None:
    """Take a turn, rest for so many seconds, until cancelled. One that fails is told to ``log`` and the next is taken:
    whatever it was, it must not end the work for ever."""
    while True:
        try:
            await turn()
        except Exception:
            log.exception("turn")
        await asyncio.sleep(seconds)
