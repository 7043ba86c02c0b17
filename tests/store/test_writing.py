"""The write path on both engines: one invoice for a code, one for a key, never beyond the quota, all or nothing."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from piaoma.desk import scan
from piaoma.desk.config import Config
from piaoma.desk.issue import issue
from piaoma.desk.mint import draft_of
from piaoma.desk.office import open_office
from piaoma.invoice.refusal import Refused
from piaoma.store import IssueRequest, IssueState, Outcome, StoreLocked, audit, month_of, plan, writer
from piaoma.trust import Verdict, verify_original
from tests.conftest import COMPANY, PERSON, Shop, new_shop, with_shop


async def broken_invariants(shop: Shop) -> list[str]:
    """The names of the invariants that do not hold."""

    def verify(original: bytes) -> str | None:
        verdict = verify_original(original, shop.office.roots).verdict
        return None if verdict is Verdict.VALID else verdict.value

    return [
        finding.name
        for finding in await audit(shop.office.database, verify, shop.office.log_key.public.fault)
        if finding.broken
    ]


def causes(outcome: Outcome) -> list[str]:
    return [refusal.cause for refusal in outcome.refusals]


def test_a_code_gives_one_invoice_however_many_scan(config: Config) -> None:
    """200 holders confirm one code at once: one is issued, 199 are told that it is taken, one row is on disk."""

    async def story(shop: Shop) -> None:
        code = await shop.code()
        outcomes = await asyncio.gather(
            *(scan.confirm(shop.office, code.token, f"holder{i}", COMPANY, issue_key=f"key{i}") for i in range(200))
        )
        issued = [outcome for outcome in outcomes if outcome.state is IssueState.ISSUED]
        assert len(issued) == 1
        assert {cause for outcome in outcomes if outcome not in issued for cause in causes(outcome)} == {"CODE-TAKEN"}
        assert (await shop.office.database.read("SELECT count(*) FROM invoices"))[0][0] == 1
        assert await broken_invariants(shop) == []

    with_shop(config, story)


def test_without_the_claim_a_code_gives_many(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control of the test above: with the claim taken out of the plan the race is lost, and audit sees it."""
    monkeypatch.setattr(plan, "_code_refusal", lambda request, state: None)
    monkeypatch.setattr(plan, "_already_held", lambda request, state: None)
    real_take = plan._take

    def take_without_claim(request: object, *rest: object) -> None:
        real_take(msgspec.structs.replace(request, code_id=None, holder=None), *rest)  # type: ignore[type-var, arg-type]

    monkeypatch.setattr(plan, "_take", take_without_claim)

    async def story(shop: Shop) -> None:
        code = await shop.code()
        outcomes = await asyncio.gather(
            *(scan.confirm(shop.office, code.token, f"holder{i}", COMPANY, issue_key=f"key{i}") for i in range(20))
        )
        assert sum(outcome.state is IssueState.ISSUED for outcome in outcomes) > 1
        assert "I4" in await broken_invariants(shop)

    with_shop(config, story)


def test_the_same_key_gives_the_same_invoice(config: Config) -> None:
    """A request repeated, also at once and also after the code is used, has one outcome; the same key for
    another code is a conflict."""

    async def story(shop: Shop) -> None:
        code = await shop.code()
        again = [scan.confirm(shop.office, code.token, "me", COMPANY, issue_key="k") for _ in range(20)]
        outcomes = await asyncio.gather(*again)
        assert len({outcome.number for outcome in outcomes}) == 1
        assert sum(not outcome.repeated for outcome in outcomes) == 1
        other_key = await scan.confirm(shop.office, code.token, "me", COMPANY, issue_key="another")
        assert other_key.number == outcomes[0].number
        other_title = await scan.confirm(shop.office, code.token, "me", PERSON, issue_key="k")
        assert other_title.number == outcomes[0].number, "a code gives one invoice, whatever title comes later"
        conflict = await scan.confirm(shop.office, (await shop.code()).token, "me", COMPANY, issue_key="k")
        assert causes(conflict) == ["ISSUE-KEY-REUSED"]
        assert await broken_invariants(shop) == []

    with_shop(config, story)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_quota_is_never_exceeded(config: Config, seed: int) -> None:
    """Hundreds race for the last yuan of the quota; what was issued is within it, to the fen, and nothing is left that
    would have fitted the smallest refused request."""
    place = random.Random(seed)

    async def story(shop: Shop) -> None:
        await shop.office.channel.rehearse(quota_fen=100_000)  # type: ignore[attr-defined]
        amounts = [Decimal(place.randrange(100, 3000)).scaleb(-2) for _ in range(150)]
        code = await shop.code("1.00")
        draft = draft_of(code.offer, shop.merchant, COMPANY)

        async def one(number: int, amount: Decimal) -> Outcome:
            lines = (msgspec.structs.replace(draft.lines[0], amount=amount),)
            wanted = msgspec.structs.replace(draft, lines=lines)
            return await issue(shop.office, shop.id, wanted, issue_key=f"k{number}")

        outcomes = await asyncio.gather(*(one(number, amount) for number, amount in enumerate(amounts)))
        refused = [amount for amount, outcome in zip(amounts, outcomes, strict=True) if not outcome.number]
        assert refused and {cause for outcome in outcomes for cause in causes(outcome)} == {"QUOTA-EXCEEDED"}
        row = (await shop.office.database.read("SELECT limit_fen, issued_fen, reserved_fen FROM quotas"))[0]
        assert row[1] <= row[0] == 100_000 and row[2] == 0
        assert await broken_invariants(shop) == []

    with_shop(config, story)


def test_the_month_of_the_quota_changes_at_midnight_in_shanghai() -> None:
    """23:59:59 and 00:00:00 of Asia/Shanghai lie in different months, whatever the zone of the clock."""
    from datetime import UTC, datetime

    assert month_of(datetime(2026, 11, 30, 15, 59, 59, tzinfo=UTC)) == "2026-11"
    assert month_of(datetime(2026, 11, 30, 16, 0, 0, tzinfo=UTC)) == "2026-12"


def test_numbers_go_on_in_a_new_block(config: Config) -> None:
    """Blocks of three: ten invoices need four, each number is used once, the counters agree."""
    small = msgspec.structs.replace(config, number_block=3)

    async def story(shop: Shop) -> None:
        code = await shop.code()
        draft = draft_of(code.offer, shop.merchant, COMPANY)
        outcomes = [await issue(shop.office, shop.id, draft, issue_key=f"k{i}") for i in range(10)]
        numbers = [outcome.number for outcome in outcomes]
        assert len(set(numbers)) == 10 and all(number and number[2:4] == "99" for number in numbers)
        assert (await shop.office.database.read("SELECT count(*) FROM number_blocks"))[0][0] == 4
        assert await broken_invariants(shop) == []

    with_shop(small, story)


def test_a_refused_request_spoils_no_other(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of fifty cannot be sealed because of a bug; it fails alone, loudly, and leaves no trace."""

    async def story(shop: Shop) -> None:
        real = shop.office.writer._seal

        def faulty(taken: Sequence[tuple[IssueRequest, str]]) -> list[writer.Sealed]:
            if any(request.issue_key == "k7" for request, _ in taken):
                raise RuntimeError("a bug")
            return real(taken)

        monkeypatch.setattr(shop.office.writer, "_seal", faulty)
        draft = draft_of((await shop.code()).offer, shop.merchant, COMPANY)
        calls = [issue(shop.office, shop.id, draft, issue_key=f"k{i}") for i in range(50)]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert [i for i, outcome in enumerate(outcomes) if isinstance(outcome, BaseException)] == [7]
        assert (await shop.office.database.read("SELECT count(*) FROM invoices"))[0][0] == 49
        assert await broken_invariants(shop) == []

    with_shop(config, story)


def test_a_draft_that_breaks_a_rule_stores_nothing(config: Config) -> None:
    """Refused before the writer; not even the key is kept."""

    async def story(shop: Shop) -> None:
        draft = draft_of((await shop.code()).offer, shop.merchant, msgspec.structs.replace(COMPANY, name="<b>"))
        with pytest.raises(Refused):
            await issue(shop.office, shop.id, draft, issue_key="k")
        assert (await shop.office.database.read("SELECT count(*) FROM issues"))[0][0] == 0

    with_shop(config, story)


def test_a_second_server_on_a_folder_is_refused(tmp_path: object) -> None:
    """The lock is the kernel's; it says who holds it."""
    config = Config(data=str(tmp_path))

    async def story(shop: Shop) -> None:
        with pytest.raises(StoreLocked):
            async with open_office(config):
                pass

    with_shop(config, story)


def test_two_processes_share_postgres(postgres_server: str, tmp_path: object) -> None:
    """Two offices on one database race for one code and one quota; the rows of each lock the other's out."""
    from tests.conftest import fresh_database

    config = Config(data=str(tmp_path), database=fresh_database(postgres_server))

    async def story() -> None:
        async with open_office(config, work=False) as one, open_office(config, work=False) as two:
            shop = await new_shop(one)
            code = await shop.code()
            draft = draft_of(code.offer, shop.merchant, COMPANY)
            outcomes = await asyncio.gather(
                *(scan.confirm(place, code.token, secrets.token_hex(4), COMPANY, issue_key=secrets.token_hex(8))
                  for _ in range(40) for place in (one, two)),
                *(issue(place, shop.id, draft, issue_key=f"k{i}") for i in range(40) for place in (one, two)),
            )  # fmt: skip
            claimed = [outcome.number for outcome in outcomes[:80] if outcome.number]
            assert len(set(claimed)) == 1
            keyed = [outcome.number for outcome in outcomes[80:]]
            assert len(set(keyed)) == 40 and None not in keyed
            assert await broken_invariants(shop) == []

    asyncio.run(story())


def test_a_look_up_that_fails_fails_alone(tmp_path: Path) -> None:
    """Asked for in one turn with others: they are answered, a number beyond 64 bits is an error, a closed store too."""

    async def story(shop: Shop) -> None:
        database = shop.office.database
        answers = await asyncio.gather(
            database.read_by_key("SELECT 1"),
            database.read_by_key("SELECT $1", 1 << 63),
            database.read_by_key("SELECT nothing"),
            database.read_by_key("SELECT 2"),
            return_exceptions=True,
        )
        assert [type(answer).__name__ for answer in answers] == ["Row", "OverflowError", "OperationalError", "Row"]
        async with database.write() as transaction:
            await transaction.execute("UPDATE merchants SET shop_name = 'new'")
            row = await database.read_by_key("SELECT shop_name FROM merchants")
            assert row is not None and row[0] != "new", "nothing uncommitted is read"
        row = await database.read_by_key("SELECT shop_name FROM merchants")
        assert row is not None and row[0] == "new", "what was committed is read"

    with_shop(Config(data=str(tmp_path)), story)
