"""Speaks as ``edge_agent.inference.edgetpu.child`` does, and has neither NumPy nor a runtime: it starts in no time.

It answers what was recorded for a picture, in the folder that HOLLOW_ANSWERS names, and stalls after as many answers as
HOLLOW_STALLS_AFTER says. For what many starts leave in the agent, which is all that is left of a process.
"""

from __future__ import annotations

import hashlib
import json
import math
import mmap
import os
import signal
import socket
import sys
from pathlib import Path


def main() -> None:
    descriptor, _model, memory_descriptor = map(int, sys.argv[1:])
    answers = Path(os.environ["HOLLOW_ANSWERS"])
    channel = socket.socket(fileno=descriptor)
    layout = json.loads(channel.recv(2**16))
    # All tensors are of bytes.
    picture_bytes = math.prod(layout["input"]["shape"])
    memory = mmap.mmap(memory_descriptor, 0)
    channel.sendall(b"{}")
    left = int(os.environ["HOLLOW_STALLS_AFTER"])
    while channel.recv(2**16):
        if left == 0:
            while True:
                signal.pause()
        left -= 1
        answer = (answers / hashlib.sha256(memory[:picture_bytes]).hexdigest()).read_bytes()
        memory[len(memory) - len(answer) :] = answer
        channel.sendall(b"{}")


if __name__ == "__main__":
    main()
