"""Delivery: at least once, under one id, visibly failed when it cannot be. The SMTP server fails half the time."""

from __future__ import annotations

import asyncio
import email
import email.policy
import random
import socket
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any, cast

import msgspec
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import Envelope

from piaoma.delivery import backoff_ms, is_address, masked
from piaoma.desk import deliver, scan
from piaoma.desk.config import Config
from tests.conftest import COMPANY, Shop, with_shop


class FlakyServer:
    """Takes or refuses mail by the throw of a seeded die; remembers what it took."""

    def __init__(self, seed: int) -> None:
        self.die = random.Random(seed)
        self.taken: list[EmailMessage] = []
        self.refuse_for_good = False

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:
        if self.die.random() < 0.5:
            return "451 try again later"
        message = email.message_from_bytes(cast(bytes, envelope.content), policy=email.policy.default)
        self.taken.append(message)
        return "250 OK"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Envelope, address: str, options: Any) -> str:
        if self.refuse_for_good:
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def work_until_quiet(shop: Shop) -> None:
    """Run the outbox with a clock that jumps over every back-off."""
    real, hours = shop.office.now, 0
    for _ in range(20):
        hours += 2
        shop.office.outbox._now = lambda hours=hours: real() + timedelta(hours=hours)  # type: ignore[misc]
        while await shop.office.outbox.work_once():
            pass


async def issued(shop: Shop, address: str = "") -> str:
    code = await shop.code()
    outcome = await scan.confirm(shop.office, code.token, "me", COMPANY, issue_key=code.token, email=address)
    assert outcome.number is not None
    return outcome.number


def test_mail_arrives_though_the_server_fails_half_of_the_time(config: Config) -> None:
    """Six mails, a server that refuses every second try: each arrives, none twice, with both files and a link."""
    flaky = FlakyServer(seed=5)
    controller = Controller(flaky, hostname="127.0.0.1", port=free_port())
    controller.start()
    try:
        port = controller.port
        smtp = msgspec.structs.replace(config, smtp=f"smtp://127.0.0.1:{port}")

        async def story(shop: Shop) -> None:
            numbers = [await issued(shop, f"buyer{i}@example.cn") for i in range(6)]
            await work_until_quiet(shop)
            assert len(flaky.taken) == len({message["Message-ID"] for message in flaky.taken}) == 6
            for number in numbers:
                states = {job.kind: job.state for job in await deliver.deliveries(shop.office, shop.id, number)}
                assert states == {"report": "done", "mail": "done"}
            message = flaky.taken[0]
            names = [part.get_filename() for part in message.iter_attachments()]
            assert {name.rpartition(".")[2] for name in names if name} == {"pdf", "ofd", "xml"}
            assert all(name and "电子发票" in name for name in names)
            body = message.get_body(("plain",))
            assert body is not None
            text = body.get_content()
            assert "测试样票" in text and "¥58.00" in text and "/result?c=" in text
            assert "测试样票" in message["Subject"]

        with_shop(smtp, story)
    finally:
        controller.stop()


def test_an_address_that_does_not_exist_is_dead_with_a_reason_and_can_be_retried(config: Config) -> None:
    """A final refusal is not tried again by itself; after a retry by hand it arrives under the same id."""
    flaky = FlakyServer(seed=1)
    flaky.refuse_for_good = True
    controller = Controller(flaky, hostname="127.0.0.1", port=free_port())
    controller.start()
    try:
        port = controller.port
        smtp = msgspec.structs.replace(config, smtp=f"smtp://127.0.0.1:{port}")

        async def story(shop: Shop) -> None:
            number = await issued(shop, "nobody@example.cn")
            await work_until_quiet(shop)
            jobs = await deliver.deliveries(shop.office, shop.id, number)
            mail = next(job for job in jobs if job.kind == "mail")
            assert (mail.state, mail.attempts) == ("dead", 1)
            assert "550" in mail.last_error and "nobody" not in mail.last_error
            flaky.refuse_for_good = False
            await deliver.retry(shop.office, shop.id, mail.job_id)
            await work_until_quiet(shop)
            assert len(flaky.taken) == 1

        with_shop(smtp, story)
    finally:
        controller.stop()


def test_a_worker_that_dies_leaves_nothing_undone(config: Config) -> None:
    """A job leased by a dead worker is taken up when the lease has run out, and not before."""

    async def story(shop: Shop) -> None:
        number = await issued(shop, "someone@example.cn")
        assert await shop.office.outbox._lease("mail", 10)
        await shop.office.outbox.work_once()
        states = {job.kind: job.state for job in await deliver.deliveries(shop.office, shop.id, number)}
        assert states == {"report": "done", "mail": "waiting"}
        await work_until_quiet(shop)
        assert {job.state for job in await deliver.deliveries(shop.office, shop.id, number)} == {"done"}

    with_shop(config, story)


def test_the_default_needs_no_server(tmp_path: Path) -> None:
    """Mail becomes a file; sent again to the same address while it waits, it is one mail."""

    async def story(shop: Shop) -> None:
        number = await issued(shop)
        await asyncio.gather(*(deliver.send(shop.office, shop.id, number, "a@example.cn") for _ in range(5)))
        await work_until_quiet(shop)
        assert len(list((tmp_path / "mail").glob("*.eml"))) == 1

    with_shop(Config(data=str(tmp_path)), story)


def test_backoff_doubles_to_an_hour_with_jitter() -> None:
    """Never less than half, never more than the whole of the doubled wait."""
    for attempts in range(1, 30):
        full = min(3_600_000, 2_000 * 2 ** (attempts - 1))
        assert all(full // 2 <= backoff_ms(attempts) <= full for _ in range(20))


def test_addresses_are_checked_and_masked() -> None:
    """No line end can come into a header; what is shown does not tell the address."""
    assert is_address("a.b+c@example.com.cn")
    for wrong in ("", "a", "a@b", "a@b.c\nBcc: x@y.cn", "a b@c.cn", "@c.cn", "a@" + "x" * 300 + ".cn", "<a@b.cn>"):
        assert not is_address(wrong)
    assert masked("someone@example.cn") == "s***@example.cn"
