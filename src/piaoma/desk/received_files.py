"""Taking received invoices away (导出): one in every form there is, many as a table or as one zip."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from piaoma.documents.archive import zipped
from piaoma.documents.formats import FORMATS, file_name
from piaoma.documents.sheets import Cell, defused
from piaoma.invoice.money import from_fen, to_fen
from piaoma.invoice.refusal import Language, Refused, refuse

from . import exports, packing
from .events import Actor
from .received import Received, Wanted, file, files, read_parts, received, search

if TYPE_CHECKING:
    from .office import Office

RECEIVED_PACK_MAX = 500  # invoices in one zip
VIEWS = ("xml", "pdf", "ofd")  # of an invoice of this site
FORMS = ("json", "ubl", "xbrl")
PACKS = ("files", "xbrl", "json")
_HEAD = ("发票号码 number", "日期 date", "销售方 seller", "价税合计 total", "凭证 voucher", "文件 file", "SHA-256")


class Words(msgspec.Struct, frozen=True):
    """The words of a table in the language of whoever asks for it."""

    head: Sequence[str]
    states: Mapping[str, str]
    ways: Mapping[str, str]
    verdicts: Mapping[str, str]
    sum: str
    language: Language


async def original(office: Office, one: Received) -> bytes | None:
    """The original of a received invoice, where there is one."""
    if one.issuer_id is not None:
        return await office.view(one.issuer_id, one.number, "xml")
    found = [each for each in await files(office, one) if each.kind == "xml"]
    return (await file(office, one, found[0].digest))[1] if found else None


async def form_of(office: Office, one: Received, kind: str) -> tuple[str, bytes]:
    """(name, bytes) of a received invoice in a form that follows from its original.

    Raises ``Refused`` RECEIVED-NO-ORIGINAL, DOCUMENT-KIND, and as the form's writer or ``views.view``.
    """
    if kind in VIEWS and one.issuer_id is not None:
        return file_name(one.number, kind), await office.view(one.issuer_id, one.number, kind)
    if kind not in FORMS:
        raise refuse("DOCUMENT-KIND", have=kind[:10])
    data = await original(office, one)
    if data is None:
        raise refuse("RECEIVED-NO-ORIGINAL")
    return file_name(one.number, kind), await asyncio.to_thread(FORMATS[kind], data)


async def tabulate(office: Office, by: Actor, wanted: Wanted, kind: str, words: Words) -> str:
    """Begin to make a table of all that fit, in the background like other exports; its id.

    Raises ``Refused`` EXPORT-KIND, EXPORT-NOTHING, EXPORT-RUNNING.
    """
    if kind not in ("xlsx", "csv"):
        raise refuse("EXPORT-KIND", have=kind[:10])
    count = await _count(office, by.merchant_id, wanted)
    kept = msgspec.json.encode(wanted).decode()
    parts = _parts(office, by.merchant_id, wanted, words)
    return await exports.start(
        office, by, exports.Order(kind, "received", kept, count, tuple(words.head), words.sum, parts)
    )


async def _count(office: Office, merchant_id: int, wanted: Wanted) -> int:
    if wanted.numbers:
        for number in wanted.numbers:
            await received(office, merchant_id, number)
        return len(wanted.numbers)
    count = (await search(office, merchant_id, wanted)).count
    if not count:
        raise refuse("EXPORT-NOTHING")
    return count


async def _parts(office: Office, merchant_id: int, wanted: Wanted, words: Words) -> AsyncIterator[exports.Part]:
    async for part in read_parts(office, merchant_id, wanted):
        total_fen = sum(to_fen(one.total) for one in part if one.total is not None)
        yield exports.Part([_row(one, words) for one in part], len(part), total_fen)


def _row(one: Received, words: Words) -> list[Cell]:
    doubt = " ".join(each.what(words.language) for each in one.doubt)
    return [
        one.number, one.issued_on.isoformat() if one.issued_on else "", one.seller_name, one.seller_id, one.items,
        "" if one.amount is None else one.amount, "" if one.tax is None else one.tax,
        "" if one.total is None else one.total, words.states[one.mark], one.voucher, one.claimant, one.decided_by,
        f"{one.decided_at:%Y-%m-%d %H:%M}" if one.decided_at else "", words.ways[one.way.value], one.brought_by,
        f"{one.received_at:%Y-%m-%d %H:%M}", words.verdicts[one.verdict.value], doubt or one.reason,
    ]  # fmt: skip


async def pack(office: Office, merchant_id: int, wanted: Wanted, what: str) -> tuple[int, AsyncIterator[bytes]]:
    """How many, and the zip of their files as they came (``files``), or of one form of each, in pieces.

    Raises ``Refused`` EXPORT-KIND, EXPORT-NOTHING, EXPORT-TOO-MANY.
    """
    if what not in PACKS:
        raise refuse("EXPORT-KIND", have=what[:10])
    count = await _count(office, merchant_id, wanted)
    if count > RECEIVED_PACK_MAX:
        raise refuse("EXPORT-TOO-MANY", have=count, max=RECEIVED_PACK_MAX)
    return count, zipped(_files(office, merchant_id, wanted, what))


async def _files(office: Office, merchant_id: int, wanted: Wanted, what: str) -> AsyncIterator[tuple[str, bytes]]:
    rows = []
    async for part in read_parts(office, merchant_id, wanted):
        for one in part:
            try:
                made = await _of_one(office, one, what)
            except Refused as refused:
                rows.append(_listed(one, refused.refusals[0].cause, ""))
                continue
            for name, data in made:
                rows.append(_listed(one, name, hashlib.sha256(data).hexdigest()))
                yield name, data
    yield packing.MANIFEST, packing.manifest(_HEAD, rows)


async def _of_one(office: Office, one: Received, what: str) -> list[tuple[str, bytes]]:
    if what != "files":
        return [await form_of(office, one, what)]
    if one.issuer_id is not None:
        return [await form_of(office, one, kind) for kind in VIEWS]
    made = []
    for place, each in enumerate(await files(office, one)):
        data = (await file(office, one, each.digest))[1]
        ending = each.name.rpartition(".")[2].lower() if each.kind == "picture" else each.kind
        made.append((f"{one.number}-{place + 1}.{ending if ending.isalnum() else 'bin'}", data))
    return made


def _listed(one: Received, name: str, digest: str) -> list[str]:
    day = one.issued_on.isoformat() if one.issued_on else ""
    total = "" if one.total is None else str(from_fen(to_fen(one.total)))
    return [defused(one.number), day, defused(one.seller_name), total, defused(one.voucher), name, digest]
