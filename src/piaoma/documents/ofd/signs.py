"""Signature.xml: the list of what a seal covers, written and read (ofd-and-pdf.md §2)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from .drawing import number
from .packing import Part

SIGNATURE = "Doc_0/Signs/Sign_0/Signature.xml"
SIGNED_VALUE = "Doc_0/Signs/Sign_0/SignedValue.dat"
SM2_WITH_SM3, SM3 = "1.2.156.10197.1.501", "1.2.156.10197.1.401"

_NAMESPACE = 'xmlns:ofd="http://www.ofdspec.org/2016"'
_SHANGHAI = ZoneInfo("Asia/Shanghai")


def signatures_xml() -> str:
    """The index of seals: one."""
    return (
        f'<ofd:Signatures {_NAMESPACE}><ofd:MaxSignId>1</ofd:MaxSignId><ofd:Signature ID="1" Type="Seal"'
        f' BaseLoc="/{SIGNATURE}"/></ofd:Signatures>'
    )


def signature_xml(
    parts: Mapping[str, Part], page: int, stamp: tuple[float, float, float, float], at: datetime
) -> bytes:
    """The digest of every part, and where on which page the seal stands."""
    references = "".join(
        f'<ofd:Reference FileRef="/{name}"><ofd:CheckValue>{part.digest}</ofd:CheckValue></ofd:Reference>'
        for name, part in parts.items()
    )
    boundary = " ".join(map(number, stamp))
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<ofd:Signature {_NAMESPACE}><ofd:SignedInfo>'
        f'<ofd:Provider ProviderName="Piaoma sandbox" Version="1.0" Company="Piaoma"/>'
        f"<ofd:SignatureMethod>{SM2_WITH_SM3}</ofd:SignatureMethod>"
        f"<ofd:SignatureDateTime>{at.astimezone(_SHANGHAI):%Y-%m-%d %H:%M:%S}</ofd:SignatureDateTime>"
        f'<ofd:References CheckMethod="{SM3}">{references}</ofd:References>'
        f'<ofd:StampAnnot ID="1" PageRef="{page}" Boundary="{boundary}"/></ofd:SignedInfo>'
        f"<ofd:SignedValue>/{SIGNED_VALUE}</ofd:SignedValue></ofd:Signature>"
    ).encode()
