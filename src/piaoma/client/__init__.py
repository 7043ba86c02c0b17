"""A client of REST v1 (接口客户端), with and without ``async``: typed, and safe to try again.

In come the types of ``piaoma.wire``; out come the same. It needs httpx (``pip install 'piaoma[client]'``) and no other
part of the program. What a server refuses is raised as ``Refused`` with its causes, the network's faults as
``Unreachable`` after every try.
"""

from piaoma.wire import (
    Buyer,
    Code,
    Event,
    Goods,
    Invoice,
    Issue,
    Line,
    NewCode,
    NewInvoice,
    NewRedForm,
    NewReissue,
    Problem,
    RedItem,
)

from .calls import Refused, Unreachable, new_key
from .piaoma import AsyncPiaoma, Piaoma

__all__ = [
    "AsyncPiaoma", "Buyer", "Code", "Event", "Goods", "Invoice", "Issue", "Line", "NewCode", "NewInvoice",
    "NewRedForm", "NewReissue", "Piaoma", "Problem", "RedItem", "Refused", "Unreachable", "new_key",
]  # fmt: skip
