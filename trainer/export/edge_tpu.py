"""Checks that a file runs entirely on an Edge TPU: by its ops and, if installed, by the compiler.

The compiler was last released in 2021 and is not free software, so nothing depends on it.
What it accepts is documented by Google ("TensorFlow models on the Edge TPU").
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from pydantic import Field

from edge_agent.settings import Settings
from trainer.errors import ConversionError

COMPILER = "edgetpu_compiler"
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
    """What the compiler reports."""

    version: str
    operations_count: int = Field(description="All of them run on the Edge TPU.")
    streamed_parameters: str | None = Field(
        description="Size of the parameters that do not fit into its memory, in the compiler's words."
    )


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


def compile_for_edge_tpu(model: Path, out: Path) -> Compiled | None:
    """Compile ``model`` into the folder ``out``, beside the compiler's log; None where it is not installed.

    Raises ``ConversionError`` if it fails, or leaves any op to the CPU.
    """
    program = shutil.which(COMPILER)
    if program is None:
        return None
    command = [program, "--show_operations", "--out_dir", str(out), str(model)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIME_LIMIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConversionError(f"{COMPILER} did not finish: {error}.") from error
    output = done.stdout + done.stderr
    if done.returncode != 0:
        raise ConversionError(f"{COMPILER} refuses the file: {output.strip() or f'exit {done.returncode}'}")
    log = out / f"{model.stem}_edgetpu.log"
    return read_log(output + (log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""))


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
