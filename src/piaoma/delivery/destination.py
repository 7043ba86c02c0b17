"""Where a merchant's address leads (目标地址): resolved once, every answer looked at, and only what was looked at is
connected to. A name that answers something else the next time (DNS rebinding) gains nothing by it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import urlsplit

import msgspec

from piaoma.invoice.refusal import Refused, refuse

URL_MAX = 500  # characters
RESOLVE_SECONDS = 5.0

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve = Callable[[str, int], Awaitable[list[str]]]

# Addresses of IPv6 that carry one of IPv4, which is what they reach: NAT64 (RFC 6052), and 6to4 and Teredo by library.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class Destination(msgspec.Struct, frozen=True):
    """An address as its owner wrote it, taken apart."""

    host: str
    port: int
    path: str
    secure: bool
    authority: str  # of the Host header


def parse(url: str) -> Destination:
    """Raises ``Refused`` WEBHOOK-URL: not http(s), a user in it, a fragment, no host, a port that cannot be."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise refuse("WEBHOOK-URL", "url", have=url[:80]) from None
    host = parts.hostname or ""
    sound = url.isascii() and url.isprintable() and " " not in url and len(url) <= URL_MAX and "\\" not in url
    if not sound or parts.scheme not in ("http", "https") or not host or "@" in parts.netloc or parts.fragment:
        raise refuse("WEBHOOK-URL", "url", have=url[:80])
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    secure = parts.scheme == "https"
    return Destination(host, port or (443 if secure else 80), path, secure, parts.netloc)


async def resolve(host: str, port: int) -> list[str]:
    """Every address of a name, as the system knows it."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


def networks_of(text: str) -> tuple[Network, ...]:
    """``10.0.0.0/8, 192.168.1.5`` as networks. Raises ``ValueError``."""
    return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())


def reaches(address: str) -> list[Address]:
    """What a packet to an address comes to: itself, and the IPv4 address that is wrapped in it."""
    one = ipaddress.ip_address(address.partition("%")[0])
    found: list[Address] = [one]
    if isinstance(one, ipaddress.IPv6Address):
        wrapped = [one.ipv4_mapped, one.sixtofour, one.teredo[1] if one.teredo else None]
        if one in _NAT64:
            wrapped.append(ipaddress.IPv4Address(int(one) & 0xFFFFFFFF))
        found += [inner for inner in wrapped if inner is not None]
    return found


def is_allowed(address: str, allowed: Sequence[Network]) -> bool:
    """Whether an address is everybody's, or in a network that the configuration allows."""

    def fits(one: Address) -> bool:
        if any(one in network for network in allowed):
            return True
        return one.is_global and not one.is_multicast

    one = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(one, ipaddress.IPv6Address) and one.ipv4_mapped is not None:
        return fits(one.ipv4_mapped)
    return all(fits(inner) for inner in reaches(address))


async def checked(place: Destination, allowed: Sequence[Network], by: Resolve = resolve) -> str:
    """The address to connect to: one of those that were looked at, and all were.

    Plain http is for networks that the configuration names alone. Raises ``Refused`` WEBHOOK-PRIVATE, WEBHOOK-PLAIN,
    WEBHOOK-HOST when the name leads nowhere.
    """
    try:
        found = await asyncio.wait_for(by(place.host, place.port), RESOLVE_SECONDS)
    except (OSError, UnicodeError, TimeoutError):
        found = []
    if not found:
        raise refuse("WEBHOOK-HOST", "url", host=place.host[:80])
    if not all(is_allowed(address, allowed) for address in found):
        raise refuse("WEBHOOK-PRIVATE", "url", host=place.host[:80])
    named = all(any(ipaddress.ip_address(address.partition("%")[0]) in network for network in allowed)
                for address in found)  # fmt: skip
    if not place.secure and not named:
        raise refuse("WEBHOOK-PLAIN", "url")
    return found[0]


def fault_of(refused: Refused) -> str:
    """Why an address is not called, as logs show it."""
    return ", ".join(one.cause for one in refused.refusals)
