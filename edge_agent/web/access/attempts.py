"""Limits how often passwords may be tried on the microscope page, and reports wrong ones."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from edge_agent.addresses import parse_address

PER_ADDRESS = RateLimitItemPerMinute(10, 5)
"""Attempts from one address: enough for a person who mistypes."""

OVERALL = RateLimitItemPerMinute(60, 5)
"""Attempts of all machines together: the most that a device spends on hashing passwords."""

REPORT_S = 60.0


class Attempts:
    """Counts tried passwords by address and over all, in a moving window."""

    def __init__(self, per_address: RateLimitItem = PER_ADDRESS, overall: RateLimitItem = OVERALL) -> None:
        self._per_address = per_address
        self._overall = overall
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def wait_s(self, address: str) -> int | None:
        """Count an attempt. If it is one too many, it is not counted, and the time to wait is returned."""
        # Check all machines together first: no more addresses are remembered than this limit lets through.
        limits = ((self._overall, "all"), (self._per_address, _same_machine(address)))
        for limit, key in limits:
            if not self._limiter.test(limit, key):
                left_s = self._limiter.get_window_stats(limit, key).reset_time - time.time()
                # The clock of a device may be set meanwhile.
                return min(max(math.ceil(left_s), 1), limit.get_expiry())
        for limit, key in limits:
            self._limiter.hit(limit, key)
        return None

    def forgive(self, address: str) -> None:
        """Forget the attempts of an address, whose password was right."""
        self._limiter.clear(self._per_address, _same_machine(address))


class FailedLogins:
    """Reports wrong passwords and tokens: the first at once, those of the following minute together after it."""

    def __init__(self, report: Callable[[int], None], interval_s: float = REPORT_S) -> None:
        """``report`` gets the number since its last call."""
        self._report = report
        self._interval_s = interval_s
        self._count = 0
        self._timer: asyncio.TimerHandle | None = None

    def add(self) -> None:
        """Count one more. Called in the server's event loop."""
        self._count += 1
        if self._timer is None:
            self._tell()

    def _tell(self) -> None:
        self._timer = None
        if self._count:
            count, self._count = self._count, 0
            self._timer = asyncio.get_running_loop().call_later(self._interval_s, self._tell)
            self._report(count)


def _same_machine(address: str) -> str:
    """One spelling for an IPv4 address, even if it came over an IPv6 socket."""
    found = parse_address(address)
    mapped = getattr(found, "ipv4_mapped", None)
    return str(mapped or found or address)
