"""乐企 from close by: its envelope and fields, answers that cannot be, quota in blocks, months that are confirmed."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from piaoma.channels import MonthSum, Unavailable, open_outside
from piaoma.channels.leqi import channel as leqi
from piaoma.channels.leqi import envelope
from piaoma.channels.leqi.channel import Leqi
from piaoma.channels.leqi.fields import applied, uploaded
from piaoma.channels.leqi.line import LeqiSettings, Line
from piaoma.channels.settings import load
from piaoma.channels.simulator import access_in
from piaoma.desk import scan
from piaoma.desk.office import shanghai_now
from piaoma.invoice.refusal import Refused
from piaoma.trust import sm2
from tests.channels.bench import Bench, bench, form_of, numbered, short_patience
from tests.channels.test_faults import confirm, upload
from tests.conftest import COMPANY, SELLER_ID, Shop

__all__ = ["bench", "short_patience"]

KEY = bytes.fromhex("0123456789abcdeffedcba9876543210")
MONTH = f"{shanghai_now():%Y-%m}"
YEAR = f"{shanghai_now():%y}"


# ── the envelope ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("engine", [sm2.tongsuo, sm2.openssl], ids=["tongsuo", "openssl"])
def test_sm4_in_ecb_is_that_of_the_standard(engine: Callable[[], sm2.Engine]) -> None:
    """The example of GB/T 32907, enciphered and back, by both libraries."""
    enciphered = engine().sm4_ecb(KEY, KEY, encrypt=True)
    assert enciphered.hex() == "681edf34d206965e86b3e94f536e4246"
    assert engine().sm4_ecb(KEY, enciphered, encrypt=False) == KEY


@pytest.mark.parametrize(
    "content", [{}, [], {"xmmc": "餐费", "je": Decimal("54.70")}, {"x": "a" * 15}, {"x": "a" * 16}]
)
def test_what_is_wrapped_is_unwrapped(content: Any) -> None:
    """Whole blocks of any length; money comes back to the fen, as text."""
    back = envelope.unwrap(KEY, envelope.wrap(KEY, content))
    assert back == json.loads(json.dumps(content, default=str))


@pytest.mark.parametrize("body", [b"", b"!", b"AAAA", b"A" * 64, envelope.wrap(bytes(16), {"a": 1})])
def test_what_is_no_envelope_is_refused(body: bytes) -> None:
    """Nothing is read out of it, and the fault says nothing of what was in it."""
    with pytest.raises(envelope.EnvelopeFault):
        envelope.unwrap(KEY, body)


@pytest.mark.parametrize("as_text", [False, True])
def test_an_answer_is_read_as_an_object_and_as_text(as_text: bool) -> None:
    """``body`` occurs in both forms."""
    response: object = {"Response": {"Data": envelope.wrap(KEY, {"returncode": "00"}).decode()}}
    answer = json.dumps({"httpStatusCode": 200, "body": json.dumps(response) if as_text else response})
    assert envelope.open_answer(KEY, answer.encode()) == ({"returncode": "00"}, None)


NO_ANSWERS = [
    b"", b"[]", b"{}", b'{"body": 5}', b'{"body": {"Response": 5}}', b'{"body":"x"}', b'{"body": {"Response": {}}}',
    b'{"body": {"Response": {"Error": 5}}}',
]  # fmt: skip


@pytest.mark.parametrize("answer", NO_ANSWERS)
def test_an_answer_that_is_none_is_refused(answer: bytes) -> None:
    """Whatever it is: one kind of fault."""
    with pytest.raises(envelope.EnvelopeFault):
        envelope.open_answer(KEY, answer)


def test_a_signature_is_over_service_capability_and_body() -> None:
    """Changed anywhere it is another; without a secret it is empty, as clients of the platform send it."""
    parts: list[Any] = ["QDFPSC", "202007", b"body"]
    good = envelope.signature(b"secret", *parts)
    assert envelope.is_signature(good, b"secret", *parts) and envelope.signature(b"", *parts) == ""
    for changed in (["QDFPSC", "202007", b"bodY"], ["CXSXED", *parts[1:]], ["QDFPSC", "202006", b"body"]):
        assert not envelope.is_signature(good, b"secret", *changed)
    assert not envelope.is_signature(good, b"secreT", *parts)


# ── fields ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_invoice_is_uploaded_field_by_field(bench: Bench) -> None:
    """The names of channels.md, money as text of two decimals, the item with its short name in front."""

    async def story() -> None:
        invoice, _ = await numbered(bench, "leqi")
        fields = json.loads(json.dumps(uploaded(invoice, "P1"), default=str))
        (line,) = fields.pop("fpmxList")
        told = {name: fields[name] for name in ("fphm", "lzfpbz", "ptbh", "fppz", "gmfzrrbz", "hjje", "hjse", "jshj")}
        assert told == {
            "fphm": invoice.number, "lzfpbz": "0", "ptbh": "P1", "fppz": "02", "gmfzrrbz": "N", "hjje": "54.72",
            "hjse": "3.28", "jshj": "58.00",
        }  # fmt: skip
        assert (fields["xsfnsrsbh"], fields["gmfmc"], fields["kpr"]) == (SELLER_ID, COMPANY.name, "张三")
        assert line["hwhyslwfwmc"] == f"*{line['spfwjc']}*{line['xmmc']}" == invoice.lines[0].name
        assert (line["mxxh"], line["je"], line["slv"], line["se"], line["fphxz"]) == (
            "1",
            "54.72",
            "0.06",
            "3.28",
            "00",
        )
        form = json.loads(json.dumps(applied(form_of(invoice)), default=str))
        assert (form["lzfphm"], form["hzcxje"], form["hzcxse"], form["lrfsf"]) == (
            invoice.number,
            "-54.72",
            "-3.28",
            "0",
        )
        assert form["hzqrdmxList"][0]["lzmxxh"] == "1"

    bench.run(story())


# ── answers that cannot be ─────────────────────────────────────────────────────────────────────────────────────────


BLOCKS = {
    "no digits": ("26990000000000000001", "x"),
    "too short": ("2699000000000000001", "2699000000000000001"),
    "another prefix at its end": (f"{YEAR}990{1:015d}", f"{YEAR}991{2:015d}"),
    "more than was asked": (f"{YEAR}990{1:015d}", f"{YEAR}990{99:015d}"),
    "backwards": (f"{YEAR}990{5:015d}", f"{YEAR}990{4:015d}"),
    "another year": (f"00990{1:015d}", f"00990{2:015d}"),
    "real numbers": (f"{YEAR}420{1:015d}", f"{YEAR}420{2:015d}"),
}


@pytest.mark.parametrize("wrong", BLOCKS)
def test_a_block_that_cannot_be_is_none(bench: Bench, wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above all: real numbers never come into a store of samples."""
    first, last = BLOCKS[wrong]

    async def strange(self: Line, service: str, section: str, content: object) -> Any:
        told, fields = await real(self, service, section, content)
        return told, {**fields, "fpqshm": first, "fpzzhm": last}

    real = Line.ask
    monkeypatch.setattr(Line, "ask", strange)

    async def story() -> None:
        channel = await bench.channel("leqi")
        with pytest.raises(Unavailable):
            await channel.allocate_numbers(SELLER_ID, YEAR, 2, secrets.token_hex(16))

    bench.run(story())


# ── quota ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_quota_is_taken_in_blocks_extended_and_given_back(bench: Bench) -> None:
    """As much as the month needs, no more than there is; past its validity it is extended; what is left goes back."""

    async def story() -> None:
        seller, file = "91420100MA4K00001X", bench.file("leqi", quota_block="100.00")
        channel = open_outside("leqi", file, shanghai_now, live=False)
        assert isinstance(channel, Leqi)
        assert await channel.get_quota(seller, MONTH) == 0, "nobody needs any yet"
        assert await channel.get_quota(seller, MONTH, 50_00) == 100_00
        assert await channel.get_quota(seller, MONTH, 100_00) == 100_00, "what is there is enough"
        assert await channel.get_quota(seller, MONTH, 550_00) == 550_00
        await bench.authority.rehearse(quota_fen=600_00)
        assert await channel.get_quota(seller, MONTH, 10_000_00) == 600_00, "there is no more"
        await bench.authority.rehearse(quota_fen=1_000_000_00)
        channel._limits.clear()
        channel._usable_until[(seller, MONTH)] = "20000101"
        assert await channel.get_quota(seller, MONTH) == 600_00 and not channel._usable_until
        assert await channel.return_quota(seller, MONTH, 500_00) == 100_00
        with pytest.raises(Unavailable, match="not of 2000-01"):
            await channel.get_quota(seller, "2000-01")
        await channel.close()

    bench.run(story())


def test_a_suspended_taxpayer_is_told_so(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """CHANNEL-SUSPENDED, whatever the figures say."""

    async def suspended(self: Line, service: str, section: str, content: object) -> Any:
        told, fields = await real(self, service, section, content)
        return told, {**fields, "ztsxbz": "Y"}

    real = Line.ask
    monkeypatch.setattr(Line, "ask", suspended)

    async def story() -> None:
        with pytest.raises(Refused, match="CHANNEL-SUSPENDED"):
            await (await bench.channel("leqi")).get_quota(SELLER_ID, MONTH)

    bench.run(story())


# ── months, refusals of uploads ────────────────────────────────────────────────────────────────────────────────────


def test_a_month_is_confirmed_when_the_platform_has_the_same(bench: Bench) -> None:
    """Other figures there are refused with the cause; the same are confirmed, by the page's own function, once."""

    async def story() -> None:
        shop = await bench.shop("leqi")
        await confirm(shop, await shop.code())
        await upload(shop)
        channel, sums = shop.office.channel, [MonthSum(*row) for row in await month_sums(shop)]
        assert await channel.month_sums(SELLER_ID, MONTH) is None
        wrong = [msgspec.structs.replace(sums[0], amount_fen=sums[0].amount_fen + 1)]
        (refused,) = await channel.confirm_month(SELLER_ID, MONTH, wrong)
        assert refused.cause == "CHANNEL-MONTH"
        for _ in range(2):
            assert not await channel.confirm_month(SELLER_ID, MONTH, sums)
        (other,) = await channel.confirm_month(SELLER_ID, MONTH, wrong)
        assert other.cause == "CHANNEL-MONTH", "what stands there is something else"

    bench.run(story())


async def month_sums(shop: Shop) -> list[tuple[str, str, int, int, int]]:
    rows = await shop.office.database.read(
        "SELECT kind, count(*), sum(amount_fen), sum(tax_fen) FROM invoices WHERE month = $1 GROUP BY kind", MONTH
    )
    return [(row[0], "blue", row[1], int(row[2]), int(row[3])) for row in rows]


def test_one_that_the_platform_will_not_take_stands_alone(bench: Bench) -> None:
    """Three are uploaded, one is refused for good: its job is dead with the cause and the platform's words, the others
    are done, and nothing was uploaded twice."""

    async def story() -> None:
        shop = await bench.shop("leqi")
        numbers = [(await confirm(shop, await shop.code())).number for _ in range(3)]
        async with bench.authority._ledger.write() as books:
            await books.execute(
                "INSERT INTO authority_uploads (number, taxpayer_id, digest, month, red, amount_fen, tax_fen)"
                " VALUES ($1, 'somebody', 'else', '2000-01', 0, 0, 0)",
                numbers[1],
            )
        for _ in range(3):
            await upload(shop)
        rows = await shop.office.database.read(
            "SELECT number, state, last_error FROM jobs WHERE kind = 'report' ORDER BY number"
        )
        told = {row[0]: (row[1], row[2]) for row in rows if row[0] in numbers}
        assert [told[str(number)][0] for number in numbers] == ["done", "dead", "done"]
        assert "CHANNEL-NUMBER 32 号码已用于另一张发票" in told[str(numbers[1])][1]

    bench.run(story())


def test_nothing_is_issued_by_a_call(bench: Bench) -> None:
    """Whoever asks for it is told that nothing was submitted."""

    async def story() -> None:
        shop = await bench.shop("leqi")
        outcome = await scan.confirm(shop.office, (await shop.code()).token, "me", COMPANY, issue_key="pool")
        assert outcome.number is not None and outcome.number[4] == "1"

    bench.run(story())


def test_uploads_wait_until_the_platform_has_worked_them_through(bench: Bench) -> None:
    """Asked by receipt, never sent again meanwhile."""

    async def story() -> None:
        shop, ledger = await bench.shop("leqi"), bench.authority._ledger
        number = (await confirm(shop, await shop.code())).number
        count = "SELECT count(*) FROM authority_receipts WHERE results LIKE $1"
        await bench.authority.rehearse(late_ms=600)
        for _ in range(3):
            await upload(shop)
        assert (await ledger.read(count, f"%{number}%"))[0][0] == 1, "one upload, asked after three times"
        await bench.authority.rehearse(late_ms=0)
        for _ in range(20):
            await upload(shop)
            rows = await shop.office.database.read("SELECT state FROM jobs WHERE job_id = $1", f"{number}:report")
            if rows[0][0] == "done":
                break
            await asyncio.sleep(0.1)
        assert rows[0][0] == "done" and (await ledger.read(count, f"%{number}%"))[0][0] == 1

    bench.run(story())


def test_a_receipt_that_is_not_known_is_given_up_for_the_number(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The platform lost a batch: not at once, but after a while its invoices are asked after by number, and sent again
    only because they are not there."""

    async def story() -> None:
        shop, ledger = await bench.shop("leqi"), bench.authority._ledger
        number = (await confirm(shop, await shop.code())).number
        await bench.authority.rehearse(late_ms=5_000)
        await upload(shop)
        await bench.authority.rehearse(late_ms=0)
        async with ledger.write() as books:
            await books.execute("DELETE FROM authority_receipts")
            await books.execute("DELETE FROM authority_uploads WHERE number = $1", number)
        state = "SELECT state FROM jobs WHERE job_id = $1"
        await upload(shop)
        assert (await shop.office.database.read(state, f"{number}:report"))[0][0] == "waiting"
        monkeypatch.setattr(leqi, "RECEIPT_SECONDS_MAX", 0.0)
        await upload(shop)
        await upload(shop)
        assert (await shop.office.database.read(state, f"{number}:report"))[0][0] == "done"
        there = "SELECT count(*) FROM authority_uploads WHERE number = $1"
        assert (await ledger.read(there, number))[0][0] == 1

    bench.run(story())


def test_the_settings_that_the_simulator_writes_are_read(bench: Bench) -> None:
    """And a second start keeps the keys."""
    before = load(bench.folder / "leqi.toml", LeqiSettings)
    access = access_in(bench.folder, before.url, before.roots)
    assert access.leqi == before and msgspec.structs.replace(access.leqi, key="") != before
