"""The structures of an electronic seal (电子印章) in DER: GB/T 38540-2020, "SES version 4" (ofd-and-pdf.md §2 [C])."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any, ClassVar

from asn1crypto import core

VERSION = 4
OLD_VERSIONS = range(4)  # GM/T 0031-2014 writes 1 or less than 4: another structure, not judged here

_Fields = list[Any]


class Header(core.Sequence):  # type: ignore[misc]
    """SES_Header."""

    _fields: ClassVar[_Fields] = [("id", core.IA5String), ("version", core.Integer), ("vendor", core.IA5String)]


class Certificates(core.SequenceOf):  # type: ignore[misc]
    """Signers that may use the seal: whole certificates, or their digests."""

    _child_spec = core.OctetString


class Property(core.Sequence):  # type: ignore[misc]
    """SES_ESPropertyInfo."""

    _fields: ClassVar[_Fields] = [
        ("type", core.Integer),
        ("name", core.UTF8String),
        ("list_type", core.Integer),
        ("list", Certificates),
        ("created", core.GeneralizedTime),
        ("valid_from", core.GeneralizedTime),
        ("valid_to", core.GeneralizedTime),
    ]


class Picture(core.Sequence):  # type: ignore[misc]
    """SES_ESPictureInfo; sizes in millimetres."""

    _fields: ClassVar[_Fields] = [
        ("type", core.IA5String),
        ("data", core.OctetString),
        ("width", core.Integer),
        ("height", core.Integer),
    ]


class SealInfo(core.Sequence):  # type: ignore[misc]
    """SES_SealInfo: what the maker of a seal signs."""

    _fields: ClassVar[_Fields] = [
        ("header", Header),
        ("es_id", core.IA5String),
        ("property", Property),
        ("picture", Picture),
        ("extensions", core.Any, {"explicit": 0, "optional": True}),
    ]


class Seal(core.Sequence):  # type: ignore[misc]
    """SESeal."""

    _fields: ClassVar[_Fields] = [
        ("info", SealInfo),
        ("certificate", core.OctetString),
        ("algorithm", core.ObjectIdentifier),
        ("signature", core.BitString),
    ]


class ToSign(core.Sequence):  # type: ignore[misc]
    """TBS_Sign: what a signer signs."""

    _fields: ClassVar[_Fields] = [
        ("version", core.Integer),
        ("seal", Seal),
        ("time", core.GeneralizedTime),
        ("digest", core.BitString),
        ("path", core.IA5String),
        ("extensions", core.Any, {"explicit": 0, "optional": True}),
    ]


class Signature(core.Sequence):  # type: ignore[misc]
    """SES_Signature: the content of SignedValue.dat."""

    _fields: ClassVar[_Fields] = [
        ("to_sign", ToSign),
        ("certificate", core.OctetString),
        ("algorithm", core.ObjectIdentifier),
        ("signature", core.BitString),
        ("time_stamp", core.BitString, {"explicit": 0, "optional": True}),
    ]


def to_sign(seal: bytes, at: datetime, digest: bytes, path: str) -> bytes:
    """A ``ToSign`` in DER, put together from its parts: the classes above take as long as the signature itself. ``at``
    is UTC, in whole seconds."""
    return _der(
        _SEQUENCE,
        _VERSION
        + seal
        + _der(_TIME, f"{at:%Y%m%d%H%M%SZ}".encode())
        + _bits(digest)
        + _der(_IA5, path.encode("ascii")),
    )


def signature(signed: bytes, certificate: bytes, algorithm: str, value: bytes) -> bytes:
    """A ``Signature`` in DER, likewise."""
    return _der(_SEQUENCE, signed + _der(_OCTETS, certificate) + _identifier(algorithm) + _bits(value))


_SEQUENCE, _BITS, _OCTETS, _IA5, _TIME = 0x30, 0x03, 0x04, 0x16, 0x18
_VERSION = core.Integer(VERSION).dump()


def _der(tag: int, contents: bytes) -> bytes:
    size = len(contents)
    if size < 0x80:
        return bytes((tag, size)) + contents
    length = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes((tag, 0x80 | len(length))) + length + contents


def _bits(data: bytes) -> bytes:
    return _der(_BITS, b"\0" + data)


@cache
def _identifier(dotted: str) -> bytes:
    der: bytes = core.ObjectIdentifier(dotted).dump()
    return der


def bits(data: bytes) -> core.BitString:
    """Bytes as a BIT STRING without unused bits."""
    value = core.BitString()
    value.contents = b"\0" + data
    return value


def bytes_of(value: core.BitString) -> bytes:
    """The bytes of a BIT STRING. Raises ``ValueError`` when some bits of the last are unused."""
    contents: bytes = value.contents
    if contents[:1] != b"\0":
        raise ValueError("a bit string that is not whole bytes")
    return contents[1:]


def version_of(signed_value: bytes) -> int:
    """The version that a SignedValue states, of either structure. Raises ``ValueError``."""
    outer = core.Sequence.load(signed_value)
    return int(core.Integer.load(core.Sequence.load(outer[0].dump())[0].dump()).native)
