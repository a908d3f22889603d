"""Judges the cells of a field with a cells bundle, and sums up the judgements."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from edge_agent.analysis.cell_cutting import cut_cells, fine_reduction, usual_reduction
from edge_agent.analysis.cell_judgement import CellJudgement
from edge_agent.analysis.extraction import ExtractedField
from edge_agent.analysis.ratio import rounded_ratio
from edge_agent.analysis.reading import CutCell, FieldAnalysis
from edge_agent.analysis.verdict import Verdict
from edge_agent.contracts import BundleKind, Decision, Differential, Outcome, Reason
from edge_agent.errors import BundleWrongKind
from edge_agent.inference.classifier import Classification, Classifier
from edge_agent.inference.decision import decide
from edge_agent.inference.proof import ProofLimits, unproven_reasons
from edge_agent.vision.decode import ImageHeader
from edge_agent.vision.preprocessing import preprocess_windows

FIELD_RULE = "any-cell@1"
"""The rule that decides a field by its cells: it is classified if at least one of them is."""

_FIELD_REASONS = (
    Reason.LOW_CONFIDENCE,
    Reason.MODEL_UNPROVEN,
    Reason.UNFAMILIAR,
    Reason.FIELD_TOO_SMALL,
    Reason.SCALE_UNKNOWN,
    Reason.CELL_CUT,
)
"""Why a field without a judged cell is not classified: the first of these reasons for which any cell was refused."""


class CellJudge:
    """Judges cells with a cells bundle, or a head on one. Belongs to one thread at a time, except for ``cut``."""

    def __init__(self, classifier: Classifier, proof: ProofLimits | None) -> None:
        """``proof`` is as for ``Analyzer``. Raises ``BundleWrongKind`` unless ``classifier`` has a cells bundle."""
        manifest = classifier.manifest
        if manifest.kind is not BundleKind.CELLS or manifest.cells is None:
            raise BundleWrongKind(f"Bundle '{manifest.name}' judges whole fields, and no single cells.")
        self.windows = manifest.cells
        """Size and number of the windows."""
        self.side_px = manifest.input.height_px
        """Side of a window's image."""
        self.unproven_reasons = () if proof is None else unproven_reasons(classifier.labels, classifier.evidence, proof)
        """What the bundle's or head's record lacks, each as a sentence."""
        self.model = classifier.identity
        self.labels = classifier.labels
        self.demonstration = classifier.demonstration
        self._classifier = classifier
        self._malignant = np.array([label.malignant for label in self.labels])

    @property
    def asks_for_blasts_first(self) -> bool:
        """Whether a blast's probability is a question of its own (``blast-first@1``), which a laboratory may shift."""
        return self._classifier.head is None and self.windows.probabilities == "blast-first@1"

    def shift_blasts(self, log_odds: float) -> None:
        """From now on add this to the blast's log-odds of each cell, if it ``asks_for_blasts_first``."""
        self._classifier.blast_offset = log_odds

    @property
    def provisional(self) -> bool:
        """Whether the model gives no types, as its record does not show that they can be used."""
        return bool(self.unproven_reasons)

    def cut(self, extracted: ExtractedField, analysis: FieldAnalysis) -> tuple[CutCell, ...]:
        """As ``cut_cells``."""
        return cut_cells(extracted, analysis, self.windows, self.side_px)

    def fine_reduction(self, header: ImageHeader, um_per_pixel: float | None, coarse: int) -> int:
        """How much a frame may be scaled down at decoding: ``cell_cutting.fine_reduction`` if its scale is known.

        Otherwise ``cell_cutting.usual_reduction``; ``coarse`` is the scale-down in which nuclei can be found.
        """
        if um_per_pixel is None:
            return usual_reduction(header, coarse)
        return fine_reduction(header, um_per_pixel, self.windows.window_um / self.side_px)

    def judge(self, cells: Sequence[CutCell]) -> tuple[CellJudgement | None, ...]:
        """The judgement of each cell, in their order; None for one that is not looked at. Raises ``InferenceError``."""
        steps = self._classifier.manifest.preprocessing
        windows = [each for each in cells if isinstance(each, np.ndarray)]
        # All windows at each step, not all steps of each window: a step's data stay in the processor's cache.
        images = preprocess_windows(windows, steps.id, steps.denoise)
        found = iter(self._classifier.classify_all(images))
        judged: list[CellJudgement | None] = []
        for cell in cells:
            if isinstance(cell, np.ndarray):
                judged.append(self._judge(next(found)))
            else:
                judged.append(None if cell is None else CellJudgement(cell))
        return tuple(judged)

    def _judge(self, found: Classification) -> CellJudgement:
        _, refusal, decision = decide(found, self._classifier.thresholds, proven=not self.provisional)
        # The probabilities of a cell unlike the training images, or of an unproven model, mean nothing.
        if refusal in {Reason.UNFAMILIAR, Reason.MODEL_UNPROVEN}:
            return CellJudgement(refusal, decision=decision, accelerator=found.accelerator)
        likeliest = int(found.probabilities.argmax())
        return CellJudgement(
            refusal,
            label=self.labels[likeliest] if refusal is None else None,
            type_ratio=rounded_ratio(found.probabilities[likeliest]) if refusal is None else None,
            probabilities=found.probabilities,
            blast_ratio=rounded_ratio(found.probabilities[self._malignant].sum()),
            decision=decision,
            accelerator=found.accelerator,
        )

    def differential(self, judgements: Sequence[CellJudgement | None], cells_count: int) -> Differential:
        """The sums over a field with ``cells_count`` nucleated cells."""
        labels = [each.label for each in judgements if each is not None and each.label is not None]
        counts = Counter(label.code for label in labels)
        blasts_count = sum(label.malignant for label in labels)
        return Differential(
            demonstration=self.demonstration,
            provisional=self.provisional,
            cells_count=cells_count,
            judged_count=len(labels),
            refused_count=sum(each is not None and each.refusal is not None for each in judgements),
            types_count={label.code: counts[label.code] for label in self.labels},
            blasts_count=blasts_count,
            blast_ratio=rounded_ratio(blasts_count / len(labels)) if labels else None,
            model=self.model,
        )

    def sum_up(self, judgements: Sequence[CellJudgement | None]) -> Verdict:
        """The decision about the field, where no other bundle decides.

        A field with a malignant cell gets that cell's label: a person has to look at it first. Of several malignant
        types the commonest counts, without a malignant cell the commonest of all; among equally common types the
        likeliest. Probabilities are means over the judged cells. The decision's figures are the familiarity of the most
        familiar cell and the confidence of the surest of the familiar ones: they pass the limits if any cell does.
        """
        decision = _field_decision([each.decision for each in judgements if each is not None and each.decision])
        judged = [
            (each.label, each.probabilities)
            for each in judgements
            if each is not None and each.label is not None and each.probabilities is not None
        ]
        if not judged:
            refusals = {each.refusal for each in judgements if each is not None}
            reason = next((each for each in _FIELD_REASONS if each in refusals), Reason.NO_NUCLEATED_CELLS)
            return Verdict(Outcome.ABSTAINED, reason, decision, accelerator=_accelerator(judgements))
        mean = np.mean([probabilities for _, probabilities in judged], axis=0)
        counts = Counter(label.code for label, _ in judged)
        likely = {label.code: float(ratio) for label, ratio in zip(self.labels, mean, strict=True)}
        label = max(
            (label for label, _ in judged), key=lambda each: (each.malignant, counts[each.code], likely[each.code])
        )
        return Verdict(
            Outcome.CLASSIFIED,
            None,
            decision,
            label,
            {code: rounded_ratio(ratio) for code, ratio in likely.items()},
            rounded_ratio(mean[self._malignant].sum()),
            accelerator=_accelerator(judgements),
        )


def _accelerator(judgements: Sequence[CellJudgement | None]) -> str | None:
    """The accelerator that ran the network; it is the same for all cells of a field."""
    return next((each.accelerator for each in judgements if each is not None and each.accelerator is not None), None)


def _field_decision(decisions: Sequence[Decision]) -> Decision | None:
    if not decisions:
        return None
    first = decisions[0]
    return Decision(
        rule=FIELD_RULE,
        max_unfamiliarity_score=first.max_unfamiliarity_score,
        unfamiliarity_score=min(each.unfamiliarity_score for each in decisions),
        min_confidence_ratio=first.min_confidence_ratio,
        confidence_ratio=max(
            (each.confidence_ratio for each in decisions if each.confidence_ratio is not None), default=None
        ),
    )
