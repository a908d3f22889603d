"""Runs a bundle's model on the Edge TPU as long as that works, and brings it back when it does not.

Whoever judges asks ``EdgeTpu.run`` first and takes the processor where it gives nothing, so that no picture waits for
an Edge TPU longer than its deadline, and none is lost.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.errors import (
    BundleError,
    EdgeAgentError,
    EdgeTpuMissing,
    EdgeTpuWrong,
    InferenceError,
)
from edge_agent.inference.edgetpu.compiled_model import CompiledModel, Outputs
from edge_agent.inference.edgetpu.devices import EdgeTpuDevice, find_devices
from edge_agent.inference.edgetpu.options import EdgeTpuOptions
from edge_agent.inference.edgetpu.process import EdgeTpuProcess

log = logging.getLogger(__name__)

LOOK_INTERVAL_S = 2.0
"""Between two looks at what is plugged in."""

_STABLE_S = 60.0
"""After so long without a failure, the next pause is the shortest again."""

_RELEASE_S = 1.0


@dataclass(frozen=True, slots=True)
class EdgeTpuLost:
    """The Edge TPU judges no longer; the processor does."""

    error: EdgeAgentError
    answers_count: int
    """Pictures that it had judged; 0 if it never began."""
    unchecked_count: int
    """Those of them since its answers were last found to be right."""


@dataclass(frozen=True, slots=True)
class EdgeTpuReady:
    """The Edge TPU judges from now on."""

    device: EdgeTpuDevice | None
    away_s: float | None
    """Since it was lost; None at the first time."""
    by_processor_count: int
    """Pictures that the processor judged meanwhile."""


@dataclass(slots=True)
class _Running:
    """A process that has proved itself, and what it has done."""

    process: EdgeTpuProcess
    model: CompiledModel
    device: EdgeTpuDevice | None
    since_s: float
    answers_count: int = 0
    unchecked_count: int = 0
    next_golden: int = 0
    last: tuple[NDArray[Any], NDArray[np.uint8]] | None = None
    """The picture before and the bytes of its answer."""


class EdgeTpu:
    """One Edge TPU for one model at a time. ``run`` belongs to one thread at a time; any thread may call the others."""

    def __init__(
        self,
        options: EdgeTpuOptions,
        on_change: Callable[[EdgeTpuLost | EdgeTpuReady], None] = lambda _change: None,
        *,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing runs before ``start``. ``on_change`` is called in its thread."""
        self._options = options
        self._on_change = on_change
        self._clock_s = clock_s
        # Held while a picture is judged, so that nobody takes its process away.
        self._lock = threading.Lock()
        self._running: _Running | None = None
        self._model: CompiledModel | None = None
        self._starting: EdgeTpuProcess | None = None
        self._killed: list[EdgeTpuProcess] = []
        self._lost: list[EdgeTpuLost] = []
        self._problem: EdgeAgentError | None = None
        self._told: str | None = None
        self._seen = False
        self._lost_at_s: float | None = None
        self._retry_at_s = float("-inf")
        self._pause_s = options.retry_initial_s
        self._by_processor_count = 0
        self._woken = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="edge-tpu", daemon=True)

    @property
    def problem(self) -> EdgeAgentError | None:
        """Why it does not judge although it should; None if it does, has not been tried yet, or need not be there."""
        return self._problem

    @property
    def device(self) -> EdgeTpuDevice | None:
        """The one in use."""
        running = self._running
        return None if running is None else running.device

    @property
    def active(self) -> bool:
        """Whether it judges."""
        return self._running is not None

    @property
    def process_id(self) -> int | None:
        """Of the process with its library; None if it does not judge."""
        running = self._running
        return None if running is None else running.process.pid

    def start(self) -> None:
        """Start the thread that starts processes and looks after the device."""
        self._thread.start()

    def close(self) -> None:
        """Stop, and leave no process behind."""
        self._closing = True
        self.serve(None)
        if self._thread.ident is not None:
            self._thread.join()
        self._release(_RELEASE_S)

    def serve(self, model: CompiledModel | None) -> None:
        """Judge with ``model`` as soon as possible, in place of the one before; None to judge nothing."""
        with self._lock:
            self._model = model
            self._problem = self._told = None
            self._retry_at_s = float("-inf")
            self._pause_s = self._options.retry_initial_s
            self._lost_at_s = None
            self._lost.clear()
            self._by_processor_count = 0
            running, self._running = self._running, None
            if running is not None:
                running.process.kill()
                self._killed.append(running.process)
            if self._starting is not None:
                self._starting.kill()
        self._woken.set()

    def run(self, model: CompiledModel, values: NDArray[Any]) -> Outputs | None:
        """What ``Runtime.run`` gives for pictures (n, h, w, 3); None if the processor has to judge all of them."""
        with self._lock:
            running = self._running
            if running is None or running.model is not model:
                self._by_processor_count += len(values)
                return None
            try:
                rows = [self._judge(running, each) for each in values]
            except EdgeAgentError as error:
                self._lose(running, error)
                self._by_processor_count += len(values)
                rows = []
        if not rows or any(each is None for each in rows):
            return None
        found = [each for each in rows if each is not None]
        return {name: np.concatenate([each[name] for each in found]) for name in model.outputs}

    def do_round(self) -> None:
        """Do what is due: end what was killed, report, look after the device, start a process. Takes seconds at most.

        Called by the thread, or by a test in its place.
        """
        self._report()
        if not self._release(_RELEASE_S):
            # It holds the device. A new process would not get it.
            return
        devices = find_devices(self._options.sysfs)
        self._seen = self._seen or bool(devices)
        with self._lock:
            running, model = self._running, self._model
            if running is not None:
                if not devices:
                    # Before a picture has to wait for one that is gone.
                    self._lose(running, EdgeTpuMissing("The Edge TPU was unplugged."))
            elif model is not None and not devices and (self._seen or self._options.required):
                self._problem = EdgeTpuMissing("No Edge TPU is plugged in.")
        if running is None and model is not None and devices and self._is_time():
            self._try(model, devices[0])
        self._report()

    def wait_s(self) -> float:
        """How long the thread waits after a round, in seconds, unless something happens before."""
        # For one that is not plugged in no time is set: the next look finds it.
        if self._running is not None or self._problem is None or isinstance(self._problem, EdgeTpuMissing):
            return LOOK_INTERVAL_S
        return min(LOOK_INTERVAL_S, max(0.05, self._retry_at_s - self._clock_s()))

    def _is_time(self) -> bool:
        # One that was plugged in again is not made to wait for what happened before.
        return self._clock_s() >= self._retry_at_s or isinstance(self._problem, EdgeTpuMissing)

    def _judge(self, running: _Running, values: NDArray[Any]) -> Outputs | None:
        """The outputs for one picture, or None if they can hardly be right although the Edge TPU works.

        Raises ``EdgeTpuError``.
        """
        model = running.model
        answer = running.process.answer(values)
        outputs = model.dequantize(answer)
        running.answers_count += 1
        running.unchecked_count += 1
        if self._is_repeated(running, values, answer) or not model.is_consistent(outputs):
            # One golden field could be what it repeats.
            self._check_all(running)
            return None
        if running.unchecked_count >= self._options.check_interval_count:
            self._check(running, running.next_golden)
            running.next_golden = (running.next_golden + 1) % len(model.golden)
            running.unchecked_count = 0
        return outputs

    @staticmethod
    def _is_repeated(running: _Running, values: NDArray[Any], answer: dict[str, NDArray[Any]]) -> bool:
        """Whether the answer is the one before, although the picture is not."""
        content = np.concatenate([each.view(np.uint8).reshape(-1) for each in answer.values()])
        last, running.last = running.last, (values.copy(), content)
        return last is not None and np.array_equal(last[1], content) and not np.array_equal(last[0], values)

    def _check_all(self, running: _Running, first_deadline_s: float | None = None) -> None:
        """Compare all golden fields. Raises ``EdgeTpuError``."""
        for number in range(len(running.model.golden)):
            self._check(running, number, first_deadline_s if number == 0 else None)
        running.unchecked_count = 0

    @staticmethod
    def _check(running: _Running, number: int, deadline_s: float | None = None) -> None:
        """Compare one golden field with what was recorded of it. Raises ``EdgeTpuError``."""
        model = running.model
        outputs = model.dequantize(running.process.answer(model.golden[number], deadline_s))
        try:
            model.check_golden(number, outputs)
        except (BundleError, InferenceError) as error:
            raise EdgeTpuWrong(f"The Edge TPU gives wrong answers: {error.message}") from error

    def _try(self, model: CompiledModel, device: EdgeTpuDevice) -> None:
        """Start a process, and use it once its answers to all golden fields are right."""
        options = self._options
        process = None
        try:
            process = EdgeTpuProcess(
                model.content, options.library, model.input, model.outputs, deadline_s=options.deadline_s
            )
            with self._lock:
                self._starting = process
                if self._model is not model:
                    process.kill()
            process.wait_until_ready(options.start_deadline_s)
            running = _Running(process, model, device, self._clock_s())
            # The first picture brings the model to the Edge TPU.
            self._check_all(running, options.start_deadline_s)
        except EdgeAgentError as error:
            with self._lock:
                self._starting = None
                if process is not None:
                    process.kill()
                    self._killed.append(process)
                # Otherwise it was killed here, to make room for another model.
                if self._model is model:
                    self._fail(error, 0, 0)
        else:
            self._use(running)

    def _use(self, running: _Running) -> None:
        """Judge with a process from now on, unless another model is wanted meanwhile."""
        now_s = self._clock_s()
        with self._lock:
            self._starting = None
            if self._model is not running.model:
                running.process.kill()
                self._killed.append(running.process)
                return
            away_s = None if self._lost_at_s is None else now_s - self._lost_at_s
            change = EdgeTpuReady(running.device, away_s, self._by_processor_count)
            running.since_s = now_s
            self._running, self._lost_at_s, self._by_processor_count = running, None, 0
            self._problem = self._told = None
        self._on_change(change)

    def _lose(self, running: _Running, error: EdgeAgentError) -> None:
        """Stop using a process. Called with the lock held."""
        self._running = None
        running.process.kill()
        self._killed.append(running.process)
        if self._clock_s() - running.since_s >= _STABLE_S:
            self._pause_s = self._options.retry_initial_s
        self._fail(error, running.answers_count, running.unchecked_count)
        self._woken.set()

    def _fail(self, error: EdgeAgentError, answers_count: int, unchecked_count: int) -> None:
        """Remember why it does not judge, and when to try again. Called with the lock held."""
        now_s = self._clock_s()
        # Of attempts that fail alike, the first is told. One that lacks power is missing for a moment after each.
        if answers_count or self._told != error.code:
            self._lost.append(EdgeTpuLost(error, answers_count, unchecked_count))
            self._told = error.code
        self._problem = error
        self._lost_at_s = now_s if self._lost_at_s is None else self._lost_at_s
        self._retry_at_s = now_s + self._pause_s
        self._pause_s = min(self._pause_s * 2, self._options.retry_max_s)

    def _report(self) -> None:
        with self._lock:
            lost, self._lost = self._lost, []
        for each in lost:
            self._on_change(each)

    def _release(self, timeout_s: float) -> bool:
        """Whether nothing is left of the processes that were killed."""
        with self._lock:
            killed, self._killed = self._killed, []
        left = [each for each in killed if not each.release(timeout_s)]
        with self._lock:
            self._killed += left
        return not left

    def _work(self) -> None:
        while not self._closing:
            self._woken.clear()
            try:
                self.do_round()
            except Exception:
                # A defect of ours here must not end the readings, which the processor makes.
                log.exception("the Edge TPU cannot be looked after")
            self._woken.wait(self.wait_s())
        with suppress(Exception):
            self._release(_RELEASE_S)
