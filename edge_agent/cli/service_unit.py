"""The service of the installed package."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

UNIT = "leukoscope.service"


def restart_service(show: Callable[[str], None], unit: str = UNIT) -> None:
    """Restart the service if it is installed and this is root: a reload would not pass it new secrets."""
    systemctl = shutil.which("systemctl")
    if systemctl is None or os.geteuid() != 0 or not Path("/run/systemd/system").is_dir():
        return
    enabled = subprocess.run([systemctl, "--quiet", "is-enabled", unit], check=False, capture_output=True)
    if enabled.returncode != 0:
        return
    done = subprocess.run([systemctl, "restart", unit], check=False, capture_output=True, text=True, errors="replace")
    if done.returncode == 0:
        show(f"{unit} was restarted and now runs with this configuration.")
    else:
        show(f"{unit} could not be restarted: {done.stderr.strip()}")
