"""All formats: files that are kept, the same bytes each time, names."""

from __future__ import annotations

import subprocess
import sys
from functools import partial

import pytest

from piaoma.documents.formats import FORMATS, file_name
from piaoma.documents.render import render
from tests.documents.formats.examples import GOLDEN, golden_files, kept
from tests.invoice.test_original import file_of


@pytest.mark.parametrize("name", sorted(kept()))
def test_the_files_that_are_kept_are_what_is_written(name: str) -> None:
    """Byte for byte: a change of any format shows as a change of a file, to be looked at. None is left over."""
    files = golden_files(name, kept()[name])
    assert {path: path.read_bytes() for path in files} == files
    assert {path for path in GOLDEN.iterdir() if path.name.startswith(name)} == set(files)


@pytest.mark.parametrize("kind", [*FORMATS, "png"])
def test_another_process_writes_the_same_bytes(kind: str) -> None:
    """Pure in the original: neither the order of a set nor the clock nor the zone of another process shows."""
    original = (GOLDEN / "dinner.xml").read_bytes()
    program = (
        "import sys; from functools import partial; from piaoma.documents.formats import FORMATS\n"
        "from piaoma.documents.render import render\n"
        f"write = FORMATS.get({kind!r}, partial(render, kind={kind!r}))\n"
        "sys.stdout.buffer.write(write(sys.stdin.buffer.read()))"
    )
    found = [
        subprocess.run(
            [sys.executable, "-c", program], input=original, capture_output=True, check=True,
            env={"PYTHONHASHSEED": seed, "TZ": zone, "PYTHONPATH": ":".join(sys.path)},
        ).stdout
        for seed, zone in (("1", "UTC"), ("2", "America/Lima"))
    ]  # fmt: skip
    assert found == [FORMATS.get(kind, partial(render, kind=kind))(original)] * 2


def test_the_names_are_those_that_accounting_programs_expect() -> None:
    """XML formats that are not the original cannot be taken for it by name."""
    names = [file_name("1", kind) for kind in ("xml", "pdf", "json", "ubl", "xbrl")]
    assert names == ["1-电子发票.xml", "1-电子发票.pdf", "1-电子发票.json", "1-电子发票-ubl.xml", "1-电子发票-xbrl.xml"]


def test_the_kept_files_hold_what_would_break_a_careless_writer() -> None:
    """Angle brackets and ampersands in a name: escaped in XML, as they are in JSON."""
    files = {kind: write(file_of(kept()["dinner"])).decode() for kind, write in FORMATS.items()}
    assert "<明前> & 特级" in files["json"] and "&lt;明前&gt; &amp; 特级" in files["ubl"]
