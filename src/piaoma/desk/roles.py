"""Roles (角色): what somebody is for a merchant. What each may do stands in one table, ``web/console/rights.py``."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """The roles of a merchant's people."""

    OWNER = "owner"  # 店主: everything, people and settings included
    CLERK = "clerk"  # 店员: makes codes, keeps goods, finds and sends invoices
    CASHIER = "cashier"  # 收银员: makes codes at the till
    ACCOUNTANT = "accountant"  # 会计: finds, sends, reads the audit trail; makes no code
    READER = "reader"  # 只读: looks
    AUDITOR = "auditor"  # 审计: looks at everything for a limited time, and what he reads is recorded


EVERYBODY = frozenset(Role)
OWNER = frozenset({Role.OWNER})
