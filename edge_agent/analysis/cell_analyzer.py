"""Judges images that show one cell each, as in data sets of single cells."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from edge_agent.analysis.blast_offset import NO_OFFSET, BlastOffset, measure_blast_offset
from edge_agent.analysis.cell_judge import CellJudge
from edge_agent.analysis.cell_scale import USUAL_SCALE, CellScale, unfit_for_window
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
from edge_agent.vision.cell_image import CellBox
from edge_agent.vision.cell_windows import cut_cell
from edge_agent.vision.decode import DEFAULT_MAX_PIXELS, REDUCTIONS, decode_image, read_header


class CellAnalyzer:
    """Judges the cell in the middle of each frame, with a cells bundle. Belongs to one thread at a time.

    Quality is not checked: whoever cut the image out has chosen the cell.
    """

    def __init__(
        self,
        classifier: Classifier,
        *,
        scale: CellScale = USUAL_SCALE,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        proof: ProofLimits | None = DEFAULT_PROOF,
    ) -> None:
        """``scale`` is that of the run (``measure_scale``); ``max_pixels`` and ``proof`` are as for ``Analyzer``.

        Raises ``BundleWrongKind`` unless ``classifier`` has a cells bundle.
        """
        self._judge = CellJudge(classifier, proof)
        self._max_pixels = max_pixels
        self.scale = scale
        """May be set when more is known."""
        self.blast_offset = NO_OFFSET

    @property
    def blast_offset(self) -> BlastOffset:
        """The offset of the run of images; may be set. It has no effect with a head, or a bundle of another rule."""
        return self._blast_offset

    @blast_offset.setter
    def blast_offset(self, offset: BlastOffset) -> None:
        self._blast_offset = offset
        self._judge.shift_blasts(offset.log_odds)

    def find_blast_offset(self, frames: Iterable[Frame]) -> None:
        """Measure and set ``blast_offset`` by the frames of the run that ``spread`` chooses. Set the scale first."""
        self.blast_offset = NO_OFFSET
        if self._judge.asks_for_blasts_first:
            self.blast_offset = measure_blast_offset(self.analyse(each) for each in frames)

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
        """Judge a frame by the window around its central nucleus. Never raises, whatever the frame contains."""
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
        um_per_pixel = self.scale.um_per_pixel_of(height_px, width_px)
        window_px = judge.windows.window_um / um_per_pixel
        reason = unfit_for_window(height_px, width_px, window_px, judge.side_px)
        if reason is not None:
            return self._refused(frame, timer, reason)
        reduced = min(rgb.shape[:2]) / min(height_px, width_px)
        found = cut_cell(rgb, um_per_pixel / reduced, judge.windows.window_um, judge.side_px)
        judgements = judge.judge([found.window])
        timer.lap("cells")
        verdict = judge.sum_up(judgements)
        x_px, y_px = found.centre_px
        box = found.nucleus or CellBox(0, 0, rgb.shape[1], rgb.shape[0], rgb.shape[0] * rgb.shape[1])
        area_px = box.area_px / reduced**2
        cell = Cell(
            x_px=round(x_px / reduced, 1),
            y_px=round(y_px / reduced, 1),
            nucleus_area_px=round(area_px, 1),
            nucleus_area_um2=None if found.nucleus is None else round(area_px * um_per_pixel**2, 1),
            window_side_px=round(window_px, 1),
            cut=False,
            left_px=round(box.left_px / reduced, 1),
            top_px=round(box.top_px / reduced, 1),
            width_px=round(box.width_px / reduced, 1),
            height_px=round(box.height_px / reduced, 1),
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
        """uint8 RGB, scaled down no further than its window will be; height and width are of the image itself."""
        image = frame.image
        if isinstance(image, ImageError):
            raise image
        if isinstance(image, Pixels):
            rgb = image.array if image.order is ColourOrder.RGB else np.ascontiguousarray(image.array[..., ::-1])
            return rgb, *rgb.shape[:2]
        header = read_header(image.data, max_pixels=self._max_pixels)
        window_px = self._judge.windows.window_um / self.scale.um_per_pixel_of(header.height_px, header.width_px)
        shorter_px = min(window_px, header.height_px, header.width_px)
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
