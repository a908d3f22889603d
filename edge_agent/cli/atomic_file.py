"""Replaces a file of the user's, with errors that say what to do."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from edge_agent import atomic_file
from edge_agent.errors import ConfigError


def replace_file(path: Path, content: bytes, *, mode: int | None = None, keep_before: bool = False) -> None:
    """As ``edge_agent.atomic_file.replace_file``. Raises ``ConfigError``."""
    try:
        atomic_file.replace_file(path, content, mode=mode, keep_before=keep_before)
    except (OSError, RuntimeError) as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError | RuntimeError) -> ConfigError:
    if not isinstance(error, OSError):
        return ConfigError(f"{path} cannot be written: it is a link to itself.", remedy="Remove the link.")
    remedy = "Give a path that can be written."
    if error.errno in {errno.EACCES, errno.EPERM} and os.geteuid() != 0:
        remedy = "Run it as root, with sudo."
    elif error.errno in {errno.ENOSPC, errno.EDQUOT}:
        remedy = "Free some space on the disk."
    return ConfigError(f"{path} cannot be written: {error.strerror or error}.", remedy=remedy)
