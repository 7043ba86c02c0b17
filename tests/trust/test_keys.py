"""Keys at rest: enciphered, opened by one secret only, migrated without a moment of loss, rotated, listed, exported."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from asn1crypto import pem

from piaoma.invoice.refusal import Refused
from piaoma.trust import (
    FileSigner,
    KeySecret,
    PrivateKey,
    SignerFault,
    SignersSeal,
    Verdict,
    keyfile,
    keystore,
    open_or_create,
    open_seal,
    original_signature,
    sign_original,
    sign_value,
    verify_original,
    verify_value,
)
from piaoma.trust.certificates import public_key
from piaoma.trust.files import write_new
from piaoma.trust.key_listing import KeyState, key_entries, public_parts
from piaoma.trust.keystore import rotate
from tests.invoice.test_original import AT, example

SECRET, OTHER = "0123456789abcdef" * 4, "fedcba9876543210" * 4


def given(secret: str, tmp_path: Path) -> KeySecret:
    return KeySecret(tmp_path / "no such file", secret)


def state_of(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def cause_of(call: Callable[[], object]) -> str:
    with pytest.raises(Refused) as refused:
        call()
    return refused.value.refusals[0].cause


def make_plain(folder: Path, secret: str) -> dict[str, bytes]:
    """A folder as earlier versions left it; the keys, DER."""
    plain = {}
    for path in folder.glob("*.key"):
        key = keyfile.opened(path.read_bytes(), secret)
        plain[path.name] = key.to_der()
        path.write_bytes(key.to_pem())
    return plain


def secret_beside(folder: Path) -> str:
    return folder.with_name(f"{folder.name}.secret").read_text().strip()


# ── at rest ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_no_private_key_is_on_disk_in_the_clear(tmp_path: Path) -> None:
    """Neither as PEM nor as the number itself, in no file; openssl opens what is there with the secret."""
    folder = tmp_path / "keys"
    open_or_create(folder, AT)
    secret = secret_beside(folder)
    numbers = [
        keyfile.opened(path.read_bytes(), secret).to_der()[36:68] for path in sorted(folder.glob("*.key"))
    ]  # where PKCS#8 of such a key has its 32 bytes
    assert len(set(numbers)) == 4
    for path in folder.iterdir():
        content = path.read_bytes()
        assert not keyfile.is_plain(content) and not any(number in content for number in numbers)
    opened = ["openssl", "pkey", "-in", "signer.key", "-passin", "file:../keys.secret", "-noout", "-text"]
    done = subprocess.run(opened, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0 and "SM2" in done.stdout


def test_openssls_own_key_file_is_opened(tmp_path: Path) -> None:
    """The same form, written by the other side."""
    kept = PrivateKey.generate()
    (tmp_path / "plain").write_bytes(kept.to_pem())
    command = ["openssl", "pkcs8", "-topk8", "-scrypt", "-v2", "sm4-cbc", "-in", "plain", "-out", "kept"]
    subprocess.run([*command, "-passout", f"pass:{SECRET}"], cwd=tmp_path, check=True, capture_output=True)
    assert keyfile.opened((tmp_path / "kept").read_bytes(), SECRET).public_der() == kept.public_der()


def test_another_secret_opens_nothing_and_changes_nothing(tmp_path: Path) -> None:
    """Wrong, missing, weak, or a damaged key: a cause each, the folder as it was, and the right one still opens it."""
    folder = tmp_path / "keys"
    ring = open_or_create(folder, AT, given(SECRET, tmp_path))
    before = state_of(folder)
    assert cause_of(lambda: open_or_create(folder, AT, given(OTHER, tmp_path))) == "KEYS-SECRET-WRONG"
    assert cause_of(lambda: rotate(folder, AT, given(OTHER, tmp_path))) == "KEYS-SECRET-WRONG"
    assert cause_of(lambda: open_or_create(folder, AT)) == "KEYS-SECRET-MISSING"
    assert cause_of(lambda: open_or_create(folder, AT, given("short", tmp_path))) == "KEYS-SECRET-WEAK"
    kept = (folder / "issuer.key").read_bytes()
    for damaged in (
        b"",
        kept[:100],
        b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----",
    ):
        (folder / "issuer.key").write_bytes(damaged)
        assert cause_of(lambda: open_or_create(folder, AT, given(SECRET, tmp_path))) == "KEYS-SECRET-WRONG"
    (folder / "issuer.key").write_bytes(kept)
    assert state_of(folder) == before and not folder.with_name("keys.secret").exists()
    assert open_or_create(folder, AT, given(SECRET, tmp_path)).signer == ring.signer


def test_every_flipped_byte_of_a_key_file_is_noticed(tmp_path: Path) -> None:
    """CBC does not say so by itself: then the key does not open, or does not fit its certificate."""
    folder = tmp_path / "keys"
    ring = open_or_create(folder, AT, given(SECRET, tmp_path))
    der = pem.unarmor((folder / "signer.key").read_bytes())[2]
    for place in range(len(der)):
        flipped = der[:place] + bytes((der[place] ^ 1,)) + der[place + 1 :]
        try:
            key = keyfile.opened(pem.armor("ENCRYPTED PRIVATE KEY", flipped), SECRET)
        except keyfile.KeyFileFault:
            continue
        fits = public_key(ring.signer).verifies(key.sign(b"x"), b"x")
        assert not fits or key.to_der()[36:68] == ring.signer_key.to_der()[36:68], place


def test_a_key_file_cannot_ask_for_endless_work(tmp_path: Path) -> None:
    """scrypt with a cost of gigabytes is refused before it is begun."""
    kept = keyfile.enciphered(PrivateKey.generate(), SECRET, bytes(16))
    costly = pem.unarmor(kept)[2].replace(b"\x02\x02\x40\x00", b"\x02\x02\x7f\xff")
    file = keyfile._KeyFile.load(costly)
    file["scheme"]["parameters"]["derivation"]["parameters"]["cost"] = 1 << 30
    with pytest.raises(keyfile.KeyFileFault):
        keyfile.opened(pem.armor("ENCRYPTED PRIVATE KEY", file.dump(force=True)), SECRET)


# ── from an earlier version ───────────────────────────────────────────────────────────────────────────────────────────


def test_plain_keys_are_enciphered_at_the_next_start(tmp_path: Path) -> None:
    """The same keys and certificates; the plain files are gone; what was signed stays valid."""
    folder = tmp_path / "keys"
    first = open_or_create(folder, AT)
    original = sign_original(example(), FileSigner(first))
    plain = make_plain(folder, secret_beside(folder))
    folder.with_name("keys.secret").unlink()
    second = open_or_create(folder, AT)
    secret = secret_beside(folder)
    assert {path.name: keyfile.opened(path.read_bytes(), secret).to_der() for path in folder.glob("*.key")} == plain
    assert not any(keyfile.is_plain(path.read_bytes()) for path in folder.iterdir())
    assert (second.signer, second.root) == (first.signer, first.root)
    assert verify_original(original, (second.root,)).verdict is Verdict.VALID
    assert all(path.stat().st_mode & 0o077 == 0 for path in (*folder.iterdir(), folder.with_name("keys.secret")))


def test_half_a_key_of_an_earlier_version_stops_no_start(tmp_path: Path) -> None:
    """Written when the machine died, without a certificate: it counts for nothing, in either form."""
    folder = tmp_path / "keys"
    ring = open_or_create(folder, AT)
    (folder / "signer-2.key").write_bytes(PrivateKey.generate().to_pem()[:60])
    (folder / "signer-3.key").write_bytes((folder / "signer.key").read_bytes()[:90])
    assert open_or_create(folder, AT).signer == ring.signer


class Crash(Exception):
    """The process ends here."""


def interrupted(folder: Path, steps: int, monkeypatch: pytest.MonkeyPatch, *secrets: KeySecret | None) -> bool:
    """Open a folder, but end at the so-many-th change of the disk; whether it came so far."""
    secret, before = secrets or (None, None)
    left = [steps]

    def crashing(call: Callable[..., object]) -> Callable[..., object]:
        def called(*arguments: object, **named: object) -> object:
            left[0] -= 1
            if left[0] < 0:
                raise Crash
            return call(*arguments, **named)

        return called

    with monkeypatch.context() as patch:
        for name in ("os.open", "os.fsync", "pathlib.Path.rename", "pathlib.Path.unlink"):
            module, _, attribute = name.rpartition(".")
            target = Path if module == "pathlib.Path" else __import__("os")
            patch.setattr(target, attribute, crashing(getattr(target, attribute)))
        try:
            open_or_create(folder, AT, secret, before=before)
        except Crash:
            return True
    return False


def test_a_crash_at_any_step_of_enciphering_loses_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At each change of the disk in turn; the next start has the same keys, enciphered, and no plain one is left."""
    monkeypatch.setattr(keyfile, "COST", 16)  # it is derived very often here
    folder = tmp_path / "keys"
    plain: dict[str, bytes] = {}
    open_or_create(folder, AT)
    steps = 0
    while True:
        plain = make_plain(folder, secret_beside(folder))
        folder.with_name("keys.secret").unlink()
        crashed = interrupted(folder, steps, monkeypatch)
        open_or_create(folder, AT)
        secret = secret_beside(folder)
        kept = {path.name: keyfile.opened(path.read_bytes(), secret).to_der() for path in folder.glob("*.key")}
        assert kept == plain, steps
        assert not any(keyfile.is_plain(path.read_bytes()) for path in folder.iterdir())
        if not crashed:
            break
        steps += 1
    assert steps > 15, "the crashes were real"


def test_enciphering_in_place_would_lose_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: with the plain file taken away before the other has its name, the same crashes lose a key."""

    def careless(path: Path, content: bytes) -> None:
        path.unlink(missing_ok=True)
        write_new(path, content)

    monkeypatch.setattr(keystore, "write_whole", careless)
    monkeypatch.setattr(keyfile, "COST", 16)
    for steps in range(40):
        folder = tmp_path / str(steps) / "keys"
        open_or_create(folder, AT)
        names = set(make_plain(folder, secret_beside(folder)))
        interrupted(folder, steps, monkeypatch)
        if {path.name for path in folder.glob("*.key")} != names:
            return
    pytest.fail("a careless migration was not caught")


def test_the_secret_is_changed_without_a_moment_of_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash at each step in turn: the two secrets together always open all, and in the end the new one alone does."""
    monkeypatch.setattr(keyfile, "COST", 16)  # it is derived very often here
    folder = tmp_path / "keys"
    first, second = given(SECRET, tmp_path), given(OTHER, tmp_path)
    ring = open_or_create(folder, AT, first)
    steps = 0
    while True:
        crashed = interrupted(folder, steps, monkeypatch, second, first)
        assert open_or_create(folder, AT, second, before=first).signer_key.to_der() == ring.signer_key.to_der()
        assert len({keyfile.opened(path.read_bytes(), OTHER).to_der() for path in folder.glob("*.key")}) == 4
        assert cause_of(lambda: open_or_create(folder, AT, first)) == "KEYS-SECRET-WRONG"
        if not crashed:
            break
        open_or_create(folder, AT, first, before=second)  # back again, for the next crash
        steps += 1
    assert steps > 8, "the crashes were real"
    third = given("third" * 10, tmp_path)
    before = state_of(folder)
    assert cause_of(lambda: open_or_create(folder, AT, third, before=first)) == "KEYS-SECRET-WRONG"
    assert state_of(folder) == before


# ── rotation ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_was_signed_before_a_rotation_stays_valid(tmp_path: Path) -> None:
    """Three signers one after the other, then another maker of seals: originals and seals of each verify under the one
    root, and each was made with the newest at its time."""
    folder = tmp_path / "keys"
    originals, values, used = [], [], []
    for place in (None, "signer", "signer", "seal-maker"):
        if place is not None:
            rotate(folder, AT, place=place)
        ring = open_or_create(folder, AT)
        originals.append(sign_original(example(), FileSigner(ring)))
        values.append(sign_value(b"<list/>", "/S.xml", open_seal(folder, ring, AT), AT))
        used.append((ring.signer, ring.seal_maker))
    assert len({signer for signer, _ in used}) == 3 and used[2][0] == used[3][0] and used[2][1] != used[3][1]
    for original in originals:
        assert verify_original(original, (ring.root,)).verdict is Verdict.VALID
    for value in values:
        assert verify_value(value, b"<list/>", "/S.xml", (ring.root,), (ring.issuer,)).verdict is Verdict.VALID
    states = {entry.name: entry.state for entry in key_entries(folder, AT)}
    assert states["signer-3"] is KeyState.IN_USE and states["signer"] is states["signer-2"] is KeyState.EARLIER
    assert states["seal-maker-2"] is KeyState.IN_USE and states["seal-maker"] is KeyState.EARLIER


def test_a_rotation_that_died_halfway_counts_for_nothing(tmp_path: Path) -> None:
    """A key without its certificate is passed over, and its name is not used again."""
    folder = tmp_path / "keys"
    first = open_or_create(folder, AT)
    (folder / "signer-2.key").write_bytes((folder / "signer.key").read_bytes())
    assert open_or_create(folder, AT).signer == first.signer
    assert rotate(folder, AT) == "signer-3"
    assert open_or_create(folder, AT).signer != first.signer


def test_the_key_of_an_earlier_signer_may_be_destroyed(tmp_path: Path) -> None:
    """Nothing needs it any more; its certificate travels in the originals."""
    folder = tmp_path / "keys"
    first = open_or_create(folder, AT)
    old = sign_original(example(), FileSigner(first))
    rotate(folder, AT)
    (folder / "signer.key").unlink()
    second = open_or_create(folder, AT)
    assert second.signer != first.signer and verify_original(old, (second.root,)).verdict is Verdict.VALID
    assert {entry.name: entry.kept for entry in key_entries(folder, AT)}["signer"] == "absent"


# ── chain and moment ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_nothing_is_signed_under_a_chain_that_does_not_hold(tmp_path: Path) -> None:
    """Another root, another issuer, another key than the certificate's: refused at the signature, and for the seal."""
    ours, theirs = open_or_create(tmp_path / "a", AT), open_or_create(tmp_path / "b", AT)
    wrong = [
        msgspec.structs.replace(ours, root=theirs.root),
        msgspec.structs.replace(ours, issuer=theirs.issuer),
        msgspec.structs.replace(ours, signer_key=theirs.signer_key),
        msgspec.structs.replace(ours, signer=ours.issuer),
    ]
    good = open_seal(tmp_path / "a", ours, AT).seal
    for ring in wrong:
        with pytest.raises(SignerFault, match="ISSUE-SIGNER-NOT-FITTING"):
            sign_original(example(), FileSigner(ring))
        with pytest.raises(SignerFault):
            sign_value(b"<list/>", "/S.xml", SignersSeal(FileSigner(ring), good, ring.root), AT)
    assert sign_original(example(), FileSigner(ours))


def test_a_seal_of_another_signer_or_maker_is_not_set(tmp_path: Path) -> None:
    """The signer itself is good; the seal in its hand is another's, or damaged."""
    ours, theirs = open_or_create(tmp_path / "a", AT), open_or_create(tmp_path / "b", AT)
    foreign = open_seal(tmp_path / "b", theirs, AT).seal
    for seal in (foreign, b"garbage"):
        with pytest.raises(SignerFault):
            sign_value(b"<list/>", "/S.xml", SignersSeal(FileSigner(ours), seal, ours.root), AT)


@pytest.mark.parametrize("days", [-3, 365 * 6, 365 * 11])
def test_neither_original_nor_seal_is_signed_out_of_time(tmp_path: Path, days: int) -> None:
    """Not yet valid, the signer ended, the issuer ended: by the moment that is stated, whenever the start was."""
    folder = tmp_path / "keys"
    ring = open_or_create(folder, AT)
    at = AT + timedelta(days=days)
    with pytest.raises(SignerFault, match="ISSUE-SIGNER-NOT-VALID"):
        sign_original(msgspec.structs.replace(example(), signed_at=at), FileSigner(ring))
    with pytest.raises(SignerFault, match="ISSUE-SIGNER-NOT-VALID"):
        sign_value(b"<list/>", "/S.xml", open_seal(folder, ring, AT), at)


def test_without_the_check_an_original_would_not_verify(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: whoever signs without asking makes what every verifier refuses."""
    ring = open_or_create(tmp_path / "keys", AT)
    theirs = open_or_create(tmp_path / "b", AT)
    monkeypatch.setattr(original_signature, "demand", lambda cause: None)
    late = msgspec.structs.replace(example(), signed_at=AT + timedelta(days=365 * 6))
    for invoice, keyring in ((late, ring), (example(), msgspec.structs.replace(ring, signer_key=theirs.signer_key))):
        made = sign_original(invoice, FileSigner(keyring))
        assert verify_original(made, (ring.root,)).verdict is Verdict.INVALID


# ── public parts ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_public_parts_hold_nothing_private(tmp_path: Path) -> None:
    """Certificates and nothing else, even when somebody pasted a key into a certificate's file; the chain verifies
    with openssl."""
    folder, out = tmp_path / "keys", tmp_path / "out"
    open_or_create(folder, AT)
    rotate(folder, AT)
    ring = open_or_create(folder, AT)
    secret = secret_beside(folder)
    with (folder / "signer-2.pem").open("ab") as file:
        file.write(ring.signer_key.to_pem())
    parts = dict(public_parts(folder, AT))
    assert set(parts) == {"root.pem", "issuer.pem", "signer.pem", "signer-2.pem", "seal-maker.pem", "chain.pem"}
    keys = [keyfile.opened(path.read_bytes(), secret).to_der() for path in folder.glob("*.key")]
    out.mkdir()
    for name, text in parts.items():
        (out / name).write_bytes(text)
        assert b"PRIVATE" not in text
        for _, _, der in pem.unarmor(text, multiple=True):
            assert not any(key[36:68] in der for key in keys)
    assert parts["chain.pem"] == parts["signer-2.pem"] + parts["issuer.pem"]
    # One link at a time: openssl gives the user id to the first certificate only.
    verify = ["openssl", "verify", "-vfyopt", "distid:1234567812345678", "-attime", str(int(AT.timestamp()))]
    for link in (["-CAfile", "root.pem", "issuer.pem"], ["-partial_chain", "-trusted", "issuer.pem", "chain.pem"]):
        done = subprocess.run([*verify, *link], cwd=out, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
