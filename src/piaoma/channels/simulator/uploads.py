"""What is uploaded to the simulator: each invoice looked at, taken once, and told under the receipt of its batch."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from piaoma.invoice.issued import RedReference
from piaoma.invoice.money import to_fen

from ..ledger import Ledger
from ..sandbox import SandboxAuthority, Switches

_UPLOADED = "SELECT digest FROM authority_uploads WHERE number = $1 AND taxpayer_id = $2"
_ADD = """
INSERT INTO authority_uploads (number, taxpayer_id, digest, month, red, amount_fen, tax_fen)
VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (number) DO NOTHING
"""
_IN_BLOCK = """
SELECT 1 FROM authority_blocks WHERE taxpayer_id = $1 AND prefix = $2 AND $3 BETWEEN first_sequence AND last_sequence
"""
_SUMS = """
SELECT red, count(*), sum(amount_fen), sum(tax_fen) FROM authority_uploads
WHERE taxpayer_id = $1 AND month = $2 GROUP BY red
"""

Fields = Mapping[str, Any]


class Uploads:
    """The book of uploads."""

    def __init__(self, authority: SandboxAuthority, ledger: Ledger) -> None:
        self._authority = authority
        self._ledger = ledger

    async def take(self, invoices: Sequence[Fields], switches: Switches) -> str:
        """Take a batch in; its receipt. Results are told after ``late_ms``."""
        results = []
        for one in invoices:
            code, text = ("39", "演练 rehearsal") if switches.refuse else await self._take(one)
            results.append({"fphm": one["fphm"], "Code": code, "message": text})
        receipt = secrets.token_hex(16)
        ready_at_ms = int(self._authority.now().timestamp() * 1000) + switches.late_ms
        async with self._ledger.write() as transaction:
            await transaction.execute(
                "INSERT INTO authority_receipts (receipt, results, ready_at_ms) VALUES ($1, $2, $3)",
                receipt, json.dumps(results, ensure_ascii=False), ready_at_ms,
            )  # fmt: skip
        return receipt

    async def results(self, receipt: str) -> list[Fields] | None:
        """What became of a batch; all still worked on before its time; None when there is no such receipt."""
        rows = await self._ledger.read(
            "SELECT results, ready_at_ms FROM authority_receipts WHERE receipt = $1", receipt
        )
        if not rows:
            return None
        results: list[Fields] = json.loads(rows[0][0])
        if rows[0][1] > self._authority.now().timestamp() * 1000:
            return [{"fphm": one["fphm"], "Code": "02", "message": "处理中"} for one in results]
        return results

    async def is_there(self, taxpayer_id: str, number: str) -> bool:
        """Whether an invoice stands in the books."""
        return bool(await self._ledger.read(_UPLOADED, number, taxpayer_id))

    async def is_sum(self, asked: Fields) -> bool:
        """Whether a summary states what was uploaded."""
        sums = {row[0]: row for row in await self._ledger.read(_SUMS, asked["xsfnsrsbh"], asked["yf"])}
        for red, names in ((0, ("lzfpsl", "lzfpje", "lzfpse")), (1, ("hzfpsl", "hzfpje", "hzfpse"))):
            _, count, amount, tax = sums.get(red, (red, 0, 0, 0))
            stated = (int(asked[names[0]]), to_fen(Decimal(asked[names[1]])), to_fen(Decimal(asked[names[2]])))
            if stated != (count, amount, tax):
                return False
        return True

    async def _take(self, one: Fields) -> tuple[str, str]:
        """(code, text) of one invoice."""
        number, seller = str(one["fphm"]), str(one["xsfnsrsbh"])
        digest = hashlib.sha256(json.dumps(one, sort_keys=True, default=str).encode()).hexdigest()
        known = await self._ledger.read("SELECT digest FROM authority_uploads WHERE number = $1", number)
        if known:
            return ("31", "重复上传") if known[0][0] == digest else ("32", "号码已用于另一张发票")
        if not await self._ledger.read(_IN_BLOCK, seller, number[:5], int(number[5:])):
            return "32", "号码不在赋码段内"
        sums = [sum((Decimal(line[name]) for line in one["fpmxList"]), Decimal(0)) for name in ("je", "se", "hsje")]
        if sums != [Decimal(one[name]) for name in ("hjje", "hjse", "jshj")]:
            return "33", "合计与明细不符"
        red = one["lzfpbz"] == "1"
        if red:
            reference = RedReference(str(one["dylzfphm"]), str(one["hzqrxxdbh"]))
            places = [line.get("dylzfpmxxh") for line in one["fpmxList"]]
            if not one["hzqrduuid"] or not all(places) or not await self._authority.forms.is_issuable(reference):
                return "34", "红字信息确认单不能开票"
            await self._authority.forms.use_up(reference)
        async with self._ledger.write() as transaction:
            await transaction.execute(
                _ADD, number, seller, digest, str(one["kprq"])[:7], int(red), to_fen(sums[0]), to_fen(sums[1])
            )
        return "00", "成功"
