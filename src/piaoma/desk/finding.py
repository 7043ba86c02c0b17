"""Finding a shop (按店名查找): a customer who kept no code finds the shop's page by its name, and applies there.

Only static codes that their shop listed are found, of merchants that the operator has confirmed: whoever applies gives
away his company's title, so nobody may stand there under another's name. This is the one look-up of customers that
crosses merchants; it reads what is listed, through an index of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from piaoma.invoice.refusal import refuse

if TYPE_CHECKING:
    from .office import Office

SHOP_NAME_MIN, SHOP_NAME_MAX = 2, 40  # characters of a name that is looked for
SHOPS_MAX = 10  # shown; with more, the name is too short


class ListedShop(msgspec.Struct, frozen=True):
    """A shop's page that anybody may open."""

    shop_name: str
    company: str
    place: str
    address: str
    token: str


_LISTED = """
SELECT s.merchant_id, s.static_id, s.place, coalesce(h.name, m.shop_name) AS shop, m.name,
       coalesce(nullif(h.address, ''), m.address) AS address
FROM static_codes s JOIN merchants m ON m.merchant_id = s.merchant_id
LEFT JOIN shops h ON h.merchant_id = s.merchant_id AND h.shop_id = s.shop_id
WHERE s.listed = 1 AND s.state = 'active' AND m.state = 'active' AND m.verified_at_ms IS NOT NULL
AND (lower(m.shop_name) LIKE $1 ESCAPE '!' OR lower(m.name) LIKE $1 ESCAPE '!' OR lower(h.name) LIKE $1 ESCAPE '!')
ORDER BY shop, s.place, s.static_id LIMIT $2
"""


async def find_shops(office: Office, name: str) -> tuple[list[ListedShop], bool]:
    """The listed pages of shops whose name holds what was typed, and whether there are more.

    Raises ``Refused`` SHOP-NAME-SHORT.
    """
    wanted = " ".join(name.split()).lower()[:SHOP_NAME_MAX]
    if len(wanted) < SHOP_NAME_MIN:
        raise refuse("SHOP-NAME-SHORT", "shop", min=SHOP_NAME_MIN)
    escaped = wanted.replace("!", "!!").replace("%", "!%").replace("_", "!_")
    rows = await office.database.read(_LISTED, f"%{escaped}%", SHOPS_MAX + 1)
    found = [
        ListedShop(row[3], row[4], row[2], row[5], office.static_token(row[0], row[1])) for row in rows[:SHOPS_MAX]
    ]
    return found, len(rows) > SHOPS_MAX
