"""A TFLite file and the interpreter that runs it: ai-edge-litert, else tflite-runtime."""

from __future__ import annotations

import importlib
import math
import re
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.errors import BundleMismatch, InferenceError, RuntimeMissing
from edge_agent.inference.native_stderr import stderr_without

_RUNTIMES = (
    ("ai-edge-litert", "ai_edge_litert.interpreter"),
    ("tflite-runtime", "tflite_runtime.interpreter"),
)

MAX_TENSORS_BYTES = 256 * 2**20
"""Of all tensors, as if none shared memory with another; those of the largest bundle that ships need 9 MiB."""

_DELEGATE_NOTICE = re.compile(rb"INFO: Created TensorFlow Lite XNNPACK delegate for CPU\.")
"""Written for every interpreter, whatever TF_CPP_MIN_LOG_LEVEL says. It is of no use to a user."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor of the model: its place, shape, dtype and, for integers, real = scale * (value - zero_point)."""

    index: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    scale: float
    zero_point: int

    def dequantize(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Real values, float32, of the tensor's shape."""
        if self.dtype.kind == "f":
            return values.astype(np.float32)
        return np.float32(self.scale) * (values.astype(np.float32) - np.float32(self.zero_point))


class Runtime:
    """An allocated interpreter with one input and named outputs. Belongs to one thread at a time.

    ai-edge-litert and tflite-runtime have the same interpreter under two names, so one class drives both.
    """

    def __init__(self, model: bytes, *, threads: int = 1) -> None:
        """Load the content of a TFLite file and allocate its tensors.

        Raises ``RuntimeMissing``, or ``BundleMismatch`` if it is not a usable model.
        """
        self.name, module = _import_runtime()
        try:
            with stderr_without(_DELEGATE_NOTICE):
                self._interpreter = module.Interpreter(model_content=model, num_threads=threads)
                _check_sizes(self._interpreter.get_tensor_details())
                self._interpreter.allocate_tensors()
            signature = self._interpreter.get_signature_runner()
            inputs = signature.get_input_details()
            outputs = signature.get_output_details()
        except (ValueError, RuntimeError, MemoryError) as error:
            raise BundleMismatch(f"model.tflite is not a model that {self.name} can run: {error}") from error
        if len(inputs) != 1:
            raise BundleMismatch(f"model.tflite has {len(inputs)} inputs instead of one.")
        self.input = _tensor(next(iter(inputs.values())))
        self.outputs = {name: _tensor(detail) for name, detail in outputs.items()}
        self._input_view = self._interpreter.tensor(self.input.index)

    def invoke(self) -> None:
        """Run on the current input and ignore the output: the lower limit of every measurement."""
        self._interpreter.invoke()

    def run(self, values: NDArray[Any]) -> dict[str, NDArray[np.float32]]:
        """Run on ``values`` of the input's dtype; the real values of every output, by name.

        ``values`` have the input's shape, or more than one along its first axis: then one after the other, and so have
        the outputs. Raises ``InferenceError``.
        """
        found: dict[str, list[NDArray[Any]]] = {name: [] for name in self.outputs}
        try:
            for each in values:
                np.copyto(self._input_view()[0], each, casting="no")
                self.invoke()
                for name, tensor in self.outputs.items():
                    found[name].append(self._interpreter.get_tensor(tensor.index))
            # Once for all: numpy's own work is most of what a few thousand numbers take.
            return {name: tensor.dequantize(np.concatenate(found[name])) for name, tensor in self.outputs.items()}
        except (ValueError, RuntimeError, TypeError) as error:
            raise InferenceError(f"The model failed on a frame: {error}") from error


def _check_sizes(tensors: list[dict[str, Any]]) -> None:
    """Raise ``ValueError`` if the tensors would take too much memory, before they do."""
    needed = sum(math.prod(map(int, each["shape"])) * np.dtype(each["dtype"]).itemsize for each in tensors)
    if needed > MAX_TENSORS_BYTES or any(int(side) < 0 for each in tensors for side in each["shape"]):
        raise ValueError(f"its tensors need {needed} bytes, more than {MAX_TENSORS_BYTES}")


def _tensor(detail: dict[str, Any]) -> Tensor:
    scale, zero_point = detail["quantization"]
    return Tensor(
        int(detail["index"]),
        tuple(int(side) for side in detail["shape"]),
        np.dtype(detail["dtype"]),
        float(scale),
        int(zero_point),
    )


def _import_runtime() -> tuple[str, Any]:
    """Name with version, and the module that has ``Interpreter``."""
    problems = []
    for distribution, module in _RUNTIMES:
        try:
            loaded = importlib.import_module(module)
        except ImportError as error:
            problems.append(f"{distribution}: {error}")
            continue
        try:
            return f"{distribution} {metadata.version(distribution)}", loaded
        except metadata.PackageNotFoundError:
            # Built from source, without package metadata.
            return distribution, loaded
    raise RuntimeMissing(f"No TFLite runtime can be imported ({'; '.join(problems)}).")


def runtime_name() -> str:
    """Name and version of the runtime that would be used. Raises ``RuntimeMissing``."""
    return _import_runtime()[0]
