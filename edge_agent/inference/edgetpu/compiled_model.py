"""A bundle's model for an Edge TPU, and how to know that its answers are right."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_agent.inference.runtime import Tensor

Outputs: TypeAlias = dict[str, NDArray[np.float32]]
"""The real values of every output by name, each with one more axis in front: one row for each picture."""


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class CompiledModel:
    """What runs on an Edge TPU in place of a bundle's own model."""

    content: bytes = field(repr=False)
    """Of ``model_edgetpu.tflite``, verified."""
    input: Tensor
    """As of the bundle's own model; so are the outputs."""
    outputs: Mapping[str, Tensor]
    golden: NDArray[Any] = field(repr=False)
    """(n, h, w, 3) of the input's dtype: the golden fields, as the network takes them."""
    check_golden: Callable[[int, Outputs], None]
    """Raises ``BundleError`` unless these are the outputs of the golden field of that number."""
    is_consistent: Callable[[Outputs], bool]
    """Whether outputs can be of one picture, as far as can be told without knowing it."""

    def dequantize(self, answer: Mapping[str, NDArray[Any]]) -> Outputs:
        """The real values of what the Edge TPU gave for one picture."""
        return {name: tensor.dequantize(answer[name]) for name, tensor in self.outputs.items()}
