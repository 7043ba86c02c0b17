"""The sandbox authority in trouble: late, down before, down after, twice, out of numbers, out of quota. Both engines.

Whatever it does, the customer is told the truth, nothing is issued twice, and the audit holds.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from piaoma.channels import OutcomeUnknown
from piaoma.desk import codes, pursue, scan
from piaoma.desk.codes import CodeState
from piaoma.desk.config import Config
from piaoma.desk.office import Office
from piaoma.store import IssueState, Outcome
from tests.conftest import COMPANY, SELLER_ID, Shop, with_shop
from tests.store.test_writing import broken_invariants, causes


async def rehearse(office: Office, **changes: Any) -> None:
    await office.channel.rehearse(**changes)  # type: ignore[attr-defined]
    office._numbering = (-1e9, office._numbering[1])  # ask anew at once


async def confirm(shop: Shop, code: codes.Code, key: str = "k") -> Outcome:
    return await scan.confirm(shop.office, code.token, "me", COMPANY, issue_key=key)


TURNS: dict[int, int] = {}


async def pursue_all(shop: Shop) -> None:
    """Every open intent is asked after now, as if its time had come."""
    real = shop.office.now
    # Each turn is later than the last by more than the longest wait between two questions.
    TURNS[id(shop)] = hours = TURNS.get(id(shop), 0) + 1
    shop.office.now = lambda: real() + timedelta(hours=hours)
    try:
        await pursue.pursue_once(shop.office)
    finally:
        shop.office.now = real


async def counts(shop: Shop) -> tuple[int, int]:
    """(invoices here, invoices that the authority issued by call)."""
    here = (await shop.office.database.read("SELECT count(*) FROM invoices"))[0][0]
    there = (await shop.office.channel._ledger.read("SELECT count(*) FROM authority_issued"))[0][0]  # type: ignore[attr-defined]
    return here, there


def tell(config: Config, story: Callable[[Shop], Awaitable[None]]) -> None:
    async def whole(shop: Shop) -> None:
        await story(shop)
        assert await broken_invariants(shop) == []

    with_shop(config, whole)


def test_down_before_the_call_nothing_was_submitted(config: Config) -> None:
    """It is shown as 开票中, called again later under the same serial, and issued once."""

    async def story(shop: Shop) -> None:
        code = await shop.code()
        await rehearse(shop.office, down="before")
        assert (await confirm(shop, code)).state is IssueState.SUBMITTED
        await pursue_all(shop)
        assert (await codes.code(shop.office, shop.id, code.code_id)).state is CodeState.SUBMITTED
        await rehearse(shop.office, down="")
        await pursue_all(shop)
        assert (await codes.code(shop.office, shop.id, code.code_id)).state is CodeState.ISSUED
        assert await counts(shop) == (1, 1)

    tell(config, story)


def test_down_after_the_call_is_unknown_and_never_sent_again(config: Config) -> None:
    """The authority has issued and its answer was lost: 结果未知, asked after, found; a second tap changes nothing."""

    async def story(shop: Shop) -> None:
        code = await shop.code()
        await rehearse(shop.office, down="after")
        assert (await confirm(shop, code)).state is IssueState.UNKNOWN
        assert (await confirm(shop, code, "another key")).state is IssueState.UNKNOWN
        await pursue_all(shop)
        assert (await codes.code(shop.office, shop.id, code.code_id)).state is CodeState.UNKNOWN
        await rehearse(shop.office, down="")
        await pursue_all(shop)
        found = await codes.code(shop.office, shop.id, code.code_id)
        assert found.state is CodeState.ISSUED and found.number is not None and found.number[4] == "8"
        assert await counts(shop) == (1, 1)

    tell(config, story)


def test_sending_an_unknown_outcome_as_new_would_issue_twice(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: with a new serial for each call the authority issues two invoices for one sale."""
    serials = iter(f"fresh-{number}" for number in range(100))
    monkeypatch.setattr(pursue, "serial_of", lambda request: next(serials))

    async def story(shop: Shop) -> None:
        code = await shop.code()
        await rehearse(shop.office, down="after")
        await confirm(shop, code)
        await rehearse(shop.office, down="", remote=True)
        await pursue_all(shop)
        assert (await counts(shop))[1] == 2

    with_shop(config, story)


def test_a_crash_between_call_and_record_is_asked_after_first(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer came and the process died before writing it down: the next process asks, and finds it."""

    async def story(shop: Shop) -> None:
        code = await shop.code()
        await rehearse(shop.office, remote=True)

        async def die(*_: object) -> Outcome:
            raise RuntimeError("power cut")

        with monkeypatch.context() as patch:
            patch.setattr(pursue, "_settle", die)
            with pytest.raises(RuntimeError):
                await confirm(shop, code)
        assert (await codes.code(shop.office, shop.id, code.code_id)).state is CodeState.SUBMITTED
        await pursue_all(shop)
        assert (await codes.code(shop.office, shop.id, code.code_id)).state is CodeState.ISSUED
        assert await counts(shop) == (1, 1)

    tell(config, story)


def test_an_answer_that_comes_twice_counts_once(config: Config) -> None:
    """The second answer finds everything settled."""

    async def story(shop: Shop) -> None:
        code = await shop.code()
        await rehearse(shop.office, twice=True)
        assert (await confirm(shop, code)).state is IssueState.ISSUED
        await pursue_all(shop)
        await pursue_all(shop)
        assert await counts(shop) == (1, 1)

    tell(config, story)


def test_a_late_answer_is_waited_for(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Later than our patience: unknown first, issued when it has come."""
    import piaoma.channels.sandbox as sandbox

    monkeypatch.setattr(sandbox, "PATIENCE_MS", 10)

    async def story(shop: Shop) -> None:
        code = await shop.code()
        await rehearse(shop.office, late_ms=3_600_000)
        assert (await confirm(shop, code)).state is IssueState.UNKNOWN
        await rehearse(shop.office, late_ms=0)
        rows = await shop.office.channel._ledger.read("SELECT serial FROM authority_issued")  # type: ignore[attr-defined]
        with pytest.raises(OutcomeUnknown):
            await shop.office.channel.query_result(rows[0][0], SELLER_ID)
        real = shop.office.channel.now  # type: ignore[attr-defined]
        shop.office.channel.now = lambda: real() + timedelta(hours=2)  # type: ignore[attr-defined]
        await pursue_all(shop)
        assert (await codes.code(shop.office, shop.id, code.code_id)).state is CodeState.ISSUED

    tell(config, story)


def test_a_refusal_frees_code_and_quota(config: Config) -> None:
    """Refused by the authority: nothing is issued, the reason is kept, the code may be tried again, and then works."""

    async def story(shop: Shop) -> None:
        code = await shop.code()
        await rehearse(shop.office, refuse=True)
        outcome = await confirm(shop, code)
        assert causes(outcome) == ["ISSUE-REFUSED-BY-AUTHORITY"]
        found = await codes.code(shop.office, shop.id, code.code_id)
        assert found.state is CodeState.OPEN and found.refusals[0].cause == "ISSUE-REFUSED-BY-AUTHORITY"
        assert (await shop.office.database.read("SELECT reserved_fen FROM quotas"))[0][0] == 0
        await rehearse(shop.office, refuse=False)
        assert (await confirm(shop, code, "again")).state is IssueState.ISSUED

    tell(config, story)


def test_out_of_numbers_and_out_of_quota_are_told(config: Config) -> None:
    """Each with its own cause, nothing stored; both end when the authority gives again."""

    async def story(shop: Shop) -> None:
        code = await shop.code()
        await rehearse(shop.office, no_numbers=True)
        assert causes(await confirm(shop, code)) == ["ISSUE-NO-NUMBERS"]
        await rehearse(shop.office, no_numbers=False)
        async with shop.office.database.write() as transaction:
            await transaction.execute("UPDATE quotas SET limit_fen = 0")
        await rehearse(shop.office, quota_fen=0)
        assert causes(await confirm(shop, code)) == ["QUOTA-EXCEEDED"]
        await rehearse(shop.office, quota_fen=1_000_000)
        assert (await confirm(shop, code)).state is IssueState.ISSUED

    tell(config, story)


def test_an_answer_with_a_forged_original_is_no_answer(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the channel returns is verified before it is believed."""
    from piaoma.channels import RemoteAnswer, SandboxAuthority

    async def garbage(self: SandboxAuthority, request: Any) -> RemoteAnswer:
        return RemoteAnswer(request.serial, "26998000000000000001", b"<EInvoice/>")

    async def story(shop: Shop) -> None:
        code = await shop.code()
        await rehearse(shop.office, remote=True)
        with monkeypatch.context() as patch:
            patch.setattr(SandboxAuthority, "issue_blue", garbage)
            assert (await confirm(shop, code)).state is IssueState.UNKNOWN
        assert (await counts(shop))[0] == 0

    tell(config, story)
