"""Signed checkpoints (检查点) of the transparency log: C2SP tlog-checkpoint in a C2SP signed note, by Ed25519.

Three lines say which log, how many leaves and which root; a blank line and a signature follow. The native library that
signs originals has Ed25519 too, but no Python door to it, so its functions are called as they are.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from pathlib import Path

import msgspec
from tongsuopy.backends.tongsuo.binding import Binding

from .key_secret import KeySecret
from .sealed_file import load_or_create

_ED25519 = b"\x01"  # the algorithm's byte in keys and key ids of a signed note
_SEED_BYTES, _PUBLIC_BYTES, _SIGNATURE_BYTES, _ID_BYTES = 32, 32, 64, 4
NOTE_BYTES_MAX = 4_096
NOTE_LINES_MAX = 20
_SIZE = re.compile(r"0|[1-9][0-9]{0,17}")
_NAME = re.compile(r"[^\s+]{1,200}")
_BINDING = Binding()
_lib, _ffi = _BINDING.lib, _BINDING.ffi


class Checkpoint(msgspec.Struct, frozen=True):
    """What a log promises: these leaves, under this root, for ever."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """The lines that are signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


class NoteFault(Exception):
    """Why a note is not a checkpoint of this log; the text says it."""


class LogPublicKey(msgspec.Struct, frozen=True):
    """Who signs a log: ``NAME+ID+KEY`` on one line, as verifiers of signed notes take it."""

    name: str
    public: bytes

    @property
    def id(self) -> bytes:
        return hashlib.sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:_ID_BYTES]

    def line(self) -> str:
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(_ED25519 + self.public).decode()}"

    @classmethod
    def of(cls, line: str) -> LogPublicKey:
        """Raises ``ValueError``."""
        name, _, rest = line.strip().partition("+")
        identity, _, encoded = rest.partition("+")
        raw = base64.b64decode(encoded, validate=True)
        key = cls(name, raw[1:])
        if (
            not _NAME.fullmatch(name)
            or raw[:1] != _ED25519
            or len(raw) != 1 + _PUBLIC_BYTES
            or key.id.hex() != identity
        ):
            raise ValueError("not the key of a log")
        return key

    def opened(self, note: str) -> Checkpoint:
        """The checkpoint of a note that this key signed. Raises ``NoteFault``."""
        if len(note.encode()) > NOTE_BYTES_MAX or not note.endswith("\n"):
            raise NoteFault("not a signed note")
        text, blank, signatures = note.rpartition("\n\n")
        lines = text.split("\n")
        if not blank or not signatures or len(lines) < 3 or signatures.count("\n") > NOTE_LINES_MAX:
            raise NoteFault("not a signed note")
        origin, size, root = lines[:3]
        if origin != self.name or not _SIZE.fullmatch(size):
            raise NoteFault("a checkpoint of another log")
        try:
            checkpoint = Checkpoint(origin, int(size), base64.b64decode(root, validate=True))
        except ValueError:  # binascii.Error is one, and so is what is not ASCII
            raise NoteFault("not a checkpoint") from None
        if len(checkpoint.root) != hashlib.sha256().digest_size or base64.b64encode(checkpoint.root).decode() != root:
            raise NoteFault("not a checkpoint")
        for line in signatures.removesuffix("\n").split("\n"):
            start = f"— {self.name} "
            try:
                signature = base64.b64decode(line.removeprefix(start), validate=True) if line.startswith(start) else b""
            except ValueError:
                raise NoteFault("a signature cannot be read") from None
            if signature[:_ID_BYTES] == self.id:
                if _verifies(self.public, signature[_ID_BYTES:], f"{text}\n".encode()):
                    return checkpoint
                raise NoteFault("the log's signature does not hold")
        raise NoteFault("the log has not signed this")

    def fault(self, note: str) -> str | None:
        """Why this key did not sign a note as a checkpoint; None when it did."""
        try:
            self.opened(note)
        except NoteFault as fault:
            return str(fault)
        return None


class LogKey:
    """The private key of a log, with the name that it signs under."""

    def __init__(self, name: str, seed: bytes) -> None:
        assert _NAME.fullmatch(name) and len(seed) == _SEED_BYTES, "a name without blanks, a seed of 32 bytes"
        self._seed = seed
        self.public = LogPublicKey(name, _public_of(seed))

    def signed(self, checkpoint: Checkpoint) -> str:
        """The note of a checkpoint. Whoever calls has proven that it follows from the last one."""
        assert checkpoint.origin == self.public.name, "a log signs its own checkpoints"
        text = checkpoint.text()
        signature = base64.b64encode(self.public.id + _sign(self._seed, text.encode())).decode()
        return f"{text}\n— {self.public.name} {signature}\n"


def load_or_create_log_key(path: Path, name: str, secret: KeySecret) -> LogKey:
    """The key kept in a file, enciphered; made there at first use under a name; a name that is there stays.

    Beside it, as ``.pub``, stands the line that others verify with. Raises ``ValueError``, and ``Refused`` as
    ``load_or_create`` does.
    """

    def make() -> bytes:
        seed = secrets.token_bytes(_SEED_BYTES)
        identity = LogKey(name, seed).public.id.hex()
        return f"PRIVATE+KEY+{name}+{identity}+{base64.b64encode(_ED25519 + seed).decode()}\n".encode()

    def read(kept: bytes) -> LogKey:
        parts = kept.decode().strip().split("+")
        if len(parts) < 5 or parts[:2] != ["PRIVATE", "KEY"]:
            raise ValueError(f"{path} does not hold the key of a log")
        raw = base64.b64decode("+".join(parts[4:]), validate=True)  # base64 has a plus of its own
        key = LogKey(parts[2], raw[1:])
        if raw[:1] != _ED25519 or key.public.id.hex() != parts[3]:
            raise ValueError(f"{path} does not hold the key of a log")
        return key

    key = load_or_create(path, secret, make, read)
    public = path.with_suffix(".pub")
    if not public.exists():
        public.write_text(f"{key.public.line()}\n")
    return key


def log_keys_in(folder: Path) -> dict[str, LogPublicKey]:
    """The logs whose keys (``*.pub``) stand in a folder, by name: an installation's own and those that it ended."""
    keys = (LogPublicKey.of(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.pub")))
    return {key.name: key for key in keys}


def end_log_key(path: Path, epoch: int, secret: KeySecret) -> LogKey:
    """End the log of a key (docs/log.md) and begin another under another name; the new key.

    The old private half is gone; ``log-ended-EPOCH.pub`` still verifies what it signed.
    """
    key = load_or_create_log_key(path, "", secret)
    path.unlink()
    path.with_suffix(".last").unlink(missing_ok=True)
    path.with_suffix(".pub").rename(path.with_name(f"log-ended-{epoch}.pub"))
    return load_or_create_log_key(path, f"{re.sub(r'-[0-9]+$', '', key.public.name)}-{epoch}", secret)


def _public_of(seed: bytes) -> bytes:
    key = _private(seed)
    out, size = _ffi.new("unsigned char[]", _PUBLIC_BYTES), _ffi.new("size_t *", _PUBLIC_BYTES)
    _done(_lib.EVP_PKEY_get_raw_public_key(key, out, size))
    return bytes(_ffi.buffer(out, _PUBLIC_BYTES))


def _sign(seed: bytes, data: bytes) -> bytes:
    key, context = _private(seed), _context()
    _done(_lib.EVP_DigestSignInit(context, _ffi.NULL, _ffi.NULL, _ffi.NULL, key))
    out, size = _ffi.new("unsigned char[]", _SIGNATURE_BYTES), _ffi.new("size_t *", _SIGNATURE_BYTES)
    _done(_lib.EVP_DigestSign(context, out, size, data, len(data)))
    return bytes(_ffi.buffer(out, _SIGNATURE_BYTES))


def _verifies(public: bytes, signature: bytes, data: bytes) -> bool:
    if len(signature) != _SIGNATURE_BYTES:
        return False
    key = _lib.EVP_PKEY_new_raw_public_key(_lib.EVP_PKEY_ED25519, _ffi.NULL, public, len(public))
    if key == _ffi.NULL:
        _lib.ERR_clear_error()
        return False
    key, context = _ffi.gc(key, _lib.EVP_PKEY_free), _context()
    _done(_lib.EVP_DigestVerifyInit(context, _ffi.NULL, _ffi.NULL, _ffi.NULL, key))
    holds: bool = _lib.EVP_DigestVerify(context, signature, len(signature), data, len(data)) == 1
    _lib.ERR_clear_error()
    return holds


def _private(seed: bytes) -> object:
    key = _lib.EVP_PKEY_new_raw_private_key(_lib.EVP_PKEY_ED25519, _ffi.NULL, seed, len(seed))
    assert key != _ffi.NULL, "any 32 bytes are a seed"
    return _ffi.gc(key, _lib.EVP_PKEY_free)


def _context() -> object:
    return _ffi.gc(_lib.EVP_MD_CTX_new(), _lib.EVP_MD_CTX_free)


def _done(code: int) -> None:
    assert code == 1, "the native library signs"
