"""Puts results in order, lets each through once, and reports which are missing."""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from uuid import UUID

from edge_agent.contracts import Result

MAX_SESSIONS_COUNT = 16
"""Sessions of one device that are remembered: the current one, and those whose backlog may still come."""

MAX_HELD_COUNT = 256
"""Results of one session that may wait for an earlier one; beyond this number they wait no longer."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Results of one session that did not come, from ``first_seq`` to ``last_seq``.

    They may still come: after a lost connection a device sends the newest results first, and the backlog behind them.
    """

    site: str
    device: str
    session: UUID
    first_seq: int
    last_seq: int

    @property
    def missing_count(self) -> int:
        """Number of results in the gap."""
        return self.last_seq - self.first_seq + 1


@dataclass(slots=True)
class SeqRanges:
    """A set of numbers that are mostly consecutive, as inclusive ranges in ascending order."""

    firsts: list[int] = field(default_factory=list)
    lasts: list[int] = field(default_factory=list)

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self.firsts, number) - 1
        return at >= 0 and number <= self.lasts[at]

    def add(self, number: int) -> bool:
        """Add a number. Returns whether it was new."""
        if number in self:
            return False
        after = bisect_right(self.firsts, number)
        joins_before = after > 0 and self.lasts[after - 1] == number - 1
        joins_after = after < len(self.firsts) and self.firsts[after] == number + 1
        if joins_before and joins_after:
            self.lasts[after - 1] = self.lasts[after]
            del self.firsts[after], self.lasts[after]
        elif joins_before:
            self.lasts[after - 1] = number
        elif joins_after:
            self.firsts[after] = number
        else:
            self.firsts.insert(after, number)
            self.lasts.insert(after, number)
        return True

    def gaps(self) -> Iterator[tuple[int, int]]:
        """Inclusive ranges between the first and the last number that are missing."""
        for last, first in zip(self.lasts, self.firsts[1:], strict=False):
            yield last + 1, first - 1


@dataclass(slots=True)
class _Session:
    passed: SeqRanges = field(default_factory=SeqRanges)
    held: dict[int, tuple[float, Result]] = field(default_factory=dict)
    """Held results by number, each with the time until which it waits for the one before it."""

    @property
    def expected(self) -> int | None:
        """The number that follows the last one that was passed on."""
        return self.passed.lasts[-1] + 1 if self.passed.lasts else None


class ResultSequence:
    """The results of one device: each once, and those of one session in order.

    The first seen result of a session counts as its beginning. A result whose predecessor has not come is held until
    the predecessor comes, but no longer than ``wait_s``; then it is passed on and leaves a gap. A result that fills a
    gap is passed on at once. Numbers and sessions decide, never a clock of the device.

    The results passed on are remembered as ranges of numbers, so that months of results take little memory.
    """

    def __init__(self, site: str, device: str, *, wait_s: float) -> None:
        self._site = site
        self._device = device
        self._wait_s = wait_s
        self._sessions: OrderedDict[UUID, _Session] = OrderedDict()

    def add(self, result: Result, now_s: float) -> list[Result]:
        """The results to pass on now that ``result`` has come; empty if it is a repeat, or waits.

        ``now_s`` is of a monotonic clock.
        """
        session = self._session(result.session)
        seq, expected = result.seq, session.expected
        if seq in session.passed or seq in session.held:
            return []
        if expected is not None and seq > expected and self._wait_s > 0:
            session.held[seq] = (now_s + self._wait_s, result)
            return self._pass_until(session, min(session.held)) if len(session.held) > MAX_HELD_COUNT else []
        session.passed.add(seq)
        return [result, *self._following(session)]

    def is_held(self, result: Result) -> bool:
        """Whether ``result`` waits for an earlier one."""
        session = self._sessions.get(result.session)
        return session is not None and result.seq in session.held

    def release(self, now_s: float) -> list[Result]:
        """The results that have waited long enough, with all that follow them without a gap."""
        passed: list[Result] = []
        for session in self._sessions.values():
            due = [seq for seq, (until_s, _) in session.held.items() if until_s <= now_s]
            if due:
                passed += self._pass_until(session, max(due))
        return passed

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """The results missing between those that were passed on."""
        return tuple(
            Gap(self._site, self._device, identity, first, last)
            for identity, session in self._sessions.items()
            for first, last in session.passed.gaps()
        )

    def _session(self, identity: UUID) -> _Session:
        if identity not in self._sessions:
            self._sessions[identity] = _Session()
        self._sessions.move_to_end(identity)
        while len(self._sessions) > MAX_SESSIONS_COUNT:
            # Forget the session that was silent longest; only the results that it held are lost.
            oldest = next((each for each, session in self._sessions.items() if not session.held), None)
            if oldest is None or oldest == identity:
                break
            del self._sessions[oldest]
        return self._sessions[identity]

    def _pass_until(self, session: _Session, seq: int) -> list[Result]:
        """The results held up to ``seq``, and all that follow without a gap."""
        numbers = sorted(each for each in session.held if each <= seq)
        for each in numbers:
            session.passed.add(each)
        return [*(session.held.pop(each)[1] for each in numbers), *self._following(session)]

    def _following(self, session: _Session) -> list[Result]:
        passed = []
        while (expected := session.expected) is not None and expected in session.held:
            session.passed.add(expected)
            passed.append(session.held.pop(expected)[1])
        return passed
