"""Static codes: an application has at most one invoice, whoever taps how often and wherever the power goes."""

from __future__ import annotations

import asyncio
import secrets
from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from piaoma.channels.sandbox import QUOTA_FEN
from piaoma.desk import applications, approve, codes, receipts, sales, static_codes, statistics
from piaoma.desk.applications import Application, ApplicationState, Wanted
from piaoma.desk.config import Config
from piaoma.desk.events import Actor
from piaoma.desk.issue import issue
from piaoma.desk.static_codes import Item, Mode, StaticCode, Terms
from piaoma.invoice.refusal import Refused
from piaoma.store import IssueState, Outcome, audit, milliseconds, renew
from tests.conftest import COMPANY, MEAL, Shop, new_shop, with_shop

ITEM = Item(MEAL.name, MEAL.code, MEAL.rate)


def as_(shop: Shop, name: str) -> Actor:
    return Actor(shop.id, None, name)


async def hang_up(shop: Shop, place: str = "桌 8", **terms: Any) -> StaticCode:
    wanted = Terms(ITEM, **terms)
    key = secrets.token_hex(4)
    return (await static_codes.make(shop.office, shop.merchant, [place], wanted, make_key=key, by=as_(shop, "owner")))[
        0
    ]


async def ask(
    shop: Shop, code: StaticCode, total: str = "58.00", *, holder: str = "phone", key: str = "", days_ago: int = 0
) -> Application:
    day = shop.office.now().date() - timedelta(days=days_ago)
    wanted = Wanted(Decimal(total), day, COMPANY)
    return await applications.apply(shop.office, code.token, holder, wanted, apply_key=key or secrets.token_hex(4))


async def invoices(shop: Shop) -> list[tuple[int, int]]:
    """(code, total in fen) of every invoice."""
    rows = await shop.office.database.read("SELECT code_id, total_fen FROM invoices ORDER BY number")
    return [(row[0], row[1]) for row in rows]


def refused_cause(excinfo: pytest.ExceptionInfo[Refused]) -> list[tuple[str, str]]:
    return [(one.cause, one.field) for one in excinfo.value.refusals]


async def audited(shop: Shop) -> list[str]:
    """What the audit finds broken; signatures and the log have tests of their own."""
    findings = await audit(shop.office.database, lambda _: None, lambda _: None)
    return [finding.name for finding in findings if finding.broken and finding.name != "I8"]


def test_an_application_is_approved_and_becomes_one_invoice(config: Config) -> None:
    """From scan to invoice; the audit holds; the customer's browser and no other may open it."""

    async def story(shop: Shop) -> None:
        code = await hang_up(shop)
        asked = await ask(shop, code)
        assert asked.state is ApplicationState.WAITING and await invoices(shop) == []
        assert await applications.waiting_count(shop.office, shop.id) == 1
        outcome = await approve.approve(shop.office, as_(shop, "clerk"), asked.application_id)
        assert outcome.state is IssueState.ISSUED
        assert await invoices(shop) == [(asked.application_id, 5800)]
        done = await applications.application(shop.office, shop.id, asked.application_id)
        assert done.state is ApplicationState.ISSUED and done.decided_by == "clerk"
        assert await applications.waiting_count(shop.office, shop.id) == 0
        assert await audited(shop) == []
        async with shop.office.database.write() as transaction:
            await transaction.execute("UPDATE applications SET total_fen = total_fen + 1")
        assert await audited(shop) == ["I4"], "and what does not agree is found"

    with_shop(config, story)


def test_the_clerk_may_mend_the_amount(config: Config) -> None:
    """What the clerk typed is issued; what the customer typed is kept beside it."""

    async def story(shop: Shop) -> None:
        asked = await ask(shop, await hang_up(shop))
        await approve.approve(shop.office, as_(shop, "clerk"), asked.application_id, total=Decimal("85.00"))
        assert await invoices(shop) == [(asked.application_id, 8500)]
        done = await applications.application(shop.office, shop.id, asked.application_id)
        assert (done.asked, done.total) == (Decimal("58.00"), Decimal("85.00"))

    with_shop(config, story)


async def tap_from_everywhere(shop: Shop, asked: Application, times: int = 20) -> list[Outcome]:
    """Clerks who approve the same application at once, some with another amount."""
    return await asyncio.gather(
        *(
            approve.approve(shop.office, as_(shop, f"clerk {n}"), asked.application_id, total=Decimal(58 + n % 2))
            for n in range(times)
        )
    )


def test_racing_clerks_give_one_invoice(config: Config) -> None:
    """Twenty taps at once: one invoice, and each is told the same number."""

    async def story(shop: Shop) -> None:
        asked = await ask(shop, await hang_up(shop))
        outcomes = await tap_from_everywhere(shop, asked)
        assert len({outcome.number for outcome in outcomes}) == 1 and outcomes[0].number
        assert len(await invoices(shop)) == 1

    with_shop(config, story)


def test_without_the_code_a_race_gives_several(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: issued without its code, and under a key of its own each time, the race gives more than one."""

    async def careless(office: Any, merchant_id: int, draft: Any, **how: Any) -> Outcome:
        return await issue(office, merchant_id, draft, issue_key=secrets.token_hex(8))

    monkeypatch.setattr("piaoma.desk.approve.issue", careless)

    async def story(shop: Shop) -> None:
        asked = await ask(shop, await hang_up(shop))
        await tap_from_everywhere(shop, asked)
        assert len(await invoices(shop)) > 1

    with_shop(Config(data=str(tmp_path)), story)


def test_yes_and_no_at_once_are_one_of_the_two(config: Config) -> None:
    """Either issued and not refused, or refused and nothing issued; the loser is told that it was decided."""

    async def story(shop: Shop) -> None:
        code = await hang_up(shop, device_max=50)
        for _ in range(8):
            asked = await ask(shop, code)
            before = len(await invoices(shop))
            results = await asyncio.gather(
                approve.approve(shop.office, as_(shop, "a"), asked.application_id),
                approve.refuse_application(shop.office, as_(shop, "b"), asked.application_id, "金额不对"),
                return_exceptions=True,
            )
            done = await applications.application(shop.office, shop.id, asked.application_id)
            issued = len(await invoices(shop)) - before
            assert issued == (done.state is ApplicationState.ISSUED)
            assert sum(isinstance(one, Refused) for one in results) == 1

    with_shop(config, story)


class Crash(BaseException):
    """The power goes."""


@pytest.mark.parametrize("place", ["before issue", "after issue"])
def test_a_crash_between_yes_and_invoice_is_finished(
    config: Config, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """Killed between approval and issue, or between issue and its note: a look afterwards gives exactly one invoice."""

    async def dies(*args: Any, **how: Any) -> Outcome:
        if place == "after issue":
            await issue(*args, **how)
        raise Crash

    async def story(shop: Shop) -> None:
        asked = await ask(shop, await hang_up(shop))
        monkeypatch.setattr("piaoma.desk.approve.issue", dies)
        with pytest.raises(Crash):
            await approve.approve(shop.office, as_(shop, "clerk"), asked.application_id)
        monkeypatch.setattr("piaoma.desk.approve.issue", issue)
        half = await applications.application(shop.office, shop.id, asked.application_id)
        assert half.state is ApplicationState.APPROVED
        assert await approve.finish_approved(shop.office, after_ms=-1) == 1
        assert await approve.finish_approved(shop.office, after_ms=-1) == 0
        done = await applications.application(shop.office, shop.id, asked.application_id)
        assert done.state is ApplicationState.ISSUED and await invoices(shop) == [(asked.application_id, 5800)]
        # And who taps again after all that gets the same invoice.
        again = await approve.approve(shop.office, as_(shop, "other"), asked.application_id)
        assert again.state is IssueState.ISSUED and len(await invoices(shop)) == 1

    with_shop(config, story)


def test_a_refused_issue_puts_the_application_back(config: Config) -> None:
    """The quota is gone: nothing is issued, the application waits and says why; with quota it is issued."""

    async def story(shop: Shop) -> None:
        asked = await ask(shop, await hang_up(shop))
        office = shop.office
        month = f"{office.now():%Y-%m}"
        await office.channel.rehearse(quota_fen=100)  # type: ignore[attr-defined]
        outcome = await approve.approve(office, as_(shop, "clerk"), asked.application_id)
        assert [one.cause for one in outcome.refusals] == ["QUOTA-EXCEEDED"], month
        back = await applications.application(office, shop.id, asked.application_id)
        assert back.state is ApplicationState.WAITING and back.refusals[0].cause == "QUOTA-EXCEEDED"
        assert (await office.database.read("SELECT count(*) FROM codes"))[0][0] == 0
        await office.channel.rehearse(quota_fen=QUOTA_FEN)  # type: ignore[attr-defined]
        assert (await approve.approve(office, as_(shop, "clerk"), asked.application_id)).state is IssueState.ISSUED
        assert len(await invoices(shop)) == 1

    with_shop(config, story)


def test_tapped_twice_an_application_is_one(config: Config) -> None:
    """The same button with the same content, at once and later: one application. Another amount is another."""

    async def story(shop: Shop) -> None:
        code = await hang_up(shop)
        same = await asyncio.gather(*(ask(shop, code, key="button") for _ in range(8)))
        assert len({one.application_id for one in same}) == 1
        other = await ask(shop, code, "59.00", key="button")
        assert other.application_id != same[0].application_id
        assert await applications.waiting_count(shop.office, shop.id) == 2

    with_shop(config, story)


def test_what_is_out_of_bounds_is_refused_all_at_once(config: Config) -> None:
    """Amount below and above, tomorrow, too long ago, a false id: each at its field, and nothing stored."""

    async def story(shop: Shop) -> None:
        code = await hang_up(shop, amount_min=Decimal("10"), amount_max=Decimal("100"), days_back=3)
        false_title = msgspec.structs.replace(COMPANY, taxpayer_id="91110108690017781A")
        today = shop.office.now().date()
        for total, day in (("9.99", today + timedelta(days=1)), ("100.01", today - timedelta(days=4))):
            wanted = Wanted(Decimal(total), day, false_title)
            with pytest.raises(Refused) as caught:
                await applications.apply(shop.office, code.token, "h", wanted, apply_key="k")
            assert {field for _, field in refused_cause(caught)} == {"total", "paid_on", "buyer.taxpayer_id"}
        assert await applications.waiting(shop.office, shop.id) == []
        for total, days_ago in (("10.00", 0), ("100.00", 3)):
            await ask(shop, code, total, days_ago=days_ago)

    with_shop(config, story)


def test_a_device_and_an_hour_have_their_limits(config: Config) -> None:
    """The third of one browser and the fourth of all are refused, even when they race; another code is not touched."""

    async def story(shop: Shop) -> None:
        code = await hang_up(shop, device_max=2, hour_max=3)
        tries = await asyncio.gather(*(ask(shop, code) for _ in range(6)), return_exceptions=True)
        assert sum(isinstance(one, Application) for one in tries) == 2
        await ask(shop, code, holder="second phone")
        with pytest.raises(Refused) as caught:
            await ask(shop, code, holder="third phone")
        assert refused_cause(caught) == [("APPLICATION-RUSH", "")]
        await ask(shop, await hang_up(shop, "桌 9"), holder="third phone")

    with_shop(config, story)


@pytest.mark.parametrize("config", ["postgres"], indirect=True)
def test_without_the_lock_the_limits_are_passed(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: when the code's row is not held, those who come at once are counted before any is written."""
    unlocked = "SELECT 1 FROM static_codes WHERE merchant_id = $1 AND static_id = $2 -- {for_update}"
    monkeypatch.setattr("piaoma.desk.applications._LOCK_CODE", unlocked)

    async def story(shop: Shop) -> None:
        most = 0
        for place in range(20):  # which of them come at once is chance
            code = await hang_up(shop, place=f"桌 {place}", device_max=2)
            tries = await asyncio.gather(*(ask(shop, code) for _ in range(8)), return_exceptions=True)
            most = max(most, sum(isinstance(one, Application) for one in tries))
            if most > 2:
                return
        assert most > 2

    with_shop(config, story)


def test_refusing_needs_a_reason_and_withdrawing_comes_in_time(config: Config) -> None:
    """The states and who may change them."""

    async def story(shop: Shop) -> None:
        office, code = shop.office, await hang_up(shop)
        asked = await ask(shop, code)
        with pytest.raises(Refused) as caught:
            await approve.refuse_application(office, as_(shop, "clerk"), asked.application_id, " ")
        assert refused_cause(caught) == [("TEXT-EMPTY", "reason")]
        no = await approve.refuse_application(office, as_(shop, "clerk"), asked.application_id, "没有这笔消费")
        assert (no.state, no.reason) == (ApplicationState.REFUSED, "没有这笔消费")
        for late in (
            applications.withdraw(office, shop.id, asked.application_id),
            approve.approve(office, as_(shop, "clerk"), asked.application_id),
        ):
            with pytest.raises(Refused) as caught:
                await late
            assert refused_cause(caught) == [("APPLICATION-DECIDED", "")]
        second = await ask(shop, code, "60.00")
        gone = await applications.withdraw(office, shop.id, second.application_id)
        assert gone.state is ApplicationState.WITHDRAWN
        with pytest.raises(Refused):
            await approve.approve(office, as_(shop, "clerk"), second.application_id)
        assert await invoices(shop) == []

    with_shop(config, story)


def test_an_old_application_is_past(config: Config) -> None:
    """After a week nobody can approve it, and it is counted no more."""

    async def story(shop: Shop) -> None:
        asked = await ask(shop, await hang_up(shop))
        now = shop.office.now
        shop.office.now = lambda: now() + timedelta(days=applications.WAIT_DAYS_MAX, seconds=1)
        assert await applications.waiting_count(shop.office, shop.id) == 0
        with pytest.raises(Refused) as caught:
            await approve.approve(shop.office, as_(shop, "clerk"), asked.application_id)
        assert refused_cause(caught) == [("APPLICATION-DECIDED", "")]

    with_shop(config, story)


def test_a_renewed_code_says_so_and_others_live_on(config: Config) -> None:
    """Renewed twice it is one new code; the old one takes nothing; a revoked one neither; the neighbour serves."""

    async def story(shop: Shop) -> None:
        office = shop.office
        old, neighbour = await hang_up(shop), await hang_up(shop, "桌 9")
        new = await static_codes.renew(office, as_(shop, "owner"), old.static_id)
        assert new.place == old.place and new.terms == old.terms and new.token != old.token
        assert (await static_codes.renew(office, as_(shop, "owner"), old.static_id)).static_id == new.static_id
        with pytest.raises(Refused) as caught:
            await ask(shop, old)
        assert refused_cause(caught) == [("CODE-REPLACED", "")]
        await static_codes.revoke(office, shop.actor, new.static_id)
        with pytest.raises(Refused) as caught:
            await ask(shop, new)
        assert refused_cause(caught) == [("CODE-REVOKED", "")]
        await ask(shop, neighbour)

    with_shop(config, story)


def test_a_token_of_one_kind_is_forged_for_the_other(config: Config) -> None:
    """Static and dynamic tokens have keys of their own, so neither leads anywhere on the other's pages."""

    async def story(shop: Shop) -> None:
        static, dynamic = await hang_up(shop), await shop.code()
        for look in (
            static_codes.scan_static(shop.office, dynamic.token),
            applications.applied(shop.office, static.token, "h"),
        ):
            with pytest.raises(Refused) as caught:
                await look
            assert refused_cause(caught) == [("CODE-FORGED", "")]

    with_shop(config, story)


def test_a_sale_number_leads_to_one_sale(config: Config) -> None:
    """With a code of that kind on the wall every sale has a number; typed, it opens that sale; wrong ones nothing."""

    async def story(shop: Shop) -> None:
        office = shop.office
        before = await shop.code()
        assert await sales.sale_number(office, shop.id, before.code_id) == ""
        wall = await hang_up(shop, mode=Mode.SALE)
        first, second = await shop.code("58.00"), await shop.code("60.00")
        numbers = [await sales.sale_number(office, shop.id, one.code_id) for one in (first, second)]
        assert len(set(numbers)) == 2 and all(len(one) == 6 for one in numbers)
        assert await sales.find_sale(office, wall, f"{numbers[1][:3]} {numbers[1][3:]}") == second.token
        for wrong in ("", "12345", "abcdef", "１２３４５６", numbers[0] + "1"):
            with pytest.raises(Refused) as caught:
                await sales.find_sale(office, wall, wrong)
            assert refused_cause(caught) == [("SALE-NOT-FOUND", "sale_number")]

    with_shop(config, story)


def test_a_number_is_not_given_twice_while_its_sale_is_open(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """With two numbers in all, the third sale has none; revoking one sale frees its number for the next."""
    drawn = iter([7, 7, 8] + [7, 8] * 25 + [7] * 50)
    monkeypatch.setattr("piaoma.desk.sales.secrets.randbelow", lambda _: next(drawn))

    async def story(shop: Shop) -> None:
        await hang_up(shop, mode=Mode.SALE)
        first = await shop.code()
        await shop.code()
        with pytest.raises(Refused) as caught:
            await shop.code()
        assert refused_cause(caught) == [("SALE-NUMBERS-USED", "")]
        await codes.revoke(shop.office, shop.actor, first.code_id)
        third = await shop.code()
        assert await sales.sale_number(shop.office, shop.id, third.code_id) == "000007"

    with_shop(config, story)


def test_a_restore_closes_what_may_have_been_issued_since(config: Config) -> None:
    """After a backup is put back, an application that waited in it may have its invoice already: nobody can approve it
    any more, its customer reads why, and one that was issued stays so."""

    async def story(shop: Shop) -> None:
        code = await hang_up(shop)
        asked, done = await ask(shop, code), await ask(shop, code, "60.00")
        await approve.approve(shop.office, as_(shop, "clerk"), done.application_id)
        now_ms = milliseconds(shop.office.now())
        await renew(shop.office.database, now_ms, now_ms)
        with pytest.raises(Refused) as caught:
            await approve.approve(shop.office, as_(shop, "clerk"), asked.application_id)
        assert refused_cause(caught) == [("APPLICATION-DECIDED", "")]
        closed = await applications.application(shop.office, shop.id, asked.application_id)
        assert "从备份恢复" in closed.reason and await audited(shop) == []
        kept = await applications.application(shop.office, shop.id, done.application_id)
        assert kept.state is ApplicationState.ISSUED

    with_shop(config, story)


def test_statistics_of_a_code(config: Config) -> None:
    """Scans, applications, invoices, refusals and the median wait are those that happened."""

    async def story(shop: Shop) -> None:
        office = shop.office
        code, other = await hang_up(shop), await hang_up(shop, "桌 9")
        for _ in range(3):
            await static_codes.scanned(office, code.token)
        asked = [await ask(shop, code, f"{amount}.00") for amount in (10, 20, 30)]
        now = office.now
        office.now = lambda: now() + timedelta(seconds=90)
        await approve.approve(office, as_(shop, "clerk"), asked[0].application_id)
        await approve.refuse_application(office, as_(shop, "clerk"), asked[1].application_id, "重复")
        found = await statistics.figures(office, shop.id)
        one = found[code.static_id]
        assert (one.scans, one.confirms, one.issued, one.refused, one.waiting) == (3, 3, 1, 1, 1)
        assert one.median_seconds is not None and 89 <= one.median_seconds <= 92
        assert other.static_id not in found

    with_shop(config, story)


def test_a_merchant_reaches_only_his_own(config: Config) -> None:
    """The numbers of another merchant's code and application lead nowhere."""

    async def story(shop: Shop) -> None:
        office = shop.office
        asked = await ask(shop, await hang_up(shop))
        thief = await new_shop(office, "91420100MA4K00001U")
        for attempt in (
            approve.approve(office, as_(thief, "thief"), asked.application_id),
            approve.refuse_application(office, as_(thief, "thief"), asked.application_id, "x"),
            applications.withdraw(office, thief.id, asked.application_id),
            static_codes.revoke(office, thief.actor, asked.static_id),
            static_codes.renew(office, as_(thief, "thief"), asked.static_id),
            static_codes.change(office, thief.actor, asked.static_id, "x", Terms(ITEM)),
        ):
            with pytest.raises(Refused) as caught:
                await attempt
            assert refused_cause(caught) == [("CODE-NOT-FOUND", "")]
        still = await applications.application(office, shop.id, asked.application_id)
        assert still.state is ApplicationState.WAITING

    with_shop(config, story)


@pytest.mark.parametrize(
    ("typed", "places"),
    [
        ("收银台", ["收银台"]),
        ("桌 8-10\n\n吧台", ["桌 8", "桌 9", "桌 10", "吧台"]),
        ("A1至3座", ["A1座", "A2座", "A3座"]),
    ],
)
def test_places_are_expanded(typed: str, places: list[str]) -> None:
    """One a line, spans written out."""
    assert static_codes.expand_places(typed) == places


@pytest.mark.parametrize("typed", ["", " \n", "桌 1-61", "桌 9-3", "<b>桌", "x" * 21])
def test_places_that_are_none(typed: str) -> None:
    """None, too many, backwards, markup, too long."""
    with pytest.raises(Refused):
        static_codes.expand_places(typed)


def test_the_address_of_an_application_is_purged(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """After thirty days, as those of deliveries are; not before, and not while what was agreed to is under way."""

    async def story(shop: Shop) -> None:
        code = await hang_up(shop)
        office, day = shop.office, shop.office.now().date()
        for key in ("past", "agreed"):
            wanted = Wanted(Decimal(58), day, COMPANY, "guest@example.cn")
            await applications.apply(office, code.token, key, wanted, apply_key=key)
        async with office.database.write() as transaction:
            await transaction.execute("UPDATE applications SET state = 'approved' WHERE apply_key LIKE 'agreed:%'")
        now = office.now()
        monkeypatch.setattr(office, "now", lambda: now + timedelta(days=29))
        assert await receipts.purge_contacts(office) == 0
        monkeypatch.setattr(office, "now", lambda: now + timedelta(days=31))
        assert await receipts.purge_contacts(office) == 1
        rows = await office.database.read("SELECT email FROM applications ORDER BY apply_key")
        assert [row[0] for row in rows] == ["guest@example.cn", ""]

    with_shop(config, story)
