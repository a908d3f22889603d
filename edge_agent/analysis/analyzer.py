"""Turns a frame into a reading: the only place that knows the order of the stages."""

from __future__ import annotations

import time

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.analysis.cell_judge import CellJudge
from edge_agent.analysis.cell_judgement import CellJudgement
from edge_agent.analysis.defect import defect
from edge_agent.analysis.differences import field_appearance, find_differences
from edge_agent.analysis.extraction import DecodedFrame, ExtractedField, Extraction, FailedFrame, RejectedFrame
from edge_agent.analysis.image_identity import image_identity
from edge_agent.analysis.network_thread import NetworkThread
from edge_agent.analysis.nuclei import describe_cells, describe_nuclei
from edge_agent.analysis.ratio import rounded_ratio
from edge_agent.analysis.reading import CutCell, Explanation, FieldAnalysis, PendingReading, Reading
from edge_agent.analysis.rejection import looks_unfit, rejection_reason
from edge_agent.analysis.scale import describe_scale
from edge_agent.analysis.stage_timer import StageTimer
from edge_agent.analysis.verdict import Verdict
from edge_agent.cameras.frame import ColourOrder, Frame, Pixels
from edge_agent.contracts import (
    BundleKind,
    Cell,
    ErrorReport,
    ImageIdentity,
    Label,
    ModelIdentity,
    Nuclei,
    Outcome,
    Quality,
    Reason,
)
from edge_agent.contracts.manifest import Reference, TrainingAppearance
from edge_agent.errors import EdgeAgentError, ImageError
from edge_agent.inference.bundle import require_kinds
from edge_agent.inference.classifier import Classification, Classifier
from edge_agent.inference.decision import decide
from edge_agent.inference.edgetpu.edge_tpu import EdgeTpu
from edge_agent.inference.geometry import bundle_geometry
from edge_agent.inference.proof import DEFAULT_PROOF, ProofLimits, unproven_reasons
from edge_agent.vision.appearance import Appearance
from edge_agent.vision.cells import find_cells
from edge_agent.vision.decode import DEFAULT_MAX_PIXELS, decode_image, read_header
from edge_agent.vision.field import View, choose_reduction, choose_window, fit, take
from edge_agent.vision.preprocessing import (
    DENOISERS,
    PREPROCESSINGS,
    SEGMENTATION_DENOISER,
    WITHOUT_NUCLEI,
)
from edge_agent.vision.quality import FieldQuality, change_pct, measure, thumbnail
from edge_agent.vision.red_cells import DIAMETER_UM
from edge_agent.vision.settings import QualityLimits


class Analyzer:
    """Judges frames with one classifier. Knows neither MQTT nor disk.

    Belongs to two threads at most: one that extracts and prepares, and one that completes. If the classifier has
    several threads, and its preprocessing needs no nuclei, its network runs beside segmentation and quality.
    """

    def __init__(
        self,
        classifier: Classifier,
        limits: QualityLimits,
        *,
        cells: Classifier | None = None,
        um_per_pixel: float | None = None,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        proof: ProofLimits | None = DEFAULT_PROOF,
        appearance_interval_s: float | None = None,
    ) -> None:
        """Judge the fields within ``limits`` with ``classifier``; a cells bundle judges them by their cells alone.

        ``cells`` is a cells bundle that types the cells beside a bundle that judges whole fields. A bundle or head
        whose record does not reach ``proof`` answers nothing; pass None to measure such a bundle or head.
        ``um_per_pixel`` is the size of a pixel of the frames in the specimen, in micrometres, None if unknown.
        ``max_pixels`` bounds the decoded images. ``appearance_interval_s`` is the least time between two judged fields
        whose appearance is measured whatever the decision about them; None for never. Raises ``BundleWrongKind``.
        """
        manifest = classifier.manifest
        self._classifier = classifier
        self._limits = limits
        self._um_per_pixel = um_per_pixel
        self._max_pixels = max_pixels
        self._model = classifier.identity
        self.unproven_reasons = () if proof is None else unproven_reasons(classifier.labels, classifier.evidence, proof)
        """What the bundle's or head's record lacks, each as a sentence; empty if the bundle or head may be used."""
        self._by_cells = manifest.kind is BundleKind.CELLS
        if cells is not None:
            require_kinds(manifest, cells.manifest)
        judge = classifier if self._by_cells else cells
        self._cells = None if judge is None else CellJudge(judge, proof)
        self._geometry = bundle_geometry(manifest)
        self._model_um_per_pixel = None if self._by_cells else manifest.um_per_pixel
        steps = manifest.preprocessing
        self._denoise = SEGMENTATION_DENOISER if self._by_cells else DENOISERS[steps.denoise]
        self._preprocessing_id = steps.id
        beside = classifier.threads_count > 1 and not self._by_cells and steps.id in WITHOUT_NUCLEI
        self._network = NetworkThread(classifier) if beside else None
        self._labels = classifier.labels
        self._appearance_interval_s = appearance_interval_s
        self._appearance_due_at_s = float("-inf")
        self._malignant = np.array([label.malignant for label in self._labels])

    @property
    def model(self) -> ModelIdentity:
        """The model in use."""
        return self._model

    @property
    def cells_beside(self) -> CellJudge | None:
        """The judge that types the cells beside a bundle that judges whole fields; None if there is none."""
        return None if self._by_cells else self._cells

    @property
    def labels(self) -> tuple[Label, ...]:
        """The labels of the bundle, or of its head."""
        return self._labels

    @property
    def bundle_labels(self) -> tuple[Label, ...]:
        """The bundle's own labels, whatever head judges."""
        return self._classifier.manifest.labels

    @property
    def known_appearance(self) -> TrainingAppearance | None:
        """The appearance of the fields that the labels were learnt from; None if the bundle or head does not say.

        A cells bundle records it for single cells, which fields cannot be compared with.
        """
        return None if self._by_cells else self._classifier.appearance

    @property
    def reference(self) -> Reference | None:
        """The model's answers for fields that had no part in training; None if bundle or head does not give them."""
        return None if self._by_cells else self._classifier.reference

    @property
    def demonstration(self) -> bool:
        """Whether a model in use was not trained on real smears."""
        return self._classifier.demonstration or (self._cells is not None and self._cells.demonstration)

    @property
    def provisional(self) -> bool:
        """Whether the model gives no answers, as the record of bundle or head does not show that they are usable."""
        return bool(self.unproven_reasons)

    @property
    def has_compiled_model(self) -> bool:
        """Whether the bundle that decides has a model for an Edge TPU."""
        return self._classifier.has_compiled_model

    def accelerate(self, edge_tpu: EdgeTpu) -> None:
        """As in ``Classifier``; a cells bundle beside another stays on the processor. Raises ``BundleError``."""
        self._classifier.accelerate(edge_tpu)

    def analyse(self, frame: Frame) -> Reading:
        """Extract and judge a single frame. Never raises, whatever the frame contains."""
        return self.read(self.extract(frame))

    def measure_appearance(self, frame: Frame) -> Appearance | None:
        """The simple measures of a frame's field, as for an unfamiliar field; None if it is not fit to be judged."""
        prepared = self.prepare(self.extract(frame), judge=False)
        return None if isinstance(prepared, Reading) else field_appearance(prepared.extracted, prepared.analysis)

    def read(self, extraction: Extraction, *, previous: Extraction | None = None) -> Reading:
        """Judge what ``extract`` returned. ``previous`` is the extraction just before it, to measure motion against.

        Never raises, whatever the frame contains: a problem makes the reading ``rejected`` or ``failed``.
        """
        return self.complete(self.prepare(extraction, previous=previous))

    def extract(self, frame: Frame) -> Extraction:
        """Decode a frame as far as needed and cut out its field. Problems are returned, not raised."""
        timer = StageTimer.since(frame.monotonic_ns)
        try:
            found = self._extract_field(frame, timer)
        except ImageError as error:
            return FailedFrame(frame, timer, error)
        except Exception as error:  # noqa: BLE001 - whatever a picture does to us, its reading must exist
            return FailedFrame(frame, timer, defect(error))
        if found is None:
            return RejectedFrame(frame, timer, Reason.FIELD_TOO_SMALL)
        rgb, view, decoded = found
        small = thumbnail(rgb)
        timer.lap("field")
        return ExtractedField(frame, timer, rgb, view, small, decoded if self._cells is not None else None)

    def prepare(
        self, extraction: Extraction, *, previous: Extraction | None = None, judge: bool = True
    ) -> PendingReading | Reading:
        """The part of ``read`` before the network; returns a finished reading if the network is not needed.

        One thread may prepare while another completes. Pass ``judge=False`` for a field that is not going to be
        completed: the network is then not started in its own thread.
        """
        extraction.timer.skip()
        match extraction:
            case RejectedFrame():
                return self._rejected_frame(extraction)
            case FailedFrame():
                return self._failed(extraction, extraction.error)
        try:
            return self._prepare(extraction, previous, judge=judge)
        except ImageError as error:
            return self._failed(extraction, error)
        except Exception as error:  # noqa: BLE001 - a defect of ours must not lose the frame's reading
            return self._failed(extraction, defect(error))

    def complete(self, prepared: PendingReading | Reading) -> Reading:
        """The rest of ``read``: the network and the decision. A finished reading is returned unchanged."""
        if isinstance(prepared, Reading):
            return prepared
        prepared.extracted.timer.lap("handover")
        try:
            return self._judge(prepared)
        except EdgeAgentError as error:
            return self._failed(prepared.extracted, error)
        except Exception as error:  # noqa: BLE001 - a defect of ours must not lose the frame's reading
            return self._failed(prepared.extracted, defect(error))

    def _extract_field(
        self, frame: Frame, timer: StageTimer
    ) -> tuple[NDArray[np.uint8], View, DecodedFrame | None] | None:
        image, geometry = frame.image, self._geometry
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
            geometry,
            um_per_pixel=self._um_per_pixel,
            model_um_per_pixel=self._model_um_per_pixel,
        )
        if window is None:
            return None
        if isinstance(image, Pixels):
            rgb = take(image.array, window, geometry)
            if image.order is ColourOrder.BGR:
                rgb = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_BGR2RGB), dtype=np.uint8)
            return *fit(rgb, window, geometry), None
        reduction = choose_reduction(window, geometry)
        if self._by_cells and self._cells is not None:
            # Decode once, as finely as the cells need. Beside a bundle for fields this would change its input.
            reduction = min(reduction, self._cells.fine_reduction(header, self._um_per_pixel, reduction))
        decoded = decode_image(image.data, reduction=reduction, header=header)
        timer.lap("decode")
        found = fit(take(decoded, window, geometry, reduction=reduction), window, geometry)
        return *found, DecodedFrame(decoded, reduction, header)

    def _prepare(
        self, extracted: ExtractedField, previous: Extraction | None, *, judge: bool
    ) -> PendingReading | Reading:
        timer = extracted.timer
        denoised = self._denoise(extracted.rgb)
        timer.lap("denoising")
        motion = None
        if isinstance(previous, ExtractedField):
            motion = change_pct(previous.thumbnail, extracted.thumbnail)
        network_input, judged = None, None
        if self._network is not None and judge and not looks_unfit(extracted.thumbnail, motion, self._limits):
            network_input = self._preprocess_field(denoised, None)
            judged = self._network.start(network_input)
            timer.lap("preprocessing")
        view = extracted.view
        # An image that is already a field is its own view, which most bundles denoise in the same way.
        same = view.rgb is extracted.rgb and self._denoise is SEGMENTATION_DENOISER
        cells = find_cells(
            denoised if same else SEGMENTATION_DENOISER(view.rgb),
            pixel_aspect=view.pixel_aspect,
            red_cell_diameter_px=self._red_cell_diameter_px(view),
        )
        segmentation = cells.segmentation
        nuclei_mask = segmentation.mask_of_size(*denoised.shape[:2])
        timer.lap("segmentation")
        measured = measure(extracted.rgb, denoised, nuclei_mask)
        analysis = FieldAnalysis(
            segmentation,
            cells.red_cells,
            nuclei_mask,
            _quality(measured, motion),
            describe_scale(cells.red_cells, view.frame_px_per_px, self._configured_um_per_pixel(view)),
        )
        reason = rejection_reason(measured, segmentation.coverage_pct, motion, self._limits)
        timer.lap("quality")
        nuclei = describe_nuclei(analysis, extracted.view)
        image = image_identity(extracted.frame, extracted.rgb)
        timer.lap("decision")
        if reason is not None:
            if judged is not None:
                judged.cancel()
            return self._rejected_field(extracted, analysis, nuclei, image, reason)
        if judged is None and not self._by_cells:
            network_input = self._preprocess_field(denoised, nuclei_mask)
            timer.lap("preprocessing")
        cut: tuple[CutCell, ...] = ()
        described: tuple[Cell, ...] = ()
        if self._cells is None:
            described = describe_cells(analysis, view)
            timer.lap("decision")
        else:
            cut = self._cells.cut(extracted, analysis)
            timer.lap("cells")
        return PendingReading(extracted, analysis, nuclei, described, image, network_input, judged, cut)

    def _judge(self, pending: PendingReading) -> Reading:
        extracted, analysis = pending.extracted, pending.analysis
        verdict = None if pending.network_input is None else self._judge_field(pending, pending.network_input)
        judgements: tuple[CellJudgement | None, ...] | None = None
        differential = None
        if self._cells is not None:
            judgements = self._cells.judge(pending.cells)
            differential = self._cells.differential(judgements, analysis.segmentation.count)
            verdict = verdict or self._cells.sum_up(judgements)
            extracted.timer.lap("cells")
        if verdict is None:
            raise RuntimeError("neither the field nor its cells are judged")
        chosen = self._choose()
        known = self.known_appearance if verdict.reason is Reason.UNFAMILIAR else None
        appearance = field_appearance(extracted, analysis) if chosen or known is not None else None
        differs = None if appearance is None or known is None else find_differences(appearance, known.measures)
        if appearance is not None:
            extracted.timer.lap("appearance")
        described = pending.described
        if judgements is not None:
            described = describe_cells(analysis, extracted.view, judgements)
        extracted.timer.lap("decision")
        return Reading(
            frame=extracted.frame,
            outcome=verdict.outcome,
            reason=verdict.reason,
            model=self._model,
            demonstration=self.demonstration,
            provisional=self.provisional,
            label=None if verdict.label is None else verdict.label.code,
            malignant=None if verdict.label is None else verdict.label.malignant,
            probabilities=verdict.probabilities,
            malignant_ratio=verdict.malignant_ratio,
            decision=verdict.decision,
            differs=differs,
            appearance=appearance if chosen else None,
            quality=analysis.quality,
            nuclei=pending.nuclei,
            scale=analysis.scale,
            cells=described,
            differential=differential,
            accelerator=verdict.accelerator,
            latency_ms=extracted.timer.latency_ms,
            image=pending.image,
            explanation=Explanation(
                extracted.rgb,
                analysis.nuclei_mask,
                verdict.class_activation_map,
                extracted.view.window,
                pending.cells,
            ),
            labels=self._labels,
            cell_labels=() if self._cells is None else self._cells.labels,
        )

    def _judge_field(self, pending: PendingReading, network_input: NDArray[np.uint8]) -> Verdict:
        classification = self._classify(pending, network_input)
        outcome, reason, decision = decide(classification, self._classifier.thresholds, proven=not self.provisional)
        probabilities = classification.probabilities
        # The probabilities of a field unlike the training images, or of an unproven model, mean nothing.
        meaningful = reason is not Reason.UNFAMILIAR and not self.provisional
        return Verdict(
            outcome,
            reason,
            decision,
            label=self._labels[int(probabilities.argmax())] if outcome is Outcome.CLASSIFIED else None,
            probabilities=self._by_label(probabilities) if meaningful else None,
            malignant_ratio=rounded_ratio(probabilities[self._malignant].sum()) if meaningful else None,
            class_activation_map=classification.class_activation_map if meaningful else None,
            accelerator=classification.accelerator,
        )

    def _classify(self, pending: PendingReading, network_input: NDArray[np.uint8]) -> Classification:
        timer = pending.extracted.timer
        if self._network is None:
            classification = self._classifier.classify(network_input)
            timer.lap("inference")
            return classification
        # Only the network's thread may use the classifier, so a judgement that was not started before is started now.
        judged = (pending.judged or self._network.start(network_input)).result()
        timer.lap("inference-wait")
        timer.beside("inference", judged.inference_ms)
        return judged.classification

    def _preprocess_field(
        self, denoised: NDArray[np.uint8], nuclei_mask: NDArray[np.uint8] | None
    ) -> NDArray[np.uint8]:
        """The network's input. The mask may be None if the preprocessing does not use it."""
        mask = np.zeros(denoised.shape[:2], np.uint8) if nuclei_mask is None else nuclei_mask
        return PREPROCESSINGS[self._preprocessing_id](denoised, mask)

    def _choose(self) -> bool:
        """Whether to measure the appearance of this field: often enough to notice a drift, no more often."""
        now_s = time.monotonic()
        if self._appearance_interval_s is None or now_s < self._appearance_due_at_s:
            return False
        self._appearance_due_at_s = now_s + self._appearance_interval_s
        return True

    def _rejected_field(
        self,
        extracted: ExtractedField,
        analysis: FieldAnalysis,
        nuclei: Nuclei,
        image: ImageIdentity | None,
        reason: Reason,
    ) -> Reading:
        return Reading(
            frame=extracted.frame,
            outcome=Outcome.REJECTED,
            reason=reason,
            model=self._model,
            demonstration=self.demonstration,
            provisional=self.provisional,
            quality=analysis.quality,
            nuclei=nuclei,
            scale=analysis.scale,
            cells=describe_cells(analysis, extracted.view),
            latency_ms=extracted.timer.latency_ms,
            image=image,
            explanation=Explanation(extracted.rgb, analysis.nuclei_mask, None, extracted.view.window),
            labels=self._labels,
        )

    def _rejected_frame(self, rejected: RejectedFrame) -> Reading:
        return Reading(
            frame=rejected.frame,
            outcome=Outcome.REJECTED,
            reason=rejected.reason,
            model=self._model,
            demonstration=self.demonstration,
            provisional=self.provisional,
            latency_ms=rejected.timer.latency_ms,
            image=image_identity(rejected.frame),
        )

    def _failed(self, extraction: Extraction, error: EdgeAgentError) -> Reading:
        return Reading(
            frame=extraction.frame,
            outcome=Outcome.FAILED,
            error=ErrorReport.from_error(error),
            model=self._model,
            demonstration=self.demonstration,
            provisional=self.provisional,
            latency_ms=extraction.timer.latency_ms,
            image=image_identity(extraction.frame, extraction.rgb if isinstance(extraction, ExtractedField) else None),
        )

    def _by_label(self, probabilities: NDArray[np.float64]) -> dict[str, float]:
        return {label.code: rounded_ratio(p) for label, p in zip(self._labels, probabilities, strict=True)}

    def _configured_um_per_pixel(self, view: View) -> float | None:
        """The configured size of a pixel of the frame."""
        if view.window.ready and self._um_per_pixel is not None:
            # An image that is already a field has the scale of the training images, not that of the camera's frames.
            return self._model_um_per_pixel
        return self._um_per_pixel

    def _red_cell_diameter_px(self, view: View) -> float | None:
        """The diameter in heights of a pixel of the view, if the scale is known."""
        scale = self._configured_um_per_pixel(view)
        return None if scale is None else DIAMETER_UM / (scale * view.frame_px_per_px)


def _quality(measured: FieldQuality, motion_pct: float | None) -> Quality:
    """The measures rounded to a thousandth: messages do not carry digits without meaning."""
    values = {name: getattr(measured, name) for name in FieldQuality.__slots__} | {"motion_pct": motion_pct}
    return Quality(**{name: None if value is None else round(value, 3) for name, value in values.items()})
