"""Installs the heads that this device has fitted itself."""

from __future__ import annotations

import shutil
from pathlib import Path

from edge_agent.contracts import HeadManifest
from edge_agent.errors import FileUnusable


class OwnHeads:
    """The folder of installed heads, as far as fitting needs it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def next_version(self, name: str) -> str:
        """The patch version after the last installed one."""
        found = [each.name.removeprefix(f"{name}-").split(".") for each in self._folder.glob(f"{name}-*")]
        last = max((int(each[2]) for each in found if len(each) == 3 and each[2].isdigit()), default=-1)
        return f"1.0.{last + 1}"

    def install_own(self, folder: Path) -> None:
        """Install the head in ``folder``. Raises ``FileUnusable``."""
        manifest = HeadManifest.model_validate_json((folder / "head.json").read_bytes())
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            shutil.move(folder, self._folder / f"{manifest.name}-{manifest.version}")
        except OSError as error:
            raise FileUnusable.from_os_error(error) from error
