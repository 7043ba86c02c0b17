"""S4, S50, S110: each cause of a failure, brought about as it would be, is told by the page that is about it."""

from __future__ import annotations

import secrets
from datetime import timedelta
from pathlib import Path
from typing import Any

from piaoma.channels import SandboxAuthority
from piaoma.desk import codes, deliver, diagnose, mint, reissue, scan
from piaoma.desk.config import Config
from piaoma.desk.diagnose import TOPICS, Asked, Check, Light
from piaoma.desk.keys import Signing
from piaoma.desk.roles import Role
from piaoma.invoice.parties import Buyer
from piaoma.trust.outside_signer import AbsentSigner
from tests.conftest import COMPANY, Shop, with_shop

OTHER = Buyer("武汉另一家贸易有限公司", "92330781MA2EDMFU50")


async def _look(shop: Shop, topic: str, typed: str = "", **changes: Any) -> dict[str, Check]:
    asked = Asked(**{"merchant_id": shop.id, "role": Role.OWNER, "typed": typed, **changes})
    return {check.name: check for check in await diagnose.diagnose(shop.office, topic, asked)}


def _cause(checks: dict[str, Check], name: str) -> str:
    """The cause of a check that came out bad."""
    check = checks[name]
    assert check.light is Light.BAD and check.why is not None, check
    return check.why.cause


async def _confirm(shop: Shop, token: str) -> Any:
    return await scan.confirm(shop.office, token, "me", COMPANY, issue_key=secrets.token_hex(8))


def test_a_healthy_shop_is_told_to_be_healthy(config: Config) -> None:
    """Negative control of all that follows: with nothing wrong, nothing is bad; whoever has no merchant sees none."""

    async def story(shop: Shop) -> None:
        for topic in TOPICS:
            checks = await _look(shop, topic)
            assert not [one for one in checks.values() if one.light in (Light.BAD, Light.UNKNOWN)], checks
        strangers = await _look(shop, "code-fails", merchant_id=None, role=None)
        assert set(strangers) == {"store", "channel", "signer"}

    with_shop(config, story)


def test_each_cause_is_told(tmp_path: Path) -> None:
    """Rehearsed states of the sandbox authority, of the keys, of the merchant; ended, all is well again."""

    async def story(shop: Shop) -> None:
        office = shop.office
        authority = office.channel
        assert isinstance(authority, SandboxAuthority)
        await authority.rehearse(down="before")
        assert _cause(await _look(shop, "code-fails"), "channel") == "ISSUE-CHANNEL-DOWN"
        told = await _look(shop, "cannot-log-in")
        assert _cause(told, "channel") == "ISSUE-CHANNEL-DOWN" and told["store"].light is Light.OK, "logging in works"
        await authority.rehearse(down="", quota_fen=0)
        assert _cause(await _look(shop, "code-fails"), "quota") == "QUOTA-EXCEEDED"
        await authority.rehearse(quota_fen=1_000_00)
        code = await shop.code("990")
        await authority.rehearse(no_numbers=True)
        assert [one.cause for one in (await _confirm(shop, code.token)).refusals] == ["ISSUE-NO-NUMBERS"]
        checks = await _look(shop, "code-fails")
        assert _cause(checks, "numbers") == "ISSUE-NO-NUMBERS"
        assert checks["recent"].values == {"count": "1", "cause": "ISSUE-NO-NUMBERS"}
        await authority.rehearse(no_numbers=False)
        assert (await _confirm(shop, code.token)).number
        assert (await _look(shop, "code-fails"))["quota"].light is Light.WARN, "less than a tenth is left"
        await authority.rehearse(quota_fen=1_000_000_00)

        signing = office.signing
        office.signing = Signing(AbsentSigner("ISSUE-SIGNER-DOWN"), signing.seal_signer)
        assert _cause(await _look(shop, "code-fails"), "signer") == "ISSUE-SIGNER-DOWN"
        office.signing = signing
        for role, light in ((Role.READER, Light.BAD), (Role.CASHIER, Light.OK)):
            assert (await _look(shop, "code-fails", role=role))["role"].light is light
        async with office.database.write() as transaction:
            await transaction.execute("UPDATE merchants SET state = 'suspended' WHERE merchant_id = $1", shop.id)
        assert _cause(await _look(shop, "code-fails"), "standing") == "MERCHANT-SUSPENDED"
        async with office.database.write() as transaction:
            await transaction.execute("UPDATE merchants SET state = 'active' WHERE merchant_id = $1", shop.id)
        assert (await _look(shop, "code-fails"))["standing"].light is Light.OK

    with_shop(Config(data=str(tmp_path)), story)


def test_who_waits_and_whose_mail_failed_is_told(config: Config) -> None:
    """An outcome that stays unknown, mails that are overdue, mails of this merchant that nobody tries any more."""

    async def story(shop: Shop) -> None:
        office = shop.office
        authority = office.channel
        assert isinstance(authority, SandboxAuthority)
        code = await shop.code()
        await authority.rehearse(down="after")
        office._numbering = (-1.0, office._numbering[1])
        assert (await _confirm(shop, code.token)).state.value == "unknown"
        await authority.rehearse(down="")
        assert (await _look(shop, "slow"))["waiting"].light is Light.OK, "a moment is no waiting"
        await _age(shop, "issues", "submitted_at_ms", minutes=5)
        late = (await _look(shop, "slow"))["waiting"]
        assert late.light is Light.WARN and late.values["count"] == "1"
        assert (await _look(shop, "slow", merchant_id=5))["waiting"].light is Light.OK, "another's is not his to see"

        office._numbering = (-1.0, office._numbering[1])
        number = (await _confirm(shop, (await shop.code()).token)).number
        await deliver.send(office, shop.id, number, "a@example.cn")
        assert (await _look(shop, "complex"))["mail"].light is Light.OK
        await _age(shop, "jobs", "created_at_ms", minutes=10)
        assert (await _look(shop, "complex"))["mail"].light is Light.WARN
        async with office.database.write() as transaction:
            await transaction.execute("UPDATE jobs SET state = 'dead', last_error = 'x' WHERE kind = 'mail'")
        dead = (await _look(shop, "complex"))["mail"]
        assert dead.light is Light.BAD and dead.values == {"count": "1"}
        assert (await _look(shop, "complex", merchant_id=None))["mail"].light is Light.OK

    with_shop(config, story)


async def _age(shop: Shop, table: str, column: str, minutes: int) -> None:
    async with shop.office.database.write() as transaction:
        await transaction.execute(f"UPDATE {table} SET {column} = {column} - {minutes * 60_000}")


def test_a_typed_code_and_number_are_told_in_every_state(tmp_path: Path) -> None:
    """S75: malformed, forged, open, looked at, issued, revoked, expired; an invoice of one's own and of nobody here."""

    async def story(shop: Shop) -> None:
        office = shop.office
        code = await shop.code()

        async def told(typed: str, **changes: Any) -> str:
            checks = await _look(shop, "wrong-data", typed, **changes)
            one = checks.get("invoice_stands") or next(iter(checks.values()))
            return one.why.cause if one.why else one.name

        assert await told("123") == "CODE-MALFORMED"
        assert await told("A" * 20) in ("CODE-FORGED", "CODE-MALFORMED")
        assert await told(code.token) == "code_open"
        await scan.viewed(office, code.token)
        assert await told(f" {code.token.lower()} ") == "code_viewed"
        number = (await _confirm(shop, code.token)).number
        assert await told(code.token) == "code_issued"
        revoked = await shop.code()
        await codes.revoke(office, shop.actor, revoked.code_id)
        assert await told(revoked.token) == "CODE-REVOKED"
        old = await mint.mint(office, shop.merchant, code.offer, mint_key="old", by=shop.actor, days=1)
        office.now, now = (lambda: now() + timedelta(days=2)), office.now
        assert await told(old.token) == "code_expired"
        office.now = now
        assert await told(number) == "invoice_stands"
        assert await told(number, merchant_id=None) == "invoice_foreign"
        assert await told("1" * 20) == "invoice_foreign"
        await reissue.start(office, shop.actor, number, OTHER, reissue_id="r")
        taken = await _look(shop, "wrong-data", number)
        assert set(taken) == {"invoice_taken_back"}
        assert not await _look(shop, "wrong-data", ""), "nothing typed, nothing told"

    with_shop(Config(data=str(tmp_path)), story)


def test_a_check_that_fails_hides_no_other(tmp_path: Path) -> None:
    """The store is away: that one is unknown or bad, the others are still told."""

    async def story(shop: Shop) -> None:
        class Away:
            async def session_state(self) -> None:
                raise OSError("the line is cut")

        channel, shop.office.channel = shop.office.channel, Away()  # type: ignore[assignment]
        checks = await _look(shop, "code-fails")
        shop.office.channel = channel
        assert checks["channel"].light is Light.UNKNOWN and checks["signer"].light is Light.OK

    with_shop(Config(data=str(tmp_path)), story)
