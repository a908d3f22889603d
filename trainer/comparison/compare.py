"""'trainer compare': networks, preprocessings and baselines on one split, in one table.

All are fitted on the same varied training images and measured on the same test images, as they are and moderately
shifted. Our own networks are trained by the whole recipe, but for a shorter time, converted, and measured as int8
files. The validation columns decide which network is shipped; the test columns say how good it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from edge_agent.inference import load_bundle
from trainer.augmentation.moderate_shift import shift_moderately
from trainer.augmentation.variants import vary_all
from trainer.comparison.candidates import (
    SHIFTS_COUNT,
    Candidate,
    MeasuredPart,
    classical_candidates,
    own_candidates,
    transfer_candidates,
)
from trainer.comparison.classifier import LabelledFields
from trainer.comparison.int8_network import Int8Network
from trainer.comparison.measure import measure_row
from trainer.comparison.plan import LITE0, Plan
from trainer.comparison.results import Comparison
from trainer.comparison.table import COMPARISON, TABLE, to_markdown
from trainer.comparison.transfer import check_keras_weights
from trainer.data.dataset import read_files
from trainer.data.description import Description, load_description
from trainer.data.grouping import merge_groups
from trainer.data.split import Assignment, Part, read_split
from trainer.evaluation.evaluate import class_indices
from trainer.files import check_output_folder, replacing, write_json
from trainer.networks.backbone import load_backbone
from trainer.plans import start_or_resume
from trainer.spec import IMAGENET, Network


def compare(
    data: Path, description: str | None, split: Path, out: Path, plan: Plan, bundles: Sequence[str] = ()
) -> Comparison:
    """Fit and measure everything, keeping finished rows in ``out`` so that a killed comparison can be resumed.

    ``bundles`` are measured as well. Candidates without weights get a row with the reason. Raises ``TrainerError`` or
    ``BundleError``.
    """
    check_output_folder(out)
    for alpha, weights in plan.weights.items():
        load_backbone(alpha, weights)
    for name, weights in plan.others.items():
        if name == LITE0:
            load_backbone(1.0, weights, Network.EFFICIENTNET_LITE0)
        elif weights != IMAGENET:
            check_keras_weights(Path(weights))
    for name in bundles:
        load_bundle(name)
    described = load_description(description, data)
    assignments = read_split(split, data)
    start_or_resume(out, plan, "a comparison")
    parts = {part: _read(data, assignments, part, described, plan.seed) for part in Part}
    rows = tuple(
        measure_row(out, candidate, parts[Part.VALIDATION], parts[Part.TEST])
        for candidate in (
            *classical_candidates(parts[Part.TRAIN].clean, plan),
            *own_candidates(data, description, split, out, plan),
            *transfer_candidates(parts, plan),
            *(
                Candidate(
                    f"{name}, as shipped",
                    "the manifest's preprocessing",
                    partial(Int8Network.from_bundle, name),
                    keep=False,
                )
                for name in bundles
            ),
        )
    )
    found = Comparison(
        dataset=described.name,
        images_count={part.value: len(parts[part].clean.labels) for part in Part},
        variants_count=plan.variants,
        epochs_count=plan.epochs,
        seed=plan.seed,
        rows=rows,
    )
    write_json(out / COMPARISON, found)
    with replacing(out / TABLE) as file:
        file.write(f"{to_markdown(found)}\n".encode())
    return found


def _read(data: Path, assignments: Sequence[Assignment], part: Part, described: Description, seed: int) -> MeasuredPart:
    chosen = [each for each in assignments if each.part is part]
    files = [each.file for each in chosen]
    fields = read_files(data, files, described.geometry)
    return MeasuredPart(
        LabelledFields(fields, class_indices(files, described.codes)),
        np.concatenate([vary_all(fields, shift_moderately, (seed, number)) for number in range(SHIFTS_COUNT)]),
        merge_groups([each.duplicate_group for each in chosen], [file.group for file in files]),
    )
