"""Who signs an original: the interface, and the signer whose key is a file."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol
from zoneinfo import ZoneInfo

from .certificates import Keyring, validity

SHANGHAI = ZoneInfo("Asia/Shanghai")


class Signer(Protocol):
    """Signs bytes with SM2 and SM3. May be called from several threads at once."""

    @property
    def certificates(self) -> tuple[bytes, ...]:
        """DER, the signer's first, then its issuers without the root."""
        ...

    def valid_at(self, moment: datetime) -> bool:
        """Whether a signature of this moment (aware) will verify."""
        ...

    def sign(self, data: bytes) -> bytes:
        """The signature, DER."""
        ...


class FileSigner:
    """Signs with the key of a keyring."""

    def __init__(self, keyring: Keyring) -> None:
        self._key = keyring.signer_key
        self.certificates = (keyring.signer, keyring.issuer)
        valid_from, valid_to = validity((*self.certificates, keyring.root))
        # In the zone of the moments that are asked about, so that comparing them needs no offsets.
        self._valid_from, self._valid_to = valid_from.astimezone(SHANGHAI), valid_to.astimezone(SHANGHAI)

    def valid_at(self, moment: datetime) -> bool:
        return self._valid_from <= moment <= self._valid_to

    def sign(self, data: bytes) -> bytes:
        return self._key.sign(data)
