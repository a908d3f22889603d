"""The files, input and output of commands."""

from __future__ import annotations

import os
from typing import Self

from edge_agent.errors.base import EdgeAgentError


class FileUnusable(EdgeAgentError):
    """A file or folder that a command needs cannot be read or written."""

    code = "file_unusable"
    remedy = "Check the path and its permissions, or use another one."

    @classmethod
    def from_os_error(cls, error: OSError) -> Self:
        """The error for an ``OSError``, with the file that it is about."""
        if error.filename is None:
            return cls(f"{error.strerror or error}.")
        return cls(f"{os.fsdecode(error.filename)}: {error.strerror or error}.")


class OutputUnwritable(EdgeAgentError):
    """What a command prints cannot be written: the disk is full, or its output is closed."""

    code = "output_unwritable"
    remedy = "Free some space, or send the output somewhere else."


class InputEnded(EdgeAgentError):
    """The input of a command that asks questions ended before the last one. Nothing was changed."""

    code = "input_ended"
    remedy = "Run it in a terminal, or give it an answer to every question."


class ReportMissing(EdgeAgentError):
    """The report that was asked for is not kept on this device: only the last 200 are."""

    code = "report_missing"
    remedy = "List the reports that are kept with 'edge-agent report', or on the microscope page under slides."
