"""Packing (打包下载): the files of many invoices as one zip, sent while it is made; nowhere does it lie whole."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import TYPE_CHECKING

from piaoma import index
from piaoma.documents.archive import zipped
from piaoma.documents.sheets import defused
from piaoma.invoice.money import from_fen
from piaoma.invoice.refusal import Refused, refuse

from .indexing import catch_up
from .log import bundle_of

if TYPE_CHECKING:
    from .office import Office

PACK_MAX = 500  # invoices in one zip
PACK_KINDS = ("pdf", "ofd", "xml")
BUNDLE = "bundle"  # each invoice's bundle with its proof, which verifies offline
MANIFEST = "清单-manifest.csv"
_HEAD = ("发票号码 number", "日期 date", "购买方 buyer", "价税合计 total", "文件 file", "SHA-256")


async def choose(office: Office, merchant_id: int, wanted: index.Wanted) -> index.Selection:
    """What will be packed. Raises ``Refused`` EXPORT-NOTHING, EXPORT-TOO-MANY."""
    await catch_up(office)
    found = await index.select(office.database, merchant_id, wanted)
    if not found.count:
        raise refuse("EXPORT-NOTHING")
    if found.count > PACK_MAX:
        raise refuse("EXPORT-TOO-MANY", have=found.count, max=PACK_MAX)
    return found


def pack(office: Office, found: index.Selection, kinds: Sequence[str]) -> AsyncIterator[bytes]:
    """The zip in pieces. A file that cannot be drawn is named in the manifest with its cause, and the rest goes on."""
    return zipped(_files(office, found, kinds))


async def _files(office: Office, found: index.Selection, kinds: Sequence[str]) -> AsyncIterator[tuple[str, bytes]]:
    rows = []
    async for one in index.read(office.database, found):
        for kind in kinds:
            name = f"{one.number}-电子发票.{'zip' if kind == BUNDLE else kind}"
            try:
                if kind == BUNDLE:
                    data = await bundle_of(office, found.merchant_id, one.number)
                else:
                    data = await office.view(found.merchant_id, one.number, kind)
            except Refused as refused:
                name, digest = refused.refusals[0].cause, ""
            else:
                digest = hashlib.sha256(data).hexdigest()
                yield name, data
            row = (one.number, one.issued_on, one.buyer_name)
            # A sum below zero begins with a sign and is no formula.
            rows.append([*map(defused, row), str(from_fen(one.total_fen)), name, digest])
    yield MANIFEST, manifest(_HEAD, rows)


def manifest(head: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    """The list of what a zip holds, as a table that Excel reads."""
    listed = io.StringIO()
    writer = csv.writer(listed)
    writer.writerow(head)
    writer.writerows(rows)
    return ("\ufeff" + listed.getvalue()).encode()
