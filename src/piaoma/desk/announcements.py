"""Announcements (公告) and policy notes (政策提醒): what the platform tells merchants, from a day to a day.

Each person puts one away for himself. The end of a tax relief announces itself, to whom it concerns.
"""

from __future__ import annotations

import secrets
from datetime import date, timedelta
from typing import TYPE_CHECKING

import msgspec

from piaoma.invoice import rates, taxpayer_id
from piaoma.invoice.refusal import Language, Refusal, refuse, refuse_all
from piaoma.invoice.rules import text
from piaoma.store import Row, milliseconds

from .events import record
from .merchant import Merchant
from .platform_trail import record_act
from .sessions import Session

if TYPE_CHECKING:
    from .office import Office

TITLE_MAX, TEXT_MAX = 80, 1_000  # characters
AUDIENCE_MAX = 200  # merchants that are named
SHOWN_MAX = 5  # at a time on one page
LIST_MAX = 100
DAYS_MAX = 366  # that one is shown
RELIEF_DAYS = 60  # before its end that a relief announces it


class Announcement(msgspec.Struct, frozen=True):
    """Something that is told. ``audience`` is empty for all merchants."""

    announcement_id: int
    kind: str
    audience: tuple[str, ...]
    title_zh: str
    title_en: str
    text_zh: str
    text_en: str
    first_day: date
    last_day: date
    made_by: str
    withdrawn: bool

    def title(self, language: Language) -> str:
        return self.title_zh if language == "zh" else self.title_en

    def text(self, language: Language) -> str:
        return self.text_zh if language == "zh" else self.text_en


class Wanted(msgspec.Struct, frozen=True):
    """What an operator typed."""

    kind: str
    audience: str
    title_zh: str
    title_en: str
    text_zh: str
    text_en: str
    first_day: str
    last_day: str


async def announce(office: Office, operator: Session, wanted: Wanted) -> int:
    """Announce. Raises ``Refused`` with every fault at its field: both languages are asked for."""
    faults: list[Refusal] = []
    for field, length in (
        ("title_zh", TITLE_MAX),
        ("title_en", TITLE_MAX),
        ("text_zh", TEXT_MAX),
        ("text_en", TEXT_MAX),
    ):
        # The text has lines; everything else about it is as for any text.
        faults += text.check(" ".join(getattr(wanted, field).split()), field, length, required=True)
    days = _days(wanted, office.now().date())
    if days is None:
        faults.append(Refusal("ANNOUNCEMENT-DAYS", "last_day", {"max": str(DAYS_MAX)}))
    audience = [taxpayer_id.normalise(one) for one in wanted.audience.split()]
    known = await _known(office, audience)
    faults += [
        Refusal("ANNOUNCEMENT-AUDIENCE", "audience", {"have": one[:20]}) for one in audience if one not in known
    ][:3]
    if len(audience) > AUDIENCE_MAX:
        faults.append(Refusal("ANNOUNCEMENT-AUDIENCE", "audience", {"have": str(len(audience))}))
    refuse_all(faults)
    assert days is not None
    announcement_id = secrets.randbits(48)
    async with office.database.write() as transaction:
        await transaction.execute(
            "INSERT INTO announcements (announcement_id, kind, audience, title_zh, title_en, text_zh, text_en,"
            " first_day, last_day, made_by, made_at_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            announcement_id, "policy" if wanted.kind == "policy" else "notice", " ".join(audience),
            wanted.title_zh.strip(), wanted.title_en.strip(), wanted.text_zh.strip(), wanted.text_en.strip(),
            days[0].isoformat(), days[1].isoformat(), operator.name, milliseconds(office.now()),
        )  # fmt: skip
        await record_act(transaction, operator, office.now(), "announcement.make", wanted.title_zh.strip())
    return announcement_id


def _days(wanted: Wanted, today: date) -> tuple[date, date] | None:
    try:
        first = date.fromisoformat(wanted.first_day) if wanted.first_day else today
        last = date.fromisoformat(wanted.last_day)
    except ValueError:
        return None
    return (first, last) if first <= last <= first + timedelta(days=DAYS_MAX) else None


async def _known(office: Office, numbers: list[str]) -> set[str]:
    statement = "SELECT 1 FROM merchants WHERE taxpayer_id = $1"
    return {one for one in numbers[:AUDIENCE_MAX] if await office.database.read(statement, one)}


async def withdraw(office: Office, operator: Session, announcement_id: int) -> None:
    """Show one no more. Raises ``Refused`` ANNOUNCEMENT-NOT-FOUND."""
    async with office.database.write() as transaction:
        if not await transaction.execute(
            "UPDATE announcements SET withdrawn_at_ms = $2 WHERE announcement_id = $1 AND withdrawn_at_ms IS NULL",
            announcement_id, milliseconds(office.now()),
        ):  # fmt: skip
            raise refuse("ANNOUNCEMENT-NOT-FOUND")
        await record_act(transaction, operator, office.now(), "announcement.withdraw", str(announcement_id))


async def dismiss(office: Office, session: Session, announcement_id: int) -> None:
    """Put one away, for this person alone."""
    async with office.database.write() as transaction:
        await transaction.execute(
            "INSERT INTO dismissals (person_id, announcement_id, at_ms) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            session.person_id, announcement_id, milliseconds(office.now()),
        )  # fmt: skip
        await record(transaction, session.actor, office.now(), "announcement.dismiss", str(announcement_id))


_SELECT = """
SELECT announcement_id, kind, audience, title_zh, title_en, text_zh, text_en, first_day, last_day, made_by,
       withdrawn_at_ms FROM announcements a
"""
_SHOWN = f"""
{_SELECT} WHERE withdrawn_at_ms IS NULL AND first_day <= $1 AND last_day >= $1 AND NOT EXISTS
(SELECT 1 FROM dismissals d WHERE d.person_id = $2 AND d.announcement_id = a.announcement_id)
ORDER BY made_at_ms DESC, announcement_id LIMIT $3
"""  # noqa: S608


async def shown_to(office: Office, session: Session, shop: Merchant) -> list[Announcement]:
    """What this person has not put away yet, the newest first; a relief that ends comes before all."""
    today = office.now().date()
    rows = await office.database.read(
        _SHOWN,
        today.isoformat(), session.person_id, LIST_MAX,
    )  # fmt: skip
    for_shop = [one for one in map(_announcement, rows) if not one.audience or shop.taxpayer_id in one.audience]
    ending = _ending_relief(shop, today)
    if ending is not None:
        put_away = await office.database.read(
            "SELECT 1 FROM dismissals WHERE person_id = $1 AND announcement_id = $2",
            session.person_id,
            ending.announcement_id,
        )
        for_shop = for_shop if put_away else [ending, *for_shop]
    return for_shop[:SHOWN_MAX]


def _ending_relief(shop: Merchant, today: date) -> Announcement | None:
    """That the reduced levy rate ends soon, for who uses it (tax-rules.md, Rates)."""
    last = rates.REDUCED_LEVY_TO
    if not rates.is_small_scale(shop.taxpayer_kind) or not last - timedelta(days=RELIEF_DAYS) <= today <= last:
        return None
    first = last - timedelta(days=RELIEF_DAYS)
    return Announcement(
        # Its own number, so that it can be put away like the others; none of theirs is so small.
        int(f"{last:%Y%m%d}"), "policy", (), f"1% 征收率到 {last} 为止", f"The 1 % levy rate ends on {last}",
        f"{last} 之后恢复按 3% 开具。没用掉的 1% 的二维码当天失效。",
        f"After {last} the levy rate is 3 % again. Codes at 1 % that are not used by then end with it.",
        first, last, "", withdrawn=False,
    )  # fmt: skip


async def list_announcements(office: Office) -> list[Announcement]:
    """All of them, for operators, the newest first."""
    rows = await office.database.read(f"{_SELECT} ORDER BY made_at_ms DESC, announcement_id LIMIT {LIST_MAX}")
    return [_announcement(row) for row in rows]


def _announcement(row: Row) -> Announcement:
    return Announcement(
        row[0], row[1], tuple(row[2].split()), row[3], row[4], row[5], row[6], date.fromisoformat(row[7]),
        date.fromisoformat(row[8]), row[9], row[10] is not None,
    )  # fmt: skip
