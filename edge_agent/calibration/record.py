"""The last calibration, kept in the state folder."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from pydantic import ValidationError

from edge_agent.contracts import Calibration
from edge_agent.errors import FileUnusable

FILE = "calibration.json"
_MAX_BYTES = 64 * 1024


def keep_calibration(folder: Path, found: Calibration) -> None:
    """Replace the last calibration, in one step. ``folder`` must exist. Raises ``FileUnusable``."""
    new = folder / f".{FILE}.{secrets.token_hex(4)}.new"
    try:
        try:
            # The user who replaces it may not be the one who wrote it.
            with new.open("xb") as file:
                file.write(found.to_json() + b"\n")
                file.flush()
                os.fsync(file.fileno())
            new.replace(folder / FILE)
        finally:
            new.unlink(missing_ok=True)
    except OSError as error:
        raise FileUnusable.from_os_error(error) from error


def last_calibration(folder: Path) -> Calibration | None:
    """The last calibration; None if there is none. Raises ``FileUnusable`` if it cannot be read or understood."""
    path = folder / FILE
    try:
        # Read a bounded size: a file that was put there must not fill the memory.
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES)
        return Calibration.model_validate_json(content)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise FileUnusable.from_os_error(error) from error
    except ValidationError as error:
        raise FileUnusable(
            f"{path} is not a calibration of this version.", remedy="Calibrate again, or remove the file."
        ) from error
