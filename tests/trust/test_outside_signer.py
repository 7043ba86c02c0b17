"""The signer in another process: it signs like a file, whatever it answers is judged, and when it does not, that is
known within its time."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest

from piaoma.trust import (
    PrivateKey,
    SignerDown,
    SignerFault,
    SignersSeal,
    Verdict,
    open_or_create,
    open_seal,
    sign_original,
    sign_originals,
    sign_value,
    verify_original,
    verify_value,
)
from piaoma.trust import outside_signer as module
from piaoma.trust.keystore import Keyring, rotate
from piaoma.trust.outside_signer import (
    FRAME_BYTES_MAX,
    GREETING,
    Hello,
    Identity,
    OutsideSigner,
    Sign,
    Signed,
    SignerLine,
    line_of,
    receive_frame,
    send_frame,
)
from piaoma.trust.signer_service import CONNECTIONS_MAX
from tests.invoice.test_original import example
from tests.trust.signing import SignerProcess, outside_signer

NOW = datetime.now(ZoneInfo("Asia/Shanghai")).replace(microsecond=0)


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[SignerProcess, Keyring]]:
    """A signer and, to compare with, its keys."""
    with tempfile.TemporaryDirectory(prefix="piaoma-signer-") as folder:
        data = Path(folder) / "data"
        ring = open_or_create(data / "keys" / "sandbox", NOW)
        with outside_signer(data, Path(folder) / "signer.sock") as process:
            yield process, ring


LINES: list[SignerLine] = []


@pytest.fixture(autouse=True)
def _close_lines() -> Iterator[None]:
    yield
    while LINES:
        LINES.pop().close()


def line_to(socket_path: Path, uids: frozenset[int] = frozenset()) -> SignerLine:
    LINES.append(SignerLine(socket_path, uids))
    return LINES[-1]


def signer_at(socket_path: Path, root: bytes) -> OutsideSigner:
    line = line_to(socket_path)
    return OutsideSigner(line, line.hello(), root)


def test_it_signs_what_verifies(running: tuple[SignerProcess, Keyring]) -> None:
    """Originals and a seal; the private key was never in this process."""
    process, ring = running
    signer = signer_at(process.socket, ring.root)
    assert signer.certificates == (ring.signer, ring.issuer) and signer.fault_at(NOW) is None
    for original in sign_originals([msgspec.structs.replace(example(), signed_at=NOW)] * 3, signer):
        assert verify_original(original, (ring.root,)).verdict is Verdict.VALID
    seal = SignersSeal(signer, open_seal(process.data / "keys" / "sandbox", ring, NOW).seal, ring.root)
    value = sign_value(b"<list/>", "/S.xml", seal, NOW)
    assert verify_value(value, b"<list/>", "/S.xml", (ring.root,), (ring.issuer,)).verdict is Verdict.VALID


def test_many_threads_get_each_their_own(running: tuple[SignerProcess, Keyring]) -> None:
    """Eight at once, with batches of many lengths, longer together than one question may be."""
    process, ring = running
    signer = signer_at(process.socket, ring.root)
    wrong: list[int] = []

    def work(place: int) -> None:
        for turn in range(5):
            data = [f"{place}:{turn}:{at}".encode() * (at * 20 + 1) for at in range(place * 3)]
            if len(signer.sign_all(data)) != len(data):  # each is verified against its own data inside
                wrong.append(place)
        large = [bytes(400_000), b"small", bytes(700_000), bytes(1_500_000)]
        if place == 1 and len(signer.sign_all(large)) != 4:
            wrong.append(-1)

    threads = [threading.Thread(target=work, args=(place,)) for place in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == [] and not signer._line.down


def test_the_socket_is_its_owners_and_used_once(running: tuple[SignerProcess, Keyring]) -> None:
    """Mode 0600; a second signer there is refused with its cause, and the first goes on."""
    process, _ = running
    assert process.socket.stat().st_mode & 0o777 == 0o600
    second = subprocess.run(
        [sys.executable, "-m", "piaoma.cli", "keys", "serve-signer", "--socket", str(process.socket)],
        env={**os.environ, "PIAOMA_DATA": str(process.data)}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert second.returncode == 2 and "KEYS-SOCKET-USED" in second.stderr
    assert line_to(process.socket).hello()


def test_a_process_of_another_user_is_not_spoken_to(running: tuple[SignerProcess, Keyring]) -> None:
    """The kernel says who is at the other end; an address may name whom to expect instead."""
    process, _ = running
    with pytest.raises(SignerDown, match="belongs to somebody else"):
        line_to(process.socket, frozenset({os.getuid() + 1})).hello()
    LINES.append(line_of(f"unix:{process.socket}?uid={os.getuid()}"))
    assert LINES[-1].hello()
    for wrong in ("unix:relative", "tcp:1", "unix:/x?gid=1", "unix:/x?uid=me"):
        with pytest.raises(ValueError, match=r"unix|invalid literal"):
            line_of(wrong)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_a_stranger_is_turned_away(running: tuple[SignerProcess, Keyring]) -> None:
    """Even when the socket's mode would let him in."""
    process, _ = running
    process.socket.chmod(0o666)
    process.socket.parent.chmod(0o755)
    knock = (
        "import os, socket, sys; os.setuid(65534); link = socket.socket(socket.AF_UNIX);"
        " link.settimeout(5); link.connect(sys.argv[1]); print(link.recv(1))"
    )
    try:
        done = subprocess.run([sys.executable, "-c", knock, str(process.socket)], capture_output=True, text=True)
    finally:
        process.socket.chmod(0o600)
    assert done.stdout == "b''\n", done.stderr
    assert line_to(process.socket).hello()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_another_user_may_be_named_on_both_sides() -> None:
    """A server of its own user asks a signer of another: each side names the other, and it signs."""
    ask = (
        "import os, sys; from piaoma.trust.outside_signer import line_of; from piaoma.trust import SignerFault\n"
        "os.setuid(65534)\n"
        "for query in ('?uid=0', '?uid=65533'):\n"
        "    line = line_of('unix:' + sys.argv[1] + query)\n"
        "    try: print(len(line.hello().certificates))\n"
        "    except SignerFault as fault: print(fault.cause)\n"
        "    line.close()\n"
    )
    with tempfile.TemporaryDirectory(prefix="piaoma-signer-") as folder:
        Path(folder).chmod(0o755)
        with outside_signer(Path(folder) / "data", Path(folder) / "s", "--allow-uid", "65534") as process:
            done = subprocess.run([sys.executable, "-c", ask, str(process.socket)], capture_output=True, text=True)
    assert done.stdout.split() == ["2", "ISSUE-SIGNER-DOWN"], done.stderr


def ended(link: socket.socket) -> bool:
    """Whether the other side has closed, with or without having read everything."""
    try:
        return link.recv(1) == b""
    except ConnectionResetError:
        return True


def test_garbage_ends_its_own_connection_only(running: tuple[SignerProcess, Keyring]) -> None:
    """No frame, a frame too long, a frame of nonsense, half a frame, an answer in place of a question; more connections
    than there are places, each left in the middle."""
    process, ring = running
    long = struct.pack("!I", FRAME_BYTES_MAX + 1)
    for hostile in (b"GET / HTTP/1.1\r\n\r\n", long, struct.pack("!I", 3) + b"abc", b"\0\0", b"\0\0\0\x01\xc1"):
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(10)
            link.connect(str(process.socket))
            link.sendall(hostile)
            with contextlib.suppress(OSError):  # closed already
                link.shutdown(socket.SHUT_WR)
            assert ended(link)
    for _ in range(CONNECTIONS_MAX + 5):
        with socket.socket(socket.AF_UNIX) as link:
            link.connect(str(process.socket))
            link.sendall(b"\0\0\0\x10half")
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(str(process.socket))
        send_frame(link, Signed((b"x",)))
        assert ended(link)
    assert signer_at(process.socket, ring.root).sign(b"x")


def test_an_unknown_certificate_signs_nothing(running: tuple[SignerProcess, Keyring]) -> None:
    """As after a rotation that this side has not noticed, when the other has started again without the old key."""
    process, _ = running
    line = line_to(process.socket)
    with pytest.raises(SignerDown):
        line.sign(bytes(32), [b"x"])
    assert not line.down, "the signer itself is there"


def test_a_rotation_is_followed_and_the_earlier_signer_still_signs(tmp_path: Path) -> None:
    """Without a restart: whoever says hello gets the new one, whoever holds the old one loses nothing."""
    data = tmp_path / "data"
    ring = open_or_create(data / "keys" / "sandbox", NOW)
    with outside_signer(data, tmp_path / "s") as process:
        old = signer_at(process.socket, ring.root)
        rotate(data / "keys" / "sandbox", NOW)
        new = signer_at(process.socket, ring.root)
        assert old.certificates != new.certificates
        for signer in (old, new):
            original = sign_original(msgspec.structs.replace(example(), signed_at=NOW), signer)
            assert verify_original(original, (ring.root,)).verdict is Verdict.VALID


# ── it dies and it hangs ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_signer_that_was_killed_and_is_back_is_used_again(tmp_path: Path) -> None:
    """Dead connections are found out by the next question; while it is away that is said at once."""
    data = tmp_path / "data"
    ring = open_or_create(data / "keys" / "sandbox", NOW)
    with outside_signer(data, tmp_path / "s") as process:
        signer = signer_at(process.socket, ring.root)
        for _ in range(2):
            assert signer.sign(b"x")
            process.kill()
            process.start()
            assert signer.sign(b"x"), "the kept connection was dead, a new one was made"
        process.kill()
        with pytest.raises(SignerDown):
            signer.sign(b"x")
        begun = time.monotonic()
        assert signer.fault_at(NOW) == "ISSUE-SIGNER-DOWN"
        with pytest.raises(SignerDown):
            signer.sign(b"x")
        assert time.monotonic() - begun < module.SIGN_SECONDS_MAX
        process.start()
        assert signer._line.hello() and signer.fault_at(NOW) is None and signer.sign(b"x")


def test_a_hung_signer_is_given_up_in_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGSTOP: connections stand, nothing comes. The wait ends, later ones end at once, and SIGCONT heals it."""
    monkeypatch.setattr(module, "SIGN_SECONDS_MAX", 0.3)
    monkeypatch.setattr(module, "HELLO_SECONDS_MAX", 0.3)
    data = tmp_path / "data"
    ring = open_or_create(data / "keys" / "sandbox", NOW)
    with outside_signer(data, tmp_path / "s") as process:
        signer = signer_at(process.socket, ring.root)
        process.pause()
        with pytest.raises(SignerDown, match="no answer in time"):
            signer.sign(b"x")
        with pytest.raises(SignerDown, match="known not to answer"):
            signer.sign(b"x")
        with pytest.raises(SignerDown):
            signer._line.hello()
        process.resume()
        monkeypatch.undo()
        assert signer._line.hello() and signer.sign(b"x")


# ── it lies ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_answer_after_the_end_leaves_no_connection_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that ends while a thread waits for the signer closes that thread's connection too, once it answers."""
    open_or_create(tmp_path / "data" / "keys" / "sandbox", NOW)
    with (
        tempfile.TemporaryDirectory(prefix="piaoma-signer-") as folder,
        outside_signer(tmp_path / "data", Path(folder) / "s") as process,
    ):
        line, opened = line_to(process.socket), []
        real = line._connected

        def connected(deadline: float) -> socket.socket:
            opened.append(real(deadline))
            return opened[-1]

        monkeypatch.setattr(line, "_connected", connected)
        monkeypatch.setattr(module, "HELLO_SECONDS_MAX", 20.0)
        process.pause()
        waiting = threading.Thread(target=line.hello)
        waiting.start()
        while not opened:
            time.sleep(0.01)
        line.close()
        process.resume()
        waiting.join()
        assert [link.fileno() for link in opened] == [-1] and line._kept() is None


@contextmanager
def liar(path: Path, answer: Callable[[object], object]) -> Iterator[None]:
    """A process that is not ours, in the place of the signer."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(path))
    listening.listen()

    def talk() -> None:
        while True:
            try:
                link, _ = listening.accept()
            except OSError:
                return
            with link:
                try:
                    while True:
                        question = msgspec.msgpack.decode(receive_frame(link, 5), type=Hello | Sign)
                        said = answer(question)
                        if isinstance(said, bytes):
                            link.sendall(said)
                            break
                        send_frame(link, said)  # type: ignore[arg-type]
                except (OSError, msgspec.MsgspecError):
                    continue

    thread = threading.Thread(target=talk, daemon=True)
    thread.start()
    try:
        yield
    finally:
        while LINES:
            LINES.pop().close()
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()


@pytest.fixture
def ring(tmp_path: Path) -> Keyring:
    return open_or_create(tmp_path / "keys", NOW)


def test_a_wrong_signature_never_gets_out(tmp_path: Path, ring: Keyring, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of another key, over other data, too few, none at all; with the check taken out (negative control) they would."""
    stranger = PrivateKey.generate()
    said: list[Callable[[Sign], object]] = [
        lambda asked: Signed(tuple(stranger.sign(one) for one in asked.data)),
        lambda asked: Signed(tuple(ring.signer_key.sign(b"another") for _ in asked.data)),
        lambda asked: Signed(tuple(ring.signer_key.sign(one) for one in asked.data[1:])),
        lambda asked: Signed((b"",) * len(asked.data)),
        lambda asked: Identity((), b"", b""),
        lambda asked: b"\0\0\0\x02ab",
        lambda asked: struct.pack("!I", FRAME_BYTES_MAX + 1),
    ]
    turn = [0]

    def answer(question: object) -> object:
        if isinstance(question, Hello):
            return Identity((ring.signer, ring.issuer), b"", ring.signer_key.sign(GREETING + question.nonce))
        assert isinstance(question, Sign)
        return said[turn[0]](question)

    with liar(tmp_path / "s", answer):
        signer = signer_at(tmp_path / "s", ring.root)
        for turn[0] in range(len(said)):
            signer._line.down = False
            with pytest.raises(SignerFault):
                signer.sign_all([b"one", b"two"])
        turn[0] = 0
        signer._line.down = False
        monkeypatch.setattr(type(signer._key), "verifies", lambda *_: True)
        assert len(signer.sign_all([b"one", b"two"])) == 2


def test_whoever_cannot_prove_the_key_is_not_believed(tmp_path: Path, ring: Keyring) -> None:
    """Somebody else's certificates with no key behind them, an old proof, a chain to another root, no certificate."""
    other = open_or_create(tmp_path / "other", NOW)
    proof = ring.signer_key.sign(GREETING + bytes(32))
    said: list[Callable[[Hello], object]] = [
        lambda asked: Identity((ring.signer, ring.issuer), b"", PrivateKey.generate().sign(GREETING + asked.nonce)),
        lambda asked: Identity((ring.signer, ring.issuer), b"", proof),
        lambda asked: Identity((b"garbage",), b"", b""),
        lambda asked: Identity((), b"", b""),
    ]
    turn = [0]

    def answer(question: object) -> object:
        assert isinstance(question, Hello)
        if turn[0] < len(said):
            return said[turn[0]](question)
        return Identity((other.signer, other.issuer), b"", other.signer_key.sign(GREETING + question.nonce))

    with liar(tmp_path / "s", answer):
        for turn[0] in range(len(said)):
            with pytest.raises(SignerFault):
                line_to(tmp_path / "s").hello()
            LINES.pop().close()
        turn[0] = len(said)
        assert signer_at(tmp_path / "s", ring.root).fault_at(NOW) == "ISSUE-SIGNER-NOT-FITTING"


def test_a_dripping_answer_ends_in_time(tmp_path: Path, ring: Keyring, monkeypatch: pytest.MonkeyPatch) -> None:
    """One byte now and then keeps no socket busy for longer than the whole question may take."""
    monkeypatch.setattr(module, "HELLO_SECONDS_MAX", 0.4)
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(tmp_path / "s"))
    listening.listen()
    over = threading.Event()

    def drip() -> None:
        link, _ = listening.accept()
        with link:
            link.sendall(struct.pack("!I", 100))
            while not over.wait(0.1):
                try:
                    link.sendall(b"x")
                except OSError:
                    return

    thread = threading.Thread(target=drip)
    thread.start()
    begun = time.monotonic()
    with pytest.raises(SignerDown):
        line_to(tmp_path / "s").hello()
    assert time.monotonic() - begun < 5
    over.set()
    thread.join()
    listening.close()


def test_it_ends_when_it_is_told_to(tmp_path: Path) -> None:
    """SIGTERM, as systemd says it."""
    with outside_signer(tmp_path / "data", tmp_path / "s") as process:
        assert process.process is not None
        process.process.send_signal(signal.SIGTERM)
        assert process.process.wait(timeout=20) != 0
        process.process = None
