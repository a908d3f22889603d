"""How far the reading of files has come, beyond the life of the camera that reads them."""

from __future__ import annotations

from typing import Generic, TypeVar

TRIES_MAX = 2
"""A file that hung so often is given up."""

Key = TypeVar("Key")


class ReadPosition(Generic[Key]):
    """Shared by the cameras that are opened one after the other on the same files.

    What was begun counts as handed over when the same camera begins the next: only then has somebody taken it.
    """

    def __init__(self) -> None:
        self._begun: Key | None = None
        self._tries_count = 0
        self.last: Key | None = None
        """The last one handed over; None before the first."""

    def begin(self, key: Key, *, after: Key | None) -> bool:
        """About to read ``key``; ``after`` is what this camera read before, None for its first.

        False if ``key`` was tried ``TRIES_MAX`` times and never came to its end.
        """
        if after is not None:
            self.last = after
        if self._begun == key:
            self._tries_count += 1
        else:
            self._begun, self._tries_count = key, 1
        return self._tries_count <= TRIES_MAX

    def restart(self) -> None:
        """From the beginning again."""
        self._begun, self._tries_count, self.last = None, 0, None
