"""Sharing a code (分享): the words of its message, and the ways to send it. Looking at it uses nothing up."""

from __future__ import annotations

import json
from datetime import datetime
from email.message import EmailMessage
from typing import TYPE_CHECKING

from piaoma.delivery import Job, masked
from piaoma.delivery.mail import compose_letter
from piaoma.delivery.outbox import Undeliverable
from piaoma.invoice.money import format_yuan
from piaoma.invoice.refusal import Refused, refuse
from piaoma.store import Transaction, milliseconds, write_block

from .applications import application
from .codes import Code, CodeState, code
from .deliver import Delivery, check_address
from .events import Actor, record
from .merchant import Merchant, merchant

if TYPE_CHECKING:
    from .office import Office

SHARES_MAX = 10  # mails of one code


def carriers() -> tuple[str, ...]:
    """The ways in which a code can be sent. Whoever adds a carrier of SMS names it here and gives it its jobs."""
    return ("link", "sheet", "mail")


def message(shop: Merchant, made: Code, *, sandbox: bool) -> str:
    """What a messenger shows: shop, amount, until when, and the address that the symbol holds too."""
    mark = "【测试样票】" if sandbox else ""
    return (
        f"{mark}【{shop.shop_name}】请领取电子发票：¥{format_yuan(made.total)}，"
        f"{made.expires_at:%Y年%m月%d日}前打开 {made.url}"
    )


async def send_code(office: Office, by: Actor, code_id: int, address: str) -> None:
    """Mail the address of a code to its customer. Asked for twice while the first waits, it is sent once.

    Raises ``Refused`` MAIL-ADDRESS, CODE-NOT-FOUND, CODE-ISSUED when it is not open any more, REQUEST-TOO-MANY.
    """
    merchant_id, address = by.merchant_id, check_address(address)
    made = await code(office, merchant_id, code_id)
    if made.state not in (CodeState.OPEN, CodeState.VIEWED):
        raise refuse("CODE-NOT-OPEN")
    now_ms = milliseconds(office.now())
    lock = _LOCK.format(for_update=office.database.dialect.for_update)
    find = _JOBS.format(keys=office.database.dialect.int_text_keys)

    async def work(transaction: Transaction) -> None:
        await transaction.fetch(lock, merchant_id, code_id)
        jobs = await transaction.fetch(find, _keys(merchant_id, code_id))
        if any(row["target"] == address and row["state"] == "waiting" for row in jobs):
            return
        if len(jobs) >= SHARES_MAX:
            raise refuse("REQUEST-TOO-MANY", "email", seconds=86_400)
        await transaction.execute(ADD_LETTER, merchant_id, f"code:{code_id}:mail:{len(jobs)}", address, now_ms)
        await record(transaction, by, office.now(), "code.send", str(code_id), after={"email": address})

    await write_block(office.database, work)


async def sent(office: Office, merchant_id: int, code_id: int) -> list[Delivery]:
    """What was sent of a code, with masked addresses."""
    find = _JOBS.format(keys=office.database.dialect.int_text_keys)
    zone = office.now().tzinfo
    return [
        Delivery(
            row[0], "mail", "", masked(row[1]), row[2], row[3], datetime.fromtimestamp(row[4] / 1000, zone),
            datetime.fromtimestamp(row[5] / 1000, zone) if row[5] else None, row[6],
        )
        for row in await office.database.read(find, _keys(merchant_id, code_id))
    ]  # fmt: skip


async def letter(office: Office, job: Job) -> EmailMessage:
    """The mail of a job of ours, written when it is sent. Raises ``Undeliverable`` when there is nothing to say."""
    kind, _, rest = job.job_id.partition(":")
    number = rest.partition(":")[0]
    if kind not in ("code", "application") or not number.isdigit():
        raise Undeliverable("no such letter")
    try:
        shop = await merchant(office, job.merchant_id)
        write = _code_letter if kind == "code" else _refusal_letter
        subject, text = await write(office, shop, int(number))
    except Refused:
        raise Undeliverable("no such code") from None
    mark = "【测试样票 无效】" if office.config.sandbox else ""
    return compose_letter(job, office.config.mail_from, mark + subject, text, office.now())


async def _code_letter(office: Office, shop: Merchant, code_id: int) -> tuple[str, str]:
    made = await code(office, shop.merchant_id, code_id)
    if made.state not in (CodeState.OPEN, CodeState.VIEWED):
        raise Undeliverable(f"the code is {made.state.value}")
    promise = "打开后核对抬头，确认才会开票。本页不收款，不要银行密码和证件照片。"
    text = f"{message(shop, made, sandbox=office.config.sandbox)}\n\n{promise}\n"
    return f"{shop.shop_name}请您领取电子发票 ¥{format_yuan(made.total)}", text


async def _refusal_letter(office: Office, shop: Merchant, application_id: int) -> tuple[str, str]:
    found = await application(office, shop.merchant_id, application_id)
    address = f"{office.config.base_url}/a/{found.token}"
    phone = f"\n联系商家：{shop.phone}" if shop.phone else ""
    text = f"没有开票。原因：{found.reason}\n金额：¥{format_yuan(found.total)}{phone}\n{address}\n"
    return f"{shop.shop_name}没有同意您的开票申请", text


def _keys(merchant_id: int, code_id: int) -> str:
    """Every mail that a code can have."""
    return json.dumps([(merchant_id, f"code:{code_id}:mail:{place}") for place in range(SHARES_MAX)])


_LOCK = "SELECT 1 FROM codes t WHERE merchant_id = $1 AND code_id = $2 {for_update}"
_JOBS = """
SELECT t.job_id, t.target, t.state, t.attempts, t.next_at_ms, t.done_at_ms, t.last_error
FROM {keys} CROSS JOIN jobs t WHERE t.merchant_id = k.a AND t.job_id = k.b ORDER BY t.created_at_ms, t.job_id
"""
# A mail of no invoice; ``letter`` writes it by the name of its job.
ADD_LETTER = """
INSERT INTO jobs (merchant_id, job_id, kind, number, target, next_at_ms, created_at_ms)
VALUES ($1, $2, 'mail', '', $3, $4, $4)
"""
