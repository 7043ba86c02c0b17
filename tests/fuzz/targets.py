"""The parsers of what comes from outside, each with good samples and the one exception that it may raise."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import date
from email.message import EmailMessage
from functools import cache

import msgspec
import segno
from PIL import Image

from piaoma.codes import printed, title_qr, token
from piaoma.delivery import destination
from piaoma.documents import contents, embedded, letters, ofd
from piaoma.documents.bundle import Bundle, pack, proof_of_bundle, unpack
from piaoma.documents.check import Trusted, check
from piaoma.documents.formats import FORMATS, json_view, xbrl
from piaoma.documents.render import render
from piaoma.invoice import classification_import, money, original_reader, title_text, words
from piaoma.invoice.parties import Buyer
from piaoma.invoice.refusal import Refused
from piaoma.trust import merkle, sign_value, verify_original, verify_value
from piaoma.trust.checkpoint import Checkpoint, LogKey, LogPublicKey, NoteFault
from tests.documents.formats.examples import GOLDEN
from tests.documents.test_ofd import original_of, ring
from tests.invoice.test_original import AT, example


class Target(msgspec.Struct, frozen=True):
    """``run`` is fed with bytes; anything it raises that is not of ``expected`` is a defect."""

    seeds: Callable[[], Sequence[bytes]]
    run: Callable[[bytes], object]
    expected: tuple[type[Exception], ...] = ()


@cache
def _original() -> bytes:
    return original_of(example())


@cache
def _sealed() -> tuple[bytes, bytes, bytes]:
    """(what is listed, the signed value, the OFD)."""
    listed = ofd.to_be_sealed(_original(), AT)
    assert listed is not None
    value = sign_value(listed, f"/{ofd.SIGNATURE}", ring()[1], AT)
    return listed, value, ofd.write(_original(), value)


@cache
def _pdf() -> bytes:
    return render(_original(), "pdf")


@cache
def _log() -> tuple[LogKey, str, bytes]:
    """(key, the note of a log with one leaf, the salt of the leaf)."""
    key, salt = LogKey("fuzz/log", bytes(32)), bytes(32)
    leaf = merkle.leaf_hash(merkle.commitment(salt, hashlib.sha256(_original()).digest()))
    return key, key.signed(Checkpoint(key.public.name, 1, leaf)), salt


@cache
def _bundle() -> bytes:
    key, note, salt = _log()
    number = original_reader.read(_original()).number
    proof = proof_of_bundle(number, _original(), key.public, (0, salt, ()))
    return pack(Bundle(number, _original(), {"pdf": _pdf(), "ofd": _sealed()[2]}, proof, note, ring()[0].root))


def _photo() -> Sequence[bytes]:
    png, jpeg, webp = io.BytesIO(), io.BytesIO(), io.BytesIO()
    segno.make_qr(title_qr.write_title(_BUYER)).save(png, kind="png", scale=3)
    picture = Image.open(png).convert("RGB")
    picture.save(jpeg, "JPEG")
    picture.save(webp, "WEBP")
    return [file.getvalue() for file in (png, jpeg, webp)]


_BUYER = Buyer(
    "武汉某某科技有限公司", "91110108690017781B", "江汉路1号", "027-85550000", "测试银行江汉支行", "6222000000001234"
)
_PASTED = (
    "名称：武汉某某科技有限公司\n税号：91110108690017781B\n地址、电话：江汉路1号 027-85550000\n"
    "开户行及账号：测试银行江汉支行 6222 0000 0000 1234"
).encode()


def _rows(data: bytes) -> list[list[object]]:
    return [list(line.split("\t")) for line in data.decode(errors="replace").split("\n")]


def _seal(data: bytes) -> object:
    return verify_value(data, _sealed()[0], f"/{ofd.SIGNATURE}", (ring()[0].root,), ())


def _text(parse: Callable[[str], object]) -> Callable[[bytes], object]:
    return lambda data: parse(data.decode(errors="replace"))


def _check(data: bytes) -> object:
    key = _log()[0].public
    return check(data, Trusted((ring()[0].root,), (key.line(),)))


def _kept(ending: str) -> Sequence[bytes]:
    return [file.read_bytes() for file in sorted(GOLDEN.iterdir()) if file.name.endswith(ending)]


def _in_each_format(data: bytes) -> None:
    """An original from anywhere as each format: written or refused, one after the other."""
    for write in FORMATS.values():
        with suppress(Refused):
            write(data)


def _mail() -> Sequence[bytes]:
    message = EmailMessage()
    message["From"], message["Subject"] = "发票 <a@example.cn>", "发票"
    message.set_content("请查收")
    message.add_attachment(_original(), maintype="application", subtype="xml", filename="发票.xml")
    forwarded = EmailMessage()
    forwarded.add_attachment(message)
    return [message.as_bytes(), forwarded.as_bytes()]


def _archive() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("发票/a.xml", _original())
        archive.writestr("b.pdf", _pdf())
    return out.getvalue()


def _spread(data: bytes) -> object:
    return contents.spread(data) if contents.is_archive(data) else None


TARGETS: dict[str, Target] = {
    "original": Target(lambda: [_original()], original_reader.read, (Refused,)),
    "signature": Target(lambda: [_original()], lambda data: verify_original(data, (ring()[0].root,))),
    "ofd": Target(lambda: [_sealed()[2]], ofd.read_ofd, (Refused,)),
    "seal": Target(lambda: [_sealed()[1]], _seal),
    "pdf": Target(lambda: [_pdf()], embedded.embedded_original),
    "bundle": Target(lambda: [_bundle()], unpack, (Refused,)),
    "mail": Target(_mail, letters.attachments),
    "archive": Target(lambda: [_archive()], _spread, (Refused,)),
    "contents": Target(lambda: [_original(), _sealed()[2], _pdf(), _bundle()], contents.carried),
    "check": Target(lambda: [_original(), _sealed()[2], _pdf(), _bundle()], _check),
    "checkpoint": Target(lambda: [_log()[1].encode()], _text(lambda note: _log()[0].public.opened(note)), (NoteFault,)),
    "log-key": Target(lambda: [_log()[0].public.line().encode()], _text(LogPublicKey.of), (ValueError,)),
    "json": Target(lambda: _kept("json"), json_view.read, (Refused,)),
    "xbrl": Target(lambda: _kept("xbrl.xml"), xbrl.read, (Refused,)),
    "formats": Target(lambda: [_original(), (GOLDEN / "red.xml").read_bytes()], _in_each_format),
    "photo": Target(_photo, title_qr.read_symbols, (Refused,)),
    "title-qr": Target(lambda: [title_qr.write_title(_BUYER).encode()], _text(title_qr.parse_title)),
    "printed-qr": Target(lambda: [printed.invoice_text(example()).encode()], _text(printed.parse)),
    "title-text": Target(lambda: [_PASTED, "张三".encode()], _text(title_text.parse_title_text)),
    "token": Target(lambda: [token.seal(bytes(32), 7, 9).encode()], _text(token.canonical), (Refused,)),
    "webhook-url": Target(lambda: [b"https://erp.example.cn:8443/hook?a=1"], _text(destination.parse), (Refused,)),
    "amount": Target(lambda: ["￥1,280.50".encode(), b"58"], _text(money.parse_amount), (Refused,)),
    "words": Target(lambda: ["壹佰贰拾叁圆肆角伍分".encode(), "（大写）伍拾捌圆整".encode()], _text(words.from_words)),
    "classification": Target(
        lambda: ["税收分类编码\t货物和劳务名称\t商品和服务分类简称\n1010101000000000000\t稻谷\t谷物".encode()],
        lambda data: classification_import.read_sheet(_rows(data), date(2026, 11, 24)),
        (Refused,),
    ),
}
