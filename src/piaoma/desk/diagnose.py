"""Diagnosis (现场检查): what is wrong just now, of the system and of this merchant, and what to do about it.

Each page of frequent questions asks for the checks that belong to it. A check looks; it changes nothing, asks nobody
outside who would mind being asked, and tells nothing of another merchant. What it finds is a cause of the table of
causes where there is one, so that a page says the same here as where the refusal happened.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from piaoma.channels import SessionState, Unavailable
from piaoma.codes.token import canonical
from piaoma.invoice.money import format_yuan
from piaoma.invoice.red import BlueState
from piaoma.invoice.refusal import Refusal, Refused
from piaoma.store import milliseconds, month_of, numbers_left

from . import merchant, relations, scan, static_codes
from .applications import closed
from .codes import CodeState
from .goods import list_goods
from .roles import Role

if TYPE_CHECKING:
    from .office import Office

SLOW_MS = 200.0  # of the store's answer, from which we are slow
LATE_SECONDS = 60  # that an issue waits for the tax platform, from which that is slow
MAIL_LATE_SECONDS = 300  # that a mail is overdue
LOW_QUOTA_PERCENT = 10
RECENT_MS = 86_400_000  # how far back refusals are looked at
RECENT_MAX = 200  # issues looked at for them
TYPED_MAX = 60  # characters of a short code or number

_MAKERS = frozenset({Role.OWNER, Role.CLERK, Role.CASHIER})


class Light(StrEnum):
    """How a check came out."""

    OK = "ok"
    WARN = "warn"  # works, but look at it
    BAD = "bad"
    UNKNOWN = "unknown"


class Check(msgspec.Struct, frozen=True):
    """One thing that was looked at. ``why`` is there when a cause tells it; otherwise words of the catalogue do,
    ``check_NAME_LIGHT`` with ``values``. ``link`` leads to where it can be mended."""

    name: str
    light: Light
    why: Refusal | None = None
    values: Mapping[str, str] = {}
    link: str = ""


class Asked(msgspec.Struct, frozen=True):
    """Who asks, and what he typed. ``merchant_id`` is None for whoever is not logged in."""

    merchant_id: int | None = None
    role: Role | None = None
    typed: str = ""


Look = Callable[["Office", Asked], Awaitable[Check | None]]


async def diagnose(office: Office, topic: str, asked: Asked) -> list[Check]:
    """The checks of a topic, in the order of its page. One that fails itself is unknown, and hides no other."""
    found = []
    for name, look in TOPICS[topic]:
        try:
            check = await look(office, asked)
        except Exception:  # whatever is broken here is what is being looked for
            check = Check(name, Light.UNKNOWN)
        if check is not None:
            found.append(check)
    return found


async def _store(office: Office, _: Asked) -> Check:
    """The store answers, and how fast."""
    began = time.perf_counter()
    await office.database.read("SELECT 1")
    took_ms = (time.perf_counter() - began) * 1000
    return Check("store", Light.WARN if took_ms > SLOW_MS else Light.OK, values={"ms": f"{took_ms:.0f}"})


async def _channel(office: Office, asked: Asked) -> Check:
    """The issuing channel can be used, by this merchant if there is one."""
    state = await office.channel.session_state()
    if state is SessionState.OK and asked.merchant_id is not None:
        shop = await merchant.merchant(office, asked.merchant_id)
        try:
            await office.channel.get_quota(shop.taxpayer_id, month_of(office.now()))
        except (Unavailable, Refused):
            state = SessionState.DOWN
    if state is SessionState.OK:
        return Check("channel", Light.OK)
    if state is SessionState.DOWN:
        return Check("channel", Light.BAD, Refusal("ISSUE-CHANNEL-DOWN"))
    return Check(f"channel_{state.value}", Light.BAD)


async def _signer(office: Office, _: Asked) -> Check:
    """The key that signs is there and its certificate holds."""
    fault = office.signer.fault_at(office.now())
    return Check("signer", Light.BAD, Refusal(fault)) if fault else Check("signer", Light.OK)


async def _waiting(office: Office, asked: Asked) -> Check:
    """What waits for the tax platform, of this merchant or of all: how many, and since when."""
    whose = "" if asked.merchant_id is None else " AND merchant_id = $1"
    parameters = () if asked.merchant_id is None else (asked.merchant_id,)
    rows = await office.database.read(
        f"SELECT count(*), min(submitted_at_ms) FROM issues WHERE state IN ('submitted', 'unknown'){whose}",  # noqa: S608
        *parameters,
    )
    count, oldest = rows[0][0], rows[0][1]
    if not count or milliseconds(office.now()) - oldest < LATE_SECONDS * 1000:
        return Check("waiting", Light.OK, values={"count": str(count)})
    since = datetime.fromtimestamp(oldest / 1000, office.now().tzinfo)
    return Check("waiting", Light.WARN, values={"count": str(count), "since": f"{since:%H:%M}"})


async def _mail(office: Office, asked: Asked) -> Check:
    """Mails leave: none of the platform's is overdue, none of this merchant's has failed for good."""
    late_ms = milliseconds(office.now()) - MAIL_LATE_SECONDS * 1000
    overdue = 0
    for table, kind in (("notices", "notice"), ("jobs", "mail")):
        rows = await office.database.read(
            f"SELECT count(*) FROM {table} WHERE state = 'waiting' AND kind = $2 AND created_at_ms < $1",  # noqa: S608
            late_ms, kind,
        )  # fmt: skip
        overdue += rows[0][0]
    if overdue:
        return Check("mail", Light.WARN)
    if asked.merchant_id is not None:
        rows = await office.database.read(
            "SELECT count(*) FROM jobs WHERE merchant_id = $1 AND state = 'dead' AND kind = 'mail'", asked.merchant_id
        )
        if rows[0][0]:
            link = "/console/mails?state=failed"
            return Check("mail", Light.BAD, values={"count": str(rows[0][0])}, link=link)
    return Check("mail", Light.OK)


async def _standing(office: Office, asked: Asked) -> Check | None:
    """The merchant may issue at all."""
    if asked.merchant_id is None:
        return None
    shop = await merchant.merchant(office, asked.merchant_id)
    if shop.state != "active":
        return Check("standing", Light.BAD, Refusal("MERCHANT-SUSPENDED"), link="/console/events?kind=merchant.")
    if not shop.verified and not office.config.sandbox:
        return Check("standing", Light.BAD, Refusal("MERCHANT-UNVERIFIED"), link="/console/account/email")
    return Check("standing", Light.OK)


async def _role(_: Office, asked: Asked) -> Check | None:
    """The person's role may make codes."""
    if asked.role is None:
        return None
    return Check("role", Light.OK if asked.role in _MAKERS else Light.BAD)


async def _quota(office: Office, asked: Asked) -> Check | None:
    """This month's quota is not used up."""
    if asked.merchant_id is None:
        return None
    month = await merchant.quota(office, await merchant.merchant(office, asked.merchant_id))
    if month is None:
        return Check("quota", Light.UNKNOWN)
    told = {"left": format_yuan(month.left), "month": month_of(office.now())}
    if month.left <= 0:
        return Check("quota", Light.BAD, Refusal("QUOTA-EXCEEDED", "", told), link="/help/policy-quota")
    low = month.left * 100 < month.limit * LOW_QUOTA_PERCENT
    return Check("quota", Light.WARN if low else Light.OK, values=told)


async def _numbers(office: Office, asked: Asked) -> Check | None:
    """Numbers are at hand, or the channel would give some. It is not asked for any: its last answer is looked at."""
    if asked.merchant_id is None:
        return None
    left = await numbers_left(office.database, asked.merchant_id, f"{office.now():%y}")
    if not left and "ISSUE-NO-NUMBERS" in office.turned_away.in_the_way(asked.merchant_id):
        return Check("numbers", Light.BAD, Refusal("ISSUE-NO-NUMBERS"))
    return Check("numbers", Light.OK, values={"count": str(left)})


async def _goods(office: Office, asked: Asked) -> Check | None:
    """There is something to sell by one tap."""
    if asked.merchant_id is None:
        return None
    stock = await list_goods(office, asked.merchant_id)
    if stock:
        return Check("goods", Light.OK, values={"count": str(len(stock))})
    return Check("goods", Light.WARN, link="/console/settings/goods")


async def _bank(office: Office, asked: Asked) -> Check | None:
    """The profile has what a special invoice prints."""
    if asked.merchant_id is None:
        return None
    shop = await merchant.merchant(office, asked.merchant_id)
    missing = not shop.bank or not shop.account
    return Check("bank", Light.WARN if missing else Light.OK, link="/console/settings/profile" if missing else "")


async def _recent(office: Office, asked: Asked) -> Check | None:
    """Why customers of this merchant were refused lately, the most frequent cause."""
    if asked.merchant_id is None:
        return None
    causes = await _recent_causes(office, asked.merchant_id)
    if not causes:
        return Check("recent", Light.OK)
    cause, count = causes.most_common(1)[0]
    return Check("recent", Light.WARN, values={"count": str(count), "cause": cause}, link=f"/help/{cause}")


async def _recent_causes(office: Office, merchant_id: int) -> Counter[str]:
    """What the channel refused, as the store has it, and what was turned away before it got there."""
    since_ms = milliseconds(office.now()) - RECENT_MS
    rows = await office.database.read(
        "SELECT refusal FROM issues WHERE merchant_id = $1 AND state = 'refused' AND submitted_at_ms >= $2"
        " ORDER BY submitted_at_ms DESC LIMIT $3",
        merchant_id, since_ms, RECENT_MAX,
    )  # fmt: skip
    told = (msgspec.json.decode(row[0], type=tuple[Refusal, ...]) for row in rows if row[0])
    return Counter(refusals[0].cause for refusals in told if refusals) + office.turned_away.since(merchant_id, since_ms)


async def refused_lately(office: Office, merchant_id: int, cause: str) -> int:
    """How often a cause refused customers of this merchant in the last day."""
    return (await _recent_causes(office, merchant_id))[cause]


async def _code(office: Office, asked: Asked) -> Check | None:
    """A short code that was typed: whether it is one of ours, and whether it can be used now."""
    if not asked.typed.strip() or _is_number(asked.typed):
        return None
    try:
        token = canonical(asked.typed[:TYPED_MAX])
        if static_codes.is_static(office, token):
            code, shop = await static_codes.scan_static(office, token)
            faults = closed(code, shop)
            return Check("code", Light.BAD, faults[0]) if faults else Check("code", Light.OK, link=f"/t/{token}")
        found = await scan.scan(office, token, "")
    except Refused as refused:
        return Check("code", Light.BAD, refused.refusals[0])
    if found.merchant.state != "active" and found.state is not CodeState.ISSUED:
        return Check("code", Light.BAD, Refusal("MERCHANT-SUSPENDED"))
    if found.state is CodeState.EXPIRED:
        return Check("code_expired", Light.BAD, values={"phone": found.merchant.phone or found.merchant.shop_name})
    if found.state is CodeState.REVOKED:
        return Check("code", Light.BAD, Refusal("CODE-REVOKED"))
    light = Light.OK if found.state in (CodeState.OPEN, CodeState.VIEWED) else Light.WARN
    mine = asked.merchant_id == found.merchant.merchant_id
    link = f"/console/codes/{found.code.code_id}" if mine else f"/s/{token}"
    return Check(f"code_{found.state.value}", light, link=link)


def _is_number(typed: str) -> bool:
    digits = "".join(typed.split())
    return len(digits) == 20 and digits.isdigit()


async def _invoice(office: Office, asked: Asked) -> Check | None:
    """An invoice's number that was typed: which way leads to its correction. Only one's own are known."""
    number = "".join(asked.typed.split())
    if not _is_number(number):
        return None
    standing = None
    if asked.merchant_id is not None:
        standing = await relations.standing(office.database, asked.merchant_id, number)
    if standing is None:
        return Check("invoice_foreign", Light.WARN, link="/verify")
    if standing.is_red or standing.replaced or standing.state is BlueState.RED:
        return Check("invoice_taken_back", Light.WARN, link=f"/console/invoices/{number}")
    return Check("invoice_stands", Light.OK, link=f"/console/invoices/{number}")


_SHOP: tuple[tuple[str, Look], ...] = (
    ("standing", _standing), ("role", _role), ("quota", _quota), ("numbers", _numbers), ("goods", _goods),
    ("bank", _bank), ("recent", _recent),
)  # fmt: skip
_SYSTEM: tuple[tuple[str, Look], ...] = (
    ("store", _store), ("channel", _channel), ("signer", _signer), ("waiting", _waiting), ("mail", _mail),
)  # fmt: skip
# By the name of the page that shows them; ``platform`` and ``channel`` are pages of their own.
TOPICS: dict[str, tuple[tuple[str, Look], ...]] = {
    "cannot-log-in": (("store", _store), ("mail", _mail), ("channel", _channel)),
    "code-fails": (*_SYSTEM[:3], *_SHOP),
    "wrong-data": (("code", _code), ("invoice", _invoice)),
    "cannot-scan": (("code", _code), ("store", _store)),
    "slow": (("store", _store), ("channel", _channel), ("waiting", _waiting)),
    "old-version": (("store", _store),),
    "complex": (*_SYSTEM, *_SHOP),
    "platform": _SYSTEM,
    "channel": (
        ("channel", _channel),
        ("signer", _signer),
        ("quota", _quota),
        ("numbers", _numbers),
        ("waiting", _waiting),
    ),
}
