"""A model that Google compiled, on a machine without an Edge TPU."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from edge_agent.errors import BundleMismatch, EdgeTpuLibraryMissing, EdgeTpuModelUnusable
from edge_agent.inference.edgetpu.process import EdgeTpuProcess
from edge_agent.inference.runtime import Runtime

WEIGHTS = Path(os.environ.get("LEUKOSCOPE_WEIGHTS", Path(__file__).parents[5] / "shared" / "weights"))
CPU = WEIGHTS / "mobilenet_v2_1.0_224_quant.tflite"
COMPILED = WEIGHTS / "mobilenet_v2_1.0_224_quant_edgetpu.tflite"
OUTPUTS = {"probabilities": "MobilenetV2/Predictions/Softmax"}

pytestmark = pytest.mark.skipif(
    not (CPU.is_file() and COMPILED.is_file()), reason=f"Google's pair of models is not in {WEIGHTS}"
)


def test_the_processor_says_that_it_cannot_run_it() -> None:
    with pytest.raises(BundleMismatch, match="compiled for an Edge TPU, so the processor cannot run it"):
        Runtime(COMPILED.read_bytes(), outputs=OUTPUTS)


def test_without_the_library_it_is_one_clear_error_and_the_processor_has_the_other_file() -> None:
    cpu = Runtime(CPU.read_bytes(), outputs=OUTPUTS)
    process = EdgeTpuProcess(COMPILED.read_bytes(), "/nowhere/libedgetpu.so.1", cpu.input, cpu.outputs, deadline_s=5.0)
    with pytest.raises(EdgeTpuLibraryMissing):
        process.wait_until_ready()
    process.kill()
    assert process.release(10)
    answer = cpu.answer(np.full(cpu.input.shape[1:], 128, np.uint8))
    assert answer["probabilities"].shape == (1, 1001)


def test_a_library_that_cannot_run_it_is_one_clear_error(library: Path) -> None:
    cpu = Runtime(CPU.read_bytes(), outputs=OUTPUTS)
    process = EdgeTpuProcess(COMPILED.read_bytes(), str(library), cpu.input, cpu.outputs, deadline_s=5.0)
    with pytest.raises(EdgeTpuModelUnusable, match="not an op that the fake Edge TPU can run"):
        process.wait_until_ready()
    process.kill()
    assert process.release(10)
