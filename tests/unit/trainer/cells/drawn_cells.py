"""Drawn pictures of single cells, and data folders of laboratories made of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from trainer.cells.laboratories.listing import ListedCell
from trainer.cells.laboratories.sources import Meaning, Sources

GLASS = (236, 230, 234)
NUCLEUS = (96, 52, 150)
RED_CELL = (222, 178, 182)

SIDE_UM = 30.0


def draw_cell(
    *,
    side_px: int = 120,
    side_um: float = SIDE_UM,
    centre_um: tuple[float, float] = (15.0, 15.0),
    nucleus_um: float = 10.0,
    cut_out: bool = False,
) -> NDArray[np.uint8]:
    """A uint8 RGB square: a round nucleus and, unless it is cut out on black, glass and red cells in the corners."""
    scale = side_px / side_um
    picture = np.full((side_px, side_px, 3), (0, 0, 0) if cut_out else GLASS, np.uint8)
    if not cut_out:
        for x in (3.0, 27.0):
            for y in (3.0, 27.0):
                cv2.circle(picture, _at(x, y, scale), round(3.75 * scale), RED_CELL, cv2.FILLED)
    cv2.circle(picture, _at(*centre_um, scale), round(nucleus_um / 2 * scale), NUCLEUS, cv2.FILLED)
    return picture


def _at(x_um: float, y_um: float, scale: float) -> tuple[int, int]:
    return round(x_um * scale), round(y_um * scale)


def write_picture(path: Path, rgb: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))[1].tobytes())


def make_sources(*codes: str, patients: Iterable[str] = (), testing: Iterable[str] = ()) -> Sources:
    """Laboratories that share one manifest, with a few classes."""
    return Sources.model_validate(
        {
            "laboratories": [
                {
                    "code": code,
                    "name": code,
                    "manifest": "cells/manifest.csv",
                    "images": "cells",
                    "path_prefix": f"{code}/",
                    "side_um": SIDE_UM,
                    "scale_source": "drawn",
                    "licence": "none",
                    "groups": "patients" if code in patients else "unknown",
                    "use": "testing" if code in testing else "training",
                }
                for code in codes
            ],
            "classes": {
                "blast": "blast",
                "neutrophil_band": "neutrophil",
                "healthy": "not-blast",
                "platelet": "not-a-cell",
                "plasma_cell": "left-out",
            },
        }
    )


def listed(
    laboratory: str, meaning: Meaning, group: str | None = None, sha256: str = "0", path: Path = Path("x.png")
) -> ListedCell:
    """A cell in which only the properties matter that a test is about."""
    return ListedCell(path, laboratory, meaning, group, sha256)
