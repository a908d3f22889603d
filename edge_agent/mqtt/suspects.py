"""Finds the message that makes a broker hang up, if the broker does not name it."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

LOSSES_MAX = 3
"""A message that was in flight at this many losses in a row is sent alone from then on."""


class Suspects:
    """Counts, per message, the connections in a row that were lost, or stalled, while it was not acknowledged.

    An MQTT 3.1.1 broker cannot refuse a message: it hangs up each time the message is sent. While a message is suspect,
    nothing else is sent with it, so that the next loss shows which message is the cause.
    """

    def __init__(self) -> None:
        self._losses: dict[Hashable, int] = {}

    @property
    def any(self) -> bool:
        """Whether anything was left unacknowledged by the last connection."""
        return bool(self._losses)

    @property
    def alone(self) -> bool:
        """Whether messages are to be sent one at a time."""
        return any(count >= LOSSES_MAX for count in self._losses.values())

    def __contains__(self, key: object) -> bool:
        return key in self._losses

    def lost(self, in_flight: Sequence[Hashable], *, blamed: bool = False) -> Hashable | None:
        """A connection was lost with these in flight.

        Returns the message that is proven to be the cause, if any. ``blamed`` says that the broker named something that
        it was sent as the reason.
        """
        poison: Hashable | None = None
        if len(in_flight) == 1 and self._losses.get(in_flight[0], 0) >= LOSSES_MAX:
            poison = in_flight[0]
            self.clear(poison)
        for key in in_flight:
            if key != poison:
                self._losses[key] = self._losses.get(key, 0) + (LOSSES_MAX if blamed else 1)
        return poison

    def overtaken(self, key: Hashable) -> bool:
        """The broker did not acknowledge this message in time, but later ones. True if it is proven to be the cause."""
        self._losses[key] = self._losses.get(key, 0) + 1
        if self._losses[key] < LOSSES_MAX:
            return False
        self.clear(key)
        return True

    def clear(self, key: Hashable) -> None:
        """The message was acknowledged, or is no longer sent."""
        self._losses.pop(key, None)

    def clear_all(self) -> None:
        """Everything was sent: clear the rest."""
        self._losses.clear()
