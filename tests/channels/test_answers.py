"""P7: an answer that cannot be the answer to what was asked is none. The channel here lies in every way it could."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec
import pytest

from piaoma.channels import RemoteAnswer, RemoteRequest, SandboxAuthority
from piaoma.desk import codes, pursue, scan
from piaoma.desk.config import Config
from piaoma.invoice.refusal import Refusal
from piaoma.invoice.totals import invoice_of
from piaoma.store import IssueState
from piaoma.trust import sign_original
from tests.channels.test_rehearsals import pursue_all, rehearse
from tests.conftest import COMPANY, PERSON, Shop, with_shop
from tests.store.test_writing import broken_invariants

Lie = Callable[[RemoteRequest, RemoteAnswer, SandboxAuthority], RemoteAnswer]


def _signed(request: RemoteRequest, number: str, at: datetime, authority: SandboxAuthority) -> bytes:
    invoice = invoice_of(request.draft, request.lines, request.totals, number, at, authority.bureau)
    return sign_original(invoice, authority._signer())


def other_buyer(request: RemoteRequest, answer: RemoteAnswer, authority: SandboxAuthority) -> RemoteAnswer:
    draft = msgspec.structs.replace(request.draft, buyer=PERSON)
    changed = msgspec.structs.replace(request, draft=draft)
    return msgspec.structs.replace(answer, original=_signed(changed, answer.number, request.requested_at, authority))


def other_amount(request: RemoteRequest, answer: RemoteAnswer, authority: SandboxAuthority) -> RemoteAnswer:
    lines = tuple(msgspec.structs.replace(line, tax=line.tax + 1) for line in request.lines)
    changed = msgspec.structs.replace(request, lines=lines)
    return msgspec.structs.replace(answer, original=_signed(changed, answer.number, request.requested_at, authority))


LIES: dict[str, Lie] = {
    "other buyer": other_buyer,
    "other amount": other_amount,
    "other serial": lambda request, answer, _: msgspec.structs.replace(answer, serial="0" * 32),
    "other number": lambda request, answer, _: msgspec.structs.replace(answer, number="9" * 20),
    "no number": lambda request, answer, _: msgspec.structs.replace(answer, number="ABC"),
    "no original": lambda request, answer, _: msgspec.structs.replace(answer, original=b""),
    "garbage": lambda request, answer, _: msgspec.structs.replace(answer, original=b"<EInvoice>" * 100),
    "flipped bit": lambda request, answer, _: msgspec.structs.replace(
        answer, original=answer.original.replace(b"58.00", b"59.00")
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_an_answer_to_something_else_is_no_answer(config: Config, lie: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """结果未知, nothing recorded; when the truth comes it is taken, once."""
    real = SandboxAuthority.issue_blue

    async def lying(self: SandboxAuthority, request: RemoteRequest) -> RemoteAnswer:
        return LIES[lie](request, await real(self, request), self)

    monkeypatch.setattr(SandboxAuthority, "issue_blue", lying)

    async def story(shop: Shop) -> None:
        code = await shop.code()
        await rehearse(shop.office, remote=True)
        outcome = await scan.confirm(shop.office, code.token, "me", COMPANY, issue_key="k")
        assert (outcome.state, outcome.number) == (IssueState.UNKNOWN, None)
        assert (await shop.office.database.read("SELECT count(*) FROM invoices"))[0][0] == 0
        await pursue_all(shop)
        found = await codes.code(shop.office, shop.id, code.code_id)
        assert found.state is codes.CodeState.ISSUED and found.buyer_name == COMPANY.name
        assert await broken_invariants(shop) == []

    with_shop(config, story)


def test_believing_any_signed_answer_is_caught(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: without the comparison the other buyer's invoice is recorded, and the audit says so."""
    real = SandboxAuthority.issue_blue

    async def lying(self: SandboxAuthority, request: RemoteRequest) -> RemoteAnswer:
        return other_buyer(request, await real(self, request), self)

    monkeypatch.setattr(SandboxAuthority, "issue_blue", lying)
    monkeypatch.setattr(pursue, "_fault", lambda office, request, answer: None)

    async def story(shop: Shop) -> None:
        code = await shop.code()
        await rehearse(shop.office, remote=True)
        await scan.confirm(shop.office, code.token, "me", COMPANY, issue_key="k")
        assert await broken_invariants(shop) == ["I7"]

    with_shop(config, story)


def test_what_is_told_is_what_is_recorded(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two learn of the same outcome at once: both tell the one that the store holds."""

    async def story(shop: Shop) -> None:
        code = await shop.code()
        await rehearse(shop.office, down="after")
        await scan.confirm(shop.office, code.token, "me", COMPANY, issue_key="k")
        await rehearse(shop.office, down="")
        await asyncio.gather(*(pursue_all(shop) for _ in range(4)))
        outcome = await scan.confirm(shop.office, code.token, "me", COMPANY, issue_key="k")
        assert outcome.number and (await shop.office.database.read("SELECT count(*) FROM invoices"))[0][0] == 1
        assert await broken_invariants(shop) == []

    with_shop(config, story)


def test_nothing_is_issued_with_a_certificate_that_has_ended(config: Config) -> None:
    """The clock is years ahead: refused before anything is stored, with the operator's remedy."""

    async def story(shop: Shop) -> None:
        code = await shop.code()
        real = shop.office.now
        shop.office.now = lambda: real().replace(year=real().year + 30)
        async with shop.office.database.write() as transaction:
            await transaction.execute("UPDATE codes SET expires_at_ms = 9999999999999")
        outcome = await scan.confirm(shop.office, code.token, "me", COMPANY, issue_key="k")
        assert [refusal.cause for refusal in outcome.refusals] == ["ISSUE-SIGNER-NOT-VALID"]
        shop.office.now = real
        assert (await scan.confirm(shop.office, code.token, "me", COMPANY, issue_key="k")).number
        assert await broken_invariants(shop) == []

    with_shop(config, story)


def test_a_refusal_of_something_else_frees_nothing(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor under another serial, nor with a number: the code stays taken and nobody gets another invoice."""
    real = SandboxAuthority.issue_blue
    wrong = [
        lambda answer: RemoteAnswer("0" * 32, refusals=(Refusal("ISSUE-NO-NUMBERS"),)),
        lambda answer: msgspec.structs.replace(answer, refusals=(Refusal("ISSUE-NO-NUMBERS"),)),
    ]

    async def story(shop: Shop) -> None:
        await rehearse(shop.office, remote=True)
        for change in wrong:

            async def lying(self: SandboxAuthority, request: RemoteRequest, change: Any = change) -> RemoteAnswer:
                changed: RemoteAnswer = change(await real(self, request))
                return changed

            monkeypatch.setattr(SandboxAuthority, "issue_blue", lying)
            code = await shop.code()
            outcome = await scan.confirm(shop.office, code.token, "me", COMPANY, issue_key=code.token)
            assert outcome.state is IssueState.UNKNOWN
            other = await scan.confirm(shop.office, code.token, "other", PERSON, issue_key="other" + code.token)
            assert [refusal.cause for refusal in other.refusals] == ["CODE-TAKEN"]
        await pursue_all(shop)
        assert (await shop.office.database.read("SELECT count(*) FROM invoices"))[0][0] == 2
        assert await broken_invariants(shop) == []

    with_shop(config, story)


def test_one_bad_intent_keeps_no_other_waiting(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """The channel breaks on one serial, and gives one invoice's number again for another: both stay unknown with a next
    time, and the rest settles."""

    async def story(shop: Shop) -> None:
        tokens = [(await shop.code()).token for _ in range(4)]
        await rehearse(shop.office, down="after")
        for token in tokens:
            await scan.confirm(shop.office, token, "me", COMPANY, issue_key=token)
        await rehearse(shop.office, down="")
        real = SandboxAuthority.query_result
        seen: list[RemoteAnswer] = []
        broken: list[str] = []

        async def query(self: SandboxAuthority, serial: str, taxpayer_id: str) -> RemoteAnswer | None:
            if not broken:
                broken.append(serial)
            if serial == broken[0]:
                raise ValueError("garbled")
            answer = await real(self, serial, taxpayer_id)
            assert answer is not None
            seen.append(answer)
            return msgspec.structs.replace(seen[0], serial=serial)

        monkeypatch.setattr(SandboxAuthority, "query_result", query)
        await pursue_all(shop)
        states = await shop.office.database.read("SELECT state, count(*) FROM issues GROUP BY state ORDER BY state")
        assert [(row[0], row[1]) for row in states] == [("issued", 1), ("unknown", 3)]
        monkeypatch.setattr(SandboxAuthority, "query_result", real)
        for _ in range(3):
            await pursue_all(shop)
        assert (await shop.office.database.read("SELECT count(*) FROM invoices"))[0][0] == 4
        assert await broken_invariants(shop) == []

    with_shop(config, story)
