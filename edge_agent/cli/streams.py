"""Makes standard input, output and error safe: they may be closed, full, broken, or not UTF-8."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import Any

from edge_agent.errors import EdgeAgentError, FileUnusable, OutputUnwritable

_STDIN, _STDOUT, _STDERR = 0, 1, 2


class _WatchedFile(io.FileIO):
    """Remembers a failed write, which cannot be told from that of another file by its exception."""

    failure: OSError | None = None

    def write(self, data: Any, /) -> int:  # noqa: ANN401 - any buffer; Python 3.11 has no name for it
        try:
            return super().write(data)
        except OSError as error:
            self.failure = error
            raise


_output: _WatchedFile | None = None


def prepare_streams() -> None:
    """Make the three streams safe to use. Call it before anything is opened or printed.

    A closed descriptor is opened again; otherwise the next opened file would get its number, and the output of native
    libraries. Characters that the encoding lacks and file names that are not UTF-8 are escaped; input in another
    encoding becomes U+FFFD.
    """
    global _output  # noqa: PLW0603 - a process has one standard output
    # Lost output is an error, so 1 is not opened for writing. Messages to a closed 2 may be lost.
    for descriptor, mode in ((_STDIN, os.O_RDONLY), (_STDOUT, os.O_RDONLY), (_STDERR, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free number is this one.
            os.open(os.devnull, mode)
    encoding = sys.stdout.encoding if sys.stdout else "utf-8"
    _output = _WatchedFile(_STDOUT, "w", closefd=False)
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(_output), encoding, "backslashreplace", line_buffering=os.isatty(_STDOUT)
    )
    sys.stdin = sys.stdin or open(_STDIN, encoding="utf-8", closefd=False)  # noqa: SIM115 - a descriptor
    sys.stderr = sys.stderr or open(_STDERR, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - as above
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(errors="backslashreplace")


def finish_streams() -> EdgeAgentError | None:
    """Flush the streams, so that Python reports no error when it closes them.

    Returns why standard output could not be written; a reader that closed a pipe is not an error.
    """
    for stream, descriptor in ((sys.stdout, _STDOUT), (sys.stderr, _STDERR)):
        if stream.closed:
            continue
        try:
            stream.flush()
        except OSError:
            with contextlib.suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
    failure = _output.failure if _output is not None else None
    if failure is None or isinstance(failure, BrokenPipeError):
        return None
    return OutputUnwritable(f"Standard output cannot be written: {failure.strerror}.")


def explain_os_error(error: OSError) -> EdgeAgentError:
    """The error for an ``OSError`` that no command has handled."""
    return finish_streams() or FileUnusable.from_os_error(error)
