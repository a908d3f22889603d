"""The spool and the disk under it."""

from __future__ import annotations

from edge_agent.errors.base import EdgeAgentError


class SpoolError(EdgeAgentError):
    """The spool cannot do what was asked. New messages wait in memory, as far as there is room; it keeps trying."""

    code = "spool_failed"
    remedy = "Check that the folder of the state exists, can be written, and is on a disk that works."


class SpoolFull(SpoolError):
    """Messages wait for the broker and no more can be kept. New ones are refused and counted."""

    code = "spool_full"
    remedy = "Bring the broker back; raise spool.max_mib if outages are long."


class SpoolBusy(SpoolError):
    """Another process has the spool. Met at start, and by 'edge-agent spool purge' while the agent runs."""

    code = "spool_busy"
    remedy = "End the other agent first; each agent needs a state.folder of its own."


class SpoolCorrupt(SpoolError):
    """The spool's file is damaged. It was set aside under another name and a new one was begun."""

    code = "spool_corrupt"
    remedy = "Try 'edge-agent spool export --file' on the file that was set aside; replace the card if it comes again."


class MessageTooLarge(SpoolError):
    """A message is larger than any broker is asked to take. It is refused and counted."""

    code = "message_too_large"
    remedy = "Report this with the log: no message of the contract comes near the bound."


class DiskFull(EdgeAgentError):
    """Nothing more can be written to the disk. What was accepted stays; the agent goes on as soon as there is room."""

    code = "disk_full"
    remedy = "Delete what is not needed, or use a larger card."
