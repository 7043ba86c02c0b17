"""Who looks at a code (谁在看): by this browser's secret, a pick-up code once given or in the address, or the shelf."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.requests import Request

from piaoma.codes.token import canonical
from piaoma.desk import receipts, records, shelf
from piaoma.desk.records import Invoice
from piaoma.desk.scan import Scan, scan, unlock
from piaoma.invoice.refusal import Refused, refuse

from . import cookies
from .page import office_of
from .throttle import Throttle

pickups = Throttle(burst=5, per_minute=5)
_strangers = Throttle(burst=60, per_minute=60)  # tokens that are not ours, from one address


async def scanned(request: Request) -> tuple[Scan, str]:
    """What this browser may see of the code, and its holder's secret (new when it had none)."""
    holder = cookies.holder_of(request) or cookies.new_holder()
    token = request.path_params["token"]
    try:
        token = canonical(token)
        granted = cookies.granted(request, token) or _pickup_in_address(request, token)
        found = await scan(office_of(request), token, holder, granted=granted)
        if not found.mine and found.code.number and cookies.holder_of(request):
            found = await _on_shelf(request, found, holder)
        return found, holder
    except Refused:
        _strangers.spend(request)
        raise


async def _on_shelf(request: Request, found: Scan, holder: str) -> Scan:
    """What this browser may see when the invoice lies among its own, however it came there."""
    office = office_of(request)
    issued = await records.invoice(office, found.code.merchant_id, found.code.number or "")
    if not await shelf.holds(office, holder, issued):
        return found
    return await scan(office, found.code.token, holder, granted=True)


def _pickup_in_address(request: Request, token: str) -> bool:
    """An address may carry the pick-up code (``?c=``): in a mail, and in a browser that keeps no cookies."""
    pickup = request.query_params.get("c", "")
    if not pickup:
        return False
    try:
        unlock(office_of(request), token, pickup)
    except Refused:
        pickups.spend(request, token)
        return False
    return True


async def note_opened(request: Request, found: Scan, *, downloaded: bool = False) -> None:
    """The link of a mail says which mail it was; only a look of a person counts, not one ahead of time."""
    place = request.query_params.get("m", "")
    ahead = "prefetch" in request.headers.get("sec-purpose", "") + request.headers.get("purpose", "")
    if found.invoice is None or not place or request.method != "GET" or ahead:
        return
    if _pickup_in_address(request, found.code.token):
        issued = found.invoice
        await receipts.note_opened(office_of(request), issued.merchant_id, issued.number, place, downloaded=downloaded)


def carried_parts(request: Request) -> dict[str, str]:
    """The pick-up code in this address, and which mail it came in."""
    return {name: request.query_params[name] for name in ("c", "m") if request.query_params.get(name)}


def carried(request: Request) -> str:
    """What every further address of this code must carry for a browser that came by the pick-up code alone."""
    parts = carried_parts(request)
    return f"?{urlencode(parts)}" if parts else ""


async def held_invoice(request: Request) -> tuple[Scan, Invoice]:
    """The code of this address and its invoice, for its holder. Raises ``Refused`` INVOICE-NOT-FOUND."""
    found, _ = await scanned(request)
    if found.invoice is None:
        raise refuse("INVOICE-NOT-FOUND")
    return found, found.invoice
