"""Spreads independent work over processes, with one progress bar, and one error if the system kills a process."""

from __future__ import annotations

import itertools
import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

import cv2

from trainer.errors import OutOfMemory
from trainer.progress import track

Item = TypeVar("Item")
Found = TypeVar("Found")


def in_processes(
    work: Callable[[Sequence[Item]], list[Found]], items: Sequence[Item], what: str, *, processes: int, chunk: int
) -> Iterator[Found]:
    """Yield the results of ``work`` for ``items``, in their order.

    ``work`` is given ``chunk`` items at a time, and is pickled. With one process, it runs in this process. Raises what
    ``work`` raises, and ``OutOfMemory`` if the system killed a process.
    """
    chunks = [items[start : start + chunk] for start in range(0, len(items), chunk)]
    if processes == 1:
        yield from itertools.chain.from_iterable(map(work, track(chunks, what)))
        return
    # Forking a process that has threads, such as TensorFlow's, may hang.
    pool = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), initializer=_begin_process)
    try:
        for done in track([pool.submit(work, each) for each in chunks], what):
            yield from done.result()
    except BrokenProcessPool as error:
        raise OutOfMemory(f"A process was killed ({what}).") from error
    finally:
        pool.shutdown(cancel_futures=True)


def _begin_process() -> None:
    """Use one thread, as the processes are the parallelism, and leave Ctrl-C, which all of them get, to the first."""
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
