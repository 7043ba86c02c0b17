"""Mail-in: an SMTP receiver for the addresses of merchants and nothing else, spoken to by real clients."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import aiosmtplib
import pytest

from piaoma.delivery import inbound
from piaoma.desk import mailbox, received
from piaoma.desk.config import Config
from piaoma.desk.mailbox import address_of, set_address
from piaoma.desk.office import open_office
from piaoma.desk.received import Wanted, Way
from piaoma.documents.letters import attachments
from piaoma.invoice.refusal import Refused
from tests.conftest import Shop, new_shop
from tests.desk.receiving import SUPPLIER_ID, issue_for
from tests.documents.foreign import qr_text
from tests.documents.test_check import picture_of

PHOTO = picture_of(qr_text("24312000000136634917", "58.00", "20240514"))
Story = Callable[[Shop, Shop], Awaitable[None]]


def tell(folder: Path, story: Story) -> None:
    """With two merchants, each with an address, and the server at work."""

    async def told() -> None:
        config = Config(data=str(folder), mail_in="127.0.0.1:0", mail_in_domain="in.example.cn")
        async with open_office(config) as office:
            shop, other = await new_shop(office), await new_shop(office, SUPPLIER_ID)
            for one in (shop, other):
                assert await address_of(office, one.id) == ""
                await set_address(office, one.actor, taken=True)
            await story(shop, other)

    asyncio.run(told())


def letter(*files: tuple[str, bytes]) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["Subject"] = "发票 <sender@supplier.example>", "您的发票"
    message.set_content("请查收")
    for name, data in files:
        message.add_attachment(data, maintype="application", subtype="octet-stream", filename=name)
    return message


async def post(shop: Shop, message: EmailMessage | bytes, *to: str) -> str:
    """Send by a real client; what the server answered."""
    try:
        _, answer = await aiosmtplib.send(
            message, sender="sender@supplier.example", recipients=list(to), hostname="127.0.0.1",
            port=shop.office.mail_in_port, start_tls=False,
        )  # fmt: skip
    except aiosmtplib.SMTPRecipientsRefused as refused:
        return f"{refused.recipients[0].code} {refused.recipients[0].message}"
    except aiosmtplib.SMTPResponseException as error:
        return f"{error.code} {error.message}"
    return f"250 {answer}"


async def count(shop: Shop) -> int:
    return (await received.search(shop.office, shop.id, Wanted())).count


def test_what_is_mailed_to_a_merchants_address_is_in_his_list_alone(tmp_path: Path) -> None:
    """An attached invoice is judged and kept, with its sender masked; again it is known; a mail without one goes back,
    and so does one that is no invoice. Nobody else gets it."""

    async def story(shop: Shop, other: Shop) -> None:
        address = await address_of(shop.office, shop.id)
        number = await issue_for(other, None)
        xml = await other.office.view(other.id, number, "xml")
        assert "1 kept" in await post(shop, letter(("发票.xml", xml), ("logo.txt", b"x")), address)
        one = await received.received(shop.office, shop.id, number)
        assert (one.way, one.brought_by, one.verdict.value) == (Way.MAIL, "s***@supplier.example", "valid")
        assert await count(other) == 0
        assert "1 known before" in await post(shop, letter(("发票.xml", xml)), address.upper())
        assert (await post(shop, letter(), address)).startswith("554")
        assert "FILE-KIND" in await post(shop, letter(("a.pdf", b"no pdf")), address)
        forwarded = EmailMessage()
        forwarded.set_content("转发")
        forwarded.add_attachment(letter(("p.png", PHOTO)))
        assert "1 kept" in await post(shop, forwarded, address)
        assert await count(shop) == 2

    tell(tmp_path, story)


def test_only_addresses_of_ours_are_taken_and_a_new_one_ends_the_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A guess, another merchant's secret, another domain, a relay: refused before any byte of the mail is read.
    Negative control: the same guess is taken where secrets are not compared."""

    async def story(shop: Shop, other: Shop) -> None:
        mine, theirs = [await address_of(one.office, one.id) for one in (shop, other)]
        swapped = mine.replace(mine.split("-")[2], theirs.split("-")[2])
        wrong = [swapped, f"fp-{shop.id}-{'a' * 16}@in.example.cn", mine.replace("in.", "out."), "a@elsewhere.example"]
        for address in wrong:
            assert (await post(shop, letter(("a.png", PHOTO)), address)).startswith("550"), address
        await set_address(shop.office, shop.actor, taken=True)
        assert (await post(shop, letter(("a.png", PHOTO)), mine)).startswith("550")
        fresh = await address_of(shop.office, shop.id)
        assert "1 kept" in await post(shop, letter(("a.png", PHOTO)), fresh)
        await set_address(shop.office, shop.actor, taken=False)
        assert (await post(shop, letter(("a.png", PHOTO)), fresh)).startswith("550")
        assert await count(shop) == 1
        await set_address(shop.office, shop.actor, taken=True)
        monkeypatch.setattr("hmac.compare_digest", lambda left, right: True)
        assert "1 known" in await post(shop, letter(("a.png", PHOTO)), wrong[1])

    tell(tmp_path, story)


def test_mails_connections_and_rates_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too large, too many an hour, too many connections: answered with a code that says whether to try again."""
    monkeypatch.setattr(inbound, "MAIL_BYTES_MAX", 50_000)
    monkeypatch.setattr(inbound, "CONNECTIONS_MAX", 3)
    monkeypatch.setattr(mailbox, "MAILS_PER_HOUR_MAX", 1)

    async def story(shop: Shop, other: Shop) -> None:
        address = await address_of(shop.office, shop.id)
        assert (await post(shop, letter(("a.pdf", bytes(60_000))), address)).startswith("552")
        assert "1 kept" in await post(shop, letter(("a.png", PHOTO)), address)
        assert (await post(shop, letter(("a.png", PHOTO)), address)).startswith("452")
        lines: list[Any] = [socket.create_connection(("127.0.0.1", shop.office.mail_in_port)) for _ in range(4)]
        for line in lines:
            line.setblocking(False)
        loop = asyncio.get_running_loop()
        greetings = [(await loop.sock_recv(line, 3))[:3] for line in lines]
        assert greetings == [b"220", b"220", b"220", b"421"]
        for line in lines:
            line.close()

    tell(tmp_path, story)


NESTED = b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n"
HOSTILE = [
    b"",
    b"\xff\xfe\x00 garbage",
    NESTED * 200,
    b'Content-Type: application/pdf; name="=?utf-8?b?////?=.pdf"\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!!',
    b"Content-Type: message/rfc822\r\n\r\n" * 2_000,
]


@pytest.mark.parametrize("message", HOSTILE)
def test_a_hostile_mail_holds_nothing(message: bytes) -> None:
    """Nesting, broken encodings: no error, and no file that is none."""
    assert all(data for _, data in attachments(message))


def test_a_mail_that_takes_too_long_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nested so deep that its parser needs minutes: its worker is ended, and the next mail is taken."""
    monkeypatch.setattr(mailbox, "OPEN_SECONDS_MAX", 1)

    async def story(shop: Shop, other: Shop) -> None:
        address = await address_of(shop.office, shop.id)
        assert "too long" in await post(shop, NESTED * 5_000, address)
        monkeypatch.undo()
        assert "1 kept" in await post(shop, letter(("a.png", PHOTO)), address)

    tell(tmp_path, story)


def test_without_a_place_to_listen_there_is_no_address(tmp_path: Path) -> None:
    """The default: nothing listens, and asking for an address says so."""

    async def told() -> None:
        async with open_office(Config(data=str(tmp_path)), work=False) as office:
            shop = await new_shop(office)
            with pytest.raises(Refused, match="MAIL-IN-OFF"):
                await set_address(office, shop.actor, taken=True)
            assert await address_of(office, shop.id) == "" and office.mail_in_port == 0

    asyncio.run(told())
