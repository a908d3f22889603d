"""A blocking call in a thread that nothing has to wait for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class BackgroundCall(Generic[T]):
    """Runs a function in a daemon thread. It cannot be interrupted, only abandoned."""

    def __init__(
        self,
        function: Callable[[], T],
        *,
        name: str,
        on_done: Callable[[], None],
        discard: Callable[[], None] = lambda: None,
    ) -> None:
        """``name`` is that of the thread. ``on_done`` is called in the thread when the function has returned or raised.

        ``discard`` releases anything that the function has acquired, if the call is abandoned.
        """
        self._function = function
        self._on_done = on_done
        self._discard = discard
        self._lock = threading.Lock()
        self._done = self._abandoned = False
        self._result: T | None = None
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def running(self) -> bool:
        """Whether the thread is still at work, even if the call was abandoned."""
        return self._thread.is_alive()

    @property
    def done(self) -> bool:
        """Whether the function has returned or raised."""
        with self._lock:
            return self._done

    @property
    def result(self) -> T | None:
        """The function's result; None until it has returned, and if it raised."""
        with self._lock:
            return self._result

    @property
    def error(self) -> Exception | None:
        """The exception that the function raised; None until then, and if it returned."""
        with self._lock:
            return self._error

    def start(self) -> None:
        """Begin, and return at once."""
        self._thread.start()

    def abandon(self) -> None:
        """Discard anything that the function has acquired: now if it is done, otherwise as soon as it is."""
        with self._lock:
            self._abandoned = True
            if self._thread.ident is not None and not self._done:
                return
        self._discard()

    def _run(self) -> None:
        result: T | None = None
        error: Exception | None = None
        try:
            result = self._function()
        except Exception as failure:  # noqa: BLE001 - whatever it is, the owner asks for it
            error = failure
        with self._lock:
            self._result, self._error, self._done = result, error, True
            if self._abandoned:
                self._discard()
        self._on_done()
