"""'trainer judge-cells': reads pictures of single cells with a bundle exactly as 'edge-agent classify --as-cell' does.

The figures are about the agent's answers, so the agent is asked: its ``CellAnalyzer``, its procedure for the scale of a
run, its limits. In addition, the network's output for cells that are then refused is kept: one run gives the figures
over all cells and those over the cells that are not refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_agent.analysis.blast_offset import BlastOffset
from edge_agent.analysis.cell_analyzer import CellAnalyzer
from edge_agent.analysis.cell_scale import CellScale, measure_scale, spread
from edge_agent.cameras.frame import Encoded, Frame, frame_now
from edge_agent.contracts import Outcome
from edge_agent.errors import ImageError
from edge_agent.inference import Classifier, load_bundle
from edge_agent.inference.bundle import MODEL
from edge_agent.inference.classifier import Classification
from edge_agent.vision.decode import read_header
from trainer.cells.laboratories.listing import ListedCell
from trainer.errors import DataError
from trainer.many_laboratories.judged import Judged, JudgedCell, JudgedWith
from trainer.processes import in_processes

_CHUNK = 256
"""Cells for which a process loads the bundle once."""


@dataclass(frozen=True, slots=True, eq=False)
class Judging:
    """The answers for cells, and the features from which they were computed."""

    judged: Judged
    features: NDArray[np.float16]
    """(cells, channels): the output ``features`` of the model; NaN for a cell that it did not see."""


def judge_cells(
    bundle: str, laboratory: Sequence[ListedCell], chosen: Sequence[ListedCell], data: Path, part: str, processes: int
) -> Judging:
    """Judge the ``chosen`` cells with the bundle of that name or folder; ``laboratory`` has all of its cells.

    Scale and blast offset are measured once for all pictures of the laboratory, as the agent does for a run of them. A
    bundle's record is not checked: a bundle that leaves a laboratory out is made for this table alone. Raises
    ``BundleError``, ``BundleWrongKind`` and ``OutOfMemory``.
    """
    loaded = load_bundle(bundle)
    classifier = Classifier(loaded)
    # This comes first, because it refuses a bundle of the wrong kind.
    analyzer = CellAnalyzer(classifier, proof=None)
    scale = analyzer.scale = find_scale(laboratory)
    analyzer.find_blast_offset(_frame_of(each) for each in spread(laboratory))
    offset = analyzer.blast_offset
    manifest = loaded.manifest
    labels = tuple(label.code for label in manifest.labels)
    work = partial(_judge, bundle=bundle, scale=scale, offset=offset, data=data)
    what = f"Judging {chosen[0].laboratory}, {part}"
    found = list(in_processes(work, chosen, what, processes=processes, chunk=_CHUNK))
    channels = next((len(features) for _, features in found if features is not None), 0)
    nothing = np.full(channels, np.nan, np.float16)
    judged = Judged(
        laboratory=chosen[0].laboratory,
        part=part,
        model=JudgedWith(
            name=manifest.name,
            version=manifest.version,
            sha256=manifest.files[MODEL],
            manifest_sha256=loaded.sha256,
            max_unfamiliarity_score=classifier.thresholds.max_unfamiliarity_score,
            min_confidence_ratio=classifier.thresholds.min_confidence_ratio,
        ),
        scale=scale.describe(),
        side_um=side_um(scale, laboratory),
        blast_offset=offset.log_odds,
        labels=labels,
        cells=tuple(cell for cell, _ in found),
    )
    return Judging(judged, np.stack([nothing if each is None else each for _, each in found]))


def find_scale(laboratory: Sequence[ListedCell]) -> CellScale:
    """The agent's scale of a laboratory's pictures, measured on some that are spread over all of them."""
    return measure_scale(Encoded(each.path.read_bytes()) for each in spread(laboratory))


def side_um(scale: CellScale, laboratory: Sequence[ListedCell]) -> float:
    """The length shown by the shorter side of the laboratory's first readable picture at that scale."""
    for cell in laboratory:
        with suppress(ImageError):
            header = read_header(cell.path.read_bytes())
            shorter_px = min(header.height_px, header.width_px)
            return round(scale.um_per_pixel_of(header.height_px, header.width_px) * shorter_px, 2)
    raise DataError("no picture can be read.", remedy="Check --data.")


class _OverheardClassifier(Classifier):
    """Keeps the network's last output, even if the agent then refuses to give it."""

    last: Classification | None = None

    def classify_all(self, images: Sequence[NDArray[np.uint8]]) -> list[Classification]:
        found = super().classify_all(images)
        self.last = found[-1] if found else None
        return found


def _judge(
    cells: Sequence[ListedCell], bundle: str, scale: CellScale, offset: BlastOffset, data: Path
) -> list[tuple[JudgedCell, NDArray[np.float16] | None]]:
    classifier = _OverheardClassifier(load_bundle(bundle))
    analyzer = CellAnalyzer(classifier, scale=scale, proof=None)
    analyzer.blast_offset = offset
    malignant = np.array([label.malignant for label in classifier.labels])
    return [_judge_one(each, analyzer, classifier, malignant, data) for each in cells]


def _frame_of(cell: ListedCell) -> Frame:
    return frame_now("judging", Encoded(cell.path.read_bytes()))


def _judge_one(
    cell: ListedCell,
    analyzer: CellAnalyzer,
    classifier: _OverheardClassifier,
    malignant: NDArray[np.bool_],
    data: Path,
) -> tuple[JudgedCell, NDArray[np.float16] | None]:
    classifier.last = None
    reading = analyzer.analyse(_frame_of(cell))
    said = classifier.last
    if (said is None) != (reading.decision is None):
        raise RuntimeError("the agent decided by what was not overheard")
    refusal: str | None = None if reading.reason is None else reading.reason.value
    if reading.outcome is Outcome.FAILED:
        refusal = "failed" if reading.error is None else reading.error.code
    return (
        JudgedCell(
            path=cell.path.relative_to(data).as_posix(),
            meaning=cell.meaning,
            group=cell.group,
            type=reading.label,
            refusal=refusal,
            probabilities=None if said is None else tuple(said.probabilities.tolist()),
            blast_ratio=None if said is None else float(said.probabilities[malignant].sum()),
            unfamiliarity_score=None if said is None else said.unfamiliarity_score,
        ),
        None if said is None else said.features.astype(np.float16),
    )
