"""The process with the Edge TPU's library, as the agent sees it: it answers in time, or is killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import edge_agent
from edge_agent import errors
from edge_agent.errors import EdgeAgentError, EdgeTpuCrashed, EdgeTpuError, EdgeTpuStalled, RuntimeMissing
from edge_agent.inference.edgetpu.channel import (
    DONE,
    Layout,
    SharedTensors,
    TensorLayout,
    make_memory,
    receive,
    send,
)
from edge_agent.inference.edgetpu.options import START_DEADLINE_S
from edge_agent.inference.runtime import Tensor

_MODULE = "edge_agent.inference.edgetpu.child"
_ENVIRONMENT = {"MALLOC_ARENA_MAX": "1", "OPENBLAS_NUM_THREADS": "1"}
"""Each heap and each of NumPy's threads would take memory for nothing."""


class EdgeTpuProcess:
    """A process that has loaded a model. ``answer`` belongs to one thread at a time; any thread may ``kill``."""

    def __init__(
        self, model: bytes, library: str | None, tensor: Tensor, outputs: Mapping[str, Tensor], *, deadline_s: float
    ) -> None:
        """Start the process; ``wait_until_ready`` waits for it.

        ``model`` is the content of a compiled TFLite file, with the same tensors as ``tensor`` and ``outputs`` of the
        bundle's own model. It is loaded with ``library``, or without one on the processor. An answer may take
        ``deadline_s``. Raises ``EdgeTpuCrashed`` if no process can be started.
        """
        layout = Layout(
            library=library,
            input=_layout(tensor),
            outputs={name: _layout(each) for name, each in outputs.items()},
            parent=os.getpid(),
        )
        self._deadline_s = deadline_s
        try:
            with ExitStack() as stack:
                self._start(model, layout, stack)
        except OSError as error:
            raise EdgeTpuCrashed(f"The process for the Edge TPU cannot be started: {error}.") from error

    def _start(self, model: bytes, layout: Layout, stack: ExitStack) -> None:
        memory = make_memory("leukoscope-tensors", layout.bytes_count)
        stack.callback(os.close, memory)
        content = make_memory("leukoscope-model", model)
        stack.callback(os.close, content)
        os.lseek(content, 0, os.SEEK_SET)
        self._shared = SharedTensors(memory, layout)
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        stack.enter_context(closing(theirs))
        descriptors = (theirs.fileno(), content, memory)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", _MODULE, *map(str, descriptors)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=_environment(),
                pass_fds=descriptors,
            )
        except BaseException:
            self._channel.close()
            raise
        try:
            send(self._channel, layout.to_message())
        except OSError:
            # It has ended already; waiting for its answer says so.
            return

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def wait_until_ready(self, deadline_s: float = START_DEADLINE_S) -> None:
        """Wait until it has loaded the model. Raises ``EdgeTpuError`` or ``RuntimeMissing``, and it is killed."""
        self._expect_done(deadline_s)

    def answer(self, picture: NDArray[Any], deadline_s: float | None = None) -> dict[str, NDArray[Any]]:
        """The outputs as they are, by name, for one picture (h, w, 3) of the input's dtype.

        Raises ``EdgeTpuError``; then it is killed and answers no more.
        """
        np.copyto(self._shared.input[0], picture, casting="no")
        try:
            send(self._channel, DONE)
        except OSError as error:
            self.kill()
            raise self._crashed() from error
        self._expect_done(self._deadline_s if deadline_s is None else deadline_s)
        return {name: output.copy() for name, output in self._shared.outputs.items()}

    def kill(self) -> None:
        """Kill it, without waiting until it has ended: one that waits for a device in the kernel may take a while.

        Whoever waits for its answer in another thread waits no longer.
        """
        self._process.kill()
        # Its own end of the socket stays open until it has ended.
        with suppress(OSError):
            self._channel.shutdown(socket.SHUT_RDWR)

    def release(self, timeout_s: float) -> bool:
        """Give back what a killed one holds, once it has ended and nobody waits for an answer. False if it has not."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        self._channel.close()
        return True

    def _expect_done(self, deadline_s: float) -> None:
        try:
            self._channel.settimeout(deadline_s)
            message = receive(self._channel)
        except TimeoutError as error:
            self.kill()
            raise EdgeTpuStalled(f"The Edge TPU did not answer within {deadline_s * 1e3:.0f} ms.") from error
        except (OSError, ValueError) as error:
            self.kill()
            raise self._crashed() from error
        if message is None:
            self.kill()
            raise self._crashed()
        if message:
            self.kill()
            raise _error(message)

    def _crashed(self) -> EdgeTpuCrashed:
        code = self._process.poll()
        if code is None:
            # It has closed its end of the socket, so it is about to end, or was killed here.
            try:
                code = self._process.wait(0.1)
            except subprocess.TimeoutExpired:
                return EdgeTpuCrashed("The process with the Edge TPU's library stopped answering.")
        how = f"exit code {code}" if code >= 0 else _signal_name(-code)
        return EdgeTpuCrashed(f"The process with the Edge TPU's library ended: {how}.")


def _error(message: dict[str, Any]) -> EdgeAgentError:
    """What the process said."""
    text = str(message.get("message"))
    known: dict[str, type[EdgeAgentError]] = {
        kind.code: kind
        for kind in (
            errors.EdgeTpuLibraryMissing,
            errors.EdgeTpuModelUnusable,
            RuntimeMissing,
        )
    }
    return known.get(str(message.get("code")), EdgeTpuError)(text)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _layout(tensor: Tensor) -> TensorLayout:
    return TensorLayout(tensor.name, tensor.shape, tensor.dtype.name, tensor.scale, tensor.zero_point)


def _environment() -> dict[str, str]:
    """So that the process finds the same agent, wherever this one was found."""
    found = {**os.environ, **_ENVIRONMENT}
    here = Path(edge_agent.__file__).parent.parent
    # Where packages are installed it is found anyway, and nothing there may come before Python's own modules.
    if here.name not in {"site-packages", "dist-packages"}:
        found["PYTHONPATH"] = os.pathsep.join(filter(None, [str(here), os.environ.get("PYTHONPATH")]))
    return found
