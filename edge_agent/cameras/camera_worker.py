"""The thread that owns a camera and holds its newest frame."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from edge_agent.cameras.camera import Camera
from edge_agent.cameras.frame import Frame

_log = logging.getLogger(__name__)


class CameraWorker:
    """Opens one camera and reads from it until it fails or is ended. Used once.

    Holds one frame at most. A newer frame of a live camera replaces the older one. For files, the next frame is read
    only after the last one was taken, so that none is lost.
    """

    def __init__(self, make: Callable[[], Camera]) -> None:
        self._make = make
        self._thread = threading.Thread(target=self._run, name="camera", daemon=True)
        self._changed = threading.Condition()
        # Everything below is guarded by the condition.
        self._camera: Camera | None = None
        self._is_open = False
        self._ending = False
        self._frame: Frame | None = None
        self._failure: BaseException | None = None
        self._superseded_count = 0

    @property
    def live(self) -> bool:
        """Whether the camera is live. Known once ``opened``."""
        return self._camera is not None and self._camera.live

    @property
    def superseded_count(self) -> int:
        """Frames that were replaced by a newer one before they were taken."""
        return self._superseded_count

    def start(self) -> None:
        """Start to open the camera."""
        self._thread.start()

    def opened(self, timeout_s: float) -> bool:
        """Wait up to ``timeout_s`` until the camera is open or failed to open; whether that happened."""
        with self._changed:
            return self._changed.wait_for(lambda: self._is_open or self._failure is not None, timeout_s)

    def ready(self, timeout_s: float) -> bool:
        """Wait up to ``timeout_s`` for a frame or failure to ``take``; whether there is one."""
        with self._changed:
            return self._changed.wait_for(lambda: self._frame is not None or self._failure is not None, timeout_s)

    def take(self) -> Frame:
        """Return the waiting frame, or raise the camera's error. Only when ``ready``."""
        with self._changed:
            if self._frame is None:
                if self._failure is None:
                    raise RuntimeError("nothing is ready")
                raise self._failure
            frame, self._frame = self._frame, None
            self._changed.notify_all()
            return frame

    def end(self, grace_s: float) -> list[threading.Thread]:
        """End the thread and close the camera. Returns the threads that still hang after ``grace_s``."""
        with self._changed:
            self._ending = True
            self._changed.notify_all()
            camera = self._camera
        threads = [self._thread]
        if self._thread.is_alive() and camera is not None:
            # A close may hang in the driver, like a read.
            closer = threading.Thread(target=camera.close, name="camera-close", daemon=True)
            closer.start()
            threads.append(closer)
        for thread in threads:
            thread.join(grace_s)
        return [thread for thread in threads if thread.is_alive()]

    def _run(self) -> None:
        camera: Camera | None = None
        try:
            camera = self._make()
            with self._changed:
                self._camera = camera
                if self._ending:
                    return
            camera.open()
            with self._changed:
                self._is_open = True
                self._changed.notify_all()
            while self._may_read(camera):
                self._put(camera.read())
        except BaseException as failure:  # noqa: BLE001 - raised again in the thread that takes the frames
            with self._changed:
                self._failure = failure
                self._changed.notify_all()
                if self._ending:
                    _log.debug("A camera that was stopped raised %s.", failure)
        finally:
            if camera is not None:
                camera.close()

    def _may_read(self, camera: Camera) -> bool:
        """False when ended. Waits, for a file, until its frame is taken."""
        with self._changed:
            self._changed.wait_for(lambda: self._ending or camera.live or self._frame is None)
            return not self._ending

    def _put(self, frame: Frame) -> None:
        with self._changed:
            if self._frame is not None:
                self._superseded_count += 1
            self._frame = frame
            self._changed.notify_all()
