"""The process with the Edge TPU's library: loads the model and answers until the agent ends.

``python -m edge_agent.inference.edgetpu.child SOCKET MODEL MEMORY``, all three descriptors. Whatever the library does,
stall or crash, it does here. Only NumPy and the TFLite runtime are loaded.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import socket
import sys
from contextlib import suppress

import numpy as np

from edge_agent.errors import BundleMismatch, EdgeAgentError, EdgeTpuModelUnusable
from edge_agent.inference.edgetpu.channel import DONE, Layout, SharedTensors, TensorLayout, receive, send
from edge_agent.inference.runtime import EDGE_TPU_OP, Runtime, Tensor

MODEL_NAME = "model_edgetpu.tflite"
_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Run until the agent closes the socket or ends."""
    descriptor, model, memory = map(int, arguments)
    # Ctrl-C and the end of a terminal reach every process of it, and systemd's SIGTERM every one of the service; the
    # agent ends this one when it has judged its last frame.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    # A crash is expected here, and its image would only fill the disk on which results wait.
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with socket.socket(fileno=descriptor) as channel:
        first = receive(channel)
        if first is None:
            return
        layout = Layout.from_message(first)
        # Also in a call that never returns it must not outlive the agent, which may have gone before this is asked.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != layout.parent:
            return
        try:
            runtime = _load(model, layout)
        except EdgeAgentError as error:
            send(channel, {"code": error.code, "message": error.message})
            return
        shared = SharedTensors(memory, layout)
        os.close(memory)
        send(channel, DONE)
        _serve(channel, runtime, shared)


def _serve(channel: socket.socket, runtime: Runtime, shared: SharedTensors) -> None:
    while receive(channel) is not None:
        try:
            found = runtime.answer(shared.input[0])
        except EdgeAgentError as error:
            send(channel, {"code": error.code, "message": error.message})
            return
        for name, answer in found.items():
            np.copyto(shared.outputs[name], answer, casting="no")
        send(channel, DONE)


def _load(model: int, layout: Layout) -> Runtime:
    """Raises ``EdgeTpuError``, ``RuntimeMissing``."""
    with open(model, "rb") as file:
        content = file.read()
    if layout.library is not None and EDGE_TPU_OP not in content:
        raise EdgeTpuModelUnusable(f"{MODEL_NAME} was not compiled for an Edge TPU.")
    try:
        runtime = Runtime(
            content,
            delegate=layout.library,
            outputs={name: tensor.name for name, tensor in layout.outputs.items()},
            file=MODEL_NAME,
        )
    except BundleMismatch as error:
        raise EdgeTpuModelUnusable(error.message) from error
    given = {"input": (layout.input, runtime.input)}
    given |= {name: (tensor, runtime.outputs[name]) for name, tensor in layout.outputs.items()}
    for name, (expected, found) in given.items():
        if not _is_same(expected, found):
            raise EdgeTpuModelUnusable(f"{MODEL_NAME} has another '{name}' than model.tflite.")
    return runtime


def _is_same(expected: TensorLayout, found: Tensor) -> bool:
    """Whether numbers of one mean the same in the other. The compiler may write a scale with other digits."""
    return (
        found.shape == expected.shape
        and found.dtype.name == expected.dtype
        and found.zero_point == expected.zero_point
        and abs(found.scale - expected.scale) <= 1e-5 * expected.scale
    )


if __name__ == "__main__":
    main(sys.argv[1:])
