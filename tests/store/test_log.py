"""The log on both engines: leaves within one turn, proofs that hold, nothing lost or doubled by a crash or a race."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from piaoma.desk import merchant, scan
from piaoma.desk.config import Config
from piaoma.desk.log import proof_of, sequence_once
from piaoma.desk.office import open_office
from piaoma.store import LogFault, consistency, latest_checkpoint, log
from piaoma.trust import merkle
from piaoma.trust.checkpoint import Checkpoint
from tests.conftest import COMPANY, Shop, new_shop, with_shop
from tests.store.test_writing import broken_invariants


async def issue(shop: Shop, count: int = 1) -> list[str]:
    """The numbers of so many new invoices."""

    async def one() -> str:
        code = await shop.code()
        outcome = await scan.confirm(shop.office, code.token, "me", COMPANY, issue_key=code.token)
        assert outcome.number is not None
        return outcome.number

    return await asyncio.gather(*(one() for _ in range(count)))


async def digest_of(shop: Shop, number: str) -> bytes:
    rows = await shop.office.database.read("SELECT original FROM invoices WHERE number = $1", number)
    return hashlib.sha256(rows[0][0]).digest()


async def assert_proven(shop: Shop, number: str) -> None:
    """The proof leads from the original to the root of a checkpoint that the log signed."""
    proof = await proof_of(shop.office, shop.id, number)
    assert proof is not None
    checkpoint = shop.office.log_key.public.opened(proof.note)
    leaf = merkle.leaf_hash(merkle.commitment(proof.salt, await digest_of(shop, number)))
    assert merkle.root_from_inclusion(leaf, proof.leaf, checkpoint.size, proof.hashes) == checkpoint.root


def test_every_invoice_gets_a_proof_and_all_checkpoints_agree(config: Config) -> None:
    """Three turns over 300 invoices, so that a tile is full; proofs of all; consistency between all checkpoints."""

    async def story(shop: Shop) -> None:
        numbers = []
        for count in (1, 280, 19):
            numbers += await issue(shop, count)
            assert await sequence_once(shop.office) == count
            assert await sequence_once(shop.office) == 0
        for number in numbers[::17]:
            await assert_proven(shop, number)
        rows = await shop.office.database.read("SELECT size, root FROM log_checkpoints ORDER BY size")
        signed = [(row[0], bytes(row[1])) for row in rows]
        assert [size for size, _ in signed] == [1, 281, 300]
        for older, older_root in signed:
            for size, root in signed:
                if older <= size:
                    proof = await consistency(shop.office.database, older, size)
                    assert merkle.is_consistent(older, older_root, size, root, proof)
        assert await broken_invariants(shop) == []

    with_shop(config, story)


def test_a_working_office_logs_within_a_second(config: Config) -> None:
    """Nobody asks; the invoice is in the log by itself. An empty log is signed too."""

    async def story(shop: Shop) -> None:
        number = (await issue(shop))[0]
        await asyncio.sleep(1)
        rows = await shop.office.database.read("SELECT leaf FROM log_leaves WHERE number = $1", number)
        assert len(rows) == 1
        assert (await latest_checkpoint(shop.office.database) or "").split("\n")[1] == "1"

    with_shop(config, story, work=True)


def test_a_proof_is_the_same_whenever_it_is_asked_for(config: Config) -> None:
    """It leads to the first checkpoint that covers the invoice, so a bundle has the same bytes for ever."""

    async def story(shop: Shop) -> None:
        number = (await issue(shop))[0]
        first = await proof_of(shop.office, shop.id, number)
        await issue(shop, 3)
        await sequence_once(shop.office)
        assert first is not None and first == await proof_of(shop.office, shop.id, number)
        assert await proof_of(shop.office, shop.id + 1, number) is None

    with_shop(config, story)


@pytest.mark.parametrize("dies_at", ["execute_many", "execute"])
def test_a_turn_that_dies_leaves_the_log_as_it_was(
    config: Config, monkeypatch: pytest.MonkeyPatch, dies_at: str
) -> None:
    """Before the leaves, or just before the checkpoint: the next turn does it all, once."""

    async def story(shop: Shop) -> None:
        numbers = await issue(shop, 3)
        async with shop.office.database.write() as transaction:
            kind = type(transaction)

        async def die(*_: object) -> None:
            raise RuntimeError("killed")

        with monkeypatch.context() as patch:
            patch.setattr(kind, dies_at, die)
            with pytest.raises(RuntimeError, match="killed"):
                await sequence_once(shop.office)
        assert (await shop.office.database.read("SELECT count(*) FROM log_leaves"))[0][0] == 0
        assert await sequence_once(shop.office) == 3
        await assert_proven(shop, numbers[0])
        assert await broken_invariants(shop) == []

    with_shop(config, story)


def test_two_processes_give_each_leaf_one_place(config: Config) -> None:
    """Two offices on PostgreSQL, or two tasks on SQLite, sequence at once while invoices come."""

    async def story() -> None:
        async with open_office(config, work=False) as office:
            shop = await new_shop(office)
            if config.database:
                async with open_office(config, work=False) as other:
                    await race(shop, other.database)
            else:
                await race(shop, office.database)

    async def race(shop: Shop, other: object) -> None:
        async def sequencer(database: object) -> None:
            for _ in range(20):
                await log.sequence(database, shop.office.log_key, 0)  # type: ignore[arg-type]
                await asyncio.sleep(0)

        numbers, *_ = await asyncio.gather(issue(shop, 60), sequencer(shop.office.database), sequencer(other))
        await sequence_once(shop.office)
        await assert_proven(shop, numbers[-1])
        assert await broken_invariants(shop) == []

    asyncio.run(story())


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE log_tiles SET hashes = (SELECT salt FROM log_leaves LIMIT 1)",
        "UPDATE log_checkpoints SET root = (SELECT salt FROM log_leaves LIMIT 1)",
        "UPDATE log_checkpoints SET note = replace(note, '/log', '/lag')",
        "DELETE FROM log_tiles",
    ],
)
def test_nothing_is_signed_that_does_not_follow(config: Config, statement: str) -> None:
    """Tiles or checkpoint were changed behind the program's back: it stops, and the invoice goes on waiting."""

    async def story(shop: Shop) -> None:
        await issue(shop)
        await sequence_once(shop.office)
        async with shop.office.database.write() as transaction:
            await transaction.execute(statement)
        number = (await issue(shop))[0]
        with pytest.raises(LogFault):
            await sequence_once(shop.office)
        assert (await shop.office.database.read("SELECT count(*) FROM log_pending"))[0][0] == 1
        assert await proof_of(shop.office, shop.id, number) is None

    with_shop(config, story)


def test_without_the_proof_a_fork_would_be_signed(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control of the test above: with the check taken out, the log signs a tree that forgets a leaf."""

    async def story(shop: Shop) -> None:
        await issue(shop, 1)
        await sequence_once(shop.office)
        async with shop.office.database.write() as transaction:
            await transaction.execute("UPDATE log_tiles SET hashes = (SELECT salt FROM log_leaves LIMIT 1)")
        await issue(shop)
        monkeypatch.setattr(merkle, "is_consistent", lambda *_: True)
        assert await sequence_once(shop.office) == 1
        assert "I8" in await broken_invariants(shop)

    with_shop(config, story)


def test_invoices_that_are_older_than_the_log_are_taken_in(config: Config) -> None:
    """A store from before the log has invoices and nothing that waits: the first turn finds them all."""

    async def story(shop: Shop) -> None:
        numbers = await issue(shop, 3)
        async with shop.office.database.write() as transaction:
            await transaction.execute("DELETE FROM log_pending")
        numbers += await issue(shop, 1)
        assert "I8" in await broken_invariants(shop)
        assert await sequence_once(shop.office) == 4
        for number in numbers:
            await assert_proven(shop, number)
        assert await broken_invariants(shop) == []

    with_shop(config, story)


@pytest.mark.parametrize("remembered", [True, False])
def test_a_store_from_a_backup_does_not_fork_the_log(tmp_path: Path, remembered: bool) -> None:
    """Two leaves, a backup, a third; put back, another third must not take its place. Without the memory it would."""
    config, store = Config(data=str(tmp_path)), tmp_path / "piaoma.sqlite3"

    async def begin(shop: Shop) -> int:
        await issue(shop, 2)
        assert await sequence_once(shop.office) == 2
        return shop.id

    async def add(shop: Shop) -> None:
        await issue(shop)
        assert await sequence_once(shop.office) == 1

    async def add_after_restore(shop: Shop) -> None:
        number = (await issue(shop))[0]
        with pytest.raises(LogFault, match="had 3"):
            await sequence_once(shop.office)
        assert await proof_of(shop.office, shop.id, number) is None
        assert await shop.office.database.read("SELECT number FROM log_pending") != []

    def with_the_shop(story: Callable[[Shop], Awaitable[None]]) -> None:
        async def tell() -> None:
            async with open_office(config, work=False) as office:
                await story(Shop(office, await merchant.merchant(office, shop_id)))

        asyncio.run(tell())

    shop_id = with_shop(config, begin)
    backup = store.read_bytes()
    with_the_shop(add)
    store.write_bytes(backup)
    if remembered:
        with_the_shop(add_after_restore)
    else:
        (tmp_path / "keys" / "log.last").unlink()
        with_the_shop(add)


def test_a_log_that_was_made_anew_is_not_gone_on_with(config: Config) -> None:
    """As long as what this machine saw, but other leaves: the memory's root does not fit."""

    async def story(shop: Shop) -> None:
        await issue(shop, 3)
        await sequence_once(shop.office)
        seen = shop.office.log_key.public.opened(shop.office.log_memory.read_text())
        other = shop.office.log_key.signed(Checkpoint(seen.origin, 2, bytes(32)))
        shop.office.log_memory.write_text(other)
        shop.office.log_compared = False
        with pytest.raises(LogFault, match="not the one of 2 leaves"):
            await sequence_once(shop.office)

    with_shop(config, story)
