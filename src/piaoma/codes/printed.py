"""The QR text printed on an invoice, with its CRC: writing one form, reading what occurs (einvoice.md §2 [C])."""

from __future__ import annotations

import re
from datetime import date, datetime
from decimal import Decimal

import msgspec

from piaoma.invoice.draft import InvoiceKind
from piaoma.invoice.issued import IssuedInvoice

TYPES = {InvoiceKind.SPECIAL: "31", InvoiceKind.GENERAL: "32"}
_POLYNOMIAL = 0x8005
_TEXT = re.compile(
    r"01,(?P<type>\d{2}),(?P<code>\d{0,12}),(?P<number>\d{8}|\d{20}),(?P<amount>-?\d{1,16}(?:\.\d{1,2})?),"
    r"(?P<date>\d{8}),(?P<check>\d{0,20})(?:,(?P<crc>[0-9A-Fa-f]{4}))?,?"
)


def _table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        crc = byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ _POLYNOMIAL if crc & 0x8000 else crc << 1) & 0xFFFF
        table.append(crc)
    return tuple(table)


_TABLE = _table()


def crc16(data: bytes) -> int:
    """CRC-16 with polynomial 0x8005, from 0, not reflected, no final xor. ``123456789`` gives 0xFEE8."""
    crc = 0
    for byte in data:
        crc = (crc << 8 & 0xFF00) ^ _TABLE[crc >> 8 ^ byte]
    return crc


class PrintedCode(msgspec.Struct, frozen=True):
    """What a printed QR says. ``crc_holds`` is None when there is no checksum; a mismatch is suspicious, not proof."""

    type: str
    code: str
    number: str
    amount: Decimal
    issued_on: date
    crc_holds: bool | None
    check: str = ""  # 校验码 of an older invoice


def invoice_text(invoice: IssuedInvoice) -> str:
    """The text for an invoice; the checksum covers everything up to and including the comma before it."""
    amount = f"{invoice.totals.inclusive:.2f}"
    text = f"01,{TYPES[invoice.kind]},,{invoice.number},{amount},{invoice.issued_on:%Y%m%d},,"
    return f"{text}{crc16(text.encode()):04X}"


def parse(text: str) -> PrintedCode | None:
    """What a text says, or None when it is no invoice QR. Some legacy vendors leave out the last comma."""
    match = _TEXT.fullmatch(text.strip())
    if match is None:
        return None
    try:
        issued_on = datetime.strptime(match["date"], "%Y%m%d").date()  # noqa: DTZ007 - a date has no zone
    except ValueError:
        return None
    crc_holds = None
    if match["crc"]:
        covered = text.strip()[: match.start("crc")].encode()
        crc_holds = int(match["crc"], 16) in (crc16(covered), crc16(covered[:-1]))
    number, amount = match["number"], Decimal(match["amount"])
    return PrintedCode(match["type"], match["code"], number, amount, issued_on, crc_holds, match["check"])
