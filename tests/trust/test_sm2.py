"""Both native libraries keep one contract: they accept each other's signatures and no others."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from piaoma.trust import FileSigner, PrivateKey, PublicKey, Verdict, open_or_create, sign_original, sm2, verify_original
from piaoma.trust.sm2 import EXAMPLE_DATA, EXAMPLE_PUBLIC, EXAMPLE_SIGNATURE, Engine
from tests.invoice.test_original import AT, example

ENGINES = {"tongsuo": sm2.tongsuo, "openssl": sm2.openssl}
P256 = bytes.fromhex(  # a public key on another curve
    "3059301306072a8648ce3d020106082a8648ce3d030107034200046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d8"
    "98c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
)


@pytest.fixture(params=sorted(ENGINES))
def engine(request: pytest.FixtureRequest) -> Engine:
    return ENGINES[request.param]()


@pytest.fixture(params=sorted(ENGINES))
def in_use(request: pytest.FixtureRequest) -> Iterator[str]:
    """A library in use for a test, and what was in use before afterwards."""
    before = sm2.engine().name
    yield sm2.choose(request.param)[0]
    sm2.choose(before)  # type: ignore[arg-type]


def test_the_standards_examples_hold(engine: Engine) -> None:
    """GB/T 32905 (SM3), GB/T 32907 (SM4), and the signature of GB/T 32918.5, which is over this text only."""
    assert engine.sm3(b"abc").hex() == "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
    block = bytes.fromhex("0123456789abcdeffedcba9876543210")
    enciphered = engine.sm4_cbc(block, bytes(16), block, encrypt=True)
    assert enciphered.hex() == "681edf34d206965e86b3e94f536e4246"
    assert engine.sm4_cbc(block, bytes(16), enciphered, encrypt=False) == block
    public, signature = engine.public(EXAMPLE_PUBLIC), sm2._der(EXAMPLE_SIGNATURE)
    assert public.verifies(signature, EXAMPLE_DATA) and not public.verifies(signature, EXAMPLE_DATA + b"!")


@pytest.mark.parametrize("other", sorted(ENGINES))
def test_each_accepts_what_either_signed(engine: Engine, other: str) -> None:
    """Keys, signatures and enciphered blocks go between them in both directions."""
    theirs = ENGINES[other]()
    der = engine.generate()
    key, same = engine.private(der), theirs.private(der)
    assert key.public_der() == same.public_der()
    for length in (0, 1, 31, 4_200):
        data = bytes(length)
        assert theirs.public(key.public_der()).verifies(key.sign(data), data)
        assert engine.public(key.public_der()).verifies(same.sign(data), data)
        assert not theirs.public(key.public_der()).verifies(key.sign(data), data + b"x")
    blocks = engine.sm4_cbc(bytes(16), bytes(16), bytes(160), encrypt=True)
    assert theirs.sm4_cbc(bytes(16), bytes(16), blocks, encrypt=False) == bytes(160)


def test_what_is_no_sm2_key_is_refused(engine: Engine) -> None:
    """Garbage, nothing, and a key on another curve."""
    for hostile in (b"", b"\x30\x00", b"x" * 200, P256, EXAMPLE_PUBLIC[:-1]):
        with pytest.raises(ValueError, match="not an SM2 public key"):
            engine.public(hostile)
        with pytest.raises(ValueError, match="not an SM2 private key"):
            engine.private(hostile)


def test_a_malformed_signature_is_none(engine: Engine) -> None:
    """Every flipped byte, cut short, longer, empty."""
    key = engine.private(engine.generate())
    public, signature = engine.public(key.public_der()), key.sign(b"data")
    assert public.verifies(signature, b"data")
    flipped = [signature[:at] + bytes((signature[at] ^ 1,)) + signature[at + 1 :] for at in range(len(signature))]
    for wrong in (*flipped, signature[:-1], signature + b"\0", b"", bytes(64)):
        assert not public.verifies(wrong, b"data")


def test_threads_sign_and_verify_beside_each_other(engine: Engine) -> None:
    """Four threads, one key; nothing that one does disturbs another."""
    key = engine.private(engine.generate())
    public = engine.public(key.public_der())
    bad: list[int] = []

    def work(place: int) -> None:
        for turn in range(50):
            data = f"{place}:{turn}".encode()
            signature = key.sign(data)
            if not public.verifies(signature, data) or public.verifies(signature, b"another"):
                bad.append(turn)

    threads = [threading.Thread(target=work, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bad == []


def test_an_original_is_valid_under_the_other_library_too(in_use: str, tmp_path: Path) -> None:
    """Signed by the one in use, keys and certificates made by it; judged by the other."""
    ring = open_or_create(tmp_path / "keys", AT)
    original = sign_original(example(), FileSigner(ring))
    sm2.choose("openssl" if in_use == "tongsuo" else "tongsuo")
    assert verify_original(original, (ring.root,)).verdict is Verdict.VALID
    assert open_or_create(tmp_path / "keys", AT).root == ring.root


def test_a_library_that_cannot_do_sm2_is_replaced_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on systems whose libcrypto was built without SM2. Without either the start ends with both reasons."""

    def missing() -> Engine:
        raise sm2.EngineMissing("openssl cannot do SM2 here")

    before = sm2.engine().name
    monkeypatch.setitem(sm2._ENGINES, "openssl", missing)
    try:
        assert sm2.choose("openssl") == ("tongsuo", "openssl cannot do SM2 here")
        assert PublicKey(PrivateKey.generate().public_der())
        monkeypatch.setitem(sm2._ENGINES, "tongsuo", missing)
        with pytest.raises(sm2.EngineMissing, match="SM2 here; openssl"):
            sm2.choose("auto")
    finally:
        monkeypatch.undo()
        sm2.choose(before)  # type: ignore[arg-type]


def test_a_library_that_fails_the_standards_example_is_not_used() -> None:
    """Negative control of the trial at the start: one that believes everything."""

    class Credulous:
        name = "credulous"

        def __getattr__(self, name: str) -> object:
            return lambda *_: self

        def verifies(self, signature: bytes, data: bytes) -> bool:
            return True

    with pytest.raises(sm2.EngineMissing, match="does not know the standard's example"):
        sm2._tried(Credulous())  # type: ignore[arg-type]
