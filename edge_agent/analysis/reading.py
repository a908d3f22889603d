"""The result of analysing one frame."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_agent.analysis.extraction import ExtractedField
from edge_agent.analysis.network_thread import Judged
from edge_agent.cameras.frame import Frame
from edge_agent.contracts import (
    Cell,
    Decision,
    Difference,
    Differential,
    ErrorReport,
    ImageIdentity,
    Label,
    ModelIdentity,
    Nuclei,
    Outcome,
    Quality,
    Reason,
    Scale,
)
from edge_agent.vision.appearance import Appearance
from edge_agent.vision.field import Window
from edge_agent.vision.red_cells import RedCells
from edge_agent.vision.segmentation import Segmentation

CutCell: TypeAlias = NDArray[np.uint8] | Reason | None
"""A cell's window, uint8 RGB (side, side, 3); or why there is none; or None if there were too many to look at it."""


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """Arrays behind a reading, for the microscope page; they are never sent over MQTT."""

    field: NDArray[np.uint8]
    """uint8 RGB (size, size, 3)."""
    nuclei_mask: NDArray[np.uint8]
    """uint8 (size, size), 255 on nuclei."""
    class_activation_map: NDArray[np.float32] | None
    """(rows, columns, classes); None for a field that was not judged or is unfamiliar."""
    window: Window | None = None
    """The part of the frame that the field shows."""
    cell_windows: tuple[CutCell, ...] = ()
    """The window of each of the reading's cells, as a cells bundle saw it, in order; empty if none judged the field."""


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """The result of analysing one frame. Fields have the meaning and unit that ``contracts.Result`` gives them."""

    frame: Frame
    outcome: Outcome
    model: ModelIdentity
    demonstration: bool
    provisional: bool
    latency_ms: dict[str, float]
    reason: Reason | None = None
    error: ErrorReport | None = None
    label: str | None = None
    malignant: bool | None = None
    probabilities: dict[str, float] | None = None
    malignant_ratio: float | None = None
    decision: Decision | None = None
    differs: tuple[Difference, ...] | None = None
    appearance: Appearance | None = None
    """The simple measures of a field that was chosen for measuring, whatever the decision about it; not published."""
    quality: Quality | None = None
    nuclei: Nuclei | None = None
    scale: Scale | None = None
    cells: tuple[Cell, ...] = ()
    differential: Differential | None = None
    accelerator: str | None = None
    image: ImageIdentity | None = None
    explanation: Explanation | None = field(default=None, repr=False)
    labels: tuple[Label, ...] = ()
    """Names and meanings of the model's labels."""
    cell_labels: tuple[Label, ...] = ()
    """Names and meanings of the cell types; empty if no cells bundle judged the field."""


@dataclass(frozen=True, slots=True, eq=False)
class FieldAnalysis:
    """The facts about a field that need no network."""

    segmentation: Segmentation
    """The nuclei of the view."""
    red_cells: RedCells
    """The red cells of the view."""
    nuclei_mask: NDArray[np.uint8]
    """uint8 (size, size), 255 on the nuclei of the field."""
    quality: Quality
    scale: Scale


@dataclass(frozen=True, slots=True, eq=False)
class PendingReading:
    """A field that is fit to be judged and waits for the network."""

    extracted: ExtractedField
    analysis: FieldAnalysis
    nuclei: Nuclei
    described: tuple[Cell, ...]
    """The nucleated cells as far as no network is needed; empty if a cells bundle judges them."""
    image: ImageIdentity | None
    network_input: NDArray[np.uint8] | None
    """The preprocessed field, uint8 (size, size, 3); None if only its cells are judged."""
    judged: Future[Judged] | None = None
    """The network's output, if it runs in its own thread; None if it has not been started."""
    cells: tuple[CutCell, ...] = ()
    """The cells for a cells bundle to judge; empty if there is no cells bundle."""
