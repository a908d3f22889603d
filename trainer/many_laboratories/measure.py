"""'trainer many-laboratories': judges every laboratory with the bundles that were not trained on it.

Earlier results are kept: cells that the same bundle has judged, and the features of the baseline.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from threadpoolctl import threadpool_limits

from edge_agent.analysis.cell_scale import CellScale
from edge_agent.inference import load_bundle
from edge_agent.inference.bundle import MANIFEST
from trainer.cells.laboratories.listing import ListedCell, list_cells
from trainer.cells.laboratories.sources import Sources, Use
from trainer.cells.training.parts import read_parts
from trainer.cells.training.run import PARTS
from trainer.data.split import Part
from trainer.errors import DataError
from trainer.evaluation.intervals import RESAMPLES
from trainer.files import check_output_folder, make_folder, replacing, write_json
from trainer.many_laboratories.baseline import Baseline, judge_by_baseline
from trainer.many_laboratories.choosing import JudgedPart, choose_cells, in_part
from trainer.many_laboratories.figures import LaboratoryFigures, Measured, mean_estimate, measure_laboratory
from trainer.many_laboratories.judged import Judged, JudgedWith, read_judged
from trainer.many_laboratories.judging import find_scale, judge_cells, side_um
from trainer.many_laboratories.laboratory_probe import ProbeRow, probe_laboratories
from trainer.many_laboratories.raw_features import feature_file, raw_features
from trainer.many_laboratories.results import RESULTS, Baselines, ManyLaboratories
from trainer.progress import console

BUNDLE = "bundle"
ALL, PATIENTS, RANDOM = "all", "patients", "random"
_BASELINE = "baseline"
_LINEAR_THREADS = 1
"""Threads of a linear fit: with more, they mostly wait on small matrices, and for minutes if other programs run."""
_BLAST_AUROC = "blast_auroc_ratio"


def run_without(laboratory: str) -> str:
    """The name of the run that is trained on all laboratories for training but this one."""
    return f"without-{laboratory}"


@dataclass(slots=True)
class Table:
    """The folders, cells and bundles to measure with."""

    runs: Path
    """A folder for each run, with its bundle and, for ``patients`` and ``random``, the parts of its cells."""
    data: Path
    sources: Sources
    processes: int
    seed: int = 0
    resamples: int = RESAMPLES
    models: dict[str, JudgedWith] = field(default_factory=dict)
    """The models of the runs that were used."""
    cells: dict[str, tuple[ListedCell, ...]] = field(default_factory=dict)
    """The cells by laboratory."""

    def has(self, run: str) -> bool:
        """Whether there is a bundle of that run."""
        return (self.runs / run / BUNDLE / MANIFEST).is_file()

    def laboratory(self, code: str) -> tuple[ListedCell, ...]:
        """All cells of a laboratory. Raises ``DataError``."""
        if code not in self.cells:
            self.cells[code] = list_cells(self.data, self.sources, [code]).cells
        return self.cells[code]

    def judge(self, run: str, code: str, part: JudgedPart, split: Path | None = None) -> Judged:
        """Call ``judge_cells``, unless the same bundle has judged the same cells, with the same labels, before."""
        bundle = self.runs / run / BUNDLE
        chosen = choose_cells(self.laboratory(code), part, split)
        path = self.runs / "judged" / f"{run}-{code}-{part}.json"
        found = read_judged(path) if path.exists() else None
        wanted = [(each.path.relative_to(self.data).as_posix(), each.meaning, each.group) for each in chosen]
        if (
            found is None
            or found.model is None
            or found.model.manifest_sha256 != load_bundle(bundle).sha256
            or [(each.path, each.meaning, each.group) for each in found.cells] != wanted
        ):
            judging = judge_cells(str(bundle), self.laboratory(code), chosen, self.data, part, self.processes)
            make_folder(path.parent)
            with replacing(path.with_suffix(".npy")) as file:
                np.save(file, judging.features)
            # Written last: the features do not count without it.
            write_json(path, judging.judged)
            found = judging.judged
        if found.model is not None:
            self.models[run] = found.model
        return found

    def features(self, run: str, code: str, part: JudgedPart) -> NDArray[np.float32]:
        """The features from which ``judge`` judged, float32 (n, channels)."""
        return np.asarray(np.load(self.runs / "judged" / f"{run}-{code}-{part}.npy", allow_pickle=False), np.float32)

    def measure(self, judged: Judged) -> Measured:
        """The figures of what was judged."""
        return measure_laboratory(judged, seed=self.seed, resamples=self.resamples)


def measure_all(table: Table, weights: str, out: Path) -> ManyLaboratories:
    """Measure what is available, and write it into the folder ``out``. Raises ``TrainerError`` or ``BundleError``."""
    check_output_folder(out)
    check_output_folder(table.runs)
    training = [each.code for each in table.sources.laboratories if each.use is Use.TRAINING]
    testing = [each.code for each in table.sources.laboratories if each.use is Use.TESTING]
    runs = [*map(run_without, training), ALL, PATIENTS, RANDOM]
    missing = [each for each in runs if not table.has(each)]
    if len(missing) == len(runs):
        raise DataError(
            f"{table.runs} has no bundle: neither {runs[0]}/{BUNDLE} nor any other.",
            remedy="Train them first ('make many-laboratories'), or name another --runs.",
        )
    for each in missing:
        console.print(f"There is no bundle in {table.runs / each}: its figures are left out.")
    # Problems with the arguments show before anything is judged.
    for run in (PATIENTS, RANDOM):
        if table.has(run):
            read_parts(table.runs / run / PARTS, [])
    baseline = _baseline(table, weights, [*training, *testing])
    left_out = [
        table.measure(table.judge(run_without(code), code, JudgedPart.TEST))
        for code in training
        if table.has(run_without(code))
    ]
    never_trained = (
        [table.measure(table.judge(ALL, code, JudgedPart.ALL)) for code in testing] if table.has(ALL) else []
    )
    found = ManyLaboratories(
        resamples_count=table.resamples,
        seed=table.seed,
        left_out=tuple(each.figures for each in left_out),
        never_trained=tuple(each.figures for each in never_trained),
        mean_blast_auroc=mean_estimate(_with_blasts(left_out), _BLAST_AUROC),
        patients=_split_figures(table, PATIENTS, training),
        random=_split_figures(table, RANDOM, training),
        baseline=baseline,
        probe=_probe(table, weights, training),
        models=table.models,
    )
    make_folder(out)
    write_json(out / RESULTS, found)
    return found


def _with_blasts(measured: Iterable[Measured]) -> list[Measured]:
    return [each for each in measured if _BLAST_AUROC in each.figures.all_cells.estimates]


def _split_figures(table: Table, run: str, laboratories: Sequence[str]) -> tuple[LaboratoryFigures, ...]:
    """Figures of the laboratories of which the run has test cells."""
    if not table.has(run):
        return ()
    split = table.runs / run / PARTS
    tested = [code for code in laboratories if in_part(table.laboratory(code), Part.TEST, split)]
    return tuple(table.measure(table.judge(run, code, JudgedPart.TEST, split)).figures for code in tested)


def _raw(table: Table, weights: str, code: str) -> tuple[CellScale, NDArray[np.float32]]:
    cells = table.laboratory(code)
    scale = find_scale(cells)
    return scale, raw_features(cells, scale, weights, table.runs / _BASELINE, table.processes)


def _judge_by_baseline(table: Table, weights: str, laboratories: Sequence[str]) -> Baseline:
    """Call ``judge_by_baseline``, unless that was done before."""
    cells: list[ListedCell] = []
    features: list[NDArray[np.float32]] = []
    scales: dict[str, tuple[str, float]] = {}
    names: list[str] = []
    for code in laboratories:
        own = table.laboratory(code)
        scale, raw = _raw(table, weights, code)
        readable = np.isfinite(raw[:, 0])
        cells += [each for each, kept in zip(own, readable, strict=True) if kept]
        features.append(raw[readable])
        scales[code] = scale.describe(), side_um(scale, own)
        names += [feature_file(own, scale, weights, table.runs).name, *(f"{each.meaning} {each.group}" for each in own)]
    key = hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]
    path = table.runs / _BASELINE / f"judged-{key}.json"
    with suppress(OSError, ValidationError):
        return Baseline.model_validate_json(path.read_bytes())
    paths = [each.path.relative_to(table.data).as_posix() for each in cells]
    with threadpool_limits(_LINEAR_THREADS):
        found = judge_by_baseline(cells, np.concatenate(features), table.sources, scales, paths)
    make_folder(path.parent)
    write_json(path, found)
    return found


def _baseline(table: Table, weights: str, laboratories: Sequence[str]) -> Baselines:
    found = _judge_by_baseline(table, weights, laboratories)
    measured = [table.measure(each) for each in found.judged]
    left_out = [each for each in measured if each.figures.part == JudgedPart.TEST]
    return Baselines(
        laboratories=tuple(each.figures for each in measured),
        blast_inverse_regularisation=found.blast_inverse_regularisation,
        types_inverse_regularisation=found.types_inverse_regularisation,
        mean_blast_auroc=mean_estimate(_with_blasts(left_out), _BLAST_AUROC),
    )


def _probe(table: Table, weights: str, laboratories: Sequence[str]) -> tuple[ProbeRow, ...]:
    """Probe all cells of the laboratories for training, with the bundle that was trained on them."""
    if not table.has(ALL):
        return ()
    cells: list[ListedCell] = []
    raw: list[NDArray[np.float32]] = []
    seen_by_bundle: list[NDArray[np.float32]] = []
    for code in laboratories:
        own = table.laboratory(code)
        table.judge(ALL, code, JudgedPart.ALL)
        by_bundle, by_raw = table.features(ALL, code, JudgedPart.ALL), _raw(table, weights, code)[1]
        both = np.isfinite(by_bundle[:, 0]) & np.isfinite(by_raw[:, 0])
        cells += [each for each, kept in zip(own, both, strict=True) if kept]
        raw.append(by_raw[both])
        seen_by_bundle.append(by_bundle[both])
    with threadpool_limits(_LINEAR_THREADS):
        return tuple(probe_laboratories(cells, np.concatenate(raw), np.concatenate(seen_by_bundle), seed=table.seed))
