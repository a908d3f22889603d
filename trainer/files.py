"""Writes files all or nothing, and checks early whether the output can be written."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from edge_agent.settings import Settings
from trainer.errors import OutputUnwritable


def check_output_folder(folder: Path) -> None:
    """Raise ``OutputUnwritable`` unless ``folder`` is a writable folder or can be created. Creates nothing."""
    try:
        nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        if not nearest.is_dir():
            raise OutputUnwritable(f"{nearest} is not a folder.", remedy="Name another --out.")
    except OSError as error:
        raise OutputUnwritable(f"{folder} cannot be used ({error.strerror}).", remedy="Name another --out.") from error
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise OutputUnwritable(f"{nearest} is not writable.")


def check_output_file(file: Path) -> None:
    """Raise ``OutputUnwritable`` if ``file`` is a folder or as ``check_output_folder`` does. Creates nothing."""
    check_output_folder(file.parent)
    if file.is_dir():
        raise OutputUnwritable(f"{file} is a folder.", remedy="Name a file with --out, such as one in that folder.")


def holds_files(folder: Path) -> bool:
    """Whether ``folder`` exists and is not empty. Raises ``OutputUnwritable`` as ``check_output_folder`` does."""
    check_output_folder(folder)
    return folder.exists() and any(folder.iterdir())


def make_folder(folder: Path) -> None:
    """Create ``folder`` and its parents where they are missing. Raises ``OutputUnwritable``."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputUnwritable(f"folder {folder} cannot be created ({error.strerror}).") from error


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Open a binary file that replaces ``path`` once it is complete, so that a kill leaves the old one.

    Raises ``OutputUnwritable`` if the file cannot be written, such as on a full disk; the old one stays then, too.
    """
    draft = path.with_name(f"{path.name}.part")
    try:
        with draft.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise OutputUnwritable(
            f"{path} cannot be written ({error.strerror}).",
            remedy="Make room, or correct the folder's permissions. "
            "'train', 'compare' and 'cross-validate' then resume where they stopped; give other commands again.",
        ) from error


def write_json(path: Path, content: Settings | dict[str, Any]) -> None:
    """Write indented JSON, for people and for diffs. Raises ``OutputUnwritable``."""
    plain = content.model_dump(mode="json") if isinstance(content, Settings) else content
    with replacing(path) as file:
        file.write((json.dumps(plain, indent=2, ensure_ascii=False) + "\n").encode())
