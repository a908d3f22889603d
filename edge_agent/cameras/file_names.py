"""Names of files, as they may be shown and sent."""

from __future__ import annotations

import os
from pathlib import PurePath


def printable_name(name: str | PurePath) -> str:
    """``name`` as text that is valid UTF-8 and moves no terminal.

    Bytes that are not UTF-8, line breaks, escape sequences and other characters without a picture become backslash
    escapes. The result is to be shown, not opened.
    """
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )


def source_name(path: PurePath, root: PurePath) -> str:
    """The ``source`` of a file: its printable name below ``root``, or its own name where it is ``root``."""
    return printable_name(path.name if path == root else path.relative_to(root).as_posix())
