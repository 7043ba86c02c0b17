"""``piaoma verify``: is a file whole, signed by whom, consistent? Works without a server and without a network."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from asn1crypto import pem
from rich.console import Console
from rich.table import Column, Table

from piaoma.desk.config import load_config
from piaoma.documents.check import (
    Checked,
    bundle_in,
    check_bundle,
    check_original,
    check_refused,
    check_view,
    check_without_original,
    original_in,
)
from piaoma.invoice.refusal import Refusal, Refused
from piaoma.trust import Verdict
from piaoma.trust.checkpoint import LogPublicKey

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
    results = [verify_file(file, roots, log_keys) for file in files]
    if json:
        for result in results:
            print(msgspec.json.encode(result).decode())
    else:
        table = Table("file", "verdict", Column("number", no_wrap=True), "total", "signed by", "")
        for result in results:
            colour = {"valid": "green", "invalid": "red"}.get(result.verdict, "yellow")
            why = "\n".join(f"{reason.cause} {reason.what()}" for reason in result.reasons)
            mark = "测试样票 " if result.sandbox else ""
            table.add_row(
                result.file,
                f"[{colour}]{result.verdict}[/]",
                result.number,
                result.total,
                result.signer,
                mark + why,
            )
        # A file or a pipe has no width; a number cut short is no number.
        Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH).print(table)
    return 0 if results and all(result.verdict == Verdict.VALID for result in results) else 1


def verify_file(file: Path, roots: Sequence[bytes], log_keys: Mapping[str, LogPublicKey]) -> Verified:
    """Verify an original, the original inside a PDF, which must then also be the one the PDF is a view of, or a bundle
    with both and the proof of the log."""
    with file.open("rb") as opened:
        data = opened.read(FILE_BYTES_MAX + 1)
    if len(data) > FILE_BYTES_MAX:
        refusal = Refusal("ORIGINAL-TOO-LARGE", "", {"have": str(len(data)), "max": str(FILE_BYTES_MAX)})
        return Verified(file.name, "invalid", "", "", "", False, (refusal,))
    checked = _checked(data, roots, log_keys)
    invoice = checked.invoice
    if invoice is None:
        return Verified(file.name, checked.verdict.value, "", "", checked.signer, False, checked.reasons)
    total = f"¥{invoice.totals.inclusive:.2f}"
    return Verified(
        file.name, checked.verdict.value, invoice.number, total, checked.signer, invoice.sandbox, checked.reasons
    )


def _checked(data: bytes, roots: Sequence[bytes], log_keys: Mapping[str, LogPublicKey]) -> Checked:
    try:
        bundle = bundle_in(data)
    except Refused as refused:
        return check_refused(refused)
    if bundle is not None:
        checked = check_bundle(bundle, roots, log_keys)
        return _drawn(checked, bundle.original, bundle.views)
    original = original_in(data)
    if original is None:
        return check_without_original()
    checked = check_original(original, roots)
    return checked if original is data else _drawn(checked, original, {"pdf": data})


def _drawn(checked: Checked, original: bytes, views: Mapping[str, bytes]) -> Checked:
    """The same after drawing each view again."""
    if checked.invoice is None:
        return checked
    for kind, shown in views.items():
        from piaoma.documents.render import render  # the fonts are read only when a view is to be compared

        try:
            checked = check_view(checked, shown, render(original, kind))
        except Refused:
            checked = check_view(checked, shown, b"")
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
    paths = [log_key] if log_key else sorted((load_config()[0].data_folder / "keys").glob("*.pub"))
    keys = [LogPublicKey.of(path.read_text(encoding="utf-8")) for path in paths]
    return {key.name: key for key in keys}
