"""Printing codes (打印): a preview that the browser prints, the same as PDF, and a picture to keep on a phone."""

from __future__ import annotations

from urllib.parse import quote, urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from piaoma.codes.symbol import Symbol
from piaoma.desk import codes, merchant, sales, static_codes
from piaoma.desk.codes import Code
from piaoma.desk.merchant import Merchant
from piaoma.desk.sessions import Session
from piaoma.desk.static_codes import Mode, StaticCode, StaticState
from piaoma.documents.code_sheets import CARDS_MAX, SHEET_SIZES, Card, width_mm
from piaoma.invoice.money import format_yuan
from piaoma.invoice.refusal import refuse
from piaoma.invoice.taxpayer_id import grouped
from piaoma.web.page import office_of, text_of

from .access import page, show
from .static_codes import WORDS_MAX

SIZE_DEFAULT = "58"


async def sheet(request: Request, session: Session) -> Response:
    """The preview; the browser prints it as it stands, each symbol as wide as on the PDF."""
    asked = request.query_params
    size = _size(request)
    cards = [_sized(card, width_mm(card.modules, size)) for card in await _cards(request, session)]
    chosen = {name: asked[name] for name in ("kind", "id", "q") if asked.get(name)}
    return show(
        request, session, "sheet.html", cards=cards, size=size, sizes=SHEET_SIZES, chosen=urlencode(chosen),
        width=f"{width_mm(cards[0].modules, size):.1f}",
        back=_back(request),
    )  # fmt: skip


def _sized(card: Card, width: float) -> Card:
    """With its width in the drawing itself: a style of its own would not be allowed on a page."""
    return msgspec.structs.replace(
        card, svg=card.svg.replace("<svg ", f'<svg width="{width}mm" height="{width}mm" ', 1)
    )


async def sheet_pdf(request: Request, session: Session) -> Response:
    """The same as PDF, for a printer that is not this browser's."""
    cards = await _cards(request, session)
    data = await office_of(request).cabinet.sheet(cards, _size(request), "pdf")
    return Response(data, media_type="application/pdf", headers=_named(f"{cards[0].shop}-{_size(request)}.pdf"))


async def picture(request: Request, session: Session) -> Response:
    """The code of a sale as a picture that says whose it is, how much, and until when."""
    made = await _code(request, session, request.path_params["code_id"])
    shop = await merchant.merchant(office_of(request), session.merchant_id)
    card = await _card_of_code(request, shop, made)
    data = await office_of(request).cabinet.sheet((card,), "picture", "png")
    return Response(data, media_type="image/png", headers=_named(f"{shop.shop_name}-{made.total}.png"))


def _named(name: str) -> dict[str, str]:
    """A file name with Chinese in it, and without what no file system takes."""
    plain = "".join(letter for letter in name if letter not in '\\/:*?"<>|')
    suffix = plain.rpartition(".")[2]
    return {"content-disposition": f"inline; filename=\"code.{suffix}\"; filename*=UTF-8''{quote(plain)}"}


def _size(request: Request) -> str:
    size = request.query_params.get("size", SIZE_DEFAULT)
    return size if size in SHEET_SIZES else SIZE_DEFAULT


def _back(request: Request) -> str:
    asked = request.query_params
    folder = "static" if asked.get("kind") == "static" else "codes"
    wanted = asked.get("id", "")
    return f"/console/{folder}/{wanted}" if wanted.isascii() and wanted.isdigit() else f"/console/{folder}"


async def _cards(request: Request, session: Session) -> tuple[Card, ...]:
    """What the address names: one code, or every static code in use that fits. Raises ``Refused`` CODE-NOT-FOUND."""
    office, asked = office_of(request), request.query_params
    shop = await merchant.merchant(office, session.merchant_id)
    wanted = asked.get("id", "")
    if asked.get("kind") != "static":
        return (await _card_of_code(request, shop, await _code(request, session, wanted)),)
    if wanted:
        found = [await static_codes.static_code(office, session.merchant_id, _number(wanted))]
    else:
        words = asked.get("q", "")[:WORDS_MAX]
        found = (await static_codes.list_static_codes(office, session.merchant_id, words=words))[:CARDS_MAX]
    # A code that serves no more is not printed again.
    cards = tuple(_card_of_static(request, shop, one) for one in found if one.state is StaticState.ACTIVE)
    if not cards:
        raise refuse("CODE-NOT-FOUND")
    return cards


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 13):
        raise refuse("CODE-NOT-FOUND")
    return int(text)


async def _code(request: Request, session: Session, wanted: str) -> Code:
    return await codes.code(office_of(request), session.merchant_id, _number(wanted))


def _card(request: Request, shop: Merchant, symbol: Symbol, token: str, steps: str) -> Card:
    t = text_of(request)
    return Card(
        svg=symbol.svg, modules=symbol.size, shop=shop.shop_name, steps=t(steps), short=grouped(token),
        promise=t("card_promise"), mark=t("card_mark") if office_of(request).config.sandbox else "",
    )  # fmt: skip


async def _card_of_code(request: Request, shop: Merchant, made: Code) -> Card:
    t = text_of(request)
    number = await sales.sale_number(office_of(request), made.merchant_id, made.code_id)
    return msgspec.structs.replace(
        _card(request, shop, made.symbol, made.token, "slip_steps"), total=f"¥{format_yuan(made.total)}",
        item=made.summary, until=f"{t('valid_until')} {made.expires_at:%Y-%m-%d %H:%M}",
        number_label=t("sale_number"), number=f"{number[:3]} {number[3:]}" if number else "",
    )  # fmt: skip


def _card_of_static(request: Request, shop: Merchant, code: StaticCode) -> Card:
    steps = "card_steps_sale" if code.terms.mode is Mode.SALE else "card_steps_approval"
    return msgspec.structs.replace(_card(request, shop, code.symbol, code.token, steps), place=code.place)


routes = [
    Route("/console/sheets", page(sheet)),
    Route("/console/sheets.pdf", page(sheet_pdf)),
    Route("/console/codes/{code_id}/picture.png", page(picture)),
]
