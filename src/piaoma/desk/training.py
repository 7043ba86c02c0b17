"""Training (演练): a practice ground of its own for each merchant, in the sandbox only, with faults to be rehearsed.

The practice ground is a merchant like any other, so that everything there is the real thing: its numbers, its quota,
its pages. Its taxpayer id is of a region that does not exist, and a fault is rehearsed for that id alone, so whoever
practises disturbs nobody. Whether an exercise is done is read from what happened, never from a button.
"""

from __future__ import annotations

import secrets
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from piaoma.channels import SandboxAuthority, Switches
from piaoma.invoice import taxpayer_id
from piaoma.invoice.refusal import refuse
from piaoma.store import Transaction, milliseconds, write_block

from .events import record
from .merchant import Merchant, merchant
from .sessions import Session, digest

if TYPE_CHECKING:
    from .office import Office

PRACTICE_REGION = "91990000MA"  # no region has the number 990000
PEOPLE_MAX = 200  # whose progress is shown
PRACTICE_NAME_MAX = 94  # characters of the real name that the practice ground takes over


class Exercise(StrEnum):
    """The six, in the order in which they are best done."""

    FIRST = "first"  # 开出第一张
    SEND = "send"  # 查到并重发
    TITLE = "title"  # 抬头开错，换开
    QUOTA = "quota"  # 额度用完
    OUTAGE = "outage"  # 渠道故障
    NETWORK = "network"  # 网络不好

    @property
    def fault(self) -> bool:
        """Whether a fault is switched on, which must be ended before it can be done."""
        return self in (Exercise.QUOTA, Exercise.OUTAGE)


_FAULTS: dict[Exercise, dict[str, bool | int | str]] = {
    Exercise.QUOTA: {"quota_fen": 0},
    Exercise.OUTAGE: {"down": "before"},
}
_HEALTHY: dict[str, bool | int | str] = {"quota_fen": Switches().quota_fen, "down": ""}


class Step(msgspec.Struct, frozen=True):
    """How far somebody is with an exercise."""

    exercise: Exercise
    started: bool
    fault_on: bool
    done_at: datetime | None


class Progress(msgspec.Struct, frozen=True):
    """Somebody's exercises that are done, as the owner sees them."""

    name: str
    done: int


async def practice_ground(office: Office, merchant_id: int) -> int | None:
    """The practice ground of a merchant, or None when nobody has practised yet."""
    rows = await office.database.read("SELECT merchant_id FROM merchants WHERE trains = $1", merchant_id)
    return int(rows[0][0]) if rows else None


async def enter(office: Office, session: Session, secret: str) -> None:
    """Go to the practice ground, which is made when it is not there yet, in one's own role.

    Raises ``Refused`` TRAINING-ONLY-SANDBOX.
    """
    if not isinstance(office.channel, SandboxAuthority):
        raise refuse("TRAINING-ONLY-SANDBOX")
    if session.trains is not None:
        return
    shop = await merchant(office, session.merchant_id)
    now = office.now()
    number = f"{PRACTICE_REGION}{''.join(secrets.choice('0123456789') for _ in range(7))}"
    number += taxpayer_id.check_character(number)

    async def work(transaction: Transaction) -> str:
        found = await transaction.fetch(
            "SELECT merchant_id, taxpayer_id FROM merchants WHERE trains = $1", session.merchant_id
        )
        ground = int(found[0][0]) if found else secrets.randbits(28)
        if not found:
            await transaction.execute(_MAKE, *_row(shop, ground, number, milliseconds(now)))
            await transaction.execute(_GOODS, ground, session.merchant_id)
        await transaction.execute(
            "INSERT INTO memberships (merchant_id, person_id, role, joined_at_ms) VALUES ($1, $2, $3, $4)"
            " ON CONFLICT (merchant_id, person_id) DO UPDATE SET role = excluded.role, active = 1",
            ground, session.person_id, session.role.value, milliseconds(now),
        )  # fmt: skip
        await transaction.execute(
            "UPDATE sessions SET merchant_id = $2, till_id = NULL WHERE secret_hash = $1", digest(secret), ground
        )
        await record(transaction, session.actor, now, "training.enter")
        return found[0][1] if found else number

    # One number at a time: what is rehearsed about the channel is felt at once, not after a thousand invoices.
    await office.channel.rehearse(await write_block(office.database, work), single=True)


def _row(shop: Merchant, ground: int, number: str, now_ms: int) -> tuple[object, ...]:
    return (
        ground, number, f"演练 · {shop.name}"[: PRACTICE_NAME_MAX + 5], shop.taxpayer_kind.value,
        f"演练 · {shop.shop_name}"[: PRACTICE_NAME_MAX + 5], shop.address, shop.phone, shop.bank, shop.account,
        shop.drawer, shop.merchant_id, now_ms,
    )  # fmt: skip


_MAKE = """
INSERT INTO merchants (merchant_id, taxpayer_id, name, taxpayer_kind, shop_name, address, phone, bank, account, drawer,
                       trains, created_at_ms, verified_at_ms, verified_by)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12, 'training')
"""
# The goods come along, so that practice begins where work is.
_GOODS = """
INSERT INTO goods (merchant_id, goods_id, name, code, rate, price, unit, spec, zero, preference, used_at_ms)
SELECT CAST($1 AS BIGINT), goods_id, name, code, rate, price, unit, spec, zero, preference, used_at_ms FROM goods
WHERE merchant_id = $2
"""


async def leave(office: Office, session: Session, secret: str) -> None:
    """Back to the real shop; a fault that is still on ends."""
    if session.trains is None:
        return
    await _rehearse(office, session, _HEALTHY)
    async with office.database.write() as transaction:
        mine = await transaction.fetch(
            "SELECT 1 FROM memberships WHERE merchant_id = $1 AND person_id = $2 AND active = 1",
            session.trains, session.person_id,
        )  # fmt: skip
        if not mine:
            raise refuse("MERCHANT-NOT-FOUND")
        await transaction.execute(
            "UPDATE sessions SET merchant_id = $2 WHERE secret_hash = $1", digest(secret), session.trains
        )
        there = msgspec.structs.replace(session.actor, merchant_id=session.trains)
        await record(transaction, there, office.now(), "training.leave")


async def start(office: Office, session: Session, wanted: str) -> None:
    """Begin an exercise, anew if it was begun before; its fault is on from now. Raises ``Refused`` TRAINING-OUTSIDE."""
    exercise = _inside(session, wanted)
    now_ms = milliseconds(office.now())
    async with office.database.write() as transaction:
        await transaction.execute(
            "INSERT INTO training_steps (merchant_id, person_id, exercise, started_at_ms) VALUES ($1, $2, $3, $4)"
            " ON CONFLICT (merchant_id, person_id, exercise) DO UPDATE SET started_at_ms = excluded.started_at_ms,"
            " ended_at_ms = NULL, done_at_ms = NULL",
            session.merchant_id, session.person_id, exercise.value, now_ms,
        )  # fmt: skip
        await record(transaction, session.actor, office.now(), "training.start", exercise.value)
    await _rehearse(office, session, {**_HEALTHY, **_FAULTS.get(exercise, {})})


async def end_fault(office: Office, session: Session, wanted: str) -> None:
    """The fault is over: the quota was raised, the channel is back. Raises ``Refused`` TRAINING-OUTSIDE."""
    exercise = _inside(session, wanted)
    async with office.database.write() as transaction:
        await transaction.execute(
            "UPDATE training_steps SET ended_at_ms = $4 WHERE merchant_id = $1 AND person_id = $2 AND exercise = $3"
            " AND ended_at_ms IS NULL",
            session.merchant_id, session.person_id, exercise.value, milliseconds(office.now()),
        )  # fmt: skip
        await record(transaction, session.actor, office.now(), "training.end", exercise.value)
    await _rehearse(office, session, _HEALTHY)


def _inside(session: Session, wanted: str) -> Exercise:
    if session.trains is None or wanted not in set(Exercise):
        raise refuse("TRAINING-OUTSIDE")
    return Exercise(wanted)


async def _rehearse(office: Office, session: Session, changes: dict[str, bool | int | str]) -> None:
    """Switch faults for the practice ground's own taxpayer id. Nothing of a real merchant has such an id."""
    ground = await merchant(office, session.merchant_id)
    assert isinstance(office.channel, SandboxAuthority) and ground.taxpayer_id.startswith(PRACTICE_REGION)
    await office.channel.rehearse(ground.taxpayer_id, **changes)


# What shows that an exercise was done, since $2, by anybody there: practice is done together.
_EVIDENCE = {
    Exercise.FIRST: "SELECT 1 FROM invoices WHERE merchant_id = $1 AND issued_at_ms >= $2 LIMIT 1",
    Exercise.SEND: "SELECT 1 FROM events WHERE merchant_id = $1 AND at_ms >= $2 AND kind = 'invoice.send' LIMIT 1",
    Exercise.TITLE: "SELECT 1 FROM reissues WHERE merchant_id = $1 AND created_at_ms >= $2 AND state = 'done' LIMIT 1",
    Exercise.QUOTA: "SELECT 1 FROM codes WHERE merchant_id = $1 AND created_at_ms >= $2 LIMIT 1",
    Exercise.OUTAGE: "SELECT 1 FROM invoices WHERE merchant_id = $1 AND issued_at_ms >= $2 LIMIT 1",
    Exercise.NETWORK: "SELECT 1 FROM codes WHERE merchant_id = $1 AND created_at_ms >= $2 LIMIT 1",
}


async def steps(office: Office, session: Session) -> list[Step]:
    """Where this person stands, by what has happened until now; what is done is noted."""
    ground = session.merchant_id if session.trains is not None else await practice_ground(office, session.merchant_id)
    rows = await office.database.read(
        "SELECT exercise, started_at_ms, ended_at_ms, done_at_ms FROM training_steps WHERE merchant_id = $1"
        " AND person_id = $2",
        -1 if ground is None else ground, session.person_id,
    )  # fmt: skip
    known = {row[0]: row for row in rows}
    found = []
    for exercise in Exercise:
        row = known.get(exercise.value)
        if row is None:
            found.append(Step(exercise, started=False, fault_on=False, done_at=None))
            continue
        since, done_ms = (row[2] if exercise.fault else row[1]), row[3]
        if done_ms is None and since is not None and await office.database.read(_EVIDENCE[exercise], ground, since):
            done_ms = milliseconds(office.now())
            async with office.database.write() as transaction:
                await transaction.execute(_DONE, ground, session.person_id, exercise.value, done_ms)
        done_at = datetime.fromtimestamp(done_ms / 1000, office.now().tzinfo) if done_ms else None
        found.append(Step(exercise, True, exercise.fault and row[2] is None, done_at))
    return found


_DONE = """
UPDATE training_steps SET done_at_ms = $4 WHERE merchant_id = $1 AND person_id = $2 AND exercise = $3
AND done_at_ms IS NULL
"""


async def progress(office: Office, merchant_id: int) -> list[Progress]:
    """Who has done how many, for the owner of the real merchant."""
    ground = await practice_ground(office, merchant_id)
    if ground is None:
        return []
    rows = await office.database.read(
        "SELECT p.name, count(t.done_at_ms) FROM training_steps t JOIN people p ON p.person_id = t.person_id"
        " WHERE t.merchant_id = $1 GROUP BY t.person_id, p.name ORDER BY count(t.done_at_ms) DESC, p.name LIMIT $2",
        ground, PEOPLE_MAX,
    )  # fmt: skip
    return [Progress(row[0], row[1]) for row in rows]
