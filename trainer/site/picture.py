"""One picture of a site as the agent sees it, with the outputs of the bundle's network for it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic_ns

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.analysis.analyzer import Analyzer
from edge_agent.analysis.cell_scale import CellScale, unfit_for_window
from edge_agent.analysis.differences import field_appearance
from edge_agent.analysis.extraction import ExtractedField, Extraction, FailedFrame, RejectedFrame
from edge_agent.analysis.reading import PendingReading
from edge_agent.cameras.frame import ColourOrder, Encoded, Frame, Pixels
from edge_agent.contracts import Reason
from edge_agent.errors import ImageError
from edge_agent.inference import Classifier
from edge_agent.inference.features import FEATURES, FeatureKind
from edge_agent.inference.geometry import field_geometry
from edge_agent.vision.appearance import Appearance
from edge_agent.vision.cell_windows import cut_cell, cut_window
from edge_agent.vision.cells import CELL_WINDOW_UM
from edge_agent.vision.decode import decode_image, read_header
from edge_agent.vision.field import Geometry
from edge_agent.vision.settings import QualityLimits
from trainer.augmentation.plausible import vary_plausibly
from trainer.data.colours import background
from trainer.networks.int8 import preprocess_for
from trainer.site.features import THUMBNAIL_PX

VARIANTS_COUNT = 6
"""Plausible variants of each picture. A site has few pictures, so each has one more variant than a bundle's have."""


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredPicture:
    """Everything known of one picture except its label."""

    features: NDArray[np.float32]
    """(f,)."""
    varied: NDArray[np.float32]
    """(v, f)."""
    background: NDArray[np.float32]
    """(6,)."""
    thumbnail: NDArray[np.uint8]
    """(THUMBNAIL_PX, THUMBNAIL_PX, 3) RGB."""
    width_px: int
    height_px: int
    enlarged: bool
    reason: str | None
    """Why the device would reject the picture; None if it would not."""
    appearance: Appearance | None


class PictureMeter:
    """Measures pictures with one bundle, as the device would see them."""

    def __init__(self, classifier: Classifier, kind: str, *, cell_scale: CellScale | None = None) -> None:
        """``cell_scale`` is that of pictures of one cell each, for a bundle of the kind 'cells'; None for fields."""
        self._classifier = classifier
        self._analyzer = Analyzer(classifier, QualityLimits(), proof=None)
        self._features: FeatureKind = FEATURES[kind]
        self._cell_scale = cell_scale
        manifest = classifier.manifest
        self._side_px = manifest.input.height_px
        self._window_um = CELL_WINDOW_UM if manifest.cells is None else manifest.cells.window_um
        self._geometry = field_geometry(manifest.field, self._side_px)

    def measure(self, data: bytes, seed: int, *, variants: int = VARIANTS_COUNT) -> MeasuredPicture:
        """Measure an image file. The same ``seed`` varies it in the same way.

        Raises ``ImageError`` if the file cannot be read, or ``InferenceError``.
        """
        header = read_header(data)
        reason: str | None = None
        appearance = None
        if self._cell_scale is not None:
            field, small = self._see_cell(data, self._cell_scale)
        else:
            extraction, small = self._see(data)
            field = extraction.rgb
            prepared = self._analyzer.prepare(extraction)
            if isinstance(prepared, PendingReading):
                appearance = field_appearance(prepared.extracted, prepared.analysis)
            elif prepared.reason is not None:
                reason = prepared.reason.value
        generators = [np.random.default_rng(each) for each in np.random.SeedSequence(seed).spawn(variants)]
        features = self.describe(field)
        varied = [self.describe(vary_plausibly(field, rng)) for rng in generators]
        return MeasuredPicture(
            features,
            np.stack(varied) if varied else np.empty((0, len(features)), np.float32),
            background(field),
            np.asarray(cv2.resize(field, (THUMBNAIL_PX, THUMBNAIL_PX), interpolation=cv2.INTER_AREA), np.uint8),
            header.width_px,
            header.height_px,
            small,
            Reason.FIELD_TOO_SMALL.value if small else reason,
            appearance,
        )

    def field(self, data: bytes) -> NDArray[np.uint8]:
        """The field of an image file, uint8 RGB (size, size, 3), enlarged if necessary; or its cell's window.

        Raises ``ImageError``.
        """
        return self._see(data)[0].rgb if self._cell_scale is None else self._see_cell(data, self._cell_scale)[0]

    def describe(self, field: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Features (f,) of a field, whether or not the device would reject it. Raises ``InferenceError``."""
        image = preprocess_for(field, self._classifier)
        return self._features.make(image, self._classifier.run(image).middle_map)

    def describe_and_check(self, field: NDArray[np.uint8]) -> tuple[NDArray[np.float32], bool]:
        """``describe``, and whether the device would reject the field before asking the network; never for a cell."""
        if self._cell_scale is not None:
            return self.describe(field), False
        prepared = self._analyzer.prepare(self._extract(Pixels(field, ColourOrder.RGB)))
        return self.describe(field), not isinstance(prepared, PendingReading)

    def _see_cell(self, data: bytes, scale: CellScale) -> tuple[NDArray[np.uint8], bool]:
        """The window of one cell, and whether the device would reject the image file because of its size."""
        rgb = decode_image(data)
        height, width = rgb.shape[:2]
        um_per_pixel = scale.um_per_pixel_of(height, width)
        if unfit_for_window(height, width, self._window_um / um_per_pixel, self._side_px) is not None:
            side = min(height, width)
            return cut_window(rgb, (width / 2, height / 2), (side, side), self._side_px), True
        return cut_cell(rgb, um_per_pixel, self._window_um, self._side_px).window, False

    def _see(self, data: bytes) -> tuple[ExtractedField, bool]:
        """The field that the device sees in a file, and whether the file had to be enlarged. Raises ``ImageError``."""
        extraction = self._extract(Encoded(data))
        small = isinstance(extraction, RejectedFrame)
        if small:
            extraction = self._extract(Pixels(_enlarge(decode_image(data), self._geometry), ColourOrder.RGB))
        if isinstance(extraction, ExtractedField):
            return extraction, small
        error = extraction.error if isinstance(extraction, FailedFrame) else None
        raise error if isinstance(error, ImageError) else ImageError("It cannot be made a field of.")

    def _extract(self, image: Encoded | Pixels) -> Extraction:
        return self._analyzer.extract(Frame("site", datetime.now(UTC), monotonic_ns(), image))


def _enlarge(rgb: NDArray[np.uint8], geometry: Geometry) -> NDArray[np.uint8]:
    """Enlarge the picture, uint8 RGB (h, w, 3), just enough that its field need not be enlarged."""
    height, width = rgb.shape[:2]
    shape = geometry.aspect_width / geometry.aspect_height
    shape = 1 / shape if height > width else shape
    window_px = min(height, width, width / shape, height * shape)
    factor = geometry.size_px / window_px
    size = math.ceil(width * factor), math.ceil(height * factor)
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_CUBIC), np.uint8)
