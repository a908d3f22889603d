"""Fetches an archive over HTTPS or from a file: resumes it, bounds size and time, and verifies the whole."""

from __future__ import annotations

import os
import shutil
import ssl
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from edge_agent.credentials import credential
from edge_agent.errors import (
    ConfigError,
    DiskFull,
    DiskLow,
    DownloadFailed,
    DownloadMismatch,
    DownloadTooLarge,
    DownloadUnsafe,
)
from edge_agent.rollout.partial import Partial
from edge_agent.rollout.transfer import Continuation, Watch, get, shown, watched_context

CHUNK_BYTES = 64 * 1024
MIN_FREE_BYTES = 256 * 2**20
"""Below this, the space is left for results, which matter more."""

OnProgress = Callable[[int, int | None], None]
"""Gets the bytes received, and the size of the whole if it is known. Called for every chunk; must not wait."""


@dataclass(frozen=True, slots=True)
class DownloadLimits:
    """Bounds of one attempt."""

    max_bytes: int
    deadline_s: float
    stall_s: float
    ca_file: Path | None = None
    min_free_bytes: int = MIN_FREE_BYTES

    def context(self) -> ssl.SSLContext:
        """Verifies the server's name; TLS 1.2 or later. Raises ``ConfigError`` if ``ca_file`` cannot be used."""
        try:
            context = ssl.create_default_context(cafile=None if self.ca_file is None else credential(self.ca_file))
        except OSError as error:
            raise ConfigError(f"rollout.ca_file {self.ca_file} cannot be used: {error}.") from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return watched_context(context)


class Download:
    """One attempt to fetch one archive. ``cancel`` may be called by any thread."""

    def __init__(
        self,
        folder: Path,
        limits: DownloadLimits,
        *,
        on_progress: OnProgress = lambda _received, _size: None,
        free_bytes_of: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free,
    ) -> None:
        """``folder`` belongs to downloads alone: remains of other archives in it are deleted."""
        self._folder = folder
        self._limits = limits
        self._on_progress = on_progress
        self._free_bytes_of = free_bytes_of
        self._watch = Watch(deadline_s=limits.deadline_s, stall_s=limits.stall_s)

    def cancel(self) -> None:
        """End the download soon: ``fetch`` raises ``Cancelled``."""
        self._watch.cancel()

    def fetch(self, source: str, sha256: str) -> Path:
        """Fetch the archive with this SHA-256, and return the file. Continues an earlier attempt.

        Raises ``Cancelled``. Another attempt may succeed after ``DownloadFailed`` and its kinds, ``DiskFull``,
        ``DiskLow``, ``FileUnusable`` and ``ConfigError``; none will after ``DownloadUnsafe``, ``DownloadTooLarge`` and
        ``DownloadMismatch``. Only a download that failed or was cancelled leaves what has arrived.
        """
        partial = Partial(self._folder, sha256, source)
        # A continued file may mix two files, or have a hole left by a power cut: then fetch the whole once more.
        for continued in (True, False) if partial.size else (False,):
            try:
                with partial.opened():
                    if urlsplit(source).scheme == "https":
                        self._fetch_over_https(source, partial)
                    else:
                        self._copy(source, partial)
                whole = partial.is_whole(self._watch.check)
            except (DiskFull, DownloadTooLarge):
                # Results need the space.
                partial.delete()
                raise
            if whole:
                return partial.path
            partial.delete()
            if not continued:
                break
        raise DownloadMismatch(f"What {shown(source)} has is not the archive that was asked for.")

    def _fetch_over_https(self, source: str, partial: Partial) -> None:
        asked = Continuation(partial.size, partial.validator)
        with get(source, self._limits.context(), self._watch, asked) as answer:
            self._check_size(answer.size or 0)
            if answer.start == 0:
                partial.restart(answer.validator)
            for chunk in answer.chunks(CHUNK_BYTES):
                self._keep(chunk, partial, answer.size)
        # A connection that was shut down to cancel looks like one that ended by itself.
        self._watch.check()
        if answer.size is not None and partial.size != answer.size:
            raise DownloadFailed(f"{shown(source)} ended after {partial.size} of {answer.size} bytes.")

    def _copy(self, source: str, partial: Partial) -> None:
        path = Path(unquote(urlsplit(source).path) if source.startswith("file:") else source)
        try:
            # Open without blocking: it may be a pipe that nobody writes to.
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except (OSError, ValueError) as error:
            raise _unreadable(path, error) from error
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            os.close(descriptor)
            raise DownloadUnsafe(f"{path} is not a regular file.")
        with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123 - a descriptor
            self._check_size(found.st_size)
            partial.restart(None)
            while chunk := _read(path, file.read):
                self._keep(chunk, partial, found.st_size)

    def _check_size(self, size: int) -> None:
        if size > self._limits.max_bytes:
            raise DownloadTooLarge(
                f"The archive has {size} bytes or more; at most {self._limits.max_bytes} are allowed."
            )

    def _keep(self, chunk: bytes, partial: Partial, size: int | None) -> None:
        self._watch.check()
        self._check_size(partial.size + len(chunk))
        free_bytes = self._free_bytes_of(self._folder)
        if free_bytes - len(chunk) < self._limits.min_free_bytes:
            raise DiskLow(
                f"{free_bytes / 2**20:.0f} MiB are free on the disk of {self._folder}, which leaves "
                f"{self._limits.min_free_bytes / 2**20:.0f} MiB to results."
            )
        partial.write(chunk)
        self._on_progress(partial.size, size)


def _read(path: Path, read: Callable[[int], bytes | None]) -> bytes | None:
    try:
        return read(CHUNK_BYTES)
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError | ValueError) -> DownloadFailed:
    # Another attempt may succeed: the file may be on a stick that is plugged in later.
    reason = error.strerror if isinstance(error, OSError) else error
    return DownloadFailed(f"{path} cannot be read: {reason}.", remedy="Put the archive there, readable for the agent.")
