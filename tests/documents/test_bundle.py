"""The bundle and the verifier that stands alone: genuine ones hold in an empty environment, tampered ones never do."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from piaoma.desk.config import Config
from piaoma.desk.log import bundle_of, sequence_once
from piaoma.documents.bundle import PARTS_MAX, unpack
from piaoma.documents.check import Trusted, check
from piaoma.invoice.refusal import Refused
from piaoma.trust.checkpoint import Checkpoint, LogKey, LogPublicKey, load_or_create_log_key
from tests.conftest import Shop, with_shop
from tests.store.test_log import issue

VERIFIER = Path(__file__).parents[2] / "verifier" / "verify.py"
Parts = dict[str, bytes]
Made = tuple[Path, str, bytes, bytes]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """(data folder, number, bundle, the OFD of another) of an invoice among others."""
    folder = tmp_path_factory.mktemp("bundle")

    async def story(shop: Shop) -> tuple[str, bytes, bytes]:
        numbers = await issue(shop, 5)
        await sequence_once(shop.office)
        first = await bundle_of(shop.office, shop.id, numbers[2])
        await issue(shop, 1)
        await sequence_once(shop.office)
        assert first == await bundle_of(shop.office, shop.id, numbers[2]), "the same bytes at any time"
        return numbers[2], first, await shop.office.view(shop.id, numbers[0], "ofd")

    return folder, *with_shop(Config(data=str(folder)), story)


def parts_of(data: bytes) -> Parts:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(parts: Parts) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return out.getvalue()


def stand_alone(bundle: Path, *options: str) -> tuple[int, str]:
    """The verifier's exit code and words: no packages, no environment, nothing of this project."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-W", "error", str(VERIFIER), str(bundle), *options],
        capture_output=True, text=True, encoding="utf-8", env={}, cwd="/", timeout=60, check=False,
    )  # fmt: skip
    assert done.stderr == "", done.stderr
    return done.returncode, done.stdout


def trusting(folder: Path) -> list[str]:
    return ["--root", str(folder / "keys/sandbox/root.pem"), "--log-key", str(folder / "keys/log.pub")]


def judged_by_piaoma(folder: Path, bundle: Path) -> tuple[str, list[str]]:
    from asn1crypto import pem

    roots = (pem.unarmor((folder / "keys/sandbox/root.pem").read_bytes())[2],)
    key = LogPublicKey.of((folder / "keys/log.pub").read_text())
    result = check(bundle.read_bytes(), Trusted(roots, (key.line(),)))
    return result.verdict, [reason.cause for reason in result.reasons]


def test_a_genuine_bundle_holds(made: Made, tmp_path: Path) -> None:
    """Everything against trusted keys; without them, what is left to confirm is said; both tools agree."""
    folder, number, data, _ = made
    bundle = tmp_path / f"{number}-电子发票.zip"
    bundle.write_bytes(data)
    code, told = stand_alone(bundle, *trusting(folder))
    assert code == 0 and "EVERYTHING HOLDS" in told and f"invoice {number}" in told and "of 5" in told
    assert stand_alone(bundle)[0] == 2
    assert judged_by_piaoma(folder, bundle) == ("valid", [])
    readme = parts_of(data)["README.txt"].decode()
    assert number in readme and "verify.py" in readme and "{" not in readme


def test_every_kind_of_tampering_is_refused(made: Made, tmp_path: Path) -> None:
    """Each with its reason, by the small tool and by ``piaoma verify``."""
    folder, number, data, other = made
    xml_name, pdf_name, ofd_name = (f"{number}-电子发票.{kind}" for kind in ("xml", "pdf", "ofd"))

    def replaced(part: str, old: bytes, new: bytes) -> Callable[[Parts], None]:
        def change(parts: Parts) -> None:
            assert old in parts[part]
            parts[part] = parts[part].replace(old, new, 1)

        return change

    def proof(**fields: object) -> Callable[[Parts], None]:
        def change(parts: Parts) -> None:
            parts["proof.json"] = json.dumps(json.loads(parts["proof.json"]) | fields).encode()

        return change

    def flip_signature(parts: Parts) -> None:
        head, _, rest = parts[xml_name].partition(b"<SignatureValue>")
        signature = bytearray(base64.b64decode(rest.partition(b"<")[0]))
        signature[-1] ^= 1
        parts[xml_name] = head + b"<SignatureValue>" + base64.b64encode(signature) + b"<" + rest.partition(b"<")[2]

    def foreign_checkpoint(parts: Parts) -> None:
        ours = load_or_create_log_key(folder / "keys" / "log.key", "", Config(data=str(folder)).secret)
        other = LogKey(ours.public.name, bytes(32))
        opened = ours.public.opened(parts["checkpoint.txt"].decode())
        parts["checkpoint.txt"] = other.signed(Checkpoint(opened.origin, opened.size, opened.root)).encode()

    parts = parts_of(data)
    hashes = json.loads(parts["proof.json"])["hashes"]
    zero = base64.b64encode(bytes(32)).decode()
    cases: list[tuple[Callable[[Parts], object], str, str]] = [
        (replaced(xml_name, b"58.00", b"68.00"), "signature does not hold", "SIGNATURE-INVALID"),
        (replaced(xml_name, "武汉".encode(), "成都".encode()), "signature does not hold", "SIGNATURE-INVALID"),
        (replaced(xml_name, b"</Header>", b"</Header><!-- -->"), "signature does not hold", "SIGNATURE-INVALID"),
        (replaced(xml_name, b"</EInvoice>\n", b"</EInvoice>"), "not in its one form", "LOG-PROOF-INVALID"),
        (flip_signature, "signature does not hold", "SIGNATURE-INVALID"),
        (proof(salt=zero), "not in the log", "LOG-PROOF-INVALID"),
        (proof(salt="AAAA"), "salt is damaged", "LOG-PROOF-INVALID"),
        (proof(salt="é"), "damaged", "LOG-PROOF-INVALID"),
        (proof(leaf=2 if json.loads(parts["proof.json"])["leaf"] == 1 else 1), "not in the log", "LOG-PROOF-INVALID"),
        (proof(leaf=99), "another place", "LOG-PROOF-INVALID"),
        (proof(leaf="x"), "damaged", "BUNDLE-MALFORMED"),
        (proof(hashes=[*hashes[:-1], zero]), "not in the log", "LOG-PROOF-INVALID"),
        (proof(hashes=hashes[:-1]), "not in the log", "LOG-PROOF-INVALID"),
        (proof(hashes=[*hashes, zero]), "too long", "LOG-PROOF-INVALID"),
        (proof(number="1" * 20), "another invoice", "LOG-PROOF-INVALID"),
        (proof(digest="0" * 64), "another XML", "LOG-PROOF-INVALID"),
        (replaced("checkpoint.txt", b"\n5\n", b"\n6\n"), "checkpoint does not hold", "LOG-CHECKPOINT-INVALID"),
        (replaced("checkpoint.txt", b"/log\n", b"/lag\n"), "another log", "LOG-CHECKPOINT-INVALID"),
        (foreign_checkpoint, "checkpoint does not hold", "LOG-CHECKPOINT-INVALID"),
        (lambda parts: parts.pop("checkpoint.txt"), "damaged", "LOG-CHECKPOINT-INVALID"),
        (lambda parts: parts.pop("proof.json"), "no proof.json", "BUNDLE-MALFORMED"),
        (lambda parts: parts.pop(xml_name), "not just one XML", "BUNDLE-MALFORMED"),
        (lambda parts: parts.update({"../evil": b""}), "not a bundle", "BUNDLE-MALFORMED"),
        (lambda parts: parts.update({"x.txt": b""}), "not a bundle", "BUNDLE-MALFORMED"),
        (lambda parts: parts.update({pdf_name: b"%PDF-1.7 nothing"}), "does not carry", "BUNDLE-VIEW-OTHER"),
        (lambda parts: parts.update({ofd_name: b"PK\x03\x04 nothing"}), "the OFD is damaged", "OFD-UNREADABLE"),
        (lambda parts: parts.update({ofd_name: zipped({"OFD.xml": b"<a/>"})}), "OFD does not carry", "OFD-UNREADABLE"),
        (lambda parts: parts.update({ofd_name: other}), "OFD does not carry", "BUNDLE-VIEW-OTHER"),
    ]  # fmt: skip
    bundle = tmp_path / "altered.zip"
    for change, reason, cause in cases:
        parts = parts_of(data)
        change(parts)
        bundle.write_bytes(zipped(parts))
        code, told = stand_alone(bundle, *trusting(folder))
        assert code == 1 and "REFUSED" in told and reason in told, (reason, told)
        verdict, causes = judged_by_piaoma(folder, bundle)
        assert verdict == "invalid" and cause in causes, (reason, causes)


def test_another_root_or_log_is_not_taken_for_ours(made: Made, tmp_path: Path) -> None:
    """A whole, consistent bundle of somebody else: the certificates do not lead to the root that one trusts."""
    _, number, data, _ = made
    bundle = tmp_path / f"{number}.zip"
    bundle.write_bytes(data)

    async def nothing(shop: Shop) -> None: ...

    with_shop(Config(data=str(tmp_path / "other")), nothing)
    code, told = stand_alone(bundle, "--root", str(tmp_path / "other/keys/sandbox/root.pem"))
    assert code == 1 and "certificate does not hold" in told
    code, told = stand_alone(bundle, "--log-key", str(tmp_path / "other/keys/log.pub"))
    assert code == 1 and "checkpoint" in told
    assert judged_by_piaoma(tmp_path / "other", bundle)[0] != "valid"


def test_an_invoice_that_waits_for_its_place_says_so(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No proof is made up: the bundle says pending, and both tools pass that on."""

    async def story(shop: Shop) -> bytes:
        async def idle(*_: object) -> int:
            return 0

        monkeypatch.setattr("piaoma.desk.log.sequence", idle)
        number = (await issue(shop))[0]
        return await bundle_of(shop.office, shop.id, number)

    bundle = tmp_path / "pending.zip"
    bundle.write_bytes(with_shop(config, story))
    code, told = stand_alone(bundle, *trusting(tmp_path))
    assert code == 2 and "not in the log yet" in told
    assert judged_by_piaoma(tmp_path, bundle) == ("unknown", ["LOG-PENDING"])


def test_a_hostile_zip_is_refused(made: Made, tmp_path: Path) -> None:
    """Bombs, many files, twice the same name, cut off anywhere: one cause, little memory, no other exception."""
    _, number, data, _ = made
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{number}-电子发票.xml", bytes(200_000_000))
    twice = io.BytesIO()
    with zipfile.ZipFile(twice, "w") as archive:
        archive.writestr("proof.json", b"{}")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("proof.json", b"{}")
    many = zipped({f"{count}.txt": b"" for count in range(PARTS_MAX + 1)})
    for hostile in [bomb.getvalue(), twice.getvalue(), many, b"PK\x03\x04", *(data[:at] for at in range(4, 4000, 97))]:
        with pytest.raises(Refused) as refused:
            unpack(hostile)
        assert [one.cause for one in refused.value.refusals] == ["BUNDLE-MALFORMED"]
    bundle = tmp_path / "bomb.zip"
    bundle.write_bytes(bomb.getvalue())
    code, told = stand_alone(bundle)
    assert code == 1 and "too large" in told
