"""'trainer bundle-cells': from a run of 'trainer train-cells' to a bundle that the agent loads."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from edge_agent.inference import Classifier, load_bundle
from edge_agent.inference.bundle import CARD, GOLDEN, OOD
from edge_agent.inference.familiarity import Familiarity
from edge_agent.inference.proof import ProofLimits, unproven_reasons
from edge_agent.vision.preprocessing import preprocess
from trainer.cells.bundling.calibration import calibrate_cells
from trainer.cells.bundling.card import CardFigures, render_cells_card, render_cells_data
from trainer.cells.bundling.golden import golden_cells
from trainer.cells.bundling.held_out import HeldOut, judge_held_out, measure_cells_evidence
from trainer.cells.bundling.manifest import build_cells_manifest
from trainer.cells.foreign.familiarity import fit_cells_familiarity
from trainer.cells.laboratories.listing import ListedCell, list_cells
from trainer.cells.laboratories.sources import Sources, Use, load_sources
from trainer.cells.laboratories.splits import Half, assign_halves
from trainer.cells.training.int8 import convert_cells
from trainer.cells.training.map_cache import DENOISE, PREPROCESSING
from trainer.cells.training.network import CellsWeights
from trainer.cells.training.parts import read_parts
from trainer.cells.training.run import PARTS, WEIGHTS, CellsRunConfig, read_cells_config
from trainer.cells.windows.canvases import Canvases, make_canvases
from trainer.cells.windows.cutting import cut_canvas
from trainer.data.split import Part
from trainer.errors import BundleUnproven, DataError, RunError
from trainer.evaluation.reference import summarise
from trainer.export.bundle_files import DATA_CARD, Calibration, uncalibrated_contents, write_bundle
from trainer.export.identity import BundleIdentity
from trainer.files import holds_files
from trainer.training.familiarity import to_npz

REPRESENTATIVE_COUNT = 400
"""Training windows from which the ranges of the activations are taken."""


@dataclass(frozen=True, slots=True, eq=False)
class ChosenCells:
    """Some of the cells, with a view of each one's canvas."""

    positions: tuple[int, ...]
    """Positions among all canvases."""
    cells: tuple[ListedCell, ...]
    canvases: tuple[NDArray[np.uint8], ...]

    @classmethod
    def at(cls, positions: Sequence[int], canvases: Canvases) -> Self:
        """The cells at ``positions``."""
        return cls(
            tuple(positions), tuple(canvases.cells[at] for at in positions), tuple(canvases[at] for at in positions)
        )


def bundle_cells(
    run: Path,
    data: Path,
    out: Path,
    identity: BundleIdentity,
    *,
    cache: Path | None = None,
    table: str | None = None,
    provisional: bool = False,
    sources: Sources | None = None,
) -> tuple[HeldOut, tuple[str, ...]]:
    """Convert a finished run, calibrate and measure the file, and write the bundle to ``out``.

    Returns the answers for the test cells, and what the record lacks for the agent to use the bundle. Nothing may be
    lacking, unless ``provisional`` allows such a bundle. Familiarity is fitted on training cells, everything else is
    chosen on validation cells, through the int8 file. ``cache`` is a folder that keeps canvases, and ``sources``
    describe the laboratories, both by default as in the run; ``table`` is Markdown for the card, about the bundle's
    recipe on laboratories that were left out. Raises ``TrainerError``, such as ``BundleUnproven``, or ``BundleError``.
    """
    if holds_files(out):
        raise RunError(f"{out} is not empty.", remedy="Remove the old bundle, or name another --out.")
    config = read_cells_config(run)
    sources = sources or _sources(config)
    weights = CellsWeights.load(run / WEIGHTS)
    canvases = _canvases(data, sources, Path(config.options.cache if cache is None else cache))
    parts = _divide(canvases, run, config)
    refusable, foreign = _divide_objects(canvases, config)
    contents = uncalibrated_contents(convert_cells(weights, _representative(parts[Part.TRAIN], config.options.seed)))
    contents[DATA_CARD] = render_cells_data(
        config, sources, {part: each.cells for part, each in parts.items()}, (len(refusable), len(foreign.cells))
    ).encode()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        draft = _draft(folder / "uncalibrated", identity, config, contents)
        training, validation, test = (parts[part] for part in (Part.TRAIN, Part.VALIDATION, Part.TEST))
        fitted = fit_cells_familiarity(draft, canvases, [*training.positions, *refusable], seed=config.options.seed)
        familiarity = fitted.familiarity
        calibration = calibrate_cells(
            draft,
            validation.canvases,
            validation.cells,
            max_unfamiliarity_score=fitted.max_unfamiliarity_score,
        )
        contents[OOD] = to_npz(familiarity)
        classifier = _draft(folder / "calibrated", identity, config, contents, calibration)
        contents[GOLDEN] = golden_cells(folder, classifier)
        judged = _judge(classifier, familiarity, test, "Test cells")
        chosen = _judge(classifier, familiarity, validation, "Validation cells")
        refused = _judge(classifier, familiarity, foreign, "Objects that are no cells") if foreign.cells else None
    others = (*training.cells, *validation.cells)
    evidence = measure_cells_evidence(judged, others, config.options.apart.value, seed=config.options.seed)
    reference = summarise(
        [float(each) for each in (*chosen.scores, *judged.scores)],
        [
            float(row.max())
            for found in (chosen, judged)
            for row, familiar in zip(found.probabilities, found.familiar, strict=True)
            if familiar
        ],
    )
    manifest = build_cells_manifest(identity, config, contents, calibration, evidence, reference)
    lacking = unproven_reasons(manifest.labels, manifest.evidence, ProofLimits())
    if lacking and not provisional:
        raise BundleUnproven(f"{identity.name} is not shown to be right often enough. {' '.join(lacking)}")
    contents[CARD] = render_cells_card(manifest, config, CardFigures(judged, refused), lacking, table).encode()
    write_bundle(out, build_cells_manifest(identity, config, contents, calibration, evidence, reference), contents)
    Classifier(load_bundle(out)).verify_golden()
    return judged, lacking


def _sources(config: CellsRunConfig) -> Sources:
    path = config.options.sources
    return load_sources() if path is None else load_sources(Path(path))


def _canvases(data: Path, sources: Sources, cache: Path) -> Canvases:
    codes = [each.code for each in sources.laboratories if each.use is Use.TRAINING]
    return make_canvases(list_cells(data, sources, codes).cells, sources, cache / "canvases")


def _divide(canvases: Canvases, run: Path, config: CellsRunConfig) -> dict[Part, ChosenCells]:
    """The nucleated cells by the run's parts. Raises ``RunError`` or ``DataError``."""
    nucleated = [at for at, cell in enumerate(canvases.cells) if cell.is_nucleated]
    hashes = "\n".join(canvases.cells[at].sha256 for at in nucleated)
    if hashlib.sha256(hashes.encode()).hexdigest() != config.cells_sha256:
        raise DataError(
            "these are not the cells that the run was trained with.", remedy=f"Give --data {config.options.data}."
        )
    assigned = read_parts(run / PARTS, [canvases.cells[at] for at in nucleated])
    parts = {
        part: ChosenCells.at([at for at, of in zip(nucleated, assigned, strict=True) if of is part], canvases)
        for part in Part
    }
    for part, found in parts.items():
        if not found.cells:
            raise DataError(f"the run has no cells for {part.name.lower()}.", remedy="Train with other shares.")
    return parts


def _divide_objects(canvases: Canvases, config: CellsRunConfig) -> tuple[list[int], ChosenCells]:
    """Pictures of no cell: positions of those that familiarity may learn to refuse, and those that only measure it."""
    objects = [at for at, cell in enumerate(canvases.cells) if not cell.is_nucleated]
    halves = assign_halves([canvases.cells[at] for at in objects])
    learnt = [
        at
        for at, half in zip(objects, halves, strict=True)
        if half is Half.VALIDATION and canvases.cells[at].laboratory != config.options.leave_out
    ]
    return learnt, ChosenCells.at(sorted(set(objects) - set(learnt)), canvases)


def _representative(training: ChosenCells, seed: int) -> NDArray[np.uint8]:
    """Preprocessed windows of a few hundred training cells, drawn with the run's seed."""
    chosen = np.random.default_rng(seed).permutation(len(training.canvases))[:REPRESENTATIVE_COUNT]
    return np.stack([preprocess(cut_canvas(training.canvases[each]), PREPROCESSING, DENOISE) for each in chosen])


def _draft(
    folder: Path,
    identity: BundleIdentity,
    config: CellsRunConfig,
    contents: dict[str, bytes],
    calibration: Calibration | None = None,
) -> Classifier:
    write_bundle(folder, build_cells_manifest(identity, config, contents, calibration), contents)
    return Classifier(load_bundle(folder))


def _judge(classifier: Classifier, familiarity: Familiarity, part: ChosenCells, what: str) -> HeldOut:
    return judge_held_out(classifier, familiarity, part.canvases, part.cells, what)
