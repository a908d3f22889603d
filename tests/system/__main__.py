"""``make system-test``: whole machines, with the table of cases and times at the end."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import pytest
import typer

from tests.system.device import find_package
from tests.system.image import why_not
from tests.system.run import BOXES_VARIABLE, OUT_VARIABLE, RUN_VARIABLE, SEED_VARIABLE

SHORT_CASES = "test_cold_boot or test_agent_killed"


class Length(StrEnum):
    """How much is tried."""

    SHORT = "short"
    """A cold boot and a kill."""
    FULL = "full"
    LONG = "long"
    """Everything, with twenty power cuts, and ten on a disk that tears writes."""


def main(
    length: Annotated[Length, typer.Argument(help="How much is tried.")] = Length.FULL,
    cases: Annotated[str | None, typer.Option("--only", help="pytest's expression for cases by name.")] = None,
    out: Annotated[Path | None, typer.Option(help="File to write cases and times to, as JSON.")] = None,
    boxes: Annotated[Path | None, typer.Option(help="Folder to keep the boxes' disks and consoles in.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of torn writes; a random one is drawn, and told.")] = None,
) -> None:
    """Boot the device and let everything befall it."""
    reason = why_not()
    if reason is None and find_package() is None:
        reason = "there is no package (make deb, or say where it is with LEUKOSCOPE_DEB=FILE)"
    if reason is not None:
        sys.stdout.write(f"system test not run: {reason}\n")
        # If only the short form is requested, being unable to boot other machines is no failure.
        raise typer.Exit(0 if length is Length.SHORT else 2)
    os.environ[RUN_VARIABLE] = length
    if out is not None:
        os.environ[OUT_VARIABLE] = str(out.absolute())
    if boxes is not None:
        os.environ[BOXES_VARIABLE] = str(boxes.absolute())
    if seed is not None:
        os.environ[SEED_VARIABLE] = str(seed)
    chosen = cases or (SHORT_CASES if length is Length.SHORT else None)
    folder = str(Path(__file__).parent)
    raise typer.Exit(pytest.main([folder, "-m", "system", "-v", *(["-k", chosen] if chosen else [])]))


if __name__ == "__main__":
    typer.run(main)
