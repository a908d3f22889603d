"""Names of files in a form that can be shown and sent."""

from __future__ import annotations

import os
from pathlib import PurePath


def printable_name(name: str | PurePath) -> str:
    """``name`` as valid UTF-8 text that is harmless on a terminal.

    Bytes that are not UTF-8, line breaks, escape sequences and other unprintable characters become backslash escapes.
    Use the result for display only, not to open the file.
    """
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )


def source_name(path: PurePath, root: PurePath) -> str:
    """The ``source`` of a file: its printable name below ``root``, or its own name where it is ``root``."""
    return printable_name(path.name if path == root else path.relative_to(root).as_posix())
