"""Rules about seller and buyer (销售方, 购买方)."""

from __future__ import annotations

from .. import taxpayer_id
from ..draft import Draft, InvoiceKind
from ..parties import Buyer, Party
from ..refusal import Refusal
from . import text


def check(draft: Draft) -> list[Refusal]:
    """Refusals about both parties and the drawer."""
    refusals = _check_party(draft.seller, "seller")
    if not draft.seller.taxpayer_id:
        refusals.append(Refusal("SELLER-ID-MISSING", "seller.taxpayer_id"))
    elif fault := taxpayer_id.check(draft.seller.taxpayer_id, "seller.taxpayer_id"):
        refusals.append(fault)
    refusals += check_buyer(draft.buyer, draft.kind)
    refusals += text.check(draft.drawer, "drawer", text.DRAWER_MAX, required=True)
    return refusals


def check_buyer(buyer: Buyer, kind: InvoiceKind) -> list[Refusal]:
    """Refusals about a title (抬头) alone: also asked while somebody fills it in."""
    refusals = _check_party(buyer, "buyer")
    if buyer.taxpayer_id and (fault := taxpayer_id.check(buyer.taxpayer_id, "buyer.taxpayer_id")):
        refusals.append(fault)
    if kind is InvoiceKind.SPECIAL and buyer.natural_person:
        refusals.append(Refusal("SPECIAL-NATURAL-PERSON", "kind"))
    elif kind is InvoiceKind.SPECIAL and taxpayer_id.is_id_card(buyer.taxpayer_id):
        # Whatever the buyer says of himself: the number is a person's. A general invoice may bear it, for traders.
        refusals.append(Refusal("SPECIAL-NATURAL-PERSON", "buyer.taxpayer_id"))
    elif not buyer.taxpayer_id and kind is InvoiceKind.SPECIAL:
        refusals.append(Refusal("SPECIAL-BUYER-ID", "buyer.taxpayer_id"))
    elif not buyer.taxpayer_id and not buyer.natural_person:
        refusals.append(Refusal("TITLE-ID-MISSING", "buyer.taxpayer_id"))
    return refusals


def _check_party(party: Party, path: str) -> list[Refusal]:
    refusals = text.check(party.name, f"{path}.name", text.NAME_MAX, required=True)
    for field, value, length_max in (
        ("address", party.address, text.ADDRESS_MAX),
        ("phone", party.phone, text.PHONE_MAX),
        ("bank", party.bank, text.BANK_MAX),
        ("account", party.account, text.ACCOUNT_MAX),
    ):
        if value:
            refusals += text.check(value, f"{path}.{field}", length_max)
    return refusals
