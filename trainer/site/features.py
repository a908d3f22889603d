"""The outputs of the bundle's network for the pictures of a site."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_agent.vision.appearance import Appearance

THUMBNAIL_PX = 112
"""Large enough to find near-duplicates, and to show a person which picture is meant."""


@dataclass(frozen=True, slots=True, eq=False)
class SiteFeatures:
    """The features of n pictures, in the order of ``Examples.files``."""

    kind: str
    """Name of the features, as in ``head.json``."""
    features: NDArray[np.float32]
    """(n, f): the features of the pictures as they are."""
    varied: NDArray[np.float32]
    """(n, v, f): of v plausible variants of each: another lamp, focus, scale or batch of stain."""
    reasons: tuple[str | None, ...]
    """(n,): code of the reason for which the device would reject the picture; None if it is fit to be judged."""
    appearances: tuple[Appearance | None, ...]
    """(n,): simple measures of the field; None if it is not fit to be judged."""
    backgrounds: NDArray[np.float32]
    """(n, 6): mean and spread of the background in CIE LAB (``trainer.data.colours.background``)."""
    thumbnails: NDArray[np.uint8]
    """(n, THUMBNAIL_PX, THUMBNAIL_PX, 3): the fields, RGB."""

    def take(self, indices: NDArray[np.intp] | NDArray[np.int64]) -> SiteFeatures:
        """The features of the pictures with these indices, int (m,)."""
        chosen = indices.tolist()
        return SiteFeatures(
            self.kind,
            self.features[indices],
            self.varied[indices],
            tuple(self.reasons[index] for index in chosen),
            tuple(self.appearances[index] for index in chosen),
            self.backgrounds[indices],
            self.thumbnails[indices],
        )
