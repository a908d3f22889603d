"""Writes files all or nothing, so that a kill or a full disk leaves the old one."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from edge_agent.settings import Settings
from trainer.errors import RunError


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A binary file that takes the place of ``path`` when it is complete, so that a kill leaves the old one.

    Raises ``RunError`` if it cannot be written, such as on a full disk; the old file stays then, too.
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
        raise RunError(
            f"{path} cannot be written ({error.strerror}).",
            remedy="Make room, or mend the folder, and give the same command again: it goes on from there.",
        ) from error


def write_json(path: Path, content: Settings | dict[str, Any]) -> None:
    """Write indented JSON, for people and for diffs. Raises ``RunError``."""
    plain = content.model_dump(mode="json") if isinstance(content, Settings) else content
    with replacing(path) as file:
        file.write((json.dumps(plain, indent=2, ensure_ascii=False) + "\n").encode())
