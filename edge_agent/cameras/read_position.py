"""The position in a sequence of files or frames, which outlives the camera that reads them."""

from __future__ import annotations

from typing import Generic, TypeVar

TRIES_MAX = 2
"""A file that hung this often is skipped."""

Key = TypeVar("Key")


class ReadPosition(Generic[Key]):
    """Shared by successive cameras on the same files.

    An item counts as handed over once the same camera starts the next: only then was it taken.
    """

    def __init__(self) -> None:
        self._begun: Key | None = None
        self._tries_count = 0
        self.last: Key | None = None
        """The last item handed over; None before the first."""

    def begin(self, key: Key, *, after: Key | None) -> bool:
        """Register that ``key`` is about to be read; ``after`` is the item this camera read before, None for its first.

        False if ``key`` was tried ``TRIES_MAX`` times and never finished.
        """
        if after is not None:
            self.last = after
        if self._begun == key:
            self._tries_count += 1
        else:
            self._begun, self._tries_count = key, 1
        return self._tries_count <= TRIES_MAX

    def restart(self) -> None:
        """Start again from the beginning."""
        self._begun, self._tries_count, self.last = None, 0, None
