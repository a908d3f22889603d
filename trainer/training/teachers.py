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


def check_teacher(run: Path, options: TrainOptions) -> None:
    """Raise ``RunError`` unless ``run`` is finished and has the preprocessing and denoising of ``options``."""
    theirs = read_config(run).options
    if not (run / WEIGHTS).is_file():
        raise RunError(f"the teacher {run} is not finished.", remedy="Finish its training first.")
    if (theirs.preprocessing, theirs.denoise) != (options.preprocessing, options.denoise):
        raise RunError(
            f"the teacher {run} was trained with --preprocessing {theirs.preprocessing} --denoise {theirs.denoise}.",
            remedy="Give the same here, or another --teacher.",
        )


def load_teacher(
    run: Path, options: TrainOptions, assignments: Sequence[Assignment], description: Description
) -> keras.Model:
    """The model of a finished run, image to logits, if it may teach. Raises ``RunError`` or ``WeightsError``."""
    check_teacher(run, options)
    config = read_config(run)
    if config.dataset.codes != description.codes:
        raise RunError(f"the teacher {run} has other classes.", remedy="Give a --teacher of the same classes.")
    trained_on = {file.sha256 for file in in_part(read_split(run / SPLIT), Part.TRAIN)}
    if any(each.file.sha256 in trained_on for each in assignments if each.part is not Part.TRAIN):
        raise RunError(
            f"the teacher {run} was trained on images that are kept for validation or test here.",
            remedy="Give the teacher's manifest.csv as --split.",
        )
    theirs = config.options
    network = restore_network(run / WEIGHTS, theirs.alpha, len(config.dataset.classes), theirs.network)
    return keras.Model(network.input, network.output[LOGITS])


def average_networks(networks: Sequence[keras.Model]) -> keras.Model:
    """A model from image to the networks' mean logits, which are less overconfident than each network's."""
    image = keras.Input(networks[0].input_shape[1:])
    return keras.Model(image, keras.ops.mean(keras.ops.stack([network(image) for network in networks]), axis=0))
