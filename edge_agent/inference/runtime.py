"""A TFLite file and the interpreter that runs it: ai-edge-litert, else tflite-runtime."""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.errors import BundleMismatch, InferenceError, RuntimeMissing
from edge_agent.inference.native_stderr import stderr_without

_RUNTIMES = (
    ("ai-edge-litert", "ai_edge_litert.interpreter"),
    ("tflite-runtime", "tflite_runtime.interpreter"),
)

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

    def __init__(self, model: Path, *, threads: int = 1) -> None:
        """Load and allocate. Raises ``RuntimeMissing``, or ``BundleMismatch`` if it is not a usable model."""
        self.name, module = _import_runtime()
        try:
            with stderr_without(_DELEGATE_NOTICE):
                self._interpreter = module.Interpreter(model_path=str(model), num_threads=threads)
                self._interpreter.allocate_tensors()
            signature = self._interpreter.get_signature_runner()
            inputs = signature.get_input_details()
            outputs = signature.get_output_details()
        except (ValueError, RuntimeError) as error:
            raise BundleMismatch(f"{model.name} is not a model that {self.name} can run: {error}") from error
        if len(inputs) != 1:
            raise BundleMismatch(f"{model.name} has {len(inputs)} inputs instead of one.")
        self.input = _tensor(next(iter(inputs.values())))
        self.outputs = {name: _tensor(detail) for name, detail in outputs.items()}
        self._input_view = self._interpreter.tensor(self.input.index)

    def invoke(self) -> None:
        """Run on the current input and ignore the output: the lower limit of every measurement."""
        self._interpreter.invoke()

    def run(self, values: NDArray[Any]) -> dict[str, NDArray[np.float32]]:
        """Run on ``values`` of the input's shape and dtype; the real values of every output, by name.

        Raises ``InferenceError``.
        """
        try:
            np.copyto(self._input_view(), values, casting="no")
            self.invoke()
            return {
                name: tensor.dequantize(self._interpreter.get_tensor(tensor.index))
                for name, tensor in self.outputs.items()
            }
        except (ValueError, RuntimeError, TypeError) as error:
            raise InferenceError(f"The model failed on a frame: {error}") from error


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
