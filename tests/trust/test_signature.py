"""Signatures: made and judged, against a library that is not ours, and every flipped byte noticed."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from piaoma.trust import (
    ChainFault,
    FileSigner,
    PrivateKey,
    PublicKey,
    SignerFault,
    Verdict,
    open_or_create,
    sign_original,
    verify_chain,
    verify_original,
)
from piaoma.trust.sm2 import sm3
from tests.invoice.test_original import AT, example


def test_sm3_is_the_standards() -> None:
    """The example of GB/T 32905: the digest of abc."""
    assert sm3(b"abc").hex() == "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"


def test_openssl_accepts_our_signature_and_we_accept_openssls(tmp_path: Path) -> None:
    """Both ways, with the user id 1234567812345678; without it openssl must refuse, so Z is really in it."""
    key = PrivateKey.generate()
    (tmp_path / "key.pem").write_bytes(key.to_pem())
    (tmp_path / "data").write_bytes(b"data")
    (tmp_path / "ours").write_bytes(key.sign(b"data"))

    def openssl(*arguments: str) -> int:
        return subprocess.run(["openssl", *arguments], cwd=tmp_path, capture_output=True).returncode

    assert openssl("pkey", "-in", "key.pem", "-pubout", "-out", "public.pem") == 0
    check = ("dgst", "-sm3", "-verify", "public.pem", "-signature", "ours")
    assert openssl(*check, "-sigopt", "distid:1234567812345678", "data") == 0
    assert openssl(*check, "data") != 0
    sign = ("dgst", "-sm3", "-sign", "key.pem", "-sigopt", "distid:1234567812345678", "-out", "theirs", "data")
    assert openssl(*sign) == 0
    public = PublicKey(key.public_der())
    assert public.verifies((tmp_path / "theirs").read_bytes(), b"data")
    assert not public.verifies((tmp_path / "theirs").read_bytes(), b"date")


def test_a_raw_signature_is_accepted() -> None:
    """r ‖ s without DER occurs elsewhere."""
    key = PrivateKey.generate()
    der = key.sign(b"x")
    length = der[3]
    r, s = der[4 : 4 + length], der[6 + length :]
    raw = r[-32:].rjust(32, b"\0") + s[-32:].rjust(32, b"\0")
    assert PublicKey(key.public_der()).verifies(raw, b"x")


def test_every_flipped_byte_of_an_original_is_noticed(tmp_path: Path) -> None:
    """Each byte of a signed file is changed in turn; none of the copies is VALID."""
    ring = open_or_create(tmp_path / "keys", AT)
    data = sign_original(example(), FileSigner(ring))
    assert verify_original(data, (ring.root,)).verdict is Verdict.VALID
    for place in range(len(data)):
        flipped = data[:place] + bytes((data[place] ^ 1,)) + data[place + 1 :]
        assert verify_original(flipped, (ring.root,)).verdict is not Verdict.VALID, place


def test_only_a_trusted_chain_is_valid(tmp_path: Path) -> None:
    """Another sandbox's file is UNKNOWN here, a file signed after its certificate ended INVALID."""
    ours, theirs = open_or_create(tmp_path / "a", AT), open_or_create(tmp_path / "b", AT)
    data = sign_original(example(), FileSigner(theirs))
    assert verify_original(data, (ours.root,)).verdict is Verdict.UNKNOWN
    assert verify_original(data, ()).verdict is Verdict.UNKNOWN
    chain = (theirs.signer, theirs.issuer)
    assert verify_chain(chain, (theirs.root,), AT)
    for moment in (AT - timedelta(days=3), AT + timedelta(days=365 * 6)):
        with pytest.raises(ChainFault):
            verify_chain(chain, (theirs.root,), moment)


def test_a_chain_with_a_wrong_link_is_refused(tmp_path: Path) -> None:
    """The signer's certificate under another issuer, and an issuer in the place of the signer."""
    ours, theirs = open_or_create(tmp_path / "a", AT), open_or_create(tmp_path / "b", AT)
    with pytest.raises(ChainFault):
        verify_chain((ours.signer, theirs.issuer), (theirs.root,), AT)
    with pytest.raises(ChainFault):
        verify_chain((ours.issuer,), (ours.root,), AT)
    with pytest.raises(ChainFault):
        verify_chain((b"garbage", ours.issuer), (ours.root,), AT)


def test_private_keys_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    """Mode 0600, and the same keys at the next start."""
    first = open_or_create(tmp_path / "keys", AT)
    assert {file.stat().st_mode & 0o777 for file in (tmp_path / "keys").iterdir()} == {0o600}
    assert open_or_create(tmp_path / "keys", AT).root == first.root


def test_a_signer_that_ends_is_followed_by_another_in_time(tmp_path: Path) -> None:
    """A start shortly before the end makes a new signer; what the old one signed stays valid, and so does the key."""
    first = open_or_create(tmp_path / "keys", AT)
    old = sign_original(example(), FileSigner(first))
    assert open_or_create(tmp_path / "keys", AT + timedelta(days=365)).signer == first.signer
    later = AT + timedelta(days=365 * 5 - 30)
    second = open_or_create(tmp_path / "keys", later)
    assert second.signer != first.signer and second.root == first.root
    assert open_or_create(tmp_path / "keys", later).signer == second.signer
    assert FileSigner(first).fault_at(AT + timedelta(days=365 * 6)) == "ISSUE-SIGNER-NOT-VALID"
    assert FileSigner(second).fault_at(AT + timedelta(days=365 * 6)) is None
    new = sign_original(msgspec.structs.replace(example(), signed_at=later), FileSigner(second))
    for data in (old, new):
        assert verify_original(data, (second.root,)).verdict is Verdict.VALID


def test_a_renewal_that_died_halfway_is_made_again(tmp_path: Path) -> None:
    """A key without its certificate counts for nothing."""
    first = open_or_create(tmp_path / "keys", AT)
    (tmp_path / "keys" / "signer-2.key").write_bytes(b"half")
    assert open_or_create(tmp_path / "keys", AT).signer == first.signer
    second = open_or_create(tmp_path / "keys", AT + timedelta(days=365 * 5 - 30))
    assert second.signer != first.signer and FileSigner(second).sign(b"x")


def test_nothing_is_signed_that_would_not_verify(tmp_path: Path) -> None:
    """Before and after the certificate's validity nothing is signed, whoever asked or did not ask before."""
    signer = FileSigner(open_or_create(tmp_path / "keys", AT))
    for moment in (AT - timedelta(days=3), AT + timedelta(days=365 * 6)):
        with pytest.raises(SignerFault, match="ISSUE-SIGNER-NOT-VALID"):
            sign_original(msgspec.structs.replace(example(), signed_at=moment), signer)


def test_a_clock_that_ran_ahead_once_leaves_a_signer_that_is_valid_now(tmp_path: Path) -> None:
    """A start years ahead makes a signer of those years; corrected, the one of today signs again. Starts near the end
    of the issuer make no signers that could not last longer."""
    first = open_or_create(tmp_path / "keys", AT)
    ahead = open_or_create(tmp_path / "keys", AT + timedelta(days=1_700))
    assert ahead.signer != first.signer
    assert open_or_create(tmp_path / "keys", AT).signer == first.signer
    late = AT + timedelta(days=365 * 10 - 60)
    for _ in range(3):
        open_or_create(tmp_path / "keys", late)
    assert len(list((tmp_path / "keys").glob("signer*.pem"))) <= 3


def test_several_that_start_at_once_share_one_keyring(tmp_path: Path) -> None:
    """First start and renewal, by processes of their own: one root, a key that fits, nothing left aside."""
    program = (
        "import sys; from datetime import datetime; from pathlib import Path;"
        " from piaoma.trust import open_or_create;"
        " kept = open_or_create(Path(sys.argv[1]), datetime.fromisoformat(sys.argv[2])); print(kept.signer.hex())"
    )
    for moment in (AT, AT + timedelta(days=365 * 5 - 30)):
        arguments = [sys.executable, "-c", program, str(tmp_path / "keys"), moment.isoformat()]
        started = [subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) for _ in range(4)]
        signers = {process.communicate(timeout=60)[0] for process in started}
        assert all(process.returncode == 0 for process in started) and len(signers) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["keys", "keys.lock", "keys.secret"]
    assert len(list((tmp_path / "keys").glob("signer*.pem"))) == 2
