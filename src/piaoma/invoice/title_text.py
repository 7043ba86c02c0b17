"""Understanding a pasted title block (抬头): name, id, address, phone, bank and account, however they are written.

People paste what their company once sent them: with labels or without, on one line or many, address and phone in one
field or two, with a greeting in front and thanks behind. What is not understood is left empty; nothing is guessed
beyond what the text says.

How it works: the text is folded to one kind of letters; labels are found, each with the value behind it; what no label
claims is cut into pieces, and each piece is placed by its shape, where its field is still empty.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from . import taxpayer_id
from .parties import Buyer

TEXT_MAX = 2_000

_Split = Callable[[str], tuple[str, str]]

_OF = r"(?:注册|单位|公司|企业|办公|营业|开票|通讯|联系|购买方|购方|客户)"
_AND = r"(?:及|和|与|、|/|,|\+|&|[^\S\n])*"
_NUMBER = r"(?:账号|帐号|账户|帐户|银行卡号|卡号)(?:号码)?"
_PHONE_WORD = r"(?:电话|手机)(?:号码|号)?"
_BANK_WORD = r"开户(?:银)?行(?:名称)?|开户(?:支行|网点|银行)(?:名称)?"
_ID_WORD = (
    r"纳税人(?:识别)?(?:号码|号|码)|纳税识别(?:号码|号|码)|(?:统一)?(?:社会)?信用代码(?:/?(?:纳税人识别号|税号))?"
    r"|税务登记证?号码?|税号|识别号|身份证(?:号码|号)?"
)
# What may stand where a label may: at the start of a line, or after something that ends a value.
_BOUNDED = {
    "both_a": rf"{_OF}?(?:地址|住址){_AND}(?:联系)?{_PHONE_WORD}",
    "both_b": rf"(?:{_BANK_WORD}|银行){_AND}(?:银行)?{_NUMBER}",
    "id": rf"{_OF}?(?:{_ID_WORD})",
    "name": (
        rf"(?:发票|开票|{_OF}|个人)?(?:抬头|名称|全称|名字)|购买方|购方|单位|公司|个人|姓名"
        r"|(?:您好|你好|麻烦|帮我|帮忙|烦请|劳驾|请|,){0,4}(?:开个?(?:发?票|普票|专票)|请开)"
    ),
    "address": rf"{_OF}?(?:地址|住所|住址)",
    "phone": rf"(?:{_OF}|固定)?{_PHONE_WORD}",
    "bank": rf"(?:基本|公司|单位)?(?:{_BANK_WORD})|银行(?:名称)?|行名",
    "account": rf"(?:公司|单位|银行|开户|对公|基本户)*{_NUMBER}",
}
_ENGLISH = {
    "id": r"(?:tax(?:payer)?\s?(?:id(?:entification)?(?:\s?(?:number|no\.?|code))?|no\.?|number|code)|tin|uscc)",
    "name": r"(?:invoice\s)?(?:company(?:\sname)?|name|title|buyer)",
    "address": r"(?:registered\s)?(?:address|add\.?)",
    "phone": r"(?:tele?phone|phone|tel|mobile)(?:\s?(?:number|no\.?))?\.?",
    "account": r"(?:bank\s)?(?:account|acct\.?|a/c)(?:\s?(?:number|no\.?))?",
    "bank": r"(?:opening\s|deposit\s)?bank(?:\sname)?",
}
# Inside a run of text only a label whose value follows at once is one: 武汉地址科技有限公司 has an address in its name.
_ID_AHEAD = r"(?=[^\S\n]*[0-9A-Za-z]{4}[0-9A-Za-z \-]{11})"
_PHONE_AHEAD = r"(?=[^\S\n]*[(+]?\d{3})"
_DIGITS_AHEAD = r"(?=[^\S\n]*\d{4}[\d \-]{4})"
_RUN = {
    "both_a": rf"(?:(?<=公司)|(?<=[0-9A-Z]))地址{_AND}电话",
    "both_b": rf"(?:{_BANK_WORD}){_AND}(?:银行)?{_NUMBER}",
    "id": rf"(?:{_ID_WORD})(?:[^\S\n]*:|{_ID_AHEAD})",
    "address": (
        r"(?:注册|联系)?地址[^\S\n]*:"
        r"|(?:(?<=[0-9A-Z])|(?<=公司))(?:注册)?地址(?=[\u4e00-\u9fff]{1,8}[省市区县])"
    ),
    "phone": rf"(?:联系|注册|固定)?{_PHONE_WORD}(?:[^\S\n]*:|{_PHONE_AHEAD})",
    "bank": rf"(?:{_BANK_WORD})[^\S\n]*:|(?:(?<=[0-9A-Z])|(?<=[号室楼]))(?:{_BANK_WORD})(?=[\u4e00-\u9fff]{{2}})",
    "account": rf"(?:(?<=行)银行)?{_NUMBER}(?:[^\S\n]*:|{_DIGITS_AHEAD})",
}
# A bounded label without a colon, when what follows can be its value.
_BARE = {
    "id": _ID_AHEAD,
    "name": r"[^\S\n]*(?=[\u4e00-\u9fff(]{4})",
    "address": r"[^\S\n]*(?=[\u4e00-\u9fff]{2})",
    "phone": _PHONE_AHEAD,
    "bank": r"[^\S\n]*(?=[\u4e00-\u9fff]{2})",
    "account": _DIGITS_AHEAD,
    "both_a": r"[^\S\n]+(?=[\u4e00-\u9fff])",
    "both_b": r"[^\S\n]+(?=[\u4e00-\u9fff])",
}
_BARE_LABEL = {
    **_BOUNDED,
    "name": rf"(?:发票|开票|{_OF})?(?:抬头|名称|全称)",
    "bank": rf"(?:基本|公司|单位)?(?:{_BANK_WORD})",
}
_START = r"(?:^|(?<=[\s,;、|。/!~()\[\]【】「」\"“”]))"
_LISTED = r"(?:[-*•·●◆■□>#]+[^\S\n]*|\(?\d{1,2}[.、)]?[^\S\n]*|[一二三四五六七八九十]{1,2}[、.)][^\S\n]*)?"
_COLON = r"[^\S\n]*(?:\((?:必填|选填|盖章|个人|单位|公司)\))?[^\S\n]*[:=][^\S\n]*"
_LABEL = re.compile(
    "|".join(
        [f"{_START}{_LISTED}(?P<c_{kind}>{label}){_COLON}" for kind, label in _BOUNDED.items()]
        + [f"{_START}{_LISTED}(?P<e_{kind}>(?i:{label})){_COLON}" for kind, label in _ENGLISH.items()]
        + [f"{_START}{_LISTED}(?P<b_{kind}>{label}){_BARE[kind]}" for kind, label in _BARE_LABEL.items()]
        + [f"(?P<r_{kind}>{label})[^\\S\\n]*:?[^\\S\\n]*" for kind, label in _RUN.items()]
    ),
    re.MULTILINE,
)
_LABEL_ALONE = re.compile(
    rf"{_LISTED}(?:{'|'.join(_BOUNDED.values())}|(?i:{'|'.join(_ENGLISH.values())}))[^\S\n]*[:=]?"
)

_MARKS = " ,;、|。:/!~*-"
_QUOTES = "\"'“”‘’「」『』《》【】[]"
# Greetings and thanks to the end of the line, unless a company or a figure stands in them.
_COURTESY = re.compile(
    r"(?:(?:^|[\s,;。!~(])(?:谢谢|多谢|感谢|辛苦|麻烦|拜托|劳驾|烦请|您好|你好|好的|收到|请(?:帮|给|尽快)|帮(?:我|忙)|(?i:thank))"
    r"(?:(?!公司|中心|[0-9])[^\n]){0,30}|[谢多]谢[您你啦了哈!~。]*)$"
)
# One flat list of words, taken without going back: a text of nothing but such words is read in one pass.
_HEADING = re.compile(
    r"[\s\[【「*#=_-]*+(?:我们|我司|贵司|公司|单位|企业|客户|购买方|购方|增值税|专用|普通|电子|数电票"
    r"|信息|资料|抬头|明细|如下|发票|开票|专票|普票)++[\s\]】」*#=_:-]*+"
)
_ID = re.compile(r"(?<![0-9A-Z])[0-9A-Z]{15,20}(?![0-9A-Z])")
_SPACED_ID = re.compile(r"(?<![0-9A-Z])[0-9A-Z](?:[ \-]{0,2}[0-9A-Z]){14,19}(?![ \-]{0,2}[0-9A-Z])")
_PHONE = re.compile(
    r"(?<![0-9])(?:\(?0[0-9]{2,3}\)?[-\s]?[0-9]{7,8}(?:-[0-9]{1,5})?|1[3-9][0-9]{9}|400-?[0-9]{3}-?[0-9]{4})(?![0-9])"
)
_EXTENSION = re.compile(r"\s*(?:转|分机|ext\.?)\s*[0-9]{1,6}", re.IGNORECASE)
_ACCOUNT = re.compile(r"(?<![0-9])[0-9][0-9\s-]{7,33}[0-9](?![0-9])")
_COMPANY = re.compile(
    r"(?:公司|中心|学校|大学|学院|中学|小学|幼儿园|医院|法院|事务所|研究所|派出所|工作室|商行|商店|经营部|合作社|协会|学会"
    r"|商会|工会|基金会|委员会|居委会|村委会|政府|局|厂|店|馆|院|部|社|集团|(?i:ltd\.?|limited|inc\.?|llc|corp\.?))"
    r"(?:\([^()]{1,20}\))?$"
)
_BANK = re.compile(r"银行|信用社|支行|分行|分理处|营业部|信用联社")
_ADDRESS = re.compile(r"[省市区县镇乡村路街道巷号楼室栋幢层座]")
_PERSON = re.compile(r"[\u4e00-\u9fff]{2,4}|[\u4e00-\u9fff]{1,8}(?:·[\u4e00-\u9fff]{1,8}){1,3}")
_CHINESE = re.compile(r"[\u3400-\u9fff]")


def parse_title_text(text: str) -> Buyer:
    """What a pasted text says; fields that it does not say are empty.

    ``natural_person`` is True without an id, and with an id card's number.
    """
    cleaned = _clean(text[:TEXT_MAX])
    fields, loose = _labelled(cleaned)
    pieces = [piece for part in loose for piece in _pieces(part)]
    for piece in pieces:
        _place(piece, fields)
    if "name" not in fields and len(pieces) == 1 and _PERSON.fullmatch(pieces[0]):
        # A person's name has no shape; so short a text is one when nothing else is said.
        fields["name"] = pieces[0]
    _divide(fields, "both_a", "address", "phone", split_address_phone)
    _divide(fields, "both_b", "bank", "account", split_bank_account)
    _divide(fields, "address", "address", "phone", split_address_phone)
    _divide(fields, "bank", "bank", "account", split_bank_account)
    number = fields.get("id", "")
    name = fields.get("name", "")
    if "（" in text:
        name = name.replace("(", "（").replace(")", "）")  # the brackets of a registered name are full-width
    return Buyer(
        name=name,
        taxpayer_id=number,
        address=fields.get("address", ""),
        phone=fields.get("phone", ""),
        bank=fields.get("bank", ""),
        account=re.sub(r"[\s-]", "", fields.get("account", "")),
        natural_person=not number or taxpayer_id.is_id_card(number),
    )


def split_address_phone(text: str) -> tuple[str, str]:
    """``武汉市…88号 027-12345678`` as its two parts; the phone is the last that looks like one."""
    found = list(_PHONE.finditer(text))
    if not found:
        return text, ""
    last = found[-1]
    rest = (text[: last.start()] + " " + text[last.end() :]).strip(_MARKS)
    return rest, last.group().strip()


def split_bank_account(text: str) -> tuple[str, str]:
    """``某某银行武汉支行 1234 5678 9012 3456`` as its two parts; the account is the last long run of digits."""
    found = list(_ACCOUNT.finditer(text))
    if not found:
        return text, ""
    last = found[-1]
    rest = (text[: last.start()] + " " + text[last.end() :]).strip(_MARKS)
    return rest, re.sub(r"[\s-]", "", last.group())


def _divide(fields: dict[str, str], whole: str, first: str, second: str, split: _Split) -> None:
    """Two things under one label, or behind one: each to its field, unless that has a value of its own."""
    if whole in fields and (whole != first or second not in fields):
        one, other = split(fields.pop(whole))
        if one:
            fields.setdefault(first, one)
        if other:
            fields.setdefault(second, other)


def _clean(text: str) -> str:
    """Half-width letters and punctuation, and one kind of line end."""
    folded = unicodedata.normalize("NFKC", text).replace("\r\n", "\n").replace("\r", "\n")
    # A label and its value in two cells of a sheet; a label whose letters are spread to fill its column.
    folded = re.sub(r"^([^\t\n:]{2,12})\t", r"\1:", folded, flags=re.MULTILINE).replace("\t", " ")
    folded = re.sub(r"(?<![\u4e00-\u9fff])([名税地电账帐抬]) +([称号址话头])", r"\1\2", folded)
    return "\n".join(line.strip() for line in folded.split("\n"))


def _labelled(text: str) -> tuple[dict[str, str], list[str]]:
    """The value behind each label, up to the next label or the end of its line (or of the next line, if its own is
    empty); and what is left over."""
    fields: dict[str, str] = {}
    labels = list(_LABEL.finditer(text))
    loose = [text[: labels[0].start()] if labels else text]
    for place, label in enumerate(labels):
        end = labels[place + 1].start() if place + 1 < len(labels) else len(text)
        value, _, rest = text[label.end() : end].lstrip("\n").partition("\n")
        kind = (label.lastgroup or "")[2:]
        kept, left = _value(kind, value)
        if kept:
            fields.setdefault(kind, kept)
        loose += [left, rest]
    return fields, [part for part in loose if part]


def _value(kind: str, text: str) -> tuple[str, str]:
    """What a field takes of the text behind its label, and what it leaves."""
    text = _COURTESY.sub("", text).strip(_MARKS)
    if kind == "id":
        found = _find_id(text, labelled=True)
        return found, _without(text, found) if found else ""
    if _LABEL_ALONE.fullmatch(text) and text != "个人":
        return "", ""
    if kind == "name":
        return _name(text)
    if kind == "phone":
        return _phone(text), ""
    if kind == "account":
        match = _ACCOUNT.search(text)
        return match.group() if match else "", ""
    return text.strip(_QUOTES + _MARKS), ""


def _phone(text: str) -> str:
    """The first number with its extension; one of a form that we do not know as it stands, if it is a number."""
    found = _PHONE.search(text)
    if found:
        extension = _EXTENSION.match(text, found.end())
        return found.group() + (extension.group() if extension else "")
    spoken = text.partition(",")[0].strip(_MARKS)
    return spoken if re.fullmatch(r"[0-9+() /-]{7,40}", spoken) else ""


def _name(text: str) -> tuple[str, str]:
    """A name without what follows it: a Chinese name ends at the first comma, an English one may hold some."""
    rest = ""
    if _CHINESE.search(text):
        text, _, rest = text.partition(",")
        text, _, more = re.sub(r"[;。!|]|\s{2,}", "\n", text).partition("\n")
        rest = f"{rest}\n{more}"
    found = _find_id(text, labelled=False)
    if found:
        text, rest = _without(text, found), f"{rest}\n{found}"
    name = _closed(text.strip(_QUOTES + _MARKS))
    if _HEADING.fullmatch(name) or not re.search(r"\w", name):
        return "", rest
    return name, rest


def _closed(text: str) -> str:
    """Without a bracket that has lost its other half, at either end."""
    text = re.sub(r"\(\s*\)", "", text)
    if text.count("(") > text.count(")"):
        text = text[: text.rindex("(")]
    elif text.count(")") > text.count("("):
        text = text[text.index(")") + 1 :] if text.startswith(")") else text[: text.rindex(")")]
    return text.strip(_MARKS)


def _digits(text: str) -> int:
    return sum(letter.isdigit() for letter in text)


def _find_id(text: str, *, labelled: bool) -> str:
    """The id in a text, or nothing. Behind its label any 15 to 20 letters and digits are one; elsewhere only what
    cannot be an account."""
    upper = text.upper()
    for form in (_ID, _SPACED_ID):
        for found in form.finditer(upper):
            number = taxpayer_id.normalise(found.group())
            if (labelled and _digits(number) >= 8) or _is_id(number):
                return number
    return ""


def _is_id(text: str) -> bool:
    """18 must hold their check, or mix letters and digits; pure digits of other lengths may be an account."""
    if taxpayer_id.is_credit_code(text) or taxpayer_id.is_id_card(text):
        return True
    return len(text) in (15, 18, 20) and not text.isdigit() and _digits(text) >= 8


def _without(text: str, found: str) -> str:
    """The text less the id, which may be written with blanks between its groups."""
    spaced = r"[\s-]*".join(re.escape(letter) for letter in found)
    return re.sub(spaced, " ", text, count=1, flags=re.IGNORECASE).strip(_MARKS)


def _pieces(text: str) -> list[str]:
    """Text without labels, cut at separators; headings, greetings and thanks left out."""
    pieces = []
    for line in text.split("\n"):
        kept = _COURTESY.sub("", line)
        commas = r"|,(?=\D)" if _CHINESE.search(kept) else ""
        for part in re.split(rf"[;|。!]|\s{{2,}}{commas}", kept):
            piece = _closed(part.strip(_MARKS + '"“”‘’「」'))
            if piece and not _LABEL_ALONE.fullmatch(piece) and not _HEADING.fullmatch(piece):
                pieces.append(piece)
    return pieces


def _place(piece: str, fields: dict[str, str]) -> None:
    """Put a piece without a label where it belongs by its shape, if that place is still empty."""
    found = "" if "id" in fields else _find_id(piece, labelled=False)
    if found:
        fields["id"] = found
        for rest in _pieces(_without(piece, found)):
            _place(rest, fields)
        return
    company = _COMPANY.search(piece) is not None and re.search(r"\d{5}", piece) is None
    if "name" not in fields and company and (not _BANK.search(piece) or piece.endswith("公司")):
        fields["name"] = piece.strip(_QUOTES)
    elif _BANK.search(piece) and "bank" not in fields:
        bank, account = split_bank_account(piece)
        fields["bank"] = bank
        if account:
            fields.setdefault("account", account)
    elif _PHONE.fullmatch(piece) and "phone" not in fields:
        fields["phone"] = piece
    elif _ACCOUNT.fullmatch(piece):
        fields.setdefault("account", piece)
    elif " " in piece and _CHINESE.search(piece) and not _is_one_address(piece):
        for part in piece.split():
            _place(part, fields)
    elif not company and _ADDRESS.search(piece) and "address" not in fields and len(piece) >= 6:
        fields["address"] = piece


def _is_one_address(piece: str) -> bool:
    """Whether blanks stand inside an address, but for the phone at its end."""
    address, _ = split_address_phone(piece)
    return _ADDRESS.search(address) is not None and not any(_COMPANY.search(part) for part in address.split())
