"""I15, received invoices: what is told from outside of how this site hands invoices to their buyers."""

from __future__ import annotations

HOLDS = (
    "every invoice of the log for a buyer here is in his list, with its total, and what was taken back is told there"
)

_FOLLOWED = "l.leaf < (SELECT leaf FROM receiving_cursor)"
STATEMENTS = (
    # Only what was issued since the buyer is here.
    f"""SELECT i.number FROM log_leaves l
        JOIN invoices i ON i.merchant_id = l.merchant_id AND i.number = l.number
        JOIN merchants b ON b.taxpayer_id = i.buyer_id AND b.merchant_id <> i.merchant_id
        AND b.created_at_ms <= i.issued_at_ms
        LEFT JOIN received_invoices r ON r.merchant_id = b.merchant_id AND r.number = i.number
        WHERE {_FOLLOWED} AND (r.number IS NULL OR r.issuer_id IS NULL)""",  # noqa: S608
    """SELECT r.number FROM received_invoices r
       LEFT JOIN invoices i ON i.merchant_id = r.issuer_id AND i.number = r.number
       WHERE r.issuer_id IS NOT NULL AND (i.number IS NULL OR i.total_fen <> r.total_fen)""",
    f"""SELECT r.number FROM log_leaves l
        JOIN invoices red ON red.merchant_id = l.merchant_id AND red.number = l.number
        JOIN received_invoices r ON r.issuer_id = red.merchant_id AND r.number = red.corrects
        WHERE {_FOLLOWED} AND r.reversal = ''""",  # noqa: S608
)
