"""Questions (联系商家): what a customer asks the shop about an invoice, and the shop's answer."""

from __future__ import annotations

import asyncio
import secrets
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec
import structlog

from piaoma.invoice.refusal import refuse
from piaoma.store import milliseconds, write_block

from .deliver import check_address
from .events import Actor, record
from .mailed import letter, post
from .page import Page, cut, resume

if TYPE_CHECKING:
    from piaoma.store import Row, Transaction

    from .office import Office

LINE_MAX = 200  # characters of a question
ANSWER_MAX = 500  # characters of an answer
OPEN_MAX = 3  # questions about one invoice that wait for an answer
LIST_MAX = 50
_ID_BITS = 53

_log = structlog.get_logger("piaoma.questions")


class Reason(StrEnum):
    """What customers ask about most."""

    TITLE = "title"  # 抬头或税号不对
    AMOUNT = "amount"  # 金额或项目不对
    MAIL = "mail"  # 没收到邮件
    SPECIAL = "special"  # 要专用发票
    OTHER = "other"


class Question(msgspec.Struct, frozen=True):
    """A question. ``contact`` says whether an address for the answer is known, not which."""

    question_id: int
    number: str
    reason: Reason
    line: str
    contact: bool
    answer: str
    answered_by: str
    asked_at: datetime
    answered_at: datetime | None


async def ask(office: Office, merchant_id: int, number: str, reason: str, line: str, contact: str) -> None:
    """Put a question on the shop's list. The same words while they wait are one question.

    Raises ``Refused`` QUESTION-EMPTY, QUESTION-TOO-MANY, MAIL-ADDRESS, INVOICE-NOT-FOUND.
    """
    line = " ".join(line.split())[:LINE_MAX]
    chosen = Reason(reason) if reason in set(Reason) else Reason.OTHER
    if chosen is Reason.OTHER and not line:
        raise refuse("QUESTION-EMPTY", "line")
    address = check_address(contact) if contact.strip() else ""
    lock = _LOCK.format(for_update=office.database.dialect.for_update)

    async def work(transaction: Transaction) -> None:
        if not await transaction.fetch(lock, merchant_id, number):
            raise refuse("INVOICE-NOT-FOUND")
        waiting = await transaction.fetch(_WAITING, merchant_id, number)
        if any((row[0], row[1]) == (chosen.value, line) for row in waiting):
            return
        if len(waiting) >= OPEN_MAX:
            raise refuse("QUESTION-TOO-MANY", "line", have=OPEN_MAX)
        await transaction.execute(
            _ADD,
            merchant_id,
            secrets.randbits(_ID_BITS),
            number,
            chosen.value,
            line,
            address,
            milliseconds(office.now()),
        )

    await write_block(office.database, work)


_LOCK = "SELECT 1 FROM invoices t WHERE merchant_id = $1 AND number = $2 {for_update}"
_WAITING = "SELECT reason, line FROM questions WHERE merchant_id = $1 AND number = $2 AND state = 'open'"
_ADD = """
INSERT INTO questions (merchant_id, question_id, number, reason, line, contact, asked_at_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
_SELECT = """
SELECT question_id, number, reason, line, contact, answer, answered_by, asked_at_ms, answered_at_ms FROM questions
WHERE merchant_id = $1
"""


async def questions_of(office: Office, merchant_id: int, number: str) -> list[Question]:
    """What was asked about an invoice, newest first."""
    rows = await office.database.read(_SELECT + " AND number = $2 ORDER BY asked_at_ms DESC", merchant_id, number)
    return [_question(office, row) for row in rows]


async def list_questions(office: Office, merchant_id: int, state: str, cursor: str = "") -> Page[Question]:
    """A merchant's questions, newest first; ``state`` is open or answered."""
    before_ms, before_id = resume(cursor)
    rows = await office.database.read(
        _SELECT + " AND state = $2 AND (asked_at_ms < $3 OR (asked_at_ms = $3 AND question_id < $4))"
        " ORDER BY asked_at_ms DESC, question_id DESC LIMIT $5",
        merchant_id, "answered" if state == "answered" else "open", before_ms, min(before_id, 1 << 62), LIST_MAX + 1,
    )  # fmt: skip
    found = [_question(office, row) for row in rows]
    return cut(found, LIST_MAX, lambda one: (milliseconds(one.asked_at), one.question_id))


async def answer(office: Office, by: Actor, question_id: int, text: str) -> None:
    """Answer a question: on its page, and by mail where an address was left. A second answer takes the first's place.

    Raises ``Refused`` QUESTION-EMPTY, QUESTION-NOT-FOUND.
    """
    merchant_id, text = by.merchant_id, text.strip()[:ANSWER_MAX]
    if not text:
        raise refuse("QUESTION-EMPTY", "answer")
    async with office.database.write() as transaction:
        if not await transaction.execute(_ANSWER, merchant_id, question_id, text, by.name, milliseconds(office.now())):
            raise refuse("QUESTION-NOT-FOUND")
        await record(transaction, by, office.now(), "question.answer", str(question_id), after={"answer": text})
    rows = await office.database.read(
        "SELECT q.contact, q.number, m.shop_name FROM questions q JOIN merchants m ON m.merchant_id = q.merchant_id"
        " WHERE q.merchant_id = $1 AND q.question_id = $2",
        merchant_id, question_id,
    )  # fmt: skip
    if rows and rows[0][0]:
        sending = asyncio.create_task(_send_answer(office, rows[0][0], rows[0][1], rows[0][2], text))
        office.errands.add(sending)
        sending.add_done_callback(office.errands.discard)


async def _send_answer(office: Office, address: str, number: str, shop: str, text: str) -> None:
    try:
        subject = f"{shop}回复了您关于发票 …{number[-4:]} 的问题".replace("\n", " ")
        await post(office, letter(office, address, subject, f"{text}\n\n{shop}\n发票号码：{number}\n"))
    except Exception:
        _log.exception("answer by mail")


_ANSWER = """
UPDATE questions SET state = 'answered', answer = $3, answered_by = $4, answered_at_ms = $5
WHERE merchant_id = $1 AND question_id = $2
"""


def _question(office: Office, row: Row) -> Question:
    zone = office.now().tzinfo
    return Question(
        row[0], row[1], Reason(row[2]), row[3], bool(row[4]), row[5], row[6],
        datetime.fromtimestamp(row[7] / 1000, zone),
        datetime.fromtimestamp(row[8] / 1000, zone) if row[8] else None,
    )  # fmt: skip
