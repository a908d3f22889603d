"""The command line: its commands, and the handling of errors."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from typing import IO

import typer

from edge_agent.errors import EdgeAgentError
from trainer.cli.adapt import adapt
from trainer.cli.appearance import appearance
from trainer.cli.audit import audit
from trainer.cli.bundle import bundle
from trainer.cli.bundle_cells import bundle_cells
from trainer.cli.compare import compare
from trainer.cli.coral import coral
from trainer.cli.cross_validate import cross_validate
from trainer.cli.evaluate import evaluate
from trainer.cli.evidence import evidence
from trainer.cli.judge_cells import judge_cells
from trainer.cli.judge_foreign_cells import judge_foreign_cells
from trainer.cli.many_laboratories import many_laboratories
from trainer.cli.prepare import prepare
from trainer.cli.probe import probe
from trainer.cli.quantize import quantize
from trainer.cli.sign import keygen, sign
from trainer.cli.synth import synth
from trainer.cli.train import train
from trainer.cli.train_cells import train_cells
from trainer.data.dataset import printable
from trainer.errors import DependencyMissing, FileInaccessible, OutOfMemory, OutputUnwritable
from trainer.progress import console

EXIT_FAILED, EXIT_ERROR, EXIT_INTERRUPTED = 1, 2, 130

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Train, measure and pack models, from class folders to a bundle that the agent can use.",
)
for command in (
    synth,
    prepare,
    audit,
    train,
    train_cells,
    quantize,
    bundle,
    bundle_cells,
    coral,
    evidence,
    appearance,
    evaluate,
    compare,
    cross_validate,
    judge_foreign_cells,
    judge_cells,
    many_laboratories,
    probe,
    adapt,
    keygen,
    sign,
):
    app.command()(command)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line. User errors end in one error on stderr and exit status 2, not in a traceback."""
    for stream in (sys.stdout, sys.stderr):
        # A file name may contain characters that the terminal's encoding lacks.
        with suppress(AttributeError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        try:
            app(arguments)
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except EdgeAgentError as error:
        _fail(error)
    except ImportError as error:
        _fail(_missing(error))
    except BrokenPipeError:
        # The reader of the output, such as 'head', has closed it.
        _discard(sys.stdout)
        sys.exit(EXIT_FAILED)
    except OSError as error:
        _fail(_inaccessible(error))
    except MemoryError:
        _fail(OutOfMemory("there is not enough memory for this command."))
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)


def _fail(error: EdgeAgentError) -> None:
    with suppress(OSError):
        console.print(f"error {error.code}: {error.message}", style="red")
        console.print(error.remedy)
    sys.exit(EXIT_ERROR)


def _missing(error: ImportError) -> DependencyMissing:
    package = (error.name or "").partition(".")[0]
    if package in {"trainer", "edge_agent"}:
        raise error
    if isinstance(error, ModuleNotFoundError):
        return DependencyMissing(f"this command needs the package {package}, which is not installed.")
    return DependencyMissing(f"a package that this command needs cannot be loaded: {error}.")


def _inaccessible(error: OSError) -> EdgeAgentError:
    if error.filename is None and error.errno in {errno.ENOSPC, errno.EIO, errno.EBADF}:
        _discard(sys.stdout)
        return OutputUnwritable(
            f"the output cannot be written ({error.strerror}).", remedy="Make room, or write the output elsewhere."
        )
    return FileInaccessible(f"{printable(str(error.filename or 'a file'))}: {error.strerror or error}.")


def _discard(stream: IO[str]) -> None:
    """Discard the rest of the buffer: Python would try to write it when it exits, and fail."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
