"""Explains the operating system's errors about the folder of installed models."""

from __future__ import annotations

import errno
from pathlib import Path

from edge_agent.errors import DiskFull, EdgeAgentError, ModelStoreError


def explain(path: Path, error: OSError | RuntimeError) -> EdgeAgentError:
    """The error to raise for ``error`` on ``path``: ``DiskFull`` or ``ModelStoreError``."""
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return DiskFull(f"{path} cannot be written: the disk is full.")
    problem = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return ModelStoreError(f"{path}: {problem}.")
