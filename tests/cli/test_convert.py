"""``piaoma convert`` writes what the server would, names it, and says what is wrong in words."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from piaoma.cli.convert import convert
from piaoma.documents.formats import FORMATS, ubl
from piaoma.documents.render import render
from piaoma.invoice.draft import ZeroKind
from piaoma.invoice.refusal import Refused
from tests.documents.formats.examples import GOLDEN, draft_of, issued, line
from tests.invoice.test_original import file_of

ORIGINAL = GOLDEN / "dinner.xml"


@pytest.mark.parametrize("kind", [*FORMATS, "pdf", "png", "ofd"])
def test_each_kind_is_the_file_that_a_server_gives(kind: str, tmp_path: Path) -> None:
    """Byte for byte, under the name that was asked for."""
    original = ORIGINAL.read_bytes()
    out = tmp_path / "made"
    convert(ORIGINAL, kind, out, "")
    assert out.read_bytes() == (FORMATS[kind](original) if kind in FORMATS else render(original, kind))


def test_it_works_from_a_pipe_and_names_its_file(tmp_path: Path) -> None:
    """The command itself, in a process of its own: standard input, standard output, the default name, exit codes."""

    def run(*arguments: str) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "piaoma.cli", "convert", *arguments]
        return subprocess.run(command, input=ORIGINAL.read_bytes(), capture_output=True, cwd=tmp_path)

    piped = run("-", "--to", "json", "--out", "-")
    assert (piped.returncode, piped.stdout) == (0, (GOLDEN / "dinner.json").read_bytes()), piped.stderr
    named = run(str(ORIGINAL), "--to", "ubl")
    made = tmp_path / "26990000000000000001-电子发票-ubl.xml"
    assert named.returncode == 0 and made.read_bytes() == (GOLDEN / "dinner-ubl.xml").read_bytes()
    refused = run(str(ORIGINAL), "--to", "docx")
    assert refused.returncode == 2 and b"DOCUMENT-KIND" in refused.stderr and b"Traceback" not in refused.stderr


def test_an_export_is_converted_with_its_country(tmp_path: Path) -> None:
    """Small letters will do; without it the refusal names the option."""
    file, out = tmp_path / "export.xml", tmp_path / "out"
    file.write_bytes(file_of(issued(draft_of(line("88.00", "0", zero=ZeroKind.EXPORT)))))
    with pytest.raises(Refused) as caught:
        convert(file, "ubl", out, "")
    assert "--buyer-country" in caught.value.refusals[0].remedy() and not out.exists()
    convert(file, "ubl", out, "de")
    assert out.read_bytes() == ubl.write(file.read_bytes(), "DE")


def test_a_number_cannot_name_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file from anywhere may state anything as its number."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "in" / "hostile.xml"
    file.parent.mkdir()
    file.write_bytes(ORIGINAL.read_bytes().replace(b"<InvoiceNumber>2", b"<InvoiceNumber>../../2"))
    convert(file, "json", None, "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["26990000000000000001-电子发票.json", "in"]


@pytest.mark.parametrize(
    ("file", "out", "cause"),
    [
        ("missing.xml", "out", "ORIGINAL-NO-FILE"),
        (".", "out", "ORIGINAL-NO-FILE"),
        (str(ORIGINAL), "no/such/folder/out", "DOCUMENT-NOT-WRITTEN"),
        (__file__, "out", "ORIGINAL-NOT-XML"),
    ],
)
def test_what_cannot_be_read_or_written_has_its_cause(file: str, out: str, cause: str, tmp_path: Path) -> None:
    """Never a traceback."""
    with pytest.raises(Refused) as caught:
        convert(tmp_path / file, "json", tmp_path / out, "")
    assert caught.value.refusals[0].cause == cause
