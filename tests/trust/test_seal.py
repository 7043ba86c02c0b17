"""The seal: made, set and judged; old forms are recognised; a folder of an earlier version gets its maker of seals."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from asn1crypto import core

from piaoma.trust import (
    PrivateKey,
    SignerFault,
    Verdict,
    make_seal,
    open_or_create,
    open_seal,
    sealed_at,
    sign_value,
    sm3,
    verify_value,
)
from piaoma.trust.certificates import common_name
from tests.invoice.test_original import AT

LISTED, PATH = b"<list/>", "/Doc_0/Signs/Sign_0/Signature.xml"


class Careless:
    """A sealer that asks nothing before it signs, as a forger would."""

    def __init__(self, key: PrivateKey, certificate: bytes, seal: bytes) -> None:
        self.sign, self.certificate, self.seal = key.sign, certificate, seal

    def fault_at(self, moment: datetime) -> None:
        return None


def test_a_seal_is_valid_for_what_was_sealed_only(tmp_path: Path) -> None:
    """Trusted root: VALID, with names and time; another text or place: INVALID; another root: UNKNOWN."""
    keyring = open_or_create(tmp_path / "keys", AT)
    signer = open_seal(tmp_path / "keys", keyring, AT)
    value = sign_value(LISTED, PATH, signer, AT)
    verdict = verify_value(value, LISTED, PATH, (keyring.root,), (keyring.issuer,))
    assert verdict.verdict is Verdict.VALID and "测试" in verdict.signer and "测试" in verdict.seal
    assert verdict.at == sealed_at(value) == AT
    assert (
        verify_value(value, LISTED + b" ", PATH, (keyring.root,), (keyring.issuer,)).reasons[0].cause == "SEAL-ALTERED"
    )
    assert verify_value(value, LISTED, PATH + "x", (keyring.root,), (keyring.issuer,)).verdict is Verdict.INVALID
    other = open_or_create(tmp_path / "other", AT)
    stranger = verify_value(value, LISTED, PATH, (other.root,), (keyring.issuer,))
    assert stranger.verdict is Verdict.UNKNOWN and stranger.reasons[0].cause == "SEAL-UNTRUSTED"


def test_every_flipped_byte_of_a_signed_value_is_noticed(tmp_path: Path) -> None:
    """All of them, one after the other."""
    keyring = open_or_create(tmp_path / "keys", AT)
    value = sign_value(LISTED, PATH, open_seal(tmp_path / "keys", keyring, AT), AT)
    for place in range(len(value)):
        flipped = value[:place] + bytes((value[place] ^ 1,)) + value[place + 1 :]
        verdict = verify_value(flipped, LISTED, PATH, (keyring.root,), (keyring.issuer,))
        assert verdict.verdict is not Verdict.VALID, place


def test_only_a_signer_in_the_list_may_use_a_seal(tmp_path: Path) -> None:
    """The issuer's own certificate is good, but the seal was not made for it."""
    keyring = open_or_create(tmp_path / "keys", AT)
    seal = make_seal(keyring.signer, keyring.seal_maker, keyring.seal_maker_key, AT)
    value = sign_value(LISTED, PATH, Careless(keyring.seal_maker_key, keyring.seal_maker, seal), AT)
    verdict = verify_value(value, LISTED, PATH, (keyring.root,), (keyring.issuer,))
    assert verdict.verdict is Verdict.INVALID and verdict.reasons[0].cause == "SEAL-CERTIFICATE"


@pytest.mark.parametrize("years", [-1, 6])
def test_a_seal_counts_while_it_is_valid(tmp_path: Path, years: int) -> None:
    """Before it was made and after the signer's certificate ended: not set, and not believed when it was."""
    keyring = open_or_create(tmp_path / "keys", AT)
    at = AT + timedelta(days=365 * years)
    seal = open_seal(tmp_path / "keys", keyring, AT)
    with pytest.raises(SignerFault, match="ISSUE-SIGNER-NOT-VALID"):
        sign_value(LISTED, PATH, seal, at)
    value = sign_value(LISTED, PATH, Careless(keyring.signer_key, keyring.signer, seal.seal), at)
    verdict = verify_value(value, LISTED, PATH, (keyring.root,), (keyring.issuer,))
    assert verdict.verdict is Verdict.INVALID and verdict.reasons[0].cause == "SEAL-CERTIFICATE"


def test_an_old_seal_is_recognised_and_never_called_forged() -> None:
    """GM/T 0031 writes version 1 in another structure; what is no DER at all is unreadable."""

    class Old(core.SequenceOf):  # type: ignore[misc]
        _child_spec = core.Any

    to_sign = Old([core.Integer(1), core.OctetString(b"seal"), core.BitString((0, 1))])
    value = Old([to_sign, core.BitString((1, 0))]).dump()
    verdict = verify_value(value, LISTED, PATH, ())
    assert verdict.verdict is Verdict.UNKNOWN and verdict.reasons[0].cause == "SEAL-OLD"
    for hostile in (b"", b"\x30\x80", b"hello", b"\x30\x84\xff\xff\xff\xff" + bytes(100)):
        assert verify_value(hostile, LISTED, PATH, ()).verdict is Verdict.INVALID


def test_a_folder_of_an_earlier_version_gets_a_maker_of_seals(tmp_path: Path) -> None:
    """What is there stays byte for byte; the same seal is opened again."""
    folder = tmp_path / "keys"
    first = open_or_create(folder, AT)
    for name in ("seal-maker.key", "seal-maker.pem"):
        (folder / name).unlink()
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    second = open_or_create(folder, AT)
    assert {name: (folder / name).read_bytes() for name in before} == before
    assert (second.signer, second.root) == (first.signer, first.root) and second.seal_maker != first.seal_maker
    assert "测试" in common_name(second.seal_maker)
    seal = open_seal(folder, second, AT)
    assert open_seal(folder, second, AT).seal == seal.seal
    assert all(file.stat().st_mode & 0o077 == 0 for file in folder.iterdir())


def test_a_list_of_digests_is_accepted(tmp_path: Path) -> None:
    """certListType 2 names the signer by the digest of the certificate."""
    from piaoma.trust import ses
    from piaoma.trust.seal import LIST_OF_DIGESTS

    keyring = open_or_create(tmp_path / "keys", AT)
    made = ses.Seal.load(make_seal(keyring.signer, keyring.seal_maker, keyring.seal_maker_key, AT))
    info = made["info"].copy()
    info["property"]["list_type"] = LIST_OF_DIGESTS
    info["property"]["list"] = [sm3(keyring.signer)]
    info = ses.SealInfo.load(info.dump(force=True))
    seal = ses.Seal(
        {
            "info": info,
            "certificate": keyring.seal_maker,
            "algorithm": made["algorithm"].dotted,
            "signature": ses.bits(keyring.seal_maker_key.sign(info.dump())),
        }
    ).dump()
    value = sign_value(LISTED, PATH, Careless(keyring.signer_key, keyring.signer, seal), AT)
    assert verify_value(value, LISTED, PATH, (keyring.root,), (keyring.issuer,)).verdict is Verdict.VALID
