"""Understanding a pasted title block (抬头): name, id, address, phone, bank and account, however they are written.

People paste what their company once sent them: with labels or without, on one line or many, address and phone in one
field or two. What is not understood is left empty; nothing is guessed beyond what the text says.
"""

from __future__ import annotations

import re
import unicodedata

from . import taxpayer_id
from .parties import Buyer

TEXT_MAX = 2_000

_LABELS: tuple[tuple[str, str], ...] = (
    ("address_phone", r"(?:注册|单位|公司|办公|营业)?地址(?:及|和|与|、|/|,|\s)*(?:联系)?电话"),
    (
        "bank_account",
        r"(?:开户(?:银)?行|银行|开户行名称)(?:名称)?(?:及|和|与|、|/|,|\s)*(?:银行)?(?:账号|帐号|账户|帐户)",
    ),
    (
        "id",
        r"(?:纳税人(?:识别)?号|纳税人识别码|纳税识别号|统一社会信用代码(?:/纳税人识别号)?|社会信用代码|信用代码|税务登记号|税号|识别号)(?:码)?",
    ),
    ("name", r"(?:发票|开票|公司|企业|单位|购买方|购方|客户|个人)?(?:抬头|名称|全称)|购买方|单位|公司|请开|开票"),
    ("address", r"(?:注册|单位|公司|企业|办公|营业|开票|通讯)?(?:地址|住所)"),
    ("phone", r"(?:注册|单位|公司|企业|办公|联系|开票|固定)?(?:电话|手机)(?:号码|号)?"),
    ("bank", r"(?:基本|公司|单位)?开户(?:银)?行(?:名称)?|开户银行(?:名称)?|开户支行"),
    ("account", r"(?:公司|单位|银行|开户|对公|基本户)*(?:账号|帐号|账户|帐户|银行卡号|卡号)(?:号码)?"),
)
_FIELD = re.compile(
    r"(?:^|(?<=[\s,;、|。]))(?:\d{1,2}[.、)]\s*)?(?:" + "|".join(f"(?P<{name}>{form})" for name, form in _LABELS) + r")"
    r"\s*(?:\((?:必填|选填|盖章)\))?\s*[::]\s*",
    re.MULTILINE,
)
_LABEL_ALONE = re.compile("|".join(f"(?P<{name}>{form})" for name, form in _LABELS) + r"\s*[::]?")
_ID = re.compile(r"(?<![0-9A-Z])[0-9A-Z]{15,20}(?![0-9A-Z])")
_PHONE = re.compile(r"(?<!\d)(?:\(?0\d{2,3}\)?[-\s]?\d{7,8}(?:-\d{1,5})?|1[3-9]\d{9}|400-?\d{3}-?\d{4})(?!\d)")
_ACCOUNT = re.compile(r"(?<!\d)\d[\d\s-]{7,33}\d(?!\d)")
_COMPANY = re.compile(
    r"(?:公司|中心|学校|大学|医院|事务所|工作室|商行|商店|经营部|合作社|协会|委员会|政府|局|厂|店|馆|院|部|社|集团)(?:\([^)]*\))?$"
)
_BANK = re.compile(r"银行|信用社|支行|分行|分理处|营业部|信用联社")
_ADDRESS = re.compile(r"[省市区县镇乡村路街道巷号楼室栋幢层座]")


def parse_title_text(text: str) -> Buyer:
    """What a pasted text says; fields that it does not say are empty. ``natural_person`` is True without an id."""
    cleaned = _clean(text[:TEXT_MAX])
    fields = _labelled(cleaned)
    for line in _unlabelled_lines(cleaned):
        _place(line, fields)
    if "address_phone" in fields:
        address, phone = split_address_phone(fields["address_phone"])
        fields.setdefault("address", address)
        fields.setdefault("phone", phone)
    if "bank_account" in fields:
        bank, account = split_bank_account(fields["bank_account"])
        fields.setdefault("bank", bank)
        fields.setdefault("account", account)
    number = taxpayer_id.normalise(fields.get("id", ""))
    return Buyer(
        name=fields.get("name", "").strip(" ,;、。"),
        taxpayer_id=number,
        address=fields.get("address", "").strip(" ,;、。"),
        phone=fields.get("phone", "").strip(" ,;、。"),
        bank=fields.get("bank", "").strip(" ,;、。"),
        account=re.sub(r"[\s-]", "", fields.get("account", "")),
        natural_person=not number,
    )


def split_address_phone(text: str) -> tuple[str, str]:
    """``武汉市…88号 027-12345678`` as its two parts; the phone is the last that looks like one."""
    found = list(_PHONE.finditer(text))
    if not found:
        return text, ""
    last = found[-1]
    rest = (text[: last.start()] + " " + text[last.end() :]).strip(" ,;、/:")
    return rest, last.group().strip()


def split_bank_account(text: str) -> tuple[str, str]:
    """``某某银行武汉支行 1234 5678 9012 3456`` as its two parts; the account is the last long run of digits."""
    found = list(_ACCOUNT.finditer(text))
    if not found:
        return text, ""
    last = found[-1]
    rest = (text[: last.start()] + " " + text[last.end() :]).strip(" ,;、/:")
    return rest, re.sub(r"[\s-]", "", last.group())


def _clean(text: str) -> str:
    """Half-width letters and punctuation, and one kind of line end."""
    folded = unicodedata.normalize("NFKC", text).replace("\r\n", "\n").replace("\r", "\n")
    # A label and its value in two cells of a sheet; a label whose letters are spread to fill its column.
    folded = re.sub(r"^([^\t\n:]{2,12})\t", r"\1:", folded, flags=re.MULTILINE).replace("\t", " ")
    folded = re.sub(r"(?<![\u4e00-\u9fff])([名税地电账帐抬]) +([称号址话头])", r"\1\2", folded)
    return "\n".join(line.strip() for line in folded.split("\n"))


def _labelled(text: str) -> dict[str, str]:
    """What stands behind a label, up to the next label or the end of its line (or the next line, if its own is
    empty)."""
    fields: dict[str, str] = {}
    labels = list(_FIELD.finditer(text))
    for place, label in enumerate(labels):
        end = labels[place + 1].start() if place + 1 < len(labels) else len(text)
        value = text[label.end() : end].strip("\n ,;、|。")
        value = value.split("\n")[0].strip(" ,;、|")
        kind = label.lastgroup
        if kind and value:
            fields.setdefault(kind, value)
    return fields


def _unlabelled_lines(text: str) -> list[str]:
    """Lines without a label of their own, cut at separators."""
    lines = []
    for line in text.split("\n"):
        before = _FIELD.search(line)
        rest = line[: before.start()] if before else line
        for part in re.split(r"[;|]|\s{2,}|,(?=\D)", rest):
            part = part.strip(" ,;、")
            if part and not _LABEL_ALONE.fullmatch(part):
                lines.append(part)
    return lines


def _place(line: str, fields: dict[str, str]) -> None:
    """Put a piece without a label where it belongs by its shape, if that place is still empty."""
    compact = line.replace(" ", "").upper()
    found = _ID.search(compact)
    if "id" not in fields and found and _is_id(found.group()):
        fields["id"] = found.group()
        rest = _without(line, found.group())
        if rest:
            _place(rest, fields)
        return
    if _BANK.search(line) and "bank" not in fields:
        bank, account = split_bank_account(line)
        fields["bank"] = bank
        if account:
            fields.setdefault("account", account)
    elif "name" not in fields and _COMPANY.search(line) and not re.search(r"\d{5}", line):
        fields["name"] = line
    elif _ADDRESS.search(line) and "address" not in fields and len(line) >= 6:
        address, phone = split_address_phone(line)
        fields["address"] = address
        if phone:
            fields.setdefault("phone", phone)
    elif _PHONE.fullmatch(line.strip()) and "phone" not in fields:
        fields["phone"] = line.strip()
    elif re.fullmatch(r"[\d\s-]{9,34}", line) and "account" not in fields:
        fields["account"] = line
    elif " " in line:
        for part in line.split():
            _place(part, fields)
    elif "name" not in fields and len(line) >= 2 and not any(letter.isdigit() for letter in line):
        fields["name"] = line


def _is_id(text: str) -> bool:
    """A run of 18 must hold its check, or mix letters and digits; pure digits of other lengths may be an account."""
    if taxpayer_id.is_credit_code(text):
        return True
    return len(text) in (15, 18, 20) and not text.isdigit() and any(letter.isdigit() for letter in text)


def _without(line: str, found: str) -> str:
    """The line less the id, which may be written with blanks between its groups."""
    spaced = r"\s*".join(re.escape(letter) for letter in found)
    return re.sub(spaced, " ", line, count=1, flags=re.IGNORECASE).strip(" ,;、:")
