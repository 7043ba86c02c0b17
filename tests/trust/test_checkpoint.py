"""Ed25519 by RFC 8032's own vectors; signed notes by the example of their specification; tampering by every byte."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from piaoma.trust import checkpoint as notes
from piaoma.trust.checkpoint import Checkpoint, LogKey, LogPublicKey, NoteFault, load_or_create_log_key
from piaoma.trust.key_secret import KeySecret

KEY = LogKey("example.cn/log", bytes(range(32)))
SECRET = KeySecret(Path("unused"), "0123456789abcdef" * 4)
NOTE = KEY.signed(Checkpoint("example.cn/log", 8, bytes(32)))

# RFC 8032 §7.1, tests 1 to 3: seed, public key, message, signature.
VECTORS = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24"
        "655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aee"
        "b00d291612bb0c00",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28d"
        "c027beceea1ec40a",
    ),
]


@pytest.mark.parametrize(("seed", "public", "message", "signature"), VECTORS)
def test_ed25519_is_that_of_rfc_8032(seed: str, public: str, message: str, signature: str) -> None:
    """The library's functions, called without its door, give the published keys and signatures."""
    assert notes._public_of(bytes.fromhex(seed)).hex() == public
    assert notes._sign(bytes.fromhex(seed), bytes.fromhex(message)).hex() == signature
    assert notes._verifies(bytes.fromhex(public), bytes.fromhex(signature), bytes.fromhex(message))
    assert not notes._verifies(bytes.fromhex(public), bytes.fromhex(signature), bytes.fromhex(message) + b"x")
    assert not notes._verifies(bytes.fromhex(public), b"", bytes.fromhex(message))


def test_the_published_key_of_a_signed_note_is_read() -> None:
    """The verifier key of Go's module checksum database, a signed note's best known."""
    line = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
    assert LogPublicKey.of(line).line() == line
    with pytest.raises(ValueError, match="not the key"):
        LogPublicKey.of(line.replace("033de0ae", "033de0af"))


def test_a_checkpoint_is_opened_again() -> None:
    """What was signed is what is read, and its form is the one of C2SP."""
    assert KEY.public.opened(NOTE) == Checkpoint("example.cn/log", 8, bytes(32))
    assert NOTE.startswith(f"example.cn/log\n8\n{'A' * 43}=\n\n— example.cn/log ")
    # Another line of text, as the form allows, is signed with the rest; another's signature beside ours does no harm.
    other = LogKey("example.org/witness", bytes(32)).signed(Checkpoint("example.org/witness", 8, bytes(32)))
    assert KEY.public.opened(NOTE + other.rpartition("\n\n")[2]).size == 8


@pytest.mark.parametrize("at", range(len(NOTE.encode())))
def test_every_flipped_byte_of_a_checkpoint_is_noticed(at: int) -> None:
    """Text, blank line or signature."""
    altered = bytearray(NOTE.encode())
    altered[at] ^= 1
    with pytest.raises(NoteFault):
        KEY.public.opened(altered.decode(errors="replace"))


@pytest.mark.parametrize("note", ["", "\n", "\n\n", "example.cn/log\n8\n\n", NOTE * 40, "a\n" * 30, NOTE + "\n"])
def test_what_is_no_note_is_refused(note: str) -> None:
    """Never another exception."""
    with pytest.raises(NoteFault):
        KEY.public.opened(note)


def test_the_key_is_made_once_and_is_nobody_elses(tmp_path: Path) -> None:
    """Mode 0600; the same key and name at every start, whatever name is asked for later."""
    path = tmp_path / "log.key"
    first = load_or_create_log_key(path, "example.cn/log", SECRET)
    again = load_or_create_log_key(path, "example.org/log", SECRET)
    assert first.public == again.public and stat.S_IMODE(path.stat().st_mode) == 0o600
    assert LogPublicKey.of((tmp_path / "log.pub").read_text()) == first.public
