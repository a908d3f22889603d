"""A box's disk behind ``forgetful.py``."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

START_PATIENCE_S = 30.0
CUT_PATIENCE_S = 300.0


def why_not() -> str | None:
    """What is missing, in one line."""
    if shutil.which("nbdkit") is None:
        return "not installed: nbdkit (apt-get install nbdkit nbdkit-plugin-python)"
    if subprocess.run(["nbdkit", "python", "--dump-plugin"], capture_output=True, check=False).returncode:
        return "not installed: nbdkit-plugin-python"
    return None


class ForgetfulDisk:
    """A disk that loses at each power cut what was not flushed; it is served inside the context."""

    def __init__(self, base: Path, folder: Path, seed: int) -> None:
        """``base``: a qcow2 disk, which is copied into ``folder``."""
        folder.mkdir(parents=True)
        self.file = folder / "disk.raw"
        """The raw disk, with what was flushed and what survived the cuts."""
        self._report = folder / "cuts.jsonl"
        self._report.touch()
        self._fuse = folder / "fuse"
        self._seed = seed
        # A socket's path may have 107 characters, which a test's own folder can use up.
        self._sockets = tempfile.TemporaryDirectory(prefix="disk-")
        self._socket = Path(self._sockets.name) / "nbd"
        subprocess.run(["qemu-img", "convert", "-O", "raw", str(base.resolve()), str(self.file)], check=True)

    @property
    def drive(self) -> str:
        """The drive option for QEMU."""
        return f"file=nbd+unix:///?socket={self._socket},format=raw"

    def __enter__(self) -> Self:
        ready = self._socket.with_name("ready")
        self._server = subprocess.Popen(
            [
                *("nbdkit", "--foreground", "--exit-with-parent", "--unix", str(self._socket), "--pidfile", str(ready)),
                *("python", str(Path(__file__).with_name("forgetful.py"))),
                *(f"disk={self.file}", f"seed={self._seed}", f"report={self._report}", f"fuse={self._fuse}"),
            ],
            stdin=subprocess.DEVNULL,
        )
        deadline_s = time.monotonic() + START_PATIENCE_S
        # Only this file shows that nbdkit serves.
        while not ready.exists():
            if self._server.poll() is not None or time.monotonic() > deadline_s:
                raise AssertionError("nbdkit does not serve the disk")
            time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.terminate()
        self._server.wait()
        self._sockets.cleanup()

    @contextmanager
    def fuse(self) -> Iterator[None]:
        """Let the disk cut the power at one of its next writes or flushes, and stay silent until the context ends."""
        before = len(self.cuts(0))
        self._fuse.touch()
        try:
            self.cuts(before + 1)
            yield
        finally:
            self._fuse.unlink()

    def cuts(self, count: int) -> list[dict[str, int]]:
        """The report of each cut, as soon as there are ``count``; see ``Cache.cut``. Raises ``AssertionError``."""
        deadline_s = time.monotonic() + CUT_PATIENCE_S
        while True:
            done = [json.loads(line) for line in self._report.read_text().splitlines()]
            if len(done) >= count:
                return done
            assert time.monotonic() < deadline_s, f"the disk saw {len(done)} of {count} cuts"
            assert self._server.poll() is None, "nbdkit has ended"
            time.sleep(0.02)
