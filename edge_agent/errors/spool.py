"""The spool and the disk under it."""

from __future__ import annotations

from edge_agent.errors.base import EdgeAgentError


class SpoolError(EdgeAgentError):
    """The spool cannot be read or written. New messages wait in memory while there is room; the agent keeps trying."""

    code = "spool_failed"
    remedy = "Check that the state folder exists, that the agent may write to it, and that its disk works."


class SpoolFull(SpoolError):
    """So many messages wait for the broker that no more can be kept. New ones are refused and counted."""

    code = "spool_full"
    remedy = "Bring the broker back; raise spool.max_mib if outages are long."


class SpoolBusy(SpoolError):
    """Another process uses the spool, for example an agent that is running while you use 'edge-agent spool purge'."""

    code = "spool_busy"
    remedy = "Stop the other agent first; each agent needs a state.folder of its own."


class SpoolCorrupt(SpoolError):
    """The spool's file is damaged, or is not a spool. It was renamed, and a new one was started."""

    code = "spool_corrupt"
    remedy = "Try 'edge-agent spool export --file' on the renamed file; replace the card if it happens again."


class SpoolNewer(SpoolError):
    """The spool's file was written by a newer release. It was renamed, and the messages in it were taken over."""

    code = "spool_newer"
    remedy = "Keep the renamed file; 'edge-agent spool export --file' of the newer release reads all of it."


class SpoolMissing(SpoolError):
    """The spool's folder or file was deleted or replaced while the agent ran. Its content was written to a new file."""

    code = "spool_missing"
    remedy = "Find out what deletes files in the state folder. Only a running agent can restore what it held."


class MessageTooLarge(SpoolError):
    """A message is larger than the limit for all messages. It is refused and counted."""

    code = "message_too_large"
    remedy = "Report this with the log: no message should come near the limit."


class StateEntryInvalid(SpoolError):
    """A value that the agent stored is damaged, or was written by another release. The agent starts without it.

    The value stays in the spool under another key.
    """

    code = "state_entry_invalid"
    remedy = "Check what it was for, such as the open slide. After a downgrade this is expected once."


class MessageDamaged(SpoolError):
    """A message in the spool can no longer be read. It is quarantined, and the rest is delivered."""

    code = "message_damaged"
    remedy = "Look at it with 'edge-agent spool export --quarantined'; replace the card if it happens again."


class DiskFull(EdgeAgentError):
    """Nothing more can be written to the disk. What was accepted stays; the agent continues when there is room."""

    code = "disk_full"
    remedy = "Delete files that are not needed, or use a larger card."
