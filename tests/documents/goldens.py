"""Golden documents: originals that are kept, and pictures of their views that were looked at.

    python -m tests.documents.goldens              draws the pictures again, to be looked at (``make goldens``)
    python -m tests.documents.goldens --originals  also issues and signs the originals again, by a new sandbox

The PDF is drawn by PDFium and the OFD by ofd2png, which are not ours; the PNG is ours. Pictures are compared tile by
tile, so that a changed digit is a large part of something, while another rounding of an edge is nothing.
"""

from __future__ import annotations

import io
import sys
import tempfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest import mock

import noto_cjk_sans_otc
import ofd2png.converter
import pypdfium2
from PIL import Image, ImageChops, ImageFont

from piaoma.documents.render import render
from piaoma.invoice import original, totals
from piaoma.invoice.classification import load
from piaoma.invoice.draft import Difference, DifferenceMode, Draft, InvoiceKind, Line, LineKind
from piaoma.invoice.issued import IssuedInvoice
from piaoma.invoice.parties import Buyer, Seller
from piaoma.invoice.rules import check
from piaoma.trust import FileSigner, open_or_create, sign_original
from tests.invoice.test_original import AT

FOLDER = Path(__file__).parent / "golden"
PPI = 84
COLOURS = 24  # of a kept picture
TILE = 12  # pixels
APART = 64  # of 255: pixels that differ by less are one
APART_IN_TILE_MAX = 4  # of 144 pixels

MEAL = Line("餐费", "3070401000000000000", Decimal("0.06"), Decimal("58.00"))
SELLER = Seller(
    "武汉测试餐饮有限公司",
    "91420100MA4K00000Q",
    "武汉市测试区样例路8号",
    "027-00000000",
    "测试银行武汉支行",
    "0000 1111",
)
BUYER = Buyer(
    "武汉某某科技有限公司", "91110108690017781B", "武汉市测试区某某路1号", "027-11111111", "样例银行", "2222 3333"
)


def _line(name: str, amount: str, **fields: Any) -> Line:
    return Line(name, MEAL.code, MEAL.rate, Decimal(amount), **fields)


def _counted(name: str, spec: str, unit: str, quantity: str, price: str, **fields: Any) -> Line:
    amount = (Decimal(quantity) * Decimal(price)).quantize(Decimal("0.01"))
    return _line(
        name, str(amount), spec=spec, unit=unit, quantity=Decimal(quantity), unit_price=Decimal(price), **fields
    )


def _draft(*lines: Line, kind: InvoiceKind = InvoiceKind.GENERAL, buyer: Buyer = BUYER, **fields: Any) -> Draft:
    return Draft(kind=kind, seller=SELLER, buyer=buyer, lines=lines or (MEAL,), drawer="张某", **fields)


DRAFTS = {
    "one-line": _draft(),
    "discount": _draft(
        _counted("热干面", "大份", "碗", "12", "8.50"),
        _counted("豆皮", "三鲜", "份", "6", "12", kind=LineKind.DISCOUNTED),
        _line("豆皮", "-7.20", kind=LineKind.DISCOUNT),
        _counted("武昌鱼", "清蒸 约 1.2 kg", "条", "1.235", "68"),
        _counted("莲藕排骨汤（砂锅，六至八人份，含配料）", "2 L", "锅", "2", "128"),
        _counted("Łódź style beer", "500 ml × 24", "箱", "1", "199.99"),
        _line("包间服务费", "1234567.89"),
        _counted("纸巾", "", "包", "3", "0.3333333333"),
        remark="桌号 8；会员 0021",
    ),
    "difference": _draft(
        _line("餐费", "1060.00"), difference=Difference(DifferenceMode.DIFFERENCE, Decimal("530.00"))
    ),
    "special": _draft(
        _counted("会议用餐", "套餐 A", "人", "40", "88"),
        kind=InvoiceKind.SPECIAL, print_seller_bank=True, print_buyer_bank=True, remark="合同号 HT-0001",
    ),
    "two-pages": _draft(*(_counted(f"套餐{number}", "标准", "份", str(number), "19.9") for number in range(1, 25))),
    "rare": _draft(
        _line("𠮷野家牛丼", "32.00", spec="䶮・한글"), _line("①号㼆套餐", "18.50"),
        buyer=Buyer("武汉市𠮷㼆龘龘䶮商贸有限公司（测试）", "91110108690017781B"),
    ),
    "person": _draft(_line("早餐", "9.90"), buyer=Buyer("个人", natural_person=True)),
}  # fmt: skip


def names() -> list[str]:
    return sorted(DRAFTS)


def original_of(name: str) -> bytes:
    """A kept original."""
    return (FOLDER / f"{name}.xml").read_bytes()


def pictures_of(name: str, data: bytes) -> Iterator[tuple[str, Image.Image]]:
    """Every page of every view: (file name, picture as it is kept)."""
    for place, page in enumerate(pdf_pages(render(data, "pdf"))):
        yield f"{name}.pdf.{place}.png", _kept(page)
    yield f"{name}.view.png", _kept(Image.open(io.BytesIO(render(data, "png"))))
    # The first page only: on further ones this reader draws the form of the first. It fills no areas: the QR is empty.
    yield f"{name}.ofd.0.png", _kept(ofd_pages(render(data, "ofd"))[0])


def pdf_pages(pdf: bytes, ppi: int = PPI) -> list[Image.Image]:
    """By PDFium."""
    with pypdfium2.PdfDocument(pdf) as document:
        return [page.render(scale=ppi / 72).to_pil() for page in document]


def ofd_pages(ofd: bytes) -> list[Image.Image]:
    """By ofd2png, with a font that has every character."""
    open_font, file = ImageFont.truetype, str(noto_cjk_sans_otc.FONT_PATH)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.ofd"
        path.write_bytes(ofd)
        with mock.patch.object(
            ofd2png.converter.ImageFont, "truetype", lambda _, size, *__, **___: open_font(file, size, index=2)
        ):
            pages = ofd2png.converter.convert_file(str(path), str(Path(folder) / "out"))
        pictures = [Image.open(page).convert("RGB") for page in pages]
    return [
        page.resize((round(210 / 25.4 * PPI), round(page.height * 210 / 25.4 * PPI / page.width))) for page in pictures
    ]


def _kept(picture: Image.Image) -> Image.Image:
    return picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)


def differing(one: Image.Image, other: Image.Image) -> list[tuple[int, int]]:
    """The corners of tiles in which two pictures differ; the whole when their sizes do."""
    if one.size != other.size:
        return [(0, 0)]
    apart = ImageChops.difference(one.convert("L"), other.convert("L")).point(lambda value: 255 * (value > APART))
    return [
        (x, y)
        for y in range(0, one.height, TILE)
        for x in range(0, one.width, TILE)
        if apart.crop((x, y, x + TILE, y + TILE)).histogram()[255] > APART_IN_TILE_MAX
    ]


def _issued(name: str) -> IssuedInvoice:
    draft = DRAFTS[name]
    assert check(draft, AT.date(), load()) == []
    priced, sums = totals.price(draft, AT.date(), load())
    number = f"2699000000000000{names().index(name) + 1:04d}"
    return totals.invoice_of(draft, priced, sums, number, AT, original.SANDBOX_BUREAU)


def main(arguments: list[str]) -> None:
    FOLDER.mkdir(exist_ok=True)
    if "--originals" in arguments:
        with tempfile.TemporaryDirectory() as folder:
            keyring = open_or_create(Path(folder) / "keys", AT)
        (FOLDER / "root.cer").write_bytes(keyring.root)
        for name in names():
            (FOLDER / f"{name}.xml").write_bytes(sign_original(_issued(name), FileSigner(keyring)))
    for kept in FOLDER.glob("*.png"):
        kept.unlink()
    for name in names():
        for file, picture in pictures_of(name, original_of(name)):
            picture.save(FOLDER / file, optimize=True)
    print(
        f"{FOLDER}: {sum(file.stat().st_size for file in FOLDER.iterdir()) // 1024} KiB; look at each before you commit"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
