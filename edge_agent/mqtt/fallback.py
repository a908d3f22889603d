"""Decides which feature to do without, and for how long, at a broker that does not answer CONNECT."""

from __future__ import annotations

from typing import Literal

UNANSWERED_MAX = 3
"""Number of unanswered attempts before one that asks for less."""


class Fallback:
    """A feature that is wanted of a broker, and left out only if necessary.

    Silence alone proves nothing: a broker that is starting up hangs up, too. The feature is left out only if an attempt
    without it is answered and another attempt with it is not, and only until that connection ends.
    """

    def __init__(self) -> None:
        self.wanted = True
        """Whether the next attempt requests it."""
        self._unanswered_count = 0
        self._answered_without = False

    def unanswered(self) -> None:
        """The attempt was not answered."""
        if not self.wanted:
            self.wanted = True
            return
        self._unanswered_count += 1
        if self._answered_without or self._unanswered_count >= UNANSWERED_MAX:
            self.wanted = False
            self._unanswered_count = 0

    def accepted(self) -> bool:
        """The attempt succeeded. False if another attempt, with the feature, is to be made first."""
        if self.wanted:
            self._unanswered_count = 0
            self._answered_without = False
        elif not self._answered_without:
            self._answered_without = self.wanted = True
            return False
        return True

    def ended(self) -> None:
        """An accepted connection ended: there may be another broker now."""
        self.wanted = True


class VersionChoice:
    """MQTT 5 if the broker supports it; 3.1.1 if it refuses 5 or answers only 3.1.1."""

    def __init__(self, configured: Literal["auto", "5", "3.1.1"]) -> None:
        self._configured = configured
        self._fallback = Fallback()
        self._refused_5 = False

    @property
    def is_5(self) -> bool:
        """Whether the next attempt uses MQTT 5."""
        if self._configured != "auto":
            return self._configured == "5"
        return self._fallback.wanted and not self._refused_5

    def unanswered(self) -> None:
        """The broker hung up or did not answer."""
        if self._refused_5:
            self._refused_5 = False
        else:
            self._fallback.unanswered()

    def refused(self) -> bool:
        """The broker refused the version. True if another can be tried at once."""
        if self._configured == "auto" and self.is_5:
            self._refused_5 = True
            return True
        self.ended()
        return False

    def accepted(self) -> bool:
        """The broker accepted the connection. False if version 5 is to be tried again first."""
        return self._configured != "auto" or self._refused_5 or self._fallback.accepted()

    def ended(self) -> None:
        """An accepted connection ended: the broker may support version 5 now."""
        self._refused_5 = False
        self._fallback.ended()
