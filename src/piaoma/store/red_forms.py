"""Red forms (红字信息确认单) on disk: raised as an intent before the channel is called, settled by its answer, asked
after while the answer or the other side's word is open. Every change of state goes through here.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

import msgspec

from piaoma.invoice.issued import IssuedInvoice
from piaoma.invoice.money import from_fen, to_fen
from piaoma.invoice.red import RedLine, left
from piaoma.invoice.red_form import ISSUABLE, PENDING, RedFormState, RedReason, Side, Standing, may_follow
from piaoma.invoice.refusal import Refusal, refuse

from .database import Also, Database, Row, Transaction, write_block
from .plan import SHANGHAI, milliseconds
from .reds import TAKEN_BACK
from .writer import FIRST_CALL_MS

FORM_QUERY_DELAYS_S = (2, 4, 8, 15, 30, 60, 300, 900)  # between two questions about an open answer; the last repeats
FORM_PENDING_SECONDS = 1_800  # between two questions whether the other side has spoken
FORMS_DUE_MAX = 32  # handed to the worker at a time

Open = Literal["submitted", "unknown", "refused"]


class RedForm(msgspec.Struct, frozen=True):
    """A red form as it is stored. ``merchant_id`` is the seller's; ``state`` is None while ``open_state`` tells that
    the authority's answer is open or a refusal. ``issue_key`` names the issue that uses the form up, ``number`` the red
    invoice once it is issued. Money in yuan, negative; times aware, Asia/Shanghai."""

    merchant_id: int
    form_id: str
    blue_number: str
    buyer_id: str
    raised_by: Side
    made_by: str
    state: RedFormState | None
    open_state: Open | None
    form_number: str
    reason: RedReason
    used: bool
    lines: tuple[RedLine, ...]
    total: Decimal
    then_issue: bool
    issue_key: str | None
    number: str | None
    refusals: tuple[Refusal, ...]
    created_at: datetime
    confirm_until: datetime | None
    changed_at: datetime
    attempts: int

    @property
    def standing(self) -> Standing | None:
        """What may happen to it; None while the authority has not answered."""
        if self.state is None:
            return None
        return Standing(self.state, self.raised_by, self.confirm_until or self.created_at, self.issue_key is not None)

    @property
    def issuable(self) -> bool:
        """Whether its red invoice can be issued now."""
        return self.state in ISSUABLE and self.issue_key is None


class NewForm(msgspec.Struct, frozen=True):
    """A form that somebody wants to raise, checked by the rules."""

    merchant_id: int
    form_id: str
    blue: IssuedInvoice
    buyer_id: str
    raised_by: Side
    made_by: str
    reason: RedReason
    used: bool
    lines: tuple[RedLine, ...]
    then_issue: bool


FORM_COLUMNS = """f.merchant_id, f.form_id, f.blue_number, f.buyer_id, f.raised_by, f.made_by, f.state, f.form_number,
                  f.reason, f.used, f.lines, f.total_fen, f.then_issue, f.issue_key, f.refusal, f.created_at_ms,
                  f.confirm_until_ms, f.changed_at_ms, f.attempts, s.number"""
SELECT_FORMS = f"""
SELECT {FORM_COLUMNS} FROM red_forms f
LEFT JOIN issues s ON s.merchant_id = f.merchant_id AND s.issue_key = f.issue_key
"""  # noqa: S608


def form_of(row: Row) -> RedForm:
    """A form from a row of ``SELECT_FORMS``."""
    answered = row["state"] not in ("submitted", "unknown", "refused")

    def moment(ms: int) -> datetime:
        return datetime.fromtimestamp(ms / 1000, SHANGHAI)

    return RedForm(
        merchant_id=row["merchant_id"],
        form_id=row["form_id"],
        blue_number=row["blue_number"],
        buyer_id=row["buyer_id"],
        raised_by=Side(row["raised_by"]),
        made_by=row["made_by"],
        state=RedFormState(row["state"]) if answered else None,
        open_state=None if answered else row["state"],
        form_number=row["form_number"],
        reason=RedReason(row["reason"]),
        used=bool(row["used"]),
        lines=msgspec.json.decode(row["lines"], type=tuple[RedLine, ...]),
        total=from_fen(row["total_fen"]),
        then_issue=bool(row["then_issue"]),
        issue_key=row["issue_key"],
        number=row["number"],
        refusals=msgspec.json.decode(row["refusal"], type=tuple[Refusal, ...]) if row["refusal"] else (),
        created_at=moment(row["created_at_ms"]),
        confirm_until=moment(row["confirm_until_ms"]) if row["confirm_until_ms"] else None,
        changed_at=moment(row["changed_at_ms"]),
        attempts=row["attempts"],
    )


async def find_form(database: Database, merchant_id: int, form_id: str) -> RedForm | None:
    """A form of a seller by its id."""
    row = await database.read_by_key(SELECT_FORMS + "WHERE f.merchant_id = $1 AND f.form_id = $2", merchant_id, form_id)
    return None if row is None else form_of(row)


async def taken_back(database: Database, merchant_id: int, blue_number: str) -> list[RedLine]:
    """What red invoices took back of a blue one, or may have while their outcome is open."""
    return [
        RedLine(row[0], from_fen(row[1]), from_fen(row[2]))
        for row in await database.read(TAKEN_BACK, merchant_id, blue_number)
    ]


_LOCK_BLUE = "SELECT 1 FROM invoices t WHERE merchant_id = $1 AND number = $2 {for_update}"
_OPEN_FORMS = """
SELECT form_id, form_number, lines FROM red_forms
WHERE merchant_id = $1 AND blue_number = $2 AND issue_key IS NULL
AND state IN ('submitted', 'unknown', '01', '02', '03', '04')
"""
_INSERT_FORM = """
INSERT INTO red_forms (merchant_id, form_id, blue_number, buyer_id, raised_by, made_by, state, reason, used, lines,
                       total_fen, then_issue, created_at_ms, changed_at_ms, next_query_at_ms)
VALUES ($1, $2, $3, $4, $5, $6, 'submitted', $7, $8, $9, $10, $11, $12, $12, $13)
"""


async def add_form(database: Database, form: NewForm, now: datetime, also: Also | None = None) -> bool:
    """Store the intent to raise a form; False when this ``form_id`` was stored before, by whatever request.

    Raises ``Refused`` RED-FORM-OPEN when other forms under way leave less of an item than this one takes, so that two
    people who correct the same invoice at once do not both ask the platform.
    """
    lines = msgspec.json.encode(form.lines).decode()
    total_fen = sum(to_fen(line.amount) + to_fen(line.tax) for line in form.lines)
    now_ms = milliseconds(now)
    lock = _LOCK_BLUE.format(for_update=database.dialect.for_update)

    async def work(transaction: Transaction) -> bool:
        if not await transaction.fetch(lock, form.merchant_id, form.blue.number):
            raise refuse("INVOICE-NOT-FOUND")
        same = "SELECT 1 FROM red_forms WHERE merchant_id = $1 AND form_id = $2"
        if await transaction.fetch(same, form.merchant_id, form.form_id):
            return False
        await _check_room(transaction, form)
        await transaction.execute(
            _INSERT_FORM, form.merchant_id, form.form_id, form.blue.number, form.buyer_id, form.raised_by.value,
            form.made_by, form.reason.value, int(form.used), lines, total_fen, int(form.then_issue), now_ms,
            now_ms + FIRST_CALL_MS,
        )  # fmt: skip
        if also is not None:
            await also(transaction)
        return True

    return await write_block(database, work)


async def _check_room(transaction: Transaction, form: NewForm) -> None:
    earlier = [
        RedLine(row[0], from_fen(row[1]), from_fen(row[2]))
        for row in await transaction.fetch(TAKEN_BACK, form.merchant_id, form.blue.number)
    ]
    others = await transaction.fetch(_OPEN_FORMS, form.merchant_id, form.blue.number)
    for row in others:
        earlier += msgspec.json.decode(row["lines"], type=tuple[RedLine, ...])
    rest = left(form.blue, earlier)
    for line in form.lines:
        amount, tax = rest[line.place]
        if -line.amount > amount or -line.tax > tax:
            if others:
                raise refuse("RED-FORM-OPEN", "lines", have=others[0]["form_number"] or others[0]["form_id"])
            raise refuse("RED-EXCEEDS", "lines", have=-line.amount, left=amount)


_LOCK_FORM = "SELECT t.state, t.attempts FROM red_forms t WHERE merchant_id = $1 AND form_id = $2 {for_update}"
_SETTLE_FORM = """
UPDATE red_forms SET state = $3, form_number = $4, confirm_until_ms = $5, changed_at_ms = $6, next_query_at_ms = $7,
                     attempts = 0
WHERE merchant_id = $1 AND form_id = $2
"""
_REFUSE_FORM = """
UPDATE red_forms SET state = 'refused', refusal = $3, changed_at_ms = $4, next_query_at_ms = NULL
WHERE merchant_id = $1 AND form_id = $2
"""
_WAIT_FORM = """
UPDATE red_forms SET state = $3, attempts = attempts + 1, next_query_at_ms = $4,
                     said = CASE WHEN CAST($5 AS TEXT) = '' THEN said ELSE CAST($5 AS TEXT) END
WHERE merchant_id = $1 AND form_id = $2
"""


async def settle_form(
    database: Database, form: RedForm, state: RedFormState, form_number: str, confirm_until: datetime, now: datetime,
    also: Also | None = None,
) -> bool:  # fmt: skip
    """Record the state that the authority tells. The same state again only sets when it is asked after next. False,
    and nothing is changed, when no form can come from what is stored to this state."""
    query_ms = None
    if state in PENDING:
        query_ms = milliseconds(min(max(confirm_until, now + timedelta(seconds=FORM_QUERY_DELAYS_S[0])),
                                    now + timedelta(seconds=FORM_PENDING_SECONDS)))  # fmt: skip
    elif state in ISSUABLE and form.then_issue:
        query_ms = milliseconds(now)

    async def work(transaction: Transaction) -> bool:
        row = await _lock(transaction, database, form)
        stored = row["state"]
        if stored == "refused":
            return False
        if stored not in ("submitted", "unknown") and stored != state.value:
            if not may_follow(RedFormState(stored), state):
                return False
        elif stored == state.value and state not in PENDING:
            return True
        await transaction.execute(
            _SETTLE_FORM, form.merchant_id, form.form_id, state.value, form_number, milliseconds(confirm_until),
            milliseconds(now), query_ms,
        )  # fmt: skip
        if also is not None:
            await also(transaction)
        return True

    return await write_block(database, work)


async def refuse_form(database: Database, form: RedForm, refusals: Sequence[Refusal], now: datetime) -> None:
    """Record that the authority did not take it."""
    told = msgspec.json.encode(list(refusals)).decode()

    async def work(transaction: Transaction) -> None:
        if (await _lock(transaction, database, form))["state"] in ("submitted", "unknown"):
            await transaction.execute(_REFUSE_FORM, form.merchant_id, form.form_id, told, milliseconds(now))

    await write_block(database, work)


async def keep_form_waiting(
    database: Database, form: RedForm, now: datetime, *, unknown: bool, said: str = "", also: Also | None = None
) -> None:
    """Ask again later. ``unknown`` when something may have reached the authority: once unknown, it stays so until it
    is known. A form that was answered before keeps its state. ``said`` is as in ``keep_waiting``."""

    async def work(transaction: Transaction) -> None:
        row = await _lock(transaction, database, form)
        if row["state"] not in ("submitted", "unknown", "02", "03", "01", "04"):
            return
        state = "unknown" if unknown and row["state"] == "submitted" else row["state"]
        delay = FORM_QUERY_DELAYS_S[min(row["attempts"], len(FORM_QUERY_DELAYS_S) - 1)]
        next_ms = milliseconds(now + timedelta(seconds=delay))
        await transaction.execute(_WAIT_FORM, form.merchant_id, form.form_id, state, next_ms, said)
        if also is not None:
            await also(transaction)

    await write_block(database, work)


# In one statement, so that of two processes one sends.
_SEND = """
UPDATE red_forms SET sent_at_ms = $3
WHERE merchant_id = $1 AND form_id = $2 AND state IN ('submitted', 'unknown')
AND (sent_at_ms IS NULL OR sent_at_ms <= CAST($4 AS BIGINT))
"""


async def send_form(database: Database, form: RedForm, now: datetime, settle_seconds: float) -> bool:
    """Note, before the channel is called, that a form is sent; False when it was so recently that the channel may still
    be at it, and must not be sent again."""
    latest = milliseconds(now - timedelta(seconds=settle_seconds))
    async with database.write() as transaction:
        return bool(await transaction.execute(_SEND, form.merchant_id, form.form_id, milliseconds(now), latest))


async def unsend_form(database: Database, form: RedForm) -> None:
    """It surely did not arrive."""
    async with database.write() as transaction:
        await transaction.execute(
            "UPDATE red_forms SET sent_at_ms = NULL WHERE merchant_id = $1 AND form_id = $2",
            form.merchant_id, form.form_id,
        )  # fmt: skip


async def stop_asking(database: Database, form: RedForm) -> None:
    """Nothing more happens to this form by itself."""
    async with database.write() as transaction:
        await transaction.execute(
            "UPDATE red_forms SET next_query_at_ms = NULL, then_issue = 0"
            " WHERE merchant_id = $1 AND form_id = $2 AND state IN ('01', '04')",
            form.merchant_id, form.form_id,
        )  # fmt: skip


async def want_issue(database: Database, form: RedForm, now: datetime, also: Also) -> bool:
    """Somebody wants the red invoice of a form: from now on it is issued by itself. False when it cannot be."""

    async def work(transaction: Transaction) -> bool:
        await _lock(transaction, database, form)
        next_ms = milliseconds(now) + FIRST_CALL_MS
        wanted = await transaction.execute(_WANT_ISSUE, form.merchant_id, form.form_id, next_ms)
        if wanted:
            await also(transaction)
        return bool(wanted)

    return await write_block(database, work)


_WANT_ISSUE = """
UPDATE red_forms SET then_issue = 1, next_query_at_ms = $3
WHERE merchant_id = $1 AND form_id = $2 AND state IN ('01', '04') AND issue_key IS NULL
"""


async def due_forms(database: Database, now: datetime) -> list[RedForm]:
    """The forms that the authority must be asked about, or that wait for their red invoice, now."""
    rows = await database.read(
        SELECT_FORMS + "WHERE f.next_query_at_ms <= $1 ORDER BY f.next_query_at_ms LIMIT $2",
        milliseconds(now), FORMS_DUE_MAX,
    )  # fmt: skip
    return [form_of(row) for row in rows]


async def _lock(transaction: Transaction, database: Database, form: RedForm) -> Row:
    statement = _LOCK_FORM.format(for_update=database.dialect.for_update)
    return (await transaction.fetch(statement, form.merchant_id, form.form_id))[0]
