"""S137: found from real records, listed with the very invoices, told once, marked with a note; own thresholds."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from piaoma.anomalies import BOUNDS, RULES
from piaoma.desk import alerts, devices, failures, findings, scan, watch
from piaoma.desk.config import Config
from piaoma.desk.events import list_events
from piaoma.desk.findings import Alerts, Watching
from piaoma.desk.roles import Role
from piaoma.invoice.parties import Buyer
from piaoma.store import milliseconds
from tests.conftest import Shop, new_shop
from tests.web.browsing import browse, log_in
from tests.web.people import another_browser, hire, mails, owner, prove

OTHER_ID = "91110000600037341L"


async def one_phone(shop: Shop, titles: int, secret: str = "phone") -> list[str]:
    """A customer's phone confirms so many codes, each with another title; the numbers."""
    numbers = []
    for place in range(titles):
        code = await shop.code(f"{58 + place}.40")
        buyer = Buyer(f"某某 {place}", natural_person=True)
        outcome = await scan.confirm(shop.office, code.token, secret, buyer, issue_key=f"{secret}{place}")
        assert outcome.number
        numbers.append(outcome.number)
    return numbers


async def told(shop: Shop) -> list[str]:
    """The letters about findings that left."""
    return [str(mail.get_content()) for mail in await mails(shop) if "异常" in str(mail["Subject"])]


def at(shop: Shop, hour: int, days: int = 0) -> None:
    """Let the office's clock stand at an hour."""
    moment = (shop.office.now() + timedelta(days=days)).replace(hour=hour, minute=30)
    shop.office.now = shop.office.notices._now = lambda: moment


def test_a_phone_with_many_titles_is_listed_with_its_invoices_and_marked_once(config: Config) -> None:
    """From scan to note: the finding names the four invoices and no other phone's; a reader cannot mark."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        at(shop, 12)
        csrf = await log_in(client, shop)
        assert "没有要看的异常" in (await client.get("/console/anomalies")).text
        numbers = await one_phone(shop, 4)
        (other,) = await one_phone(shop, 1, "another")
        page = await client.get("/console/anomalies")
        assert "一台手机开了很多抬头" in page.text and "4 个不同抬头开了 4 张" in page.text
        one = (await findings.list_findings(shop.office, shop.id)).items[0]
        assert (sorted(one.numbers), one.rule) == (sorted(numbers), "devices")
        path = f"/console/anomalies/{one.finding_id}"
        shown = (await client.get(path)).text
        assert all(number in shown for number in numbers) and other not in shown
        empty = await client.post(path, data={"csrf": csrf, "state": "explained", "note": " "})
        assert empty.status_code == 422 and 'id="note-fault"' in empty.text
        assert (await client.post(path, data={"csrf": csrf, "state": "x"})).status_code == 422
        done = await client.post(path, data={"csrf": csrf, "state": "explained", "note": "员工聚餐，各开各的"})
        assert done.status_code == 303
        event = (await list_events(shop.office, shop.id)).items[0]
        assert event.kind == "finding.mark" and event.after["note"] == "员工聚餐，各开各的"
        await watch.look(shop.office, shop.id)  # it is found again, and stays explained
        assert "没有要看的异常" in (await client.get("/console/anomalies")).text
        assert "员工聚餐" in (await client.get("/console/anomalies?state=explained")).text
        reader = another_browser(client, await hire(shop, Role.READER))
        assert "<textarea" not in (await reader.get(path)).text
        assert (await client.get("/console/anomalies/devices-2026-01-01-0")).status_code == 404

    browse(config, story)


def test_a_finding_is_told_once(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """At once: one letter, whatever else turns; a day's letter waits for the evening and comes once; off: none."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        at(shop, 12)
        office = shop.office
        await prove(shop, await owner(shop), "boss@example.cn")
        await findings.choose(office, shop.actor, Watching(alerts=Alerts.AT_ONCE))
        await one_phone(shop, 4)
        for _ in range(3):
            await asyncio.gather(watch.look(office, shop.id), watch.look(office, shop.id))
            await asyncio.gather(alerts.tell_all(office), alerts.tell_all(office))
        assert len(await told(shop)) == 1 and "console/anomalies/devices-" in (await told(shop))[0]
        await findings.choose(office, shop.actor, Watching(alerts=Alerts.DAILY))
        await one_phone(shop, 4, "second")
        await watch.look(office, shop.id)
        assert await alerts.tell_all(office) == 0 and len(await told(shop)) == 1
        at(shop, 22)
        assert await alerts.tell_all(office) == 1 and len(await told(shop)) == 2
        await one_phone(shop, 4, "third")
        await watch.look(office, shop.id)
        assert await alerts.tell_all(office) == 0, "one letter a day"
        await findings.choose(office, shop.actor, Watching(alerts=Alerts.OFF))
        assert await alerts.tell_all(office) == 0 and len(await told(shop)) == 2
        # Negative control: without the mark that a finding was told, it is told again.
        await findings.choose(office, shop.actor, Watching(alerts=Alerts.AT_ONCE))
        monkeypatch.setattr(alerts, "_UNTOLD", alerts._UNTOLD.replace("told_at_ms IS NULL", "told_at_ms > 0"))
        monkeypatch.setattr(alerts, "_TOLD", alerts._TOLD.replace("told_at_ms IS NULL", "told_at_ms > 0"))
        assert await alerts.tell(office, shop.id) == 3

    browse(config, story)


def test_thresholds_are_each_merchants_own(tmp_path: Path) -> None:
    """Refused at the field, kept, in the trail, in force for this merchant alone; a rule can be switched off."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        at(shop, 12)
        theirs = await new_shop(shop.office, OTHER_ID)
        csrf = await log_in(client, shop)
        page = (await client.get("/console/settings/anomalies")).text
        assert 'name="devices_titles" inputmode="numeric" maxlength="9" value="4"' in page
        form = {name: str(getattr(Watching().thresholds, name)) for name in BOUNDS}
        form |= {f"on_{rule}": "1" for rule in RULES} | {"csrf": csrf, "alerts": "off"}
        for wrong in ("1", "x", "", "-3", "9" * 9):
            bad = await client.post("/console/settings/anomalies", data={**form, "devices_titles": wrong})
            assert bad.status_code == 422 and 'id="devices_titles-fault"' in bad.text, wrong
        good = await client.post("/console/settings/anomalies", data={**form, "devices_titles": "6"})
        assert good.status_code == 303
        event = (await list_events(shop.office, shop.id)).items[0]
        assert event.after["limit_devices_titles"] == "6" and "limit_reds_count" not in event.after
        assert (await client.get("/console/events")).status_code == 200
        for each in (shop, theirs):
            await one_phone(each, 4)
            await watch.look(each.office, each.id)
        assert await findings.open_count(shop.office, shop.id) == 0
        assert await findings.open_count(theirs.office, theirs.id) == 1
        del form["on_devices"]
        await client.post("/console/settings/anomalies", data=form)
        await watch.look(shop.office, shop.id)
        assert await findings.open_count(shop.office, shop.id) == 0

    browse(tmp_path, story)


def test_failures_unknown_outcomes_and_dead_mails_are_seen(config: Config) -> None:
    """Made for real: an outage, an answer that is lost, a mail that cannot go; each has one finding and its remedy."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        at(shop, 12)
        office = shop.office
        code = await shop.code()
        await office.channel.rehearse(refuse=True)  # type: ignore[attr-defined]
        office._numbering = (-1e9, office._numbering[1])
        for place in range(5):
            await scan.confirm(office, code.token, "a", Buyer("某", natural_person=True), issue_key=f"r{place}")
        await office.channel.rehearse(refuse=False, down="after")  # type: ignore[attr-defined]
        office._numbering = (-1e9, office._numbering[1])
        await scan.confirm(office, code.token, "a", Buyer("某", natural_person=True), issue_key="u")
        await office.channel.rehearse(down="")  # type: ignore[attr-defined]
        async with office.database.write() as transaction:
            await transaction.execute(
                "INSERT INTO jobs (merchant_id, job_id, kind, number, target, state, last_error, next_at_ms,"
                " created_at_ms) VALUES ($1, 'x:mail:0', 'mail', 'x', '', 'dead', 'gone', 0, 0)",
                shop.id,
            )
            await transaction.execute(
                "UPDATE issues SET submitted_at_ms = $2 WHERE merchant_id = $1 AND state = 'unknown'",
                shop.id, milliseconds(office.now()) - 3_600_000,
            )  # fmt: skip
        await log_in(client, shop)
        page = (await client.get("/console/anomalies")).text
        rules = {one.rule for one in (await findings.list_findings(office, shop.id)).items}
        assert rules == {"refusals", "unknown", "deliveries"}
        assert "失败了 5 次" in page and 'href="/console/reports/failures?cause=ISSUE-REFUSED-BY-AUTHORITY"' in page
        assert await failures.by_cause(office, shop.id) == (("ISSUE-REFUSED-BY-AUTHORITY", 5),)

    browse(config, story)


def test_a_device_cannot_be_followed_and_is_forgotten(tmp_path: Path) -> None:
    """Another digest tomorrow and for another merchant, and none after two days; failures go after a month."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        office = shop.office
        for merchant_id, days in ((1, 0), (2, 0), (1, 1), (1, 0)):
            at(shop, 12, days)
            devices.note(office, merchant_id, f"{merchant_id}{days}{len(office.devices)}", "phone")
            at(shop, 12, -days)
        digests = [row[2] for row in office.devices]
        assert len(set(digests)) == 3 and digests[0] == digests[3] and "phone" not in digests
        failures.note(office, shop.id, (), None, None)  # type: ignore[arg-type]  # nothing to count
        await one_phone(shop, 1)
        await devices.write(office)
        at(shop, 12, 4)
        await devices.purge(office)
        assert not await office.database.read("SELECT 1 FROM device_days")

    browse(tmp_path, story)


def test_a_block_of_numbers_is_taken_ahead_of_need(tmp_path: Path) -> None:
    """With few left the next block is asked for; only when there is none is it a finding, which names what is left."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        at(shop, 12)
        office = shop.office
        await one_phone(shop, 1)

        async def leave(count: int) -> None:
            async with office.database.write() as transaction:
                await transaction.execute(
                    "UPDATE number_blocks SET next_sequence = last_sequence + 1 - $2 WHERE merchant_id = $1",
                    shop.id, count,
                )  # fmt: skip

        await leave(20)
        assert await watch.look(office, shop.id) == []
        assert (await office.database.read("SELECT count(*) FROM number_blocks"))[0][0] == 2
        await leave(20)
        await office.channel.rehearse(no_numbers=True)  # type: ignore[attr-defined]
        found = await watch.look(office, shop.id)
        assert [(one.rule, dict(one.figures)) for one in found] == [("numbers", {"left": "40"})]

    browse(tmp_path, story)


def test_the_watch_goes_round_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server's own turn: merchants whose day moved are looked at and told, others are left alone."""
    monkeypatch.setattr(watch, "LOOK_SECONDS", 0.02)

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        at(shop, 12)
        office = shop.office
        await new_shop(office, OTHER_ID)
        await prove(shop, await owner(shop), "boss@example.cn")
        await findings.choose(office, shop.actor, Watching(alerts=Alerts.AT_ONCE))
        await one_phone(shop, 4)
        assert await watch.stirring(office, milliseconds(office.now()) - 1000) == [shop.id]
        rounds = asyncio.create_task(watch.keep_watch(office))
        for _ in range(500):
            await asyncio.sleep(0.02)
            if await told(shop):
                break
        rounds.cancel()
        assert len(await told(shop)) == 1

    browse(tmp_path, story)
