"""The pure core (发票核心): money, parties, drafts, rules with their causes, totals, and the original.

A wish comes in as a ``Draft``; ``rules.check`` answers with every refusal at once; ``totals.price`` and
``totals.invoice_of`` make the ``IssuedInvoice``; ``original.compose`` and ``original_reader.read`` are its XML.
Nothing here does I/O, reads a clock or draws a random number: time, numbers and keys come in as arguments.
"""
