"""The contract of a channel, the same list for every one: the sandbox, and 乐企, 诺诺 and 百望 over real HTTP."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Coroutine
from typing import Any

import msgspec
import pytest

from piaoma.channels import (
    Channel,
    MonthSum,
    Numbering,
    OutcomeUnknown,
    SessionState,
    Unavailable,
    codes,
    open_outside,
)
from piaoma.desk.office import shanghai_now
from piaoma.invoice.issued import SANDBOX_PROVINCE, IssuedInvoice
from piaoma.invoice.original_reader import read
from piaoma.invoice.red_form import RedFormEvent, RedFormState, Side
from piaoma.invoice.refusal import Refused, causes
from piaoma.trust import Verdict, verify_original
from piaoma.trust.keystore import trusted_root
from tests.channels.bench import (
    CHANNELS,
    OUTSIDE,
    POOL,
    Bench,
    bench,
    form_of,
    numbered,
    red_order,
    report_of,
    request_of,
)
from tests.conftest import SELLER_ID

__all__ = ["bench"]

REMOTE = ("sandbox", "nuonuo", "baiwang")  # issue when called; the sandbox does so when it is rehearsed
YEAR = f"{shanghai_now():%y}"


async def there(bench: Bench, name: str, statement: str, *values: object) -> int:
    """A figure of the authority's books."""
    return int((await (await bench.authority_of(name))._ledger.read(statement, *values))[0][0])


async def blue(bench: Bench, name: str, amount: str = "58.00") -> IssuedInvoice:
    """An invoice that stands in the channel's books."""
    channel = await bench.channel(name)
    if name in ("nuonuo", "baiwang"):
        return read((await channel.issue_blue(request_of(amount=amount))).original)
    invoice, original = await numbered(bench, name, amount)
    assert not await channel.report([report_of(invoice, original)])
    return invoice


@pytest.mark.parametrize("name", CHANNELS)
def test_a_channel_says_what_it_is(bench: Bench, name: str) -> None:
    """Its name, that it gives samples, how it numbers, and that it can be used."""

    async def story() -> None:
        channel: Channel = await bench.channel(name)
        assert (channel.name, channel.sandbox) == (name, True)
        assert await channel.numbering() is (Numbering.POOL if name in POOL else Numbering.REMOTE)
        assert await channel.session_state() is SessionState.OK
        assert list(await channel.arrived()) == []

    bench.run(story())


@pytest.mark.parametrize("name", POOL)
def test_a_block_is_given_once_for_a_serial(bench: Bench, name: str) -> None:
    """The same serial, also at the same time, is the same block; another one is another, and they do not overlap."""

    async def story() -> None:
        channel = await bench.channel(name)
        serial, other = secrets.token_hex(16), secrets.token_hex(16)
        blocks = await asyncio.gather(*(channel.allocate_numbers(SELLER_ID, YEAR, 5, serial) for _ in range(3)))
        assert len(set(map(msgspec.json.encode, blocks))) == 1
        block, second = blocks[0], await channel.allocate_numbers(SELLER_ID, YEAR, 5, other)
        assert block.last - block.first == 4 and block.prefix[2:4] == SANDBOX_PROVINCE and block.prefix[:2] == YEAR
        assert second.first > block.last or second.last < block.first

    bench.run(story())


@pytest.mark.parametrize("name", REMOTE)
def test_a_serial_is_issued_once(bench: Bench, name: str) -> None:
    """Sent again, one after the other and at once, it is one invoice, and what is asked for later is the same."""

    async def story() -> None:
        channel, request = await bench.channel(name), request_of()
        first = await channel.issue_blue(request)
        again = await asyncio.gather(*(channel.issue_blue(request) for _ in range(3)))
        asked = await channel.query_result(request.serial, SELLER_ID)
        assert {answer.number for answer in (first, *again, asked) if answer} == {first.number}
        assert all(answer == first for answer in (*again, asked))
        count = "SELECT count(*) FROM authority_issued WHERE serial = $1"
        assert await there(bench, name, count, request.serial) == 1

    bench.run(story())


@pytest.mark.parametrize("name", REMOTE)
def test_an_original_is_of_what_was_asked(bench: Bench, name: str) -> None:
    """Signed under a root that the channel names, in a number that cannot be real, with our parties, lines and sums."""

    async def story() -> None:
        channel, request = await bench.channel(name), request_of(amount="106.00")
        answer = await channel.issue_blue(request)
        issued = read(answer.original)
        root = trusted_root(bench.folder / "keys")
        assert root is not None and verify_original(answer.original, (root,)).verdict is Verdict.VALID
        assert root in channel.roots or name == "sandbox"
        assert issued.number == answer.number and issued.sandbox and issued.totals == request.totals
        assert issued.buyer.name == request.draft.buyer.name and issued.seller.name == request.draft.seller.name
        assert [(line.name, line.code, line.amount, line.tax) for line in issued.lines] == [
            (line.name, line.code, line.amount, line.tax) for line in request.lines
        ]

    bench.run(story())


@pytest.mark.parametrize("name", CHANNELS)
def test_a_serial_that_nobody_sent_is_not_there(bench: Bench, name: str) -> None:
    """None, which is not "unknown": it may be sent."""

    async def story() -> None:
        assert await (await bench.channel(name)).query_result(secrets.token_hex(16), SELLER_ID) is None

    bench.run(story())


@pytest.mark.parametrize("name", CHANNELS)
def test_what_is_reported_again_stands_once(bench: Bench, name: str) -> None:
    """Also by a channel that remembers nothing, as after a crash. Where nothing is to be reported nothing happens."""

    async def story() -> None:
        channel = await bench.channel(name)
        if name not in POOL:
            assert not await channel.report([])
            return
        invoice, original = await numbered(bench, name)
        report = report_of(invoice, original)
        assert not await channel.report([report]) and not await channel.report([report])
        table = "authority_uploads" if name == "leqi" else "authority_reports"
        if name == "leqi":
            fresh = open_outside(name, bench.file(name), shanghai_now, live=False)
            assert not await fresh.report([report])
            await fresh.close()
        assert await there(bench, name, f"SELECT count(*) FROM {table} WHERE number = $1", invoice.number) == 1

    bench.run(story())


@pytest.mark.parametrize("name", CHANNELS)
def test_the_quota_covers_what_a_month_needs(bench: Bench, name: str) -> None:
    """A limit in fen; asked with a need it is at least that, as long as there is as much."""

    async def story() -> None:
        channel, month = await bench.channel(name), f"{shanghai_now():%Y-%m}"
        before = await channel.get_quota(SELLER_ID, month)
        assert before >= 0
        needed = max(before, 1_000_00)
        assert await channel.get_quota(SELLER_ID, month, needed) >= needed

    bench.run(story())


@pytest.mark.parametrize("name", CHANNELS)
def test_a_refusal_names_a_cause(bench: Bench, name: str) -> None:
    """Whatever it refuses, the cause stands in our table, with what the channel said; nothing was done."""

    async def story() -> None:
        channel, authority = await bench.channel(name), await bench.authority_of(name)
        await authority.rehearse(refuse=True)
        try:
            if name == "leqi":
                invoice, original = await numbered(bench, name)
                (refused,) = await channel.report([report_of(invoice, original)])
                refusals = [refused.refusal]
            else:
                request = request_of()
                refusals = list((await channel.issue_blue(request)).refusals)
                assert await channel.query_result(request.serial, SELLER_ID) is None
        finally:
            await authority.rehearse(refuse=False)
        assert refusals and all(refusal.cause in causes() and refusal.what() for refusal in refusals)

    bench.run(story())


@pytest.mark.parametrize("name", CHANNELS)
def test_out_of_numbers_is_its_own_cause(bench: Bench, name: str) -> None:
    """ISSUE-NO-NUMBERS, which passes by itself."""

    async def story() -> None:
        channel, authority = await bench.channel(name), await bench.authority_of(name)
        await authority.rehearse(no_numbers=True)
        try:
            if name in POOL:
                with pytest.raises(Refused, match="ISSUE-NO-NUMBERS"):
                    await channel.allocate_numbers(SELLER_ID, YEAR, 1, secrets.token_hex(16))
            else:
                answer = await channel.issue_blue(request_of())
                assert [refusal.cause for refusal in answer.refusals] == ["ISSUE-NO-NUMBERS"]
        finally:
            await authority.rehearse(no_numbers=False)

    bench.run(story())


@pytest.mark.parametrize("name", CHANNELS)
def test_a_red_form_is_raised_and_found_again(bench: Bench, name: str) -> None:
    """Nobody need confirm before the use; asked after it is the same form, with the number that it was given."""

    async def story() -> None:
        channel = await bench.channel(name)
        request = form_of(await blue(bench, name))
        assert await channel.query_red_form(request) is None
        raised = await channel.apply_red_form(request)
        assert raised.state is RedFormState.NO_CONFIRMATION and len(raised.form_number) == 20
        known = msgspec.structs.replace(request, form_number=raised.form_number)
        for asked in (request, known):
            answer = await channel.query_red_form(asked)
            assert answer is not None and (answer.form_number, answer.state) == (raised.form_number, raised.state)

    bench.run(story())


@pytest.mark.parametrize("name", CHANNELS)
def test_a_red_form_is_withdrawn_once(bench: Bench, name: str) -> None:
    """Said again it stands as it stands. A channel that cannot say it says so, and nothing is changed."""

    async def story() -> None:
        channel = await bench.channel(name)
        request = form_of(await blue(bench, name))
        raised = await channel.apply_red_form(request)
        request = msgspec.structs.replace(request, form_number=raised.form_number)
        answer = await channel.act_on_red_form(request, RedFormEvent.WITHDRAW, Side.SELLER)
        if name == "nuonuo":
            assert [refusal.cause for refusal in answer.refusals] == ["CHANNEL-ELSEWHERE"]
            return
        assert answer.state is RedFormState.WITHDRAWN
        again = await channel.query_red_form(request)
        assert again is not None and again.state is RedFormState.WITHDRAWN

    bench.run(story())


@pytest.mark.parametrize("name", REMOTE)
def test_a_red_invoice_uses_its_form_up(bench: Bench, name: str) -> None:
    """Issued by the form's number with negative sums; the same form gives no second one."""

    async def story() -> None:
        channel, invoice = await bench.channel(name), await blue(bench, name)
        form = await channel.apply_red_form(form_of(invoice))
        red = red_order(invoice, form.form_number)
        issued = read((await channel.issue_red(red)).original)
        assert issued.red == red.red and issued.totals.inclusive == -invoice.totals.inclusive
        second = await channel.issue_red(msgspec.structs.replace(red, serial=secrets.token_hex(16)))
        assert second.refusals and not second.number

    bench.run(story())


@pytest.mark.parametrize("name", CHANNELS)
def test_use_is_told_where_it_is_known(bench: Bench, name: str) -> None:
    """Not used at first; used once the buyer confirmed. A provider does not tell, and is not believed to."""

    async def story() -> None:
        channel, invoice = await bench.channel(name), await blue(bench, name)
        assert not await channel.query_usage(SELLER_ID, invoice.number)
        await (await bench.authority_of(name)).use(invoice.number)
        assert await channel.query_usage(SELLER_ID, invoice.number) is (name in POOL)

    bench.run(story())


@pytest.mark.parametrize("name", POOL)
def test_a_month_is_confirmed_by_its_sums(bench: Bench, name: str) -> None:
    """Nothing was issued in 2020: nought agrees, and again. One invoice too many does not, with a cause."""

    async def story() -> None:
        channel = await bench.channel(name)
        for _ in range(2):
            assert not await channel.confirm_month(SELLER_ID, "2020-01", ())
        more = (MonthSum("02", "blue", 1, 100, 6),)
        refusals = await channel.confirm_month(SELLER_ID, "2020-02", more)
        assert refusals and all(refusal.cause in causes() for refusal in refusals)

    bench.run(story())


@pytest.mark.parametrize("name", OUTSIDE)
def test_nobody_there_means_that_nothing_was_submitted(bench: Bench, name: str) -> None:
    """A port on which nobody listens: ``Unavailable`` from every call, and the state says so."""

    async def story() -> None:
        channel = open_outside(name, bench.file(name, url="http://127.0.0.1:9"), shanghai_now, live=False)
        invoice = read((await (await bench.channel("nuonuo")).issue_blue(request_of())).original)
        calls: list[Coroutine[Any, Any, object]] = [
            channel.apply_red_form(form_of(invoice)),
            channel.query_red_form(form_of(invoice)),
        ]
        if name == "leqi":
            calls += [
                channel.allocate_numbers(SELLER_ID, YEAR, 1, "s"),
                channel.get_quota(SELLER_ID, f"{shanghai_now():%Y-%m}"),
                channel.query_usage(SELLER_ID, "1" * 20),
            ]
        else:
            calls += [channel.issue_blue(request_of()), channel.query_result("s", SELLER_ID)]
        for call in calls:
            with pytest.raises(Unavailable):
                await call
        assert await channel.session_state() is SessionState.DOWN
        await channel.close()

    bench.run(story())


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("wrong", ["secret", "token"])
def test_keys_that_are_not_accepted_submit_nothing(bench: Bench, name: str, wrong: str) -> None:
    """A signature or a token of somebody else's is refused there: ``Unavailable``, and LOGIN is the state."""
    changes = {
        ("leqi", "secret"): {"signing_secret": "0" * 32},
        ("leqi", "token"): {"key": "0" * 32},
        ("nuonuo", "secret"): {"app_secret": "0" * 32},
        ("baiwang", "secret"): {"app_secret": "0" * 32},
    }.get((name, wrong), {"token": "0" * 32})

    async def story() -> None:
        channel = open_outside(name, bench.file(name, **changes), shanghai_now, live=False)
        remote = name != "leqi"
        call = channel.issue_blue(request_of()) if remote else channel.allocate_numbers(SELLER_ID, YEAR, 1, "s")
        with pytest.raises(Unavailable):
            await call
        assert await channel.session_state() is SessionState.LOGIN
        await channel.close()

    bench.run(story())


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_code_that_no_table_has_leaves_the_outcome_unknown(
    bench: Bench, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the code as it came; nothing is concluded from it."""
    real = codes.Table.told
    monkeypatch.setattr(
        codes.Table, "told", lambda self, section, code, text="": real(self, section, "X-77", "新规则不符")
    )

    async def story() -> None:
        channel = await bench.channel(name)
        invoice = read((await bench.authority.issue_once(request_of(), 0)).original)
        remote = name != "leqi"
        call = channel.issue_blue(request_of()) if remote else channel.apply_red_form(form_of(invoice))
        with pytest.raises(OutcomeUnknown) as unknown:
            await call
        assert "X-77 新规则不符" in unknown.value.said

    bench.run(story())
