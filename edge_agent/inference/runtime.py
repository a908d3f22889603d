"""A TFLite file and the interpreter that runs it: ai-edge-litert, else tflite-runtime."""

from __future__ import annotations

import ctypes
import importlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.errors import BundleMismatch, EdgeTpuError, EdgeTpuLibraryMissing, InferenceError, RuntimeMissing
from edge_agent.inference.native_stderr import stderr_without

_RUNTIMES = (
    ("ai-edge-litert", "ai_edge_litert.interpreter"),
    ("tflite-runtime", "tflite_runtime.interpreter"),
)

MAX_TENSORS_BYTES = 256 * 2**20
"""Size of all tensors, as if none shared memory with another; those of the largest shipped bundle need 9 MiB."""

EDGE_TPU_OP = b"edgetpu-custom-op"
"""The op that the Edge TPU's compiler puts in place of those that it compiled."""

_DELEGATE_NOTICE = re.compile(rb"INFO: Created TensorFlow Lite XNNPACK delegate for CPU\.")
"""Written for every interpreter, whatever TF_CPP_MIN_LOG_LEVEL says. It is of no use to a user."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor of the model: its place, name, shape, dtype and, for integers, real = scale * (value - zero_point)."""

    index: int
    name: str
    """The name in the file, which the compiler for the Edge TPU keeps; not the name in the signature."""
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

    def __init__(
        self,
        model: bytes,
        *,
        threads: int = 1,
        delegate: str | None = None,
        outputs: Mapping[str, str] | None = None,
        file: str = "model.tflite",
    ) -> None:
        """Load the content of a TFLite file and allocate its tensors.

        ``delegate`` is a library that takes over the ops that it can, such as that of an Edge TPU. ``outputs`` maps the
        names to use to the outputs' names in the file, for a file without a signature. ``file`` is its name in errors.
        Raises ``RuntimeMissing``, ``EdgeTpuLibraryMissing``, ``EdgeTpuError`` if the delegate refuses, or
        ``BundleMismatch`` if it is not a usable model.
        """
        self.name, module = _import_runtime()
        delegates = None if delegate is None else [_load_delegate(module, delegate)]
        try:
            with stderr_without(_DELEGATE_NOTICE):
                self._interpreter = module.Interpreter(
                    model_content=model, num_threads=threads, experimental_delegates=delegates
                )
                _check_sizes(self._interpreter.get_tensor_details())
                self._interpreter.allocate_tensors()
            found_inputs, found_outputs = self._find_tensors(outputs)
        except (ValueError, RuntimeError, MemoryError) as error:
            if delegates is None and EDGE_TPU_OP in model:
                raise BundleMismatch(
                    f"{file} is compiled for an Edge TPU, so the processor cannot run it.",
                    remedy="Put the model that it was compiled from in its place, and call this one "
                    "model_edgetpu.tflite.",
                ) from error
            raise BundleMismatch(f"{file} is not a model that {self.name} can run: {error}") from error
        if len(found_inputs) != 1:
            raise BundleMismatch(f"{file} has {len(found_inputs)} inputs instead of one.")
        self.input = _tensor(found_inputs[0])
        self.outputs = {name: _tensor(detail) for name, detail in found_outputs.items()}
        self._input_view = self._interpreter.tensor(self.input.index)

    def _find_tensors(self, outputs: Mapping[str, str] | None) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """The inputs, and the outputs by name. Raises ``ValueError``."""
        if outputs is None:
            signature = self._interpreter.get_signature_runner()
            return list(signature.get_input_details().values()), signature.get_output_details()
        details = {detail["name"]: detail for detail in self._interpreter.get_output_details()}
        if missing := sorted(set(outputs.values()) - set(details)):
            raise ValueError(f"it has no output {', '.join(missing)}")
        return self._interpreter.get_input_details(), {name: details[own] for name, own in outputs.items()}

    def invoke(self) -> None:
        """Run on the current input and ignore the output: the lower limit of every measurement."""
        self._interpreter.invoke()

    def run(self, values: NDArray[Any]) -> dict[str, NDArray[np.float32]]:
        """Run on ``values`` of the input's dtype; the real values of every output, by name.

        ``values`` have the input's shape, or more entries along its first axis: then the model runs on one after the
        other, and the outputs have as many entries. Raises ``InferenceError``.
        """
        found: dict[str, list[NDArray[Any]]] = {name: [] for name in self.outputs}
        for each in values:
            for name, answer in self.answer(each).items():
                found[name].append(answer)
        # Dequantize once for all: numpy's overhead is most of the time that a few thousand numbers take.
        return {name: tensor.dequantize(np.concatenate(found[name])) for name, tensor in self.outputs.items()}

    def answer(self, values: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """Run on one image (h, w, 3) of the input's dtype; the outputs, not dequantized, by name. As ``run``."""
        try:
            np.copyto(self._input_view()[0], values, casting="no")
            self.invoke()
            return {name: self._interpreter.get_tensor(tensor.index) for name, tensor in self.outputs.items()}
        except (ValueError, RuntimeError, TypeError) as error:
            raise InferenceError(f"The model failed on a frame: {error}") from error


def _check_sizes(tensors: list[dict[str, Any]]) -> None:
    """Raise ``ValueError`` if the tensors would take too much memory, before they are allocated."""
    needed = sum(math.prod(map(int, each["shape"])) * np.dtype(each["dtype"]).itemsize for each in tensors)
    if needed > MAX_TENSORS_BYTES or any(int(side) < 0 for each in tensors for side in each["shape"]):
        raise ValueError(f"its tensors need {needed} bytes, more than {MAX_TENSORS_BYTES}")


def _tensor(detail: dict[str, Any]) -> Tensor:
    scale, zero_point = detail["quantization"]
    return Tensor(
        int(detail["index"]),
        str(detail["name"]),
        tuple(int(side) for side in detail["shape"]),
        np.dtype(detail["dtype"]),
        float(scale),
        int(zero_point),
    )


def _load_delegate(module: Any, library: str) -> object:  # noqa: ANN401 - one of two modules of the same shape
    try:
        # Load the library by itself first: if that fails in load_delegate, it leaves an object that cannot be deleted.
        ctypes.CDLL(library)
        return module.load_delegate(library)
    except OSError as error:
        raise EdgeTpuLibraryMissing(f"The library {library} cannot be loaded: {error}.") from error
    except (ValueError, AttributeError) as error:
        # ValueError: the library gives no delegate, and mostly no reason. AttributeError: it is some other library.
        reason = str(error).strip().replace("\n", " ")
        raise EdgeTpuError(f"{library} gives no access to an Edge TPU: {reason}.") from error


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
