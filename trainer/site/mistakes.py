"""Lists the pictures that cross-validation gets wrong, to look at again: some have a wrong label."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from pydantic import Field

from edge_agent.errors import ImageError
from edge_agent.settings import Settings
from trainer.data.dataset import printable, read_field
from trainer.files import make_folder, replacing
from trainer.site.cross_validation import CrossValidation
from trainer.site.examples import Examples

MAX_SHOWN = 60
"""Pictures of a contact sheet; nobody looks at more at once."""
_COLUMNS = 4
_PICTURE_PX, _GAP_PX, _CAPTION_PX, _TOP_PX = 224, 16, 78, 78
_PAPER, _INK, _SOFT, _WRONG = "#ffffff", "#1d2733", "#5b6b7c", "#a3341c"
_TITLE_PX, _TEXT_PX, _SMALL_PX = 22, 17, 14


class Mistake(Settings):
    """A picture that was held out and named otherwise than its label says."""

    number: int = Field(description="On the contact sheet, from 1.")
    sha256: str
    path: str
    label: str = Field(description="As given.")
    predicted: str
    predicted_ratio: float = Field(description="Probability of the predicted class.")
    doubt_ratio: float = Field(
        description="Probability that the head gives to all classes but the given one: near 1, look at the label first."
    )


def find_mistakes(examples: Examples, validation: CrossValidation) -> tuple[Mistake, ...]:
    """All mistakes, the most doubtful labels first (self-confidence of Northcutt, Jiang and Chuang, 2021)."""
    given = validation.probabilities[np.arange(len(examples.labels)), examples.labels]
    wrong = np.flatnonzero(validation.top != examples.labels)
    return tuple(
        Mistake(
            number=number,
            sha256=examples.files[index].sha256,
            path=printable(examples.files[index].path),
            label=examples.codes[examples.labels[index]],
            predicted=examples.codes[validation.top[index]],
            predicted_ratio=float(validation.probabilities[index].max()),
            doubt_ratio=float(1 - given[index]),
        )
        for number, index in enumerate(wrong[np.argsort(given[wrong], kind="stable")].tolist(), 1)
    )


def write_contact_sheet(
    path: Path, mistakes: Sequence[Mistake], examples: Examples, thumbnails: NDArray[np.uint8]
) -> None:
    """Write the first ``MAX_SHOWN`` mistakes, at least one, as one PNG. Raises ``OutputUnwritable``.

    ``thumbnails``, uint8 RGB (n, h, w, 3), stand in for pictures that can no longer be read.
    """
    index_of = {file.sha256: index for index, file in enumerate(examples.files)}
    shown = mistakes[:MAX_SHOWN]
    columns = min(_COLUMNS, max(3, len(shown)))
    rows = -(-len(shown) // columns)
    width = _GAP_PX + columns * (_PICTURE_PX + _GAP_PX)
    sheet = Image.new("RGB", (width, _TOP_PX + rows * (_PICTURE_PX + _CAPTION_PX)), _PAPER)
    draw = ImageDraw.Draw(sheet)
    count = len(mistakes)
    more = "" if count <= MAX_SHOWN else f", the {MAX_SHOWN} most doubtful"
    title = f"{count} picture{'s' if count > 1 else ''} to look at again{more}"
    draw.text((_GAP_PX, 14), title, _INK, _font(_TITLE_PX))
    draw.text(
        (_GAP_PX, 44), "The head names them otherwise than their label. Is the label right?", _SOFT, _font(_TEXT_PX)
    )
    for place, mistake in enumerate(shown):
        row, column = divmod(place, columns)
        left = _GAP_PX + column * (_PICTURE_PX + _GAP_PX)
        top = _TOP_PX + row * (_PICTURE_PX + _CAPTION_PX)
        index = index_of[mistake.sha256]
        sheet.paste(_picture(examples, index, thumbnails[index]), (left, top))
        _caption(draw, mistake, left, top + _PICTURE_PX + 4)
    make_folder(path.parent)
    with replacing(path) as file:
        sheet.save(file, "PNG")


def _picture(examples: Examples, index: int, thumbnail: NDArray[np.uint8]) -> Image.Image:
    try:
        field, _ = read_field(examples.folder / examples.files[index].path, examples.description.geometry)
    except ImageError:
        field = thumbnail
    return Image.fromarray(field).resize((_PICTURE_PX, _PICTURE_PX), Image.Resampling.LANCZOS)


def _caption(draw: ImageDraw.ImageDraw, mistake: Mistake, left: int, top: int) -> None:
    name = Path(mistake.path).name
    for text, colour, font, down in (
        (f"{mistake.number}. labelled {mistake.label}", _INK, _font(_TEXT_PX), 0),
        (f"head: {mistake.predicted} {100 * mistake.predicted_ratio:.0f} %", _WRONG, _font(_TEXT_PX), 20),
        (name, _SOFT, _font(_SMALL_PX), 41),
    ):
        draw.text((left, top + down), _shorten(text, font), colour, font)


def _shorten(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    if font.getlength(text) <= _PICTURE_PX:
        return text
    while text and font.getlength(f"{text}...") > _PICTURE_PX:
        text = text[:-1]
    return f"{text}..."


def _font(size_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size_px)
