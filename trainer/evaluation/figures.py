"""The figures of a classifier that can be published."""

from __future__ import annotations

from pydantic import Field

from edge_agent.settings import Settings


class ClassFigures(Settings):
    """One class against the rest, by top class, every image counted."""

    code: str
    images_count: int
    precision_ratio: float
    recall_ratio: float
    f1_ratio: float
    auroc_ratio: float | None = Field(description="Of the class's probability; null where a side is empty.")


class ReliabilityBin(Settings):
    """Images of similar confidence."""

    images_count: int
    confidence_ratio: float = Field(description="Mean.")
    accuracy_ratio: float


class RiskPoint(Settings):
    """If only the most confident images were answered."""

    coverage_ratio: float
    error_ratio: float
    min_confidence_ratio: float


class Figures(Settings):
    """Figures of one set of images, by top class unless said otherwise."""

    images_count: int
    groups_count: int | None = Field(description="Groups that the bootstrap drew; null where there is none.")
    accuracy_ratio: float
    accuracy_interval_ratio: tuple[float, float] = Field(description="95 % Wilson interval.")
    classes: tuple[ClassFigures, ...]
    macro_precision_ratio: float = Field(description="Mean over classes.")
    macro_recall_ratio: float = Field(description="Mean over classes.")
    macro_f1_ratio: float = Field(description="Mean over classes.")
    auroc_ratio: float | None = Field(description="One class against the rest, mean over classes.")
    confusion: tuple[tuple[int, ...], ...] = Field(description="Rows: truth; columns: top class.")
    malignant_precision_ratio: float | None = Field(description="Malignant images among those given such a class.")
    malignant_recall_ratio: float | None = Field(description="Malignant images given any malignant class.")
    malignant_specificity_ratio: float | None = Field(description="Others given a class that is not malignant.")
    malignant_f1_ratio: float | None
    malignant_auroc_ratio: float | None = Field(description="Of the malignant classes' summed probability.")
    refused_ratio: float = Field(description="Share refused, for whatever reason.")
    answered_accuracy_ratio: float | None = Field(description="Right answers among the answered labels.")
    expected_calibration_error_ratio: float = Field(description="15 equal bins of confidence.")
    brier_score: float = Field(description="Summed over classes: 0 is best, 2 is worst.")
    reliability: tuple[ReliabilityBin, ...] = Field(description="The bins that have images.")
    risk_coverage: tuple[RiskPoint, ...]
    intervals: dict[str, tuple[float, float]] | None = Field(
        description="95 % bootstrap interval of each figure by its name. Where nothing was wrong it has no width: "
        "Wilson's interval of the accuracy says what so many images can show. Null where there is no bootstrap."
    )
