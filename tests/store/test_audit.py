"""Every invariant fires when it is broken: a check that cannot fail is a defect."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from piaoma import index
from piaoma.desk import red, scan
from piaoma.desk.config import Config
from piaoma.desk.indexing import catch_up
from piaoma.desk.log import sequence_once
from piaoma.invoice.red import RedLine
from piaoma.invoice.red_form import RedFormEvent, Side
from piaoma.store import audit
from tests.conftest import COMPANY, Shop, with_shop
from tests.store.test_writing import broken_invariants

BREAK = {
    "I1": "UPDATE invoices SET digest = 'x'",
    "I2": "UPDATE number_blocks SET prefix = '25990'",
    "I3": "UPDATE number_blocks SET next_sequence = next_sequence + 1",
    "I4": "UPDATE codes SET state = 'submitted'",
    "I5": "UPDATE quotas SET issued_fen = issued_fen + 1",
    "I6": "UPDATE invoices SET taken_fen = 1",
    "I7": "UPDATE invoices SET buyer_name = '别人'",
    "I8": "DELETE FROM log_pending",
    "I9": "DELETE FROM jobs",
    "I10": "UPDATE issues SET amount_fen = amount_fen + 1",
    "I11": "UPDATE jobs SET number = '0'",
    "I12": "UPDATE issues SET state = 'unknown', number = NULL, settled_at_ms = NULL",
}


@pytest.mark.parametrize("name", BREAK)
def test_a_broken_invariant_is_found(config: Config, name: str) -> None:
    """One statement breaks the store behind the program's back; the audit names it, and was silent before."""

    async def story(shop: Shop) -> None:
        code = await shop.code()
        await scan.confirm(shop.office, code.token, "me", COMPANY, issue_key="k")
        assert await broken_invariants(shop) == []
        async with shop.office.database.write() as transaction:
            await transaction.execute(BREAK[name])
        assert name in await broken_invariants(shop)

    with_shop(config, story)


BREAK_RED = {
    "the blue one says less": "UPDATE invoices SET taken_fen = taken_fen - 1 WHERE taken_fen > 0",
    "the red one names another": "UPDATE invoices SET corrects = '99' WHERE corrects IS NOT NULL",
    "the red one names none": "UPDATE invoices SET corrects = NULL WHERE corrects IS NOT NULL",
    "the red one is above zero": "UPDATE invoices SET total_fen = 1, amount_fen = 1, tax_fen = 0 WHERE taken_fen = 0",
    "its lines are missing": "DELETE FROM red_lines",
    "its lines say more": "UPDATE red_lines SET amount_fen = amount_fen * 1000",
    "its lines are of another item": "UPDATE red_lines SET place = place + 7",
    "its lines are of another issue": "UPDATE red_lines SET issue_key = 'x'",
    "its form is another's": "UPDATE red_forms SET blue_number = 'x'",
    "its form has another number": "UPDATE red_forms SET form_number = '26997000000000009999'",
    "its form is void": "UPDATE red_forms SET issue_key = NULL, state = '08'",
    "its form is used by nobody": "UPDATE red_forms SET issue_key = 'x'",
    "quota was given back": "UPDATE invoices SET quota_fen = -1 WHERE corrects IS NOT NULL",
    "the new one replaces nothing": "UPDATE invoices SET replaces = 'x' WHERE replaces IS NOT NULL",
    "the old one is not red": "UPDATE invoices SET replaces = number, taken_fen = 0 WHERE replaces IS NOT NULL",
    "the request names another": "UPDATE reissues SET new_number = red_number",
    "the request's red is none": "UPDATE reissues SET red_number = new_number",
    "the request is gone": "DELETE FROM reissues",
}


@pytest.mark.parametrize("name", BREAK_RED)
def test_a_broken_correction_is_found(tmp_path: Path, name: str) -> None:
    """I6, each of its parts: a 换开 and a part taken back of another invoice, then one statement behind the program's
    back. The case of I6 above is tried on both engines."""
    from tests.desk.test_red import issued, take_back, use
    from tests.desk.test_reissue import claimed, start

    async def story(shop: Shop) -> None:
        await start(shop, (await claimed(shop)).number)
        number = await issued(shop, "106.00")
        await use(shop, number)
        form = await take_back(shop, number, RedLine(0, Decimal("-50.00"), Decimal("-3.00")))
        await red.act(shop.office, form, RedFormEvent.CONFIRM, Side.BUYER)
        assert await broken_invariants(shop) == []
        async with shop.office.database.write() as transaction:
            await transaction.execute(BREAK_RED[name])
        assert "I6" in await broken_invariants(shop)

    with_shop(Config(data=str(tmp_path)), story)


def test_a_flipped_bit_in_an_original_is_found(config: Config) -> None:
    """P5: one bit of the stored XML, with its digest made to fit."""
    import hashlib

    async def story(shop: Shop) -> None:
        code = await shop.code()
        await scan.confirm(shop.office, code.token, "me", COMPANY, issue_key="k")
        original = bytearray((await shop.office.database.read("SELECT original FROM invoices"))[0][0])
        original[1500] ^= 1
        async with shop.office.database.write() as transaction:
            digest = hashlib.sha256(original).hexdigest()
            await transaction.execute("UPDATE invoices SET original = $1, digest = $2", bytes(original), digest)
        assert "I1" in await broken_invariants(shop)

    with_shop(config, story)


BREAK_INDEX = {
    "an entry is missing": "DELETE FROM index_entries",
    "a day has another sum": "UPDATE index_days SET tax_fen = tax_fen + 1",
    "a day is missing": "DELETE FROM index_days",
    "a month has another tax": "UPDATE index_taxes SET tax_fen = tax_fen + 1",
    "a block has another size": "UPDATE index_blocks SET size = size + 1",
    "a block has another sum": "UPDATE index_blocks SET total_sum = total_sum - 1",
}


@pytest.mark.parametrize("name", BREAK_INDEX)
def test_a_broken_index_is_found(config: Config, name: str) -> None:
    """I13, each of its parts; silent before, and silent again when the index is built anew."""

    async def story(shop: Shop) -> None:
        code = await shop.code()
        await scan.confirm(shop.office, code.token, "me", COMPANY, issue_key="k")
        assert await catch_up(shop.office) == 0
        assert await broken_invariants(shop) == []
        async with shop.office.database.write() as transaction:
            await transaction.execute(BREAK_INDEX[name])
        assert await broken_invariants(shop) == ["I13"]
        await index.rebuild(shop.office.database)
        assert await catch_up(shop.office) == 0
        assert await broken_invariants(shop) == []

    with_shop(config, story)


BREAK_LOG = {
    "a leaf is missing": "DELETE FROM log_leaves WHERE leaf = 1",
    "a leaf has another place": "UPDATE log_leaves SET leaf = 9 WHERE leaf = 1",
    "a leaf is of another salt": "UPDATE log_leaves SET salt = commitment WHERE leaf = 1",
    "a leaf says something else": "UPDATE log_leaves SET commitment = salt WHERE leaf = 1",
    "an original was replaced": "UPDATE invoices SET digest = '00' || substr(digest, 3)",
    "a root was replaced": "UPDATE log_checkpoints SET root = (SELECT salt FROM log_leaves WHERE leaf = 0)",
    "a note was replaced": "UPDATE log_checkpoints SET note = ''",
    "a note was signed by nobody": """UPDATE log_checkpoints SET note = substr(note, 1, length(note) - 10) || 'AAAAAAAA'
        || substr(note, length(note) - 1)""",
    "a checkpoint is from elsewhere": "UPDATE log_checkpoints SET size = size + 7 WHERE size = 2",
    "the last checkpoint is missing": "DELETE FROM log_checkpoints WHERE size = 3",
    "a tile is missing": "DELETE FROM log_tiles",
    "a tile was replaced": "UPDATE log_tiles SET hashes = (SELECT salt FROM log_leaves WHERE leaf = 0)",
}


@pytest.mark.parametrize("name", BREAK_LOG)
def test_a_broken_log_is_found(config: Config, name: str) -> None:
    """I8, each of its parts: two checkpoints over three leaves, then one statement behind the program's back."""

    async def story(shop: Shop) -> None:
        for count in (2, 1):
            for _ in range(count):
                code = await shop.code()
                await scan.confirm(shop.office, code.token, "me", COMPANY, issue_key=code.token)
            assert await sequence_once(shop.office) == count
        assert await broken_invariants(shop) == []
        async with shop.office.database.write() as transaction:
            await transaction.execute(BREAK_LOG[name])
        assert "I8" in await broken_invariants(shop)

    with_shop(config, story)


def test_an_invoice_that_waits_for_a_minute_is_found(config: Config) -> None:
    """The log has to take an invoice in soon, not some day."""

    async def story(shop: Shop) -> None:
        code = await shop.code()
        await scan.confirm(shop.office, code.token, "me", COMPANY, issue_key="k")
        issued_ms = (await shop.office.database.read("SELECT issued_at_ms FROM invoices"))[0][0]

        async def broken(after_ms: int) -> list[str]:
            findings = await audit(
                shop.office.database, lambda _: None, shop.office.log_key.public.fault, now_ms=issued_ms + after_ms
            )
            return [finding.name for finding in findings if finding.broken]

        assert await broken(59_000) == []
        assert await broken(61_000) == ["I8"]
        await sequence_once(shop.office)
        assert await broken(61_000) == []

    with_shop(config, story)
