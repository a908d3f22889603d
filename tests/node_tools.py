"""Programs from npm that read what ships, as pinned in ``tests/tools``: installed once per checkout."""

from __future__ import annotations

import fcntl
import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
PINNED = Path(__file__).resolve().parent / "tools"
FOLDER = REPOSITORY / "build" / "node"

OLDEST_MAJOR = 20
"""Of Node."""

INSTALL_S = 240.0
"""A bare machine fetches some 400 packages; one that has done so is ready at once."""
RUN_S = 120.0


@dataclass(frozen=True, slots=True)
class NodeTools:
    """Node and the installed packages."""

    node: str
    folder: Path
    """Has ``node_modules``."""

    @property
    def modules(self) -> Path:
        """Folder of the packages."""
        return self.folder / "node_modules"

    def run(self, script: Path, *arguments: str | Path, timeout_s: float = RUN_S) -> subprocess.CompletedProcess[str]:
        """Run a script of ``tests/tools`` (CommonJS: it finds the packages by NODE_PATH). Does not check its status."""
        command = [self.node, str(script), *map(str, arguments)]
        return subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            env={"PATH": str(Path(self.node).parent), "NODE_PATH": str(self.modules), "HOME": str(self.folder)},
        )

    def version(self, package: str) -> str:
        """The installed version of a package."""
        return str(json.loads((self.modules / package / "package.json").read_text(encoding="utf-8"))["version"])


def find_node() -> tuple[str, str] | None:
    """Paths of node and npm; None if one of them is missing, or too old for the pinned packages."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None
    said = subprocess.run([node, "--version"], check=True, capture_output=True, text=True, timeout=RUN_S).stdout
    major = int(said.strip().removeprefix("v").split(".")[0])
    return (node, npm) if major >= OLDEST_MAJOR else None


def install(node: str, npm: str) -> NodeTools:
    """The pinned packages, installed if they are not. Test processes that run beside each other wait for one."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Written last: an installation that was interrupted is begun again.
        done = FOLDER / "installed.json"
        pinned = (PINNED / "package-lock.json").read_bytes()
        if not done.is_file() or done.read_bytes() != pinned:
            done.unlink(missing_ok=True)
            for name in ("package.json", "package-lock.json"):
                shutil.copy(PINNED / name, FOLDER / name)
            # Nothing that a package brings is run but what a test asks for.
            _npm([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"])
            done.write_bytes(pinned)
    return NodeTools(node, FOLDER)


def _npm(command: Sequence[str]) -> None:
    found = subprocess.run(
        command, cwd=FOLDER, check=False, capture_output=True, text=True, timeout=INSTALL_S, stdin=subprocess.DEVNULL
    )
    if found.returncode:
        raise RuntimeError(f"npm ci failed in {FOLDER}:\n{found.stdout[-1000:]}\n{found.stderr[-3000:]}")
