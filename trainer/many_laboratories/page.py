"""Puts the rendered tables between their markers in a page, and leaves everything else as it is.

A block begins with ``<!-- table: NAME -->`` and ends with ``<!-- end of table -->``, each on a line of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from trainer.errors import DataError
from trainer.files import replacing

_BLOCK = re.compile(
    r"(?P<begin>^<!-- table: (?P<name>[a-z-]+) -->\n)(?:(?!<!-- table: ).)*?(?P<end>^<!-- end of table -->$)",
    re.MULTILINE | re.DOTALL,
)


def fill_in(text: str, blocks: Mapping[str, str], page: str) -> str:
    """``text`` with its blocks replaced from ``blocks``. Raises ``DataError`` for a block that is not among them."""

    def replace(found: re.Match[str]) -> str:
        name = found["name"]
        if name not in blocks:
            raise DataError(
                f"{page} has a table '{name}', which nobody renders.", remedy=f"Name one of {', '.join(blocks)}."
            )
        return f"{found['begin']}\n{blocks[name]}\n\n{found['end']}"

    filled = _BLOCK.sub(replace, text)
    if filled.count("<!-- table: ") != len(_BLOCK.findall(filled)):
        raise DataError(
            f"{page} has a table without its end.", remedy="Close each with <!-- end of table --> on its own line."
        )
    return filled


def write_table(path: Path, table: str) -> None:
    """Write a table by itself, as 'trainer bundle-cells --table' takes it. Raises ``OutputUnwritable``."""
    with replacing(path) as file:
        file.write(f"{table}\n".encode())


def update_page(page: Path, blocks: Mapping[str, str]) -> None:
    """Fill in the blocks of a file. Raises ``DataError`` and ``OutputUnwritable``."""
    try:
        text = page.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise DataError(f"{page} cannot be read.", remedy="Check --page.") from error
    filled = fill_in(text, blocks, page.name)
    if filled != text:
        with replacing(page) as file:
            file.write(filled.encode())
