"""What is in a folder of keys: a table for the operator, and the public parts for everybody else. Needs no secret."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from pathlib import Path

import msgspec
from asn1crypto import pem, x509

from . import keyfile
from .certificates import common_name, validity
from .keystore import certificates_of, unarmor


class KeyState(StrEnum):
    """What a key does at a moment."""

    ROOT = "root"
    ISSUER = "issuer"
    IN_USE = "in use"
    EARLIER = "earlier"  # valid, but there is a newer one
    ENDED = "ended"
    NOT_YET = "not yet valid"


class KeyEntry(msgspec.Struct, frozen=True):
    """One certificate and how its private key is kept: enciphered, plain, or absent."""

    name: str
    state: KeyState
    subject: str
    serial: str
    valid_from: datetime
    valid_to: datetime
    kept: str


def key_entries(folder: Path, now: datetime) -> list[KeyEntry]:
    """The certificates of a folder, root first, the newest of each place last."""
    paths = [folder / f"{name}.pem" for name in ("root", "issuer")]
    entries = [_entry(path, KeyState(path.stem)) for path in paths if path.exists()]
    for place in ("signer", "seal-maker"):
        entries += _place(certificates_of(folder, place), now)
    return entries


def _place(paths: list[Path], now: datetime) -> list[KeyEntry]:
    found = []
    used = False
    for path in reversed(paths):
        start, end = validity((unarmor(path),))
        if now < start or now > end:
            state = KeyState.NOT_YET if now < start else KeyState.ENDED
        else:
            state = KeyState.EARLIER if used else KeyState.IN_USE
            used = True
        found.append(_entry(path, state))
    return found[::-1]


def _entry(path: Path, state: KeyState) -> KeyEntry:
    certificate = unarmor(path)
    serial = f"{x509.Certificate.load(certificate).serial_number:x}"
    key = path.with_suffix(".key")
    kept = "absent"
    if key.exists():
        kept = "enciphered" if keyfile.is_enciphered(key.read_bytes()) else "plain"
    return KeyEntry(path.stem, state, common_name(certificate), serial, *validity((certificate,)), kept)


def public_parts(folder: Path, now: datetime) -> Iterator[tuple[str, bytes]]:
    """(name, PEM) of every certificate, and ``chain.pem``: the signer in use, then its issuer.

    Each is written anew from a certificate that was read, so that nothing else in a file comes along.
    """
    chain: list[bytes] = []
    for entry in key_entries(folder, now):
        certificate = x509.Certificate.load(unarmor(folder / f"{entry.name}.pem"), strict=True)
        assert certificate.subject.native, "a certificate has a subject"
        text: bytes = pem.armor("CERTIFICATE", certificate.dump(force=True))
        yield f"{entry.name}.pem", text
        if entry.state is KeyState.IN_USE and entry.name.startswith("signer"):
            chain.insert(0, text)
        if entry.state is KeyState.ISSUER:
            chain.append(text)
    yield "chain.pem", b"".join(chain)
