"""``piaoma bench accounts``: whether the time of a refused log-in tells that there is such an account.

Both questions are asked in turn, so that whatever else the machine does falls on both alike.
"""

from __future__ import annotations

import asyncio
import statistics
import time

from piaoma.desk import accounts
from piaoma.desk.config import Config
from piaoma.desk.office import Office, open_office
from piaoma.invoice.refusal import Refused

PAIRS_MIN = 50
KNOWN, UNKNOWN = "bench", "nobody"


def bench_accounts(config: Config, seconds: float) -> None:
    """Medians and spread of both, and how far apart they are."""
    times = asyncio.run(_measure(config, seconds))
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, values in times.items():
        spread = statistics.quantiles(values, n=20)
        print(f"{name:8} median {medians[name]:.2f} ms, 5 % {spread[0]:.2f}, 95 % {spread[-1]:.2f}")
    # How often the slower of a pair is the account that exists: 0.5 when the time tells nothing.
    slower = sum(known > unknown for known, unknown in zip(times[KNOWN], times[UNKNOWN], strict=True))
    count = len(times[KNOWN])
    print(
        f"RESULT accounts wrong_ms={medians[KNOWN]:.2f} nobody_ms={medians[UNKNOWN]:.2f}"
        f" slower_share={slower / count:.3f} pairs={count}"
    )


async def _measure(config: Config, seconds: float) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {KNOWN: [], UNKNOWN: []}
    async with open_office(config, work=False) as office:
        await accounts.register(
            office, accounts.Registration("武汉测试餐饮有限公司", "91420100MA4K00000Q", "测试", KNOWN, "bench bench")
        )
        until = time.monotonic() + seconds
        while time.monotonic() < until or len(times[KNOWN]) < PAIRS_MIN:
            turn = (KNOWN, UNKNOWN) if len(times[KNOWN]) % 2 else (UNKNOWN, KNOWN)
            for login in turn:
                times[login].append(await _refused_ms(office, login))
    return times


async def _refused_ms(office: Office, login: str) -> float:
    begun = time.perf_counter()
    try:
        await accounts.check_password(office, login, "not the password")
    except Refused:
        return (time.perf_counter() - begun) * 1000
    raise AssertionError("a wrong password was taken")
