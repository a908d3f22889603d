"""Files that a command was given, and what it prints."""

from __future__ import annotations

from edge_agent.errors.base import EdgeAgentError


class FileUnusable(EdgeAgentError):
    """A file or folder that a command needs cannot be read or written."""

    code = "file_unusable"
    remedy = "Check the path and who may read and write it, or give another one."


class OutputUnwritable(EdgeAgentError):
    """What a command prints cannot be written: the disk is full, or its output is closed."""

    code = "output_unwritable"
    remedy = "Free some space, or send the output somewhere else."
