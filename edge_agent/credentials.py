"""Files with secrets: where a service reads them, and whether others can."""

from __future__ import annotations

import os
import stat
from pathlib import Path

CREDENTIALS = Path("/etc/leukoscope/credentials")
"""Secrets of the package's service: only root can read them, and systemd passes a copy to the service."""

CREDENTIALS_VARIABLE = "CREDENTIALS_DIRECTORY"


def credential(path: Path) -> Path:
    """The path to read a secret from: the service's copy (``LoadCredential=``) of a file in ``CREDENTIALS``."""
    folder = os.environ.get(CREDENTIALS_VARIABLE)
    return Path(folder, f"{CREDENTIALS.name}_{path.name}") if folder and path.parent == CREDENTIALS else path


def is_exposed(path: Path) -> bool:
    """Whether every user of this machine can read or change the secret at ``path``. False if there is none."""
    try:
        mode = credential(path).stat().st_mode
    except OSError:
        return False
    return bool(mode & (stat.S_IROTH | stat.S_IWOTH))
