"""Files that want to hurt who reads them, made small: bombs, loops, lies (ofd-and-pdf.md §3)."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable

from PIL import Image

MIB = 1024 * 1024


def pdf(*objects: bytes, root: int = 1, tail: bytes = b"") -> bytes:
    """A PDF of objects numbered from 1, with the table that a reader needs."""
    out, places = bytearray(b"%PDF-1.7\n"), []
    for number, content in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer\n<</Size %d/Root %d 0 R%s>>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, root, tail, start)
    return bytes(out)


def stream(data: bytes, entries: bytes = b"") -> bytes:
    return b"<<%s/Length %d>>\nstream\n%s\nendstream" % (entries, len(data), data)


CATALOG = b"<</Type/Catalog/Pages 2 0 R>>"
FORM = b"/Type/XObject/Subtype/Form/BBox[0 0 9 9]"
PAGES = b"<</Type/Pages/Kids[3 0 R]/Count 1>>"


def page(box: bytes = b"0 0 595 397", entries: bytes = b"/Contents 4 0 R") -> bytes:
    return b"<</Type/Page/Parent 2 0 R/MediaBox[%s]%s>>" % (box, entries)


def bomb(megabytes: int, unit: bytes = b"0 0 m 1 1 l S\n") -> bytes:
    """So many megabytes, packed: one of them again and again, so that it is made at once."""
    packer = zlib.compressobj(9)
    head = packer.compress(b"") + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(unit * (MIB // len(unit))) + packer.flush(zlib.Z_FULL_FLUSH)
    return head + block * megabytes + packer.flush()


def content(data: bytes, entries: bytes = b"") -> bytes:
    return pdf(CATALOG, PAGES, page(), stream(data, entries))


def form_in_itself() -> bytes:
    form = FORM + b"/Resources<</XObject<</A 5 0 R/B 5 0 R>>>>"
    entries = b"/Contents 4 0 R/Resources<</XObject<</A 5 0 R>>>>"
    return pdf(CATALOG, PAGES, page(entries=entries), stream(b"/A Do"), stream(b"/A Do /B Do", form))


def forms_that_multiply() -> bytes:
    """Each of thirty forms draws the next one ten times."""
    forms = [
        stream(b"/A Do " * 10, FORM + b"/Resources<</XObject<</A %d 0 R>>>>" % (6 + place))
        for place in range(30)
    ]  # fmt: skip
    last = stream(b"0 0 m 9 9 l S", FORM)
    entries = b"/Contents 4 0 R/Resources<</XObject<</A 5 0 R>>>>"
    return pdf(CATALOG, PAGES, page(entries=entries), stream(b"/A Do"), *forms, last)


def broken_font() -> bytes:
    font = b"<</Type/Font/Subtype/TrueType/BaseFont/X/FontDescriptor 6 0 R/FirstChar 0/LastChar 255/Widths[500]>>"
    described = b"<</Type/FontDescriptor/FontName/X/Flags 4/FontBBox[0 0 9 9]/FontFile2 7 0 R>>"
    program = b"\0\1\0\0\0\xff\0\0" + b"glyf\0\0\0\0\xff\xff\xff\xf0\xff\xff\xff\xff" * 200
    entries = b"/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>"
    return pdf(CATALOG, PAGES, page(entries=entries), stream(b"BT /F 9 Tf (\\001\\377 abc) Tj ET"), font, described,
               stream(program))  # fmt: skip


def attached_bomb() -> bytes:
    names = b"<</Type/Catalog/Pages 2 0 R/Names<</EmbeddedFiles<</Names[(a)5 0 R]>>>>>>"
    spec = b"<</Type/Filespec/F(a.xml)/EF<</F 6 0 R>>>>"
    file = stream(bomb(900, b"<EInvoice>"), b"/Type/EmbeddedFile/Filter/FlateDecode")
    return pdf(names, PAGES, page(entries=b""), b"null", spec, file)


def many_pages() -> bytes:
    return pdf(CATALOG, b"<</Type/Pages/Kids[" + b"3 0 R " * 200_000 + b"]/Count 200000>>", page(entries=b""))


def png(width: int, height: int, data: bytes = b"", chunk: bytes = b"IDAT") -> bytes:
    """A PNG whose head says one size, with any data."""

    def part(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(chunk, data) + part(b"IEND", b"")


def frames() -> bytes:
    out = io.BytesIO()
    pictures = [Image.new("P", (64, 64), place % 256) for place in range(300)]
    pictures[0].save(out, "GIF", save_all=True, append_images=pictures[1:])
    return out.getvalue()


def laughs() -> bytes:
    entities = "".join(f'<!ENTITY l{place} "{f"&l{place - 1};" * 10}">' for place in range(1, 12))
    return f'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY l0 "ha">{entities}]><EInvoice>&l11;</EInvoice>'.encode()


def attributes() -> bytes:
    return b"<EInvoice " + b" ".join(b'a%d=""' % place for place in range(500_000)) + b"/>"


def zip_of_zeros() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as package, package.open("OFD.xml", "w") as part:
        for _ in range(300):
            part.write(bytes(MIB))
    return out.getvalue()


def zip_named(name: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as package:
        package.writestr(name, b"<OFD/>")
        package.writestr("OFD.xml", b"<OFD/>")
    return out.getvalue()


def bundle_bomb() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("proof.json", b"{}")
        package.writestr("26990000000000000001-电子发票.xml", bytes(200 * MIB))
    return out.getvalue()


HOSTILE: dict[str, Callable[[], bytes]] = {
    "pdf: a page of a million metres": lambda: pdf(CATALOG, PAGES, page(b"0 0 3e9 3e9"), stream(b"0 0 m 9 9 l S")),
    "pdf: a page without size": lambda: pdf(CATALOG, PAGES, page(b"0 0 0 0"), stream(b"0 0 m 9 9 l S")),
    "pdf: a page that is nowhere": lambda: pdf(CATALOG, PAGES, page(b"-9e30 nan 9e30 9e30"), stream(b"")),
    "pdf: pages in a circle": lambda: pdf(CATALOG, b"<</Type/Pages/Kids[2 0 R]/Count 9>>"),
    "pdf: two hundred thousand pages": many_pages,
    "pdf: a bomb as content": lambda: content(bomb(400), b"/Filter/FlateDecode"),
    "pdf: a bomb in a bomb": lambda: content(zlib.compress(bomb(2000)), b"/Filter[/FlateDecode/FlateDecode]"),
    "pdf: a bomb of text": lambda: content(bomb(30, b"BT (aaaaaaaaaaaaaaaaaaaaaaaa) Tj ET\n"), b"/Filter/FlateDecode"),
    "pdf: a bomb as attachment": attached_bomb,
    "pdf: a bomb as object stream": lambda: pdf(
        CATALOG, PAGES, page(), stream(bomb(500, b"1 0 "), b"/Type/ObjStm/N 9999999/First 5/Filter/FlateDecode")
    ),
    "pdf: a table that points at itself": lambda: pdf(CATALOG, PAGES, page(), tail=b"/Prev 9"),
    "pdf: a form in itself": form_in_itself,
    "pdf: forms that multiply": forms_that_multiply,
    "pdf: a broken font": broken_font,
    "pdf: brackets without end": lambda: content(b"[" * 2_000_000),
    "pdf: a dictionary without end": lambda: b"%PDF-1.7\n1 0 obj\n" + b"<</A " * 500_000,
    "pdf: nothing behind the mark": lambda: b"%PDF-1.7",
    "png: a picture of nine billion pixels": lambda: png(95_000, 95_000),
    "png: a bomb as pixels": lambda: png(20_000, 2_000, bomb(38, bytes(1000))),
    "png: a bomb as profile": lambda: png(9, 9, b"a\0\0" + bomb(900, bytes(1000)), b"iCCP"),
    "png: a bomb as remark": lambda: png(9, 9, b"a\0\0" + bomb(900, bytes(1000)), b"zTXt"),
    "gif: three hundred frames": frames,
    "jpeg: cut off": lambda: b"\xff\xd8\xff\xe0" + bytes(1000),
    "xml: a billion laughs": laughs,
    "xml: an outside file": lambda: b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><EInvoice>&x;</EInvoice>',
    "xml: without end": lambda: b"<EInvoice>" + b"<a>" * 2_000_000,
    "xml: half a million attributes": attributes,
    "xml: one long text": lambda: b"<EInvoice>" + b"a" * (19 * MIB) + b"</EInvoice>",
    "xml: in another coding": lambda: b'<?xml version="1.0" encoding="UTF-7"?><EInvoice/>',
    "zip: zeros": zip_of_zeros,
    "zip: a way out": lambda: zip_named("../../etc/cron.d/x"),
    "zip: a bundle of zeros": bundle_bomb,
    "larger than any invoice": lambda: b"<" * (21 * MIB),
}  # fmt: skip
