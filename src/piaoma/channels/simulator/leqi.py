"""乐企 as the simulator speaks it: envelopes opened and checked, services answered from the authority's books."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from starlette.requests import Request

from piaoma.invoice.money import from_fen, to_fen
from piaoma.invoice.red_form import RedFormEvent, Side

from ..ledger import Ledger
from ..leqi.envelope import EnvelopeFault, is_signature, seal_answer, seal_error, unwrap
from ..leqi.line import LeqiSettings
from ..sandbox import SandboxAuthority, Switches
from ..sandbox_forms import Listed, NewForm
from .uploads import Uploads

SIDES = {"0": Side.SELLER, "1": Side.BUYER}
_EVENTS = {"Y": RedFormEvent.CONFIRM, "N": RedFormEvent.DENY, "C": RedFormEvent.WITHDRAW}
_OK = {"returncode": "00", "returnmsg": "成功"}

Fields = Mapping[str, Any]


class LeqiDesk:
    """One method for each service (fwbm), named as it is there."""

    def __init__(self, authority: SandboxAuthority, ledger: Ledger, settings: LeqiSettings) -> None:
        self._authority = authority
        self._ledger = ledger
        self._settings = settings
        self._key = bytes.fromhex(settings.key)
        self._uploads = Uploads(authority, ledger)

    async def answer(self, request: Request, body: bytes) -> bytes:
        """The answer to a call; what is no call of ours is refused before a service sees it."""
        service, capability = request.path_params["service"], request.path_params["capability"]
        headers, settings = request.headers, self._settings
        if headers.get("fwbm") != service or headers.get("nlbm") != capability or capability != settings.capability:
            return seal_error("HEADER", "能力编码或服务编码与请求头不符")
        if headers.get("jrdwptbh") != settings.platform:
            return seal_error("HEADER", "接入单位平台编号未登记")
        secret = settings.signing_secret.encode()
        if not is_signature(headers.get("access_signature", ""), secret, service, capability, body):
            return seal_error("SIGN", "访问签名不符")
        try:
            content = unwrap(self._key, body)
        except EnvelopeFault as fault:
            return seal_error("SM4", str(fault))
        handle = getattr(self, f"_{service.lower()}", None)
        if handle is None:
            return seal_error("SERVICE", "没有这个服务")
        try:
            answer = await handle(content, await self._authority.switches())
        except (KeyError, TypeError, ValueError, ArithmeticError) as fault:
            answer = _no("99", f"报文不符：{type(fault).__name__} {fault}")
        return seal_answer(self._key, answer)

    # ── numbers and quota ────────────────────────────────────────────────────────────────────────────────────────────

    async def _qdfpplfm(self, asked: Fields, switches: Switches) -> Fields:
        if switches.no_numbers:
            return _no("11", "没有可用的赋码")
        year = f"{self._authority.now():%y}"
        block = await self._authority.give_block(asked["nsrsbh"], year, int(asked["lysl"]), asked["ywlsh"])
        return _OK | {
            "fpqshm": f"{block.prefix}{block.first:015d}", "fpzzhm": f"{block.prefix}{block.last:015d}",
            "lysl": block.last - block.first + 1,
        }  # fmt: skip

    async def _cxsxed(self, asked: Fields, switches: Switches) -> Fields:
        month, taken = await self._taken(asked["nsrsbh"])
        limit = max(switches.quota_fen, taken)
        return _OK | {
            "ztsxbz": "N", "bysxed": from_fen(limit), "kysyed": from_fen(limit - taken), "yxzed": from_fen(taken),
            "sq": month.replace("-", ""),
        }  # fmt: skip

    async def _xzthsxed(self, asked: Fields, switches: Switches) -> Fields:
        month, taken = await self._taken(asked["nsrsbh"])
        amount = to_fen(Decimal(asked["sqed"])) * (1 if asked["sqlx"] == "0" else -1)
        if amount <= 0 and asked["sqlx"] == "0":
            return _no("99", "申请额度必须大于零")
        async with self._ledger.write() as transaction:
            known = await transaction.fetch("SELECT 1 FROM authority_quota WHERE serial = $1", asked["ywlsh"])
            if not known:
                if taken + amount < 0 or (amount > 0 and taken + amount > switches.quota_fen):
                    return _no("21", "可用额度不足")
                await transaction.execute(
                    "INSERT INTO authority_quota (serial, taxpayer_id, month, amount_fen) VALUES ($1, $2, $3, $4)",
                    asked["ywlsh"], asked["nsrsbh"], month, amount,
                )  # fmt: skip
        return _OK | {"syqjq": f"{self._authority.now():%Y%m01}", "syqjz": f"{self._authority.now():%Y%m31}"}

    async def _tzsxedyxq(self, asked: Fields, switches: Switches) -> Fields:
        return _OK | {"sxedsq": asked["sxedsq"]}

    async def _taken(self, taxpayer_id: str) -> tuple[str, int]:
        month = f"{self._authority.now():%Y-%m}"
        rows = await self._ledger.read(
            "SELECT coalesce(sum(amount_fen), 0) FROM authority_quota WHERE taxpayer_id = $1 AND month = $2",
            taxpayer_id, month,
        )  # fmt: skip
        return month, int(rows[0][0])

    # ── uploads ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _qdfpsc(self, asked: Sequence[Fields], switches: Switches) -> Fields:
        return _OK | {"sllsh": await self._uploads.take(asked, switches)}

    async def _cxqdfpscjg(self, asked: Fields, switches: Switches) -> Fields:
        results = await self._uploads.results(asked["sllsh"])
        if results is None:
            return _no("01", "未查询到发票信息")
        return _OK | {"data": results * (2 if switches.twice else 1)}

    async def _fpztxxcx(self, asked: Fields, switches: Switches) -> Fields:
        if not await self._uploads.is_there(asked["xsfnsrsbh"], asked["fphm"]):
            return _no("01", "未查询到发票信息")
        used = await self._authority.forms.is_used(asked["fphm"])
        return _OK | {"fphm": asked["fphm"], "zzsytDm": "01" if used else "00", "fprzztDm": "00"}

    async def _scfphzqrxx(self, asked: Fields, switches: Switches) -> Fields:
        if not await self._uploads.is_sum(asked):
            return _no("51", "与平台汇总不一致")
        async with self._ledger.write() as transaction:
            await transaction.execute(
                "INSERT INTO authority_leqi_months (taxpayer_id, month, figures) VALUES ($1, $2, $3)"
                " ON CONFLICT (taxpayer_id, month) DO UPDATE SET figures = excluded.figures",
                asked["xsfnsrsbh"], asked["yf"], json.dumps(asked, ensure_ascii=False, default=str),
            )  # fmt: skip
        return _OK | {"qrrq": f"{self._authority.now():%Y-%m-%d %H:%M:%S}"}

    async def _cxfphzqrxx(self, asked: Fields, switches: Switches) -> Fields:
        rows = await self._ledger.read(
            "SELECT figures FROM authority_leqi_months WHERE taxpayer_id = $1 AND month = $2",
            asked["xsfnsrsbh"], asked["yf"],
        )  # fmt: skip
        return _OK | json.loads(rows[0][0]) if rows else _no("01", "没有汇总确认信息")

    # ── red forms ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _qdhzqrdsq(self, asked: Fields, switches: Switches) -> Fields:
        if switches.refuse:
            return _no("42", "演练：确认单未通过")
        if not await self._uploads.is_there(asked["xsfnsrsbh"], asked["lzfphm"]):
            return _no("41", "没有这张蓝字发票")
        total = Decimal(asked["hzcxje"]) + Decimal(asked["hzcxse"])
        # The platform knows no serial of ours: whoever asks twice has two forms.
        form = NewForm(
            secrets.token_hex(16), asked["lzfphm"], asked["xsfnsrsbh"], asked["gmfnsrsbh"], SIDES[asked["lrfsf"]],
            total, json.dumps({**asked, "lrrq": f"{self._authority.now():%Y-%m-%d %H:%M:%S}"}, default=str),
        )  # fmt: skip
        await self._authority.forms.apply(form, switches.late_ms)
        if switches.late_ms:
            return {"returncode": "WORKING", "returnmsg": "处理中"}
        return _OK | next(row for row in await self._rows(asked) if row["uuid"] == form.serial)

    async def _cxqdhzqrdlb(self, asked: Fields, switches: Switches) -> Fields:
        rows = await self._rows(asked)
        return _OK | {"data": rows} if rows else _no("01", "没有确认单")

    async def _cxqdhzqrdmx(self, asked: Fields, switches: Switches) -> Fields:
        rows = await self._ledger.read(
            "SELECT details FROM authority_red_forms WHERE serial = $1 AND seller_id = $2",
            asked["uuid"], asked["xsfnsrsbh"],
        )  # fmt: skip
        if not rows:
            return _no("01", "没有确认单")
        return _OK | {"uuid": asked["uuid"], "hzqrdmxList": json.loads(rows[0][0])["hzqrdmxList"]}

    async def _qdhzqrdqr(self, asked: Fields, switches: Switches) -> Fields:
        if switches.refuse:
            return _no("42", "演练：操作未通过")
        before = await self._authority.forms.query(asked["uuid"])
        if before is None:
            return _no("01", "没有确认单")
        by = SIDES[asked.get("yhjslx", "0")]
        after = await self._authority.forms.act(asked["uuid"], _EVENTS[asked["qrlx"]], by)
        if after.state is before.state:
            return _no("43", "确认单状态不允许")
        return _OK | {"uuid": asked["uuid"], "hzfpxxqrdbh": after.form_number, "hzqrxxztDm": after.state}

    async def _rows(self, asked: Fields) -> list[dict[str, Any]]:
        return [_row(one) for one in await self._authority.forms.listed(asked["xsfnsrsbh"], asked["lzfphm"])]


def _row(listed: Listed) -> dict[str, Any]:
    asked = json.loads(listed.details)
    named = ("lzfphm", "xsfnsrsbh", "gmfnsrsbh", "lrfsf", "hzcxje", "hzcxse", "chyyDm", "lrrq")
    return {name: asked[name] for name in named} | {
        "uuid": listed.answer.serial,
        "hzfpxxqrdbh": listed.answer.form_number,
        "hzqrxxztDm": listed.answer.state,
        "ykjhzfpbz": "Y" if listed.used_up else "N",
    }


def _no(code: str, text: str) -> dict[str, Any]:
    return {"returncode": code, "returnmsg": text}
