"""Work that goes on by itself: a turn that fails does not end it."""

from __future__ import annotations

import asyncio
from typing import Any

import structlog
from structlog.testing import capture_logs

from piaoma.desk.turns import take_turns


def test_a_turn_that_fails_is_told_and_the_next_is_taken() -> None:
    """Every second turn fails in another way; cancelling ends it."""

    async def story() -> tuple[int, list[Any]]:
        turns, enough = 0, asyncio.Event()

        async def turn() -> None:
            nonlocal turns
            turns += 1
            if turns == 5:
                enough.set()
            if turns % 2:
                raise (OSError("disk"), RuntimeError("database"))[turns % 4 == 1]

        with capture_logs() as told:
            work = asyncio.create_task(take_turns(structlog.get_logger("piaoma.test"), 0, turn))
            await asyncio.wait_for(enough.wait(), 10)
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
        assert work.cancelled()
        return turns, told

    turns, told = asyncio.run(story())
    assert turns >= 5 and [one["log_level"] for one in told] == ["error"] * len(told) and len(told) >= 2
