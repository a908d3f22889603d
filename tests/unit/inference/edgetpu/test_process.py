from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.errors import EdgeTpuCrashed
from edge_agent.inference.bundle import EDGE_TPU_MODEL, MODEL
from edge_agent.inference.edgetpu.channel import Layout, SharedTensors, TensorLayout, make_memory
from edge_agent.inference.edgetpu.process import EdgeTpuProcess
from edge_agent.inference.runtime import Runtime

_FOR_THE_AGENT = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that the process gets too, from a terminal or from systemd."""

_OWNER = """
import sys, time
from pathlib import Path
import numpy as np
from edge_agent.inference.edgetpu.process import EdgeTpuProcess
from edge_agent.inference.runtime import Runtime
bundle, library = sys.argv[1:]
cpu = Runtime((Path(bundle) / "model.tflite").read_bytes())
model = (Path(bundle) / "model_edgetpu.tflite").read_bytes()
process = EdgeTpuProcess(model, library, cpu.input, cpu.outputs, deadline_s=60)
process.wait_until_ready()
print(process.pid, flush=True)
process.answer(np.zeros(cpu.input.shape[1:], cpu.input.dtype))
"""


def test_a_process_that_stalls_does_not_outlive_an_agent_that_was_killed(
    library: Path, bundle_for_coral: Path, tmp_path: Path
) -> None:
    (tmp_path / "command").write_text("stall")
    command = [sys.executable, "-c", _OWNER, str(bundle_for_coral), str(library)]
    environment = {**os.environ, "FAKE_EDGETPU_COMMAND": str(tmp_path / "command")}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as owner:
        assert owner.stdout is not None
        child = psutil.Process(int(owner.stdout.readline()))
        owner.send_signal(signal.SIGKILL)
    psutil.wait_procs([child], timeout=10)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_the_process_loads_nothing_but_numpy_and_the_runtime() -> None:
    code = (
        "import sys, edge_agent.inference.edgetpu.child; "
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'cv2', 'pydantic', 'paho', 'scipy', 'psutil'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_without_a_library_it_runs_the_bundles_own_model_until_the_agent_has_judged_its_last_frame(
    bundle_for_coral: Path,
) -> None:
    content = (bundle_for_coral / MODEL).read_bytes()
    cpu = Runtime(content)
    process = EdgeTpuProcess(content, None, cpu.input, cpu.outputs, deadline_s=5.0)
    try:
        process.wait_until_ready()
        # A service that is stopped gets its signal in every process.
        for number in _FOR_THE_AGENT:
            os.kill(process.pid, number)
        picture = np.random.default_rng(1).integers(-128, 128, cpu.input.shape[1:], dtype=np.int8)
        found, expected = process.answer(picture), cpu.answer(picture)
        assert all(np.array_equal(found[name], expected[name]) for name in expected)
    finally:
        process.kill()
        assert process.release(10)


def test_nobody_waits_for_one_that_was_killed_and_cannot_end_yet(
    bundle_for_coral: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = (bundle_for_coral / MODEL).read_bytes()
    cpu = Runtime(content)
    process = EdgeTpuProcess(content, None, cpu.input, cpu.outputs, deadline_s=5.0)
    try:
        process.wait_until_ready()
        with monkeypatch.context() as patched:
            # As while the kernel waits for a device: no signal reaches it.
            os.kill(process.pid, signal.SIGSTOP)
            patched.setattr(subprocess.Popen, "kill", lambda _process: None)
            killer = threading.Thread(target=process.kill)
            killer.start()
            # Not that it did not answer in time.
            with pytest.raises(EdgeTpuCrashed, match="stopped answering"):
                process.answer(np.zeros(cpu.input.shape[1:], cpu.input.dtype), 2.0)
            killer.join()
    finally:
        process.kill()
        assert process.release(10)


def test_the_stand_in_is_a_compiled_model_without_a_signature(bundle_for_coral: Path) -> None:
    content = (bundle_for_coral / EDGE_TPU_MODEL).read_bytes()
    assert b"edgetpu-custom-op" in content
    assert b"serving_default" not in content.replace(b"serving_default_image:0", b"")


_TENSORS = st.builds(
    TensorLayout,
    name=st.text(max_size=8),
    shape=st.lists(st.integers(1, 7), min_size=1, max_size=4).map(tuple),
    dtype=st.sampled_from(["int8", "uint8", "int16", "float32"]),
    scale=st.floats(1e-6, 10),
    zero_point=st.integers(-128, 255),
)


@given(
    layout=st.builds(
        Layout,
        library=st.none() | st.text(max_size=8),
        input=_TENSORS,
        outputs=st.dictionaries(st.text(max_size=8), _TENSORS, max_size=5),
        parent=st.integers(1, 2**22),
    )
)
def test_both_sides_see_the_same_tensors_which_do_not_overlap(layout: Layout) -> None:
    assert Layout.from_message(layout.to_message()) == layout
    descriptor = make_memory("test", layout.bytes_count)
    try:
        ours, theirs = SharedTensors(descriptor, layout), SharedTensors(descriptor, layout)
    finally:
        os.close(descriptor)
    every = [(ours.input, theirs.input), *((ours.outputs[name], theirs.outputs[name]) for name in layout.outputs)]
    for number, (mine, _) in enumerate(every):
        mine[...] = number + 1
    for number, (_, seen) in enumerate(every):
        assert (seen == number + 1).all()
