"""Messages that are not sent any more, because they cost the connection."""

from __future__ import annotations

from collections.abc import Hashable


class Withheld:
    """Messages, other than the spool's, that the broker closes the connection at or never acknowledges.

    While the broker has acknowledged nothing at all, it may be refusing the device. A message that is withheld then is
    provisional: it gets one more chance when the broker has acknowledged something else.
    """

    def __init__(self) -> None:
        self._keys: set[Hashable] = set()
        self._provisional: set[Hashable] = set()
        self._released: set[Hashable] = set()

    def __contains__(self, key: Hashable) -> bool:
        return key in self._keys

    def add(self, key: Hashable, *, provisional: bool) -> bool:
        """Withhold the message. Returns whether that is provisional, which it is only once."""
        self._keys.add(key)
        if provisional and key not in self._released:
            self._provisional.add(key)
        return key in self._provisional

    def release(self) -> set[Hashable]:
        """Allow, and return, all that was withheld provisionally."""
        released, self._provisional = self._provisional, set()
        self._released |= released
        self._keys -= released
        return released
