"""The spool and the disk under it."""

from __future__ import annotations

from edge_agent.errors.base import EdgeAgentError


class SpoolError(EdgeAgentError):
    """The spool cannot do what was asked. New messages wait in memory, as far as there is room; it keeps trying."""

    code = "spool_failed"
    remedy = "Check that the state folder exists, that the agent may write to it, and that its disk works."


class SpoolFull(SpoolError):
    """Messages wait for the broker and no more can be kept. New ones are refused and counted."""

    code = "spool_full"
    remedy = "Bring the broker back; raise spool.max_mib if outages are long."


class SpoolBusy(SpoolError):
    """Another process has the spool. Met at start, and by 'edge-agent spool purge' while the agent runs."""

    code = "spool_busy"
    remedy = "End the other agent first; each agent needs a state.folder of its own."


class SpoolCorrupt(SpoolError):
    """The spool's file is damaged, or is not a spool. It was set aside, and a new one was begun."""

    code = "spool_corrupt"
    remedy = "Try 'edge-agent spool export --file' on the file set aside; replace the card if it happens again."


class SpoolNewer(SpoolError):
    """The spool's file was written by a newer release. It was set aside, and what could be read was taken over."""

    code = "spool_newer"
    remedy = "Keep the file that was set aside; 'edge-agent spool export --file' of the newer release reads all of it."


class SpoolMissing(SpoolError):
    """The spool's folder or file was deleted or replaced while the agent ran. What it held is in a new file now."""

    code = "spool_missing"
    remedy = "Find out what deletes files in the state folder. Only a running agent can restore what it held."


class MessageTooLarge(SpoolError):
    """A message is larger than any broker is asked to take. It is refused and counted."""

    code = "message_too_large"
    remedy = "Report this with the log: no message of the contract comes near the bound."


class StateEntryInvalid(SpoolError):
    """Something that the agent kept for itself cannot be read: damaged, or written by another release. It starts over.

    The entry is kept in the spool under another key.
    """

    code = "state_entry_invalid"
    remedy = "Check what it held, such as the open slide; after a downgrade this is expected once."


class MessageDamaged(SpoolError):
    """A message in the spool can no longer be read. It is quarantined and the rest goes on."""

    code = "message_damaged"
    remedy = "Look at it with 'edge-agent spool export --quarantined'; replace the card if it happens again."


class DiskFull(EdgeAgentError):
    """Nothing more can be written to the disk. What was accepted stays; the agent goes on as soon as there is room."""

    code = "disk_full"
    remedy = "Delete what is not needed, or use a larger card."
