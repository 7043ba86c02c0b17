"""Writing the PDF of an original: PDF/A-3a (ISO 19005-3) and PDF/UA-1 (ISO 14289-1), the same bytes each time.

The objects of a file, in this order: what all files have in the same place, the font of the form, the font of what this
invoice says, then two of each page, then the elements of the structure.
"""

from __future__ import annotations

import hashlib
from functools import cache

from piaoma.codes.printed_symbol import invoice_symbol
from piaoma.documents.layout import PAGE_WIDTH, pages_of
from piaoma.documents.ticket import Ticket, ticket_of
from piaoma.invoice.issued import IssuedInvoice
from piaoma.invoice.original_reader import read

from .canvas import POINTS, VALUES, WORDS
from .colours import srgb
from .fonts import OBJECTS, Subset, form_font
from .form import draw
from .metadata import About, information, pdf_moment, xmp
from .objects import PLAIN_BYTES_MAX, file_of, stream
from .objects import text as text_string
from .tags import Tags

CATALOG, PAGES, INFORMATION, METADATA, TREE, RESOURCES, PROFILE, ATTACHED, ORIGINAL = range(1, 10)
WORDS_FONT = ORIGINAL + 1
VALUES_FONT = WORDS_FONT + OBJECTS
FIRST_PAGE = VALUES_FONT + OBJECTS


def write(original: bytes) -> bytes:
    """The PDF of an original.

    Raises ``Refused`` as ``original_reader.read``, and DOCUMENT-GLYPH-MISSING when the fonts lack a character.
    """
    invoice = read(original)
    ticket = ticket_of(invoice)
    symbol = invoice_symbol(invoice)
    pages = pages_of(ticket)
    identity = hashlib.sha256(original).hexdigest()[:32].upper()
    subset, tags = Subset(), Tags(TREE, FIRST_PAGE + 2 * len(pages))
    drawn: list[bytes] = []
    for place, page in enumerate(pages):
        number = FIRST_PAGE + 2 * place
        content = draw(page, ticket, symbol, subset, tags, place, number)
        box = f"[0 0 {PAGE_WIDTH * POINTS:.2f} {page.height * POINTS:.2f}]"
        drawn += [
            f"<</Type/Page/Parent {PAGES} 0 R/Resources {RESOURCES} 0 R/MediaBox{box}/Contents {number + 1} 0 R"
            f"/StructParents {place}/Tabs/S>>".encode(),
            stream("", content, PLAIN_BYTES_MAX // len(pages)),
        ]
    about = _about(invoice, ticket)
    name = text_string(f"{ticket.number}.xml")
    moment = pdf_moment(about.moment)
    objects = [
        _catalog(name),
        _pages(len(pages)),
        information(about),
        stream("/Type/Metadata/Subtype/XML", xmp(about)),
        tags.root(),
        *_same(),
        f"<</Type/Filespec/F{name}/UF{name}/EF<</F {ORIGINAL} 0 R/UF {ORIGINAL} 0 R>>/AFRelationship/Source"
        f"/Desc{text_string('发票原件 XML')}>>".encode(),
        stream(
            f"/Type/EmbeddedFile/Subtype/application#2Fxml/Params<</Size {len(original)}/ModDate({moment})>>", original
        ),
        *form_font().objects(WORDS_FONT),
        *subset.objects(VALUES_FONT, _tag(identity)),
        *drawn,
        *tags.objects(),
    ]
    return file_of(objects, CATALOG, INFORMATION, identity)


def _catalog(name: str) -> bytes:
    return (
        f"<</Type/Catalog/Pages {PAGES} 0 R/Metadata {METADATA} 0 R/StructTreeRoot {TREE} 0 R/MarkInfo<</Marked true>>"
        f"/Lang(zh-CN)/ViewerPreferences<</DisplayDocTitle true>>/OutputIntents[<</Type/OutputIntent/S/GTS_PDFA1"
        f"/OutputConditionIdentifier(sRGB)/Info(sRGB)/DestOutputProfile {PROFILE} 0 R>>]"
        f"/Names<</EmbeddedFiles<</Names[{name}{ATTACHED} 0 R]>>>>/AF[{ATTACHED} 0 R]>>"
    ).encode()


def _pages(count: int) -> bytes:
    kids = " ".join(f"{FIRST_PAGE + 2 * place} 0 R" for place in range(count))
    return f"<</Type/Pages/Count {count}/Kids[{kids}]>>".encode()


@cache
def _same() -> tuple[bytes, bytes]:
    """What is the same in all files: fonts by their names, and the meaning of colours."""
    fonts = f"<</Font<</{WORDS} {WORDS_FONT} 0 R/{VALUES} {VALUES_FONT} 0 R>>>>"
    return fonts.encode(), stream("/N 3", srgb())


def _about(invoice: IssuedInvoice, ticket: Ticket) -> About:
    return About(
        title=f"{ticket.title} {ticket.number}",
        seller=ticket.seller.name,
        subject=f"{ticket.title}，{ticket.issued_on}，{ticket.seller.name}",
        keywords=f"{ticket.number}, {ticket.total}",
        moment=invoice.signed_at or invoice.requested_at,
    )


def _tag(identity: str) -> str:
    """Six letters that tell this subset of a font from others."""
    number = int(identity[:8], 16)
    return "".join(chr(65 + number // 26**place % 26) for place in range(6))
