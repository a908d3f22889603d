"""The target of an export: a folder or a zip file, which appears once it is complete."""

from __future__ import annotations

import os
import secrets
import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_agent.errors import FileUnusable

Write = Callable[[str, bytes], None]
"""Takes a path below the export, with forward slashes, and its content."""


@contextmanager
def export_target(out: Path) -> Iterator[Write]:
    """A new folder, or a new zip file if ``out`` ends with ``.zip``; nothing is left if the block fails.

    Raises ``FileUnusable`` if ``out`` exists already or cannot be written.
    """
    if os.path.lexists(out):
        raise FileUnusable(f"{out} exists already.", remedy="Name a new folder or zip file.")
    new = out.with_name(f".{out.name}.{secrets.token_hex(4)}.new")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        try:
            if out.suffix.lower() == ".zip":
                with zip_file(new) as write:
                    yield write
            else:
                new.mkdir()
                yield lambda path, content: _write_below(new, path, content)
            new.rename(out)
        finally:
            if new.is_dir():
                shutil.rmtree(new, ignore_errors=True)
            else:
                new.unlink(missing_ok=True)
    except OSError as error:
        raise FileUnusable.from_os_error(error) from error


@contextmanager
def zip_file(path: Path) -> Iterator[Write]:
    """A zip file at exactly ``path``. Pictures are stored as they are: they are compressed already."""
    with path.open("xb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:

        def write(name: str, content: bytes) -> None:
            stored = name.endswith(".jpg")
            archive.writestr(name, content, zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED)

        yield write


def linked_folder(out: Path, pictures: Path) -> Write:
    """Write into ``out`` as a copy would, but make each picture a hard link to the file in the folder ``pictures``.

    Nothing is written twice to a card, and readers see no difference. If the two folders are on different disks,
    pictures are copied.
    """

    def write(path: str, content: bytes) -> None:
        target = out / path
        if target.suffix == ".jpg":
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                os.link(pictures / target.name, target)
            except OSError:
                pass
            else:
                return
        _write_below(out, path, content)

    return write


def _write_below(folder: Path, path: str, content: bytes) -> None:
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
