"""E-mail addresses (邮箱): which can be one, how lists show one, and which was probably meant."""

from __future__ import annotations

import re

_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z0-9-]{2,63}")
COMMON_DOMAINS = (
    "qq.com",
    "163.com",
    "126.com",
    "gmail.com",
    "outlook.com",
    "foxmail.com",
    "sina.com",
    "hotmail.com",
)


def is_address(text: str) -> bool:
    """Whether a text can be an e-mail address: one @, a domain with a dot, no spaces, no line ends."""
    return len(text) <= 254 and _ADDRESS.fullmatch(text) is not None


def masked(address: str) -> str:
    """As lists and logs show it: ``l***@example.cn``."""
    name, at, domain = address.partition("@")
    return f"{name[:1]}***{at}{domain}" if at else "***"


def likely_address(email: str) -> str:
    """The address that was probably meant: one letter off a common domain (gmial.com → gmail.com), or empty."""
    name, _, domain = email.lower().rpartition("@")
    if domain in COMMON_DOMAINS:
        return ""
    near = [known for known in COMMON_DOMAINS if _one_slip(domain, known)]
    return f"{name}@{near[0]}" if near else ""


def _one_slip(typed: str, meant: str) -> bool:
    """Whether a letter was left out, added, changed, or two neighbours exchanged."""
    if len(typed) == len(meant):
        wrong = [place for place in range(len(typed)) if typed[place] != meant[place]]
        if len(wrong) == 1:
            return True
        return len(wrong) == 2 and wrong[1] == wrong[0] + 1 and typed[wrong[0]] == meant[wrong[1]] and (
            typed[wrong[1]] == meant[wrong[0]]
        )  # fmt: skip
    short, long = sorted((typed, meant), key=len)
    return len(long) == len(short) + 1 and any(long[:i] + long[i + 1 :] == short for i in range(len(long)))
