"""Trains the upper layers on a site's pictures instead of fitting a head, and compares the two. Needs TensorFlow."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from edge_agent.inference import load_bundle
from edge_agent.settings import Settings
from trainer.data.assignment import assign_parts
from trainer.data.dataset import ImageFile, read_files
from trainer.data.split import Assignment, Part, write_split
from trainer.errors import DataError
from trainer.evaluation.intervals import percentile_interval, resample
from trainer.site.cross_validation import CrossValidation
from trainer.site.examples import Examples

FOLDS = 3
"""The number of folds; each is a training of its own."""
VALIDATION_SHARE = 0.2
"""Share of the pictures that a fold does not hold out: they choose the epoch, the temperature and the thresholds."""


@dataclass(frozen=True, slots=True)
class FineTuneOptions:
    """How the upper layers are trained."""

    weights: str
    """ImageNet weights as for 'trainer train': an .npz file, or 'imagenet'."""
    alpha: float
    """Width of the network to which the weights belong."""
    out: Path
    """New folder for the bundle. The runs behind it are in ``NAME-runs`` beside it."""
    variants: int = 8
    epochs: int = 12


class FineTuneComparison(Settings):
    """The trained layers beside the head, on the same held-out pictures."""

    images_count: int = Field(ge=1, description="Held-out pictures, each judged once by either.")
    head_accuracy_ratio: float = Field(ge=0, le=1)
    fine_tuned_accuracy_ratio: float = Field(ge=0, le=1)
    gain_ratio: float = Field(description="Accuracy of the trained layers less that of the head.")
    gain_interval_ratio: tuple[float, float] = Field(description="95 %, by paired bootstrap over groups.")
    folds_count: int = Field(ge=2, description="Trainings, each without the pictures that it is judged on.")

    @property
    def fine_tuned_is_better(self) -> bool:
        """A head wins ties: it is smaller, is fitted in seconds, and leaves the network as it is."""
        return self.gain_interval_ratio[0] > 0


def fine_tune(
    examples: Examples, bundle: str, head: CrossValidation, options: FineTuneOptions, *, seed: int = 0
) -> FineTuneComparison:
    """Train once for each of a few folds, compare with ``head``, and write the bundle of the first fold.

    The bundle's own record is about the pictures that the first fold holds out. Raises ``TrainerError`` or
    ``BundleError``.
    """
    runs = options.out.with_name(f"{options.out.name}-runs")
    top = np.full(len(examples.labels), -1, np.int64)
    folds = list(_folds(examples, seed))
    for number, assignments in enumerate(folds):
        run = runs / f"fold-{number + 1}"
        held_out = np.array([each.part is Part.TEST for each in assignments])
        _train(examples, assignments, run, bundle, options, seed)
        files = [file for file, out in zip(examples.files, held_out, strict=True) if out]
        top[held_out] = _answers(run, examples, files)
    _write_bundle(runs / "fold-1", examples, options)
    return compare(head.top == examples.labels, top == examples.labels, examples.groups, len(folds), seed=seed)


def compare(
    head_right: NDArray[np.bool_],
    fine_tuned_right: NDArray[np.bool_],
    groups: NDArray[np.int64],
    folds_count: int,
    *,
    seed: int = 0,
) -> FineTuneComparison:
    """Compare the pictures that each names rightly, (n,), by ``groups`` int64 (n,)."""
    gains = fine_tuned_right.astype(np.float64) - head_right
    drawn = resample(lambda times: np.array([(gains * times).sum() / times.sum()]), groups, seed=seed)
    interval = percentile_interval(drawn[:, 0])
    if interval is None:
        raise ValueError("nothing to resample")
    return FineTuneComparison(
        images_count=len(head_right),
        head_accuracy_ratio=float(head_right.mean()),
        fine_tuned_accuracy_ratio=float(fine_tuned_right.mean()),
        gain_ratio=float(gains.mean()),
        gain_interval_ratio=interval,
        folds_count=folds_count,
    )


def _folds(examples: Examples, seed: int) -> Iterator[list[Assignment]]:
    """A split for each fold; every picture is a test picture of one of them."""
    # The import takes half a second.
    from sklearn.model_selection import StratifiedGroupKFold  # noqa: PLC0415 - slow to load

    labels = np.array([file.label for file in examples.files])
    fewest = min(len(set(examples.groups[labels == label].tolist())) for label in set(labels.tolist()))
    if fewest < FOLDS:
        raise DataError(
            f"a class has {fewest} group(s) of pictures; to train layers needs {FOLDS}.",
            remedy="Label pictures of more specimens or fields, or leave --fine-tune out.",
        )
    splitter = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    for training, _ in splitter.split(np.zeros(len(labels)), labels, examples.groups):
        parts = [Part.TEST] * len(labels)
        # The pictures for its test part are trained on, too.
        chosen = assign_parts(
            labels[training].tolist(),
            examples.groups[training],
            test_share=VALIDATION_SHARE,
            validation_share=VALIDATION_SHARE,
            seed=seed,
        )
        for index, part in zip(training, chosen, strict=True):
            parts[index] = Part.TRAIN if part is Part.TEST else part
        yield [
            Assignment(file, int(group), part)
            for file, group, part in zip(examples.files, examples.groups, parts, strict=True)
        ]


def _train(
    examples: Examples, assignments: list[Assignment], run: Path, bundle: str, options: FineTuneOptions, seed: int
) -> None:
    # TensorFlow takes seconds, and is an extra.
    from trainer.export.quantization import quantize  # noqa: PLC0415 - TensorFlow
    from trainer.training.options import TrainOptions  # noqa: PLC0415 - as above
    from trainer.training.train import train  # noqa: PLC0415 - as above

    preprocessing = load_bundle(bundle).manifest.preprocessing
    run.parent.mkdir(parents=True, exist_ok=True)
    split = run.with_suffix(".csv")
    write_split(split, assignments)
    train(
        TrainOptions(
            data=str(examples.folder),
            out=str(run),
            description=None,
            alpha=options.alpha,
            weights=options.weights,
            preprocessing=preprocessing.id,
            denoise=preprocessing.denoise,
            seed=seed,
            test_share=0.1,
            validation_share=VALIDATION_SHARE,
            variants=options.variants,
            epochs=options.epochs,
            teacher=(),
            split=str(split),
        )
    )
    quantize(run, examples.folder)


def _answers(run: Path, examples: Examples, files: list[ImageFile]) -> NDArray[np.int64]:
    """Index (n,) of the likeliest class of each file, by the run's int8 file."""
    from trainer.export.bundle_files import uncalibrated_classifier  # noqa: PLC0415 - as above
    from trainer.networks.int8 import int8_logits  # noqa: PLC0415 - as above

    draft = run / "draft"
    classifier = uncalibrated_classifier(run, draft)
    logits = int8_logits(classifier, read_files(examples.folder, files, examples.description.geometry))
    shutil.rmtree(draft)
    return np.asarray(logits.argmax(axis=1), np.int64)


def _write_bundle(run: Path, examples: Examples, options: FineTuneOptions) -> None:
    from trainer.export.bundle import bundle  # noqa: PLC0415 - as above
    from trainer.export.identity import BundleIdentity  # noqa: PLC0415 - as above

    identity = BundleIdentity(name=options.out.name, version="1.0.0")
    bundle(run, examples.folder, options.out, identity, provisional=True)
