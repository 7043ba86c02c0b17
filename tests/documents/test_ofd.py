"""The OFD: the same bytes each time, each thing in its place, read by programs that are not ours, every change seen."""

from __future__ import annotations

import io
import re
import struct
import time
import zipfile
from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import msgspec
import noto_cjk_sans_otc
import ofd2png.converter
import ofdkit
import pytest
import zxingcpp
from hypothesis import given, settings
from lxml import etree
from PIL import Image, ImageDraw, ImageFont

from piaoma.codes.printed import parse
from piaoma.documents.check import Trusted, check
from piaoma.documents.layout import pages_of
from piaoma.documents.ofd import SIGNATURE, check_seal, packing, read_ofd, to_be_sealed, write
from piaoma.documents.ofd.opening import ENTRIES_MAX, ENTRY_BYTES_MAX, NODES_MAX, open_package
from piaoma.documents.report import Report
from piaoma.documents.ticket import MM_PER_POINT, ticket_of
from piaoma.invoice.issued import IssuedInvoice
from piaoma.invoice.refusal import Refused
from piaoma.trust import FileSigner, Keyring, Verdict, open_or_create, open_seal, sign_original, sign_value
from tests.documents.test_pdf import EXTREMES, bare, with_lines
from tests.invoice.test_original import AT, example, invoices
from tests.trust.test_seal import Careless

NAMESPACE = {"ofd": "http://www.ofdspec.org/2016"}


@cache
def ring() -> tuple[Keyring, Any]:
    """One sandbox for all tests here."""
    folder = Path(mkdtemp(prefix="piaoma-ofd-")) / "keys"
    keyring = open_or_create(folder, AT)
    return keyring, open_seal(folder, keyring, AT)


def original_of(invoice: IssuedInvoice) -> bytes:
    return sign_original(invoice, FileSigner(ring()[0]))


def sealed(invoice: IssuedInvoice) -> tuple[bytes, bytes]:
    """(original, OFD with its seal)."""
    original = original_of(invoice)
    listed = to_be_sealed(original, AT)
    assert listed is not None
    return original, write(original, sign_value(listed, f"/{SIGNATURE}", ring()[1], AT))


def checked(data: bytes) -> Report:
    """As ``piaoma verify`` checks it."""
    return check(data, Trusted((ring()[0].root,)))


def sample(name: str) -> IssuedInvoice:
    """An extreme invoice under a number of the sandbox, so that it gets a seal."""
    return msgspec.structs.replace(EXTREMES[name], number="26990000000000000001")


def parts_of(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        return {name: package.read(name) for name in package.namelist()}


def pack(parts: Mapping[str, bytes]) -> bytes:
    return packing.pack({name: packing.Part(data) for name, data in parts.items()})


def boxes(part: bytes) -> list[tuple[float, float, float, float, etree._Element]]:
    found = []
    for one in etree.fromstring(part).iter("{*}TextObject", "{*}PathObject"):
        x, y, width, height = map(float, one.get("Boundary", "").split())
        found.append((x, y, width, height, one))
    return found


# ── writing ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_same_original_and_seal_give_the_same_bytes() -> None:
    """In one process twice, and in another process."""
    import subprocess
    import sys

    original, data = sealed(example())
    value = parts_of(data)["Doc_0/Signs/Sign_0/SignedValue.dat"]
    assert write(original, value) == data
    program = (
        "import sys; from piaoma.documents.ofd import write; data = sys.stdin.buffer.read();"
        f" sys.stdout.buffer.write(write(data[:{len(original)}], data[{len(original)}:]))"
    )
    there = subprocess.run([sys.executable, "-c", program], input=original + value, capture_output=True, check=True)
    assert there.stdout == data


@settings(max_examples=40, deadline=None)
@given(invoices())
def test_what_is_written_is_read_again(invoice: IssuedInvoice) -> None:
    """The original byte for byte, every value by its tag, and the whole file is valid."""
    original, data = sealed(invoice)
    document, ticket = read_ofd(data), ticket_of(invoice)
    assert document.original == original
    for name, value in (
        ("InvoiceNo", ticket.number), ("IssueDate", ticket.issued_on), ("BuyerName", ticket.buyer.name),
        ("BuyerTaxID", ticket.buyer.taxpayer_id), ("SellerName", ticket.seller.name),
        ("SellerTaxID", ticket.seller.taxpayer_id), ("TaxExclusiveTotalAmount", ticket.amount),
        ("TaxTotalAmount", ticket.tax), ("TaxInclusiveTotalAmount", ticket.total), ("InvoiceClerk", ticket.drawer),
        ("Note", ticket.remark),
    ):  # fmt: skip
        assert bare("".join(document.values.get(name, ()))) == bare(value), name
    assert [bare(item) for item in document.values["Item"]] == [bare(line.name) for line in ticket.lines]
    assert list(document.values["Amount"]) == [line.amount for line in ticket.lines]
    assert checked(data).verdict is Verdict.VALID


@pytest.mark.parametrize("name", EXTREMES)
def test_everything_is_inside_the_frame_and_no_two_texts_touch(name: str) -> None:
    """By the boxes of all objects, template and page together; a text is as wide as its characters stand apart."""
    parts = parts_of(write(original_of(sample(name))))
    pages = [part for part in parts if part.startswith("Doc_0/Pages")]
    assert len(pages) == len(pages_of(ticket_of(sample(name))))
    document = etree.fromstring(parts["Doc_0/Document.xml"])
    where = {one.get("ID"): one.get("BaseLoc") for one in document.iter("{*}TemplatePage")}
    for page in pages:
        template = etree.fromstring(parts[page]).find("ofd:Template", NAMESPACE)
        assert template is not None
        height = float(etree.fromstring(parts[page]).findtext("ofd:Area/ofd:PhysicalBox", "", NAMESPACE).split()[3])
        found = [*boxes(parts[page]), *boxes(parts[f"Doc_0/{where[template.get('TemplateID')]}"])]
        texts = [one for one in found if one[4].tag.endswith("TextObject")]
        for x, y, width, high, one in found:
            assert x >= 4.3 and x + width <= 205.7 and y >= 4 and y + high <= height, etree.tostring(one)
        for place, (x, y, width, high, one) in enumerate(texts):
            for left, top, wide, tall, other in texts[place + 1 :]:
                apart = x + width <= left + 0.2 or left + wide <= x + 0.2
                assert apart or y + high <= top + 0.5 or top + tall <= y + 0.5, (one, other)


@pytest.mark.parametrize("name", ["names of 100", "long figures", "everything in the remark"])
def test_each_character_has_its_place(name: str) -> None:
    """DeltaX tells as many steps as there are characters but one, and they add up to the box."""
    parts = parts_of(write(original_of(sample(name))))
    for part in (one for one in parts if one.startswith(("Doc_0/Pages", "Doc_0/Tpls"))):
        for _, _, width, _, one in boxes(parts[part]):
            for code in one.iter("{*}TextCode"):
                steps = [float(step) for step in expanded(code.get("DeltaX", ""))]
                assert len(steps) == len(code.text or "") - 1
                assert float(code.get("X", "")) + sum(steps) < width


def expanded(deltas: str) -> list[str]:
    return re.sub(r"g (\d+) (\S+)", lambda match: " ".join([match[2]] * int(match[1])), deltas).split()


def test_the_places_are_those_of_the_form() -> None:
    """einvoice.md §7: rules, title, number, date, QR; 9 pt; full width 3.175 mm, half 1.5875."""
    parts = parts_of(write(original_of(example())))
    page, template = parts["Doc_0/Pages/Page_0/Content.xml"], parts["Doc_0/Tpls/Tpl_0/Content.xml"]
    across = {round(y + 0.125, 3) for _, y, width, high, _ in boxes(template) if high == 0.25 and width > 200}
    assert across == {30, 52, 96, 104, 124}
    down = {round(x + 0.125, 3) for x, _, width, _, _ in boxes(template) if width == 0.25}
    assert down == {4.5, 10.5, 105, 111.2, 205.5, 10.7, 56.5}
    texts = {"".join(map(str, one.itertext())): (x, y, one) for x, y, _, _, one in boxes(page) + boxes(template)}
    assert texts["26990000000000000001"][:2] == (169.875, 11) and texts["2026年11月24日"][:2] == (169.875, 17)
    assert texts["发票号码："][:2] == (154, 11)
    number, name = texts["26990000000000000001"][2], texts["武汉某某科技有限公司"][2]
    assert number.get("Size") == "3.175" and 'DeltaX="g 19 1.587"' in etree.tostring(number).decode()
    assert 'DeltaX="g 9 3.175"' in etree.tostring(name).decode()
    symbol = next(one for *_, one in boxes(page) if one.get("Fill") == "true")
    assert symbol.get("Boundary") == "6.5 6 20 20"
    fonts = [one.get("FontName") for one in etree.fromstring(parts["Doc_0/PublicRes.xml"]).iter("{*}Font")]
    assert fonts == ["宋体", "楷体", "Courier New"]


@pytest.mark.parametrize("count", [1, 20, 21, 300])
def test_ids_are_unique_and_below_the_highest(count: int) -> None:
    """In all parts together, however many pages."""
    parts = parts_of(write(original_of(with_lines(count))))
    ids: list[int] = []
    for name, part in parts.items():
        if name.startswith("Doc_0/") and "Attachs/original" not in name and name.endswith(".xml"):
            ids += [int(one.get("ID", "")) for one in etree.fromstring(part).iter() if one.get("ID")]
    highest = int(re.findall(rb"<ofd:MaxUnitID>(\d+)<", parts["Doc_0/Document.xml"])[0])
    assert len(ids) == len(set(ids)) and max(ids) <= highest


def test_two_thousand_lines_are_all_there() -> None:
    """The longest that the rules allow: read again, with few templates, below the reader's own limits."""
    original, data = sealed(with_lines(2000))
    document = read_ofd(data)
    assert document.original == original
    assert [int(re.findall(r"第(\d+)号", item)[0]) for item in document.values["Item"]] == list(range(1, 2001))
    assert len([name for name in document.package.parts if "Tpls" in name]) == 3
    assert checked(data).verdict is Verdict.VALID


def test_the_vector_symbol_can_be_scanned() -> None:
    """Drawn as its path says, by a drawing library, at 200 dpi."""
    page = parts_of(write(original_of(example())))["Doc_0/Pages/Page_0/Content.xml"]
    symbol = next(one for *_, one in boxes(page) if one.get("Fill") == "true")
    path = symbol.findtext("ofd:AbbreviatedData", "", NAMESPACE)
    module, *_ = map(float, symbol.get("CTM", "").split())
    picture = Image.new("L", (240, 240), 255)
    for square in path.split("C"):
        points = [
            (float(x) * module * 8 + 40, float(y) * module * 8 + 40) for x, y in re.findall(r"[ML] (\S+) (\S+)", square)
        ]
        if points:
            (left, top), (right, bottom) = points[0], points[2]
            ImageDraw.Draw(picture).rectangle((left, top, right - 0.01, bottom - 0.01), fill=0)
    read = parse(zxingcpp.read_barcodes(picture)[0].text)
    assert read is not None and read.number == example().number and read.crc_holds


def test_a_sandbox_invoice_never_looks_real_and_a_real_one_gets_no_seal_of_the_sandbox() -> None:
    """The note on every page, stamp and watermark as annotations; a real number has none of it."""
    parts = parts_of(sealed(with_lines(40))[1])
    for name, part in parts.items():
        if name.startswith("Doc_0/Tpls"):
            assert "不是发票" in part.decode()
        if name.endswith("Annotation.xml"):
            kinds = [one.get("Type") for one in etree.fromstring(part).iter("{*}Annot")]
            assert kinds == ["Stamp", "Watermark"] and "测试无效" in bare(
                "".join(map(str, etree.fromstring(part).itertext()))
            )
    real = original_of(EXTREMES["remark"])
    assert to_be_sealed(real, AT) is None
    assert all("沙盒" not in part.decode() for name, part in parts_of(write(real)).items() if "Attachs" not in name)


# ── other readers ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["discount and exempt", "everything in the remark", "no spaces"])
def test_an_independent_reader_finds_every_value(name: str, tmp_path: Path) -> None:
    """ofdkit, by CustomTags: parties, amounts, and each line with its own figures."""
    invoice = sample(name)
    (tmp_path / "a.ofd").write_bytes(sealed(invoice)[1])
    with ofdkit.open(tmp_path / "a.ofd") as document:
        found = document.invoice()
    ticket = ticket_of(invoice)
    assert (found.invoice_number, found.buyer.tax_id) == (ticket.number, ticket.buyer.taxpayer_id)
    assert bare(found.buyer.name) == bare(ticket.buyer.name) and bare(found.seller.name) == bare(ticket.seller.name)
    assert (found.amount_without_tax, found.total_amount) == (ticket.amount[1:], ticket.total[1:])
    assert [bare(item.name) for item in found.items] == [bare(line.name) for line in ticket.lines]
    assert [(item.amount, item.quantity or "") for item in found.items] == [
        (line.amount, line.quantity) for line in ticket.lines
    ]
    assert not found.warnings


def test_an_independent_reader_draws_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ofd2png: one picture a page, ink where the form has its rules and values, none where nothing stands."""
    open_font = ImageFont.truetype
    file = str(noto_cjk_sans_otc.FONT_PATH)
    monkeypatch.setattr(
        ofd2png.converter.ImageFont, "truetype", lambda path, size, *_, **__: open_font(file, size, index=2)
    )
    (tmp_path / "a.ofd").write_bytes(sealed(with_lines(21))[1])
    pages = ofd2png.converter.convert_file(str(tmp_path / "a.ofd"), str(tmp_path / "out"))
    assert len(pages) == 2
    picture = Image.open(pages[0]).convert("L")
    scale = picture.width / 210
    assert picture.height == pytest.approx(140 * scale, abs=1)

    def ink(x: float, y: float, width: float, height: float) -> int:
        left, top, right, bottom = (round(side * scale) for side in (x, y, x + width, y + height))
        box = picture.crop((left, top, right, bottom))
        return sum(box.histogram()[:128])

    for x, y, width, height in (
        (70, 8, 60, 9), (154, 11, 50, 4), (154, 17, 45, 4), (20, 33, 40, 5), (120, 33, 40, 5), (6, 57, 30, 4),
        (20, 51.5, 60, 1), (20, 29.5, 60, 1), (104.5, 35, 1, 8),
    ):  # fmt: skip
        assert ink(x, y, width, height) > 50, (x, y)
    assert ink(141, 5, 12, 20) == ink(56, 36, 40, 5) == ink(30, 40, 20, 2) == 0


# ── checking ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_flipped_byte_is_noticed() -> None:
    """Of the file, every third byte and all of its ends; whatever is read of the copy, it is not valid."""
    _, data = sealed(example())
    assert checked(data).verdict is Verdict.VALID
    places = sorted({*range(0, len(data), 3), *range(60), *range(len(data) - 60, len(data))})
    for place in places:
        flipped = data[:place] + bytes((data[place] ^ 1,)) + data[place + 1 :]
        assert checked(flipped).verdict is not Verdict.VALID, place


def test_every_flipped_byte_of_a_part_breaks_the_seal() -> None:
    """By the seal alone: each byte of the small parts, some of the large ones, in a zip that is whole."""
    _, data = sealed(example())
    parts, roots = parts_of(data), (ring()[0].root,)
    issuers = (ring()[0].issuer,)
    for name, part in parts.items():
        for place in range(0, len(part), 1 if len(part) < 700 else len(part) // 60):
            flipped = part[:place] + bytes((part[place] ^ 1,)) + part[place + 1 :]
            try:
                document = read_ofd(pack(parts | {name: flipped}))
                seal = check_seal(document, roots, issuers)
            except Refused:
                continue
            assert seal is None or seal.verdict is not Verdict.VALID, (name, place)


def test_what_the_seal_does_not_cover_is_told() -> None:
    """A part that is added later is listed; the file is not valid any more."""
    _, data = sealed(example())
    added = pack(parts_of(data) | {"Doc_0/Annots/later.xml": b"<a/>"})
    seal = check_seal(read_ofd(added), (ring()[0].root,), (ring()[0].issuer,))
    assert seal is not None and seal.uncovered == ("Doc_0/Annots/later.xml",)
    result = checked(added)
    assert result.verdict is Verdict.UNKNOWN and result.reasons[0].cause == "SEAL-COVERS-PART"


def test_a_page_that_shows_something_else_is_noticed() -> None:
    """The seal taken away and another amount written on the page; or another invoice's original put inside."""
    original, data = sealed(example())
    parts = parts_of(write(original))
    page = "Doc_0/Pages/Page_0/Content.xml"
    forged = checked(pack(parts | {page: parts[page].replace(b">58.00<", b">98.00<")}))
    assert forged.verdict is Verdict.INVALID and forged.reasons[0].cause == "VIEW-SHOWS-OTHER"
    hidden = checked(pack(parts | {page: parts[page].replace("餐费".encode(), "酒店".encode())}))
    assert hidden.verdict is Verdict.UNKNOWN and hidden.reasons[0].cause == "VIEW-DIFFERS"
    other = original_of(msgspec.structs.replace(example(), number="26990000000000000002"))
    swapped = checked(pack(parts_of(data) | {"Doc_0/Attachs/original_invoice.xml": other}))
    assert swapped.verdict is Verdict.INVALID
    assert checked(write(original)).verdict is Verdict.VALID  # the control: without a seal, but just what we draw


def test_what_cannot_be_known_is_not_guessed(tmp_path: Path) -> None:
    """Another sandbox's file; a file without an original; a signed original is not enough when its page is unknown."""
    _, data = sealed(example())
    stranger = open_or_create(tmp_path / "keys", AT)
    assert check(data, Trusted((stranger.root,))).verdict is Verdict.UNKNOWN
    parts = parts_of(write(original_of(example())))
    del parts["Doc_0/Attachs/original_invoice.xml"]
    result = checked(pack(parts))
    assert result.verdict is Verdict.UNKNOWN and result.reasons[0].cause == "OFD-ORIGINAL-MISSING"


def test_a_file_of_another_program_is_read() -> None:
    """A BOM, absolute paths, another prefix, ids twice."""
    parts = parts_of(write(original_of(example())))
    parts["OFD.xml"] = b"\xef\xbb\xbf" + parts["OFD.xml"].replace(b">Doc_0/Document.xml<", b">/Doc_0/Document.xml<")
    page = parts["Doc_0/Pages/Page_0/Content.xml"].replace(b"ofd:", b"o:").replace(b"xmlns:ofd=", b"xmlns:o=")
    parts["Doc_0/Pages/Page_0/Content.xml"] = page.replace(b'ID="60"', b'ID="61"')
    document = read_ofd(pack(parts))
    assert document.values["InvoiceNo"] == ("26990000000000000001",)
    assert document.facts["发票号码"] == "26990000000000000001" and document.original is not None
    assert "武汉某某科技有限公司" in document.text[0]


# ── hostile packages ──────────────────────────────────────────────────────────────────────────────────────────────


def zipped(entries: list[tuple[str, bytes]], **attributes: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as package:
        for name, data in entries:
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            for attribute, value in attributes.items():
                setattr(entry, attribute, value)
            package.writestr(entry, data)
    return file.getvalue()


def encrypted() -> bytes:
    data = bytearray(zipped([("OFD.xml", b"<a/>")]))
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + place] |= 1
    return bytes(data)


def twice() -> bytes:
    """Two entries of one name: the second is renamed in the bytes, since the library would warn."""
    return zipped([("OFD.xml", b"<a/>"), ("OFE.xml", b"<b/>")]).replace(b"OFE.xml", b"OFD.xml")


BOMB = zipped([("OFD.xml", bytes(ENTRY_BYTES_MAX // 2))])
LYING = BOMB.replace(struct.pack("<I", ENTRY_BYTES_MAX // 2), struct.pack("<I", 100))
HOSTILE = {
    "nothing": b"PK\x03\x04",
    "a bomb": BOMB,
    "a bomb with a small size in its header": LYING,
    "too large an entry": zipped([("OFD.xml", b"a"), ("big", bytes(ENTRY_BYTES_MAX + 1))]),
    "too many entries": zipped([(f"{number}.xml", b"") for number in range(ENTRIES_MAX + 1)]),
    "a way out": zipped([("../OFD.xml", b"<a/>")]),
    "an absolute name": zipped([("/OFD.xml", b"<a/>")]),
    "a drive": zipped([("C:/OFD.xml", b"<a/>")]),
    "a name twice": twice(),
    "a link": zipped([("OFD.xml", b"/etc/passwd")], create_system=3, external_attr=0o120777 << 16),
    "an encrypted entry": encrypted(),
    "data after the end": zipped([("OFD.xml", b"<a/>")]) + b"more",
    "data before the beginning": b"PK\x03\x04" + zipped([("OFD.xml", b"<a/>")]),
    "a document type": zipped([("OFD.xml", b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>')]),
    "a deep tree": zipped([("OFD.xml", b"<a>" * 200 + b"</a>" * 200)]),
    "a wide tree": pack({"OFD.xml": b"<a>" + b"<b/>" * (NODES_MAX + 1) + b"</a>"}),
    "no XML": zipped([("OFD.xml", b"hello")]),
    "no package": zipped([("a.xml", b"<a/>")]),
    "two documents": zipped([("OFD.xml", b"<OFD><DocBody/><DocBody/></OFD>")]),
    "a page outside": zipped([("OFD.xml", b"<OFD><DocBody><DocRoot>../../etc/passwd</DocRoot></DocBody></OFD>")]),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_package_is_refused_soon(name: str) -> None:
    """Each within bounds, with a cause of ours; never valid."""
    begun = time.perf_counter()
    with pytest.raises(Refused) as caught:
        read_ofd(HOSTILE[name])
    assert caught.value.refusals[0].cause in ("OFD-UNREADABLE", "OFD-TOO-LARGE")
    result = checked(HOSTILE[name])
    assert result.verdict is not Verdict.VALID and not result.facts.number
    assert time.perf_counter() - begun < 4


def test_a_harmless_package_is_opened() -> None:
    """The control of the hostile ones."""
    assert dict(open_package(zipped([("OFD.xml", b"<a/>"), ("Doc_0/", b"")])).parts) == {"OFD.xml": b"<a/>"}


def test_a_seal_of_a_later_time_is_judged_at_its_time() -> None:
    """Sealed a year after it was issued: valid; after the certificates ended: not sealed, and by whom asks nothing, not
    believed."""
    original = original_of(example())
    keyring, seal = ring()
    careless = Careless(keyring.signer_key, keyring.signer, seal.seal)
    for years, sealer, verdict in ((1, seal, Verdict.VALID), (11, careless, Verdict.INVALID)):
        at = AT + timedelta(days=365 * years)
        listed = to_be_sealed(original, at)
        assert listed is not None
        assert checked(write(original, sign_value(listed, f"/{SIGNATURE}", sealer, at))).verdict is verdict


def test_sizes_are_in_millimetres_of_points() -> None:
    """9 pt are 3.175 mm."""
    assert pytest.approx(3.175) == 9 * MM_PER_POINT
