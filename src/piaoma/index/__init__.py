"""The index (索引): finding among millions of invoices, and what they sum up to.

In come invoices in the order of the log, after they were issued; out go selections (sets of invoices with count and
sum) and figures by day, month, rate and item. Everything here is derived and may be built again. The issuing path does
not know that this room exists.
"""

from .entry import BLUE, RED, LineFigures, item_name, lines_of, printed_rate
from .figures import Sum, TaxRow, choices, month_sums, rates_of, sums, taxes, top_items, waits
from .following import TURN_MAX, WAIT_BOUNDS_S, behind, follow, rebuild
from .selecting import STATES, Found, Selection, Wanted, read, read_parts, select

__all__ = [
    "BLUE", "RED", "STATES", "TURN_MAX", "WAIT_BOUNDS_S", "Found", "LineFigures", "Selection", "Sum", "TaxRow",
    "Wanted", "behind", "choices", "follow", "item_name", "lines_of", "month_sums", "printed_rate", "rates_of", "read",
    "read_parts", "rebuild", "select", "sums", "taxes", "top_items", "waits",
]  # fmt: skip
