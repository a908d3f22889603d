"""The options of 'trainer train'."""

from __future__ import annotations

import shlex

from pydantic import Field

from edge_agent.settings import Settings
from trainer.spec import Network, middle_layer


class TrainOptions(Settings):
    """All options of 'trainer train'."""

    data: str
    out: str
    description: str | None
    network: Network = Network.MOBILENET_V2
    alpha: float
    weights: str
    preprocessing: str
    denoise: str
    seed: int = Field(ge=0)
    test_share: float = Field(gt=0, lt=0.5)
    validation_share: float = Field(gt=0, lt=0.5)
    variants: int = Field(ge=1, description="Augmented variants per training image.")
    epochs: int = Field(ge=0, description="Upper limit for the layers before the head; 0: the head alone.")
    teacher: tuple[str, ...] = Field(description="Runs whose networks, averaged, teach this one.")
    split: str | None = Field(description="A split to use instead of making one.")

    @property
    def middle_layer(self) -> str:
        """The last layer that keeps its ImageNet weights."""
        return middle_layer(self.alpha, self.network)

    def command(self) -> str:
        """The command line with these options."""
        words = ["trainer", "train"]
        for name, value in self.model_dump().items():
            values = value if isinstance(value, tuple) else () if value is None else (value,)
            for each in values:
                words += [f"--{name.replace('_', '-')}", str(each)]
        return shlex.join(words)
