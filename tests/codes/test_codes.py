"""Tokens, symbols, printed codes and title codes."""

from __future__ import annotations

import io
import os
from itertools import pairwise

import pytest
import segno
import zxingcpp
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from piaoma.codes import printed, printed_symbol, proof, symbol, title_qr, token
from piaoma.invoice.parties import Buyer
from piaoma.invoice.refusal import Refused
from tests.invoice.test_original import example

KEY = b"k" * 32
URL = "http://127.0.0.1:8000/S/" + token.seal(KEY, 7, 9)


@given(st.integers(0, 2**28 - 1), st.integers(0, 2**40 - 1))
def test_a_token_opens_to_what_was_sealed(merchant: int, code: int) -> None:
    """Any numbers, any case, with dashes; an older key still opens what it sealed."""
    sealed = token.seal(KEY, merchant, code)
    assert len(sealed) == 20
    typed = "-".join(sealed[start : start + 4] for start in range(0, 20, 4)).lower()
    assert token.unseal((b"new" * 11, KEY), typed) == (merchant, code)


@given(st.text(alphabet=token.ALPHABET, min_size=20, max_size=20))
def test_a_guess_dies_before_the_database(guess: str) -> None:
    """A random token is refused by its own check bits."""
    with pytest.raises(Refused) as caught:
        token.unseal((KEY,), guess)
    assert caught.value.refusals[0].cause == "CODE-FORGED"


def test_neighbouring_codes_have_tokens_without_likeness() -> None:
    """One more in the number changes about half of the bits."""
    values = [token._number(token.seal(KEY, 1, code)) for code in range(200)]
    distances = [(a ^ b).bit_count() for a, b in pairwise(values)]
    assert 40 < sum(distances) / len(distances) < 60


@pytest.mark.parametrize("typed", ["", "ABC", "A" * 21, "!" * 20, "U" * 20, "🀄" * 20])
def test_what_cannot_be_a_token_is_malformed(typed: str) -> None:
    """Length and alphabet."""
    with pytest.raises(Refused) as caught:
        token.unseal((KEY,), typed)
    assert caught.value.refusals[0].cause == "CODE-MALFORMED"


def test_a_symbol_is_read_back_by_another_decoder_from_every_drawing() -> None:
    """SVG is not rasterised here; PNG and the terminal's blocks are."""
    drawn = symbol.draw(URL)
    assert (drawn.version, drawn.level) == (3, "M")
    assert zxingcpp.read_barcodes(Image.open(io.BytesIO(drawn.png())))[0].text == URL
    blocks = {" ": (0, 0), "▄": (0, 255), "▀": (255, 0), "█": (255, 255)}
    rows = drawn.terminal().split("\n")
    picture = Image.new("L", (len(rows[0]), 2 * len(rows)))
    for y, row in enumerate(rows):
        for x, letter in enumerate(row):
            picture.putpixel((x, 2 * y), blocks[letter][0])
            picture.putpixel((x, 2 * y + 1), blocks[letter][1])
    assert zxingcpp.read_barcodes(picture.resize((picture.width * 6, picture.height * 6)))[0].text == URL
    assert drawn.svg == symbol.draw(URL).svg


def test_a_plain_symbol_is_proved_and_a_spoiled_one_refused() -> None:
    """The proof is no formality: a logo over the middle, or grey on grey, does not pass."""
    drawn = symbol.draw(URL)
    assert proof.prove(drawn).score >= 70
    logo = drawn.image(6)
    ImageDraw.Draw(logo).rectangle((50, 50, 170, 170), fill=255)
    with pytest.raises(Refused) as caught:
        proof.prove(drawn, logo)
    assert caught.value.refusals[0].cause == "SYMBOL-UNREADABLE"
    assert proof.prove(drawn).receipt_mm == 18.5


@pytest.mark.parametrize(
    ("text", "crc"),
    [
        ("01,32,,24312000000136634917,0.01,20240514,,", "1DD6"),
        ("01,32,,26427000000375586818,10.70,20260430,,", "FAFB"),
        ("01,31,,26442000004359167806,1705400.00,20260421,,", "8EEF"),
    ],
)
def test_the_printed_code_has_the_checksum_of_real_ones(text: str, crc: str) -> None:
    """The vectors of einvoice.md §2; one changed digit is seen as suspicious."""
    assert f"{printed.crc16(text.encode()):04X}" == crc
    found = printed.parse(text + crc.lower())
    assert found is not None and found.crc_holds
    spoiled = printed.parse(text.replace("20", "21", 1) + crc)
    assert spoiled is not None and spoiled.crc_holds is False


def test_the_printed_code_says_what_the_invoice_says() -> None:
    """Number, tax-inclusive amount, date."""
    found = printed.parse(printed.invoice_text(example()))
    assert found is not None
    assert (found.type, found.number, str(found.amount), found.crc_holds) == ("32", example().number, "58.00", True)
    assert printed.crc16(b"123456789") == 0xFEE8


TITLE = Buyer(
    "武汉某某科技有限公司", "91110108690017781B", "武汉市测试路1号", "027-12345678", "测试银行", "1234567890123"
)


def photo(text: str, **changes: object) -> bytes:
    out = io.BytesIO()
    segno.make(text, micro=False).save(out, kind="png", scale=5)
    picture = Image.open(out).convert("L").rotate(12, expand=True, fillcolor=255)
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=60)
    return out.getvalue()


@given(st.text(st.sampled_from("0123456789,.-ABCDEF武"), min_size=1, max_size=90))
def test_the_symbol_of_an_invoice_is_read_by_another_decoder(text: str) -> None:
    """Our own encoder, and the general one for what it does not take: version, level and text, by a real decoder."""
    (found,) = zxingcpp.read_barcodes(printed_symbol.symbol_of(text).image(3))
    assert found.text == text and found.ec_level == "M"


@pytest.mark.parametrize("text", ["x" * 62, "0" * 62, "01,32,," + "26990000000000000001" * 2 + ",123456789.12," + "A"])
def test_the_symbol_of_an_invoice_is_that_of_the_general_encoder(text: str) -> None:
    """Module by module, where the text fills the symbol; elsewhere that one writes a zero too many before padding."""
    filled = text.ljust(62, "7")
    general = segno.make_qr(filled, mode="byte", error="m", boost_error=False, mask=printed_symbol.MASK)
    assert printed_symbol.symbol_of(filled).modules == symbol.Symbol(filled, general).modules


def test_invoices_have_symbols_of_version_4() -> None:
    """As real ones do, from the shortest amount to the longest."""
    for amount in ("0.01", "-9999999999999.99"):
        text = printed.invoice_text(example()).replace("58.00", amount)
        drawn = printed_symbol.symbol_of(text)
        assert (drawn.version, drawn.level, drawn.size) == (4, "M", 33)


def test_a_photographed_title_fills_the_fields() -> None:
    """Rotated, compressed; written in UTF-8 or in GBK."""
    assert title_qr.read_title(photo(title_qr.write_title(TITLE))) == TITLE


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (b"", "PHOTO-FORMAT"), (b"<svg/>", "PHOTO-FORMAT"), (os.urandom(1000), "PHOTO-FORMAT"),
        (b"x" * (8 * 1024 * 1024 + 1), "PHOTO-TOO-LARGE"), (photo("hello"), "PHOTO-NOT-TITLE"),
    ],
)  # fmt: skip
def test_a_photo_that_is_none_is_refused(data: bytes, cause: str) -> None:
    """Other files, other codes, too much."""
    with pytest.raises(Refused) as caught:
        title_qr.read_title(data)
    assert caught.value.refusals[0].cause == cause


def test_a_picture_bomb_is_refused_before_it_is_unpacked() -> None:
    """A few kilobytes that would become 400 million pixels."""
    out = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(out, "PNG")
    with pytest.raises(Refused) as caught:
        title_qr.read_symbols(out.getvalue())
    assert caught.value.refusals[0].cause == "PHOTO-TOO-LARGE"


@pytest.mark.parametrize(("grey", "reason"), [(10, "过暗"), (255, "反光"), (128, "模糊")])
def test_a_failed_photo_says_why(grey: int, reason: str) -> None:
    """Too dark, glare, blurred: measured, not guessed."""
    out = io.BytesIO()
    Image.new("L", (300, 300), grey).save(out, "PNG")
    with pytest.raises(Refused) as caught:
        title_qr.read_symbols(out.getvalue())
    assert reason in caught.value.refusals[0].values["have"]
