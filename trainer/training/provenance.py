"""Finds the source and the libraries that a run was made with."""

from __future__ import annotations

import subprocess
from importlib import metadata
from pathlib import Path

_LIBRARIES = ("keras", "numpy", "opencv-python-headless", "scikit-learn", "scipy", "tensorflow-cpu", "tensorflow")


def source_commit() -> str:
    """Commit of the source, with '+' where code has changes since; "unknown" outside a checkout.

    Bundles do not count as code: 'make models' removes the old ones before it makes new ones.
    """
    here = Path(__file__).parents[1]
    try:
        head = _git(here, "rev-parse", "--verify", "HEAD")
        changed = _git(here, "status", "--porcelain", "--", ".", "../edge_agent", ":(exclude)../edge_agent/models")
        return head + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def library_versions() -> dict[str, str]:
    """Versions of the libraries that a training depends on, where they are installed."""
    found = {}
    for library in _LIBRARIES:
        try:
            found[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue
    return found


def _git(folder: Path, *words: str) -> str:
    command = ["git", "-C", str(folder), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
