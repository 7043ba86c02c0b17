"""Keys while the program runs: rotated, away, hung, dead in the middle. Nothing is lost, doubled, held up for ever."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from asn1crypto import pem

from piaoma.desk import keys, scan
from piaoma.desk.config import Config
from piaoma.desk.office import Office, open_office, shanghai_now
from piaoma.documents.check import Trusted, check
from piaoma.documents.ofd import read_ofd
from piaoma.invoice.original_reader import read
from piaoma.invoice.refusal import Refused
from piaoma.store import IssueRequest, IssueState, Outcome, Sealed, writer
from piaoma.trust import Verdict, open_or_create, outside_signer, verify_original
from piaoma.trust.keystore import rotate
from tests.channels.test_rehearsals import pursue_all, rehearse
from tests.conftest import COMPANY, Shop, fresh_database, new_shop, with_shop
from tests.store.test_writing import broken_invariants
from tests.trust.signing import SignerProcess
from tests.trust.signing import outside_signer as running_signer

WAIT_SECONDS_MAX = 20


async def confirm(shop: Shop, token: str) -> Outcome:
    return await scan.confirm(shop.office, token, "me", COMPANY, issue_key=token)


async def issued(shop: Shop) -> str:
    outcome = await confirm(shop, (await shop.code()).token)
    assert outcome.number, outcome
    return outcome.number


async def original_of(shop: Shop, number: str) -> bytes:
    return await shop.office.view(shop.id, number, "xml")


def signer_of(original: bytes) -> bytes:
    block = read(original).signature
    assert block is not None
    return block.key_info[0]


async def until(condition: object) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it never came"
        await asyncio.sleep(0.02)


async def touched(office: Office) -> list[tuple[object, ...]]:
    """Everything that issuing would change."""
    statements = (
        "SELECT issue_key, state, number FROM issues ORDER BY issue_key",
        "SELECT number FROM invoices ORDER BY number",
        "SELECT prefix, first_sequence, next_sequence FROM number_blocks ORDER BY prefix, first_sequence",
        "SELECT month, issued_fen, reserved_fen FROM quotas ORDER BY month",
        "SELECT code_id, state, holder, issue_key FROM codes ORDER BY code_id",
        "SELECT job_id FROM jobs ORDER BY job_id",
        "SELECT number FROM log_pending UNION SELECT number FROM log_leaves ORDER BY number",
    )
    return [tuple(row[at] for at in range(len(row))) for one in statements for row in await office.database.read(one)]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short waits, so that tests are."""
    monkeypatch.setattr(keys, "FOLLOW_SECONDS", 0.05)
    monkeypatch.setattr(outside_signer, "SIGN_SECONDS_MAX", 1.5)
    monkeypatch.setattr(outside_signer, "HELLO_SECONDS_MAX", 1.5)


@contextmanager
def outside(config: Config) -> Iterator[tuple[Config, SignerProcess]]:
    """A signer with a data folder of its own, and a server's configuration that knows its root and nothing private."""
    with tempfile.TemporaryDirectory(prefix="piaoma-signer-") as folder:
        data, socket = Path(folder) / "data", Path(folder) / "s"
        theirs = data / "keys" / "sandbox"
        open_or_create(theirs, shanghai_now())
        config.keys_folder.mkdir(parents=True)
        shutil.copy(theirs / "root.pem", config.keys_folder)
        with running_signer(data, socket) as process:
            yield msgspec.structs.replace(config, signer=f"unix:{socket}"), process


# ── rotation ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_rotation_takes_effect_in_a_running_server(config: Config, quick: None) -> None:
    """Under load: no invoice fails, each is signed by one of the two, later ones by the new one; all verify, and so do
    the sealed OFDs, the old one with its bytes unchanged."""

    async def story(shop: Shop) -> None:
        office = shop.office
        before = await issued(shop)
        sealed = await office.view(shop.id, before, "ofd")
        old = office.signer.certificates[0]
        codes = [await shop.code() for _ in range(16)]

        async def customer(at: int) -> str:
            await asyncio.sleep(at / 25)
            outcome = await confirm(shop, codes[at].token)
            assert outcome.number, outcome
            return outcome.number

        customers = [asyncio.create_task(customer(at)) for at in range(16)]
        await asyncio.sleep(0.2)
        await asyncio.to_thread(rotate, office.config.keys_folder, office.now(), office.config.secret)
        numbers = await asyncio.gather(*customers)
        await until(lambda: office.signer.certificates[0] != old)
        after = await issued(shop)
        new = office.signer.certificates[0]
        originals = [await original_of(shop, number) for number in (before, *numbers, after)]
        assert len(set(numbers)) == 16 and {signer_of(one) for one in originals} == {old, new}
        assert signer_of(originals[0]) == old and signer_of(originals[-1]) == new
        assert all(verify_original(one, office.roots).verdict is Verdict.VALID for one in originals)
        assert await office.view(shop.id, before, "ofd") == sealed
        for package, signer in ((sealed, old), (await office.view(shop.id, after, "ofd"), new)):
            assert check(package, Trusted(office.roots)).verdict is Verdict.VALID
            assert signer in read_ofd(package).package.parts["Doc_0/Signs/Sign_0/SignedValue.dat"]
        assert await broken_invariants(shop) == []

    with_shop(config, story, work=True)


def test_every_process_on_postgres_follows_a_rotation(postgres_server: str, tmp_path: Path, quick: None) -> None:
    """Two offices on one database and one folder of keys; afterwards a sale in either is signed by the new one."""
    config = Config(data=str(tmp_path), database=fresh_database(postgres_server))

    async def story() -> None:
        async with open_office(config) as one, open_office(config) as two:
            shop = await new_shop(one)
            old = one.signer.certificates[0]
            await asyncio.to_thread(rotate, config.keys_folder, one.now(), config.secret)
            for office in (one, two):
                await until(lambda office=office: office.signer.certificates[0] != old)
                number = await issued(Shop(office, shop.merchant))
                assert signer_of(await original_of(shop, number)) == one.signer.certificates[0]
            assert await broken_invariants(shop) == []

    asyncio.run(story())


def test_a_folder_that_breaks_while_it_runs_stops_no_sale(tmp_path: Path, quick: None) -> None:
    """Somebody spoils a key and rotates by hand: it is logged, and what was opened goes on signing."""

    async def story(shop: Shop) -> None:
        folder = shop.office.config.keys_folder
        (folder / "signer-2.key").write_bytes(b"spoiled")
        shutil.copy(folder / "signer.pem", folder / "signer-2.pem")
        await asyncio.sleep(0.3)
        assert await issued(shop)

    with_shop(Config(data=str(tmp_path)), story, work=True)


# ── an outside signer ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_server_needs_no_private_key(config: Config, quick: None) -> None:
    """Its folder holds the root's certificate alone; the secret beside it opens tokens, cookies and the log only.
    Invoices, seals and remote ones are signed outside, and verify."""
    with outside(config) as (there, _):

        async def story(shop: Shop) -> None:
            numbers = [await issued(shop) for _ in range(3)]
            await rehearse(shop.office, remote=True)
            numbers.append(await issued(shop))
            for number in numbers:
                verdict = verify_original(await original_of(shop, number), shop.office.roots)
                assert verdict.verdict is Verdict.VALID
            package = await shop.office.view(shop.id, numbers[0], "ofd")
            assert check(package, Trusted(shop.office.roots)).verdict is Verdict.VALID
            assert await broken_invariants(shop) == []

        with_shop(there, story)
        assert [path.name for path in there.keys_folder.iterdir()] == ["root.pem"]
        assert {path.stem for path in there.keys_folder.parent.rglob("*.key")} == {"token", "cookie", "log"}


def test_without_a_root_an_outside_signer_is_not_believed(tmp_path: Path) -> None:
    """Nobody outside says what is trusted: the start is refused. With another root nothing is signed."""
    config = Config(data=str(tmp_path / "data"))
    with outside(config) as (there, _):
        (there.keys_folder / "root.pem").unlink()

        async def start() -> None:
            async with open_office(there, work=False):
                pass

        with pytest.raises(Refused, match="KEYS-ROOT-MISSING"):
            asyncio.run(start())
        stranger = open_or_create(tmp_path / "stranger", shanghai_now())
        (there.keys_folder / "root.pem").write_bytes(pem.armor("CERTIFICATE", stranger.root))

        async def story(shop: Shop) -> None:
            code = await shop.code()
            before = await touched(shop.office)
            outcome = await confirm(shop, code.token)
            assert [one.cause for one in outcome.refusals] == ["ISSUE-SIGNER-NOT-FITTING"]
            assert await touched(shop.office) == before

        with_shop(there, story)


def test_a_dead_signer_costs_nothing_and_the_same_key_gives_one_invoice(config: Config, quick: None) -> None:
    """Dead before the sale, and dead in the middle of signing: number, claim, quota and log are as before; the customer
    is told that nothing was submitted; his next tap on the same button issues once."""
    with outside(config) as (there, process):

        async def story(shop: Shop) -> None:
            await issued(shop)
            codes = [await shop.code() for _ in range(6)]
            before = await touched(shop.office)

            process.pause()  # the questions are on their way when it dies
            confirms = [asyncio.create_task(confirm(shop, code.token)) for code in codes]
            await asyncio.sleep(0.2)
            process.kill()
            middle = await asyncio.gather(*confirms)
            dead = await asyncio.gather(*(confirm(shop, code.token) for code in codes))
            for outcome in (*middle, *dead):
                assert outcome.state is IssueState.REFUSED and not outcome.repeated
                assert [one.cause for one in outcome.refusals] == ["ISSUE-SIGNER-DOWN"]
            assert await touched(shop.office) == before
            assert await broken_invariants(shop) == []

            process.start()
            await until(lambda: shop.office.signer.fault_at(shop.office.now()) is None)
            twice = await asyncio.gather(*(confirm(shop, code.token) for code in codes * 2))
            assert len({outcome.number for outcome in twice}) == 6 and all(outcome.number for outcome in twice)
            count = await shop.office.database.read("SELECT count(*) FROM invoices")
            assert count[0][0] == 7 and await broken_invariants(shop) == []

        with_shop(there, story, work=True)


def test_a_hung_signer_holds_nobody_up_for_long(config: Config, quick: None) -> None:
    """While the first batch waits for its signatures, pages are read; it is given up in its time, later customers are
    told at once, and when the signer goes on, so does issuing, without a restart."""
    with outside(config) as (there, process):

        async def story(shop: Shop) -> None:
            await issued(shop)
            codes = [await shop.code() for _ in range(5)]
            process.pause()
            try:
                begun = time.monotonic()
                hanging = asyncio.create_task(confirm(shop, codes[0].token))
                reads = 0
                while not hanging.done():
                    await scan.scan(shop.office, codes[1].token, "me")
                    reads += 1
                    await asyncio.sleep(0.01)
                assert [one.cause for one in hanging.result().refusals] == ["ISSUE-SIGNER-DOWN"]
                assert reads > 5 and time.monotonic() - begun < WAIT_SECONDS_MAX / 2
                begun = time.monotonic()
                for code in codes:
                    assert (await confirm(shop, code.token)).refusals[0].cause == "ISSUE-SIGNER-DOWN"
                assert time.monotonic() - begun < 5 * outside_signer.SIGN_SECONDS_MAX, "nobody waits a second time"
            finally:
                process.resume()
            await until(lambda: shop.office.signer.fault_at(shop.office.now()) is None)
            assert all([(await confirm(shop, code.token)).number for code in codes])
            assert await broken_invariants(shop) == []

        with_shop(there, story, work=True)


def test_a_batch_is_not_tried_one_by_one_on_a_dead_signer(
    tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight in a batch are given up together, each asked for once. Without that (negative control) each is tried again
    alone."""
    with outside(Config(data=str(tmp_path / "data"))) as (there, process):

        async def story(shop: Shop) -> None:
            codes = [await shop.code() for _ in range(8)]
            await issued(shop)
            process.kill()
            tried: list[int] = []
            real = shop.office.writer._seal

            def counting(taken: Sequence[tuple[IssueRequest, str]]) -> list[Sealed]:
                tried.append(len(taken))
                return real(taken)

            monkeypatch.setattr(shop.office.writer, "_seal", counting)
            for careless in (False, True):
                tried.clear()
                shop.office.signer._line.down = False  # type: ignore[attr-defined]
                if careless:
                    monkeypatch.setattr(writer, "SignerDown", ZeroDivisionError)
                outcomes = await asyncio.gather(*(confirm(shop, code.token) for code in codes))
                assert {one.refusals[0].cause for one in outcomes} == {"ISSUE-SIGNER-DOWN"}
                assert (sum(tried) > len(codes)) is careless, tried

        with_shop(there, story)


def test_a_server_that_starts_before_its_signer_serves_and_waits(tmp_path: Path, quick: None) -> None:
    """Pages are there, issuing says why not, seals are refused with their own cause; then it comes by itself."""
    with outside(Config(data=str(tmp_path / "data"))) as (there, process):
        number = with_shop(there, issued)
        process.kill()

        async def story() -> None:
            async with open_office(there) as office:
                rows = await office.database.read("SELECT merchant_id FROM merchants")
                merchant_id = rows[0][0]
                assert office.signer.fault_at(office.now()) == "ISSUE-SIGNER-DOWN"
                with pytest.raises(Refused, match="DOCUMENT-SEAL-DOWN"):
                    await office.view(merchant_id, number, "ofd")
                assert await office.view(merchant_id, number, "xml")
                process.start()
                await until(lambda: office.signer.fault_at(office.now()) is None)
                assert await office.view(merchant_id, number, "ofd")

        asyncio.run(story())


def test_a_remote_intent_waits_for_its_signer_and_is_issued_once(config: Config, quick: None) -> None:
    """Where the channel numbers by the call, a dead signer means that nothing was submitted yet: 开票中, then once."""
    with outside(config) as (there, process):

        async def story(shop: Shop) -> None:
            await rehearse(shop.office, remote=True)
            code = await shop.code()
            signer = shop.office.signer
            process.kill()
            outcome = await confirm(shop, code.token)
            assert outcome.state is IssueState.SUBMITTED
            process.start()
            await asyncio.to_thread(shop.office.keys.signing)
            assert shop.office.signer is signer
            await pursue_all(shop)
            await pursue_all(shop)
            outcome = await confirm(shop, code.token)
            assert outcome.number and (await shop.office.database.read("SELECT count(*) FROM invoices"))[0][0] == 1
            assert await broken_invariants(shop) == []

        with_shop(there, story)


# ── the seal ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_seal_is_not_set_with_a_certificate_that_has_ended(tmp_path: Path) -> None:
    """The clock is years ahead: the OFD is refused, nothing is kept; the clock put right, it is sealed."""

    async def story(shop: Shop) -> None:
        number = await issued(shop)
        real = shop.office.now
        shop.office.now = lambda: real().replace(year=real().year + 30)
        with pytest.raises(Refused, match="DOCUMENT-SEAL-NOT-VALID"):
            await shop.office.view(shop.id, number, "ofd")
        assert await shop.office.view(shop.id, number, "xml") and await shop.office.view(shop.id, number, "pdf")
        shop.office.now = real
        assert (await shop.office.database.read("SELECT count(*) FROM seals"))[0][0] == 0
        assert await shop.office.view(shop.id, number, "ofd")

    with_shop(Config(data=str(tmp_path)), story)
