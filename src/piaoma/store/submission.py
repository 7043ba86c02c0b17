"""What the batch writer takes in and what it gives back."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec

from piaoma.invoice.draft import Draft
from piaoma.invoice.issued import Bureau, PricedLine, RedReference, Totals
from piaoma.invoice.red import RedLine
from piaoma.invoice.refusal import Refusal


class IssueState(StrEnum):
    """States of an issue after it was taken (issues.state)."""

    SUBMITTED = "submitted"  # 开票中
    ISSUED = "issued"  # 已开具
    REFUSED = "refused"  # 开票失败
    UNKNOWN = "unknown"  # 结果未知


class Origin(msgspec.Struct, frozen=True):
    """Where a sale was made and by whom, as it was called then: 门店, 收银台, 出码人. No part of the invoice."""

    shop_id: int | None = None
    till_id: int | None = None
    person_id: int | None = None
    person_name: str = ""
    own_number: str = ""  # the merchant's order number (自有单号)


NOWHERE = Origin()


class RedClaim(msgspec.Struct, frozen=True):
    """What makes a request one for a red invoice (红字发票): the form that it uses up, and what it takes back of which
    blue invoice. ``returns_quota`` is whether a red invoice gives quota back within the month of the blue one."""

    form_id: str
    form_number: str
    blue_number: str
    lines: tuple[RedLine, ...]
    returns_quota: bool = False

    @property
    def reference(self) -> RedReference:
        return RedReference(self.blue_number, self.form_number)


class IssueRequest(msgspec.Struct, frozen=True):
    """One request to issue, checked and priced: the one value in which every way to an invoice ends.

    ``issue_key`` is the idempotency key and, towards a remote channel, the serial (流水号). ``request_digest`` stands
    for everything the sender meant: the same key with another digest is a conflict. ``holder`` is the digest of the
    secret of whoever confirms a code; it is given exactly when ``code_id`` is.
    """

    merchant_id: int
    issue_key: str
    request_digest: str
    draft: Draft
    lines: tuple[PricedLine, ...]
    totals: Totals
    issued_at: datetime
    bureau: Bureau
    code_id: int | None = None
    holder: str | None = None
    email: str = ""
    remote: bool = False  # the channel gives the number when it is called, not beforehand
    origin: Origin = NOWHERE
    real: bool = False  # a real invoice, not a sample: only for a merchant that is confirmed
    red: RedClaim | None = None
    code_version: int | None = None  # what its holder has seen of the code; None where nobody could have changed it
    replaces: str = ""  # number of the invoice that this one replaces (换开), which is taken back as a whole before


class Outcome(msgspec.Struct, frozen=True):
    """What became of a request. ``number`` is there exactly when issued; ``refusals`` exactly when refused."""

    state: IssueState
    number: str | None = None
    refusals: tuple[Refusal, ...] = ()
    repeated: bool = False  # an earlier request had this result


class Missing(msgspec.Struct, frozen=True):
    """The store lacks something that the channel must give first; nothing was stored, ask and submit again."""

    what: str  # "numbers" or "quota"
