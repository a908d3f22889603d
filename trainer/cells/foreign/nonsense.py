"""Draws windows that show nothing of a smear, or a cell as no lens would show it: all of them must be refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from trainer.cells.windows.cutting import WINDOW_PX

Array: TypeAlias = NDArray[np.uint8]


class Nonsense(StrEnum):
    """The kinds of nonsense that are drawn."""

    NOISE = "noise"
    FLAT = "flat"
    GRADIENT = "gradient"
    TEXTURE = "texture"
    DISC = "disc"
    NEGATIVE = "negative"
    """A cell with its colours inverted."""
    BLURRED = "blurred"
    """A cell so far out of focus that its nucleus cannot be seen."""
    TEXT = "text"
    SHAPES = "shapes"
    FACE = "face"
    TILES = "tiles"
    """A cell's window, cut into squares that change places."""
    HALVES = "halves"
    """A cell's window with its halves turned: it still shows nucleus and cytoplasm."""


FITTED = (
    Nonsense.NOISE,
    Nonsense.FLAT,
    Nonsense.GRADIENT,
    Nonsense.TEXTURE,
    Nonsense.DISC,
    Nonsense.NEGATIVE,
    Nonsense.BLURRED,
)
"""The kinds that familiarity is fitted with. It has never seen the others."""


def draw(kind: Nonsense, cell: Array, rng: np.random.Generator) -> Array:
    """A window of that kind, uint8 RGB (96, 96, 3). If the kind is made of a cell, ``cell`` is that cell's window."""
    return _DRAWERS[kind](cell, rng)


def _noise(_: Array, rng: np.random.Generator) -> Array:
    return _levels(rng.normal(rng.uniform(60, 200, 3), rng.uniform(10, 80), (WINDOW_PX, WINDOW_PX, 3)))


def _flat(_: Array, rng: np.random.Generator) -> Array:
    return _plain(rng)


def _gradient(_: Array, rng: np.random.Generator) -> Array:
    angle = rng.uniform(0, 2 * np.pi)
    rows, columns = np.mgrid[0:WINDOW_PX, 0:WINDOW_PX] / WINDOW_PX
    share = (columns * np.cos(angle) + rows * np.sin(angle))[..., None]
    return _levels(rng.uniform(0, 255, 3) * (1 - share) + rng.uniform(0, 255, 3) * share)


def _texture(_: Array, rng: np.random.Generator) -> Array:
    return _levels(rng.uniform(60, 200, 3) + rng.uniform(15, 60) * _clouds(rng))


def _disc(_: Array, rng: np.random.Generator) -> Array:
    picture = _levels(rng.uniform(190, 250, 3) + rng.normal(0, 2, (WINDOW_PX, WINDOW_PX, 3)))
    middle = WINDOW_PX // 2
    cv2.circle(picture, (middle, middle), int(rng.integers(4, 30)), _colour(rng), cv2.FILLED, cv2.LINE_AA)
    return picture


def _negative(cell: Array, _: np.random.Generator) -> Array:
    return 255 - cell


def _blurred(cell: Array, rng: np.random.Generator) -> Array:
    return np.asarray(cv2.GaussianBlur(cell, (0, 0), rng.uniform(8, 14)), np.uint8)


def _text(_: Array, rng: np.random.Generator) -> Array:
    picture, colour = _plain(rng), _colour(rng)
    for _line in range(rng.integers(2, 7)):
        text = "".join(map(chr, rng.integers(ord("0"), ord("z") + 1, 8)))
        left, bottom = int(rng.integers(-20, 40)), int(rng.integers(0, WINDOW_PX))
        size, width = float(rng.uniform(0.4, 1.6)), int(rng.integers(1, 4))
        cv2.putText(picture, text, (left, bottom), cv2.FONT_HERSHEY_SIMPLEX, size, colour, width, cv2.LINE_AA)
    return picture


def _shapes(_: Array, rng: np.random.Generator) -> Array:
    picture = _levels(rng.uniform(60, 230, 3) + 10 * _clouds(rng, finest=6))
    for _shape in range(rng.integers(1, 12)):
        first, second = _point(rng), _point(rng)
        match rng.integers(3):
            case 0:
                cv2.circle(picture, first, int(rng.integers(3, 25)), _colour(rng), cv2.FILLED, cv2.LINE_AA)
            case 1:
                cv2.rectangle(picture, first, second, _colour(rng), cv2.FILLED)
            case _:
                cv2.line(picture, first, second, _colour(rng), int(rng.integers(1, 8)), cv2.LINE_AA)
    return picture


def _face(_: Array, rng: np.random.Generator) -> Array:
    picture = _levels(rng.uniform(0, 255, 3) + 15 * _clouds(rng))
    red, green, blue = rng.uniform((120, 80, 60), (240, 200, 180))
    axes = int(rng.integers(22, 34)), int(rng.integers(30, 42))
    cv2.ellipse(picture, (48, 50), axes, 0, 0, 360, (red, green, blue), cv2.FILLED, cv2.LINE_AA)
    for x in (37, 59):
        cv2.ellipse(picture, (x, 42), (5, 3), 0, 0, 360, (250, 250, 250), cv2.FILLED, cv2.LINE_AA)
        cv2.circle(picture, (x, 42), 2, (30, 20, 20), cv2.FILLED, cv2.LINE_AA)
    cv2.ellipse(picture, (48, 66), (9, 3), 0, 0, 180, (150, 50, 60), 2, cv2.LINE_AA)
    return picture


def _tiles(cell: Array, rng: np.random.Generator) -> Array:
    side = WINDOW_PX // 4
    tiles = [
        cell[row : row + side, left : left + side]
        for row in range(0, WINDOW_PX, side)
        for left in range(0, WINDOW_PX, side)
    ]
    order = rng.permutation(len(tiles))
    return np.vstack([np.hstack([tiles[at] for at in order[start : start + 4]]) for start in range(0, len(tiles), 4)])


def _halves(cell: Array, _: np.random.Generator) -> Array:
    middle = WINDOW_PX // 2
    picture = cell.copy()
    picture[:, middle:] = np.rot90(cell)[:, middle:]
    picture[middle:] = np.rot90(picture, 2)[middle:]
    return picture


_DRAWERS: Mapping[Nonsense, Callable[[Array, np.random.Generator], Array]] = MappingProxyType(
    {
        Nonsense.NOISE: _noise,
        Nonsense.FLAT: _flat,
        Nonsense.GRADIENT: _gradient,
        Nonsense.TEXTURE: _texture,
        Nonsense.DISC: _disc,
        Nonsense.NEGATIVE: _negative,
        Nonsense.BLURRED: _blurred,
        Nonsense.TEXT: _text,
        Nonsense.SHAPES: _shapes,
        Nonsense.FACE: _face,
        Nonsense.TILES: _tiles,
        Nonsense.HALVES: _halves,
    }
)


def _levels(values: NDArray[np.float64]) -> Array:
    """Round and clip values to a picture; missing dimensions are repeated."""
    picture = np.broadcast_to(values, (WINDOW_PX, WINDOW_PX, 3))
    return np.ascontiguousarray(np.clip(np.rint(picture), 0, 255).astype(np.uint8))


def _plain(rng: np.random.Generator) -> Array:
    return _levels(rng.uniform(0, 255, 3))


def _colour(rng: np.random.Generator) -> tuple[float, float, float]:
    red, green, blue = rng.uniform(0, 255, 3)
    return float(red), float(green), float(blue)


def _point(rng: np.random.Generator) -> tuple[int, int]:
    x, y = rng.integers(0, WINDOW_PX, 2)
    return int(x), int(y)


def _clouds(rng: np.random.Generator, finest: int = 48) -> NDArray[np.float64]:
    """Random values around 0 at several scales, up to ``finest`` in a row: float64 (96, 96, 3)."""
    total = np.zeros((WINDOW_PX, WINDOW_PX, 3))
    count, share = 2, 1.0
    while count <= finest:
        total += share * cv2.resize(
            rng.normal(size=(count, count, 3)), (WINDOW_PX, WINDOW_PX), interpolation=cv2.INTER_CUBIC
        )
        count, share = 2 * count, 0.6 * share
    return total
