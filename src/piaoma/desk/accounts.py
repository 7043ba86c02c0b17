"""Accounts (账户): registering a merchant with its owner, the password, one's own name and password.

Passwords are argon2id. Whatever is wrong at logging in, the same work is done and the same words are said.
"""

from __future__ import annotations

import asyncio
import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import argon2
import msgspec

from piaoma.delivery import is_address
from piaoma.invoice import taxpayer_id
from piaoma.invoice.parties import TaxpayerKind
from piaoma.invoice.refusal import Refusal, refuse, refuse_all
from piaoma.invoice.rules import text
from piaoma.store import Transaction, milliseconds, write_block

from .events import Actor, record
from .sessions import Client, Session, digest, normal_login, open_session, record_own

if TYPE_CHECKING:
    from .office import Office

PASSWORD_MIN, PASSWORD_MAX = 8, 200
LOGIN_MIN, LOGIN_MAX = 3, 100
CONTACT_MAX = 100  # characters
PERSON_NAME_MAX = 40  # characters
FIRST_DRAWER = "管理员"  # 开票人 until the profile says another

_HASHER = argon2.PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
# Each hash takes 19 MiB and a core; more than two at once would starve issuing.
_HASHING = ThreadPoolExecutor(2, thread_name_prefix="hash")
# Compared with when there is no such account, so that the answer takes as long: the hash, as dear as the others, of a
# random password that was thrown away. Made anew at each start, it held up every command by as much as a log-in.
_NOBODY = "$argon2id$v=19$m=19456,t=2,p=1$TIvguvbxyVSKJykkW9L0Ew$VfduM6wWe5ulfoNouC63VXyf7fuCkXvemeityeZ5Xg4"


class Registration(msgspec.Struct, frozen=True):
    """What a new merchant tells."""

    name: str
    taxpayer_id: str
    shop_name: str
    login: str
    password: str
    taxpayer_kind: TaxpayerKind = TaxpayerKind.GENERAL
    contact: str = ""
    email: str = ""


class Person(msgspec.Struct, frozen=True):
    """Somebody who gave his password. ``merchant_id`` is where he works, None for an operator alone."""

    person_id: int
    login: str
    merchant_id: int | None


async def register(office: Office, registration: Registration, client: Client | None = None) -> Session:
    """Make a merchant and its owner, and log in. All faults at once.

    The merchant is 待核验 until its owner's address is proved and, outside the sandbox, an operator has confirmed it.
    """
    number = taxpayer_id.normalise(registration.taxpayer_id)
    faults = text.check(registration.name, "name", text.NAME_MAX, required=True)
    faults += text.check(registration.shop_name, "shop_name", text.NAME_MAX, required=True)
    if not number:
        faults.append(Refusal("TEXT-EMPTY", "taxpayer_id"))
    elif fault := taxpayer_id.check(number, "taxpayer_id"):
        faults.append(fault)
    email = registration.email.strip()
    if email and not is_address(email):
        faults.append(Refusal("MAIL-ADDRESS", "email", {"have": email[:60]}))
    faults += login_faults(registration.login) + password_faults(registration.password)
    refuse_all(faults)
    password_hash = await hashed(registration.password)

    async def work(transaction: Transaction) -> tuple[int, int]:
        # Drawn anew when another process took the same numbers, or the same name, a moment ago.
        merchant_id = secrets.randbits(28)
        now = office.now()
        if await transaction.fetch("SELECT 1 FROM merchants WHERE taxpayer_id = $1", number):
            raise refuse("ACCOUNT-TAXPAYER-TAKEN", "taxpayer_id")
        name = registration.contact.strip()[:PERSON_NAME_MAX]
        person_id = await add_person(transaction, registration.login, password_hash, name, email, milliseconds(now))
        await transaction.execute(
            _ADD_MERCHANT, merchant_id, number, registration.name.strip(), registration.taxpayer_kind.value,
            registration.shop_name.strip(), FIRST_DRAWER, registration.contact.strip()[:CONTACT_MAX],
            milliseconds(now),
        )  # fmt: skip
        await transaction.execute(
            "INSERT INTO memberships (merchant_id, person_id, role, joined_at_ms) VALUES ($1, $2, 'owner', $3)",
            merchant_id, person_id, milliseconds(now),
        )  # fmt: skip
        actor = Actor(merchant_id, person_id, name or normal_login(registration.login))
        await record(transaction, actor, now, "merchant.register", registration.name.strip())
        return merchant_id, person_id

    merchant_id, person_id = await write_block(office.database, work)
    return await open_session(office, person_id, merchant_id, client or Client())


_ADD_MERCHANT = """
INSERT INTO merchants (merchant_id, taxpayer_id, name, taxpayer_kind, shop_name, drawer, contact, created_at_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""


async def add_person(
    transaction: Transaction, login: str, password_hash: str, name: str, email: str, now_ms: int, *,
    operator: bool = False,
) -> int:  # fmt: skip
    """A new person. A login that is an address stands for it. Raises ``Refused`` ACCOUNT-LOGIN-TAKEN."""
    login = normal_login(login)
    if await transaction.fetch(
        "SELECT 1 FROM people WHERE login = $1 OR (email = $1 AND email_proved_at_ms IS NOT NULL)", login
    ):
        raise refuse("ACCOUNT-LOGIN-TAKEN", "login")
    person_id = secrets.randbits(48)
    address = (email or (login if is_address(login) else "")).lower()
    await transaction.execute(
        "INSERT INTO people (person_id, login, password_hash, name, email, operator, created_at_ms)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7)",
        person_id, login, password_hash, name or login, address, int(operator), now_ms,
    )  # fmt: skip
    return person_id


def login_faults(login: str) -> list[Refusal]:
    """What is wrong with a login that somebody chose."""
    login = login.strip()
    if not LOGIN_MIN <= len(login) <= LOGIN_MAX or any(letter.isspace() for letter in normal_login(login)):
        return [Refusal("ACCOUNT-LOGIN-FORM", "login")]
    return []


def password_faults(password: str) -> list[Refusal]:
    """What is wrong with a password that somebody chose."""
    if len(password) < PASSWORD_MIN:
        return [Refusal("ACCOUNT-PASSWORD-SHORT", "password", {"min": str(PASSWORD_MIN)})]
    if len(password) > PASSWORD_MAX:
        return [Refusal("ACCOUNT-PASSWORD-LONG", "password", {"max": str(PASSWORD_MAX)})]
    return []


async def hashed(password: str) -> str:
    """argon2id, with its parameters and a salt of its own."""
    return await asyncio.get_running_loop().run_in_executor(_HASHING, _HASHER.hash, password)


async def matches(password_hash: str, password: str) -> bool:
    """Whether a password, or a PIN, is the one that was hashed."""
    try:
        return await asyncio.get_running_loop().run_in_executor(_HASHING, _HASHER.verify, password_hash, password)
    except (argon2.exceptions.VerifyMismatchError, argon2.exceptions.InvalidHashError):
        return False


# A login is a user name, a phone number or an address; a proved address is as good as the login, and goes before the
# login of whoever took that address for a name without proving it.
_BY_LOGIN = """
SELECT p.person_id, p.login, p.password_hash, p.operator,
       (SELECT m.merchant_id FROM memberships m WHERE m.person_id = p.person_id AND m.active = 1
        ORDER BY m.joined_at_ms, m.merchant_id LIMIT 1) AS merchant_id
FROM people p WHERE p.login = $1 OR (p.email = $1 AND p.email_proved_at_ms IS NOT NULL)
ORDER BY CASE WHEN p.email = $1 AND p.email_proved_at_ms IS NOT NULL THEN 0 ELSE 1 END LIMIT 1
"""


async def check_password(office: Office, login: str, password: str) -> Person:
    """Who this is. Raises ``Refused`` ACCOUNT-LOGIN-WRONG, in the same words and after the same work whatever is
    wrong: one look-up and one hash, of nobody's password when there is no such account or it has no merchant."""
    rows = await office.database.read(_BY_LOGIN, normal_login(login)[:LOGIN_MAX])
    row = rows[0] if rows and (rows[0]["merchant_id"] is not None or rows[0]["operator"]) else None
    known = row["password_hash"] if row is not None else _NOBODY
    if not await matches(known, password[: PASSWORD_MAX + 1]) or row is None:
        raise refuse("ACCOUNT-LOGIN-WRONG")
    return Person(row["person_id"], row["login"], row["merchant_id"])


async def log_in(office: Office, login: str, password: str, client: Client | None = None) -> Session:
    """Log in by password alone; whoever has a second factor gives it before (see ``factors``)."""
    person = await check_password(office, login, password)
    return await open_session(office, person.person_id, person.merchant_id, client or Client())


async def knows_device(office: Office, login: str, device_hash: str) -> bool:
    """Whether somebody logged in to this account from this browser before."""
    row = await office.database.read_by_key(
        "SELECT 1 FROM devices d JOIN people p ON p.person_id = d.person_id"
        " WHERE p.login = $1 AND d.device_hash = $2",
        normal_login(login)[:LOGIN_MAX], device_hash,
    )  # fmt: skip
    return row is not None


async def confirm_password(office: Office, session: Session, password: str) -> None:
    """Make sure that it is still its person who sits there. Raises ``Refused`` ACCOUNT-PASSWORD-WRONG."""
    row = await office.database.read_by_key("SELECT password_hash FROM people WHERE person_id = $1", session.person_id)
    if row is None or not await matches(row[0], password[: PASSWORD_MAX + 1]):
        raise refuse("ACCOUNT-PASSWORD-WRONG", "password_now")


async def change_password(office: Office, session: Session, new: str, secret: str) -> None:
    """Change one's own password, the old one having been confirmed; all other sessions end. Raises ``Refused``."""
    refuse_all(password_faults(new))
    password_hash = await hashed(new)
    async with office.database.write() as transaction:
        await transaction.execute(
            "UPDATE people SET password_hash = $2 WHERE person_id = $1", session.person_id, password_hash
        )
        await transaction.execute(
            "DELETE FROM sessions WHERE person_id = $1 AND secret_hash <> $2", session.person_id, digest(secret)
        )
        await record_own(transaction, session, office.now(), "account.password")


async def change_name(office: Office, session: Session, name: str) -> None:
    """Change the name under which others see what one did from now on. What was done keeps the old one."""
    refuse_all(text.check(name, "person_name", PERSON_NAME_MAX, required=True))
    async with office.database.write() as transaction:
        await transaction.execute("UPDATE people SET name = $2 WHERE person_id = $1", session.person_id, name.strip())
        await record_own(transaction, session, office.now(), "account.name", name.strip())
