"""What a file says about itself: XMP (ISO 16684-1) with the claims PDF/A-3a and PDF/UA-1, and the same in the old way.

PDF/A knows the properties of XMP itself; those of PDF/UA are explained in the file, as it demands.
"""

from __future__ import annotations

from datetime import datetime
from xml.sax.saxutils import escape

import msgspec

from .objects import text

MAKER = "Piaoma"
_UA_PROPERTY = (
    "<pdfaExtension:schemas><rdf:Bag><rdf:li rdf:parseType='Resource'>"
    "<pdfaSchema:schema>PDF/UA identification</pdfaSchema:schema>"
    "<pdfaSchema:namespaceURI>http://www.aiim.org/pdfua/ns/id/</pdfaSchema:namespaceURI>"
    "<pdfaSchema:prefix>pdfuaid</pdfaSchema:prefix><pdfaSchema:property><rdf:Seq><rdf:li rdf:parseType='Resource'>"
    "<pdfaProperty:name>part</pdfaProperty:name><pdfaProperty:valueType>Integer</pdfaProperty:valueType>"
    "<pdfaProperty:category>internal</pdfaProperty:category>"
    "<pdfaProperty:description>Part of ISO 14289</pdfaProperty:description>"
    "</rdf:li></rdf:Seq></pdfaSchema:property></rdf:li></rdf:Bag></pdfaExtension:schemas>"
)
_NAMESPACES = " ".join(
    f"xmlns:{prefix}='{name}'"
    for prefix, name in (
        ("dc", "http://purl.org/dc/elements/1.1/"),
        ("xmp", "http://ns.adobe.com/xap/1.0/"),
        ("pdf", "http://ns.adobe.com/pdf/1.3/"),
        ("pdfaid", "http://www.aiim.org/pdfa/ns/id/"),
        ("pdfuaid", "http://www.aiim.org/pdfua/ns/id/"),
        ("pdfaExtension", "http://www.aiim.org/pdfa/ns/extension/"),
        ("pdfaSchema", "http://www.aiim.org/pdfa/ns/schema#"),
        ("pdfaProperty", "http://www.aiim.org/pdfa/ns/property#"),
    )
)


class About(msgspec.Struct, frozen=True):
    """What is said."""

    title: str
    seller: str
    subject: str
    keywords: str
    moment: datetime  # aware


def information(about: About) -> bytes:
    """The information dictionary."""
    moment = pdf_moment(about.moment)
    return (
        f"<</Title{text(about.title)}/Author{text(about.seller)}/Subject{text(about.subject)}"
        f"/Keywords{text(about.keywords)}/Creator({MAKER})/Producer({MAKER})/CreationDate({moment})/ModDate({moment})>>"
    ).encode()


def xmp(about: About) -> bytes:
    """The packet."""
    moment = about.moment.isoformat(timespec="seconds")
    title, seller, subject, keywords = map(escape, (about.title, about.seller, about.subject, about.keywords))
    return (
        "<?xpacket begin='\ufeff' id='W5M0MpCehiHzreSzNTczkc9d'?>\n"
        "<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>"
        f"<rdf:Description rdf:about='' {_NAMESPACES}>\n"
        f"<dc:title><rdf:Alt><rdf:li xml:lang='x-default'>{title}</rdf:li></rdf:Alt></dc:title>\n"
        f"<dc:creator><rdf:Seq><rdf:li>{seller}</rdf:li></rdf:Seq></dc:creator>\n"
        f"<dc:description><rdf:Alt><rdf:li xml:lang='x-default'>{subject}</rdf:li></rdf:Alt></dc:description>\n"
        "<dc:language><rdf:Bag><rdf:li>zh-CN</rdf:li></rdf:Bag></dc:language><dc:format>application/pdf</dc:format>\n"
        f"<pdf:Keywords>{keywords}</pdf:Keywords><pdf:Producer>{MAKER}</pdf:Producer>\n"
        f"<xmp:CreatorTool>{MAKER}</xmp:CreatorTool>"
        f"<xmp:CreateDate>{moment}</xmp:CreateDate><xmp:ModifyDate>{moment}</xmp:ModifyDate>\n"
        "<pdfaid:part>3</pdfaid:part><pdfaid:conformance>A</pdfaid:conformance><pdfuaid:part>1</pdfuaid:part>\n"
        f"{_UA_PROPERTY}\n</rdf:Description></rdf:RDF></x:xmpmeta>\n<?xpacket end='r'?>"
    ).encode()


def pdf_moment(moment: datetime) -> str:
    """A moment as a PDF writes it."""
    zone = f"{moment:%z}"
    return f"D:{moment:%Y%m%d%H%M%S}{zone[:3]}'{zone[3:]}'"
