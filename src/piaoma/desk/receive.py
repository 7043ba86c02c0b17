"""Taking in (收票): files that were uploaded or mailed, each judged like any file from outside and kept with that.

A number is there once: a second file of it is told with who brought the first and what became of that, and is kept
beside it when it is another form of the same invoice. What others could mail in never changes what was booked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from piaoma.documents.check import FILE_BYTES_MAX
from piaoma.documents.contents import Carried, carried, is_archive, spread
from piaoma.documents.facts import Facts, disagreements
from piaoma.documents.receiving import Company, key_of, title_item
from piaoma.documents.report import Light, Report, Source
from piaoma.documents.workers import WorkerFailed
from piaoma.invoice.money import to_fen
from piaoma.invoice.red import BlueState
from piaoma.invoice.refusal import Refusal, Refused, refuse
from piaoma.store import Transaction, milliseconds, write_block
from piaoma.trust import Verdict

from .events import Actor, record
from .forwarding import tell_holders
from .merchant import Merchant, merchant
from .received import COLUMNS, NUMBER_MAX, Received, State, Way, received_of
from .relations import owner_of, standing
from .verify import File, verify_files

if TYPE_CHECKING:
    from .office import Office

RECEIVE_FILES_MAX = 100  # of one upload or mail, those in zips counted each
RECEIVE_BYTES_MAX = 10 * 1024 * 1024  # of a file that is kept
FORMS_MAX = 8  # files that are kept of one invoice
OPEN_SECONDS_MAX = 8  # of the processor, to open a zip or look for an original
FILE_NAME_MAX = 120  # characters of a name that are kept

_BETTER = (Verdict.INVALID, Verdict.UNKNOWN, Verdict.VALID)
_LOOKED_AT = ("file", "qr", "title", "red")  # whose △ says that somebody must look; a test sample's number need not
_KINDS = {
    Source.XML: "xml", Source.PDF: "pdf", Source.OFD: "ofd", Source.PICTURE: "picture", Source.BUNDLE: "zip",
}  # fmt: skip


class Taken(msgspec.Struct, frozen=True):
    """What became of a file: ``kept`` as a new invoice, ``known`` (its number was there before; ``added`` tells whether
    the file is kept with it), or ``refused``. ``refusals`` say why, also what is doubtful about one that was kept."""

    file: str
    done: Literal["kept", "known", "refused"]
    number: str = ""
    refusals: tuple[Refusal, ...] = ()
    added: bool = False


class Judged(msgspec.Struct, frozen=True):
    """A file with all that is known of it. ``issuer_id`` is the merchant of this site that issued it."""

    file: File
    report: Report
    carried: Carried | None = None
    issuer_id: int | None = None
    reversal: str = ""

    @property
    def number(self) -> str:
        return key_of(self.report.facts)


async def receive(office: Office, by: Actor, files: Sequence[File], way: Way) -> list[Taken]:
    """Take in files for the actor's merchant; what became of each, those in zips one by one.

    Raises ``Refused`` FILE-NONE, RECEIVE-TOO-MANY before anything is kept, VERIFY-BUSY: then it may be sent again.
    """
    whole = await _spread(office, files)
    if not whole:
        raise refuse("FILE-NONE", "files")
    own = await merchant(office, by.merchant_id)
    taken = []
    for file, refusal in whole:
        if refusal is not None:
            taken.append(Taken(file.name, "refused", refusals=(refusal,)))
            continue
        judged = await judge(office, own, file)
        if not judged.number or len(judged.number) > NUMBER_MAX:
            taken.append(Taken(file.name, "refused", refusals=judged.report.reasons or (Refusal("FILE-KIND"),)))
        else:
            taken.append(await keep(office, by, judged, way))
            await _look_again(office, judged)
    return taken


async def _look_again(office: Office, judged: Judged) -> None:
    """Whether an invoice of this site was taken back between its judgement and its keeping: whoever follows the log
    may have passed it before it was there. From now on it is found there."""
    if judged.issuer_id is None:
        return
    known = await standing(office.database, judged.issuer_id, judged.number)
    reversal = _REVERSALS.get(known.state, "") if known else ""
    if known is None or known.changed_at is None or reversal in ("", judged.reversal):
        return
    blue, at, seller = (judged.issuer_id, judged.number), known.changed_at, judged.report.facts.seller_name

    async def work(transaction: Transaction) -> None:
        await tell_holders(transaction, office, blue, reversal, at, seller)

    await write_block(office.database, work)


_REVERSALS = {BlueState.RED: "wholly", BlueState.PARTLY_RED: "partly"}


async def _spread(office: Office, files: Sequence[File]) -> list[tuple[File, Refusal | None]]:
    """Every file, those of zips in their place, with why it is not looked at."""
    found: list[tuple[File, Refusal | None]] = []
    for file in files:
        if len(file.data) > FILE_BYTES_MAX or not is_archive(file.data):
            found.append((file, _too_large(file)))
            continue
        try:
            parts = await office.checkers.run(OPEN_SECONDS_MAX, spread, file.data)
        except Refused as refused:
            found.append((file, refused.refusals[0]))
        except WorkerFailed as failed:
            found.append((file, Refusal("FILE-LIMIT", "", {"have": failed.reason})))
        else:
            inside = [File(PurePosixPath(name).name[-FILE_NAME_MAX:], data) for name, data in parts]
            found += [(one, _too_large(one)) for one in inside]
    if len(found) > RECEIVE_FILES_MAX:
        raise refuse("RECEIVE-TOO-MANY", "files", have=len(found), max=RECEIVE_FILES_MAX)
    return found


def _too_large(file: File) -> Refusal | None:
    if len(file.data) <= RECEIVE_BYTES_MAX:
        return None
    return Refusal("RECEIVE-FILE-LARGE", "", {"have": str(len(file.data) >> 20), "max": str(RECEIVE_BYTES_MAX >> 20)})


async def judge(office: Office, own: Merchant, file: File) -> Judged:
    """Verify a file as its receiver. Raises ``Refused`` VERIFY-BUSY."""
    report = (await verify_files(office, [file]))[0]
    if not key_of(report.facts):
        return Judged(file, report)
    report = report.with_items([title_item(report.facts, Company(own.name, own.taxpayer_id))])
    inside = None
    if report.digest:
        try:
            inside = await office.checkers.run(OPEN_SECONDS_MAX, carried, file.data)
        except WorkerFailed:  # it was checked; only what a list shows of it is not known
            inside = None
    if inside is not None and hashlib.sha256(inside.original).hexdigest() != report.digest:
        inside = None  # not what was judged
    if report.light("record") is not Light.OK:
        return Judged(file, report, inside)
    issuer_id = await owner_of(office, report.facts.number)
    known = None if issuer_id is None else await standing(office.database, issuer_id, report.facts.number)
    return Judged(file, report, inside, issuer_id, _REVERSALS.get(known.state, "") if known else "")


def doubts(report: Report) -> tuple[Refusal, ...]:
    """Why somebody must look at an invoice before it is booked; none when nothing speaks against it."""
    grave = [item for item in report.items if item.light is Light.BAD]
    look = [item for item in report.items if item.light is Light.WARN and item.name in _LOOKED_AT]
    return tuple(reason for item in (*grave, *look) for reason in item.reasons)


def _forged(report: Report) -> bool:
    """Whether something is wrong with the file itself, not only that the invoice was taken back since."""
    return any(one.light is Light.BAD and one.name != "red" for one in report.items)


async def keep(office: Office, by: Actor, judged: Judged, way: Way) -> Taken:
    """Keep a judged file, as a new invoice or with the one that has its number, and tell it in the trail."""
    now = office.now()

    async def work(transaction: Transaction) -> Taken:
        doubt = doubts(judged.report)
        state = State.DOUBTFUL if doubt else State.WAITING
        if await transaction.execute(_ADD, by.merchant_id, judged.number, state.value, way.value, by.name,
                                     milliseconds(now), *_stated(judged, doubt), milliseconds(now)):  # fmt: skip
            await _keep_files(transaction, by, judged, milliseconds(now))
            told = {"file": judged.file.name, "state": state.value}
            await record(transaction, by, now, "received.add", judged.number, after=told)
            return Taken(judged.file.name, "kept", judged.number, doubt)
        lock = _LOCK.format(for_update=office.database.dialect.for_update)
        row = (await transaction.fetch(lock, by.merchant_id, judged.number))[0]
        return await _second(transaction, office, by, judged, received_of(row, now.tzinfo), way)

    return await write_block(office.database, work)


_ADD = """
INSERT INTO received_invoices (merchant_id, number, state, way, brought_by, received_at_ms, issued_on, amount_fen,
    tax_fen, total_fen, seller_name, seller_id, buyer_name, buyer_id, items, verdict, report, doubt, issuer_id,
    corrects, reversal, judged_at_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)
ON CONFLICT (merchant_id, number) DO NOTHING
"""
_LOCK = f"SELECT {COLUMNS} FROM received_invoices t WHERE merchant_id = $1 AND number = $2 {{for_update}}"  # noqa: S608
# What was booked or returned stays so; only of what still waits is the judgement replaced.
_JUDGE_AGAIN = """
UPDATE received_invoices SET issued_on = $3, amount_fen = $4, tax_fen = $5, total_fen = $6, seller_name = $7,
    seller_id = $8, buyer_name = $9, buyer_id = $10, items = $11, verdict = $12, report = $13, doubt = $14,
    issuer_id = $15, corrects = $16, reversal = $17, judged_at_ms = $18, state = $19
WHERE merchant_id = $1 AND number = $2 AND state IN ('waiting', 'doubtful')
"""
_SHOW = "UPDATE received_invoices SET way = $3, brought_by = $4 WHERE merchant_id = $1 AND number = $2"


def _stated(judged: Judged, doubt: tuple[Refusal, ...]) -> tuple[Any, ...]:
    """The columns that come from a file, in the order of the statements."""
    facts, report = judged.report.facts, judged.report
    sums = [None if one is None else to_fen(one) for one in (facts.amount, facts.tax, facts.total)]
    inside = judged.carried
    return (
        facts.issued_on.isoformat() if facts.issued_on else "", *sums, facts.seller_name, facts.seller_id,
        facts.buyer_name, facts.buyer_id, inside.items if inside else "", report.verdict.value,
        msgspec.json.encode(report).decode(), msgspec.json.encode(doubt).decode() if doubt else "", judged.issuer_id,
        inside.corrects if inside else "", judged.reversal,
    )  # fmt: skip


async def _second(
    transaction: Transaction, office: Office, by: Actor, judged: Judged, known: Received, way: Way
) -> Taken:
    """A number that is there already."""
    now_ms = milliseconds(office.now())
    told = _told(known)
    ranks = _BETTER.index(judged.report.verdict), _BETTER.index(known.verdict)
    genuine = ranks[0] > ranks[1] or (known.report is None and ranks[0] == ranks[1])
    waits = known.state in (State.WAITING, State.DOUBTFUL)
    stated = Facts(number=judged.report.facts.number, issued_on=known.issued_on, total=known.total)
    if any(disagreements(stated, judged.report.facts)) and not (genuine and waits):
        return Taken(judged.file.name, "refused", judged.number, (Refusal("RECEIVED-DIFFERS"), told))
    if known.verdict is not Verdict.INVALID and _forged(judged.report):
        return Taken(judged.file.name, "refused", judged.number, (*doubts(judged.report), told))
    if known.way is Way.SITE and way is not Way.SITE:
        # Whoever holds the file may see it, also before the operator has confirmed who they are.
        await transaction.execute(_SHOW, by.merchant_id, judged.number, way.value, by.name)
    added = await _keep_files(transaction, by, judged, now_ms)
    if added and waits and genuine:
        doubt = doubts(judged.report)
        state = State.DOUBTFUL if doubt else State.WAITING
        await transaction.execute(_JUDGE_AGAIN, by.merchant_id, judged.number, *_stated(judged, doubt), now_ms,
                                  state.value)  # fmt: skip
    if added:
        await record(transaction, by, office.now(), "received.add", judged.number, after={"file": judged.file.name})
    return Taken(judged.file.name, "known", judged.number, (told,), added)


def _told(known: Received) -> Refusal:
    """That a number is there, since when, by whom, and what became of it."""
    if known.state is State.BOOKED:
        at = f"{known.decided_at:%Y-%m-%d %H:%M}"
        return Refusal("RECEIVED-BOOKED", "", {"when": at, "who": known.decided_by, "voucher": known.voucher})
    values = {"when": f"{known.received_at:%Y-%m-%d %H:%M}", "who": known.brought_by or known.seller_name}
    return Refusal("RECEIVED-RETURNED" if known.state is State.RETURNED else "RECEIVED-TWICE", "", values)


_KEEP = """
INSERT INTO received_files (merchant_id, number, digest, kind, name, data, added_at_ms, added_by)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (merchant_id, number, digest) DO NOTHING
"""
_FORMS = "SELECT count(*) FROM received_files WHERE merchant_id = $1 AND number = $2"


async def _keep_files(transaction: Transaction, by: Actor, judged: Judged, now_ms: int) -> bool:
    """Keep the file, and the original that it carries beside it; whether the file is new."""
    if (await transaction.fetch(_FORMS, by.merchant_id, judged.number))[0][0] >= FORMS_MAX:
        return False
    kind = _KINDS[judged.report.source]
    kept = [(kind, judged.file.name[-FILE_NAME_MAX:], judged.file.data)]
    if judged.carried is not None and kind != "xml":
        kept.append(("xml", f"{judged.number}.xml", judged.carried.original))
    new = [
        await transaction.execute(_KEEP, by.merchant_id, judged.number, hashlib.sha256(data).hexdigest(), each, name,
                                  data, now_ms, by.name)
        for each, name, data in kept
    ]  # fmt: skip
    return bool(new[0])
