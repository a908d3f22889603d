"""Installs a head in a process of its own: verifying it loads the network, which would stay in the agent's memory.

``python -m edge_agent.adaptation.installer HEAD MODELS SETTINGS``
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from pydantic import ValidationError

from edge_agent.contracts import ErrorReport
from edge_agent.errors import AdaptationError, EdgeAgentError
from edge_agent.rollout import ModelSettings, ModelStore

DEADLINE_S = 120.0


class InstallEnded(Exception):
    """The process was ended from outside, as by systemd with the whole service."""


def install_apart(head: Path, models: Path, settings: ModelSettings) -> None:
    """Install the head in the folder ``head`` in the store ``models``.

    Raises ``AdaptationError`` or ``InstallEnded``.
    """
    command = [sys.executable, "-P", "-m", "edge_agent.adaptation.installer", str(head), str(models)]
    try:
        done = subprocess.run(
            [*command, settings.model_dump_json()], capture_output=True, check=False, timeout=DEADLINE_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise AdaptationError(f"The head cannot be installed: {error}.") from error
    if done.returncode == 0:
        return
    if done.returncode == -signal.SIGTERM:
        raise InstallEnded
    try:
        problem = ErrorReport.model_validate_json(done.stdout)
    except ValidationError as error:
        told = done.stderr.decode("utf-8", "replace").strip()[-300:]
        raise AdaptationError(f"The head cannot be installed: {told or f'code {done.returncode}'}") from error
    raise AdaptationError(f"The head cannot be installed: {problem.message}", remedy=problem.remedy)


def main(head: str, models: str, settings: str) -> int:
    """Install, and return the exit status; an error is on standard output as JSON."""
    try:
        ModelStore(Path(models), ModelSettings.model_validate_json(settings)).install(Path(head))
    except EdgeAgentError as error:
        sys.stdout.buffer.write(ErrorReport.from_error(error).to_json())
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
