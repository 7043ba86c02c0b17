"""The office (办公室): everything that is open while the program runs, opened in order and closed in reverse."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from email.message import EmailMessage
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import piaoma
from piaoma.channels import Channel, Numbering, SessionState
from piaoma.codes.pickup import pickup_code
from piaoma.codes.symbol import pointer_url
from piaoma.codes.token import seal
from piaoma.delivery import Job, MailCarrier, Outbox, ReportCarrier, listening, to_folder, to_smtp
from piaoma.delivery.destination import Resolve, networks_of, resolve
from piaoma.delivery.webhook import UNLESS, WebhookCarrier
from piaoma.delivery.webhook import backoff_ms as webhook_backoff_ms
from piaoma.documents.cabinet import Cabinet
from piaoma.documents.check import CHECK_MEMORY_BYTES_MAX
from piaoma.documents.workers import Workers
from piaoma.invoice.classification import Classification, load
from piaoma.invoice.issued import IssuedInvoice
from piaoma.invoice.totals import invoice_of
from piaoma.store import (
    BatchWriter,
    Database,
    FolderLock,
    IssueRequest,
    Outcome,
    Sealed,
    StoreLocked,
    Transaction,
    enter_channel,
    open_database,
)
from piaoma.trust import SealSigner, Signer, sign_originals
from piaoma.trust.checkpoint import load_or_create_log_key, log_keys_in
from piaoma.trust.document_key import DocumentKey, open_document_key
from piaoma.trust.sealed_file import load_or_create_key

from . import devices, failures
from .api_keys import sealing_key
from .approve import finish_for_ever
from .batches import keep_batches
from .buyers import keep_buyers
from .channel import open_channel
from .config import Config
from .exports import keep_tidy
from .forwarding import keep_forwarding
from .happenings import HappeningCarrier, announce_dead
from .indexing import keep_index
from .keys import Keys, follow_keys, open_keys
from .log import keep_log
from .mailbox import MailIn, domain_of
from .mailed import note_mailed
from .notices import NoticeCarrier
from .once import Once, keep_forgetting, release
from .opens import What, keep_writing
from .pursue import pursue_for_ever
from .receipts import keep_purging
from .reissue import correct_for_ever
from .relations import CHAIN_MAX
from .share import letter
from .shelf import keep_shelves
from .static_codes import static_key
from .stock import keep_stocked
from .turned_away import TurnedAway
from .views import view
from .watch import keep_noting, keep_watch
from .webhooks import forget_for_ever as forget_events
from .webhooks import unseal_secret

SHANGHAI = ZoneInfo("Asia/Shanghai")
RESTORING = "restoring"  # a file in the data folder: a restore has begun and not ended
WEBHOOK_WORKERS_MAX = 4  # that send at a time, each some messages at once
NUMBERING_SECONDS = 0.5  # how long the channel's way of numbering is taken for granted


def shanghai_now() -> datetime:
    """The moment in Asia/Shanghai, whole seconds, as originals state it."""
    return datetime.now(SHANGHAI).replace(microsecond=0)


class Office:
    """What use cases work with. Made by ``open_office``."""

    def __init__(
        self,
        config: Config,
        database: Database,
        channel: Channel,
        keys: Keys,
        now: Callable[[], datetime],
    ) -> None:
        folder = config.data_folder
        self.config = config
        self.database = database
        self.channel = channel
        self.now = now
        self.keys = keys
        self.roots = (keys.root, *channel.roots)
        self.signing = keys.signing()  # replaced when there is another signer
        self.token_keys = (load_or_create_key(folder / "keys" / "token.key", config.secret),)
        self.static_keys = tuple(static_key(key) for key in self.token_keys)
        self.api_sealing_keys = tuple(sealing_key(key) for key in self.token_keys)
        self.cookie_key = load_or_create_key(folder / "keys" / "cookie.key", config.secret)
        self.log_key = load_or_create_log_key(
            folder / "keys" / "log.key", f"{urlsplit(config.base_url).netloc}/log", config.secret
        )
        self.log_keys = log_keys_in(folder / "keys")
        self.log_memory = folder / "keys" / "log.last"
        self.log_compared = False  # whether the log was found to go on from what stands there
        self.document_key: DocumentKey | None = None
        if config.pdf_signature == "p256":
            self.document_key = open_document_key(folder / "keys" / "document", config.secret.read(needed=False))
        self.cabinet = Cabinet(folder / "cache", config.render_workers)
        # Apart from those that draw: a hostile file delays no invoice.
        self.checkers = Workers(config.render_workers, CHECK_MEMORY_BYTES_MAX)
        self.checking = 0  # requests whose files are checked just now
        self.catalogue: Classification = load(folder / "classification.csv")
        self.writer = BatchWriter(database, self.seal)
        self.hand_over = to_smtp(config.smtp) if config.smtp else to_folder(folder / "mail")
        mail = MailCarrier(
            database, self.view, config.mail_from, self.mail_link, self.hand_over, self.letter,
            partial(note_mailed, self),
        )  # fmt: skip
        self.outbox = Outbox(
            database, {"report": ReportCarrier(database, channel), "mail": mail}, now, buried=self.announce_dead
        )
        notice = NoticeCarrier(database, config.mail_from, now, self.hand_over)
        self.notices = Outbox(database, {"notice": notice}, now, "notices")
        self.happenings = Outbox(database, {"announce": HappeningCarrier(self)}, now, "happenings")
        self.once = Once(self)
        self.webhooks = self.webhooks_by(resolve)
        self.provisioning: dict[int, asyncio.Lock] = {}
        self.failures: list[failures.Row] = []  # attempts that were refused and wait to be written
        self.devices: list[devices.Row] = []
        self.opens: dict[tuple[int, str, What], int] = {}  # counts that wait to be written
        self.exports: dict[tuple[int, str], asyncio.Task[None]] = {}  # files being made
        self.calls: set[asyncio.Task[Outcome]] = set()  # to remote channels, under way when nobody waits any more
        self.errands: set[asyncio.Task[None]] = set()  # what is done behind an answer that does not wait for it
        self.mail_in_port = 0  # at which mail is taken in, when it is
        self.to_be_shelved: dict[tuple[str, int, str], None] = {}  # (shelf, merchant, number), oldest first
        self.turned_away = TurnedAway()
        self.channel_known = (float("-inf"), SessionState.OK)  # when it was asked, and what it said of itself
        self._numbering: tuple[float, Numbering] = (-NUMBERING_SECONDS, Numbering.POOL)

    @property
    def signer(self) -> Signer:
        """Who signs now."""
        return self.signing.signer

    def webhooks_by(self, by: Resolve, tls: ssl.SSLContext | None = None) -> Outbox:
        """The outbox of webhooks, with what knows names and whom TLS trusts."""
        carrier = WebhookCarrier(
            self.database, self.now, partial(unseal_secret, self.cookie_key),
            networks_of(self.config.webhook_networks), f"Piaoma/{piaoma.__version__}", by, tls,
        )  # fmt: skip
        return Outbox(
            self.database, {"webhook": carrier}, self.now, "webhook_jobs", unless=UNLESS, backoff=webhook_backoff_ms
        )

    async def announce_dead(self, transaction: Transaction, jobs: Sequence[Job]) -> None:
        """See ``happenings.announce_dead``."""
        await announce_dead(transaction, jobs, self.now())

    @property
    def seal_signer(self) -> SealSigner:
        """Who sets the seal now."""
        return self.signing.seal_signer

    def seal(self, taken: Sequence[tuple[IssueRequest, str]]) -> list[Sealed]:
        """The signed originals of requests under their numbers, by one signer. Called in threads.

        Raises ``SignerFault``.
        """
        originals = sign_originals([_invoice(request, number) for request, number in taken], self.signer)
        return [Sealed(original, hashlib.sha256(original).hexdigest()) for original in originals]

    async def view(self, merchant_id: int, number: str, kind: str) -> bytes:
        """See ``views.view``."""
        return await view(self, merchant_id, number, kind)

    def token(self, merchant_id: int, code_id: int) -> str:
        """The token of a code, under the present key."""
        return seal(self.token_keys[0], merchant_id, code_id)

    def url(self, merchant_id: int, code_id: int) -> str:
        """What the symbol of a code holds."""
        return pointer_url(self.config.base_url, self.token(merchant_id, code_id))

    def static_token(self, merchant_id: int, static_id: int) -> str:
        """The token of a static code, under the present key."""
        return seal(self.static_keys[0], merchant_id, static_id)

    def static_url(self, merchant_id: int, static_id: int) -> str:
        """What the symbol of a static code holds."""
        return pointer_url(self.config.base_url, self.static_token(merchant_id, static_id), "T")

    async def mail_link(self, job: Job) -> str:
        """What a mail leads to: it says which mail it was, so that its sender can be told that it was opened."""
        link = await self.link_of(job.merchant_id, job.number)
        return f"{link}&m={job.job_id.rpartition(':')[2]}" if link else ""

    async def link_of(self, merchant_id: int, number: str) -> str:
        """Where an invoice can be fetched again: its code's page; empty when it was issued without a code."""
        place: str | None = number
        for _ in range(CHAIN_MAX):
            rows = await self.database.read(
                "SELECT code_id, corrects, replaces FROM invoices WHERE merchant_id = $1 AND number = $2",
                merchant_id, place,
            )  # fmt: skip
            if not rows:
                break
            if rows[0][0] is not None:
                return self.own_link(merchant_id, rows[0][0])
            # A red invoice, and one that took another's place, are found where that one is.
            place = rows[0][1] or rows[0][2]
        return ""

    async def letter(self, job: Job) -> EmailMessage:
        """See ``share.letter``."""
        return await letter(self, job)

    def own_link(self, merchant_id: int, code_id: int) -> str:
        """The result page of a code, for whoever has the link: it opens anywhere, without a cookie."""
        pickup = pickup_code(self.cookie_key, merchant_id, code_id)
        return f"{self.config.base_url}/s/{self.token(merchant_id, code_id)}/result?c={pickup}"

    async def numbering(self) -> Numbering:
        """How the channel numbers at present."""
        asked, known = self._numbering
        if time.monotonic() - asked >= NUMBERING_SECONDS:
            known = await self.channel.numbering()
            self._numbering = (time.monotonic(), known)
        return known


def _invoice(request: IssueRequest, number: str) -> IssuedInvoice:
    red = request.red.reference if request.red is not None else None
    return invoice_of(request.draft, request.lines, request.totals, number, request.issued_at, request.bureau, red)


def make_private(folder: Path) -> None:
    """The data folder, readable by nobody else: it holds keys, contacts and invoices."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    (folder / "keys").mkdir(exist_ok=True, mode=0o700)


@asynccontextmanager
async def open_office(
    config: Config, *, now: Callable[[], datetime] = shanghai_now, work: bool = True
) -> AsyncIterator[Office]:
    """Open everything, and close it in the end; ``work`` runs the outbox and the log and asks after
    open outcomes.

    Raises ``StoreLocked`` when another process or an unfinished restore holds the data folder, ``SchemaMismatch`` when
    the store belongs to another version, ``Refused`` KEYS-… when the keys do not open, CHANNEL-SWITCH-OPEN;
    ``ConfigFault``.
    """
    folder = config.data_folder
    if (folder / RESTORING).exists():
        raise StoreLocked(f"{folder} holds a restore that was not finished: run piaoma restore again")
    make_private(folder)
    lock = FolderLock(folder) if config.database_url.startswith("sqlite:") else None
    try:
        keys = open_keys(config, now)
        database = await open_database(config.database_url)
        try:
            await enter_channel(database, config.channel, now(), live=config.live)
            async with open_channel(config, lambda: office.signer, now) as channel:
                office = Office(config, database, channel, keys, now)
                async with _working(office, work, restarted=lock is not None):
                    yield office
        finally:
            keys.close()
            await database.close()
    finally:
        if lock is not None:
            lock.release()


@asynccontextmanager
async def _working(office: Office, work: bool, *, restarted: bool) -> AsyncIterator[None]:
    """What an office does by itself, from its first moment to its last. ``restarted`` says that no other process can
    be at work on the same store."""
    try:
        async with office.writer, office.once:
            if restarted:
                await release(office)
            tasks = [asyncio.create_task(errand) for errand in _errands(office)]
            try:
                if not work:
                    await _stop(tasks)
                async with AsyncExitStack() as open_now:
                    if work and office.config.mail_in:
                        mail_in = listening(office.config.mail_in, domain_of(office), MailIn(office))
                        office.mail_in_port = await open_now.enter_async_context(mail_in)
                    yield
            finally:
                await _stop([*tasks, *office.errands, *office.exports.values(), *office.calls])
    finally:
        await office.cabinet.close()
        office.checkers.close()


def _errands(office: Office) -> list[Coroutine[None, None, None]]:
    return [
        office.outbox.run(), office.notices.run(), office.happenings.run(),
        *(office.webhooks.run() for _ in range(WEBHOOK_WORKERS_MAX)), keep_forgetting(office), forget_events(office),
        pursue_for_ever(office), finish_for_ever(office),
        correct_for_ever(office), follow_keys(office), keep_stocked(office), keep_log(office), keep_shelves(office),
        keep_purging(office), keep_index(office), keep_buyers(office), keep_batches(office), keep_writing(office),
        keep_tidy(office), keep_forwarding(office), keep_noting(office), keep_watch(office),
    ]  # fmt: skip


async def _stop(tasks: Sequence[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
