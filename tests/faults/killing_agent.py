"""``edge-agent run``, killed the first time that a roll-out reaches a given point. Run as a program."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from edge_agent.cli import main
from edge_agent.contracts import RolloutState
from edge_agent.rollout.activation import Activation
from edge_agent.rollout.partial import Partial
from edge_agent.rollout.progress import Progress
from edge_agent.rollout.record import RecordFile
from edge_agent.rollout.store import ModelStore

Method = Callable[..., Any]


def die() -> None:
    """Die at once, as in a power cut."""
    os.kill(os.getpid(), signal.SIGKILL)


def entering(state: RolloutState) -> tuple[type, str, Method]:
    enter = Progress.enter

    def patched(self: Progress, entered: RolloutState, **changes: Any) -> None:
        enter(self, entered, **changes)
        if entered is state:
            die()

    return Progress, "enter", patched


def before(owner: type, name: str) -> tuple[type, str, Method]:
    return owner, name, lambda *_args, **_named: die()


def after(owner: type, name: str) -> tuple[type, str, Method]:
    method = getattr(owner, name)

    def patched(*args: Any, **named: Any) -> None:
        method(*args, **named)
        die()

    return owner, name, patched


POINTS: dict[str, Callable[[], tuple[type, str, Method]]] = {
    "before it is written": lambda: before(RecordFile, "write"),
    "when it is written": lambda: after(RecordFile, "write"),
    "waiting": lambda: entering(RolloutState.WAITING),
    "downloading": lambda: entering(RolloutState.DOWNLOADING),
    "in the middle of the download": lambda: after(Partial, "write"),
    "when the archive is whole": lambda: after(Partial, "is_whole"),
    "verifying": lambda: entering(RolloutState.VERIFYING),
    "before it appears": lambda: before(ModelStore, "_appear"),
    "when it is installed": lambda: after(ModelStore, "install"),
    "self-test": lambda: entering(RolloutState.SELF_TEST),
    "before it is activated": lambda: before(Activation, "activate"),
    "when it is activated": lambda: after(Activation, "activate"),
    "when it is in use": lambda: after(Activation, "started"),
    "active": lambda: entering(RolloutState.ACTIVE),
}

if __name__ == "__main__":
    point = sys.argv.pop(1)
    if point:
        owner, name, method = POINTS[point]()
        setattr(owner, name, method)
    main()
