"""Keeps the measurements of a picture, so that a second fit need not run the network again."""

from __future__ import annotations

import hashlib
import io
import json
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import numpy as np

from edge_agent.inference.arrays import read_arrays
from edge_agent.vision.appearance import Appearance
from trainer.errors import OutputUnwritable
from trainer.files import make_folder, replacing
from trainer.site.picture import MeasuredPicture

_ARRAYS = ("features", "varied", "background", "thumbnail")


class PictureCache:
    """A folder with one file for each picture, by the picture's hash and by the names of what measured it."""

    def __init__(self, folder: Path | None, *measured_by: str) -> None:
        """Keep files in ``folder``, or nothing if it is None. ``measured_by`` names all that changes the outcome.

        Raises ``OutputUnwritable``.
        """
        key = hashlib.sha256("\n".join(measured_by).encode()).hexdigest()[:16]
        self._folder = None if folder is None else folder / key
        if self._folder is not None:
            make_folder(self._folder)

    def find(self, sha256: str) -> MeasuredPicture | None:
        """The kept measurements of a picture; None if there are none, or if the file is damaged."""
        if self._folder is None:
            return None
        try:
            arrays = read_arrays((self._folder / f"{sha256}.npz").read_bytes(), (*_ARRAYS, "rest"))
            rest = json.loads(arrays.pop("rest").tobytes())
            appearance = rest.pop("appearance")
            return MeasuredPicture(
                arrays["features"],
                arrays["varied"],
                arrays["background"],
                arrays["thumbnail"],
                appearance=None if appearance is None else Appearance(**appearance),
                **rest,
            )
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None

    def keep(self, sha256: str, picture: MeasuredPicture) -> None:
        """Keep a picture's measurements. A full disk only costs time at the next fit."""
        if self._folder is None:
            return
        rest = {
            "width_px": picture.width_px,
            "height_px": picture.height_px,
            "enlarged": picture.enlarged,
            "reason": picture.reason,
            "appearance": None if picture.appearance is None else asdict(picture.appearance),
        }
        content = io.BytesIO()
        np.savez(
            content,
            allow_pickle=False,
            rest=np.frombuffer(json.dumps(rest).encode(), np.uint8),
            **{name: getattr(picture, name) for name in _ARRAYS},
        )
        with suppress(OutputUnwritable), replacing(self._folder / f"{sha256}.npz") as file:
            file.write(content.getvalue())
