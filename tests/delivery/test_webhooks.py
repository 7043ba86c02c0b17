"""Webhooks: signed so that any library verifies, in order, for three days, and never to where they must not go."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
import time_machine
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from standardwebhooks import Webhook as Library
from standardwebhooks import WebhookVerificationError

from piaoma import wire
from piaoma.delivery import destination, post, webhook
from piaoma.delivery.destination import checked, is_allowed, networks_of, parse
from piaoma.desk import api_keys, codes, deliver, direct, scan, webhooks
from piaoma.desk.codes import Offer
from piaoma.desk.config import Config
from piaoma.desk.office import open_office
from piaoma.invoice.draft import InvoiceKind
from piaoma.invoice.red_form import RedReason
from piaoma.invoice.refusal import Refused
from tests.conftest import COMPANY, MEAL, Shop, new_shop, with_shop
from tests.delivery.receiver import Receiver, receiving

LOOPBACK = "127.0.0.0/8"
Story = Callable[[Shop, Receiver], Awaitable[None]]


def tell(config: Config, story: Story) -> None:
    """A story with a shop and a receiver that the configuration allows."""

    async def in_office(shop: Shop) -> None:
        async with receiving() as receiver:
            await story(shop, receiver)

    with_shop(msgspec.structs.replace(config, webhook_networks=LOOPBACK), in_office)


async def issued(shop: Shop, key: str = "") -> str:
    """An invoice; its number."""
    offer = Offer(InvoiceKind.GENERAL, (MEAL,), buyer=COMPANY)
    count = len(await shop.office.database.read("SELECT 1 FROM invoices"))
    outcome = await direct.issue_straight(
        shop.office, shop.actor, shop.merchant, offer, issue_id=key or f"order-{count}"
    )
    assert outcome.number
    return outcome.number


async def work(shop: Shop) -> None:
    """Everything that is due, handed on."""
    while await shop.office.happenings.work_once():
        pass
    await shop.office.happenings.work_once()
    for _ in range(20):
        before = await states(shop)
        await shop.office.webhooks.work_once()
        if await states(shop) == before:
            break


async def states(shop: Shop) -> list[tuple[str, str, int]]:
    rows = await shop.office.database.read("SELECT number, state, attempts FROM webhook_jobs ORDER BY place, target")
    return [(row[0], row[1], row[2]) for row in rows]


def verified(secret: str, got: tuple[dict[str, str], bytes]) -> wire.Event:
    """What the independent library says of what came. Raises ``WebhookVerificationError``."""
    headers, body = got
    Library(secret).verify(body.decode(), headers)
    event = msgspec.json.decode(body, type=wire.Event)
    assert headers["webhook-id"] == event.id and headers["content-type"] == "application/json"
    return event


def test_an_invoice_is_announced_with_a_signature_that_anybodys_library_verifies(config: Config) -> None:
    """S97: the body is the event, its data the invoice as the API shows it; one letter changed, another secret or an
    old timestamp is refused by the library. Without an endpoint nothing is written at all."""

    async def story(shop: Shop, receiver: Receiver) -> None:
        await issued(shop)
        assert await shop.office.database.read("SELECT 1 FROM happenings") == []
        made = await webhooks.make(shop.office, shop.actor, receiver.url)
        number = await issued(shop)
        await work(shop)
        assert len(receiver.got) == 1 and receiver.got[0][0][":target"] == "/hook?from=piaoma"
        event = verified(made.secret, receiver.got[0])
        assert (event.type, event.subject, event.data["number"], event.data["total"]) == (
            "invoice.issued", number, number, "58.00",
        )  # fmt: skip
        headers, body = receiver.got[0]
        with pytest.raises(WebhookVerificationError):
            verified(made.secret, (headers, body.replace(b"58.00", b"59.00")))
        with pytest.raises(WebhookVerificationError):
            verified("whsec_" + "QUFB" * 8, receiver.got[0])
        with time_machine.travel(datetime.now(UTC) + timedelta(minutes=6)), pytest.raises(WebhookVerificationError):
            verified(made.secret, receiver.got[0])
        kept = await shop.office.database.read("SELECT secret FROM webhooks")
        assert made.secret.encode() not in bytes(kept[0][0])
        await work(shop)
        assert len(receiver.got) == 1, "delivered once"

    tell(config, story)


def test_every_kind_of_event_comes_and_only_to_who_wants_it(tmp_path: Path) -> None:
    """Issued, taken back, a code revoked, a mail that failed for good, a test; an endpoint that named one type gets
    that one; what is of one invoice has its subject."""

    async def story(shop: Shop, receiver: Receiver) -> None:
        office = shop.office
        await webhooks.make(office, shop.actor, receiver.url)
        async with receiving() as narrow:
            chosen = await webhooks.make(office, shop.actor, narrow.url, ["code.revoked"])
            number = await issued(shop)
            from piaoma.desk import red

            form = await red.raise_form(office, shop.id, number, RedReason.RETURNED, form_id="form-1", made_by="test")
            code = await shop.code()
            await codes.revoke(office, shop.actor, code.code_id)
            await deliver.send(office, shop.id, number, "a@example.cn", by=shop.actor)
            async with office.database.write() as transaction:
                await transaction.execute("UPDATE jobs SET attempts = 35 WHERE kind = 'mail'")
            monkey = pytest.MonkeyPatch()
            monkey.setattr(office.outbox._carriers["mail"], "_deliver", _away)
            await office.outbox.work_once()
            monkey.undo()
            await webhooks.send_test(office, shop.actor, chosen.webhook_id)
            await work(shop)
            types = [msgspec.json.decode(body)["type"] for _, body in receiver.got]
            assert sorted(types) == ["code.revoked", "delivery.failed", "invoice.issued", "invoice.red_issued"]
            subjects = {one["type"]: one["subject"] for one in (msgspec.json.decode(body) for _, body in receiver.got)}
            assert subjects["invoice.red_issued"] == subjects["delivery.failed"] == number and form.number
            narrowed = sorted(msgspec.json.decode(body)["type"] for _, body in narrow.got)
            assert narrowed == ["code.revoked", "webhook.test"]

    tell(Config(data=str(tmp_path)), story)


async def _away(message: object) -> None:
    raise ConnectionError("the mail server is away")


@pytest.mark.parametrize("way", ["fail", "redirect", "garbage", "close", "heads"])
def test_what_fails_is_tried_again_under_the_same_id(tmp_path: Path, way: str) -> None:
    """Each way of failing is on record with its reason, and the next try brings the same bytes under the same id. A
    redirect is not followed: its target is never called."""

    async def story(shop: Shop, receiver: Receiver) -> None:
        made = await webhooks.make(shop.office, shop.actor, receiver.url)
        number = await issued(shop)
        receiver.way = way
        await work(shop)
        assert await states(shop) == [(number, "waiting", 1)]
        await work(shop)
        assert len(receiver.got) == 1, "the endpoint rests"
        page = await webhooks.sendings(shop.office, shop.id, made.webhook_id)
        _, content, tries = await webhooks.sending(shop.office, shop.id, page.items[0].job_id)
        assert len(tries) == 1 and tries[0].error
        assert ("redirects are not followed" in tries[0].error) == (way == "redirect")
        receiver.way = "ok"
        with time_machine.travel(datetime.now(UTC) + timedelta(seconds=20), tick=True):
            await work(shop)
        assert await states(shop) == [(number, "done", 2)]
        assert receiver.got[0][0]["webhook-id"] == receiver.got[1][0]["webhook-id"]
        assert receiver.got[0][1] == receiver.got[1][1] == content.encode()
        found = await webhooks.webhook(shop.office, shop.id, made.webhook_id)
        assert found.failing_since is None

    tell(Config(data=str(tmp_path)), story)


def test_a_receiver_that_hangs_or_never_ends_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer: given up in bounded time. An answer without an end: its head counts, the rest is not read."""
    monkeypatch.setattr(post, "ANSWER_SECONDS", 0.3)

    async def story(shop: Shop, receiver: Receiver) -> None:
        made = await webhooks.make(shop.office, shop.actor, receiver.url)
        receiver.way = "hang"
        number = await issued(shop)
        await work(shop)
        assert await states(shop) == [(number, "waiting", 1)]
        receiver.way = "long"
        await webhooks.replay(shop.office, shop.actor, made.webhook_id, f"{await _event(shop)}:{made.webhook_id}")
        await webhooks.change(shop.office, shop.actor, made.webhook_id, "resume")
        await work(shop)
        assert await states(shop) == [(number, "done", 1)]
        _, _, tries = await webhooks.sending(shop.office, shop.id, f"{await _event(shop)}:{made.webhook_id}")
        assert tries[0].answer == "x" * webhook.ANSWER_KEPT_MAX and "TimeoutError" in tries[1].error

    tell(Config(data=str(tmp_path)), story)


async def _event(shop: Shop) -> str:
    return str((await shop.office.database.read("SELECT job_id FROM happenings ORDER BY place"))[0][0])


def test_a_receiver_that_is_away_is_tried_for_three_days_and_then_visibly_given_up(tmp_path: Path) -> None:
    """Thirteen tries over three days, then dead with a reason; sent again from the console it arrives, same id. 410
    ends at once and pauses the endpoint."""
    assert len(webhook.DELAYS_S) + 1 == webhook.TRIES_MAX
    assert 70 * 3600 < sum(webhook.DELAYS_S) < 74 * 3600

    async def story(shop: Shop, receiver: Receiver) -> None:
        made = await webhooks.make(shop.office, shop.actor, receiver.url)
        number = await issued(shop)
        receiver.way = "fail"
        at = datetime.now(UTC)
        await work(shop)
        for delay in webhook.DELAYS_S:
            at += timedelta(seconds=delay * 1.2 + 300)
            with time_machine.travel(at, tick=True):
                await work(shop)
        assert await states(shop) == [(number, "dead", webhook.TRIES_MAX)]
        assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
        found = await webhooks.webhook(shop.office, shop.id, made.webhook_id)
        assert found.dead == 1 and found.failing_since is not None
        receiver.way = "ok"
        with time_machine.travel(at + timedelta(hours=1), tick=True):
            assert await webhooks.replay(shop.office, shop.actor, made.webhook_id) == 1
            await work(shop)
            assert await states(shop) == [(number, "done", 1)]
            receiver.way = "gone"
            await issued(shop)
            await work(shop)
            assert (await states(shop))[1][1:] == ("dead", 1)
            assert (await webhooks.webhook(shop.office, shop.id, made.webhook_id)).state == "paused"
            await issued(shop)
            await work(shop)
            assert (await states(shop))[2][1:] == ("waiting", 0), "what happens while it is paused waits"

    tell(Config(data=str(tmp_path)), story)


def test_what_belongs_to_one_invoice_comes_in_order(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first of an invoice fails: what follows of the same waits behind it, others do not. Negative control:
    without the condition the second overtakes."""

    async def story(shop: Shop, receiver: Receiver) -> None:
        from piaoma.desk import red

        await webhooks.make(shop.office, shop.actor, receiver.url)
        number = await issued(shop)
        receiver.way = "fail"
        await work(shop)
        await red.raise_form(shop.office, shop.id, number, RedReason.RETURNED, form_id="form-1", made_by="test")
        other = await issued(shop)
        receiver.way = "ok"
        await shop.office.database.read("SELECT 1")
        async with shop.office.database.write() as transaction:
            await transaction.execute("UPDATE webhooks SET rests_until_ms = 0")
        await work(shop)
        assert [msgspec.json.decode(body)["subject"] for _, body in receiver.got[1:]] == [other]
        with time_machine.travel(datetime.now(UTC) + timedelta(seconds=20), tick=True):
            await work(shop)
        told = [msgspec.json.decode(body) for _, body in receiver.got[2:]]
        assert [one["type"] for one in told] == ["invoice.issued", "invoice.red_issued"]
        assert [one["subject"] for one in told] == [number, number] and told[0]["sequence"] < told[1]["sequence"]

    tell(config, story)


def test_without_the_order_the_second_would_overtake(tmp_path: Path) -> None:
    """Negative control of the test above."""

    async def story(shop: Shop, receiver: Receiver) -> None:
        from piaoma.desk import red

        shop.office.webhooks._unless = ""
        await webhooks.make(shop.office, shop.actor, receiver.url)
        number = await issued(shop)
        receiver.way = "fail"
        await work(shop)
        await red.raise_form(shop.office, shop.id, number, RedReason.RETURNED, form_id="form-1", made_by="test")
        receiver.way = "ok"
        await work(shop)
        assert [msgspec.json.decode(body)["type"] for _, body in receiver.got[1:]] == ["invoice.red_issued"]

    tell(Config(data=str(tmp_path)), story)


def test_an_endpoint_that_hangs_takes_no_time_from_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forty messages for one that hangs, then one for another shop's: once the first batch has failed the other gets
    its own, though thirty still wait in front of it."""
    monkeypatch.setattr(post, "ANSWER_SECONDS", 0.2)

    async def story(shop: Shop, receiver: Receiver) -> None:
        await webhooks.make(shop.office, shop.actor, receiver.url)
        receiver.way = "hang"
        for _ in range(40):
            await issued(shop)
        await work(shop)
        assert receiver.connections <= 3 * webhook.TOGETHER_MAX
        theirs = await new_shop(shop.office, "91110000600037341L")
        async with receiving() as well:
            await webhooks.make(theirs.office, theirs.actor, well.url)
            await issued(theirs, "order-of-another")
            await work(theirs)
            assert len(well.got) == 1
        assert sum(state == "waiting" for _, state, _ in await states(shop)) == 40

    tell(Config(data=str(tmp_path)), story)


def test_a_rotated_secret_signs_beside_the_new_one_for_a_day(tmp_path: Path) -> None:
    """S97 in use: a receiver with either secret verifies during the overlap; afterwards only the new one does."""

    async def story(shop: Shop, receiver: Receiver) -> None:
        old = await webhooks.make(shop.office, shop.actor, receiver.url)
        new = await webhooks.rotate(shop.office, shop.actor, old.webhook_id)
        assert new.secret != old.secret and new.old_until is not None
        await issued(shop)
        await work(shop)
        verified(old.secret, receiver.got[0])
        verified(new.secret, receiver.got[0])
        assert receiver.got[0][0]["webhook-signature"].count("v1,") == 2
        with time_machine.travel(datetime.now(UTC) + timedelta(hours=25), tick=True):
            await issued(shop)
            await work(shop)
            verified(new.secret, receiver.got[1])
            with pytest.raises(WebhookVerificationError):
                verified(old.secret, receiver.got[1])

    tell(Config(data=str(tmp_path)), story)


def test_a_worker_that_dies_between_post_and_record_sends_again_under_the_same_id(tmp_path: Path) -> None:
    """At least once: the receiver sees two with one id, which is how it knows."""
    config = Config(data=str(tmp_path), webhook_networks=LOOPBACK)

    async def both() -> None:
        async with receiving() as receiver:
            async with open_office(config, work=False) as office:
                shop = await new_shop(office)
                await webhooks.make(office, shop.actor, receiver.url)
                await issued(shop)
                await office.happenings.work_once()
                carrier = office.webhooks._carriers["webhook"]
                monkey = pytest.MonkeyPatch()
                monkey.setattr(carrier, "_keep", lambda *a, **k: asyncio.sleep(3600))
                dying = asyncio.create_task(office.webhooks.work_once())
                async with asyncio.timeout(20):
                    while not receiver.got:
                        await asyncio.sleep(0.01)
                dying.cancel()
                await asyncio.gather(dying, return_exceptions=True)
                monkey.undo()
            with time_machine.travel(datetime.now(UTC) + timedelta(seconds=90), tick=True):
                async with open_office(config, work=False) as office:
                    await office.webhooks.work_once()
            assert len(receiver.got) == 2
            assert receiver.got[0][0]["webhook-id"] == receiver.got[1][0]["webhook-id"]

    asyncio.run(both())


# ── where they must not go ────────────────────────────────────────────────────────────────────────────────────────

PRIVATE = [
    "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
    "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:10.0.0.1", "64:ff9b::a00:1",
    "2002:7f00:1::", "198.18.0.1", "192.0.2.1",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_no_private_address_is_reached_unless_it_is_allowed(address: str) -> None:
    """Of either family, also wrapped in another; allowed by its network it is; everybody's addresses are."""
    assert not is_allowed(address, ())
    assert is_allowed("1.1.1.1", ()) and is_allowed("2606:4700:4700::1111", ())
    one = ipaddress.ip_address(address)
    plain = one.ipv4_mapped if isinstance(one, ipaddress.IPv6Address) and one.ipv4_mapped else one
    if not address.startswith(("64:", "2002:")):
        assert is_allowed(address, networks_of(str(plain)))


@pytest.mark.parametrize(
    "url",
    ["ftp://example.cn/", "https://user:secret@example.cn/", "https:///x", "https://example.cn/#a", "https://a b/",
     "javascript:alert(1)", "https://example.cn:99999/", "https://exa\\mple.cn", "//example.cn", "https://例.cn/",
     "x" * 600, "http://[::1", "https://example.cn/\r\nx: y"],
)  # fmt: skip
def test_what_is_no_address_is_refused(url: str) -> None:
    """With a cause at its field."""
    with pytest.raises(Refused) as refused:
        parse(url)
    assert refused.value.refusals[0].cause == "WEBHOOK-URL" and refused.value.refusals[0].field == "url"


def test_a_name_is_looked_at_whole_and_again_at_every_call(tmp_path: Path) -> None:
    """One private answer among public ones is enough to refuse, at adding and at sending: a name that changed its mind
    since (DNS rebinding) is not called, and the try says why. Plain http is for allowed networks only."""

    async def story(shop: Shop, receiver: Receiver) -> None:
        place, plain = parse("https://hook.example.cn/"), parse("http://hook.example.cn/")

        async def asked(answers: list[str], where: destination.Destination = place, allowed: str = "") -> str:
            async def by(host: str, port: int) -> list[str]:
                return answers

            try:
                return await checked(where, networks_of(allowed), by)
            except Refused as refused:
                return refused.refusals[0].cause

        assert await asked(["1.1.1.1", "10.0.0.1"]) == "WEBHOOK-PRIVATE"
        assert await asked([]) == "WEBHOOK-HOST"
        assert await asked(["1.1.1.1"]) == "1.1.1.1"
        assert await asked(["1.1.1.1"], plain) == "WEBHOOK-PLAIN"
        assert await asked(["10.0.0.1"], plain, "10.0.0.0/8") == "10.0.0.1"
        made = await webhooks.make(shop.office, shop.actor, receiver.url)
        answers = [["127.0.0.1"], ["192.168.0.9"]]

        async def rebinding(host: str, port: int) -> list[str]:
            return answers.pop(0)

        shop.office.webhooks = shop.office.webhooks_by(rebinding)
        await issued(shop)
        await work(shop)
        assert len(receiver.got) == 1 and answers == [["192.168.0.9"]], "asked once for one call"
        await issued(shop)
        await work(shop)
        assert len(receiver.got) == 1 and receiver.connections == 1
        page = await webhooks.sendings(shop.office, shop.id, made.webhook_id)
        assert "WEBHOOK-PRIVATE" in page.items[0].last_error

    tell(Config(data=str(tmp_path)), story)


def test_loopback_is_refused_as_long_as_nobody_allows_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the configuration as it comes an endpoint in the own network cannot be added; one that slipped in is not
    called. Negative control: with the look taken out it is."""

    async def story(shop: Shop) -> None:
        async with receiving() as receiver:
            for url in (receiver.url, receiver.url.replace("http:", "https:"), "https://localhost/"):
                with pytest.raises(Refused, match="WEBHOOK-PRIVATE"):
                    await webhooks.make(shop.office, shop.actor, url)
            monkeypatch.setattr(webhooks, "checked", lambda *a: asyncio.sleep(0))
            await webhooks.make(shop.office, shop.actor, receiver.url)
            await issued(shop)
            await work(shop)
            assert receiver.connections == 0 and (await states(shop))[0][1] == "waiting"
            monkeypatch.setattr(destination, "is_allowed", lambda address, allowed: True)
            monkeypatch.setattr(post, "checked", lambda place, allowed, by: asyncio.sleep(0, "127.0.0.1"))
            with time_machine.travel(datetime.now(UTC) + timedelta(seconds=20), tick=True):
                await work(shop)
            assert receiver.connections == 1

    with_shop(Config(data=str(tmp_path)), story)


def test_tls_asks_for_the_name_while_it_connects_to_the_address(tmp_path: Path) -> None:
    """A certificate for the name is taken; one for another name is not, and neither is one that nobody trusts."""

    async def story(shop: Shop) -> None:
        context, trusting = _certificate(tmp_path, "hook.example.cn")
        async with receiving(context) as receiver:

            async def by(host: str, port: int) -> list[str]:
                return ["127.0.0.1"]

            async def outcome(host: str, tls: ssl.SSLContext | None) -> str:
                place = parse(f"https://{host}:{receiver.port}/")
                try:
                    answer = await post.post(place, b"{}", {}, networks_of(LOOPBACK), by, tls)
                except ssl.SSLError as error:
                    return type(error).__name__
                return str(answer.status)

            assert await outcome("hook.example.cn", trusting) == "200"
            assert await outcome("other.example.cn", trusting) == "SSLCertVerificationError"
            assert await outcome("hook.example.cn", None) == "SSLCertVerificationError"

    with_shop(Config(data=str(tmp_path)), story)


def _certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context with a certificate for a name, and a client's that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "tls.pem").write_bytes(pem + secret)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "tls.pem")
    return server, ssl.create_default_context(cadata=pem.decode())


def test_old_events_are_forgotten_and_waiting_ones_are_not(config: Config) -> None:
    """After ninety days; what still waits stays with its event."""

    async def story(shop: Shop, receiver: Receiver) -> None:
        made = await webhooks.make(shop.office, shop.actor, receiver.url)
        await issued(shop)
        await work(shop)
        await webhooks.change(shop.office, shop.actor, made.webhook_id, "pause")
        await issued(shop)
        await work(shop)
        with time_machine.travel(datetime.now(UTC) + timedelta(days=91), tick=True):
            assert await webhooks.forget_old(shop.office) == 3
        assert len(await states(shop)) == len(await shop.office.database.read("SELECT 1 FROM happenings")) == 1
        keys = await api_keys.list_keys(shop.office, shop.id)
        assert keys == []

    tell(config, story)


def test_a_customers_scan_is_announced_too(tmp_path: Path) -> None:
    """By the one write path, whoever issues."""

    async def story(shop: Shop, receiver: Receiver) -> None:
        await webhooks.make(shop.office, shop.actor, receiver.url)
        code = await shop.code()
        await scan.confirm(shop.office, code.token, "me", COMPANY, issue_key=code.token)
        await work(shop)
        assert msgspec.json.decode(receiver.got[0][1])["data"]["code_id"] == str(code.code_id)

    tell(Config(data=str(tmp_path)), story)
