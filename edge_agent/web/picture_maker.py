"""Makes the pictures of readings in its own thread, so that the analysis never waits for them."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterable

from edge_agent.analysis.reading import Reading
from edge_agent.contracts import Label, Result
from edge_agent.priority import lower_priority
from edge_agent.web.history import ShownReading
from edge_agent.web.pictures import ReadingPicture, make_picture

log = logging.getLogger(__name__)

WAITING_MAX = 4
"""Readings with their frames that may wait for their pictures. Any more are shown without a picture."""


class PictureMaker:
    """A thread of lower priority, from ``start`` to ``stop``."""

    def __init__(self, show: Callable[[ShownReading], None]) -> None:
        """``show`` is called for each reading in order, in that thread."""
        self._show = show
        self._waiting: queue.Queue[tuple[Result, Reading | None] | None] = queue.Queue()
        self._thread: threading.Thread | None = None

    def start(self, recall: Callable[[], Iterable[ShownReading]] = tuple) -> None:
        """Start the thread. It first calls ``recall`` for readings from before the start, the oldest first."""
        self._thread = threading.Thread(target=self._run, args=(recall,), name="pictures", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Make the waiting pictures, and end the thread."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._waiting.put(None)
            thread.join()

    def add(self, result: Result, reading: Reading) -> None:
        """Make the pictures of this reading when its turn comes. Never waits."""
        self._waiting.put((result, reading if self._waiting.qsize() < WAITING_MAX else None))

    def _run(self, recall: Callable[[], Iterable[ShownReading]]) -> None:
        lower_priority()
        try:
            for shown in recall():
                self._show(shown)
        except Exception:  # what is kept is shown as far as it can be read
            log.exception("the kept readings could not be recalled")
        while (item := self._waiting.get()) is not None:
            result, reading = item
            picture: ReadingPicture | None = None
            labels: tuple[Label, ...] = ()
            types: tuple[Label, ...] = ()
            if reading is not None:
                labels, types = reading.labels, reading.cell_labels
                try:
                    picture = make_picture(result, reading)
                except Exception:  # one bad picture must not end the thread
                    log.exception("the pictures of a reading could not be made")
            self._show(ShownReading(result, picture, labels, types))
