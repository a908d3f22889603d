"""Finds out which bundle and how many threads this computer needs, where the configuration says ``auto``."""

from __future__ import annotations

import logging
import os
import time

import cv2
import numpy as np

from edge_agent.agent.factory import assemble, make_cells_classifier, make_classifier
from edge_agent.analysis.extraction import RejectedFrame
from edge_agent.analysis.settings import AUTO
from edge_agent.analysis.speed_choice import Candidate, SpeedChoice, Timing, choose, time_readings, time_until_held
from edge_agent.cameras.frame import ColourOrder, Encoded, Pixels, frame_now
from edge_agent.cameras.settings import CameraSettings, PiCameraSettings, SyntheticSettings
from edge_agent.cameras.smear import draw_smear
from edge_agent.config import Config
from edge_agent.inference.auto_bundles import auto_bundles
from edge_agent.vision.settings import QualityLimits

log = logging.getLogger(__name__)

BUDGET_S = 2.5
"""The most that the tests of one start take, but for what is being timed when it is spent."""

JPEG_QUALITY = 92
"""Gives drawn frames the size of real ones."""

_DEFAULT_SIZE_PX = (960, 1280)
_TILE_PX = (240, 320)
_FIELD_UM = 105.0
"""Height of the field that a microscope shows to such a camera."""

_UNLIMITED = QualityLimits(
    min_focus_score=0,
    min_brightness_pct=0,
    max_brightness_pct=100,
    max_clipped_dark_pct=100,
    max_clipped_bright_pct=100,
    max_clipped_nuclei_pct=100,
    max_colour_cast_delta_e=1000,
    min_colourfulness_delta_e=0,
    min_coverage_pct=0,
    min_foreground_pct=0,
    max_motion_pct=100,
)

_ANY_MEGAPIXELS = 1000.0
"""More than any frame has that can be asked for."""


class SpeedTests:
    """Tests the speed once for each setting, and remembers the choice for as long as the process runs.

    While the agent reads, the same frames are judged by the same model: only a restart tests again.
    """

    def __init__(self, cores_count: int | None = None) -> None:
        """``cores_count`` is the number of cores to choose from; by default those that this process may use."""
        self._cores_count = cores_count or len(os.sched_getaffinity(0))
        self._choices: dict[str, SpeedChoice] = {}

    def settle(self, config: Config) -> Config:
        """``config`` with a bundle and a number of threads wherever it says ``auto``; may take seconds the first time.

        Raises ``BundleError``, ``RuntimeMissing``, ``SigningMissing``, as for the bundles themselves.
        """
        choice = self._choice(config)
        return config if choice is None else _with(config, choice.chosen.candidate)

    def settle_as(self, config: Config, in_use: Config) -> Config:
        """``config`` with what was found for ``in_use`` wherever it says ``auto``, without a test of its own.

        For what is loaded beside the model in use. Only ``auto`` beside a bundle that is named is tested, if it was
        not before: that bundle is no choice. Raises as ``settle`` does.
        """
        if config.analysis.bundle == AUTO and in_use.analysis.bundle != AUTO:
            return self.settle(config)
        return _with(config, _candidate(self.settle(in_use)))

    def choice(self, config: Config) -> SpeedChoice | None:
        """What was chosen for a configuration that was settled; None if it says ``auto`` nowhere."""
        return self._choices.get(_key(config))

    def _choice(self, config: Config) -> SpeedChoice | None:
        if AUTO not in (config.analysis.bundle, config.analysis.threads_count):
            return None
        key = _key(config)
        if key not in self._choices:
            self._choices[key] = _test(config, self._cores_count)
        return self._choices[key]


def _test(config: Config, cores_count: int) -> SpeedChoice:
    settings = config.analysis
    threads = range(1, cores_count + 1) if isinstance(settings.threads_count, str) else (settings.threads_count,)
    bundles = auto_bundles(settings.head, config.models.trust()) if settings.bundle == AUTO else (settings.bundle,)
    candidates = [Candidate(name, count) for name in bundles for count in threads]
    picture = _picture(config.camera)
    unlimited = _unlimited(config)

    def measure(candidate: Candidate) -> Timing:
        configured = _with(unlimited, candidate)
        classifier, cells = make_classifier(configured), make_cells_classifier(configured)
        analyzer = assemble(configured, classifier, cells)
        if isinstance(analyzer.extract(frame_now(config.camera.id, picture)), RejectedFrame):
            # Frames of this scale show more than the drawn one does, so all of that is the field.
            analyzer = assemble(_without_scale(configured), classifier, cells)

        def read() -> float:
            began = time.perf_counter()
            analyzer.analyse(frame_now(config.camera.id, picture))
            return (time.perf_counter() - began) * 1e3

        return time_readings(candidate, read, settings.target_ms)

    timings = time_until_held(candidates, measure, settings.target_ms, budget_s=BUDGET_S, clock=time.monotonic)
    choice = choose(tuple(timings), settings.target_ms)
    log.log(logging.INFO if choice.holds else logging.WARNING, "auto chose %s", choice)
    return choice


def _unlimited(config: Config) -> Config:
    """``config`` that refuses nothing: a field that is not judged would cost less than one that is."""
    analysis = config.analysis.model_copy(update={"max_image_megapixels": _ANY_MEGAPIXELS})
    return config.model_copy(update={"quality": _UNLIMITED, "analysis": analysis})


def _without_scale(config: Config) -> Config:
    return config.model_copy(update={"camera": config.camera.model_copy(update={"um_per_pixel": None})})


def _with(config: Config, candidate: Candidate) -> Config:
    settings = config.analysis
    bundle = candidate.bundle if settings.bundle == AUTO else settings.bundle
    threads = candidate.threads_count if settings.threads_count == AUTO else settings.threads_count
    analysis = settings.model_copy(update={"bundle": bundle, "threads_count": threads})
    return config.model_copy(update={"analysis": analysis})


def _candidate(settled: Config) -> Candidate:
    return Candidate(settled.analysis.bundle, int(settled.analysis.threads_count))


def _key(config: Config) -> str:
    """All that the choice depends on, as long as the software stays the same."""
    camera = config.camera
    return f"{config.analysis.model_dump_json()} {camera.kind} {_size_px(camera)} {camera.um_per_pixel}"


def _size_px(camera: CameraSettings) -> tuple[int, int]:
    """Height and width that the camera is asked for; a file or stream has any."""
    width_px, height_px = getattr(camera, "width_px", None), getattr(camera, "height_px", None)
    return _DEFAULT_SIZE_PX if width_px is None or height_px is None else (height_px, width_px)


def _picture(camera: CameraSettings) -> Pixels | Encoded:
    """A drawn smear in the form and size in which this camera delivers its frames."""
    height_px, width_px = _size_px(camera)
    # Drawing a whole frame takes half a second and 40 MB, which the process would keep.
    um_per_pixel = camera.um_per_pixel or _FIELD_UM / height_px
    tile, _ = draw_smear(np.random.default_rng(7), "pre-b", size_px=_TILE_PX, um_per_pixel=um_per_pixel)
    repeats = (-(-height_px // _TILE_PX[0]), -(-width_px // _TILE_PX[1]), 1)
    rgb = np.ascontiguousarray(np.tile(tile, repeats)[:height_px, :width_px])
    if isinstance(camera, PiCameraSettings | SyntheticSettings):
        return Pixels(rgb, ColourOrder.RGB)
    _, jpeg = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return Encoded(jpeg.tobytes())
