"""The pure core (发票核心): money, parties, drafts, rules with their causes, totals, and the original.

Nothing here does I/O, reads a clock or draws a random number: time, numbers and keys come in as arguments."""
