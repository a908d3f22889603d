"""Which version of MQTT to speak."""

from __future__ import annotations

from typing import Literal

UNANSWERED_MAX = 3
"""So many attempts with MQTT 5 without an answer, and one with 3.1.1 follows."""


class VersionChoice:
    """MQTT 5 wherever the broker has it.

    A broker that is starting up hangs up as well as one that does not understand MQTT 5. So silence proves nothing:
    only a refusal of version 5, or 3.1.1 that is answered where 5 once more is not, makes it 3.1.1, and only until
    the connection ends.
    """

    def __init__(self, configured: Literal["auto", "5", "3.1.1"]) -> None:
        self._configured = configured
        self._unanswered = 0
        self._patience = UNANSWERED_MAX
        self._refused_5 = False
        self._proven_3 = False
        self._next_is_3 = False

    @property
    def is_5(self) -> bool:
        """Whether the next attempt speaks MQTT 5."""
        if self._configured != "auto":
            return self._configured == "5"
        return not (self._refused_5 or self._next_is_3)

    def unanswered(self) -> None:
        """The broker hung up before it answered, or was silent."""
        if self._configured != "auto":
            return
        if not self.is_5:
            self._refused_5 = self._next_is_3 = False
            return
        self._unanswered += 1
        if self._proven_3 or self._unanswered >= self._patience:
            self._next_is_3 = True
            self._unanswered = 0

    def refused(self) -> bool:
        """The broker refused the version. True if there is another to try at once."""
        if self._configured != "auto" or not self.is_5:
            self._refused_5 = self._next_is_3 = False
            return False
        self._refused_5 = True
        return True

    def accepted(self) -> bool:
        """The broker accepted the connection. False if version 5 is to be tried once more before it is used."""
        if self.is_5:
            self._unanswered = 0
            self._proven_3 = False
            return True
        if self._configured == "auto" and not self._refused_5 and not self._proven_3:
            self._proven_3 = True
            self._next_is_3 = False
            return False
        return True

    def ended(self) -> None:
        """An accepted connection is over: version 5 may be there now."""
        self._refused_5 = self._next_is_3 = False
