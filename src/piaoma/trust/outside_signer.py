"""A signer in another process (外部签名), spoken to over a Unix socket: the stand-in for an HSM.

What is asked and answered here is all that crosses the border: bytes to sign, signatures, certificates. The private
key stays on the other side. Nothing that comes back is believed: chain, seal and every signature are checked before
they can get into an invoice.
"""

from __future__ import annotations

import os
import secrets
import socket
import struct
import threading
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from urllib.parse import parse_qs

import msgspec

from .certificates import public_key
from .signer import SignerDown, SignerFault, chain_fault, demand
from .sm2 import PublicKey, sm3

FRAME_BYTES_MAX = 8 * 1024 * 1024  # of one question or answer
TOGETHER_BYTES_MAX = 1024 * 1024  # of data sent to be signed in one question, unless one alone is longer
SIGN_SECONDS_MAX = 2.0  # how long a batch waits for its signatures; it holds the store's write lock meanwhile
HELLO_SECONDS_MAX = 1.0
GREETING = b"piaoma signer hello "  # begins what is signed to show that the key is there; no original begins so
NONCE_BYTES = 32

_LENGTH = struct.Struct("!I")
_PEER = struct.Struct("3i")


class Hello(msgspec.Struct, frozen=True, tag="hello"):
    """Who are you? The answer signs ``GREETING`` and the nonce."""

    nonce: bytes


class Sign(msgspec.Struct, frozen=True, tag="sign"):
    """Sign each under the certificate with this digest."""

    certificate: bytes
    data: tuple[bytes, ...]


class Identity(msgspec.Struct, frozen=True, tag="identity"):
    """The signer's certificates without the root, its seal, and the proof that the key is there."""

    certificates: tuple[bytes, ...]
    seal: bytes
    proof: bytes


class Signed(msgspec.Struct, frozen=True, tag="signed"):
    """The signatures, in order."""

    signatures: tuple[bytes, ...]


class Declined(msgspec.Struct, frozen=True, tag="declined"):
    """Nothing was signed, and the cause."""

    cause: str


Question = Hello | Sign
Answer = Identity | Signed | Declined


class Closed(OSError):
    """The other side closed the connection, or does not keep to the form."""


def send_frame(link: socket.socket, value: Question | Answer) -> None:
    """Four bytes of length and a MessagePack value. Raises ``OSError``."""
    body = msgspec.msgpack.encode(value)
    if len(body) > FRAME_BYTES_MAX:
        raise Closed("longer than a frame may be")
    link.sendall(_LENGTH.pack(len(body)) + body)


def receive_frame(link: socket.socket, seconds: float, *, patient: bool = False) -> bytes:
    """The body of the next frame, whole within so many seconds; a ``patient`` reader counts from its first byte.

    Raises ``Closed``, ``TimeoutError`` and other ``OSError``.
    """
    link.settimeout(None if patient else seconds)
    first = link.recv(1)
    if not first:
        raise Closed("closed")
    deadline = time.monotonic() + seconds
    length = _LENGTH.unpack(first + _exactly(link, _LENGTH.size - 1, deadline))[0]
    if length > FRAME_BYTES_MAX:
        raise Closed("longer than a frame may be")
    return _exactly(link, length, deadline)


def _exactly(link: socket.socket, length: int, deadline: float) -> bytes:
    data = bytearray()
    while len(data) < length:
        link.settimeout(_left(deadline))
        part = link.recv(min(length - len(data), 1 << 16))
        if not part:
            raise Closed("closed")
        data += part
    return bytes(data)


def peer_uid(link: socket.socket) -> int:
    """Who is at the other end, as the kernel knows it."""
    return int(_PEER.unpack(link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))[1])


class SignerLine:
    """The way to a signer: connections kept open, one for each thread that asks, and whether it answers at all.

    A question that is not answered in time closes the line: whoever asks then is told at once, until ``hello`` got
    through again.
    """

    def __init__(self, path: Path, uids: frozenset[int] = frozenset()) -> None:
        self._path = path
        self._uids = uids or frozenset({os.getuid()})
        self._idle: list[socket.socket] = []
        self._lock = threading.Lock()
        self._closed = False
        self.down = False

    def hello(self) -> Identity:
        """Who the signer is, with its proof checked. Raises ``SignerDown``, or ``SignerFault`` when the key is not
        that of the certificate."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        answer = self._ask(Hello(nonce), time.monotonic() + HELLO_SECONDS_MAX)
        if isinstance(answer, Declined):
            raise _declined(answer)
        if not isinstance(answer, Identity) or not answer.certificates:
            raise self._fallen("an answer to something else")
        try:
            fits = public_key(answer.certificates[0]).verifies(answer.proof, GREETING + nonce)
        except ValueError:
            fits = False
        if not fits:
            raise SignerFault("ISSUE-SIGNER-NOT-FITTING", "the key is not that of the certificate")
        self.down = False
        return answer

    def sign(self, certificate: bytes, data: Sequence[bytes]) -> list[bytes]:
        """Signatures, in order. Raises ``SignerFault``."""
        if self.down:
            raise SignerDown("it is known not to answer")
        deadline = time.monotonic() + SIGN_SECONDS_MAX
        signatures: list[bytes] = []
        for part in _parts(data):
            answer = self._ask(Sign(certificate, part), deadline)
            if isinstance(answer, Declined):
                raise _declined(answer)
            if not isinstance(answer, Signed) or len(answer.signatures) != len(part):
                raise self._fallen("an answer to something else")
            signatures += answer.signatures
        return signatures

    def close(self) -> None:
        """Nothing is kept open from here on, also by a thread that still waits for its answer."""
        with self._lock:
            self._closed = True
        self._drop_kept()

    def _ask(self, question: Question, deadline: float) -> Answer:
        """Ask on a kept connection, or, when that turns out to be dead, once on a new one: asking twice for a
        signature does no harm."""
        for fresh in (False, True):
            kept = None if fresh else self._kept()
            try:
                link = kept or self._connected(deadline)
            except OSError as error:
                raise self._fallen(str(error)) from None
            try:
                answer = _asked(link, question, deadline)
            except TimeoutError:
                link.close()
                raise self._fallen("no answer in time") from None
            except (OSError, msgspec.MsgspecError) as error:
                link.close()
                if kept is None:
                    raise self._fallen(str(error)) from None
            else:
                self._keep(link)
                return answer
        raise AssertionError("a new connection answers or fails")

    def _kept(self) -> socket.socket | None:
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _keep(self, link: socket.socket) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(link)
                return
        link.close()

    def _drop_kept(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for link in idle:
            link.close()

    def _connected(self, deadline: float) -> socket.socket:
        link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            link.settimeout(_left(deadline))
            link.connect(str(self._path))
            if peer_uid(link) not in self._uids:
                raise Closed(f"the process at {self._path} belongs to somebody else")
        except BaseException:
            link.close()
            raise
        return link

    def _fallen(self, why: str) -> SignerDown:
        self.down = True
        self._drop_kept()
        return SignerDown(why)


class OutsideSigner:
    """Signs with a key in another process, under one certificate of it."""

    def __init__(self, line: SignerLine, identity: Identity, root: bytes) -> None:
        """Raises ``SignerFault`` when the certificate cannot be read."""
        self._line, self._root = line, root
        self.certificates = identity.certificates
        self._digest = sm3(self.certificates[0])
        try:
            self._key: PublicKey = public_key(self.certificates[0])
        except ValueError:
            raise SignerFault("ISSUE-SIGNER-NOT-FITTING") from None

    def fault_at(self, moment: datetime) -> str | None:
        if self._line.down:
            return "ISSUE-SIGNER-DOWN"
        return chain_fault(self.certificates, self._root, moment)

    def sign(self, data: bytes) -> bytes:
        return self.sign_all([data])[0]

    def sign_all(self, data: Sequence[bytes]) -> list[bytes]:
        """Every signature is verified before it is given on: what is wrong must not get into an invoice."""
        signatures = self._line.sign(self._digest, data)
        if not all(self._key.verifies(signature, one) for signature, one in zip(signatures, data, strict=True)):
            raise SignerFault("ISSUE-SIGNER-NOT-FITTING", "a signature does not hold")
        return signatures


class AbsentSigner:
    """In the place of a signer that has not been reached since the start."""

    certificates: tuple[bytes, ...] = ()
    certificate, seal = b"", b""

    def __init__(self, cause: str = "ISSUE-SIGNER-DOWN") -> None:
        self._cause = cause

    def fault_at(self, moment: datetime) -> str | None:
        return self._cause

    def sign(self, data: bytes) -> bytes:
        return self.sign_all([data])[0]

    def sign_all(self, data: Sequence[bytes]) -> list[bytes]:
        demand(self._cause)
        raise AssertionError("an absent signer has a cause")


def line_of(address: str) -> SignerLine:
    """The line of ``unix:/PATH``, or ``unix:/PATH?uid=N`` when the signer's process has another user id.

    Raises ``ValueError``.
    """
    path, _, query = address.removeprefix("unix:").partition("?")
    asked = parse_qs(query, strict_parsing=True) if query else {}
    if not address.startswith("unix:/") or set(asked) - {"uid"}:
        raise ValueError("must be unix:/PATH, with ?uid=N for a signer of another user")
    return SignerLine(Path(path), frozenset(int(one) for one in asked.get("uid", ())))


def _asked(link: socket.socket, question: Question, deadline: float) -> Answer:
    link.settimeout(_left(deadline))
    send_frame(link, question)
    answer: Answer = msgspec.msgpack.decode(receive_frame(link, _left(deadline)), type=Answer)
    return answer


def _declined(answer: Declined) -> SignerFault:
    """In words of ours: the other side may say anything."""
    if answer.cause in ("ISSUE-SIGNER-NOT-VALID", "ISSUE-SIGNER-NOT-FITTING"):
        return SignerFault(answer.cause, "the signer declined")
    return SignerDown("the signer declined")


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _parts(data: Sequence[bytes]) -> list[tuple[bytes, ...]]:
    """The data in questions that are not too long."""
    parts: list[list[bytes]] = []
    length = TOGETHER_BYTES_MAX
    for one in data:
        length += len(one)
        if length > TOGETHER_BYTES_MAX or not parts:
            parts.append([])
            length = len(one)
        parts[-1].append(one)
    return [tuple(part) for part in parts]
