"""Folders of tests that another user has to read."""

from __future__ import annotations

import tempfile
from pathlib import Path


def let_others_in(folder: Path) -> None:
    """Open ``folder`` and those above it, which pytest makes for one user; mosquitto gives root's rights up."""
    temporary = Path(tempfile.gettempdir()).resolve()
    for each in (folder, *folder.parents):
        if each.resolve() == temporary:
            return
        each.chmod(0o755)
