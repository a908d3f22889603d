"""'trainer train-cells': fits the blast's log-odds on frozen layers, trains the types' branch, and records both."""

from __future__ import annotations

import hashlib
import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from trainer.cells.laboratories.listing import ListedCell, list_cells
from trainer.cells.laboratories.sources import TYPES, Meaning, Sources, Use, load_sources
from trainer.cells.laboratories.splits import sampling_weights
from trainer.cells.training.blast_fit import BlastModel
from trainer.cells.training.map_cache import CachedCells, cache_cells
from trainer.cells.training.network import CellsWeights, build_blast_features, build_types_tail, read_imagenet
from trainer.cells.training.options import CellsOptions
from trainer.cells.training.parts import Parts, assign_parts, parts_csv, write_parts
from trainer.cells.training.run import (
    CHECKPOINT,
    CONFIG,
    CURVES,
    METRICS,
    PARTS,
    WEIGHTS,
    CellsRunConfig,
    read_cells_config,
)
from trainer.cells.training.types_training import TypedCells, train_types
from trainer.cells.windows.canvases import make_canvases
from trainer.data.split import Part
from trainer.errors import DataError, RunError
from trainer.files import check_output_folder, make_folder, write_json
from trainer.networks.weights import Weights, named_weights
from trainer.progress import console
from trainer.training.curves import write_curves
from trainer.training.run import Duration
from trainer.training.tail import BATCH

_TYPES = tuple(each for each in TYPES if each is not Meaning.BLAST)


def train_cells(options: CellsOptions) -> None:
    """Train and write the run folder, or resume an unfinished run there. Raises ``TrainerError``.

    The test cells are not used: they are for the file that is shipped.
    """
    began = time.monotonic(), time.process_time()
    out = Path(options.out)
    check_output_folder(out)
    if (out / WEIGHTS).exists():
        raise RunError(f"{out} already contains a finished run.", remedy="Name another --out, or remove it.")
    sources = load_sources() if options.sources is None else load_sources(Path(options.sources))
    imagenet = read_imagenet(options.weights)
    canvases = make_canvases(_listed(options, sources), sources, Path(options.cache) / "canvases")
    for each in canvases.skipped:
        console.print(f"Left out: {each.laboratory}, {each.path} {each.reason}.")
    cells = canvases.cells
    parts = assign_parts(cells, options)
    in_part = {part: _positions(cells, parts, part) for part in Part}
    typed = {part: _typed(cells, in_part[part]) for part in (Part.TRAIN, Part.VALIDATION)}
    _start_or_resume(options, cells, parts)

    keras.utils.set_random_seed(options.seed)
    cached = cache_cells(canvases, imagenet, Path(options.cache) / "maps", variants=options.variants, seed=options.seed)
    blast, auroc = _fit_blast(cached, imagenet, cells, in_part)
    console.print(f"Blasts against the rest, validation cells: AUROC {auroc:.3f}.")
    tail = build_types_tail(imagenet)
    history = train_types(
        tail,
        cached,
        typed[Part.TRAIN],
        typed[Part.VALIDATION],
        out / CHECKPOINT,
        epochs=options.epochs,
        seed=options.seed,
    )
    write_curves(out / CURVES, history)
    write_json(
        out / METRICS,
        {
            "cells_count": {
                part.value: dict(Counter(cells[position].laboratory for position in in_part[part])) for part in Part
            },
            "unreadable": [asdict(each) for each in canvases.skipped],
            "validation_blast_auroc": auroc,
            "validation_types_accuracy_ratio": history[-1].clean_accuracy_ratio,
            "validation_types_accuracy_varied_ratio": history[-1].shifted_accuracy_ratio,
            **Duration(
                wall_s=round(time.monotonic() - began[0], 1),
                cpu_s=round(time.process_time() - began[1], 1),
                cores_count=os.cpu_count() or 1,
            ).model_dump(),
        },
    )
    weights = CellsWeights(imagenet, blast.weights, blast.bias, named_weights(tail), blast.dark_weight)
    weights.save(out / WEIGHTS)
    (out / CHECKPOINT).unlink(missing_ok=True)
    console.print(f"Run written to {out}.")


def _listed(options: CellsOptions, sources: Sources) -> Sequence[ListedCell]:
    """The nucleated cells of all laboratories for training. Raises ``DataError``."""
    codes = [each.code for each in sources.laboratories if each.use is Use.TRAINING]
    if options.leave_out is not None and options.leave_out not in codes:
        raise DataError(
            f"no laboratory '{options.leave_out}' is trained with.", remedy=f"Leave out one of {', '.join(codes)}."
        )
    return [each for each in list_cells(Path(options.data), sources, codes).cells if each.is_nucleated]


def _start_or_resume(options: CellsOptions, cells: Sequence[ListedCell], parts: Parts) -> None:
    out = Path(options.out)
    sha256 = hashlib.sha256("\n".join(each.sha256 for each in cells).encode()).hexdigest()
    if (out / CONFIG).exists():
        config = read_cells_config(out)
        # Patients whose names were corrected since may be in another part.
        same_parts = (out / PARTS).read_bytes() == parts_csv(cells, parts)
        if config.options != options or config.cells_sha256 != sha256 or not same_parts:
            raise RunError(
                f"{out} contains an unfinished run with other options or cells.",
                remedy="Give the same options to resume it, name another --out, or remove it.",
            )
        console.print(f"Resuming the unfinished run in {out}.")
        return
    make_folder(out)
    write_parts(out / PARTS, cells, parts)
    write_json(out / CONFIG, CellsRunConfig.now(options, sha256, len(cells)))


def _positions(cells: Sequence[ListedCell], parts: Parts, part: Part) -> NDArray[np.int64]:
    """Positions of the cells of a part. Raises ``DataError`` if any but the test part lacks blasts or others."""
    found = np.array([position for position, each in enumerate(parts) if each is part], np.int64)
    kinds = {cells[position].is_blast for position in found}
    if part is not Part.TEST and kinds != {True, False}:
        raise DataError(
            f"the cells for {'training' if part is Part.TRAIN else 'validation'} are not both blasts and others.",
            remedy="Give more cells, or a larger --validation-share.",
        )
    return found


def _fit_blast(
    cached: CachedCells, imagenet: Weights, cells: Sequence[ListedCell], in_part: dict[Part, NDArray[np.int64]]
) -> tuple[BlastModel, float]:
    """The model of the blast's log-odds, and its AUROC on the validation cells."""
    network = build_blast_features(imagenet)
    features, truth = {}, {}
    for part in (Part.TRAIN, Part.VALIDATION):
        positions = in_part[part]
        features[part] = np.concatenate(
            [
                np.asarray(network.predict_on_batch(cached.take(0, positions[start : start + BATCH])))
                for start in range(0, len(positions), BATCH)
            ]
        )
        truth[part] = np.array([cells[position].is_blast for position in positions], bool)
    chosen = [cells[position] for position in in_part[Part.TRAIN]]
    dark = {part: cached.dark_area[in_part[part]] for part in features}
    blast = BlastModel.fit(features[Part.TRAIN], dark[Part.TRAIN], truth[Part.TRAIN], sampling_weights(chosen))
    found = blast.log_odds(features[Part.VALIDATION], dark[Part.VALIDATION])
    return blast, float(roc_auc_score(truth[Part.VALIDATION], found))


def _typed(cells: Sequence[ListedCell], positions: NDArray[np.int64]) -> TypedCells:
    """The cells at ``positions`` of a known type other than the blast. Raises ``DataError`` if there is none."""
    kept = [int(position) for position in positions if cells[position].type in _TYPES]
    if not kept:
        raise DataError("no cell has a type other than the blast.", remedy="Give more cells.")
    types = [_TYPES.index(kind) for position in kept if (kind := cells[position].type) is not None]
    weights = sampling_weights([cells[position] for position in kept])
    return TypedCells(np.array(kept, np.int64), np.array(types, np.int64), weights)
