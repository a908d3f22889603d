"""Compiles a model for an Edge TPU, where the compiler is installed, and checks that all of it runs there.

The compiler was last released in 2021 and is not free software, so nothing depends on it.
What it accepts is documented by Google ("TensorFlow models on the Edge TPU").
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from pydantic import Field

from edge_agent.inference.bundle import EDGE_TPU_MODEL, MODEL
from edge_agent.inference.runtime import EDGE_TPU_OP
from edge_agent.settings import Settings
from trainer.errors import CompilerMissing, ConversionError

COMPILER = "edgetpu_compiler"
EDGE_TPU_REPORT = "model_edgetpu.log"
"""The compiler's own report, which a bundle keeps beside what it made."""

NEWEST_VERSIONS: Mapping[str, int] = {
    "ADD": 2,
    "CONCATENATION": 2,
    "CONV_2D": 3,
    "DEPTHWISE_CONV_2D": 3,
    "FULLY_CONNECTED": 4,
    "MEAN": 2,
    "MUL": 2,
    "QUANTIZE": 1,
    "RESHAPE": 1,
}
"""The ops of a MobileNetV2 with this head, each with the newest version that a file may need.

These versions came with TFLite 1.14 in 2019 (``runtime_version.cc`` of TensorFlow lists them), two years before
the compiler's last release."""

_MAPPED = "Mapped to Edge TPU"
_TIME_LIMIT_S = 300
_ROW = re.compile(r"^([A-Z][A-Z0-9_]+)\s+(\d+)\s+(\S.*?)\s*$", re.MULTILINE)
_MEMORY = re.compile(r"Off-chip memory used for streaming uncached model parameters: (\S+)")


class Compiled(Settings):
    """What the compiler reports, and what it made."""

    version: str
    operations_count: int = Field(description="All of them run on the Edge TPU.")
    streamed_parameters: str | None = Field(
        description="Size of the parameters that do not fit into its memory, in the compiler's words."
    )
    sha256: str | None = Field(default=None, description="Of the compiled file; null in a run of an older trainer.")


def check_versions(operations: Mapping[str, int]) -> None:
    """Refuse ops, names as in the TFLite schema with their versions, that the compiler may not know.

    Raises ``ConversionError``.
    """
    if unknown := sorted(set(operations) - set(NEWEST_VERSIONS)):
        raise ConversionError(f"the file needs {', '.join(unknown)}, which not every runtime has in int8.")
    for name, version in operations.items():
        if version > NEWEST_VERSIONS[name]:
            raise ConversionError(
                f"the file needs version {version} of {name}; runtimes since 2019 have {NEWEST_VERSIONS[name]}."
            )


def require_compiler() -> str:
    """Path of the compiler. Raises ``CompilerMissing``."""
    program = shutil.which(COMPILER)
    if program is None:
        raise CompilerMissing(f"{COMPILER} is not installed.")
    return program


@dataclass(frozen=True, slots=True)
class CompiledFiles:
    """What is added to a bundle."""

    report: Compiled
    contents: dict[str, bytes]
    """The compiled model and the compiler's own report, by their names."""


def compile_for_edge_tpu(model: bytes) -> CompiledFiles:
    """Compile the content of a TFLite file.

    Raises ``CompilerMissing``, or ``ConversionError`` if the compiler fails, leaves any op to the processor, or makes
    something else than this model for an Edge TPU.
    """
    program = require_compiler()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        path = folder / MODEL
        path.write_bytes(model)
        command = [program, "--show_operations", "--out_dir", str(folder), str(path)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_TIME_LIMIT_S, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ConversionError(f"{COMPILER} did not finish: {error}.") from error
        output = done.stdout + done.stderr
        if done.returncode != 0:
            raise ConversionError(f"{COMPILER} refuses the file: {output.strip() or f'exit {done.returncode}'}")
        log, compiled = folder / EDGE_TPU_REPORT, folder / EDGE_TPU_MODEL
        text = output + (log.read_text(encoding="utf-8", errors="replace") if log.is_file() else "")
        report = read_log(text)
        if not compiled.is_file():
            raise ConversionError(f"{COMPILER} wrote no file: {output.strip()[-200:] or 'it printed nothing'}")
        content = compiled.read_bytes()
    check_compiled(model, content)
    report = report.model_copy(update={"sha256": hashlib.sha256(content).hexdigest()})
    return CompiledFiles(report, {EDGE_TPU_MODEL: content, EDGE_TPU_REPORT: text.encode()})


def check_compiled(model: bytes, compiled: bytes) -> None:
    """Raise ``ConversionError`` unless ``compiled`` is for an Edge TPU and has the inputs and outputs of ``model``."""
    if EDGE_TPU_OP not in compiled:
        raise ConversionError(f"what {COMPILER} made has no op for an Edge TPU.")
    expected, found = _tensors(model), _tensors(compiled)
    if expected != found:
        changed = sorted({name for name, *_ in expected ^ found})
        raise ConversionError(f"what {COMPILER} made has other inputs or outputs: {', '.join(changed)}.")


def _tensors(model: bytes) -> set[tuple[str, tuple[int, ...], str, float, int]]:
    """Name, shape, dtype, scale (of six digits) and zero point of each input and output."""
    try:
        # Its ops need not be known: nothing is run.
        interpreter = Interpreter(
            model_content=model, experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        )
        details = interpreter.get_input_details() + interpreter.get_output_details()
    except (ValueError, RuntimeError) as error:
        raise ConversionError(f"what {COMPILER} made cannot be read: {error}.") from error
    return {
        (
            str(each["name"]),
            tuple(map(int, each["shape"])),
            np.dtype(each["dtype"]).name,
            float(f"{each['quantization'][0]:.6g}"),
            int(each["quantization"][1]),
        )
        for each in details
    }


def read_log(text: str) -> Compiled:
    """What the compiler printed or logged. Raises ``ConversionError`` unless it lists ops and all are mapped."""
    # A row may be both printed and logged.
    rows = sorted(set(_ROW.findall(text)))
    if left := [f"{count} {name} ({status})" for name, count, status in rows if status != _MAPPED]:
        raise ConversionError(f"on an Edge TPU these ops would run on the CPU: {', '.join(left)}")
    if not rows:
        raise ConversionError(f"{COMPILER} lists no ops: {text.strip()[-200:] or 'it printed nothing'}")
    version = re.search(r"Edge TPU Compiler version (\S+)", text)
    memory = _MEMORY.search(text)
    return Compiled(
        version=version.group(1) if version else "unknown",
        operations_count=sum(int(count) for _, count, _ in rows),
        streamed_parameters=memory.group(1) if memory else None,
    )
