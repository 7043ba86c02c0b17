"""Getting back in, and proving an address (找回账号, 邮箱核验): codes and links, good once and for a short time."""

from __future__ import annotations

import hmac
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from piaoma.delivery import is_address
from piaoma.invoice.refusal import refuse, refuse_all
from piaoma.store import Transaction, milliseconds, write_block

from . import accounts
from .events import Actor, record
from .notices import Content, add_notice
from .sessions import NO_MERCHANT, Session, digest, normal_login, notify, record_own

if TYPE_CHECKING:
    from .office import Office

LINK_MINUTES_MAX = 30  # that a link to a new password is good
CODE_MINUTES_MAX = 15  # that a code for an address is good
CODE_TRIES_MAX = 5
CODE_DIGITS_MAX = 6
MAILS_PER_DAY_MAX = 10  # codes, or links, that one person is mailed


class Address(msgspec.Struct, frozen=True):
    """A person's address, empty when he gave none."""

    email: str
    proved: bool


async def address_of(office: Office, person_id: int) -> Address:
    """Where a person can be reached."""
    row = await office.database.read_by_key(
        "SELECT email, email_proved_at_ms FROM people WHERE person_id = $1", person_id
    )
    return Address(row[0], row[1] is not None) if row is not None else Address("", False)


# ── proving an address ────────────────────────────────────────────────────────────────────────────────────────────


async def send_email_code(office: Office, session: Session, email: str) -> None:
    """Mail a code to an address that a person says is his. The last code is the one that counts.

    Raises ``Refused`` MAIL-ADDRESS, REQUEST-TOO-MANY.
    """
    email = email.strip().lower()
    if not is_address(email):
        raise refuse("MAIL-ADDRESS", "email", have=email[:60])
    code = "".join(secrets.choice("0123456789") for _ in range(CODE_DIGITS_MAX))
    now = office.now()
    async with office.database.write() as transaction:
        await _check_mails(transaction, session.person_id, "email", milliseconds(now))
        await transaction.execute(
            "UPDATE challenges SET expires_at_ms = 0 WHERE person_id = $1 AND kind = 'email' AND used_at_ms IS NULL",
            session.person_id,
        )
        await transaction.execute(
            "INSERT INTO challenges (digest, kind, person_id, target, created_at_ms, expires_at_ms)"
            " VALUES ($1, 'email', $2, $3, $4, $5)",
            _code_digest(office, session.person_id, email, code), session.person_id, email, milliseconds(now),
            milliseconds(now + timedelta(minutes=CODE_MINUTES_MAX)),
        )  # fmt: skip
        await record_own(transaction, session, now, "account.email_code")
        await add_notice(transaction, email, Content(
            f"票码验证码 {code}",
            f"验证码：{code}\n{CODE_MINUTES_MAX} 分钟内在页面上填写，证明这个邮箱是您的。"
            "不是您本人操作，请不要理会。\n\n"
            f"Your code is {code}, good for {CODE_MINUTES_MAX} minutes. If you did not ask for it, ignore this mail.\n",
        ), now)  # fmt: skip


async def code_sent_to(office: Office, person_id: int) -> str:
    """The address whose code is waited for; empty when none is."""
    row = await office.database.read_by_key(
        "SELECT target FROM challenges WHERE person_id = $1 AND kind = 'email' AND used_at_ms IS NULL"
        " AND expires_at_ms > $2 ORDER BY created_at_ms DESC LIMIT 1",
        person_id, milliseconds(office.now()),
    )  # fmt: skip
    return str(row[0]) if row is not None else ""


async def _check_mails(transaction: Transaction, person_id: int, kind: str, now_ms: int) -> None:
    """Nobody's mailbox is filled by us. Raises REQUEST-TOO-MANY."""
    rows = await transaction.fetch(
        "SELECT count(*) FROM challenges WHERE person_id = $1 AND kind = $2 AND created_at_ms > $3",
        person_id, kind, now_ms - 86_400_000,
    )  # fmt: skip
    if rows[0][0] >= MAILS_PER_DAY_MAX:
        raise refuse("REQUEST-TOO-MANY", "email", seconds=86_400)


def _code_digest(office: Office, person_id: int, email: str, code: str) -> str:
    """Of a million codes the one that was sent cannot be found from this without the key."""
    return hmac.digest(office.cookie_key, f"email:{person_id}:{email}:{code}".encode(), "sha256").hex()


async def prove_email(office: Office, session: Session, code: str) -> str:
    """Take the code from the mail; the address that it proves. The person's own merchants are 已核验 in the sandbox.

    Raises ``Refused`` CODE-MAIL-WRONG after a wrong, an old or a worn-out code, ACCOUNT-EMAIL-TAKEN.
    """
    now_ms = milliseconds(office.now())

    async def work(transaction: Transaction) -> str | None:
        rows = await transaction.fetch(
            "SELECT digest, target FROM challenges WHERE person_id = $1 AND kind = 'email'"
            " AND used_at_ms IS NULL AND expires_at_ms > $2 ORDER BY created_at_ms DESC LIMIT 1",
            session.person_id, now_ms,
        )  # fmt: skip
        # Counted before it is judged, by one statement: of a thousand guesses at once five are looked at.
        if not rows or not await transaction.execute(
            "UPDATE challenges SET tries = tries + 1 WHERE digest = $1 AND tries < $2",
            rows[0]["digest"],
            CODE_TRIES_MAX,
        ):
            return None
        known, email = rows[0]["digest"], str(rows[0]["target"])
        if not hmac.compare_digest(known, _code_digest(office, session.person_id, email, "".join(code.split()))):
            return None
        if await transaction.fetch(
            "SELECT 1 FROM people WHERE email = $1 AND email_proved_at_ms IS NOT NULL AND person_id <> $2",
            email, session.person_id,
        ):  # fmt: skip
            raise refuse("ACCOUNT-EMAIL-TAKEN", "email")
        await transaction.execute("UPDATE challenges SET used_at_ms = $2 WHERE digest = $1", known, now_ms)
        await transaction.execute(
            "UPDATE people SET email = $2, email_proved_at_ms = $3 WHERE person_id = $1",
            session.person_id, email, now_ms,
        )  # fmt: skip
        await _confirm_samples(office, transaction, session)
        if session.merchant_id != NO_MERCHANT:
            await record(transaction, session.actor, office.now(), "account.email", after={"email": email})
        return email

    proved = await write_block(office.database, work)
    if proved is None:
        raise refuse("CODE-MAIL-WRONG", "code")
    return proved


async def _confirm_samples(office: Office, transaction: Transaction, session: Session) -> None:
    """In the sandbox nobody reviews: a proved address is enough for samples. Elsewhere an operator confirms."""
    if not office.config.sandbox:
        return
    rows = await transaction.fetch(
        "SELECT m.merchant_id FROM memberships m JOIN merchants c ON c.merchant_id = m.merchant_id"
        " WHERE m.person_id = $1 AND m.role = 'owner' AND m.active = 1 AND c.verified_at_ms IS NULL",
        session.person_id,
    )
    for row in rows:
        await transaction.execute(
            "UPDATE merchants SET verified_at_ms = $2, verified_by = $3 WHERE merchant_id = $1",
            row[0], milliseconds(office.now()), session.name,
        )  # fmt: skip
        actor = Actor(row[0], session.person_id, session.name, session.address)
        await record(transaction, actor, office.now(), "merchant.verify", after={"by": "email"})


# ── a new password ────────────────────────────────────────────────────────────────────────────────────────────────


async def send_recovery(office: Office, typed: str) -> None:
    """Mail a link to a new password to whoever the typed login or address belongs to, if his address is proved.

    Nothing tells the caller whether there is such a person.
    """
    now = office.now()
    secret = secrets.token_urlsafe(32)
    async with office.database.write() as transaction:
        rows = await transaction.fetch(
            "SELECT person_id, email FROM people WHERE (login = $1 OR email = $1) AND email_proved_at_ms IS NOT NULL"
            " ORDER BY CASE WHEN email = $1 THEN 0 ELSE 1 END LIMIT 1",
            normal_login(typed)[: accounts.LOGIN_MAX],
        )
        if not rows:
            return
        person_id, email = rows[0][0], str(rows[0][1])
        sent = await transaction.fetch(
            "SELECT count(*) FROM challenges WHERE person_id = $1 AND kind = 'recover' AND created_at_ms > $2",
            person_id, milliseconds(now - timedelta(days=1)),
        )  # fmt: skip
        if sent[0][0] >= MAILS_PER_DAY_MAX:
            return
        await transaction.execute(
            "INSERT INTO challenges (digest, kind, person_id, target, created_at_ms, expires_at_ms)"
            " VALUES ($1, 'recover', $2, $3, $4, $5)",
            digest(secret), person_id, email, milliseconds(now),
            milliseconds(now + timedelta(minutes=LINK_MINUTES_MAX)),
        )  # fmt: skip
        link = f"{office.config.base_url}/recover/{secret}"
        await add_notice(transaction, email, Content(
            "票码：重设密码 New password",
            f"打开下面的链接设新密码，{LINK_MINUTES_MAX} 分钟内有效，只能用一次：\n{link}\n"
            "设好之后，所有设备都要重新登录。不是您本人操作，请不要打开，密码没有变。\n\n"
            f"Open the link to choose a new password. It works once, for {LINK_MINUTES_MAX} minutes. If you did not ask"
            " for it, do not open it; nothing has changed.\n",
        ), now)  # fmt: skip


_RECOVERY = """
SELECT c.person_id, p.login FROM challenges c JOIN people p ON p.person_id = c.person_id
WHERE c.digest = $1 AND c.kind = 'recover' AND c.used_at_ms IS NULL AND c.expires_at_ms > $2
"""


async def recovery_login(office: Office, secret: str) -> str:
    """Whose password a link is good for. Opening it uses nothing up. Raises ``Refused`` LINK-DEAD."""
    row = await office.database.read_by_key(_RECOVERY, digest(secret), milliseconds(office.now()))
    if row is None:
        raise refuse("LINK-DEAD")
    return str(row[1])


async def recover(office: Office, secret: str, password: str) -> None:
    """Set a new password. All sessions end, every open link is dead, the owner is told by mail.

    A second factor stays: the link alone does not get past it. Raises ``Refused`` LINK-DEAD, ACCOUNT-PASSWORD-….
    """
    await recovery_login(office, secret)
    refuse_all(accounts.password_faults(password))
    password_hash = await accounts.hashed(password)
    now = office.now()

    async def work(transaction: Transaction) -> None:
        rows = await transaction.fetch(_RECOVERY, digest(secret), milliseconds(now))
        if not rows or not await transaction.execute(
            "UPDATE challenges SET used_at_ms = $2 WHERE digest = $1 AND used_at_ms IS NULL",
            digest(secret), milliseconds(now),
        ):  # fmt: skip
            raise refuse("LINK-DEAD")
        person_id = rows[0][0]
        await transaction.execute(
            "UPDATE challenges SET used_at_ms = $2 WHERE person_id = $1 AND kind = 'recover' AND used_at_ms IS NULL",
            person_id, milliseconds(now),
        )  # fmt: skip
        await transaction.execute("UPDATE people SET password_hash = $2 WHERE person_id = $1", person_id, password_hash)
        await transaction.execute("DELETE FROM sessions WHERE person_id = $1", person_id)
        await notify(transaction, person_id, now, Content(
            "票码：密码已改 Password changed",
            f"您的密码在 {now:%Y-%m-%d %H:%M} 通过邮件链接改过，所有设备已退出。"
            "不是您本人，请马上再找回一次并联系客服。\n\n"
            f"Your password was changed by a mailed link at {now:%Y-%m-%d %H:%M}; every device is logged out. If it was"
            " not you, recover again at once and tell support.\n",
        ))  # fmt: skip
        members = await transaction.fetch(
            "SELECT m.merchant_id, p.name FROM memberships m JOIN people p ON p.person_id = m.person_id"
            " WHERE m.person_id = $1 AND m.active = 1",
            person_id,
        )
        for row in members:
            await record(transaction, Actor(row[0], person_id, row[1]), now, "account.recover")

    await write_block(office.database, work)
