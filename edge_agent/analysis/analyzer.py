"""From a frame to a reading: the only place that knows the order of the stages."""

from __future__ import annotations

import hashlib
import logging
import time
from dataclasses import asdict, dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.cameras.frame import ColourOrder, Encoded, Frame, Pixels
from edge_agent.contracts import (
    Decision,
    ErrorReport,
    ImageIdentity,
    ModelIdentity,
    Nuclei,
    Outcome,
    Quality,
    Reason,
)
from edge_agent.errors import AnalysisError, EdgeAgentError, ImageError
from edge_agent.inference.classifier import Classification, Classifier
from edge_agent.inference.decision import decide
from edge_agent.vision.decode import DEFAULT_MAX_PIXELS, decode_image, read_header
from edge_agent.vision.field import choose_reduction, choose_window, cut
from edge_agent.vision.preprocessing import DENOISERS, PREPROCESSINGS, to_lab
from edge_agent.vision.quality import FieldQuality, QualityLimits, change_pct, measure, thumbnail
from edge_agent.vision.segmentation import Segmentation, segment

log = logging.getLogger(__name__)


class StageTimer:
    """Milliseconds per stage, in the order of the stages."""

    def __init__(self) -> None:
        self.laps_ms: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        """Book the time since the last lap to ``stage``."""
        now = time.perf_counter()
        self.laps_ms[stage] = self.laps_ms.get(stage, 0.0) + (now - self._last) * 1e3
        self._last = now

    def skip(self) -> None:
        """Book the time since the last lap to nothing."""
        self._last = time.perf_counter()


@dataclass(frozen=True, slots=True, eq=False)
class ExtractedField:
    """A frame with its field cut out, ready to be read, or with the reason why it cannot be."""

    frame: Frame
    field: NDArray[np.uint8] | None
    """uint8 RGB (size, size, 3), or None."""
    thumbnail: NDArray[np.uint8] | None
    """uint8 grey (32, 32), to compare extracts by, or None."""
    problem: Reason | EdgeAgentError | None
    timer: StageTimer
    waiting_ms: float


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """Arrays behind a reading, for the person at the microscope; they never leave the device."""

    field: NDArray[np.uint8]
    """uint8 RGB (size, size, 3)."""
    nuclei_mask: NDArray[np.uint8]
    """uint8 (size, size), 255 on nuclei."""
    class_activation_map: NDArray[np.float32] | None
    """(rows, columns, classes); None of a field that was not judged, or is unfamiliar."""


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What the analysis says of one frame."""

    frame: Frame
    outcome: Outcome
    model: ModelIdentity
    demonstration: bool
    latency_ms: dict[str, float]
    reason: Reason | None = None
    error: ErrorReport | None = None
    label: str | None = None
    malignant: bool | None = None
    probabilities: dict[str, float] | None = None
    malignant_ratio: float | None = None
    decision: Decision | None = None
    quality: Quality | None = None
    nuclei: Nuclei | None = None
    image: ImageIdentity | None = None
    explanation: Explanation | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class FieldAnalysis:
    """What is known of a field before the network sees it."""

    rgb: NDArray[np.uint8]
    """uint8 RGB (size, size, 3)."""
    segmentation: Segmentation
    quality: Quality
    refusal: Reason | None
    image: NDArray[np.uint8] | None
    """The network's input as uint8 (size, size, 3); None of a field that is refused."""


@dataclass(frozen=True, slots=True, eq=False)
class PendingReading:
    """An extracted field as far as it can be read without the network: its field, or already its reading."""

    extracted: ExtractedField
    field: FieldAnalysis | None = None
    reading: Reading | None = None


class Analyzer:
    """Judges frames with one classifier. Knows neither MQTT nor disk.

    Belongs to two threads at most: one that extracts and prepares, and one that concludes.
    """

    def __init__(
        self,
        classifier: Classifier,
        limits: QualityLimits,
        *,
        um_per_pixel: float | None = None,
        max_pixels: int = DEFAULT_MAX_PIXELS,
    ) -> None:
        """``um_per_pixel`` is the size of a pixel of the frames in the specimen, None if unknown."""
        manifest = classifier.manifest
        self._classifier = classifier
        self._limits = limits
        self._um_per_pixel = um_per_pixel
        self._max_pixels = max_pixels
        self._model = classifier.identity
        self._size_px = manifest.input.height_px
        self._denoise = DENOISERS[manifest.preprocessing.denoise]
        self._finish = PREPROCESSINGS[manifest.preprocessing.id]
        self._labels = manifest.labels
        self._malignant = np.array([label.malignant for label in manifest.labels])

    @property
    def model(self) -> ModelIdentity:
        """The model in use."""
        return self._model

    @property
    def demonstration(self) -> bool:
        """Whether the model in use was not trained on real smears."""
        return self._classifier.manifest.demonstration

    def analyse(self, frame: Frame) -> Reading:
        """Extract and judge one frame by itself."""
        return self.read(self.extract(frame))

    def extract(self, frame: Frame) -> ExtractedField:
        """Decode a frame as far as needed and cut its field out. Problems are kept in the result, not raised."""
        waiting_ms = max(0.0, (time.monotonic_ns() - frame.monotonic_ns) / 1e6)
        timer = StageTimer()
        try:
            cut_out = self._cut_field(frame, timer)
        except ImageError as error:
            return ExtractedField(frame, None, None, error, timer, waiting_ms)
        except Exception as error:  # noqa: BLE001 - whatever a picture does to us, its reading must exist
            return ExtractedField(frame, None, None, _defect(error), timer, waiting_ms)
        if cut_out is None:
            return ExtractedField(frame, None, None, Reason.FIELD_TOO_SMALL, timer, waiting_ms)
        small = thumbnail(cut_out)
        timer.lap("field")
        return ExtractedField(frame, cut_out, small, None, timer, waiting_ms)

    def _cut_field(self, frame: Frame, timer: StageTimer) -> NDArray[np.uint8] | None:
        image = frame.image
        if isinstance(image, ImageError):
            raise image
        if isinstance(image, Pixels):
            height, width = image.array.shape[:2]
        else:
            header = read_header(image.data, max_pixels=self._max_pixels)
            height, width = header.height_px, header.width_px
        window = choose_window(
            height,
            width,
            size_px=self._size_px,
            um_per_pixel=self._um_per_pixel,
            model_um_per_pixel=self._classifier.manifest.um_per_pixel,
        )
        if window is None:
            return None
        if isinstance(image, Pixels):
            field_array = cut(image.array, window, self._size_px)
            if image.order is ColourOrder.BGR:
                field_array = np.asarray(cv2.cvtColor(field_array, cv2.COLOR_BGR2RGB), dtype=np.uint8)
            return field_array
        reduction = choose_reduction(window, self._size_px)
        rgb = decode_image(image.data, reduction=reduction, header=header)
        timer.lap("decode")
        return cut(rgb, window.reduced(reduction), self._size_px)

    def read(self, extracted: ExtractedField, *, before: ExtractedField | None = None) -> Reading:
        """Judge an extracted field. ``before`` is the one just before it, to measure motion against.

        Never raises for what a frame can bring: a problem makes the reading ``rejected`` or ``failed``.
        """
        return self.conclude(self.prepare(extracted, before=before))

    def prepare(self, extracted: ExtractedField, *, before: ExtractedField | None = None) -> PendingReading:
        """All of ``read`` that comes before the network. One thread may prepare while another concludes."""
        extracted.timer.skip()
        if extracted.field is None:
            return PendingReading(extracted, reading=self._without_field(extracted))
        try:
            return self._prepare(extracted, extracted.field, before)
        except Exception as error:  # noqa: BLE001 - a defect of ours must not lose the frame's reading
            return PendingReading(extracted, reading=self._failed(extracted, _defect(error)))

    def conclude(self, pending: PendingReading) -> Reading:
        """The rest of ``read``: the network, and what follows from it."""
        if pending.reading is not None:
            return pending.reading
        pending.extracted.timer.lap("handover")
        try:
            return self._judge(pending)
        except EdgeAgentError as error:
            return self._failed(pending.extracted, error)
        except Exception as error:  # noqa: BLE001 - as above
            return self._failed(pending.extracted, _defect(error))

    def _without_field(self, extracted: ExtractedField) -> Reading:
        if isinstance(extracted.problem, Reason):
            return Reading(
                frame=extracted.frame,
                outcome=Outcome.REJECTED,
                reason=extracted.problem,
                model=self._model,
                demonstration=self.demonstration,
                latency_ms=_latency(extracted),
                image=_image_identity(extracted),
            )
        if extracted.problem is None:
            raise ValueError("a extracted without a field has a problem")
        return self._failed(extracted, extracted.problem)

    def _failed(self, extracted: ExtractedField, error: EdgeAgentError) -> Reading:
        return Reading(
            frame=extracted.frame,
            outcome=Outcome.FAILED,
            error=ErrorReport.from_error(error),
            model=self._model,
            demonstration=self.demonstration,
            latency_ms=_latency(extracted),
            image=_image_identity(extracted),
        )

    def _prepare(
        self, extracted: ExtractedField, rgb: NDArray[np.uint8], before: ExtractedField | None
    ) -> PendingReading:
        timer = extracted.timer
        denoised = self._denoise(rgb)
        lab = to_lab(denoised)
        timer.lap("colour")
        segmentation = segment(lab)
        timer.lap("segmentation")
        motion = None
        if before is not None and before.thumbnail is not None and extracted.thumbnail is not None:
            motion = change_pct(before.thumbnail, extracted.thumbnail)
        measured = measure(rgb, lab, segmentation)
        quality = Quality(**_rounded({**asdict(measured), "motion_pct": motion}))
        refusal = rejection_reason(measured, segmentation.coverage_pct, motion, self._limits)
        timer.lap("quality")
        image = None
        if refusal is None:
            image = self._finish(denoised, lab, segmentation)
            timer.lap("preprocessing")
        return PendingReading(extracted, FieldAnalysis(rgb, segmentation, quality, refusal, image))

    def _judge(self, pending: PendingReading) -> Reading:
        extracted, field_read = pending.extracted, pending.field
        if field_read is None:
            raise ValueError("what is pending has a field or a reading")
        classification: Classification | None = None
        outcome, reason, decision = Outcome.REJECTED, field_read.refusal, None
        if field_read.image is not None:
            classification = self._classifier.classify(field_read.image)
            extracted.timer.lap("inference")
            outcome, reason, decision = decide(classification, self._classifier.manifest.thresholds)
        # What a network says of a field of a kind that it never saw is worth nothing, so nobody gets to see it.
        said = None if reason is Reason.UNFAMILIAR else classification
        probabilities = None if said is None else said.probabilities
        winner = None
        if outcome is Outcome.CLASSIFIED and probabilities is not None:
            winner = self._labels[int(probabilities.argmax())]
        nuclei = self._nuclei(field_read.segmentation)
        identity = _image_identity(extracted)
        extracted.timer.lap("decision")
        return Reading(
            frame=extracted.frame,
            outcome=outcome,
            reason=reason,
            model=self._model,
            demonstration=self.demonstration,
            label=None if winner is None else winner.code,
            malignant=None if winner is None else winner.malignant,
            probabilities=None if probabilities is None else self._by_label(probabilities),
            malignant_ratio=None if probabilities is None else _ratio(probabilities[self._malignant].sum()),
            decision=decision,
            quality=field_read.quality,
            nuclei=nuclei,
            latency_ms=_latency(extracted),
            image=identity,
            explanation=Explanation(
                field_read.rgb,
                field_read.segmentation.mask,
                None if said is None else said.class_activation_map,
            ),
        )

    def _by_label(self, probabilities: NDArray[np.float64]) -> dict[str, float]:
        return {label.code: _ratio(p) for label, p in zip(self._labels, probabilities, strict=True)}

    def _nuclei(self, segmentation: Segmentation) -> Nuclei:
        median = float(np.median(segmentation.areas_px)) if segmentation.count else None
        scale = self._classifier.manifest.um_per_pixel
        # The window has the training images' scale only if the camera's is known too.
        known = scale is not None and self._um_per_pixel is not None and median is not None
        return Nuclei(
            count=segmentation.count,
            coverage_pct=round(segmentation.coverage_pct, 3),
            median_area_px=median,
            median_area_um2=round(median * scale * scale, 3) if known and median and scale else None,
        )


def rejection_reason(
    measured: FieldQuality, coverage_pct: float, motion_pct: float | None, limits: QualityLimits
) -> Reason | None:
    """The first reason for which a field is not fit to be judged, or None.

    What spoils the other measures comes first: a black field is under-exposed, not empty or blurred.
    """
    checks = (
        (Reason.UNDER_EXPOSED, measured.brightness_pct < limits.min_brightness_pct),
        (Reason.UNDER_EXPOSED, measured.clipped_dark_pct > limits.max_clipped_dark_pct),
        (Reason.OVER_EXPOSED, _over_exposed(measured, limits)),
        (Reason.NO_COLOUR, measured.colourfulness_delta_e < limits.min_colourfulness_delta_e),
        (Reason.COLOUR_CAST, measured.colour_cast_delta_e > limits.max_colour_cast_delta_e),
        (Reason.MOVING, motion_pct is not None and motion_pct > limits.max_motion_pct),
        (Reason.EMPTY_FIELD, coverage_pct < limits.min_coverage_pct),
        (Reason.BLURRED, measured.focus_score is not None and measured.focus_score < limits.min_focus_score),
    )
    return next((reason for reason, unfit in checks if unfit), None)


def _over_exposed(measured: FieldQuality, limits: QualityLimits) -> bool:
    """By the nuclei, where there are any: white paper between the cells has nothing to lose."""
    if measured.clipped_nuclei_pct is not None:
        return measured.clipped_nuclei_pct > limits.max_clipped_nuclei_pct
    return (
        measured.brightness_pct > limits.max_brightness_pct
        or measured.clipped_bright_pct > limits.max_clipped_bright_pct
    )


def _rounded(values: dict[str, float | None]) -> dict[str, float | None]:
    """To a thousandth: what a message does not mean it does not carry."""
    return {name: None if value is None else round(value, 3) for name, value in values.items()}


def _ratio(probability: float) -> float:
    """Rounded to what an int8 model can mean, and never above 1 by a rounding error."""
    return min(1.0, round(float(probability), 6))


def _latency(extracted: ExtractedField) -> dict[str, float]:
    laps = {stage: round(ms, 3) for stage, ms in extracted.timer.laps_ms.items()}
    return {
        "waiting": round(extracted.waiting_ms, 3),
        **laps,
        "total": round(sum(extracted.timer.laps_ms.values()), 3),
    }


def _image_identity(extracted: ExtractedField) -> ImageIdentity | None:
    """Of the compressed bytes where there are any, else of the field's pixels."""
    image = extracted.frame.image
    if isinstance(image, Encoded):
        content: bytes | memoryview = image.data
    elif extracted.field is not None:
        content = extracted.field.data
    else:
        return None
    return ImageIdentity(sha256=hashlib.sha256(content).hexdigest(), stored=False)


def _defect(error: Exception) -> AnalysisError:
    log.error("analysis_failed", exc_info=error)
    return AnalysisError(f"{type(error).__name__}: {error}")
