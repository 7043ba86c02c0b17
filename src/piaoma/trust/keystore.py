"""The sandbox's keys (密钥库): root → issuer → signers and makers of seals, in a folder, made at the first start.

A key and its certificate share a name: ``signer.key`` and ``signer.pem``, after a rotation ``signer-2.*``. Keys are
enciphered under a secret that is elsewhere; those of an earlier version, which were plain, are enciphered when the
folder is opened. Every name in a certificate says that it is a test.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
from asn1crypto import pem

from piaoma.invoice.refusal import Refused, refuse

from . import keyfile
from .certificates import ChainFault, certify, public_key, validity, verify_chain
from .files import alone, sync, write_new, write_whole
from .key_secret import KeySecret
from .keyfile import KeyFileFault
from .sm2 import PrivateKey

ROOT_YEARS, ISSUER_YEARS, SIGNER_YEARS, SEAL_MAKER_YEARS = 20, 10, 5, 10
RENEW_BEFORE = timedelta(days=180)  # a new signer is made at a start within these days of the old one's end

ROOT_NAME = "票码沙盒测试根（无效）"
ISSUER_NAME = "票码沙盒测试签发机构（无效）"
SIGNER_NAME = "票码沙盒测试税务签名（样票无效）"
SEAL_MAKER_NAME = "票码沙盒测试制章者（无效）"
_PLACES = {"signer": (SIGNER_NAME, SIGNER_YEARS), "seal-maker": (SEAL_MAKER_NAME, SEAL_MAKER_YEARS)}


class Keyring(msgspec.Struct, frozen=True):
    """The sandbox's keys as they are used. Certificates are DER."""

    signer_key: PrivateKey
    signer: bytes
    issuer: bytes
    root: bytes
    seal_maker_key: PrivateKey
    seal_maker: bytes


def beside(folder: Path) -> KeySecret:
    """The secret of a folder for which nothing else was arranged: a file beside it, made when there is none."""
    return KeySecret(folder.with_name(f"{folder.name}.secret"), made=True)


def open_or_create(
    folder: Path, now: datetime, secret: KeySecret | None = None, *, before: KeySecret | None = None
) -> Keyring:
    """The keyring of a folder, made there when there is none yet; one process at a time.

    The folder appears whole or not at all: it is written aside, synced and renamed. A signer that ends soon is
    followed by a new one; invoices of the old one carry its certificate, so they stay verifiable. Keys that only the
    secret of ``before`` opens are enciphered under the present one. Raises ``Refused`` KEYS-… with nothing changed
    when neither secret is the one, or no key fits its certificate.
    """
    with alone(folder):
        store = _opened(folder, now, secret, before)
        if not (folder / "seal-maker.pem").exists():
            (folder / "seal-maker.key").unlink(missing_ok=True)  # of a start that died in between
            store.issue("seal-maker", now)
        kept = store.keyring(now)
        store.encipher()
        ends = validity((kept.signer,))[1]
        if now > ends - RENEW_BEFORE and ends < validity((kept.issuer,))[1]:
            store.issue(store.next_name("signer"), now)
            kept = store.keyring(now)
        return kept


def rotate(folder: Path, now: datetime, secret: KeySecret | None = None, *, place: str = "signer") -> str:
    """Another signer, or another maker of seals, by the same issuer; the name of its files.

    What was signed before carries its own certificate and stays verifiable. Raises like ``open_or_create``.
    """
    with alone(folder):
        store = _opened(folder, now, secret)
        store.encipher()
        name = store.next_name(place)
        store.issue(name, now)
        return name


def signers(folder: Path, secret: KeySecret | None = None) -> list[tuple[PrivateKey, bytes]]:
    """Every signer of a folder that exists, with its certificate, the newest last. Raises like ``open_or_create``."""
    with alone(folder):
        return _Store(folder, _secret_of(folder, secret, None)).pairs("signer")


def trusted_root(folder: Path) -> bytes | None:
    """The root of a folder, DER, for which no secret is needed; None when it has none."""
    path = folder / "root.pem"
    return unarmor(path) if path.exists() else None


def certificate_names(folder: Path) -> frozenset[str]:
    """What changes whenever a key is made. Cheap, so that it can be looked at before each use."""
    try:
        return frozenset(name for name in os.listdir(folder) if name.endswith(".pem"))
    except FileNotFoundError:
        return frozenset()


def unarmor(path: Path) -> bytes:
    """The certificate of a PEM file, DER."""
    der: bytes = pem.unarmor(path.read_bytes())[2]
    return der


def _opened(folder: Path, now: datetime, secret: KeySecret | None, before: KeySecret | None = None) -> _Store:
    text = _secret_of(folder, secret, before)
    if not folder.exists():
        _create(folder, now, text)
    store = _Store(folder, text, before.read(needed=True) if before else "")
    store.prove()
    return store


def _secret_of(folder: Path, secret: KeySecret | None, before: KeySecret | None) -> str:
    kept = [path.read_bytes() for path in folder.glob("*.key")]
    needed = before is None and any(keyfile.is_enciphered(one) for one in kept)
    return (secret or beside(folder)).read(needed=needed)


class _Store:
    """An existing folder, its secret, and the one before it (empty when there is none). Whoever uses it holds the
    lock."""

    def __init__(self, folder: Path, secret: str, before: str = "") -> None:
        self.folder, self.secret, self.before = folder, secret, before
        self.salt = keyfile.new_salt()
        for kept in () if before else self._kept().values():
            with suppress(KeyFileFault):  # a plain one has no salt; ``prove`` tells a damaged one
                self.salt = keyfile.salt_of(kept)
                break

    def _kept(self) -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in sorted(self.folder.glob("*.key"))}

    def key(self, path: Path) -> PrivateKey:
        """Raises ``Refused`` KEYS-SECRET-WRONG."""
        for secret in filter(None, (self.secret, self.before)):
            with suppress(KeyFileFault):
                return keyfile.opened(path.read_bytes(), secret)
        raise refuse("KEYS-SECRET-WRONG", have=path)

    def prove(self) -> None:
        """That the secret opens every key that has a certificate, before anything is changed."""
        for path in self._kept():
            if path.with_suffix(".pem").exists():
                self.key(path)

    def encipher(self) -> None:
        """The keys of an earlier version, or of the secret before, one after the other. Each is there in one form or
        the other, whenever it stops; the old one goes when the new one takes its name."""
        for path, kept in self._kept().items():
            if keyfile.is_plain(kept) or (self.before and keyfile.is_enciphered(kept)):
                try:
                    key = self.key(path)
                except Refused:
                    # Half a key, of a start that died before there was a certificate: ``prove`` opened all others.
                    continue
                enciphered = keyfile.enciphered(key, self.secret, self.salt)
                assert keyfile.opened(enciphered, self.secret).to_der() == key.to_der(), "what is written can be read"
                write_whole(path, enciphered)

    def pairs(self, place: str) -> list[tuple[PrivateKey, bytes]]:
        """Keys and certificates of a place, the newest last. One counts once its certificate is there and fits."""
        found = []
        for path in certificates_of(self.folder, place):
            if not path.with_suffix(".key").exists():
                continue  # somebody destroyed the key of an earlier one, as he may
            key, certificate = self.key(path.with_suffix(".key")), unarmor(path)
            if public_key(certificate).verifies(key.sign(certificate), certificate):
                found.append((key, certificate))
        if not found:
            raise refuse("KEYS-NOT-FITTING", have=self.folder)
        return found

    def keyring(self, now: datetime) -> Keyring:
        """With the newest signer and maker that are valid now, or the newest of all: a clock that was wrong once may
        have made one that begins in years."""
        signer_key, signer = newest(self.pairs("signer"), now)
        maker_key, maker = newest(self.pairs("seal-maker"), now)
        issuer, root = (unarmor(self.folder / f"{name}.pem") for name in ("issuer", "root"))
        return Keyring(signer_key, signer, issuer, root, maker_key, maker)

    def next_name(self, place: str) -> str:
        """A name that no key has: its key is on disk before its certificate says that it exists."""
        taken = [path.stem.removeprefix(place).lstrip("-") or "1" for path in self.folder.glob(f"{place}*.key")]
        return f"{place}-{max(map(int, taken), default=1) + 1}"

    def issue(self, name: str, now: datetime) -> None:
        """A key and its certificate by the folder's issuer."""
        common, years = _PLACES["seal-maker" if name.startswith("seal-maker") else "signer"]
        key, issuer_key = PrivateKey.generate(), self.key(self.folder / "issuer.key")
        certificate = certify(common, key, ISSUER_NAME, issuer_key, now, years, authority=False)
        issuer, root = (unarmor(self.folder / f"{one}.pem") for one in ("issuer", "root"))
        try:
            verify_chain((certificate, issuer), (root,), now)
        except ChainFault:
            raise refuse("KEYS-NOT-FITTING", have=self.folder) from None
        write_new(self.folder / f"{name}.key", keyfile.enciphered(key, self.secret, self.salt))
        sync(self.folder)
        # Whole or not at all: who reads beside the lock must not meet half of it.
        write_whole(self.folder / f"{name}.pem", pem.armor("CERTIFICATE", certificate))


def certificates_of(folder: Path, place: str) -> list[Path]:
    """The certificates of a place, the newest last."""
    return sorted(folder.glob(f"{place}*.pem"), key=lambda path: (len(path.name), path.name))


def newest(pairs: list[tuple[PrivateKey, bytes]], now: datetime) -> tuple[PrivateKey, bytes]:
    """The last that is valid now, or the last of all."""
    valid = [pair for pair in pairs if validity((pair[1],))[0] <= now <= validity((pair[1],))[1]]
    return (valid or pairs)[-1]


def _create(folder: Path, now: datetime, secret: str) -> None:
    aside = folder.with_name(f"{folder.name}.{secrets.token_hex(4)}.new")
    aside.mkdir(mode=0o700, parents=True)
    root_key, issuer_key, signer_key, maker_key = (PrivateKey.generate() for _ in range(4))
    root = certify(ROOT_NAME, root_key, ROOT_NAME, root_key, now, ROOT_YEARS, authority=True)
    issuer = certify(ISSUER_NAME, issuer_key, ROOT_NAME, root_key, now, ISSUER_YEARS, authority=True)
    signer = certify(SIGNER_NAME, signer_key, ISSUER_NAME, issuer_key, now, SIGNER_YEARS, authority=False)
    maker = certify(SEAL_MAKER_NAME, maker_key, ISSUER_NAME, issuer_key, now, SEAL_MAKER_YEARS, authority=False)
    made = {
        "seal-maker": (maker_key, maker),
        "signer": (signer_key, signer),
        "issuer": (issuer_key, issuer),
        "root": (root_key, root),
    }
    salt = keyfile.new_salt()
    for name, (key, certificate) in made.items():
        write_new(aside / f"{name}.key", keyfile.enciphered(key, secret, salt))
        write_new(aside / f"{name}.pem", pem.armor("CERTIFICATE", certificate))
    sync(aside)
    aside.rename(folder)
    sync(folder.parent)
