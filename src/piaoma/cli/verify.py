"""``piaoma verify``: is a file whole, signed by whom, consistent? Works without a server and without a network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
from asn1crypto import pem
from rich.console import Console
from rich.table import Table

from piaoma.desk.config import load_config
from piaoma.documents.embedded import embedded_original
from piaoma.invoice.inspect import inspect
from piaoma.invoice.original_reader import read
from piaoma.invoice.refusal import Refusal, Refused
from piaoma.trust import Verdict, verify_original

FILE_BYTES_MAX = 20 * 1024 * 1024


class Verified(msgspec.Struct, frozen=True):
    """The result for one file."""

    file: str
    verdict: str
    number: str
    total: str
    signer: str
    sandbox: bool
    reasons: tuple[Refusal, ...]


def verify_files(files: Sequence[Path], root: Path | None, *, json: bool) -> int:
    """Verify each file; 0 when all are valid, 1 when one is not."""
    roots = roots_of(root)
    results = [verify_file(file, roots) for file in files]
    if json:
        for result in results:
            print(msgspec.json.encode(result).decode())
    else:
        table = Table("file", "verdict", "number", "total", "signed by", "")
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
        Console().print(table)
    return 0 if results and all(result.verdict == Verdict.VALID for result in results) else 1


def verify_file(file: Path, roots: Sequence[bytes]) -> Verified:
    """Verify an original, or the original inside a PDF, which must then also be the one the PDF is a view of."""
    with file.open("rb") as opened:
        data = opened.read(FILE_BYTES_MAX + 1)
    reasons: list[Refusal] = []
    if len(data) > FILE_BYTES_MAX:
        refusal = Refusal("ORIGINAL-TOO-LARGE", "", {"have": str(len(data)), "max": str(FILE_BYTES_MAX)})
        return Verified(file.name, "invalid", "", "", "", False, (refusal,))
    if data.startswith(b"%PDF"):
        found = embedded_original(data)
        if found is None:
            return Verified(file.name, "unknown", "", "", "", False, (Refusal("SIGNATURE-MISSING"),))
        if not _is_view_of(data, found):
            reasons.append(Refusal("SIGNATURE-ALTERED"))
        data = found
    verdict = verify_original(data, roots)
    reasons += verdict.reasons
    try:
        invoice = read(data)
    except Refused:
        return Verified(file.name, "invalid", "", "", verdict.signer, False, tuple(reasons))
    reasons += inspect(invoice)
    state = verdict.verdict if not reasons or verdict.verdict is not Verdict.VALID else Verdict.INVALID
    total = f"¥{invoice.totals.inclusive:.2f}"
    return Verified(file.name, state.value, invoice.number, total, verdict.signer, invoice.sandbox, tuple(reasons))


def _is_view_of(pdf: bytes, original: bytes) -> bool:
    """A view is a pure function of its original, so ours can be made again and compared byte for byte."""
    from piaoma.documents.render import render

    try:
        return render(original, "pdf") == pdf
    except Refused:
        return False


def roots_of(root: Path | None) -> tuple[bytes, ...]:
    """The trusted roots, DER: a named PEM, or this installation's sandbox root when there is one."""
    path = root or load_config()[0].data_folder / "keys" / "sandbox" / "root.pem"
    if not path.exists():
        return ()
    der: bytes = pem.unarmor(path.read_bytes())[2]
    return (der,)
