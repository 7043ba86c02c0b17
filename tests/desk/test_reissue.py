"""换开 on both engines: one new invoice, the old one red before, everything asked first, nothing ever silent."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from piaoma.channels import RemoteAnswer
from piaoma.desk import red, reissue, relations, scan
from piaoma.desk.config import Config
from piaoma.desk.log import sequence_once
from piaoma.desk.office import open_office
from piaoma.desk.reissue_book import Reissue, ReissueState, find_reissue
from piaoma.desk.reissue_rules import Mode, Rules, change_rules, rules_of
from piaoma.invoice.original_reader import read
from piaoma.invoice.parties import Buyer
from piaoma.invoice.red_form import RedFormEvent, RedFormState, RedReason, Side
from piaoma.invoice.refusal import Refusal, Refused
from piaoma.store import WriteConflict, milliseconds, renew
from tests.channels.test_rehearsals import rehearse
from tests.conftest import COMPANY, PERSON, Shop, fresh_database, new_shop, with_shop
from tests.desk.test_red import issued, use
from tests.store.test_writing import broken_invariants

RIGHT = Buyer("武汉另一家贸易有限公司", "92330781MA2EDMFU50")
D = Decimal


class Claimed(msgspec.Struct):
    """A code that a customer has the invoice of."""

    token: str
    code_id: int
    number: str


async def claimed(shop: Shop, amount: str = "58.00") -> Claimed:
    code = await shop.code(amount)
    outcome = await scan.confirm(shop.office, code.token, "me", COMPANY, issue_key=code.token, email="guest@example.cn")
    assert outcome.number is not None
    return Claimed(code.token, code.code_id, outcome.number)


async def ask(shop: Shop, had: Claimed, buyer: Buyer = RIGHT, key: str = "r") -> Reissue:
    return await reissue.ask(shop.office, shop.id, had.number, buyer, reissue_id=key, code_id=had.code_id)


async def start(shop: Shop, number: str, buyer: Buyer = RIGHT, key: str = "r") -> Reissue:
    return await reissue.start(shop.office, shop.actor, number, buyer, reissue_id=key)


async def later(shop: Shop, hours: int = 2) -> None:
    """A turn of the worker, as if so much time had passed."""
    real = shop.office.now
    shop.office.now = lambda: real() + timedelta(hours=hours)
    try:
        await reissue.correct_once(shop.office)
    finally:
        shop.office.now = real


async def numbers(shop: Shop) -> int:
    return int((await shop.office.database.read("SELECT count(*) FROM invoices"))[0][0])


def tell(config: Config, story: Callable[[Shop], Awaitable[None]]) -> None:
    async def whole(shop: Shop) -> None:
        await story(shop)
        assert await broken_invariants(shop) == []

    with_shop(config, whole)


def refused(*causes: str) -> Any:
    return pytest.raises(Refused, match="|".join(causes))


def test_the_merchant_corrects_a_title_in_one_action(config: Config) -> None:
    """Old one red, new one with the same lines and sum; all three linked; both mails; the code shows the new one."""

    async def story(shop: Shop) -> None:
        had = await claimed(shop)
        one = await start(shop, had.number)
        assert one.state is ReissueState.DONE and one.red_number and one.new_number
        assert await start(shop, had.number) == one, "twice is once"
        old = read(await shop.office.view(shop.id, had.number, "xml"))
        new = read(await shop.office.view(shop.id, one.new_number, "xml"))
        assert (new.buyer, new.lines, new.totals) == (RIGHT, old.lines, old.totals)
        there = await relations.relations(shop.office, shop.id, had.number)
        assert there.replaced_by is not None and there.replaced_by.number == one.new_number
        assert [each.number for each in there.reds] == [one.red_number]
        back = await relations.relations(shop.office, shop.id, one.new_number)
        assert back.replaces is not None and back.replaces.number == had.number
        known = await relations.state_of(shop.office, had.number)
        assert known is not None and known.replaced
        mails = await shop.office.database.read("SELECT number FROM jobs WHERE kind = 'mail'")
        assert {row[0] for row in mails} == {had.number, one.red_number, one.new_number}
        found = await scan.scan(shop.office, had.token, "me")
        assert found.invoice is not None and found.invoice.number == one.new_number
        link = await shop.office.link_of(shop.id, one.new_number)
        assert link == await shop.office.link_of(shop.id, had.number) != ""
        with refused("REISSUE-REPLACED"):
            await start(shop, had.number, PERSON, "again")
        again = await start(shop, one.new_number, PERSON, "of the new one")
        assert again.state is ReissueState.DONE and await numbers(shop) == 5
        found = await scan.scan(shop.office, had.token, "me")
        assert found.invoice is not None and found.invoice.number == again.new_number
        older = await relations.family(shop.office, shop.id, found.invoice.number)
        assert [each.number for each in older] == [one.new_number, again.red_number, had.number, one.red_number]

    tell(config, story)


def test_a_customer_asks_and_the_shop_agrees(config: Config) -> None:
    """The default rule: it waits, changes nothing, is agreed to once; a second request for the code is refused."""

    async def story(shop: Shop) -> None:
        had = await claimed(shop)
        one = await ask(shop, had)
        assert one.state is ReissueState.ASKED and await numbers(shop) == 1
        assert await ask(shop, had) == one
        with refused("REISSUE-UNDER-WAY", "REISSUE-TIMES"):
            await ask(shop, had, key="another tab")
        await later(shop)
        assert await numbers(shop) == 1, "nobody agreed yet"
        both = await asyncio.gather(*(reissue.approve(shop.office, shop.actor, "r") for _ in range(5)))
        done = await reissue.retry(shop.office, shop.actor, "r")
        assert done.state is ReissueState.DONE and len(both) == 5 and await numbers(shop) == 3
        with refused("REISSUE-STATE"):
            await reissue.decline(shop.office, shop.actor, "r")
        with refused("REISSUE-TIMES"):
            await ask(shop, Claimed(had.token, had.code_id, str(done.new_number)), PERSON, "second")

    tell(config, story)


def test_a_declined_request_changes_nothing(config: Config) -> None:
    """The shop does not agree; it is told, once, and what was agreed to cannot be declined any more."""

    async def story(shop: Shop) -> None:
        had = await claimed(shop)
        await ask(shop, had)
        one = await reissue.decline(shop.office, shop.actor, "r")
        assert one.state is ReissueState.DECLINED and await numbers(shop) == 1
        assert await reissue.decline(shop.office, shop.actor, "r") == one
        with refused("REISSUE-STATE"):
            await reissue.approve(shop.office, shop.actor, "r")
        with refused("REISSUE-NOT-FOUND"):
            await reissue.approve(shop.office, shop.actor, "no such")

    tell(config, story)


def test_the_merchants_rules_hold(config: Config) -> None:
    """Off, too late, too often, at once: each as chosen; impossible rules are refused."""

    async def story(shop: Shop) -> None:
        office, had = shop.office, await claimed(shop)
        assert await rules_of(office, shop.id) == Rules(Mode.APPROVE, 30, 1)
        await change_rules(office, shop.actor, Rules(Mode.OFF))
        with refused("REISSUE-OFF"):
            await ask(shop, had)
        for rules in (Rules(days=0), Rules(days=366), Rules(times=0), Rules(times=10)):
            with refused("REISSUE-RULES"):
                await change_rules(office, shop.actor, rules)
        await change_rules(office, shop.actor, Rules(Mode.AUTO, 2, 2))
        real = office.now
        office.now = lambda: real() + timedelta(days=2, seconds=1)
        with refused("REISSUE-LATE"):
            await ask(shop, had)
        office.now = real
        one = await ask(shop, had)
        assert one.state is ReissueState.DONE
        second = await ask(shop, Claimed(had.token, had.code_id, str(one.new_number)), PERSON, "second")
        assert second.state is ReissueState.DONE
        with refused("REISSUE-TIMES"):
            await ask(shop, Claimed(had.token, had.code_id, str(second.new_number)), COMPANY, "third")

    tell(config, story)


def test_a_used_invoice_is_not_the_customers_to_correct(config: Config) -> None:
    """S74: refused with the reason. The merchant may; the buyer confirms the form, then all goes on by itself. Denied,
    nothing was changed, and the shop may try again."""

    async def story(shop: Shop) -> None:
        had = await claimed(shop)
        await use(shop, had.number)
        with refused("REISSUE-USED"):
            await ask(shop, had)
        one = await start(shop, had.number)
        assert one.state is ReissueState.CONFIRMING and await numbers(shop) == 1
        form = (await relations.relations(shop.office, shop.id, had.number)).forms[0]
        assert form.state is RedFormState.AWAITING_BUYER
        await red.act(shop.office, form, RedFormEvent.DENY, Side.BUYER)
        await later(shop)
        failed = await reissue.retry(shop.office, shop.actor, "r")
        assert failed.state is ReissueState.FAILED and failed.refusals and await numbers(shop) == 1
        one = await start(shop, had.number, key="once more")
        form = (await relations.relations(shop.office, shop.id, had.number)).forms[0]
        await red.act(shop.office, form, RedFormEvent.CONFIRM, Side.BUYER)
        await later(shop)
        assert (await reissue.retry(shop.office, shop.actor, "once more")).state is ReissueState.DONE
        assert await numbers(shop) == 3

    tell(config, story)


def test_what_would_refuse_the_new_one_is_asked_first(config: Config) -> None:
    """A bad title, the same title, no quota, no channel, an invoice that is red in part: the old one is not touched."""

    async def story(shop: Shop) -> None:
        had = await claimed(shop)
        with refused("TITLE-ID"):
            await start(shop, had.number, Buyer("某公司", "911100006000373410"))
        with refused("REISSUE-SAME-TITLE"):
            await start(shop, had.number, COMPANY)
        await rehearse(shop.office, quota_fen=60_00)
        with refused("QUOTA-EXCEEDED"):
            await start(shop, had.number)
        await rehearse(shop.office, quota_fen=10_000_00, down="before")
        with refused("ISSUE-CHANNEL-DOWN"):
            await start(shop, had.number)
        await rehearse(shop.office, down="")
        assert await numbers(shop) == 1
        number = await issued(shop)
        await red.raise_form(shop.office, shop.id, number, RedReason.WRONG, form_id="f", made_by="test")
        with refused("REISSUE-PARTLY-RED"):
            await start(shop, number)

    tell(config, story)


def test_when_the_new_one_fails_after_the_red_it_says_so_and_goes_on(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The authority refuses exactly the new invoice: 已红冲待重开 with its reason, not silent; it is tried again, and
    comes once."""

    async def story(shop: Shop) -> None:
        had = await claimed(shop)
        await rehearse(shop.office, remote=True)
        real = shop.office.channel.issue_blue

        async def refuse_blue(request: Any) -> Any:
            return RemoteAnswer(request.serial, refusals=(Refusal("ISSUE-REFUSED-BY-AUTHORITY", "", {"have": "x"}),))

        shop.office.channel.issue_blue = refuse_blue  # type: ignore[method-assign]
        one = await start(shop, had.number)
        assert one.state is ReissueState.RED and one.red_number
        assert one.refusals[0].cause == "ISSUE-REFUSED-BY-AUTHORITY" and one.next_at is not None
        assert await broken_invariants(shop) == []
        await later(shop)
        assert (await reissue.retry(shop.office, shop.actor, "r")).state is ReissueState.RED
        shop.office.channel.issue_blue = real  # type: ignore[method-assign]
        await later(shop)
        done = await reissue.retry(shop.office, shop.actor, "r")
        assert done.state is ReissueState.DONE and await numbers(shop) == 3

    tell(config, story)


def test_after_a_restore_the_new_one_is_not_issued_until_somebody_says_so(config: Config) -> None:
    """Red in the backup, and the new one may have come since: nothing comes by itself, one comes by 重试."""

    async def story(shop: Shop) -> None:
        had = await claimed(shop)
        await rehearse(shop.office, remote=True)
        real = shop.office.channel.issue_blue

        async def refuse_blue(request: Any) -> RemoteAnswer:
            return RemoteAnswer(request.serial, refusals=(Refusal("ISSUE-REFUSED-BY-AUTHORITY", "", {"have": "x"}),))

        shop.office.channel.issue_blue = refuse_blue  # type: ignore[method-assign]
        assert (await start(shop, had.number)).state is ReissueState.RED
        shop.office.channel.issue_blue = real  # type: ignore[method-assign]
        await renew(shop.office.database, 0, milliseconds(shop.office.now()))
        await later(shop, hours=24 * 365)
        one = await find_reissue(shop.office, shop.id, "r")
        assert one is not None and one.state is ReissueState.RED and await numbers(shop) == 2
        assert [refusal.cause for refusal in one.refusals] == ["REISSUE-RESTORED"]
        done = await reissue.retry(shop.office, shop.actor, "r")
        assert done.state is ReissueState.DONE and await numbers(shop) == 3
        await sequence_once(shop.office)

    tell(config, story)


@pytest.mark.parametrize(
    "switches",
    [{"down": "before"}, {"down": "after"}, {"late_ms": 200}, {"twice": True}, {"remote": True}],
    ids=lambda switches: next(iter(switches)),
)
def test_an_authority_in_trouble_gives_one_of_each(
    config: Config, switches: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trouble begins when everything was asked and lasts through form, red and new invoice; when it is over, there
    are three invoices and one form, whatever was lost on the way."""
    from piaoma.channels import sandbox
    from piaoma.desk import pursue

    monkeypatch.setattr(sandbox, "PATIENCE_MS", 10)

    async def story(shop: Shop) -> None:
        had = await claimed(shop)
        real = reissue._redden

        async def trouble(*arguments: Any) -> None:
            await rehearse(shop.office, **switches)
            monkeypatch.setattr(reissue, "_redden", real)
            # The question about use is answered by what was known: the form's own call meets the trouble.
            monkeypatch.setattr(red, "is_used", _not_used)
            await real(*arguments)

        monkeypatch.setattr(reissue, "_redden", trouble)
        one = await start(shop, had.number)
        for turn in range(4):
            await later(shop, 2 * turn + 2)
            await pursue.pursue_once(shop.office)
        await rehearse(shop.office, late_ms=0, down="", twice=False, remote=False)
        hours = 10
        while one.state is not ReissueState.DONE and hours < 60:
            hours += 3
            await asyncio.sleep(0.15)  # the late authority keeps to the real clock, in whole seconds
            real_now = shop.office.now
            shop.office.now = lambda by=hours, then=real_now: then() + timedelta(hours=by)  # type: ignore[misc]
            await pursue.pursue_once(shop.office)
            shop.office.now = real_now
            await later(shop, hours)
            one = await reissue.retry(shop.office, shop.actor, "r")
        assert one.state is ReissueState.DONE and await numbers(shop) == 3
        there = await shop.office.channel._ledger.read("SELECT count(*) FROM authority_red_forms")  # type: ignore[attr-defined]
        assert there[0][0] == 1

    tell(config, story)


async def _not_used(*_: object) -> bool:
    return False


def test_taps_and_workers_at_once_give_one_of_each(config: Config) -> None:
    """Twenty start the same request, the worker beside them: one red, one new."""

    async def story(shop: Shop) -> None:
        had = await claimed(shop)
        calls = [start(shop, had.number) for _ in range(20)]
        states = await asyncio.gather(*calls, later(shop), later(shop), return_exceptions=True)
        unexpected = [each for each in states if isinstance(each, BaseException)]
        assert not [each for each in unexpected if not isinstance(each, Refused | WriteConflict)], unexpected
        await later(shop)
        assert (await reissue.retry(shop.office, shop.actor, "r")).state is ReissueState.DONE
        assert await numbers(shop) == 3

    tell(config, story)


def test_the_new_one_never_comes_before_the_red(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control of the safe order: a program that believes the old one red without looking is stopped by the
    plan."""

    async def story(shop: Shop) -> None:
        had = await claimed(shop)

        async def believe(office: Any, one: Reissue) -> None:
            async with office.database.write() as transaction:
                await transaction.execute("UPDATE reissues SET state = 'red', red_number = blue_number")

        monkeypatch.setattr(reissue, "_redden", believe)
        one = await start(shop, had.number)
        assert [refusal.cause for refusal in one.refusals] == ["REISSUE-OLD-NOT-RED"] and await numbers(shop) == 1
        assert "I6" in await broken_invariants(shop)

    with_shop(config, story)


def test_the_mails_say_what_happened(config: Config) -> None:
    """One for the red invoice, which names the old one; one for the new, which says what it replaces."""
    from email import message_from_bytes
    from email.policy import default

    async def story(shop: Shop) -> None:
        had = await claimed(shop)
        await start(shop, had.number)
        while await shop.office.outbox.work_once():
            pass
        mails = [
            message_from_bytes(file.read_bytes(), policy=default)
            for file in (shop.office.config.data_folder / "mail").glob("*.eml")
        ]
        texts = {str(mail["Subject"]): mail.get_body().get_content() for mail in mails}  # type: ignore[union-attr]
        assert len(texts) == 3
        red_mail = next(text for subject, text in texts.items() if "开具的红字电子发票 ¥-58.00" in subject)
        assert f"您的发票 {had.number} 已被红冲" in red_mail
        new_mail = next(text for subject, text in texts.items() if "开具的换开后的电子发票 ¥58.00" in subject)
        assert f"替换抬头有误的 {had.number}" in new_mail and RIGHT.name in new_mail
        link = new_mail.rpartition("随时可以再取：")[2].strip()
        assert had.token.lower() in link.lower()

    tell(config, story)


def test_two_processes_go_on_with_one_request(postgres_server: str, tmp_path: Path) -> None:
    """Two offices on one PostgreSQL, their workers and requests at once: one of each, and both say the same."""
    database = fresh_database(postgres_server)
    configs = [Config(data=str(tmp_path / name), database=database, base_url="http://a.test") for name in "ab"]

    async def tell_both() -> None:
        async with open_office(configs[0], work=False) as first:
            shop = await new_shop(first)
            for name in ("keys/token.key", "keys/cookie.key", "keys/sandbox"):
                source, target = Path(configs[0].data) / name, Path(configs[1].data) / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
            for secret in Path(configs[0].data, "keys").glob("sandbox.*"):
                shutil.copy(secret, Path(configs[1].data, "keys"))
            async with open_office(configs[1], work=False) as second:
                had = await claimed(shop)
                others = Shop(second, shop.merchant)
                calls = [start(each, had.number) for each in (shop, others) for _ in range(5)]
                workers = [later(each) for each in (shop, others)]
                states = await asyncio.gather(*calls, *workers, return_exceptions=True)
                odd = [each for each in states if isinstance(each, BaseException)]
                assert not [each for each in odd if not isinstance(each, Refused | WriteConflict)], odd
                await later(others)
                one = await reissue.retry(first, shop.actor, "r")
                assert one.state is ReissueState.DONE and one == await reissue.retry(second, shop.actor, "r")
                assert await numbers(shop) == 3 and await broken_invariants(shop) == []

    asyncio.run(tell_both())
