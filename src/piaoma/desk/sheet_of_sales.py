"""What a sheet of sales says (批量表格): its columns, its rows as sales, and every fault at the cell it stands in.

One row is one sale; rows with the same order number are the lines of one. Sheets vary: titles are found under several
names and in any order. What cannot be understood is a fault of its row and spoils no other.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from piaoma.documents.sheet_reading import HEAD_ROWS_MAX, ROWS_MAX, Sheet, column_letters
from piaoma.invoice.draft import InvoiceKind, Line, Pricing
from piaoma.invoice.money import to_fen
from piaoma.invoice.parties import Buyer
from piaoma.invoice.refusal import Refusal, Refused, refuse
from piaoma.invoice.rules import text

from .codes import OWN_NUMBER_MAX, Offer
from .deliver import check_address
from .goods import Goods, by_name
from .merchant import Merchant
from .mint import preview
from .typed_lines import lines_of, title_of

if TYPE_CHECKING:
    from .office import Office

# Column, title in Chinese and English, other titles that people use.
COLUMNS: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("own_number", "单号", "Order number", ("订单号", "自有单号", "流水号", "业务单号", "编号")),
    ("kind", "发票类型", "Kind", ("发票种类", "票种", "开票类型", "类型")),
    ("buyer_name", "购买方名称", "Buyer", ("购方名称", "客户名称", "抬头", "发票抬头", "名称", "单位名称")),
    ("buyer_id", "纳税人识别号", "Tax id", ("税号", "购买方纳税人识别号", "购方税号", "统一社会信用代码", "识别号")),
    ("buyer_person", "是否个人", "Person", ("个人", "自然人")),
    ("buyer_address", "购买方地址", "Buyer's address", ("地址", "购方地址")),
    ("buyer_phone", "购买方电话", "Buyer's phone", ("电话", "购方电话")),
    ("buyer_bank", "购买方开户行", "Buyer's bank", ("开户行", "购方开户行", "开户银行")),
    ("buyer_account", "购买方银行账号", "Buyer's account", ("银行账号", "账号", "购方账号")),
    ("name", "项目名称", "Item", ("商品名称", "货物名称", "品名", "商品", "货物或应税劳务名称", "服务名称")),
    ("code", "税收分类编码", "Classification code", ("分类编码", "商品编码", "税收编码", "编码")),
    ("spec", "规格型号", "Specification", ("规格", "型号")),
    ("unit", "单位", "Unit", ("计量单位",)),
    ("quantity", "数量", "Quantity", ()),
    ("price", "含税单价", "Price (tax incl.)", ("单价", "单价(含税)")),
    ("amount", "含税金额", "Amount (tax incl.)", ("金额", "价税合计", "金额(含税)", "含税总额")),
    ("rate", "税率", "Rate", ("税率/征收率", "征收率")),
    ("discount", "折扣", "Discount", ("折扣金额", "优惠金额")),
    ("remark", "备注", "Remark", ("发票备注",)),
    ("email", "收票邮箱", "E-mail", ("邮箱", "电子邮箱", "交付邮箱", "email")),
    ("business", "特定业务", "Special business", ("特定业务类型", "特定业务类型代码")),
)
NEEDED = ("buyer_name", "name", "amount")  # columns; price and quantity do for the amount
KINDS = {
    "": InvoiceKind.GENERAL, "普票": InvoiceKind.GENERAL, "普通发票": InvoiceKind.GENERAL, "02": InvoiceKind.GENERAL,
    "2": InvoiceKind.GENERAL, "general": InvoiceKind.GENERAL, "电子发票(普通发票)": InvoiceKind.GENERAL,
    "专票": InvoiceKind.SPECIAL, "专用发票": InvoiceKind.SPECIAL, "增值税专用发票": InvoiceKind.SPECIAL,
    "01": InvoiceKind.SPECIAL, "1": InvoiceKind.SPECIAL, "special": InvoiceKind.SPECIAL,
    "电子发票(增值税专用发票)": InvoiceKind.SPECIAL,
}  # fmt: skip
_ZEROS = {"免税": "0|exempt|03", "不征税": "0|untaxed|04", "零税率": "0|export|", "出口": "0|export|"}
_YES = ("是", "y", "yes", "1", "√", "true", "个人")
_LINE = re.compile(r"lines\[(\d+)\]\.?(\w*)")
_PARTS = {"unit_price": "price", "zero": "rate", "preference": "rate", "kind": "amount", "": "name"}


class Sale(msgspec.Struct, frozen=True):
    """One sale of a sheet. ``cells`` are its rows as they came; a sale with ``faults`` has no offer."""

    place: int  # number of its first row
    row_key: str
    cells: tuple[tuple[str, ...], ...]
    buyer_name: str
    total_fen: int
    email: str
    offer: Offer | None
    faults: tuple[Refusal, ...]


class _Row(msgspec.Struct):
    """A row with its values by column."""

    number: int
    cells: tuple[str, ...]
    values: dict[str, str]


async def read_sales(
    office: Office, shop: Merchant, sheet: Sheet, *, titled: bool
) -> tuple[tuple[str, ...], list[Sale]]:
    """The head and the sales of a sheet. ``titled`` is whether every sale needs its buyer, as it is issued at once.

    Raises ``Refused`` SHEET-HEADER when no head is found, SHEET-EMPTY, SHEET-TOO-LARGE.
    """
    head, columns, rows = _headed(sheet)
    if not rows:
        raise refuse("SHEET-EMPTY", "sheet")
    if len(rows) > ROWS_MAX:
        raise refuse("SHEET-TOO-LARGE", "sheet", have=len(rows), max=ROWS_MAX)
    formulas = {place for place in sheet.formulas if place[1] in columns.values()}
    stock: dict[str, Goods | None] = {}
    seen: Counter[str] = Counter()
    sales = []
    for group in _grouped(rows):
        for name in {row.values["name"] for row in group}:
            if name and name not in stock:
                stock[name] = await by_name(office, shop.merchant_id, name)
        sales.append(_sale(office, shop, group, columns, formulas, stock, seen, titled=titled))
    return head, sales


def _headed(sheet: Sheet) -> tuple[tuple[str, ...], dict[str, int], list[_Row]]:
    """The head of a sheet, the place of each column, and the rows below."""
    for at, (_, cells) in enumerate(sheet.rows[:HEAD_ROWS_MAX]):
        titles = [_folded(cell) for cell in cells]
        columns: dict[str, int] = {}
        for column, zh, en, others in COLUMNS:
            names = [_folded(name) for name in (zh, en, *others)]
            place = next((titles.index(name) for name in names if name in titles), None)
            if place is not None and place not in columns.values():
                columns[column] = place
        if {"name", "buyer_name"} <= columns.keys() and columns.keys() & {"amount", "price"}:
            below = sheet.rows[at + 1 :]
            rows = [_Row(number, row, _values(row, columns)) for number, row in below]
            return cells, columns, [row for row in rows if any(row.values.values())]
    raise refuse("SHEET-HEADER", "sheet", max=HEAD_ROWS_MAX)


def _folded(title: str) -> str:
    """A title as it is compared: without blanks, marks of what must be filled in, and case."""
    return re.sub(r"[\s*＊:：]", "", unicodedata.normalize("NFKC", title)).lower()


def _values(row: Sequence[str], columns: dict[str, int]) -> dict[str, str]:
    places = {column: columns.get(column, -1) for column, *_ in COLUMNS}
    return {column: row[place] if 0 <= place < len(row) else "" for column, place in places.items()}


def _grouped(rows: Sequence[_Row]) -> list[list[_Row]]:
    """Rows with the same order number belong together, wherever they stand."""
    groups: dict[str, list[_Row]] = {}
    for row in rows:
        groups.setdefault(row.values["own_number"] or f"\0{row.number}", []).append(row)
    return list(groups.values())


def _sale(
    office: Office, shop: Merchant, group: list[_Row], columns: dict[str, int], formulas: set[tuple[int, int]],
    stock: dict[str, Goods | None], seen: Counter[str], *, titled: bool,
) -> Sale:  # fmt: skip
    first = group[0].values
    faults = [
        Refusal("SHEET-FORMULA", _cell(row.number, place), {"cell": _cell(row.number, place)})
        for row in group
        for place in range(len(row.cells))
        if (row.number, place) in formulas
    ]
    found = _Faults(group, columns)
    found.add(_of_whole(group, titled=titled))
    lines: list[Line] = []
    owners: list[int] = []
    for at, row in enumerate(group):
        try:
            made = lines_of(
                office, shop, _typed(row.values), stock.get(row.values["name"]), Pricing.INCLUSIVE, f"lines[{at}]"
            )
        except Refused as refused:
            found.add(refused.refusals)
        else:
            lines += made
            owners += [at] * len(made)
    kind = KINDS.get(_folded(first["kind"]), InvoiceKind.GENERAL)
    offer = Offer(kind, tuple(lines), remark=first["remark"], buyer=_buyer(first), own_number=first["own_number"])
    total_fen = 0
    try:
        total_fen = to_fen(preview(office, shop, offer)[2].inclusive)
    except Refused as refused:
        # What the rules say of the whole means nothing while a row of it cannot be read; what they say of parts does.
        partial = bool(faults or found.faults)
        found.add([one for one in refused.refusals if not partial or one.field not in ("", "lines")], owners)
    faults += found.faults
    return Sale(
        group[0].number, _key(office, group, seen), tuple(row.cells for row in group), first["buyer_name"], total_fen,
        first["email"], None if faults else offer, tuple(faults),
    )  # fmt: skip


def _key(office: Office, group: list[_Row], seen: Counter[str]) -> str:
    """What a sale is known by, in this sheet and the next: its order number; without one what it says, which of the
    equal ones it is, and the month, since the same rent is due again in the next."""
    number = group[0].values["own_number"][:OWN_NUMBER_MAX]
    if number:
        return f"n:{number}"
    said = msgspec.json.encode(sorted(group[0].values.items()))
    digest = hashlib.sha256(f"{office.now():%Y-%m}".encode() + said).hexdigest()[:32]
    seen[digest] += 1
    return f"h:{digest}:{seen[digest]}"


class _Faults:
    """Faults of a sale, each carried to the cell that it is about."""

    def __init__(self, group: list[_Row], columns: dict[str, int]) -> None:
        self._group, self._columns = group, columns
        self.faults: list[Refusal] = []

    def add(self, refusals: Sequence[Refusal], owners: Sequence[int] = ()) -> None:
        """``owners`` has the row of each line where the refusals speak of lines of a draft."""
        for refusal in refusals:
            row, column = 0, refusal.field
            if line := _LINE.match(refusal.field):
                at = int(line[1])
                row, column = owners[at] if owners and at < len(owners) else at, _PARTS.get(line[2], line[2])
            elif refusal.field.startswith("buyer."):
                column = "buyer_id" if refusal.field == "buyer.taxpayer_id" else refusal.field.replace(".", "_")
            row = min(row, len(self._group) - 1)
            place = self._columns.get(column)
            cell = _cell(self._group[row].number, place) if place is not None else f"{self._group[row].number}"
            self.faults.append(Refusal(refusal.cause, cell, refusal.values))


def _cell(row: int, place: int) -> str:
    return f"{column_letters(place)}{row}"


def _of_whole(group: list[_Row], *, titled: bool) -> list[Refusal]:
    """What is wrong with a sale outside its lines."""
    first = group[0].values
    faults = []
    if _folded(first["kind"]) not in KINDS:
        faults.append(Refusal("SHEET-KIND", "kind", {"have": first["kind"][:20]}))
    if first["business"]:
        faults.append(Refusal("BUSINESS-NOT-CARRIED", "business", {"have": first["business"][:20]}))
    if titled and not first["buyer_name"]:
        faults.append(Refusal("ISSUE-NEEDS-TITLE", "buyer.name"))
    faults += text.check(first["own_number"], "own_number", OWN_NUMBER_MAX) if first["own_number"] else []
    if first["email"]:
        try:
            check_address(first["email"])
        except Refused as refused:
            faults += refused.refusals
    for at, row in enumerate(group[1:], 1):
        if any(row.values[one] not in ("", first[one]) for one in ("kind", "buyer_name", "buyer_id", "email")):
            faults.append(Refusal("SHEET-ORDER-DIFFERS", f"lines[{at}].own_number", {"have": first["own_number"][:40]}))
    return faults


def _buyer(values: dict[str, str]) -> Buyer | None:
    if not values["buyer_name"] and not values["buyer_id"]:
        return None
    person = _folded(values["buyer_person"]) in _YES or (values["buyer_name"] == "个人" and not values["buyer_id"])
    return title_of(values, person=person)


def _typed(values: dict[str, str]) -> dict[str, str]:
    """A row as the form of the issuing page would have it."""
    rate = values["rate"].replace("％", "%").replace(" ", "")
    if rate in _ZEROS:
        rate = _ZEROS[rate]
    elif re.fullmatch(r"\d{1,2}(\.\d+)?%?", rate) and (rate.endswith("%") or not rate.startswith("0")):
        whole, _, part = rate.rstrip("%").partition(".")
        rate = f"0.{whole.zfill(2)}{part}".rstrip("0") if int(whole + part or 0) else "0"
    kept = ("name", "code", "spec", "unit", "quantity", "price", "amount", "discount")
    return {key: values[key] for key in kept} | {"rate": rate, "preference": ""}
