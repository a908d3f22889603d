"""Finished runs whose networks teach another one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import keras

from trainer.data.description import Description
from trainer.data.split import Assignment, Part, in_part, read_split
from trainer.errors import RunError
from trainer.networks.network import restore_network
from trainer.spec import LOGITS
from trainer.training.options import TrainOptions
from trainer.training.run import (
    SPLIT,
    WEIGHTS,
    read_config,
)


def load_teacher(
    run: Path, options: TrainOptions, assignments: Sequence[Assignment], description: Description
) -> keras.Model:
    """Image to logits of a finished run, if it may teach. Raises ``RunError`` or ``WeightsError``."""
    config = read_config(run)
    theirs, ours = config.options, options
    if (theirs.preprocessing, theirs.denoise) != (ours.preprocessing, ours.denoise):
        raise RunError(f"the teacher {run} sees images by {theirs.preprocessing} and {theirs.denoise}.")
    if config.dataset.codes != description.codes:
        raise RunError(f"the teacher {run} knows other classes.")
    learnt = {file.sha256 for file in in_part(read_split(run / SPLIT), Part.TRAIN)}
    if any(each.file.sha256 in learnt for each in assignments if each.part is not Part.TRAIN):
        raise RunError(
            f"the teacher {run} learnt from images that are kept for validation or test here.",
            remedy="Give the teacher's manifest.csv as --split.",
        )
    network = restore_network(run / WEIGHTS, theirs.alpha, len(config.dataset.classes))
    return keras.Model(network.input, network.output[LOGITS])


def average_networks(networks: Sequence[keras.Model]) -> keras.Model:
    """Image to the networks' mean logits: what one of them is wrongly sure of, the others make less sure."""
    image = keras.Input(networks[0].input_shape[1:])
    return keras.Model(image, keras.ops.mean(keras.ops.stack([network(image) for network in networks]), axis=0))
