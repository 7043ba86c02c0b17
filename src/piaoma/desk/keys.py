"""The keys in force (密钥): where signer and seal come from, and how a new one takes over while the program runs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

import msgspec
import structlog

from piaoma.invoice.refusal import refuse
from piaoma.trust import FileSigner, SealSigner, Signer, SignerFault, SignersSeal, open_or_create, open_seal, sm2
from piaoma.trust.keystore import certificate_names, trusted_root
from piaoma.trust.outside_signer import AbsentSigner, OutsideSigner, line_of

from .config import Config

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date, datetime

    from .office import Office

FOLLOW_SECONDS = 1.0  # between two looks for another key, and between two tries to reach a signer that is down

_log = structlog.get_logger("piaoma.keys")


class Signing(msgspec.Struct, frozen=True):
    """Who signs and seals; replaced as a whole, so that key, certificates and seal belong together."""

    signer: Signer
    seal_signer: SealSigner


class Keys(Protocol):
    """Where keys come from."""

    root: bytes  # DER; what was signed under it stays verifiable

    def signing(self) -> Signing:
        """Who signs now: the same object while nothing changed. May take a second; called in a thread."""
        ...

    def close(self) -> None:
        """Nobody asks any more."""
        ...


class FileKeys:
    """Keys in the data folder. ``now`` is the clock."""

    def __init__(self, config: Config, now: Callable[[], datetime]) -> None:
        """Raises ``Refused`` KEYS-…"""
        self._config, self._now = config, now
        self._signing: Signing | None = None
        self._pair = (b"", b"")  # certificates of the signer and of the maker of its seal
        self._seen: tuple[frozenset[str], date] | None = None
        self.signing()

    def signing(self) -> Signing:
        now, names = self._now(), certificate_names(self._config.keys_folder)
        # Once a day too: opening is what renews a signer that ends soon.
        if self._signing is not None and (names, now.date()) == self._seen:
            return self._signing
        keyring = open_or_create(self._config.keys_folder, now, self._config.secret)
        self.root = keyring.root
        # As they were before: a key that is made meanwhile is found the next time.
        self._seen = (names, now.date())
        pair = (keyring.signer, keyring.seal_maker)
        if self._signing is None or pair != self._pair:
            self._signing = Signing(FileSigner(keyring), open_seal(self._config.keys_folder, keyring, now))
            self._pair = pair
        return self._signing

    def close(self) -> None:
        """Nothing is held open."""


class OutsideKeys:
    """Keys in another process. The root is here: nobody outside says what is trusted."""

    def __init__(self, config: Config) -> None:
        """Raises ``Refused`` KEYS-ROOT-MISSING."""
        root = trusted_root(config.keys_folder)
        if root is None:
            raise refuse("KEYS-ROOT-MISSING", have=config.keys_folder / "root.pem")
        if list(config.keys_folder.glob("*.key")):
            _log.warning("private keys are still here, though an outside signer signs", folder=str(config.keys_folder))
        self.root = root
        self._line = line_of(config.signer)
        self._known: object = None
        self._signing = _absent("ISSUE-SIGNER-DOWN")

    def signing(self) -> Signing:
        try:
            identity = self._line.hello()
            known = (identity.certificates, identity.seal)
            if known != self._known:
                signer = OutsideSigner(self._line, identity, self.root)
                self._signing, self._known = Signing(signer, SignersSeal(signer, identity.seal, self.root)), known
        except SignerFault as fault:
            if self._known is None or fault.cause != "ISSUE-SIGNER-DOWN":
                self._signing, self._known = _absent(fault.cause), None
        return self._signing

    def close(self) -> None:
        self._line.close()


def _absent(cause: str) -> Signing:
    absent = AbsentSigner(cause)
    return Signing(absent, absent)


def open_keys(config: Config, now: Callable[[], datetime]) -> Keys:
    """The keys of a configuration, with the native library that it wants. Raises ``Refused`` KEYS-…"""
    name, instead_of = sm2.choose(config.sm2)
    if instead_of:
        _log.warning("another library does SM2 than was wanted", used=name, because=instead_of)
    return FileKeys(config, now) if config.signer == "file" else OutsideKeys(config)


async def follow_keys(office: Office) -> None:
    """Take over whatever signer is newest, until cancelled; what it signs with next is the whole effect."""
    told = ""
    while True:
        await asyncio.sleep(FOLLOW_SECONDS)
        try:
            signing = await asyncio.to_thread(office.keys.signing)
        except Exception as error:
            # The signer that is there goes on. The same fault is told once, not each second.
            if repr(error) != told:
                _log.exception("keys")
            told = repr(error)
            continue
        told = ""
        if signing is not office.signing:
            office.signing = signing
            fault = signing.signer.fault_at(office.now())
            _log.info("another signer signs now", fault=fault or "")
