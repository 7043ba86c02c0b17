"""``piaoma verify``: is a file whole, signed by whom, consistent? Works without a server and without a network."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from asn1crypto import pem
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from piaoma.desk.config import load_config
from piaoma.documents.check import Checked, check_view, examine
from piaoma.invoice.refusal import Refusal, Refused
from piaoma.trust import Verdict
from piaoma.trust.checkpoint import LogPublicKey, log_keys_in

FILE_BYTES_MAX = 20 * 1024 * 1024
PLAIN_WIDTH = 160  # columns of a table that is not shown on a terminal


class Verified(msgspec.Struct, frozen=True):
    """The result for one file."""

    file: str
    verdict: str
    number: str
    total: str
    signer: str
    sandbox: bool
    reasons: tuple[Refusal, ...]


def verify_files(files: Sequence[Path], root: Path | None, log_key: Path | None, *, json: bool) -> int:
    """Verify each file; 0 when all are valid, 1 when one is not."""
    roots, log_keys = roots_of(root), log_keys_of(log_key)
    results = [_verified(file, roots, log_keys) for file in files]
    if json:
        for result in results:
            print(msgspec.json.encode(result).decode())
    else:
        table = Table("file", "verdict", Column("number", no_wrap=True), "total", "signed by", "")
        for result in results:
            colour = {"valid": "green", "invalid": "red"}.get(result.verdict, "yellow")
            why = "\n".join(f"{reason.cause} {reason.what()}" for reason in result.reasons)
            mark = "测试样票 " if result.sandbox else ""
            # As plain text: what a file says must not be taken for an instruction to the table.
            cells = (result.file, result.verdict, result.number, result.total, result.signer, mark + why)
            styles = ("", colour, "", "", "", "")
            table.add_row(*(Text(cell, style) for cell, style in zip(cells, styles, strict=True)))
        # A file or a pipe has no width; a number cut short is no number.
        Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH).print(table)
    return 0 if results and all(result.verdict == Verdict.VALID for result in results) else 1


def _verified(file: Path, roots: Sequence[bytes], log_keys: Mapping[str, LogPublicKey]) -> Verified:
    """``verify_file``, with a file that cannot be opened as a result of its own."""
    try:
        return verify_file(file, roots, log_keys)
    except OSError as error:
        reason = Refusal("ORIGINAL-NO-FILE", "", {"have": error.strerror or type(error).__name__})
        return Verified(_shown(file), "unknown", "", "", "", False, (reason,))


def _shown(file: Path) -> str:
    """A name as it can be printed, whatever bytes it is made of."""
    return os.fsencode(file.name).decode(errors="replace")


def verify_file(file: Path, roots: Sequence[bytes], log_keys: Mapping[str, LogPublicKey]) -> Verified:
    """Verify an original; the original inside a PDF or OFD, which must then also be the one that is shown; or a bundle
    with all of them and the proof of the log."""
    with file.open("rb") as opened:
        data = opened.read(FILE_BYTES_MAX + 1)
    if len(data) > FILE_BYTES_MAX:
        refusal = Refusal("ORIGINAL-TOO-LARGE", "", {"have": str(len(data)), "max": str(FILE_BYTES_MAX)})
        return Verified(_shown(file), "invalid", "", "", "", False, (refusal,))
    checked = _checked(data, roots, log_keys)
    invoice = checked.invoice
    if invoice is None:
        return Verified(_shown(file), checked.verdict.value, "", "", checked.signer, False, checked.reasons)
    total = f"¥{invoice.totals.inclusive:.2f}"
    return Verified(
        _shown(file), checked.verdict.value, invoice.number, total, checked.signer, invoice.sandbox, checked.reasons
    )


def _checked(data: bytes, roots: Sequence[bytes], log_keys: Mapping[str, LogPublicKey]) -> Checked:
    checked, redraws = examine(data, roots, log_keys)
    for redraw in redraws:
        from piaoma.documents.render import render  # the fonts are read only when a view is to be compared

        try:
            drawn = render(redraw.original, redraw.kind, redraw.signed_value)
        except Refused:
            drawn = b""
        checked = check_view(checked, redraw.shown, drawn)
    return checked


def roots_of(root: Path | None) -> tuple[bytes, ...]:
    """The trusted roots, DER: a named PEM, or this installation's sandbox root when there is one."""
    path = root or load_config()[0].data_folder / "keys" / "sandbox" / "root.pem"
    if not path.exists():
        return ()
    der: bytes = pem.unarmor(path.read_bytes())[2]
    return (der,)


def log_keys_of(log_key: Path | None) -> dict[str, LogPublicKey]:
    """The trusted logs by name: a named key, or those in the data folder: this installation's own and the demo's."""
    if log_key is None:
        return log_keys_in(load_config()[0].data_folder / "keys")
    key = LogPublicKey.of(log_key.read_text(encoding="utf-8"))
    return {key.name: key}
