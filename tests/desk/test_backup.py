"""Backup and restore on both engines: nothing that was used since is used again, and no half of it is ever open."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from piaoma.desk import accounts, backup, merchant, scan, staff
from piaoma.desk.backup import MANIFEST, check_backup, restore, take_backup
from piaoma.desk.config import Config
from piaoma.desk.indexing import catch_up
from piaoma.desk.log import bundle_of, sequence_once
from piaoma.desk.office import RESTORING, open_office
from piaoma.desk.roles import Role
from piaoma.documents.check import Trusted, check
from piaoma.invoice.refusal import Refused
from piaoma.store import IssueState, Renewal, StoreLocked
from piaoma.trust import Verdict
from tests.conftest import COMPANY, Shop, fresh_database, with_shop
from tests.store.test_writing import broken_invariants


@pytest.fixture
def elsewhere(config: Config, tmp_path: Path, request: pytest.FixtureRequest) -> Config:
    """Another machine: an empty folder, and on PostgreSQL an empty database."""
    database = fresh_database(request.getfixturevalue("postgres_server")) if config.database else ""
    return Config(data=str(tmp_path / "elsewhere"), database=database)


@pytest.fixture
def config(config: Config, tmp_path: Path) -> Config:
    """In a folder of its own, with small blocks."""
    return msgspec.structs.replace(config, data=str(tmp_path / "here"), number_block=5)


@contextmanager
def refused(cause: str, have: str = "") -> Iterator[None]:
    """The block is refused for a cause, over something that is named."""
    with pytest.raises(Refused) as caught:
        yield
    (refusal,) = caught.value.refusals
    assert refusal.cause == cause and have in refusal.values.get("have", "")


async def issue(shop: Shop, token: str = "") -> str:
    token = token or (await shop.code()).token
    outcome = await scan.confirm(shop.office, token, "me", COMPANY, issue_key=token)
    assert outcome.state is IssueState.ISSUED and outcome.number is not None
    return outcome.number


def in_shop(config: Config, story: Callable[[Shop], Awaitable[None]]) -> None:
    """A story of the first shop of a store that is there."""

    async def tell() -> None:
        async with open_office(config, work=False) as office:
            merchant_id = (await office.database.read("SELECT min(merchant_id) FROM merchants"))[0][0]
            await story(Shop(office, await merchant.merchant(office, merchant_id)))

    asyncio.run(tell())


def the_day_it_broke(config: Config, target: Path) -> tuple[list[str], str, bytes]:
    """Three invoices, a backup while the office is open, then two that the backup lacks, over the end of a block.

    The numbers of all, the token of the last, which was open at the backup, and the bundle of the first.
    """

    async def story(shop: Shop) -> tuple[list[str], str, bytes]:
        numbers = [await issue(shop) for _ in range(4)]
        late = (await shop.code()).token
        await sequence_once(shop.office)
        await catch_up(shop.office)
        await take_backup(config, target)
        numbers += [await issue(shop), await issue(shop, late)]
        await sequence_once(shop.office)
        return numbers, late, await bundle_of(shop.office, shop.id, numbers[0])

    return with_shop(config, story)


def test_nothing_used_since_the_backup_is_used_again(config: Config, elsewhere: Config, tmp_path: Path) -> None:
    """Numbers, codes, the log: as others know them, not as the backup does."""
    numbers, late, bundle = the_day_it_broke(config, tmp_path / "backup")
    assert len(set(numbers)) == 6
    renewal = asyncio.run(restore(elsewhere, tmp_path / "backup"))
    assert renewal == Renewal(2, 1, 1)

    async def go_on(shop: Shop) -> None:
        assert await broken_invariants(shop) == []
        outcome = await scan.confirm(shop.office, late, "me", COMPANY, issue_key=late)
        assert [one.cause for one in outcome.refusals] == ["CODE-REVOKED"]
        again = [await issue(shop) for _ in range(7)]
        assert set(again).isdisjoint(numbers) and len(set(again)) == 7
        assert await sequence_once(shop.office) == 7, "the older ones are in the new log already"
        await catch_up(shop.office)
        assert await broken_invariants(shop) == [], "the index has followed the new log"
        key = shop.office.log_key.public
        assert key.name.endswith("/log-2")
        assert len(shop.office.log_keys) == 2
        known = tuple(each.line() for each in shop.office.log_keys.values())
        assert check(bundle, Trusted(shop.office.roots, known)).verdict is Verdict.VALID, "proofs of the ended log hold"
        assert check(bundle, Trusted(shop.office.roots, (key.line(),))).verdict is Verdict.UNKNOWN
        assert await shop.office.database.read("SELECT 1 FROM sessions") == []

    in_shop(elsewhere, go_on)


def test_without_the_renewal_numbers_and_codes_come_twice(
    config: Config, elsewhere: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: files put back, and nothing else."""
    numbers, late, _ = the_day_it_broke(config, tmp_path / "backup")

    async def nothing(*_: object) -> Renewal:
        return Renewal(1, 0, 0)

    monkeypatch.setattr(backup, "_begin_again", nothing)
    asyncio.run(restore(elsewhere, tmp_path / "backup"))

    async def go_on(shop: Shop) -> None:
        assert await issue(shop, late) in numbers

    in_shop(elsewhere, go_on)


@pytest.mark.parametrize("step", ["_put_back", "_begin_again", "restore"])
def test_a_restore_that_dies_is_never_opened_and_can_be_run_again(
    config: Config, elsewhere: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """It dies before a step, or at the very end; no office opens what is there."""
    numbers, _, _ = the_day_it_broke(config, tmp_path / "backup")
    with monkeypatch.context() as patch:

        def die(*_: object) -> None:
            raise KeyboardInterrupt

        patch.setattr(backup, "_sync_all" if step == "restore" else step, die)
        with pytest.raises(KeyboardInterrupt):
            asyncio.run(restore(elsewhere, tmp_path / "backup"))

    async def never(_: Shop) -> None:
        raise AssertionError

    with pytest.raises(StoreLocked, match="restore"):
        in_shop(elsewhere, never)
    assert asyncio.run(restore(elsewhere, tmp_path / "backup")).epoch == 2

    async def go_on(shop: Shop) -> None:
        assert {await issue(shop) for _ in range(3)}.isdisjoint(numbers)
        assert await broken_invariants(shop) == []

    in_shop(elsewhere, go_on)


def test_a_second_restore_is_a_third_life(
    config: Config, elsewhere: Config, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """A backup of a restored store, put back: another epoch, another log, again no number twice."""
    the_day_it_broke(config, tmp_path / "backup")
    asyncio.run(restore(elsewhere, tmp_path / "backup"))
    seen: list[str] = []

    async def some(shop: Shop) -> None:
        seen.extend([await issue(shop) for _ in range(2)])

    in_shop(elsewhere, some)
    asyncio.run(take_backup(elsewhere, tmp_path / "second"))
    in_shop(elsewhere, some)
    database = fresh_database(request.getfixturevalue("postgres_server")) if config.database else ""
    third = Config(data=str(tmp_path / "third"), database=database)
    assert asyncio.run(restore(third, tmp_path / "second")).epoch == 3
    in_shop(third, some)
    assert len(set(seen)) == 6

    async def three(shop: Shop) -> None:
        assert shop.office.log_key.public.name.endswith("/log-3")
        assert len(shop.office.log_keys) == 3

    in_shop(third, three)


def test_what_is_not_whole_is_not_put_back(tmp_path: Path) -> None:
    """Each file changed, added or missing is named, and nothing is made."""
    copy = tmp_path / "backup"
    the_day_it_broke(Config(data=str(tmp_path / "here")), copy)
    whole = check_backup(copy)
    assert {"keys/token.key", "keys/log.key", "store/invoices.rows"} <= set(whole.parts)
    for name in (*whole.parts, MANIFEST, "keys/other"):
        kept = (copy / name).read_bytes() if name != "keys/other" else b""
        (copy / name).write_bytes(kept + b"}")
        with refused("BACKUP-DAMAGED", name):
            check_backup(copy)
        (copy / name).unlink()
        if kept:
            with refused("BACKUP-DAMAGED", name):
                asyncio.run(restore(Config(data=str(tmp_path / "elsewhere")), copy))
            (copy / name).write_bytes(kept)
    assert check_backup(copy) == whole
    assert not (tmp_path / "elsewhere").exists()


def test_nothing_is_overwritten(config: Config, tmp_path: Path) -> None:
    """Neither an old backup, nor a data folder in use."""
    the_day_it_broke(config, tmp_path / "backup")
    before = (tmp_path / "backup" / MANIFEST).read_bytes()
    with refused("BACKUP-TARGET-EXISTS"):
        asyncio.run(take_backup(config, tmp_path / "backup"))
    with refused("BACKUP-TARGET-EXISTS"):
        asyncio.run(restore(config, tmp_path / "backup"))
    assert (tmp_path / "backup" / MANIFEST).read_bytes() == before


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_a_backup_of_one_engine_goes_into_the_other(
    config: Config, tmp_path: Path, engine: str, request: pytest.FixtureRequest
) -> None:
    """All rows of all tables are equal on the other side, and it works on."""
    numbers, _, _ = the_day_it_broke(config, tmp_path / "backup")
    database = fresh_database(request.getfixturevalue("postgres_server")) if engine == "postgres" else ""
    other = Config(data=str(tmp_path / "other"), database=database, number_block=5)
    asyncio.run(restore(other, tmp_path / "backup"))
    asyncio.run(take_backup(other, tmp_path / "again"))
    changed = {"codes", "number_blocks", "unused_numbers", "sessions", "epochs", "channels"}
    for file in (tmp_path / "backup" / "store").iterdir():
        if file.stem not in changed and not file.stem.startswith(("log_", "index_")):
            again = (tmp_path / "again" / "store" / file.name).read_bytes()
            assert sorted(rows_in(file.read_bytes())) == sorted(rows_in(again)), file.name

    async def go_on(shop: Shop) -> None:
        assert await issue(shop) not in numbers
        assert await broken_invariants(shop) == []

    in_shop(other, go_on)


def rows_in(data: bytes) -> Iterator[bytes]:
    """The rows of a file as they were written, after the names of the columns."""
    place = 4 + int.from_bytes(data[:4])
    while place < len(data):
        length = int.from_bytes(data[place : place + 4])
        yield data[place + 4 : place + 4 + length]
        place += 4 + length


def test_a_database_in_use_and_a_newer_backup_are_refused(config: Config, tmp_path: Path) -> None:
    """An empty folder does not mean an empty database."""
    the_day_it_broke(config, tmp_path / "backup")
    other = Config(data=str(tmp_path / "other"), database=config.database or config.database_url)
    with refused("BACKUP-STORE-IN-USE"):
        asyncio.run(restore(other, tmp_path / "backup"))
    manifest = check_backup(tmp_path / "backup")
    newer = msgspec.structs.replace(manifest, migrations=manifest.migrations | {"store": 99})
    (tmp_path / "backup" / MANIFEST).write_bytes(msgspec.json.encode(newer))
    with refused("BACKUP-NEWER"):
        check_backup(tmp_path / "backup")


def test_rows_that_do_not_fit_are_refused(config: Config, elsewhere: Config, tmp_path: Path) -> None:
    """A backup whose list was made to fit: cut files, other types, other columns; nothing of it can be opened."""
    the_day_it_broke(config, tmp_path / "backup")
    file = tmp_path / "backup" / "store" / "invoices.rows"
    whole = file.read_bytes()
    for data in (
        whole[:-1],
        whole[:7],
        b"\0\0\0\1\x91",
        b"\0\0\0\5\x91\xa3a b",
        whole.replace(b"number", b"nummer", 1),
    ):
        file.write_bytes(data)
        fitting = msgspec.json.decode((tmp_path / "backup" / MANIFEST).read_bytes(), type=backup.Manifest)
        parts = fitting.parts | {"store/invoices.rows": backup._part(file)}
        (tmp_path / "backup" / MANIFEST).write_bytes(msgspec.json.encode(msgspec.structs.replace(fitting, parts=parts)))
        with refused("BACKUP-DAMAGED", "invoices.rows"):
            asyncio.run(restore(elsewhere, tmp_path / "backup"))
        assert (elsewhere.data_folder / RESTORING).exists()


def test_a_backup_under_load_is_of_one_moment(tmp_path: Path) -> None:
    """Issuing goes on while copies are made one after the other; each copy audits clean."""
    config = Config(data=str(tmp_path / "here"))

    async def story(shop: Shop) -> None:
        stop = asyncio.Event()

        async def customers() -> int:
            done = 0
            while not stop.is_set():
                await asyncio.gather(*(issue(shop) for _ in range(8)))
                done += 8
            return done

        working = asyncio.create_task(customers())
        for turn in range(4):
            await take_backup(config, tmp_path / f"backup{turn}")
        stop.set()
        assert await working > 0

    with_shop(config, story, work=True)
    counts = []
    for turn in range(4):
        file = tmp_path / f"backup{turn}" / "store" / "invoices.rows"
        counts.append(len(list(rows_in(file.read_bytes()))))

        async def holds(shop: Shop) -> None:
            assert await broken_invariants(shop) == []

        target = Config(data=str(tmp_path / f"restored{turn}"))
        asyncio.run(restore(target, tmp_path / f"backup{turn}"))
        in_shop(target, holds)
    assert counts == sorted(counts)


def test_people_come_back_and_their_open_links_do_not(config: Config, elsewhere: Config, tmp_path: Path) -> None:
    """A password works as before; an invitation that may have been used since the backup is dead, its mail is not sent
    again; every table that migrations left is in the backup, under its present name."""

    async def before(shop: Shop) -> str:
        secret = await staff.invite(shop.office, shop.actor, "某", Role.OWNER, "someone@example.cn", None)
        await take_backup(config, tmp_path / "backup")
        return secret

    secret = with_shop(config, before)
    files = {file.name.removesuffix(".rows") for file in (tmp_path / "backup").rglob("*.rows")}
    assert {"people", "memberships", "events", "factors", "tills"} <= files and "users" not in files
    asyncio.run(restore(elsewhere, tmp_path / "backup"))

    async def afterwards(shop: Shop) -> None:
        login = (await shop.office.database.read("SELECT login FROM people"))[0][0]
        assert (await accounts.log_in(shop.office, login, "a long password")).role is Role.OWNER
        with refused("LINK-DEAD"):
            await staff.invitation(shop.office, secret)
        assert await shop.office.database.read("SELECT 1 FROM notices WHERE state = 'waiting'") == []

    in_shop(elsewhere, afterwards)
