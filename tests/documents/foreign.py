"""Files as other programs make them: a PDF drawn from facts alone, its text placed as real producers place it."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import segno
import typst
from pypdf import PdfReader, PdfWriter

from piaoma.codes.printed import crc16
from piaoma.documents.faces import font_files

PAGE = """
#set page(width: 210mm, height: 140mm, margin: 0mm)
#set text(font: ("Noto Serif SC", "Noto Serif CJK SC"), size: 9pt)
#let at(x, y, it) = place(dx: x * 1mm, dy: y * 1mm, it)
#at(70, 8, text(20pt)[电子发票（普通发票）])
#at(154, 11)[发票号码：] #at(154, 17)[开票日期：]
#at(12, 34)[名称：] #at(12, 44)[统一社会信用代码/纳税人识别号：]
#at(112, 34)[名称：] #at(112, 44)[统一社会信用代码/纳税人识别号：]
#at(20, 92)[合] #at(30, 92)[计] #at(12, 98)[价税合计（大写）] #at(145, 98)[（小写）]
#let v = sys.inputs
#at(170, 11, v.number) #at(170, 17, v.date)
#at(22, 34, v.buyer) #at(62, 44, v.buyer_id) #at(122, 34, v.seller) #at(162, 44, v.seller_id)
#at(150, 92, "¥" + v.amount) #at(185, 92, "¥" + v.tax) #at(60, 98, "⊗" + v.words) #at(160, 98, "¥" + v.total)
#at(6.5, 6, image(bytes(v.qr), width: 20mm, format: "svg"))
"""

FACTS = {
    "number": "24312000000136634917",
    "date": "2024年05月14日",
    "buyer": "武汉某某科技有限公司",
    "buyer_id": "91110108690017781B",
    "seller": "上海测试百货有限公司",
    "seller_id": "91110000600037341L",
    "amount": "54.72",
    "tax": "3.28",
    "words": "伍拾捌圆整",
    "total": "58.00",
}


@cache
def _compiler() -> typst.Compiler:
    file = Path(mkdtemp(prefix="piaoma-foreign-")) / "page.typ"
    file.write_text(PAGE)
    folders = sorted({str(Path(font).parent) for font, _ in font_files()})
    return typst.Compiler(input=str(file), font_paths=folders, ignore_system_fonts=True)


def qr_text(number: str, total: str, day: str) -> str:
    """The text of a printed QR, with its checksum."""
    text = f"01,32,,{number},{total},{day},,"
    return f"{text}{crc16(text.encode()):04X}"


def svg_of(text: str) -> str:
    out = io.BytesIO()
    segno.make_qr(text, error="m").save(out, kind="svg", border=0, xmldecl=False)
    return out.getvalue().decode()


def foreign_pdf(qr: str = "", **changed: str) -> bytes:
    """A page that states ``FACTS`` or what is changed; its QR says the unchanged facts unless told otherwise."""
    code = qr or qr_text(FACTS["number"], FACTS["total"], "20240514")
    made: Any = _compiler().compile(format="pdf", sys_inputs={**FACTS, **changed, "qr": svg_of(code)})
    return bytes(made)


def with_attachment(pdf: bytes, original: bytes | None) -> bytes:
    """The pages of a PDF with another attachment, or none, rewritten by another library."""
    writer = PdfWriter()
    for page in PdfReader(io.BytesIO(pdf)).pages:
        writer.add_page(page)
    if original is not None:
        writer.add_attachment("original.xml", original)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()
