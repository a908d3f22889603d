"""Readings that nobody took: as large and as varied as those of a microscope, and repeatable from a seed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any

from edge_agent.contracts import (
    CaptureSettings,
    Cell,
    Decision,
    ErrorReport,
    ImageIdentity,
    Label,
    ModelIdentity,
    Nuclei,
    Outcome,
    Quality,
    Reason,
    Scale,
    ScaleSource,
)
from edge_agent.errors import ImageError

MODEL = ModelIdentity(
    name="simulated", version="1.0.0", sha256="0" * 64, preprocessing="rgb@1", runtime="none: nothing is judged"
)

LABELS = tuple(
    Label(code=code, display_name=name, meaning="Drawn by lot.", malignant=malignant)
    for code, name, malignant in (
        ("benign", "Benign (hematogones)", False),
        ("early-pre-b", "Early pre-B ALL", True),
        ("pre-b", "Pre-B ALL", True),
        ("pro-b", "Pro-B ALL", True),
    )
)

CAPTURE = CaptureSettings(width_px=1280, height_px=960, pixel_format="MJPG", locked=True)

_OUTCOMES = {Outcome.CLASSIFIED: 70, Outcome.ABSTAINED: 12, Outcome.REJECTED: 15, Outcome.FAILED: 3}
_ABSTAINED = (Reason.UNFAMILIAR, Reason.LOW_CONFIDENCE)
_REJECTED = (Reason.BLURRED, Reason.MOVING, Reason.UNDER_EXPOSED, Reason.OVER_EXPOSED, Reason.COLOUR_CAST)
_LABEL_WEIGHTS = (55, 15, 20, 10)

_FIELDS_COUNT = 64
"""Different fields. The content of a field costs more to make than the rest of a message."""


@dataclass(frozen=True, slots=True)
class _Field:
    quality: Quality
    nuclei: Nuclei
    cells: tuple[Cell, ...]
    scale: Scale


class SimulatedReadings:
    """Draws one reading after another. The same seed draws the same ones."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)  # noqa: S311 - repeatable, and no secret

    def draw(self) -> dict[str, Any]:
        """Those fields of a ``Result`` that depend on what was seen, by name."""
        random = self._random
        [outcome] = random.choices(tuple(_OUTCOMES), weights=tuple(_OUTCOMES.values()))
        latency_ms = self._latency_ms()
        if outcome is Outcome.FAILED:
            error = ErrorReport.from_error(ImageError("The simulated frame is cut off."))
            return _reading(outcome, latency_ms, error=error)
        field = random.choice(_fields())
        seen: dict[str, Any] = {
            "quality": field.quality,
            "nuclei": field.nuclei,
            "scale": field.scale,
            "image": ImageIdentity(sha256=hashlib.sha256(random.randbytes(8)).hexdigest(), stored=False),
        }
        if outcome is Outcome.REJECTED:
            return _reading(outcome, latency_ms, reason=random.choice(_REJECTED), **seen)
        seen["cells"] = field.cells
        if outcome is Outcome.ABSTAINED and random.choice(_ABSTAINED) is Reason.UNFAMILIAR:
            decision = _decision(round(random.uniform(9.3, 30), 3), None)
            return _reading(outcome, latency_ms, reason=Reason.UNFAMILIAR, decision=decision, differs=(), **seen)
        [label] = random.choices(LABELS, weights=_LABEL_WEIGHTS)
        confidence = round(random.uniform(0.9, 1) if outcome is Outcome.CLASSIFIED else random.uniform(0.5, 0.89), 6)
        seen |= self._probabilities(label, confidence)
        seen["decision"] = _decision(round(random.uniform(1, 9), 3), confidence)
        if outcome is Outcome.ABSTAINED:
            return _reading(outcome, latency_ms, reason=Reason.LOW_CONFIDENCE, **seen)
        return _reading(outcome, latency_ms, label=label.code, malignant=label.malignant, **seen)

    def _latency_ms(self) -> dict[str, float]:
        stages = {"field": 0.8, "denoising": 2.0, "segmentation": 9.0, "quality": 4.0, "inference": 38.0}
        spent = {stage: round(typical * self._random.uniform(0.8, 1.6), 3) for stage, typical in stages.items()}
        return {"waiting": 0.1, **spent, "total": round(sum(spent.values()), 3)}

    def _probabilities(self, likeliest: Label, confidence: float) -> dict[str, Any]:
        rest = round((1 - confidence) / (len(LABELS) - 1), 6)
        probabilities = {label.code: confidence if label is likeliest else rest for label in LABELS}
        malignant = sum(probabilities[label.code] for label in LABELS if label.malignant)
        return {"probabilities": probabilities, "malignant_ratio": round(min(1.0, malignant), 6)}


def _reading(outcome: Outcome, latency_ms: dict[str, float], **seen: object) -> dict[str, Any]:
    nothing = (
        "reason",
        "error",
        "label",
        "malignant",
        "probabilities",
        "malignant_ratio",
        "decision",
        "quality",
        "nuclei",
        "image",
    )
    return {**dict.fromkeys(nothing), **seen, "outcome": outcome, "latency_ms": latency_ms}


def _decision(unfamiliarity: float, confidence: float | None) -> Decision:
    return Decision(
        rule="simulated@1",
        max_unfamiliarity_score=9.257,
        unfamiliarity_score=unfamiliarity,
        min_confidence_ratio=0.9,
        confidence_ratio=confidence,
    )


@cache
def _fields() -> tuple[_Field, ...]:
    random = Random(0)  # noqa: S311 - the same fields in every process
    return tuple(_draw_field(random) for _ in range(_FIELDS_COUNT))


def _draw_field(random: Random) -> _Field:
    areas = sorted((round(random.uniform(2500, 9500), 1) for _ in range(random.randint(2, 16))), reverse=True)
    um_per_pixel = round(random.uniform(0.11, 0.13), 4)
    um2 = [round(area * um_per_pixel**2, 1) for area in areas]
    middle = len(areas) // 2
    return _Field(
        quality=Quality(
            focus_score=round(random.uniform(150, 400), 3),
            brightness_pct=round(random.uniform(55, 80), 3),
            clipped_dark_pct=0.0,
            clipped_bright_pct=round(random.uniform(0, 2), 3),
            clipped_nuclei_pct=0.0,
            colour_cast_delta_e=round(random.uniform(0, 4), 3),
            colourfulness_delta_e=round(random.uniform(12, 25), 3),
            foreground_pct=round(random.uniform(30, 65), 3),
            motion_pct=round(random.uniform(0, 1), 3),
        ),
        nuclei=Nuclei(
            count=len(areas),
            coverage_pct=round(100 * sum(areas) / (1280 * 960), 3),
            median_area_px=areas[middle],
            median_area_um2=um2[middle],
        ),
        cells=tuple(
            Cell(
                x_px=round(random.uniform(40, 1240), 1),
                y_px=round(random.uniform(40, 920), 1),
                nucleus_area_px=area,
                nucleus_area_um2=area_um2,
                window_side_px=round(24 / um_per_pixel, 1),
                cut=random.random() < 0.1,
            )
            for area, area_um2 in zip(areas, um2, strict=True)
        ),
        scale=Scale(
            source=ScaleSource.CONFIGURED,
            um_per_pixel=um_per_pixel,
            estimated_um_per_pixel=um_per_pixel,
            estimated_um_per_pixel_low=round(um_per_pixel * 0.85, 4),
            estimated_um_per_pixel_high=round(um_per_pixel * 1.2, 4),
            red_cells_count=random.randint(8, 60),
            red_cell_diameter_px=round(7.5 / um_per_pixel, 2),
            disagrees=False,
        ),
    )
