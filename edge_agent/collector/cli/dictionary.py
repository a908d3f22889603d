"""``edge-agent-collector dictionary``."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated

import typer

from edge_agent.collector.export.dictionary import dictionary_csv, dictionary_markdown


class Format(StrEnum):
    """Format of the output."""

    MARKDOWN = "markdown"
    CSV = "csv"


def dictionary(
    file_format: Annotated[Format, typer.Option("--format", help="How to write it.")] = Format.MARKDOWN,
) -> None:
    """Print what each column of an export is: type, unit, meaning, and what it means that there is no value."""
    sys.stdout.write(dictionary_csv() if file_format is Format.CSV else dictionary_markdown())
