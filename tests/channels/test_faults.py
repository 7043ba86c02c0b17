"""Every channel in every trouble (P7): before the call, during, after, late, twice, garbage, 500, slow, the line cut.

Whatever happens: told truthfully, one invoice here and one there, nothing sent again while its outcome is open.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from piaoma.channels import Switches, Unavailable, open_outside
from piaoma.channels import codes as channel_codes
from piaoma.channels.codes import Meaning
from piaoma.channels.leqi import channel as leqi
from piaoma.desk import issue, pursue, red, scan, stock
from piaoma.desk.codes import Code
from piaoma.desk.office import shanghai_now
from piaoma.invoice.red_form import RedReason
from piaoma.store import IssueState, Outcome, numbers_left
from tests.channels.bench import CHANNELS, Bench, bench, short_patience
from tests.channels.test_rehearsals import pursue_all
from tests.conftest import COMPANY, PERSON, SELLER_ID, Shop, new_shop
from tests.store.test_writing import broken_invariants

__all__ = ["bench", "short_patience"]

FAULTS: dict[str, dict[str, Any]] = {
    "before the call": {"down": "before"},
    "during": {"cut": True},
    "after": {"down": "after"},
    "late": {"late_ms": 400},
    "twice": {"twice": True},
    "garbage": {"garbage": True},
    "500": {"broken": True},
    "slow": {"slow_ms": 450},
    "nobody there": {},
}
QUIET: dict[str, Any] = msgspec.structs.asdict(Switches())
OF_A_PROCESS = ("during", "garbage", "500", "slow", "nobody there")  # the sandbox has no line that could do this
REMOTE = ("sandbox", "nuonuo", "baiwang")
MATRIX = [(name, fault) for name in CHANNELS for fault in FAULTS if not (name == "sandbox" and fault in OF_A_PROCESS)]


@asynccontextmanager
async def trouble(bench: Bench, shop: Shop, name: str, fault: str) -> AsyncIterator[None]:
    """The channel in trouble for a while."""
    office, authority = shop.office, await bench.authority_of(name, alone=False)
    channel = office.channel
    office._numbering = (-1e9, office._numbering[1])
    if fault == "nobody there":
        file = bench.file(name, url="http://127.0.0.1:9")
        office.channel = open_outside(name, file, shanghai_now, live=False)
        office.outbox._carriers["report"]._channel = office.channel  # type: ignore[attr-defined]
    await authority.rehearse(**FAULTS[fault])
    try:
        yield
    finally:
        if office.channel is not channel:
            await office.channel.close()
        office.channel = channel
        office.outbox._carriers["report"]._channel = channel  # type: ignore[attr-defined]
        await authority.rehearse(**{switch: QUIET[switch] for switch in FAULTS[fault]})
        office._numbering = (-1e9, office._numbering[1])


async def confirm(shop: Shop, code: Code, key: str = "") -> Outcome:
    return await scan.confirm(shop.office, code.token, "me", COMPANY, issue_key=key or code.token)


async def upload(shop: Shop) -> None:
    """One turn of the outbox, as if its time had come."""
    async with shop.office.database.write() as transaction:
        await transaction.execute("UPDATE jobs SET next_at_ms = 0 WHERE state = 'waiting'")
    await shop.office.outbox.work_once()


async def here(shop: Shop) -> list[str]:
    """Numbers here."""
    rows = await shop.office.database.read("SELECT number FROM invoices ORDER BY number")
    return [row[0] for row in rows]


async def there(bench: Bench, shop: Shop, name: str) -> list[str]:
    """Numbers there: issued by call for serials of this shop, or reported."""
    ledger = (await bench.authority_of(name, alone=False))._ledger
    if name == "leqi":
        rows = await ledger.read("SELECT number FROM authority_uploads ORDER BY number")
    else:
        rows = await ledger.read("SELECT number FROM authority_issued ORDER BY number")
        reported = await ledger.read("SELECT number FROM authority_reports ORDER BY number")
        rows = sorted({*(row[0] for row in rows), *(row[0] for row in reported)})
        return [number for number in rows if name == "sandbox" or number[4] == "9"]
    return [row[0] for row in rows]


async def settled_here(shop: Shop, code: Code) -> None:
    """Until its outcome is known."""
    for _ in range(40):
        await pursue_all(shop)
        await upload(shop)
        rows = await shop.office.database.read(
            "SELECT (SELECT count(*) FROM issues WHERE state IN ('submitted', 'unknown')),"
            " (SELECT count(*) FROM jobs WHERE kind = 'report' AND state <> 'done')"
        )
        if (rows[0][0], rows[0][1]) == (0, 0):
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"not settled: {rows[0][0]} open, {rows[0][1]} not reported")


@pytest.mark.parametrize(("name", "fault"), MATRIX)
def test_in_every_trouble_there_is_one_invoice_on_either_side(bench: Bench, name: str, fault: str) -> None:
    """The customer taps twice while it lasts, the worker asks and uploads; afterwards each side has it once."""

    async def story() -> None:
        shop = await bench.shop(name)
        before_here, before_there = await here(shop), await there(bench, shop, name)
        code = await shop.code()
        async with trouble(bench, shop, name, fault):
            first, second = await confirm(shop, code), await confirm(shop, code, "another")
            told = {IssueState.SUBMITTED, IssueState.UNKNOWN, IssueState.ISSUED}
            assert {first.state, second.state} <= told or first.refusals[0].cause == "ISSUE-CHANNEL-DOWN"
            await pursue_all(shop)
            await upload(shop)
            assert len(await here(shop)) <= len(before_here) + 1
        if first.state is IssueState.REFUSED:
            first = await confirm(shop, code)  # nothing was submitted, and nothing stands in the way
        await settled_here(shop, code)
        final = await confirm(shop, code)
        assert final.state is IssueState.ISSUED and final.number is not None
        assert sorted({*await here(shop)} - {*before_here}) == [final.number]
        assert sorted({*await there(bench, shop, name)} - {*before_there}) == [final.number]

    bench.run(story())


@pytest.mark.parametrize("name", CHANNELS)
def test_after_all_that_the_audit_holds(bench: Bench, name: str) -> None:
    """Every invariant, over the shop that had all the trouble; and both sides hold the same."""

    async def story() -> None:
        shop = await bench.shop(name)
        assert await broken_invariants(shop) == []
        digests = await shop.office.database.read("SELECT number, digest, original FROM invoices")
        assert all(hashlib.sha256(bytes(row[2])).hexdigest() == row[1] for row in digests)

    bench.run(story())


@pytest.mark.parametrize("fault", ["during", "after", "garbage", "500", "slow"])
def test_a_block_whose_answer_was_lost_is_the_one_that_is_fetched(bench: Bench, fault: str) -> None:
    """乐企 gave it and we did not hear: asked again it is the same, and no numbers are lost on either side."""

    async def story() -> None:
        shop = await bench.shop("leqi")
        had = await blocks(bench, shop)
        async with trouble(bench, shop, "leqi", fault):
            with pytest.raises(Unavailable):
                await low(shop)
        assert await low(shop) == 1
        after = await blocks(bench, shop)
        assert (after[0] - had[0], after[1] - had[1]) == (1, 1), "one more here and one more there"

    bench.run(story())


async def low(shop: Shop) -> int:
    """A block is fetched, however many numbers are left."""
    shop.office.config, config = msgspec.structs.replace(shop.office.config, number_block=1_000), shop.office.config
    try:
        return await stock.fetch_numbers(shop.office, shop.id, SELLER_ID, f"{shop.office.now():%y}", below=10**9)
    finally:
        shop.office.config = config


async def blocks(bench: Bench, shop: Shop) -> tuple[int, int]:
    ours = await shop.office.database.read("SELECT count(*) FROM number_blocks")
    theirs = await bench.authority._ledger.read(
        "SELECT count(*) FROM authority_blocks WHERE last_sequence - first_sequence = 999"
    )
    return int(ours[0][0]), int(theirs[0][0])


def test_numbers_are_fetched_before_the_last_one_is_taken(bench: Bench) -> None:
    """With less than a fourth of a block left another one is there, and the next invoice waits for nobody."""

    async def story() -> None:
        office = (await bench.shop("leqi")).office
        shop, year = await new_shop(office, COMPANY.taxpayer_id), f"{office.now():%y}"
        for count in range(1, office.config.number_block):
            assert (await confirm(shop, await shop.code(buyer=PERSON), f"k{count}")).number
            left = office.config.number_block - count
            fetched = await stock.stock_once(office)
            assert fetched == (1 if left < office.config.number_block // stock.LOW_SHARE else 0)
        assert await numbers_left(office.database, shop.id, year) == office.config.number_block + 1
        assert await stock.stock_once(office) == 0, "once is enough"

    bench.run(story())


# ── deaths between two steps ───────────────────────────────────────────────────────────────────────────────────────


class PowerCut(BaseException):
    """The process is gone: nothing catches it."""


def _die(*_: object, **__: object) -> Any:
    raise PowerCut


@pytest.mark.parametrize("name", ["nuonuo", "baiwang"])
def test_a_death_between_answer_and_record_is_asked_after_first(
    bench: Bench, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The provider issued, the process died before writing it down: the next one asks, and finds it."""

    async def story() -> None:
        shop = await bench.shop(name)
        before, code = await there(bench, shop, name), await shop.code()
        with monkeypatch.context() as patch:
            patch.setattr(pursue, "settle_issued", _die)
            with pytest.raises(PowerCut):
                await pursue.first_call(shop.office, await intent_of(shop, code, patch))
        assert len(await there(bench, shop, name)) == len(before) + 1
        await settled_here(shop, code)
        assert len(await there(bench, shop, name)) == len(before) + 1
        assert (await confirm(shop, code)).state is IssueState.ISSUED

    bench.run(story())


async def intent_of(shop: Shop, code: Code, patch: pytest.MonkeyPatch) -> Any:
    """A request whose intent is on disk and that nobody has called for."""
    kept: list[Any] = []

    async def keep(office: Any, request: Any) -> Outcome:
        kept.append(request)
        return Outcome(IssueState.SUBMITTED)

    patch.setattr(issue, "_call", keep)
    await confirm(shop, code)
    return kept[0]


def test_a_death_between_a_block_and_its_record_loses_no_numbers(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The block was given, the process died before it was on disk: the next one is given the same."""

    async def story() -> None:
        shop = await bench.shop("leqi")
        had = await blocks(bench, shop)
        with monkeypatch.context() as patch:
            patch.setattr(stock, "add_block", _die)
            with pytest.raises(PowerCut):
                await low(shop)
        assert await low(shop) == 1
        after = await blocks(bench, shop)
        assert (after[0] - had[0], after[1] - had[1]) == (1, 1)

    bench.run(story())


def test_a_block_under_a_new_serial_each_time_would_be_lost(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: with a serial that is drawn anew, the first block stays there and nobody knows of it."""

    async def story() -> None:
        shop = await bench.shop("leqi")
        had = await blocks(bench, shop)
        fresh = SimpleNamespace(sha256=lambda _: SimpleNamespace(hexdigest=lambda: secrets.token_hex(32)))
        with monkeypatch.context() as patch:
            patch.setattr(stock, "hashlib", fresh)
            with monkeypatch.context() as death:
                death.setattr(stock, "add_block", _die)
                with pytest.raises(PowerCut):
                    await low(shop)
            await low(shop)
        after = await blocks(bench, shop)
        assert (after[0] - had[0], after[1] - had[1]) == (1, 2)

    bench.run(story())


def test_a_death_between_upload_and_record_uploads_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """乐企 took it, the process died: the next one, which remembers nothing, sends the same number; it stands once."""

    async def story() -> None:
        shop = await bench.shop("leqi")
        number = (await confirm(shop, await shop.code())).number
        office, real = shop.office, shop.office.channel
        with monkeypatch.context() as patch:
            patch.setattr("piaoma.delivery.outbox._DONE", "nonsense")
            with pytest.raises(Exception, match="nonsense"):
                await upload(shop)
        assert number in await there(bench, shop, "leqi")
        fresh = open_outside("leqi", bench.file("leqi"), shanghai_now, live=False)
        office.outbox._carriers["report"]._channel = fresh  # type: ignore[attr-defined]
        await upload(shop)
        rows = await office.database.read("SELECT state FROM jobs WHERE job_id = $1", f"{number}:report")
        assert rows[0][0] == "done" and (await there(bench, shop, "leqi")).count(str(number)) == 1
        office.outbox._carriers["report"]._channel = real  # type: ignore[attr-defined]
        await fresh.close()

    bench.run(story())


@pytest.mark.parametrize("name", ["nuonuo", "baiwang"])
def test_a_fresh_serial_for_an_unknown_outcome_would_issue_twice(
    bench: Bench, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control: sent as new, the provider has two invoices for one sale."""

    async def story() -> None:
        shop = await bench.shop(name)
        before, code = await there(bench, shop, name), await shop.code()
        with monkeypatch.context() as patch:
            patch.setattr(pursue, "serial_of", lambda request: secrets.token_hex(16))
            async with trouble(bench, shop, name, "after"):
                await confirm(shop, code)
            await pursue_all(shop)
        assert len(await there(bench, shop, name)) == len(before) + 2
        # Taken back, so that the audit of this shop stays one of sound behaviour.
        await settled_here(shop, code)

    bench.run(story())


@pytest.mark.parametrize("name", ["nuonuo", "baiwang"])
@pytest.mark.parametrize(
    ("believed", "made"), [(Meaning.UNKNOWN, 1), (Meaning.REFUSED, 2)], ids=["as it is", "control"]
)
def test_a_code_that_we_do_not_know_frees_nothing(
    bench: Bench, name: str, believed: Meaning, made: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order was taken, and answered with a code that no table has: the outcome stays open, and in the end there is
    one invoice. Negative control: read as a refusal it frees the code, and whoever scans next gets a second one."""
    real = channel_codes.Table.told

    def strange(self: channel_codes.Table, section: str, code: object, text: object = "") -> channel_codes.Told:
        told = real(self, section, code, text)
        return channel_codes.Told("X", "", believed, "ISSUE-REFUSED-BY-AUTHORITY") if section == "issue" else told

    async def story() -> None:
        shop = await bench.shop(name)
        before, code = await there(bench, shop, name), await shop.code()
        with monkeypatch.context() as patch:
            patch.setattr(channel_codes.Table, "told", strange)
            assert (await confirm(shop, code)).number is None
        await confirm(shop, code, "again")
        await settled_here(shop, code)
        assert len(await there(bench, shop, name)) - len(before) == made

    bench.run(story())


# ── corrections ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", CHANNELS)
@pytest.mark.parametrize("fault", ["before the call", "after", "late"])
def test_a_red_form_in_trouble_is_raised_once_and_gives_one_red_invoice(
    bench: Bench, name: str, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Raised, lost, asked after, and its red invoice issued by itself: one form and one red invoice on either side."""

    async def story() -> None:
        shop = await bench.shop(name)
        code = await shop.code()
        number = (await confirm(shop, code)).number
        assert number is not None
        await settled_here(shop, code)
        form_id = secrets.token_hex(8)
        office = shop.office

        async def known(*_: object) -> bool:
            return False

        with monkeypatch.context() as patch:
            patch.setattr(red, "is_used", known)
            async with trouble(bench, shop, name, fault):
                await red.raise_form(office, shop.id, number, RedReason.WRONG, form_id=form_id, made_by="test")
        for _ in range(40):
            async with office.database.write() as transaction:
                await transaction.execute(
                    "UPDATE red_forms SET next_query_at_ms = 0 WHERE next_query_at_ms IS NOT NULL"
                )
            await red.pursue_forms(office)
            await pursue_all(shop)
            form = await red._form(office, shop.id, form_id)
            if form.number:
                break
            await asyncio.sleep(0.1)
        assert form.number, form
        await settled_here(shop, code)
        ledger = (await bench.authority_of(name, alone=False))._ledger
        forms = await ledger.read("SELECT count(*) FROM authority_red_forms WHERE blue_number = $1", number)
        assert forms[0][0] == 1 and form.number in await there(bench, shop, name)

    bench.run(story())


def test_an_original_is_fetched_from_the_channel_alone(bench: Bench) -> None:
    """Whoever can make a provider's answer name another place does not make us go there."""
    from piaoma.channels.wire import Lost, Wire

    async def story() -> None:
        wire = Wire(f"http://127.0.0.1:{bench.port}")
        for elsewhere in ("http://127.0.0.1:9/x", "http://192.0.2.1/x", "file:///etc/passwd", "https://127.0.0.1/x"):
            with pytest.raises(Lost, match="elsewhere"):
                await wire.get(elsewhere)
        await wire.close()

    bench.run(story())


def test_a_form_sent_again_before_it_is_listed_would_be_two(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: 乐企 knows no serial, so a form that is asked after too early and sent again stands twice."""
    monkeypatch.setattr(leqi.Leqi, "forms_settle_seconds", 0.0)

    async def story() -> None:
        shop = await bench.shop("leqi")
        code = await shop.code()
        number = (await confirm(shop, code)).number
        assert number is not None
        await settled_here(shop, code)
        async with trouble(bench, shop, "leqi", "late"):
            await red.raise_form(shop.office, shop.id, number, RedReason.WRONG, form_id="twice", made_by="test")
            form = await red._form(shop.office, shop.id, "twice")
            await red._ask(shop.office, form)
        ledger = bench.authority._ledger
        forms = await ledger.read("SELECT count(*) FROM authority_red_forms WHERE blue_number = $1", number)
        assert forms[0][0] == 2

    bench.run(story())
