"""``piaoma convert``: an original as a view or as data, without a server, the same bytes that a server gives.

Only an OFD differs: a server has set its seal on it, and here there is none.
"""

from __future__ import annotations

import sys
from pathlib import Path

from piaoma.documents.cabinet import KINDS
from piaoma.documents.formats import FORMATS, file_name, ubl
from piaoma.invoice.original_reader import BYTES_MAX, read
from piaoma.invoice.refusal import refuse


def convert(file: Path, kind: str, out: Path | None, buyer_country: str) -> None:
    """Write an original (XML) in another form: to ``out``, to standard output when it is ``-``, else beside the caller
    under its usual name.

    Raises ``Refused`` ORIGINAL-NO-FILE, DOCUMENT-KIND, DOCUMENT-NOT-WRITTEN, and as the kind's writer.
    """
    original = _read(file)
    number = read(original).number
    data = _written(original, kind, buyer_country)
    if str(out) == "-":
        sys.stdout.buffer.write(data)
        return
    # The number is what a file from anywhere says: it names no folder.
    path = out or Path(file_name(Path(number).name or "invoice", kind))
    try:
        path.write_bytes(data)
    except OSError as error:
        raise refuse("DOCUMENT-NOT-WRITTEN", have=f"{path}: {error.strerror or type(error).__name__}") from None
    print(path)


def _read(file: Path) -> bytes:
    try:
        if str(file) == "-":
            return sys.stdin.buffer.read(BYTES_MAX + 1)
        with file.open("rb") as opened:
            return opened.read(BYTES_MAX + 1)
    except OSError as error:
        raise refuse("ORIGINAL-NO-FILE", have=error.strerror or type(error).__name__) from None


def _written(original: bytes, kind: str, buyer_country: str) -> bytes:
    if kind == "ubl":
        return ubl.write(original, buyer_country.upper())
    if kind in FORMATS:
        return FORMATS[kind](original)
    if kind not in KINDS:
        raise refuse("DOCUMENT-KIND", have=kind[:10])
    from piaoma.documents.render import render  # the fonts are read only when something is drawn

    return render(original, kind)
