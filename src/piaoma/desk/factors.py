"""Second factors (第二验证): one-time codes of an app (TOTP, RFC 6238), passkeys (WebAuthn), recovery codes.

Whoever has one gives it when he logs in. An owner may demand a fresh one for what is worth more: 专票, red invoices,
settings. A secret of TOTP is sealed under a key of the data folder, so that the database alone gives no second factor.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec
import pyotp
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from piaoma.invoice.refusal import refuse
from piaoma.store import Transaction, milliseconds, write_block

from .events import Actor, record
from .sessions import Session, digest, record_own

if TYPE_CHECKING:
    from .office import Office

TOTP_STEP_SECONDS = 30
TOTP_DRIFT_STEPS_MAX = 1  # a phone's clock may be so many steps off
FACTORS_MAX = 10  # of a person
FACTOR_NAME_MAX = 40  # characters
FACTOR_MINUTES_MAX = 15  # how long a second factor is fresh enough for what the owner demands it for
RECOVERY_CODES_DEFAULT = 10
_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"  # of recovery codes: nothing that looks like something else
POLICIES = ("special", "red", "settings")  # what an owner may demand it for


class Factor(msgspec.Struct, frozen=True):
    """A second factor as its person sees it."""

    factor_id: int
    kind: str
    name: str
    created_at_ms: int
    used_at_ms: int | None


async def factors_of(office: Office, person_id: int) -> list[Factor]:
    """A person's second factors, oldest first."""
    rows = await office.database.read(
        "SELECT factor_id, kind, name, created_at_ms, used_at_ms FROM factors WHERE person_id = $1"
        " ORDER BY created_at_ms, factor_id",
        person_id,
    )
    return [Factor(row[0], row[1], row[2], row[3], row[4]) for row in rows]


# ── one-time codes ────────────────────────────────────────────────────────────────────────────────────────────────


def new_totp_secret() -> str:
    """A secret of 160 bits in Base32, as apps take it."""
    return pyotp.random_base32()


def provisioning_url(office: Office, login: str, secret: str) -> str:
    """What an app scans to know the secret."""
    issuer = f"票码 {urlsplit(office.config.base_url).hostname}"
    return pyotp.TOTP(secret).provisioning_uri(name=login, issuer_name=issuer)


def totp_step(secret: str, code: str, now_seconds: float, after_step: int = 0) -> int | None:
    """The time step whose code this is, or None. A step that was used, or an earlier one, is not good again."""
    code = "".join(code.split())
    if not (code.isascii() and code.isdigit() and len(code) == 6):
        return None
    present = int(now_seconds) // TOTP_STEP_SECONDS
    totp = pyotp.TOTP(secret)
    for step in range(present - TOTP_DRIFT_STEPS_MAX, present + TOTP_DRIFT_STEPS_MAX + 1):
        if step > after_step and hmac.compare_digest(totp.at(step * TOTP_STEP_SECONDS), code):
            return step
    return None


async def add_totp(office: Office, session: Session, secret: str, code: str, name: str) -> list[str]:
    """Take an app as second factor once it shows the right code; the recovery codes if they are the first.

    Raises ``Refused`` FACTOR-WRONG, FACTOR-TOO-MANY.
    """
    step = totp_step(secret, code, office.now().timestamp())
    if step is None:
        raise refuse("FACTOR-WRONG", "code")
    sealed = seal(office.cookie_key, session.person_id, secret.encode())
    return await add_factor(office, session, "totp", name, sealed, counter=step)


async def add_factor(
    office: Office, session: Session, kind: str, name: str, secret: bytes, *, credential: str = "", counter: int = 0
) -> list[str]:
    """Keep a second factor. With the first come recovery codes, told once. Raises ``Refused`` FACTOR-TOO-MANY."""
    now = office.now()

    async def work(transaction: Transaction) -> list[str]:
        known = await transaction.fetch("SELECT count(*) FROM factors WHERE person_id = $1", session.person_id)
        if known[0][0] >= FACTORS_MAX:
            raise refuse("FACTOR-TOO-MANY", max=FACTORS_MAX)
        await transaction.execute(
            "INSERT INTO factors (person_id, factor_id, kind, name, credential, secret, counter, created_at_ms)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            session.person_id, secrets.randbits(53), kind, name.strip()[:FACTOR_NAME_MAX] or kind, credential, secret,
            counter, milliseconds(now),
        )  # fmt: skip
        await transaction.execute(
            "UPDATE sessions SET factor_at_ms = $2 WHERE session_id = $1", session.session_id, milliseconds(now)
        )
        await record_own(transaction, session, now, "account.factor_add", kind)
        return [] if known[0][0] else await _new_recovery_codes(transaction, session.person_id)

    return await write_block(office.database, work)


async def remove_factor(office: Office, session: Session, factor_id: int) -> None:
    """Take a second factor away; with the last go the recovery codes. Raises ``Refused`` FACTOR-NOT-FOUND."""
    async with office.database.write() as transaction:
        if not await transaction.execute(
            "DELETE FROM factors WHERE person_id = $1 AND factor_id = $2", session.person_id, factor_id
        ):
            raise refuse("FACTOR-NOT-FOUND")
        left = await transaction.fetch("SELECT count(*) FROM factors WHERE person_id = $1", session.person_id)
        if left[0][0] == 0:
            await transaction.execute("DELETE FROM recovery_codes WHERE person_id = $1", session.person_id)
        await record_own(transaction, session, office.now(), "account.factor_remove")


async def renew_recovery_codes(office: Office, session: Session) -> list[str]:
    """Ten new ones, told once; the old are good no more."""
    async with office.database.write() as transaction:
        codes = await _new_recovery_codes(transaction, session.person_id)
        await record_own(transaction, session, office.now(), "account.recovery_codes")
    return codes


async def _new_recovery_codes(transaction: Transaction, person_id: int) -> list[str]:
    """50 bits each, so a plain digest keeps them: nobody can try them all against it, nor against us."""
    codes = ["".join(secrets.choice(_ALPHABET) for _ in range(10)) for _ in range(RECOVERY_CODES_DEFAULT)]
    await transaction.execute("DELETE FROM recovery_codes WHERE person_id = $1", person_id)
    rows = [(person_id, _recovery_digest(person_id, code)) for code in codes]
    await transaction.execute_many("INSERT INTO recovery_codes (person_id, code_hash) VALUES ($1, $2)", rows)
    return [f"{code[:5]}-{code[5:]}" for code in codes]


def _recovery_digest(person_id: int, code: str) -> str:
    return digest(f"{person_id}:{code.strip().lower().replace('-', '').replace(' ', '')}")


async def check_code(office: Office, person_id: int, code: str) -> str:
    """Whether a code is an app's present one or an unused recovery code; which. It is used up.

    Raises ``Refused`` FACTOR-WRONG. Whoever calls slows wrong tries down.
    """
    now = office.now()

    async def work(transaction: Transaction) -> str:
        rows = await transaction.fetch(
            "SELECT factor_id, secret, counter FROM factors WHERE person_id = $1 AND kind = 'totp'", person_id
        )
        for row in rows:
            secret = unseal(office.cookie_key, person_id, bytes(row["secret"]))
            step = totp_step(secret.decode(), code, now.timestamp(), row["counter"]) if secret else None
            if step is not None and await transaction.execute(
                "UPDATE factors SET counter = $3, used_at_ms = $4 WHERE person_id = $1 AND factor_id = $2"
                " AND counter < $3",
                person_id, row["factor_id"], step, milliseconds(now),
            ):  # fmt: skip
                return "totp"
        if await transaction.execute(
            "UPDATE recovery_codes SET used_at_ms = $3 WHERE person_id = $1 AND code_hash = $2 AND used_at_ms IS NULL",
            person_id, _recovery_digest(person_id, code), milliseconds(now),
        ):  # fmt: skip
            return "recovery"
        raise refuse("FACTOR-WRONG", "code")

    return await write_block(office.database, work)


async def refresh(office: Office, session: Session) -> None:
    """Note that this session's person just gave a second factor."""
    async with office.database.write() as transaction:
        await transaction.execute(
            "UPDATE sessions SET factor_at_ms = $2 WHERE session_id = $1",
            session.session_id, milliseconds(office.now()),
        )  # fmt: skip
        await record_own(transaction, session, office.now(), "session.factor")


# ── the owner's policy ────────────────────────────────────────────────────────────────────────────────────────────


def demand(office: Office, session: Session, action: str) -> None:
    """Let only a session with a fresh second factor do what the owner demands one for. Raises FACTOR-NEEDED."""
    assert action in POLICIES, action
    if action not in session.factor_policy.split():
        return
    oldest_ms = milliseconds(office.now()) - FACTOR_MINUTES_MAX * 60_000
    if session.factor_at_ms is None or session.factor_at_ms < oldest_ms:
        raise refuse("FACTOR-NEEDED", minutes=FACTOR_MINUTES_MAX)


async def set_policy(office: Office, by: Actor, actions: list[str]) -> None:
    """What a second factor is demanded for from now on."""
    policy = " ".join(action for action in POLICIES if action in actions)
    async with office.database.write() as transaction:
        rows = await transaction.fetch("SELECT factor_policy FROM merchants WHERE merchant_id = $1", by.merchant_id)
        await transaction.execute(
            "UPDATE merchants SET factor_policy = $2 WHERE merchant_id = $1", by.merchant_id, policy
        )
        before, after = {"factor_policy": rows[0][0]}, {"factor_policy": policy}
        await record(transaction, by, office.now(), "policy.change", "", before, after)


# ── sealing ───────────────────────────────────────────────────────────────────────────────────────────────────────


def seal(key: bytes, person_id: int, secret: bytes) -> bytes:
    """A secret that only the key opens, and only for this person: AES-256-GCM, the nonce in front."""
    nonce = os.urandom(12)
    return nonce + AESGCM(_factor_key(key)).encrypt(nonce, secret, str(person_id).encode())


def unseal(key: bytes, person_id: int, sealed: bytes) -> bytes:
    """The secret; empty when the key is another, as after the loss of the data folder."""
    try:
        return AESGCM(_factor_key(key)).decrypt(sealed[:12], sealed[12:], str(person_id).encode())
    except InvalidTag:
        return b""


def _factor_key(key: bytes) -> bytes:
    return hashlib.sha256(b"piaoma.factor" + key).digest()
