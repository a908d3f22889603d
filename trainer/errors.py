"""What a user of the trainer can meet and mend; in the agent's tree, so that every error has a code and a remedy."""

from __future__ import annotations

from edge_agent.errors import EdgeAgentError


class TrainerError(EdgeAgentError):
    """Base of the trainer's own errors."""

    code = "trainer_failed"


class DataError(TrainerError):
    """The data folder, its description or a split cannot be trained on."""

    code = "data_invalid"
    remedy = "Give one folder per class, with images in it, described by a dataset.toml."


class WeightsError(TrainerError):
    """The backbone's weights cannot be loaded into the network."""

    code = "weights_invalid"
    remedy = "Give an .npz file for the same alpha, or 'imagenet' while online."


class RunError(TrainerError):
    """A run folder is not what 'trainer train' left, or is in the way."""

    code = "run_invalid"
    remedy = "Name the folder that 'trainer train --out' wrote."


class ConversionError(TrainerError):
    """The converted model is not one that every runtime of the agent can be trusted with."""

    code = "conversion_failed"
    remedy = "Report this with the versions in the run's config.json."
