"""The audit log."""

from __future__ import annotations

from edge_agent.errors.base import EdgeAgentError


class AuditUnwritable(EdgeAgentError):
    """The audit log cannot be written or read. Events are sent without a place in it; the agent keeps running."""

    code = "audit_unwritable"
    remedy = "Check that the agent may write to audit.log in the state folder, and that the disk has room."


class AuditBroken(EdgeAgentError):
    """The audit log is damaged: an entry was changed, removed or inserted, or the file is not an audit log.

    The agent renames a damaged file and continues in a new one.
    """

    code = "audit_broken"
    remedy = "Keep the file, compare it with the events at the broker, and find out who had access to the device."
