"""Judges images that are one cell each, as data sets of single cells have them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_agent.analysis.cell_judge import CellJudge
from edge_agent.analysis.defect import defect
from edge_agent.analysis.image_identity import image_identity
from edge_agent.analysis.nuclei import describe_judgement
from edge_agent.analysis.reading import Reading
from edge_agent.analysis.stage_timer import StageTimer
from edge_agent.cameras.frame import ColourOrder, Frame, Pixels
from edge_agent.contracts import Cell, ErrorReport, ModelIdentity, Outcome, Reason
from edge_agent.errors import EdgeAgentError, ImageError
from edge_agent.inference.classifier import Classifier
from edge_agent.inference.proof import DEFAULT_PROOF, ProofLimits
from edge_agent.vision.cell_windows import window_of_image
from edge_agent.vision.decode import DEFAULT_MAX_PIXELS, REDUCTIONS, decode_image, read_header
from edge_agent.vision.field import MAX_UPSCALING


class CellAnalyzer:
    """Judges each frame as one cell's window, with a cells bundle. Belongs to one thread at a time.

    Neither quality nor nuclei are looked at: whoever cut the image out has chosen the cell.
    """

    def __init__(
        self,
        classifier: Classifier,
        *,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        proof: ProofLimits | None = DEFAULT_PROOF,
    ) -> None:
        """``max_pixels`` and ``proof`` as of ``Analyzer``. Raises ``BundleWrongKind`` unless it is a cells bundle."""
        self._judge = CellJudge(classifier, proof)
        self._max_pixels = max_pixels

    @property
    def model(self) -> ModelIdentity:
        """The model in use."""
        return self._judge.model

    @property
    def unproven_reasons(self) -> tuple[str, ...]:
        """As of ``Analyzer``."""
        return self._judge.unproven_reasons

    @property
    def provisional(self) -> bool:
        """As of ``Analyzer``."""
        return self._judge.provisional

    def analyse(self, frame: Frame) -> Reading:
        """Judge a frame by its centre square. Never raises, whatever the frame contains."""
        timer = StageTimer.since(frame.monotonic_ns)
        try:
            return self._read(frame, timer)
        except EdgeAgentError as error:
            return self._failed(frame, timer, error)
        except Exception as error:  # noqa: BLE001 - whatever a picture does to us, its reading must exist
            return self._failed(frame, timer, defect(error))

    def _read(self, frame: Frame, timer: StageTimer) -> Reading:
        judge = self._judge
        rgb, height_px, width_px = self._decode(frame)
        timer.lap("decode")
        if min(height_px, width_px) * MAX_UPSCALING < judge.side_px:
            return self._refused(frame, timer, Reason.FIELD_TOO_SMALL)
        judgements = judge.judge([window_of_image(rgb, judge.side_px)])
        timer.lap("cells")
        verdict = judge.sum_up(judgements)
        cell = Cell(
            x_px=width_px / 2,
            y_px=height_px / 2,
            nucleus_area_px=height_px * width_px,
            nucleus_area_um2=None,
            window_side_px=min(height_px, width_px),
            cut=False,
            left_px=0,
            top_px=0,
            width_px=width_px,
            height_px=height_px,
            **describe_judgement(judgements[0]),
        )
        image = image_identity(frame, rgb)
        timer.lap("decision")
        return Reading(
            frame=frame,
            outcome=verdict.outcome,
            reason=verdict.reason,
            model=judge.model,
            demonstration=judge.demonstration,
            provisional=judge.provisional,
            label=None if verdict.label is None else verdict.label.code,
            malignant=None if verdict.label is None else verdict.label.malignant,
            probabilities=verdict.probabilities,
            malignant_ratio=verdict.malignant_ratio,
            decision=verdict.decision,
            cells=(cell,),
            differential=judge.differential(judgements, 1),
            latency_ms=timer.latency_ms,
            image=image,
            labels=judge.labels,
            cell_labels=judge.labels,
        )

    def _decode(self, frame: Frame) -> tuple[NDArray[np.uint8], int, int]:
        """uint8 RGB, perhaps scaled down as the window will be anyway; height and width of the image itself."""
        image = frame.image
        if isinstance(image, ImageError):
            raise image
        if isinstance(image, Pixels):
            rgb = image.array if image.order is ColourOrder.RGB else np.ascontiguousarray(image.array[..., ::-1])
            return rgb, *rgb.shape[:2]
        header = read_header(image.data, max_pixels=self._max_pixels)
        shorter_px = min(header.height_px, header.width_px)
        reduction = next((each for each in REDUCTIONS if shorter_px // each >= self._judge.side_px), 1)
        return decode_image(image.data, reduction=reduction, header=header), header.height_px, header.width_px

    def _refused(self, frame: Frame, timer: StageTimer, reason: Reason) -> Reading:
        return Reading(
            frame=frame,
            outcome=Outcome.REJECTED,
            reason=reason,
            model=self._judge.model,
            demonstration=self._judge.demonstration,
            provisional=self._judge.provisional,
            latency_ms=timer.latency_ms,
            image=image_identity(frame),
        )

    def _failed(self, frame: Frame, timer: StageTimer, error: EdgeAgentError) -> Reading:
        return Reading(
            frame=frame,
            outcome=Outcome.FAILED,
            error=ErrorReport.from_error(error),
            model=self._judge.model,
            demonstration=self._judge.demonstration,
            provisional=self._judge.provisional,
            latency_ms=timer.latency_ms,
            image=image_identity(frame),
        )
