"""The fonts of a report, which are embedded in the document: it looks the same on every screen and in ten years.

Bitstream Vera comes with reportlab, and has the letters of Western Europe.
"""

from __future__ import annotations

from functools import cache
from typing import cast

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont

REGULAR, BOLD = "Vera", "VeraBd"


@cache
def register_fonts() -> None:
    """Register both fonts with reportlab. Call it before anything is laid out."""
    for name in (REGULAR, BOLD):
        pdfmetrics.registerFont(TTFont(name, f"{name}.ttf"))


def printable(text: str) -> str:
    """The text with question marks in place of the letters that the fonts lack."""
    register_fonts()
    known = cast("dict[int, int]", pdfmetrics.getFont(REGULAR).face.charToGlyph)
    return "".join(letter if ord(letter) in known else "?" for letter in text)
