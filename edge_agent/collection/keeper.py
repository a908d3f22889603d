"""Writes frames to the collection in a thread of its own, so that no reading waits for the disk."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime

from edge_agent.cameras.frame import Frame
from edge_agent.collection.kept_frame import KeptFrame
from edge_agent.collection.picture import make_picture
from edge_agent.collection.settings import Keep
from edge_agent.collection.store import FrameStore
from edge_agent.contracts import EventKind, Result
from edge_agent.errors import CollectionBusy, CollectionError, EdgeAgentError, ImageError

log = logging.getLogger(__name__)

OnEvent = Callable[[EventKind, str, str | None], None]
"""Kind, message, and the code of an error."""

MAX_WAITING = 4
"""Frames may be large, and a disk that is too slow for four will be too slow for more."""
TIDY_S = 3600.0
"""How often frames are looked for that have become too old."""
STOP_S = 10.0


@dataclass(frozen=True, slots=True)
class _Job:
    result: Result
    frame: Frame
    done: Future[None]


class FrameKeeper:
    """Keeps frames while the analysis goes on. ``offer`` never waits; frames that the disk is too slow for are dropped.

    An error is reported once, by an event, until frames can be kept again.
    """

    def __init__(
        self,
        store: FrameStore,
        *,
        keep: Keep,
        synthetic: Callable[[], bool],
        max_pixels: int,
        prepare: Callable[[], None],
        on_event: OnEvent,
        tidy_s: float = TIDY_S,
    ) -> None:
        """``prepare`` opens the store, in the keeper's thread, until it succeeds once."""
        self._store = store
        self._keep = keep
        self._synthetic = synthetic
        self._max_pixels = max_pixels
        self._prepare = prepare
        self._on_event = on_event
        self._tidy_s = tidy_s
        self._jobs: queue.Queue[_Job | None] = queue.Queue(MAX_WAITING)
        self._thread: threading.Thread | None = None
        self._offering = threading.Lock()
        self._stopped = False
        self._preparing = threading.Lock()
        self.prepared = False
        """Whether the store is open."""
        self.error: EdgeAgentError | None = None
        """Why frames cannot be kept now."""
        self.kept_count = 0
        self.dropped_count = 0
        """Frames that came faster than the disk took them."""
        self.failed_count = 0
        """Frames that could not be written or read."""

    def start(self) -> None:
        """Start the thread."""
        self._stopped = False
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="collection", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Write what waits and end the thread. A disk that hangs is not waited for longer than ``STOP_S``."""
        thread, self._thread = self._thread, None
        with self._offering:
            # Nobody would answer who comes later.
            self._stopped = True
        if thread is None:
            return
        try:
            self._jobs.put(None, timeout=STOP_S)
        except queue.Full:
            log.warning("the collection did not stop: its disk does not answer")
            return
        thread.join(STOP_S)

    def offer(self, result: Result, frame: Frame) -> Future[None]:
        """Keep this frame. Never waits; the future gets the error if it cannot be kept."""
        job = _Job(result, frame, Future())
        refusal: CollectionBusy | None = None
        with self._offering:
            if self._stopped:
                refusal = CollectionBusy("The agent is stopping.", remedy="Try again when it has started.")
            else:
                try:
                    self._jobs.put_nowait(job)
                except queue.Full:
                    self.dropped_count += 1
                    refusal = CollectionBusy("Frames come faster than the disk can keep them.")
        if refusal is not None:
            job.done.set_exception(refusal)
        return job.done

    def prepare(self) -> None:
        """Open the store unless it is open. Raises ``CollectionError`` or ``DiskFull``."""
        with self._preparing:
            if not self.prepared:
                self._prepare()
                self.prepared = True

    def _run(self) -> None:
        self._attempt(self.prepare)
        while True:
            try:
                job = self._jobs.get(timeout=self._tidy_s)
            except queue.Empty:
                self._attempt(self._tidy)
                continue
            if job is None:
                return
            self._keep_frame(job)

    def _tidy(self) -> None:
        self.prepare()
        self._store.remove_old()

    def _keep_frame(self, job: _Job) -> None:
        problem = self._attempt(lambda: self._write(job))
        if problem is not None:
            self.failed_count += 1
            job.done.set_exception(problem)
            return
        self.kept_count += 1
        if self.error is not None:
            self.error = None
            self._on_event(EventKind.COLLECTION_RECOVERED, "Frames are kept again.", None)
        job.done.set_result(None)

    def _write(self, job: _Job) -> None:
        self.prepare()
        picture, about = make_picture(job.frame, max_pixels=self._max_pixels)
        record = KeptFrame(
            kept_at=datetime.now(UTC),
            keep=self._keep,
            synthetic=self._synthetic(),
            picture=about,
            # A file's name may be a person's.
            result=job.result.model_copy(update={"source": None}),
        )
        self._store.add(record, picture)

    def _attempt(self, work: Callable[[], None]) -> EdgeAgentError | None:
        """Why ``work`` failed; None if it did not."""
        try:
            work()
        except ImageError as error:
            # This frame's own problem, which its reading reports.
            return error
        except EdgeAgentError as error:
            self._report(error)
            return error
        except Exception as error:
            # Whatever it is, readings go on.
            log.exception("a frame could not be kept")
            problem = CollectionError(f"A frame could not be kept: {type(error).__name__}.")
            self._report(problem)
            return problem
        return None

    def _report(self, error: EdgeAgentError) -> None:
        before, self.error = self.error, error
        if before is None or before.code != error.code:
            self._on_event(EventKind.COLLECTION_FAILED, error.message, error.code)
