"""Asking 乐企 (调用): one service called, its envelope opened, what its code means read off the table.

A fault says whether it may be repeated: ``ask`` is for questions, which change nothing; ``submit`` for everything else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ..codes import Meaning, Table, Told, table_of
from ..contract import OutcomeUnknown, SessionState, Unavailable
from ..settings import Settings, SettingsFault, ca_of, load
from ..wire import Lost, Unreached, Wire
from .envelope import KEY_BYTES, EnvelopeFault, open_answer, signature, wrap

TABLE: Table = table_of(__package__, "codes.toml")
Answer = tuple[Told, Mapping[str, Any]]  # what its code means, and its fields
_STATES = {Meaning.LOGIN: SessionState.LOGIN, Meaning.VERIFY: SessionState.VERIFY}


class LeqiSettings(Settings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The file of ``channel = "leqi"``. Names as the platform has them stand behind."""

    key: str  # SM4, 32 hex digits
    platform: str  # jrdwptbh, 接入单位平台编号; also ptbh
    user_platform: str = ""  # sydwptbh, 使用单位平台编号; empty: the same
    capability: str = "202007"  # nlbm, 能力编码 of 数电票开具
    use_case: str = ""  # ylbm, 用例编码
    signing_secret: str = ""  # see envelope.signature
    quota_block: str = ""  # yuan of quota taken at a time; empty: all there is, where nobody else issues for the seller
    bureau_code: str = ""  # of the tax office that answers for the numbers, as originals state it
    bureau_name: str = ""
    bureau_tag: str = ""  # SWEI and four digits


class Line:
    """The line to the platform, and what it was like the last time."""

    def __init__(self, file: Path, *, live: bool) -> None:
        """Raises ``SettingsFault``."""
        self.settings = settings = load(file, LeqiSettings)
        try:
            self._key = bytes.fromhex(settings.key)
        except ValueError:
            raise SettingsFault(f"{file}: key is not hex") from None
        if len(self._key) != KEY_BYTES:
            raise SettingsFault(f"{file}: key must have {KEY_BYTES} bytes")
        self._wire = Wire(settings.url, ca_of(file, settings), settings.seconds)
        self._live = live
        self.state = SessionState.OK

    async def ask(self, service: str, section: str, content: object) -> Answer:
        """Ask something. Raises ``Unavailable`` for whatever is no answer to it; a refusal is one."""
        try:
            told, fields = await self._call(service, section, content)
        except Lost as lost:
            self.state = SessionState.DOWN
            raise Unavailable(f"{service}: {lost}") from None
        if told.meaning not in (Meaning.DONE, Meaning.MISSING, Meaning.REFUSED, Meaning.NO_NUMBERS, Meaning.WORKING):
            raise Unavailable(f"{service}: {told.said}")
        return told, fields

    async def submit(self, service: str, section: str, content: object, serial: str) -> Answer:
        """Have something done.

        Raises ``Unavailable`` when surely nothing was, ``OutcomeUnknown`` when it may have been, with what was said.
        """
        try:
            told, fields = await self._call(service, section, content)
        except Lost as lost:
            self.state = SessionState.DOWN
            raise OutcomeUnknown(serial, f"{service}: {lost}") from None
        if told.meaning in (Meaning.AGAIN, Meaning.LOGIN, Meaning.VERIFY):
            raise Unavailable(f"{service}: {told.said}")
        if told.meaning is Meaning.UNKNOWN:
            raise OutcomeUnknown(serial, f"{service}: {told.said}")
        return told, fields

    async def close(self) -> None:
        await self._wire.close()

    async def _call(self, service: str, section: str, content: object) -> Answer:
        """Raises ``Unreached``, ``Lost``."""
        settings = self.settings
        body = wrap(self._key, content)
        headers = {
            "content-type": "application/json",
            "fwbm": service,
            "nlbm": settings.capability,
            "jrdwptbh": settings.platform,
            "sydwptbh": settings.user_platform or settings.platform,
            "ylbm": settings.use_case,
            "access_signature": signature(settings.signing_secret.encode(), service, settings.capability, body),
            "sxcsbz": "" if self._live else "Y",
        }
        try:
            answer = await self._wire.post(f"/access/v2/invoke/{settings.capability}/{service}", body, headers)
            inside, error = open_answer(self._key, answer)
        except Unreached:
            self.state = SessionState.DOWN
            raise
        except EnvelopeFault as fault:
            raise Lost(str(fault)) from None
        told, fields = _opened(section, inside) if error is None else (TABLE.told("all", *error), {})
        self.state = _STATES.get(told.meaning, SessionState.OK)
        return told, fields


def _opened(section: str, inside: Any) -> Answer:
    """The code and the fields of an answer; fields stand beside the code or under ``data``."""
    if not isinstance(inside, Mapping) or "returncode" not in inside:
        raise Lost("an answer without returncode")
    told = TABLE.told(section, inside["returncode"], inside.get("returnmsg", ""))
    data = inside.get("data")
    if isinstance(data, Mapping):
        return told, data
    return told, {**inside, "rows": data} if isinstance(data, Sequence) and not isinstance(data, str) else inside


def rows_of(fields: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The rows of an answer that has some: what the list is called differs, and there is one."""
    for value in fields.values():
        if isinstance(value, list) and all(isinstance(row, Mapping) for row in value):
            return value
    return []


def field(fields: Mapping[str, Any], kind: Any, *names: str) -> Any:
    """A field by the names that it has been seen under. Raises ``Unavailable`` when it is not there or is none of that
    kind: an answer that cannot be read says nothing."""
    for name in names:
        if name in fields:
            try:
                return msgspec.convert(fields[name], kind, strict=False)
            except msgspec.ValidationError as fault:
                raise Unavailable(f"{name}: {fault}") from None
    raise Unavailable(f"no {names[0]} in the answer")
