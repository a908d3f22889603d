"""Installs the heads that this device has fitted itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from packaging.version import Version

from edge_agent.adaptation.installer import install_apart
from edge_agent.errors import ModelUnknown
from edge_agent.rollout import ModelKind, ModelSettings, ModelStore


class OwnHeads:
    """The store of installed models, as far as fitting needs it."""

    def __init__(self, store: Callable[[], ModelStore], settings: Callable[[], ModelSettings]) -> None:
        """Both are others after a reload."""
        self._store = store
        self._settings = settings

    def next_version(self, name: str) -> str:
        """The version after the newest one that is installed."""
        try:
            place = self._store().locate(ModelKind.HEAD, name)
        except ModelUnknown:
            return "1.0.0"
        newest = Version(str(place).rpartition("-")[2])
        return f"{newest.major}.{newest.minor}.{newest.micro + 1}"

    def install_own(self, folder: Path) -> None:
        """Install the head in ``folder``. Raises ``AdaptationError``."""
        install_apart(folder, self._store().folder, self._settings())
