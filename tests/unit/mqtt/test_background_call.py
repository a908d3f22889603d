from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from edge_agent.mqtt.background_call import BackgroundCall
from tests.mqtt import PATIENCE_S


class Blocking:
    """A function that returns only when it is allowed to."""

    def __init__(self, then: Callable[[], int] = lambda: 7) -> None:
        self.let, self.ended, self.discarded = threading.Event(), threading.Event(), queue.SimpleQueue[None]()
        self._then = then
        self.call = BackgroundCall(
            self._run, name="test", on_done=self.ended.set, discard=lambda: self.discarded.put(None)
        )

    def _run(self) -> int:
        assert self.let.wait(PATIENCE_S)
        return self._then()

    def finish(self) -> None:
        self.let.set()
        assert self.ended.wait(PATIENCE_S)


def test_what_the_function_returns_is_there_once_it_is_done() -> None:
    blocking = Blocking()
    blocking.call.start()
    assert (blocking.call.running, blocking.call.done) == (True, False)
    blocking.finish()
    assert (blocking.call.done, blocking.call.result, blocking.call.error) == (True, 7, None)


def test_what_the_function_raises_is_kept() -> None:
    def fail() -> int:
        raise OSError("unreachable")

    blocking = Blocking(fail)
    blocking.call.start()
    blocking.finish()
    assert (blocking.call.done, blocking.call.result) == (True, None)
    assert str(blocking.call.error) == "unreachable"


def test_a_call_that_was_abandoned_is_not_waited_for_and_discarded_when_it_ends() -> None:
    blocking = Blocking()
    blocking.call.start()
    blocking.call.abandon()
    assert blocking.call.running
    assert blocking.discarded.empty()
    blocking.finish()
    assert blocking.discarded.qsize() == 1


def test_a_call_that_is_done_or_was_never_started_is_discarded_at_once() -> None:
    blocking = Blocking()
    blocking.call.abandon()
    assert blocking.discarded.qsize() == 1
    blocking.call.start()
    blocking.finish()
    done = Blocking()
    done.call.start()
    done.finish()
    assert done.discarded.empty()
    done.call.abandon()
    assert done.discarded.qsize() == 1
