"""Messages and state entries that are not written yet."""

from __future__ import annotations

from dataclasses import dataclass

from edge_agent.spool.base import Message, StateEntries

BATCH_MAX = 256
_BATCH_MAX_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Pending:
    """A message with its state entries, or state entries alone, written in one transaction."""

    message: Message | None
    state_entries: StateEntries
    generation: int

    @property
    def size(self) -> int:
        """Bytes of the payload."""
        return 0 if self.message is None else len(self.message.payload)


class PendingQueue:
    """First in, first out, in batches whose size depends on what the disk last accepted. Not thread-safe."""

    def __init__(self) -> None:
        self.size_bytes = 0
        self._waiting: list[Pending] = []
        self._batch_bytes = _BATCH_MAX_BYTES

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def messages_count(self) -> int:
        """Number of messages in the queue."""
        return sum(pending.message is not None for pending in self._waiting)

    def append(self, pending: Pending) -> None:
        """Add at the end."""
        self._waiting.append(pending)
        self.size_bytes += pending.size

    def apply_to(self, state_entries: dict[str, bytes]) -> None:
        """Apply the waiting changes to ``state_entries``."""
        for pending in self._waiting:
            apply_entries(pending.state_entries, state_entries)

    def next_batch(self) -> list[Pending]:
        """The oldest items, for one transaction. They stay in the queue until ``remove``."""
        batch: list[Pending] = []
        size = 0
        for pending in self._waiting[:BATCH_MAX]:
            size += pending.size
            if batch and size > self._batch_bytes:
                break
            batch.append(pending)
        return batch

    def remove(self, batch: list[Pending]) -> None:
        """Remove a written batch; the next may be larger."""
        del self._waiting[: len(batch)]
        self.size_bytes -= sum(pending.size for pending in batch)
        self._batch_bytes = min(2 * self._batch_bytes + 1, _BATCH_MAX_BYTES)

    def take_less(self) -> None:
        """The disk had no room for the last batch: make the next one smaller."""
        self._batch_bytes //= 2

    def clear(self) -> None:
        """Discard the queue."""
        self._waiting.clear()
        self.size_bytes = 0


def apply_entries(change: StateEntries, kept: dict[str, bytes]) -> None:
    """Apply ``change`` to ``kept``."""
    for key, value in change.items():
        if value is None:
            kept.pop(key, None)
        else:
            kept[key] = value
