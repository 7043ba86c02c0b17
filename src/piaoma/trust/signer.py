"""Who signs an original: the interface, why it may not sign, and the signer whose key is a file."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from .certificates import ChainFault, Ended, public_key, verify_chain
from .keystore import Keyring


class SignerFault(Exception):
    """Nothing was signed; ``cause`` says why."""

    def __init__(self, cause: str, why: str = "") -> None:
        self.cause = cause
        super().__init__(f"{cause} {why}".strip())


class SignerDown(SignerFault):
    """The signer does not answer. What was asked of it may be asked again: a signature that nobody got is none."""

    def __init__(self, why: str) -> None:
        super().__init__("ISSUE-SIGNER-DOWN", why)


class Signer(Protocol):
    """Signs bytes with SM2 and SM3 under one certificate. May be called from several threads at once.

    Another certificate is another signer, so that signature and certificates always belong together.
    """

    @property
    def certificates(self) -> tuple[bytes, ...]:
        """DER, the signer's first, then its issuers without the root."""
        ...

    def fault_at(self, moment: datetime) -> str | None:
        """The cause why a signature of this moment (aware) would not verify or cannot be had, or None."""
        ...

    def sign(self, data: bytes) -> bytes:
        """The signature, DER. Raises ``SignerFault``."""
        ...

    def sign_all(self, data: Sequence[bytes]) -> list[bytes]:
        """The signature of each, in order. Raises ``SignerFault``; then none of them was given."""
        ...


class FileSigner:
    """Signs with the key of a keyring."""

    def __init__(self, keyring: Keyring) -> None:
        self._key, self._root = keyring.signer_key, keyring.root
        self.certificates = (keyring.signer, keyring.issuer)
        proof = public_key(keyring.signer)
        self._fits = proof.verifies(self._key.sign(keyring.signer), keyring.signer)

    def fault_at(self, moment: datetime) -> str | None:
        return chain_fault(self.certificates, self._root, moment) if self._fits else "ISSUE-SIGNER-NOT-FITTING"

    def sign(self, data: bytes) -> bytes:
        return self._key.sign(data)

    def sign_all(self, data: Sequence[bytes]) -> list[bytes]:
        return [self._key.sign(one) for one in data]


def demand(cause: str | None) -> None:
    """Raise what a cause of ``fault_at`` means; return when there is none."""
    if cause == "ISSUE-SIGNER-DOWN":
        raise SignerDown("it is known not to answer")
    if cause is not None:
        raise SignerFault(cause)


def chain_fault(certificates: tuple[bytes, ...], root: bytes, moment: datetime) -> str | None:
    """The cause why a chain, signer first, is none to sign with at a moment, or None.

    What does not depend on the moment is remembered, so this is asked for each signature.
    """
    try:
        trusted = verify_chain(certificates, (root,), moment)
    except Ended:
        return "ISSUE-SIGNER-NOT-VALID"
    except ChainFault:
        return "ISSUE-SIGNER-NOT-FITTING"
    return None if trusted else "ISSUE-SIGNER-NOT-FITTING"
