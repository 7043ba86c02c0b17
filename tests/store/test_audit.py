"""Every invariant fires when it is broken: a check that cannot fail is a defect."""

from __future__ import annotations

import pytest

from piaoma.desk import scan
from piaoma.desk.config import Config
from tests.conftest import COMPANY, Shop, with_shop
from tests.store.test_writing import broken_invariants

BREAK = {
    "I1": "UPDATE invoices SET digest = 'x'",
    "I2": "UPDATE number_blocks SET prefix = '25990'",
    "I3": "UPDATE number_blocks SET next_sequence = next_sequence + 1",
    "I4": "UPDATE codes SET state = 'submitted'",
    "I5": "UPDATE quotas SET issued_fen = issued_fen + 1",
    "I7": "UPDATE invoices SET buyer_name = '别人'",
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
