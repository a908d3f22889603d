"""The audit log."""

from __future__ import annotations

from edge_agent.errors.base import EdgeAgentError


class AuditUnwritable(EdgeAgentError):
    """The audit log cannot be written. Events go out without a place in it; the agent goes on."""

    code = "audit_unwritable"
    remedy = "Check that the agent may write to audit.log in the state folder, and that the disk has room."


class AuditBroken(EdgeAgentError):
    """The audit log's chain of hashes does not hold: an entry was changed, removed or added by another hand."""

    code = "audit_broken"
    remedy = "Keep the file, compare it with the events at the broker, and find out who had access to the device."
