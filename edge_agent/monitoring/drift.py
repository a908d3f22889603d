"""Notices when fields drift away from those that the model was proven on, before the model refuses them.

Each figure of a field is compared with its range over the training images, or over images that had no part in training:
0 is the range's median, 1 its 99th and -1 its 1st percentile. A single field may lie anywhere in the range. A window of
many has drifted if its median does what the median of one slide does not; ``docs/drift.md`` has the measurements.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median

from edge_agent.analysis.reading import Reading
from edge_agent.contracts import Check, Direction, Measure, ModelIdentity
from edge_agent.contracts.appearance import Aspect
from edge_agent.contracts.difference import NOTHING_DIFFERS
from edge_agent.contracts.manifest import MeasureRange, Reference, TrainingAppearance
from edge_agent.errors import ModelDrift
from edge_agent.specimens.repeats import MIN_CORRELATION, Picture, correlation, recognisable

WINDOW_COUNT = 100
"""Different fields that are judged together: those of several slides, unless one slide is read for long."""

MIN_IMAGES_COUNT = 100
"""Images behind a range: the fewer they are, the narrower it is, and the sooner another slide leaves it."""

MAX_AGE_S = 24 * 3600.0
"""What was read a day ago says nothing of today's lamp and stain."""

LOOK_BACK_COUNT = 8
"""A field is not counted again if it is one of so many before it: a stage may stand still for an hour."""

MAX_UNFAMILIARITY_SHIFT_RATIO = 0.5
"""Half-way to where 1 % of the held-out images are. Medians of 100 neighbouring fields of one class reach 0.4."""

MAX_CONFIDENCE_SHIFT_RATIO = 0.25
"""Below the median. The model is sure of nearly all fields, so that a window's median hardly ever moves."""

MAX_SHIFT_RATIO: Mapping[Aspect, float] = {Aspect.COLOUR: 1.0, Aspect.TEXTURE: 1.0, Aspect.SCALE: 0.8}
"""Medians of 100 neighbouring fields of one class reach 0.97 in colour, 0.76 in texture, and 0.57 in cells' sizes."""

NOTABLE_SHIFT_RATIO = 0.5
"""From here on a measure may be what makes the fields unfamiliar."""

RECOVERY_RATIO = 0.9
"""Of each limit: a window that drifted is normal again only below it, so that the check does not come and go."""

_LAMP = frozenset({Measure.BACKGROUND_LIGHTNESS, Measure.BACKGROUND_REDNESS, Measure.BACKGROUND_YELLOWNESS})
"""The lamp and the camera's white balance colour everything; the stain does not colour the background."""


_SMOOTHER = "The picture is smoother than in the training images. Check that the camera does not smooth or compress it."
"""Less noise, which is nothing wrong with a single field."""


@dataclass(frozen=True, slots=True)
class Shift:
    """How far a window's median is from what is known: 0 is the known median, 1 and -1 are the ends of the range."""

    measure: Measure
    ratio: float
    value: float
    """The window's median, in the measure's unit."""
    limits: MeasureRange

    @property
    def sentence(self) -> str:
        """What changed and what to do."""
        words = self.measure.words(Direction.ABOVE if self.ratio > 0 else Direction.BELOW)
        if words is None:
            return _SMOOTHER
        if self.measure.aspect is Aspect.COLOUR:
            return words
        return words.format(times=f"{self.value / self.limits.median:.2g}")


@dataclass(frozen=True, slots=True)
class _Field:
    monotonic_ns: int
    unfamiliarity_score: float | None
    confidence_ratio: float | None
    measures: Mapping[Measure, float]


class DriftMonitor:
    """A window of the newest fields of one model. One thread adds, any may ask.

    It begins anew with another model and after a restart.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._model: ModelIdentity | None = None
        self._known: TrainingAppearance | None = None
        self._reference: Reference | None = None
        self._fields: deque[_Field] = deque(maxlen=WINDOW_COUNT)
        self._seen: deque[Picture] = deque(maxlen=LOOK_BACK_COUNT)
        self._drifted = False

    def use(self, model: ModelIdentity, known: TrainingAppearance | None, reference: Reference | None) -> None:
        """From now on readings of this model count, against what is known of the images that it was made from."""
        with self._lock:
            if model == self._model:
                return
            self._model = model
            self._known = known if known is not None and known.images_count >= MIN_IMAGES_COUNT else None
            self._reference = (
                reference if reference is not None and reference.images_count >= MIN_IMAGES_COUNT else None
            )
            self._fields.clear()
            self._seen.clear()
            self._drifted = False

    def add(self, reading: Reading) -> None:
        """Take a reading into account if its appearance was measured, and its field is a new one."""
        appearance, decision = reading.appearance, reading.decision
        if appearance is None or decision is None or reading.explanation is None:
            return
        picture = recognisable(reading.explanation.field)
        if picture is None:
            return
        found = {measure: getattr(appearance, measure.value) for measure in Measure}
        field = _Field(
            reading.frame.monotonic_ns,
            decision.unfamiliarity_score,
            decision.confidence_ratio,
            {measure: value for measure, value in found.items() if value is not None},
        )
        with self._lock:
            if reading.model != self._model:
                # It was in hand when another model was chosen.
                return
            if any(correlation(picture, seen, least=MIN_CORRELATION) >= MIN_CORRELATION for seen in self._seen):
                return
            self._seen.append(picture)
            self._fields.append(field)

    def check(self) -> Check:
        """The check ``model``: degraded if the newest fields have drifted, unknown until there are enough."""
        with self._lock:
            if self._known is None and self._reference is None:
                return Check.unknown(
                    "model",
                    "The model does not say how its images look, or it had too few to tell drift from another slide.",
                )
            fields = self._recent()
            if len(fields) < WINDOW_COUNT:
                return Check.unknown(
                    "model",
                    f"Whether fields drift away from those that the model was proven on is said after {WINDOW_COUNT} "
                    "different ones.",
                )
            error = self._judge(fields)
            self._drifted = error is not None
            return Check.from_error("model", error)

    def _recent(self) -> list[_Field]:
        """Those within a day of the newest: while nothing is read, nothing is known to change."""
        if not self._fields:
            return []
        oldest_ns = self._fields[-1].monotonic_ns - MAX_AGE_S * 1e9
        return [field for field in self._fields if field.monotonic_ns >= oldest_ns]

    def _judge(self, fields: list[_Field]) -> ModelDrift | None:
        easier = RECOVERY_RATIO if self._drifted else 1.0
        shifts = [] if self._known is None else measure_shifts([field.measures for field in fields], self._known)
        beyond = [each for each in shifts if abs(each.ratio) > easier * MAX_SHIFT_RATIO[each.measure.aspect]]
        notes = self._unlike_reference(fields, easier)
        causes = name_causes(beyond) or (name_causes(shifts, least=NOTABLE_SHIFT_RATIO)[:1] if notes else [])
        if not causes and not notes:
            return None
        sentences = [*notes, *(causes or [NOTHING_DIFFERS])]
        return ModelDrift(
            f"The last {len(fields)} fields have drifted away from those that the model was proven on. "
            f"{' '.join(sentences)}"
        )

    def _unlike_reference(self, fields: list[_Field], easier: float) -> list[str]:
        reference = self._reference
        if reference is None:
            return []
        notes = []
        scores = [field.unfamiliarity_score for field in fields if field.unfamiliarity_score is not None]
        score = median(scores)
        if shift_ratio(score, reference.unfamiliarity_score) > easier * MAX_UNFAMILIARITY_SHIFT_RATIO:
            usual = reference.unfamiliarity_score.median
            notes.append(f"They are less familiar than usual (score {score:.3g} in place of {usual:.3g}).")
        # An unfamiliar field has no confidence.
        sure = [field.confidence_ratio for field in fields if field.confidence_ratio is not None]
        limits = reference.confidence_ratio
        if limits is not None and 2 * len(sure) >= len(fields):
            confidence = median(sure)
            if shift_ratio(confidence, limits) < -easier * MAX_CONFIDENCE_SHIFT_RATIO:
                notes.append(f"The model is less sure than usual ({confidence:.1%} in place of {limits.median:.1%}).")
        return notes


def measure_shifts(fields: list[Mapping[Measure, float]], known: TrainingAppearance) -> list[Shift]:
    """How far each measure's median is from what is known, the farthest first.

    What can be measured in less than half of the fields, or is not known, is left out.
    """
    shifts = []
    for measure, limits in known.measures.items():
        values = [field[measure] for field in fields if measure in field]
        if 2 * len(values) >= len(fields):
            value = median(values)
            shifts.append(Shift(measure, shift_ratio(value, limits), value, limits))
    return sorted(shifts, key=lambda each: -abs(each.ratio))


def shift_ratio(value: float, limits: MeasureRange) -> float:
    """Where a value is: 0 at the median, 1 and -1 at the high and the low end of the range."""
    side = limits.high - limits.median if value > limits.median else limits.median - limits.low
    if side <= 0:
        # The median is the end: whatever is beyond it is far away.
        return 0.0 if value == limits.median else float("inf") if value > limits.median else float("-inf")
    return (value - limits.median) / side


def name_causes(shifts: list[Shift], *, least: float = 0.0) -> list[str]:
    """What changed, as sentences: at most one of each aspect, and of colours the light before the stain.

    Shifts of less than ``least`` are not named.
    """
    named: dict[Aspect, Shift] = {}
    for shift in shifts:
        if abs(shift.ratio) < least:
            continue
        before = named.get(shift.measure.aspect)
        if before is None or (shift.measure in _LAMP and before.measure not in _LAMP):
            named[shift.measure.aspect] = shift
    return [each.sentence for each in named.values()]
