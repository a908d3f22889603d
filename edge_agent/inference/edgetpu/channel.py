"""The memory that the agent shares with the process of the Edge TPU, and the words that they exchange beside it.

Pictures and answers lie in shared memory. A socket that keeps messages apart carries the rest, each a JSON object:
first what to load, then ``{}`` for "the picture is there", and back ``{}`` for "the answer is there", or what went
wrong. Its end is the end of the other process.
"""

from __future__ import annotations

import json
import math
import mmap
import os
import socket
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_MESSAGE_BYTES = 2**16
_ALIGNMENT_BYTES = 64
DONE: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class TensorLayout:
    """A tensor as both sides must have it."""

    name: str
    """In the file."""
    shape: tuple[int, ...]
    dtype: str
    scale: float
    zero_point: int

    @property
    def bytes_count(self) -> int:
        """Its size in memory."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


@dataclass(frozen=True, slots=True)
class Layout:
    """What is loaded, and where in the shared memory its tensors are."""

    library: str | None
    """None to run on the processor: for measuring what the other process costs."""
    input: TensorLayout
    outputs: dict[str, TensorLayout]
    parent: int
    """Process id of the agent."""

    @property
    def bytes_count(self) -> int:
        """Size of the shared memory."""
        return sum(_aligned(each.bytes_count) for each in (self.input, *self.outputs.values()))

    def to_message(self) -> dict[str, Any]:
        """As sent to the process."""
        return asdict(self)

    @classmethod
    def from_message(cls, message: dict[str, Any]) -> Layout:
        """What ``to_message`` wrote."""
        return cls(
            library=message["library"],
            input=_tensor(message["input"]),
            outputs={name: _tensor(each) for name, each in message["outputs"].items()},
            parent=message["parent"],
        )


class SharedTensors:
    """The tensors of a layout in shared memory: ``input``, and ``outputs`` by name."""

    def __init__(self, descriptor: int, layout: Layout) -> None:
        """Map ``descriptor``, which has at least the layout's size and may be closed afterwards."""
        memory = np.frombuffer(mmap.mmap(descriptor, layout.bytes_count), np.uint8)
        at = _aligned(layout.input.bytes_count)
        self.input = _view(memory, 0, layout.input)
        self.outputs = {}
        for name, tensor in layout.outputs.items():
            self.outputs[name] = _view(memory, at, tensor)
            at += _aligned(tensor.bytes_count)


def make_memory(name: str, content: bytes | int) -> int:
    """A descriptor of memory with this content, or of so many bytes. Nothing of it is on any disk."""
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC)
    try:
        if isinstance(content, int):
            os.ftruncate(descriptor, content)
        else:
            with open(descriptor, "wb", closefd=False) as file:
                file.write(content)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def send(channel: socket.socket, message: dict[str, Any]) -> None:
    """Send one message. Raises ``OSError``."""
    channel.sendall(json.dumps(message).encode() if message else b"{}")


def receive(channel: socket.socket) -> dict[str, Any] | None:
    """The next message; None if the other process has ended. Raises ``TimeoutError`` or ``OSError``."""
    content = channel.recv(MAX_MESSAGE_BYTES)
    if not content:
        return None
    # By far most of them.
    if content == b"{}":
        return DONE
    message: dict[str, Any] = json.loads(content)
    return message


def _tensor(message: dict[str, Any]) -> TensorLayout:
    return TensorLayout(**{**message, "shape": tuple(message["shape"])})


def _view(memory: NDArray[np.uint8], at: int, tensor: TensorLayout) -> NDArray[Any]:
    return memory[at : at + tensor.bytes_count].view(tensor.dtype).reshape(tensor.shape)


def _aligned(bytes_count: int) -> int:
    return -(-bytes_count // _ALIGNMENT_BYTES) * _ALIGNMENT_BYTES
