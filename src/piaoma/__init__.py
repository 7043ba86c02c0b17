"""票码 Piaoma: scan a code, get a legal, signed Chinese e-invoice."""

__version__ = "0.1.0"
