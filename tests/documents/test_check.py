"""查验: what is known of a file from outside, by what it holds: original, text, QR; each source against the others."""

from __future__ import annotations

import io
from datetime import date
from decimal import Decimal

import msgspec
import pytest
import segno
from PIL import Image

from piaoma.codes.proof import DAMAGES
from piaoma.codes.symbol import Symbol
from piaoma.codes.title_qr import write_title
from piaoma.documents.check import Trusted, check, unreadable
from piaoma.documents.facts import Facts, disagreements, merged
from piaoma.documents.ofd import write
from piaoma.documents.ofd.packing import Part
from piaoma.documents.ofd.signs import SIGNATURE, SIGNED_VALUE, signature_xml
from piaoma.documents.printed_text import Row, printed_facts
from piaoma.documents.render import render
from piaoma.documents.report import ITEMS, Light, Report, Source, item, platform_fields, words
from piaoma.invoice.parties import Buyer
from piaoma.invoice.refusal import Refusal, causes
from piaoma.trust import Verdict, sign_value
from tests.documents.foreign import FACTS, foreign_pdf, qr_text, with_attachment
from tests.documents.test_ofd import original_of, pack, parts_of, ring, sealed
from tests.invoice.test_original import AT, example


def checked(data: bytes, base_url: str = "http://shop.test") -> Report:
    return check(data, Trusted((ring()[0].root,), (), base_url))


def picture_of(text: str, kind: str = "PNG") -> bytes:
    """A photo of a symbol."""
    drawn, out = io.BytesIO(), io.BytesIO()
    segno.make_qr(text).save(drawn, kind="png", scale=8, border=4)
    Image.open(drawn).convert("L").rotate(7, expand=True, fillcolor=255).save(out, kind)
    return out.getvalue()


def lights(report: Report) -> dict[str, str]:
    return {one.name: one.light.value for one in report.items}


ALL_WELL = {"file": "ok", "signature": "ok", "number": "warn", "figures": "ok", "ids": "ok"}


def test_every_item_of_a_genuine_file_is_told() -> None:
    """XML, PDF and OFD of one invoice: the same facts, each with the items of its kind, in their order."""
    original, package = sealed(example())
    files = {
        Source.XML: (original, ALL_WELL),
        Source.PDF: (render(original, "pdf"), {**ALL_WELL, "view": "ok", "qr": "ok"}),
        Source.OFD: (package, {**ALL_WELL, "seal": "ok", "view": "ok"}),
    }
    for source, (data, wanted) in files.items():
        report = checked(data)
        assert (report.source, report.verdict) == (source, Verdict.VALID)
        assert lights(report) == wanted and report.reasons == ()
        assert [one.name for one in report.items] == [name for name in ITEMS if name in wanted]
        assert report.facts.number == example().number and report.facts.total == example().totals.inclusive
        assert "INSPECT-SANDBOX" in [reason.cause for one in report.items for reason in one.reasons]


def test_every_item_is_in_words_in_both_languages() -> None:
    """Labels, sentences, reasons: no item is a bare light."""
    assert set(words()) == set(ITEMS)
    for report in (checked(original_of(example())), checked(b"%PDF-"), checked(foreign_pdf())):
        for one in report.items:
            for language in ("zh", "en"):
                assert one.label(language) and one.said(language) and "{" not in one.said(language)
            assert (one.light is Light.OK) == (not one.reasons)


def test_a_foreign_pdf_is_read_by_its_text_and_its_code() -> None:
    """Labels and values are far apart in the file; nothing is signed, so it is not known; what to type is told."""
    report = checked(foreign_pdf())
    assert report.verdict is Verdict.UNKNOWN
    assert lights(report) == {
        "file": "ok", "signature": "unknown", "view": "ok", "qr": "ok", "number": "ok", "figures": "ok", "ids": "ok",
    }  # fmt: skip
    assert report.facts == Facts(
        number=FACTS["number"], issued_on=date(2024, 5, 14), total=Decimal("58.00"), amount=Decimal("54.72"),
        tax=Decimal("3.28"), words="伍拾捌圆整", buyer_name=FACTS["buyer"], buyer_id=FACTS["buyer_id"],
        seller_name=FACTS["seller"], seller_id=FACTS["seller_id"],
    )  # fmt: skip
    typed = dict(platform_fields(report.facts))
    assert typed == {"number": FACTS["number"], "date": "20240514", "total": "58.00"}


@pytest.mark.parametrize(
    ("changed", "cause", "field"),
    [
        ({"total": "98.00", "words": "玖拾捌圆整", "amount": "94.72"}, "VIEW-SOURCES-DIFFER", "total"),
        ({"number": "24312000000136634918"}, "VIEW-SOURCES-DIFFER", "number"),
        ({"date": "2024年06月14日"}, "VIEW-SOURCES-DIFFER", "issued_on"),
        ({"words": "玖拾捌圆整"}, "INSPECT-WORDS", ""),
        ({"amount": "50.00"}, "INSPECT-TOTAL", ""),
        ({"seller_id": "91110000600037341M"}, "INSPECT-ID", ""),
    ],
)
def test_a_foreign_pdf_that_contradicts_itself_is_refused(changed: dict[str, str], cause: str, field: str) -> None:
    """Its text against its QR, its figures against each other; the field is named."""
    report = checked(foreign_pdf(**changed))
    assert report.verdict is Verdict.INVALID
    assert (cause, field) in [(reason.cause, reason.field) for reason in report.reasons]


def test_a_number_that_cannot_be_is_refused() -> None:
    """No such province; a year that is not that of the date. Text and QR agree, so nothing else tells."""
    for number, cause in (("24992000000136634917", ""), ("24882000000136634917", "INSPECT-NUMBER-PROVINCE"),
                          ("23312000000136634917", "INSPECT-NUMBER-YEAR")):  # fmt: skip
        report = checked(foreign_pdf(qr_text(number, "58.00", "20240514"), number=number))
        assert ([one.cause for one in report.reasons if one.cause.startswith("INSPECT")] or [""])[0] == cause
        assert report.verdict is (Verdict.INVALID if cause else Verdict.UNKNOWN)


def test_a_wrong_checksum_is_suspicious_and_no_proof() -> None:
    """The QR's own checksum; without any it is not known."""
    text = qr_text(FACTS["number"], "58.00", "20240514")
    broken = checked(foreign_pdf(text[:-1] + ("0" if text[-1] != "0" else "1")))
    assert (broken.light("qr"), broken.verdict) == (Light.WARN, Verdict.UNKNOWN)
    assert checked(foreign_pdf(text[:-5])).light("qr") is Light.UNKNOWN


def test_our_own_pdf_without_its_original_is_read_like_a_foreign_one() -> None:
    """Saved again by another program, which dropped the attachment; or kept it."""
    original = original_of(example())
    pdf = render(original, "pdf")
    bare = checked(with_attachment(pdf, None))
    assert (bare.verdict, bare.light("view")) == (Verdict.UNKNOWN, Light.OK)
    assert bare.facts.number == example().number and bare.facts.buyer_name == example().buyer.name
    kept = checked(with_attachment(pdf, original))
    assert (kept.verdict, kept.light("signature")) == (Verdict.UNKNOWN, Light.OK)
    assert [reason.cause for reason in kept.reasons] == ["VIEW-DIFFERS"]


def test_an_ofd_without_its_original_is_read_by_tags_and_text() -> None:
    """With and without the tags; a picture of the QR among its parts is held against them."""
    parts = parts_of(write(original_of(example())))
    del parts["Doc_0/Attachs/original_invoice.xml"]
    for dropped in ([], [name for name in parts if "/Tags/" in name]):
        left = {name: data for name, data in parts.items() if name not in dropped}
        report = checked(pack(left))
        assert report.verdict is Verdict.UNKNOWN and report.facts.number == example().number
        assert report.facts.total == example().totals.inclusive and report.facts.seller_name == example().seller.name
        assert report.facts.buyer_id == example().buyer.taxpayer_id
    code = qr_text(example().number, "98.00", f"{example().issued_on:%Y%m%d}")
    forged = checked(pack(parts | {"Doc_0/Res/qr.png": picture_of(code)}))
    assert forged.verdict is Verdict.INVALID and forged.reasons[0].cause == "VIEW-SOURCES-DIFFER"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_photo_of_the_printed_code_is_read_and_proves_nothing(kind: str) -> None:
    """Number, date and total; never valid."""
    report = checked(picture_of(qr_text(FACTS["number"], "58.00", "20240514"), kind))
    assert (report.source, report.verdict) == (Source.PICTURE, Verdict.UNKNOWN)
    assert lights(report) == {"file": "ok", "signature": "unknown", "qr": "ok", "number": "ok"}
    assert report.reasons[0].cause == "VIEW-PICTURE-ONLY"
    assert dict(platform_fields(report.facts))["total"] == "58.00"


@pytest.mark.parametrize("name", [name for name in DAMAGES if name != "dirt-b"])
def test_a_photo_is_read_as_photos_are(name: str) -> None:
    """Blurred, tilted, turned, stained, pale, dark, small, noisy. The other stain is more than level M can mend."""
    symbol = Symbol(code := qr_text(FACTS["number"], "58.00", "20240514"), segno.make_qr(code, error="m"))
    out = io.BytesIO()
    DAMAGES[name](symbol.image(6).convert("L")).save(out, "JPEG", quality=85)
    assert checked(out.getvalue()).facts.number == FACTS["number"]


def test_our_own_picture_is_read() -> None:
    """The PNG of an invoice."""
    report = checked(render(original_of(example()), "png"))
    assert report.verdict is Verdict.UNKNOWN and report.facts.number == example().number


def test_an_older_invoice_gives_what_the_platform_asks_for() -> None:
    """Code, number, amount without tax, the end of the check code."""
    report = checked(picture_of("01,10,042002000111,12345678,54.72,20200514,12345678901234567890,"))
    assert report.light("number") is Light.OK and report.light("qr") is Light.UNKNOWN
    fields = dict(platform_fields(report.facts))
    assert fields == {
        "code": "042002000111",
        "number": "12345678",
        "date": "20200514",
        "amount": "54.72",
        "check": "567890",
    }


@pytest.mark.parametrize(
    ("text", "cause", "pickup"),
    [
        ("HTTP://SHOP.TEST/S/ANMJQFF3NDM1JEPM2J3V", "QR-PICKUP", "/S/ANMJQFF3NDM1JEPM2J3V"),
        ("http://other.test/s/ANMJQFF3NDM1JEPM2J3V", "QR-OTHER", ""),
        ("http://[", "QR-OTHER", ""),
        (write_title(Buyer("武汉某某科技有限公司", "91110108690017781B")), "QR-TITLE", ""),
    ],
)
def test_another_code_is_told_for_what_it_is(text: str, cause: str, pickup: str) -> None:
    """Ours for picking up an invoice, a company's title, anything else."""
    report = checked(picture_of(text))
    assert ([reason.cause for reason in report.reasons], report.pickup) == ([cause], pickup)
    assert report.verdict is Verdict.UNKNOWN


def test_several_invoices_in_one_file_are_told() -> None:
    """Two pages of two invoices: the first is looked at, the others are named."""
    from pypdf import PdfReader, PdfWriter

    writer, out = PdfWriter(), io.BytesIO()
    for pdf in (foreign_pdf(), foreign_pdf(number="24312000000136634999")):
        writer.add_page(PdfReader(io.BytesIO(pdf)).pages[0])
    writer.write(out)
    report = checked(out.getvalue())
    assert report.light("file") is Light.WARN and report.facts.number == FACTS["number"]
    assert "24312000000136634999" in report.items[0].said()


def test_what_is_no_invoice_is_not_called_forged() -> None:
    """A text, a spreadsheet's bytes, nothing: not known; a picture without a code as well."""
    blank = io.BytesIO()
    Image.new("L", (200, 200), 255).save(blank, "PNG")
    for data in (b"", b"hello", bytes(100), blank.getvalue()):
        report = checked(data)
        assert report.verdict is Verdict.UNKNOWN and report.light("file") is Light.UNKNOWN, data[:10]
    assert checked(b"<a/>").verdict is Verdict.INVALID


# ── the parts ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("rows", "wanted"),
    [
        ([Row("发票号码:24312000000136634917")], {"number": "24312000000136634917"}),
        ([Row("", "24312000000136634917")], {"number": "24312000000136634917"}),
        ([Row("账号 243120000001366349171")], {"number": ""}),
        ([Row("开票日期：2024 年 05 月 14 日")], {"issued_on": date(2024, 5, 14)}),
        ([Row("开票日期：2024-05-14")], {"issued_on": date(2024, 5, 14)}),
        ([Row("开票日期：2024年13月14日")], {"issued_on": None}),
        ([Row("价税合计(大写) ⊗壹仟贰佰叁拾肆圆伍角陆分 (小写) ￥1,234.56")],
         {"total": Decimal("1234.56"), "words": "壹仟贰佰叁拾肆圆伍角陆分"}),
        ([Row("价税合计（大写） （负数）伍佰圆整", "（小写）-500.00")],
         {"total": Decimal("-500.00"), "words": "(负数)伍佰圆整"}),
        ([Row("合 计 ¥-471.70 ¥-28.30")], {"amount": Decimal("-471.70"), "tax": Decimal("-28.30")}),
        ([Row("合    计", "¥100.00 ***")], {"amount": Decimal("100.00"), "tax": None}),
        ([Row("购 名称：甲公司 销 名称：乙公司")], {"buyer_name": "甲公司", "seller_name": "乙公司"}),
        ([Row("名称：个人", "名称：乙公司"), Row("", "纳税人识别号：91110000600037341L")],
         {"buyer_name": "个人", "buyer_id": "", "seller_id": "91110000600037341L"}),
        ([Row("发票代码：042002000111 发票号码：12345678 校验码：12345 67890 12345 67890")],
         {"code": "042002000111", "number": "12345678", "check": "12345678901234567890"}),
    ],
)  # fmt: skip
def test_rows_are_read_as_they_occur(rows: list[Row], wanted: dict[str, object]) -> None:
    """Spaces, widths of signs, two parties in a row, older invoices, red ones."""
    facts = printed_facts(rows)
    assert {name: getattr(facts, name) for name in wanted} == wanted


def test_sources_disagree_only_where_both_say_something() -> None:
    """And not in spaces, brackets, the form of words, or a name that is cut."""
    one = Facts(number="1", words="伍拾捌元正", buyer_name="武汉 某某（集团）有限公司", total=Decimal(0))
    other = Facts(number="1", words="伍拾捌圆整", buyer_name="武汉某某(集团)有限", seller_name="乙")
    assert list(disagreements(one, other)) == []
    assert [field for field, _, _ in disagreements(one, Facts(number="2", total=Decimal(1)))] == ["number", "total"]
    assert merged(one, Facts(total=Decimal(5), seller_id="9")) == msgspec.structs.replace(one, seller_id="9")


def test_the_verdict_is_never_better_than_its_worst_item() -> None:
    """Bad anywhere is invalid; a decisive item unknown is unknown; nothing at all is unknown."""
    reason = (Refusal("FILE-KIND"),)
    whole = Report(Source.XML, (item("file"), item("signature", signer="x")))
    assert whole.verdict is Verdict.VALID
    assert whole.with_items([item("figures", reason)]).verdict is Verdict.INVALID
    assert whole.with_items([item("log", reason, Light.UNKNOWN)]).verdict is Verdict.VALID
    assert whole.with_items([item("seen", reason, Light.WARN)]).verdict is Verdict.VALID
    assert whole.with_items([item("view", reason, Light.UNKNOWN)]).verdict is Verdict.UNKNOWN
    assert Report(Source.XML, ()).verdict is Verdict.UNKNOWN
    bundle = msgspec.structs.replace(whole, source=Source.BUNDLE)
    assert bundle.with_items([item("log", reason, Light.UNKNOWN)]).verdict is Verdict.UNKNOWN


def test_a_limit_is_a_doubt_and_damage_is_a_fault() -> None:
    """Unknown for the one, invalid for the other."""
    assert "FILE-LIMIT" in causes()
    assert unreadable((Refusal("FILE-LIMIT", "", {"have": "time"}),)).verdict is Verdict.UNKNOWN
    assert unreadable((Refusal("OFD-TOO-LARGE", "", {"have": "1", "max": "1"}),)).verdict is Verdict.UNKNOWN
    assert unreadable((Refusal("PDF-UNREADABLE", "", {"have": "x"}),)).verdict is Verdict.INVALID


def sealed_by_hand(parts: dict[str, bytes]) -> bytes:
    """The parts with a new seal of the sandbox over all of them."""
    rest = {name: data for name, data in parts.items() if name not in (SIGNATURE, SIGNED_VALUE)}
    listed = signature_xml({name: Part(data) for name, data in rest.items()}, 1, (90, 8, 30, 20), AT)
    return pack(rest | {SIGNATURE: listed, SIGNED_VALUE: sign_value(listed, f"/{SIGNATURE}", ring()[1], AT)})


def test_a_sealed_ofd_of_another_program_is_valid_under_its_seal() -> None:
    """Its seal covers every part, so its page need not be what we draw; a tag that says another number refuses it."""
    _, package = sealed(example())
    for shown, verdict in ((example().number, Verdict.VALID), ("269900000000000009", Verdict.INVALID)):
        parts = parts_of(package)
        parts["OFD.xml"] = parts["OFD.xml"].replace(b"<ofd:Creator>", b"<ofd:Creator>Another ")
        assert b"Another " in parts["OFD.xml"]
        page = "Doc_0/Pages/Page_0/Content.xml"
        parts[page] = parts[page].replace(example().number.encode(), shown.encode())
        report = checked(sealed_by_hand(parts))
        assert (report.verdict, report.light("seal")) == (verdict, Light.OK), report.reasons
