"""The process that keeps the private key of an outside signer: ``piaoma keys serve-signer``.

A thread for each connection; signing lets the interpreter go, so they run beside each other. Nothing is kept between
two questions, so this process may die at any moment: what it had not answered was not signed for anybody.
"""

from __future__ import annotations

import fcntl
import os
import socket
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import msgspec
import structlog

from piaoma.invoice.refusal import Refused, refuse

from .key_secret import KeySecret
from .keystore import Keyring, certificate_names, open_or_create, signers
from .outside_signer import (
    GREETING,
    Answer,
    Declined,
    Hello,
    Identity,
    Question,
    Sign,
    Signed,
    peer_uid,
    receive_frame,
    send_frame,
)
from .seal import open_seal
from .signer import chain_fault
from .sm2 import PrivateKey, sm3

CONNECTIONS_MAX = 32
FRAME_SECONDS_MAX = 5.0  # for a question to arrive whole, once it has begun, and for its answer to be taken

_log = structlog.get_logger("piaoma.signer")


class KeyHolder:
    """The keys of a folder, opened again whenever the folder has changed. May be asked from several threads."""

    def __init__(self, folder: Path, secret: KeySecret, now: Callable[[], datetime]) -> None:
        """Raises ``Refused`` like ``open_or_create``."""
        self._folder, self._secret, self._now = folder, secret, now
        self._lock = threading.Lock()
        self._names: frozenset[str] = frozenset()
        self._keys: dict[bytes, tuple[PrivateKey, bytes]] = {}
        self._refresh()

    def _refresh(self) -> None:
        with self._lock:
            names = certificate_names(self._folder)
            if names and names == self._names:
                return
            # Remembered first: what does not open is not tried again at each question, but when it has changed.
            self._names = names
            now = self._now()
            self._keyring: Keyring = open_or_create(self._folder, now, self._secret)
            self._seal = open_seal(self._folder, self._keyring, now).seal
            pairs = signers(self._folder, self._secret)
            self._keys |= {sm3(certificate): (key, certificate) for key, certificate in pairs}

    def answer(self, question: Question) -> Answer:
        """Earlier signers still sign for whoever has not noticed yet that there is another."""
        try:
            self._refresh()
        except (Refused, OSError):
            _log.exception("keys")  # what was opened before still signs
        keyring = self._keyring
        if isinstance(question, Hello):
            proof = keyring.signer_key.sign(GREETING + question.nonce)
            return Identity((keyring.signer, keyring.issuer), self._seal, proof)
        key, certificate = self._keys.get(question.certificate, (None, b""))
        if key is None:
            return Declined("unknown certificate")
        fault = chain_fault((certificate, keyring.issuer), keyring.root, self._now())
        if fault is not None:
            return Declined(fault)
        return Signed(tuple(key.sign(one) for one in question.data))


def serve_signer(
    holder: KeyHolder, path: Path, uids: frozenset[int] = frozenset(), *, ready: Callable[[], None] = lambda: None
) -> None:
    """Answer on a socket until the process ends. ``uids`` may ask besides this process's own user.

    Raises ``Refused`` KEYS-SOCKET-USED when another signer answers there.
    """
    lock = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise refuse("KEYS-SOCKET-USED", have=path) from None
        path.unlink(missing_ok=True)  # of one that was killed
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
            before = os.umask(0o177)
            try:
                listening.bind(str(path))
            finally:
                os.umask(before)
            if uids:
                path.chmod(0o666)  # others may knock; who they are is asked of the kernel, below
            listening.listen(CONNECTIONS_MAX)
            ready()
            _accept(listening, holder, uids | {os.getuid()})
    finally:
        os.close(lock)


def _accept(listening: socket.socket, holder: KeyHolder, uids: frozenset[int] | set[int]) -> None:
    places = threading.BoundedSemaphore(CONNECTIONS_MAX)

    def talk(link: socket.socket) -> None:
        try:
            with link:
                _talk(link, holder)
        finally:
            places.release()

    while True:
        places.acquire()
        link, _ = listening.accept()
        if peer_uid(link) not in uids:
            _log.warning("a stranger was turned away", uid=peer_uid(link))
            link.close()
            places.release()
            continue
        threading.Thread(target=talk, args=(link,), daemon=True, name="signer").start()


def _talk(link: socket.socket, holder: KeyHolder) -> None:
    """Question and answer, until the other side closes or does not keep to the form."""
    while True:
        try:
            body = receive_frame(link, FRAME_SECONDS_MAX, patient=True)
            question: Question = msgspec.msgpack.decode(body, type=Hello | Sign)
            answer = holder.answer(question)
            link.settimeout(FRAME_SECONDS_MAX)
            send_frame(link, answer)
        except (OSError, msgspec.MsgspecError):
            return
