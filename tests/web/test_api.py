"""REST v1: once and never twice, whoever asks; nobody reads over another; every answer says what went on."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import httpx
import msgspec
import pytest
import time_machine

from piaoma import wire
from piaoma.channels import Numbering, SandboxAuthority
from piaoma.desk import api_keys, codes, goods, happenings, once, records
from piaoma.desk.config import Config
from piaoma.desk.office import Office, open_office
from piaoma.desk.pursue import pursue_once
from piaoma.store import Row, audit
from piaoma.web.api import serve
from piaoma.web.api.examples import EXAMPLES
from piaoma.web.api.table import OPERATIONS
from tests.conftest import Shop, new_shop
from tests.web.browsing import browse
from tests.web.people import at_once
from tests.web.programs import BASE, COMPANY, MEAL, ORDER, Program, cause, key_for, program


async def _count(shop: Shop, table: str) -> int:
    rows = await shop.office.database.read(f"SELECT count(*) FROM {table} WHERE merchant_id = $1", shop.id)
    return int(rows[0][0])


async def _sound(shop: Shop) -> None:
    findings = await audit(shop.office.database, lambda _: None, lambda _: None)
    assert [one.name for one in findings if one.broken and one.name != "I8"] == []


# ── once ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_same_key_and_body_is_one_invoice_and_another_body_is_a_conflict(config: Config) -> None:
    """Sent again, written otherwise but meaning the same, by another key of the same merchant: one invoice, the same
    bytes. Another body or another route: 409 and nothing done. A refusal keeps nothing: mended, the key is good."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        one, other = await program(client, shop), await program(client, shop)
        first = await one.post("/invoices", ORDER, "order-0001")
        assert first.status_code == 201 and "idempotency-replayed" not in first.headers
        spaced = msgspec.json.format(msgspec.json.encode(ORDER), indent=4)
        for answer in (
            await one.post("/invoices", spaced, "order-0001"),
            await other.post("/invoices", ORDER, "order-0001"),
        ):
            assert (answer.status_code, answer.content) == (201, first.content)
            assert answer.headers["idempotency-replayed"] == "true"
        changed = {**ORDER, "remark": "another"}
        for path, body in (("/invoices", changed), ("/invoices/preview", ORDER)):
            answer = await one.post(path, body, "order-0001")
            assert (answer.status_code, cause(answer)) == (409, "API-IDEMPOTENCY-REUSED")
        assert await _count(shop, "invoices") == 1
        wrong = {**ORDER, "lines": [{**MEAL, "amount": "0.00"}]}
        assert (await one.post("/invoices", wrong, "order-0002")).status_code == 422
        assert (await one.post("/invoices", ORDER, "order-0002")).status_code == 201
        assert await _count(shop, "invoices") == 2

    browse(config, story)


def test_twins_at_once_are_one_invoice(config: Config) -> None:
    """Thirty with one key at once: one is done, the others are told to wait, and waiting gives the same answer."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        tills = await program(client, shop)
        answers = await at_once(*(tills.post("/invoices", ORDER, "order-0001") for _ in range(30)))
        told = {(answer.status_code, "" if answer.status_code == 201 else cause(answer)) for answer in answers}
        assert (201, "") in told and told <= {(201, ""), (409, "API-IDEMPOTENCY-RUNNING")}
        assert all(int(each.headers["retry-after"]) >= 1 for each in answers if each.status_code == 409)
        assert {each.content for each in answers if each.status_code == 201} == {
            (await tills.post("/invoices", ORDER, "order-0001")).content
        }
        assert await _count(shop, "invoices") == 1
        await _sound(shop)

    browse(config, story)


def test_without_the_book_twins_would_be_told_of_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: with a book that forgets everything, two goods of one request are told, not the same one."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        monkeypatch.setattr(once, "decide", lambda records, ask, *times: once.Begun.NEW if ask.digest else None)
        monkeypatch.setattr("piaoma.web.api.operation.Call.made_number", property(lambda call: None))
        tills = await program(client, shop)
        for _ in range(2):
            assert (
                await tills.post("/goods", msgspec.to_builtins(EXAMPLES["add_goods"]), "goods-0001")
            ).status_code == 201
        assert await _count(shop, "goods") == 2

    browse(tmp_path, story)


def test_a_request_whose_process_died_is_gone_on_with(tmp_path: Path) -> None:
    """It died after its effect and before its answer was kept: the next process gives the same invoice, at once with
    SQLite, where nobody else can be doing it; a mail is not sent twice; elsewhere when the lease has run out."""
    config = Config(data=str(tmp_path), base_url="http://shop.test")

    async def dies() -> tuple[str, str]:
        async with open_office(config, work=False) as office:
            shop = await new_shop(office)
            secret = (await key_for(shop)).secret
            monkey = pytest.MonkeyPatch()
            monkey.setattr(once.Once, "finish", lambda self, *what: asyncio.sleep(3600))
            async with _served(config, office) as client:
                tills = Program(client, secret)
                waiting = asyncio.create_task(tills.post("/invoices", ORDER, "order-0001"))
                rows = await _until(office, "SELECT number FROM invoices")
                answer = await tills.post("/invoices", ORDER, "order-0001")
                assert (answer.status_code, cause(answer)) == (409, "API-IDEMPOTENCY-RUNNING")
                mail = asyncio.create_task(
                    tills.post(f"/invoices/{rows[0][0]}/deliveries", {"email": "a@example.cn"}, "mail-0001")
                )
                await _until(office, "SELECT 1 FROM jobs WHERE kind = 'mail'")
                # The process dies: nobody is told anything.
                monkey.setattr(once.Once, "let_go", lambda self, *what: asyncio.sleep(0))
                for task in (waiting, mail):
                    task.cancel()
                await asyncio.gather(waiting, mail, return_exceptions=True)
            monkey.undo()
            async with office.database.write() as transaction:
                await transaction.execute("UPDATE jobs SET state = 'done', done_at_ms = 1 WHERE kind = 'mail'")
            return secret, str(rows[0][0])

    async def goes_on(secret: str, number: str) -> None:
        async with open_office(config, work=False) as office, _served(config, office) as client:
            tills = Program(client, secret)
            answer = await tills.post("/invoices", ORDER, "order-0001")
            assert answer.status_code == 201 and answer.json()["number"] == number
            sent = await tills.post(f"/invoices/{number}/deliveries", {"email": "a@example.cn"}, "mail-0001")
            assert sent.status_code == 201
            assert len(await office.database.read("SELECT 1 FROM jobs WHERE kind = 'mail'")) == 1
            assert len(await office.database.read("SELECT 1 FROM invoices")) == 1

    asyncio.run(goes_on(*asyncio.run(dies())))


async def _until(office: Office, statement: str) -> Sequence[Row]:
    """The rows of a statement, once there are any."""
    async with asyncio.timeout(20):
        while not (rows := await office.database.read(statement)):
            await asyncio.sleep(0.01)
        return rows


def _served(config: Config, office: object) -> httpx.AsyncClient:
    from piaoma.web.app import create_app

    app = create_app(config)
    app.state.office = office
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://shop.test")


def test_a_lease_runs_out_and_a_record_expires() -> None:
    """Who comes while it runs waits; after the lease he goes on with it; after a week the key is as new; what is
    finished stays; a key that was let go is gone on with at once."""
    records: dict[tuple[int, str], once._Record] = {}
    begin, minute = once._Ask(1, "k", "digest"), 60_000

    def at(ms: int, ask: once._Ask = begin) -> object:
        return once.decide(records, ask, ms, ms + 30_000, ms + 7 * 24 * 60 * minute)

    assert at(0) is once.Begun.NEW
    for ms, seconds in ((1_000, "1"), (20_000, "5")):
        running = at(ms)
        assert isinstance(running, Exception) and running.refusals[0].values["seconds"] == seconds  # type: ignore[attr-defined]
    assert at(31_000) is once.Begun.AGAIN
    assert at(32_000, once._Ask(1, "k")) is None
    assert at(32_001) is once.Begun.AGAIN
    kept = once.Kept(201, b"{}")
    at(33_000, once._Ask(1, "k", kept=kept))
    assert at(34_000) is kept
    assert at(8 * 24 * 60 * minute) is once.Begun.NEW
    at(8 * 24 * 60 * minute, once._Ask(1, "k", undone=True))
    assert records[(1, "k")].gone and at(8 * 24 * 60 * minute + 1) is once.Begun.NEW


def test_an_expired_answer_is_forgotten_and_its_invoice_is_still_the_only_one(tmp_path: Path) -> None:
    """The record goes after a week. The key still is that invoice's: the same sale is the same invoice for ever, and
    another sale under it is refused by the store itself."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        tills = await program(client, shop)
        first = await tills.issued("order-0001")
        with time_machine.travel(shop.office.now() + timedelta(days=8), tick=True):
            assert await once.forget_old(shop.office) == 1
            assert (await tills.issued("order-0001")).number == first.number
            await once.forget_old(shop.office)
        with time_machine.travel(shop.office.now() + timedelta(days=17), tick=True):
            answer = await tills.post("/invoices", {**ORDER, "remark": "another"}, "order-0001")
            assert (answer.status_code, cause(answer)) == (409, "ISSUE-KEY-REUSED")
        assert await _count(shop, "invoices") == 1

    browse(tmp_path, story)


# ── what is sent and what is answered ─────────────────────────────────────────────────────────────────────────────


def test_every_example_of_the_reference_does_what_it_says(config: Config) -> None:
    """The journey of a sale: code, invoice, mail, files, red form, another title, goods, events; each answer fits the
    type that the table names, and whoever made it stands in the records."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        app = await program(client, shop)
        done: set[str] = set()

        async def do(name: str, **places: str) -> object:
            row = next(one for one in OPERATIONS if one.name == name)
            body = msgspec.to_builtins(EXAMPLES[name]) if row.body else None
            answer = await app.send(row.method, row.path.format(**places), body)
            assert answer.status_code in (row.status, row.other), (name, answer.text)
            done.add(name)
            return msgspec.json.decode(answer.content, type=row.answer) if row.answer else answer.content

        code = await do("make_code")
        assert isinstance(code, wire.Code) and code.created_by == "API 测试程序" and code.total == "58.00"
        longer = await do("extend_code", id=code.id)
        assert isinstance(longer, wire.Code) and longer.expires_at > code.expires_at
        assert str(await do("code_symbol", id=code.id)).startswith("b'<?xml") or await do("code_symbol", id=code.id)
        await do("revoke_code", id=code.id)
        read = await do("code", id=code.id)
        assert isinstance(read, wire.Code) and read.state == "revoked"
        preview = await do("preview")
        assert preview == wire.Preview(amount="54.72", tax="3.28", total="58.00", total_in_words="伍拾捌圆整", lines=1)
        issue = await do("issue")
        assert isinstance(issue, wire.Issue) and issue.number and issue.invoice
        assert issue.invoice.total == "58.00" and issue.invoice.remark == "订单 20261124-001"
        assert await do("issue_state", id=issue.id) == issue
        number = issue.number
        assert await do("invoice", number=number) == issue.invoice
        xml = await do("invoice_file", number=number, kind="xml")
        assert xml == await records.original(shop.office, shop.id, number)
        await do("send_invoice", number=number)
        mails = await do("invoice_deliveries", number=number)
        assert isinstance(mails, wire.Deliveries) and mails.items[0].target == "c***@example.cn"
        async with shop.office.database.write() as transaction:
            await transaction.execute("UPDATE jobs SET state = 'dead', last_error = 'x' WHERE kind = 'mail'")
        await do("retry_delivery", id=mails.items[0].id)
        anew = await do("start_reissue", number=number)
        assert isinstance(anew, wire.Reissue) and anew.state == "done" and anew.new_number
        await do("act_on_reissue", id=anew.id)
        assert isinstance(old := await do("invoice", number=number), wire.Invoice) and old.state == "wholly_red"
        form = await do("raise_red_form", number=anew.new_number)
        assert isinstance(form, wire.RedForm) and form.red_number and form.total == "-58.00"
        item = await do("add_goods")
        assert isinstance(item, wire.Goods)
        changed = await do("change_goods", id=item.id)
        assert isinstance(changed, wire.Goods) and changed.name == "堂食餐费"
        by_goods = await app.post("/codes", {"lines": [{"goods_id": item.id, "amount": "12.00"}]})
        assert by_goods.json()["summary"] == "堂食餐费"
        for name, places in (("item", {"id": item.id}), ("red_form", {"id": form.id}), ("reissue", {"id": anew.id})):
            await do(name, **places)
        await do("remove_goods", id=item.id)
        while await shop.office.happenings.work_once():
            pass
        with time_machine.travel(shop.office.now() + timedelta(seconds=5), tick=True):
            events = await do("events")
        assert isinstance(events, wire.Events)
        assert [one.type for one in events.items] == [
            "code.revoked", "invoice.issued", "invoice.red_issued", "invoice.issued", "invoice.red_issued",
        ]  # fmt: skip
        assert [one.subject for one in events.items[1:4]] == [number] * 3, "what belongs together keeps its order"
        assert events.items[1].data["number"] == number
        await do("event", id=events.items[1].id)
        await do("replay_event", id=events.items[1].id)
        for name in (
            "merchant",
            "quota",
            "codes",
            "invoices",
            "deliveries",
            "red_forms",
            "reissues",
            "goods",
            "webhooks",
        ):
            await do(name)
        left = {"act_on_red_form", "add_webhook", "remove_webhook"}  # tried by the tests of corrections and webhooks
        assert {one.name for one in OPERATIONS} - done == left
        await _sound(shop)

    browse(config, story)


def test_a_change_of_what_another_changed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If-Match: with the tag that was read it goes through, with an older one it is 412; also when both come at once,
    which the store decides. A tag that still fits is 304 without a body."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        app = await program(client, shop)
        body = msgspec.to_builtins(EXAMPLES["add_goods"])
        made = await app.post("/goods", body)
        path, tag = f"/goods/{made.json()['id']}", made.headers["etag"]
        assert (await app.get(path, headers={"if-none-match": tag})).status_code == 304
        assert (await app.send("PUT", path, {**body, "name": "早餐"}, if_match=tag)).status_code == 200
        late = await app.send("PUT", path, {**body, "name": "晚餐"}, if_match=tag)
        assert (late.status_code, cause(late)) == (412, "API-PRECONDITION")
        assert (await app.send("DELETE", path, if_match=tag)).status_code == 412
        fresh = (await app.get(path)).headers["etag"]
        names = [f"套餐{place}" for place in range(8)]
        answers = await at_once(*(app.send("PUT", path, {**body, "name": name}, if_match=fresh) for name in names))
        assert sorted(each.status_code for each in answers) == [200] + [412] * 7
        assert (await app.send("PUT", path, {**body, "name": "夜宵"}, if_match="*")).status_code == 200
        code = await app.post("/codes", {"lines": [MEAL]})
        extended = await app.post(f"/codes/{code.json()['id']}/extend", {"days": 90})
        revoke = f"/codes/{code.json()['id']}/revoke"
        assert (await app.post(revoke, if_match=code.headers["etag"])).status_code == 412
        assert (await app.post(revoke, if_match=extended.headers["etag"])).status_code == 200
        # Negative control: without the store's own look several of those at once would go through.
        save = goods.save_goods
        monkeypatch.setattr(goods, "save_goods", lambda *a, **k: save(*a, **{**k, "expected": None}))
        fresh = (await app.get(path)).headers["etag"]
        answers = await at_once(*(app.send("PUT", path, {**body, "name": name}, if_match=fresh) for name in names))
        assert [each.status_code for each in answers].count(200) > 1

    browse(tmp_path, story)


def test_bad_requests_are_told_at_the_field_and_change_nothing(tmp_path: Path) -> None:
    """Body, query, headers: each wrong thing has its status and cause; problem+json with the id of the log."""
    deep = b"[" * 60 + b"]" * 60

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        app = await program(client, shop)
        bodies: list[tuple[object, str]] = [
            ({**ORDER, "lines": [{**MEAL, "amount": 58.0}]}, "lines[0].amount"),
            ({**ORDER, "lines": [{**MEAL, "amount": "1e5"}]}, "lines[0].amount"),
            ({**ORDER, "lines": []}, "lines"),
            ({**ORDER, "buyer": {**COMPANY, "nmae": "x"}}, "buyer"),
            ({"lines": [MEAL]}, ""),
            (b"{", ""), (b"", ""), (b"\xff{}", ""), (deep, ""), (b'{"buyer":{"name":"a\\u0000b"},"lines":[]}', ""),
        ]  # fmt: skip
        for body, field in bodies:
            answer = await app.post("/invoices", body)
            assert (answer.status_code, cause(answer)) == (422, "API-BODY"), body
            assert answer.json()["errors"][0]["field"] == field, answer.text
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["request_id"] == answer.headers["x-request-id"]
        both: dict[str, object] = {**ORDER, "lines": [{**MEAL, "rate": "0.07"}, {"name": "无", "amount": "1.00"}]}
        faults = (await app.post("/invoices", both)).json()["errors"]
        assert {one["field"] for one in faults} >= {"lines[1].rate"}
        wrong: list[tuple[dict[str, str], int, str]] = [
            ({"content_type": "text/plain"}, 415, "API-BODY-TYPE"),
            ({"idempotency_key": "short"}, 400, "API-IDEMPOTENCY-FORM"),
        ]
        for headers, status, why in wrong:
            answer = await app.post("/invoices", ORDER, **headers)
            assert (answer.status_code, cause(answer)) == (status, why)
        bare = await app.http.post(BASE + "/invoices", json=ORDER)
        assert (bare.status_code, cause(bare)) == (400, "API-IDEMPOTENCY-MISSING")
        for path in ("/invoices?since=yesterday", "/codes?state=lost", "/codes?nonsense=1", "/invoices?cursor=%20"):
            assert cause(await app.get(path)) == "API-QUERY", path
        assert cause(await app.get("/nothing")) == "PAGE-NOT-FOUND"
        assert (await app.send("DELETE", "/invoices")).status_code == 405
        assert await _count(shop, "invoices") == await _count(shop, "api_requests") == 0
        chinese = await app.get("/nothing", headers={"accept-language": "zh-CN"})
        assert chinese.json()["title"] == "没有这个页面。"

    browse(tmp_path, story)


def test_what_is_issued_at_a_till_says_which(tmp_path: Path) -> None:
    """``till_id`` of a till of one's own is kept with the invoice and the code; another's is not found."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        from piaoma.desk import tills

        shop_id = await tills.save_shop(shop.office, shop.actor, "一店", "", None, active=True)
        till_id = await tills.save_till(shop.office, shop.actor, "1 号台", shop_id)
        app = await program(client, shop)
        assert (await app.post("/invoices", {**ORDER, "till_id": str(till_id)})).status_code == 201
        assert (await app.post("/codes", {"lines": [MEAL], "till_id": str(till_id)})).status_code == 201
        for table in ("invoices", "codes"):
            rows = await shop.office.database.read(f"SELECT shop_id, till_id FROM {table}")
            assert (rows[0][0], rows[0][1]) == (shop_id, till_id)
        assert cause(await app.post("/codes", {"lines": [MEAL], "till_id": "7"})) == "TILL-NOT-FOUND"

    browse(tmp_path, story)


def test_an_open_outcome_is_told_as_open_and_asked_after(tmp_path: Path) -> None:
    """A channel that is away before anything was sent: 503, and the same key may try again. One whose answer is lost:
    202 and unknown, the same when sent again; the id tells what became of it, and an event does."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        app, office, channel = await program(client, shop), shop.office, shop.office.channel
        assert isinstance(channel, SandboxAuthority)

        async def rehearse(down: str) -> None:
            await channel.rehearse(down=down)
            office._numbering = (-9.0, Numbering.POOL)

        await rehearse("before")
        away = await app.post("/invoices", ORDER, "order-0001")
        assert (away.status_code, cause(away)) == (503, "ISSUE-CHANNEL-DOWN")
        await rehearse("")
        assert (await app.post("/invoices", ORDER, "order-0001")).status_code == 201
        await rehearse("after")
        open_ = await app.post("/invoices", ORDER, "order-0002")
        assert open_.status_code == 202 and open_.json()["state"] == "unknown" and open_.json()["number"] is None
        assert (await app.post("/invoices", ORDER, "order-0002")).content == open_.content
        path = f"/issues/{open_.json()['id']}"
        assert (await app.get(path)).json()["state"] == "unknown"
        await rehearse("")
        with time_machine.travel(office.now() + timedelta(seconds=60), tick=True):
            await pursue_once(office)
            told = (await app.get(path)).json()
            assert told["state"] == "issued" and told["invoice"]["number"] == told["number"]
            while await office.happenings.work_once():
                pass
        with time_machine.travel(office.now() + timedelta(seconds=90), tick=True):
            events = await happenings.list_events(office, shop.id)
            assert [one.data["number"] for one in events.items][-1] == told["number"]
        assert await _count(shop, "invoices") == 2

    browse(tmp_path, story)


# ── limits, ids, pages ────────────────────────────────────────────────────────────────────────────────────────────


def test_too_many_requests_are_told_how_long_to_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key's allowance with its headers; another key is not touched by it; wrong keys are slowed down and never the
    right one behind the same address."""
    from piaoma.web.throttle import Throttle

    monkeypatch.setattr(serve, "_requests", Throttle(burst=5, per_minute=60, cause="API-RATE"))

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        app, other = await program(client, shop), await program(client, shop)
        left = [int((await app.get("/merchant")).headers["ratelimit-remaining"]) for _ in range(5)]
        assert left == [4, 3, 2, 1, 0]
        answer = await app.get("/merchant")
        assert (answer.status_code, cause(answer), answer.headers["retry-after"]) == (429, "API-RATE", "1")
        assert answer.headers["ratelimit-limit"] == "5" and int(answer.headers["ratelimit-reset"]) >= 4
        assert (await other.get("/merchant")).status_code == 200
        stranger = Program(client, app.secret[:-1] + ("a" if app.secret[-1] != "a" else "b"))
        statuses = [(await stranger.get("/merchant")).status_code for _ in range(25)]
        assert statuses[:20] == [401] * 20 and statuses[-1] == 429
        assert (await other.get("/merchant")).status_code == 200

    browse(tmp_path, story)


def test_lists_go_on_where_they_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Codes over two pages, each once; events by the cursor of last time."""
    monkeypatch.setattr(codes, "LIST_MAX", 5)

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        app = await program(client, shop)
        for _ in range(8):
            await shop.code()
        first = (await app.get("/codes")).json()
        second = (await app.get("/codes", params={"cursor": first["next_cursor"]})).json()
        ids = [one["id"] for one in first["items"] + second["items"]]
        assert len(ids) == len(set(ids)) == 8 and second["next_cursor"] == ""
        for each in ids[:3]:
            assert (await app.post(f"/codes/{each}/revoke")).status_code == 200
        await shop.office.happenings.work_once()
        assert (await app.get("/events")).json()["items"] == [], "held back for a moment, so that none is passed over"
        with time_machine.travel(shop.office.now() + timedelta(seconds=5), tick=True):
            events = await happenings.list_events(shop.office, shop.id)
            assert [one.data["id"] for one in events.items] == ids[:3]
            assert [one.sequence for one in events.items] == sorted(one.sequence for one in events.items)
            again = (await app.get("/events", params={"cursor": events.next_cursor})).json()
            assert again == {"items": [], "next_cursor": events.next_cursor}
            only = (await app.get("/events", params={"type": "invoice.issued"})).json()["items"]
            assert only == []

    browse(tmp_path, story)


def test_a_hundred_and_twenty_tills_at_once_each_get_their_own(tmp_path: Path) -> None:
    """Each till one code and its request's record, in few commits; nobody is refused."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        app = await program(client, shop)
        answers = await at_once(*(app.post("/invoices", ORDER, f"till-{till:08}") for till in range(120)))
        assert {each.status_code for each in answers} == {201}
        assert len({each.json()["number"] for each in answers}) == 120

    browse(tmp_path, story)


# ── keys ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_key_is_shown_once_and_kept_as_a_digest(tmp_path: Path) -> None:
    """Nowhere in the store is there the key, nor a part of its secret but the last four; its use is noted."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        made = await key_for(shop)
        assert made.secret.startswith("pm_test_") and len(made.secret) == 60
        rows = await shop.office.database.read("SELECT * FROM api_keys")
        kept = " ".join(str(rows[0][place]) for place in range(len(rows[0])))
        assert made.secret[-32:] not in kept and made.secret[-4:] in kept
        (listed,) = await api_keys.list_keys(shop.office, shop.id)
        assert listed.secret == "" and listed.used_at is None
        assert (await Program(client, made.secret).get("/merchant")).json()["sandbox"] is True
        (listed,) = await api_keys.list_keys(shop.office, shop.id)
        assert listed.used_at is not None

    browse(tmp_path, story)


def test_keys_end_when_they_should(tmp_path: Path) -> None:
    """Expiry, rotation with an overlap in which both are good, revoking at once; forged, cut, another's, of the other
    mode: 401 or 403 with the reason, in the same words for what never was a key."""

    async def story(client: httpx.AsyncClient, shop: Shop) -> None:
        office, now = shop.office, shop.office.now()
        short = await api_keys.make(office, shop.actor, "短", ["codes:read"], now + timedelta(days=1))
        old = await key_for(shop)
        new = await api_keys.rotate(office, shop.actor, old.key_id, 24)
        assert new.scopes == old.scopes and new.secret != old.secret
        gone = await key_for(shop)
        await api_keys.revoke(office, shop.actor, gone.key_id)

        async def told(secret: str) -> tuple[int, str]:
            answer = await Program(client, secret).get("/codes")
            return answer.status_code, "" if answer.status_code == 200 else cause(answer)

        assert [await told(each.secret) for each in (short, old, new)] == [(200, "")] * 3
        assert await told(gone.secret) == (401, "API-KEY-ENDED")
        with time_machine.travel(now + timedelta(hours=25), tick=True):
            assert await told(short.secret) == await told(old.secret) == (401, "API-KEY-ENDED")
            assert await told(new.secret) == (200, "")
        live = new.secret.replace("pm_test_", "pm_live_")
        forged = [live[:8] + "0" * 20 + live[28:], new.secret[:-1] + "!", new.secret[:40], "x", "密" * 60]
        for secret in forged[:-1]:
            assert await told(secret) == (401, "API-KEY-WRONG"), secret
        answer = await client.get(BASE + "/codes", headers={"accept": "*/*"})
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Bearer realm="piaoma"')
        async with office.database.write() as transaction:
            await transaction.execute("UPDATE api_keys SET mode = 'live' WHERE key_id = $1", new.key_id)
        assert await told(new.secret) == (403, "API-KEY-MODE")

    browse(tmp_path, story)
