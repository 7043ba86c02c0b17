"""The bundle (凭证包): an invoice with all that proves it, in one zip that a small tool checks without us.

Writing is a pure function: the same parts give the same bytes. Reading trusts nothing: names, numbers and sizes are
bounded before anything is unpacked, and no name leads anywhere.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import re
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from importlib import resources

import msgspec
from asn1crypto import pem

from piaoma.invoice.original_reader import BYTES_MAX
from piaoma.invoice.refusal import Refusal, refuse
from piaoma.trust import merkle
from piaoma.trust.checkpoint import LogPublicKey, NoteFault

from .formats import file_name

BUNDLE_VIEWS = ("pdf", "ofd")  # what people file
PARTS_MAX = 16
VIEW_BYTES_MAX = 16 * 1024 * 1024
TEXT_BYTES_MAX = 64 * 1024
PATH_HASHES_MAX = 64
FORM = "piaoma-proof-1"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # a zip must state a time; this one states none
_NUMBER = re.compile(r"\d{20}")


class BundleProof(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``proof.json``. Bytes are base64; ``digest`` is SHA-256 of the XML, hex. Pending: all but these two are empty."""

    form: str
    number: str
    digest: str
    pending: bool = False
    leaf: int = 0
    salt: str = ""
    hashes: tuple[str, ...] = ()
    log_key: str = ""


class Bundle(msgspec.Struct, frozen=True):
    """What a bundle holds."""

    number: str
    original: bytes
    views: dict[str, bytes]
    proof: BundleProof
    checkpoint: str
    root: bytes  # certificate, DER: for looking at, not for trusting


def pack(bundle: Bundle) -> bytes:
    """The zip. Nothing is compressed: a PDF is already, and the bytes then depend on no library."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, data in _parts(bundle).items():
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            archive.writestr(entry, data)
    return out.getvalue()


def _parts(bundle: Bundle) -> dict[str, bytes]:
    parts = {file_name(bundle.number, "xml"): bundle.original}
    parts |= {file_name(bundle.number, kind): bundle.views[kind] for kind in BUNDLE_VIEWS if kind in bundle.views}
    fingerprint = hashlib.sha256(bundle.root).hexdigest()
    parts["proof.json"] = msgspec.json.format(msgspec.json.encode(bundle.proof), indent=2) + b"\n"
    if not bundle.proof.pending:
        parts["checkpoint.txt"] = bundle.checkpoint.encode()
    parts["root.pem"] = pem.armor("CERTIFICATE", bundle.root)
    parts["README.txt"] = _readme(bundle, fingerprint).encode()
    return parts


def _readme(bundle: Bundle, fingerprint: str) -> str:
    text = (resources.files(__package__) / "bundle_readme.txt").read_text(encoding="utf-8")
    views = "".join(f"  {file_name(bundle.number, kind)}    版式文件，供阅读、打印\n" for kind in bundle.views)
    state = (
        "本发票尚未写入透明日志（一般在开具后一秒内写入）。请稍后重新下载，即可得到带存证的文件。"
        if bundle.proof.pending
        else f"本发票是透明日志的第 {bundle.proof.leaf} 个叶子。日志公钥：\n  {bundle.proof.log_key}"
    )
    return text.format(number=bundle.number, views=views, fingerprint=fingerprint, state=state)


def is_bundle(data: bytes) -> bool:
    """Whether a zip claims to be a bundle, by the names in its directory; nothing is unpacked and nothing believed."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return any(name == "proof.json" or name.endswith("-电子发票.xml") for name in archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return False


def unpack(data: bytes) -> Bundle:
    """The parts of a bundle, read within bounds. Raises ``Refused`` BUNDLE-MALFORMED."""
    parts = _read_parts(data)
    originals = [name for name in parts if name.endswith(".xml")]
    if len(originals) != 1 or not _NUMBER.fullmatch(number := originals[0].partition("-")[0]):
        raise _malformed("one original")
    try:
        proof = msgspec.json.decode(parts.pop("proof.json"), type=BundleProof)
        checkpoint = parts.pop("checkpoint.txt", b"").decode()
        root: bytes = pem.unarmor(parts.pop("root.pem"))[2]
    except (KeyError, ValueError, msgspec.MsgspecError):
        raise _malformed("proof.json, checkpoint.txt, root.pem") from None
    parts.pop("README.txt", None)
    original = parts.pop(file_name(number, "xml"), None)
    views = {kind: parts.pop(name) for kind in BUNDLE_VIEWS if (name := file_name(number, kind)) in parts}
    if original is None or parts or proof.form != FORM or len(proof.hashes) > PATH_HASHES_MAX:
        raise _malformed(next(iter(parts), "proof.json"))
    return Bundle(number, original, views, proof, checkpoint, root)


def _read_parts(data: bytes) -> dict[str, bytes]:
    parts: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            if len(entries) > PARTS_MAX:
                raise _malformed(f"{len(entries)} files")
            for entry in entries:
                name = entry.filename
                wanted = entry.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) and not entry.flag_bits & 1
                if not wanted or name in parts or "/" in name or "\\" in name or name.startswith("."):
                    raise _malformed(name[:60])
                limit = {"xml": BYTES_MAX, "pdf": VIEW_BYTES_MAX, "ofd": VIEW_BYTES_MAX}.get(
                    name.rpartition(".")[2], TEXT_BYTES_MAX
                )
                with archive.open(entry) as opened:
                    parts[name] = opened.read(limit + 1)
                if len(parts[name]) > limit:
                    raise _malformed(name[:60])
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError):
        raise _malformed("zip") from None
    return parts


def _malformed(what: str) -> Exception:
    return refuse("BUNDLE-MALFORMED", have=what)


def proof_of_bundle(
    number: str, original: bytes, key: LogPublicKey, leaf: tuple[int, bytes, Sequence[bytes]] | None
) -> BundleProof:
    """``proof.json`` of an invoice; ``leaf`` is (place, salt, hashes), None while it waits for its place."""
    digest = hashlib.sha256(original).hexdigest()
    if leaf is None:
        return BundleProof(FORM, number, digest, pending=True)
    place, salt, hashes = leaf
    path = tuple(base64.b64encode(each).decode() for each in hashes)
    return BundleProof(FORM, number, digest, False, place, base64.b64encode(salt).decode(), path, key.line())


def log_faults(bundle: Bundle, keys: Mapping[str, LogPublicKey]) -> list[Refusal]:
    """What the log says of the original in a bundle: nothing when it is there under a checkpoint of a trusted log."""
    proof = bundle.proof
    digest = hashlib.sha256(bundle.original)
    if proof.number != bundle.number or proof.digest != digest.hexdigest():
        return [Refusal("LOG-PROOF-INVALID", "", {"have": "proof.json"})]
    if proof.pending:
        return [Refusal("LOG-PENDING")]
    try:
        stated = LogPublicKey.of(proof.log_key)
        salt = base64.b64decode(proof.salt, validate=True)
        hashes = [base64.b64decode(each, validate=True) for each in proof.hashes]
    except (ValueError, binascii.Error):
        return [Refusal("LOG-PROOF-INVALID", "", {"have": "proof.json"})]
    key = keys.get(stated.name, stated)
    try:
        checkpoint = key.opened(bundle.checkpoint)
    except NoteFault as fault:
        return [Refusal("LOG-CHECKPOINT-INVALID", "", {"have": str(fault)})]
    if len(salt) != merkle.HASH_BYTES:
        return [Refusal("LOG-PROOF-INVALID", "", {"have": "salt"})]
    leaf = merkle.leaf_hash(merkle.commitment(salt, digest.digest()))
    if merkle.root_from_inclusion(leaf, proof.leaf, checkpoint.size, hashes) != checkpoint.root:
        return [Refusal("LOG-PROOF-INVALID", "", {"have": f"{proof.leaf}/{checkpoint.size}"})]
    return [] if stated.name in keys else [Refusal("LOG-UNTRUSTED", "", {"have": stated.name})]
