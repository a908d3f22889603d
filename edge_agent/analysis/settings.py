"""Section ``[analysis]``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, field_validator
from pydantic_core import PydanticCustomError

from edge_agent.inference.edgetpu.options import DEADLINE_MS, LIBRARY
from edge_agent.settings import Settings, refuse_home

AUTO: Final = "auto"
"""In place of a bundle or a number of threads: choose at the start what this computer is fast enough for."""


MAX_THREADS = 64


def _default_threads(values: dict[str, Any]) -> int | Literal["auto"]:
    # Whoever leaves the choice of the bundle to the agent did not set a number of threads on purpose.
    return AUTO if values.get("bundle") == AUTO else 1


def _check_threads(value: object) -> object:
    """Raise one error, where each member of the union would raise its own."""
    if value == AUTO or (isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_THREADS):
        return value
    raise PydanticCustomError(
        "threads_count", 'Needs a whole number from 1 to {most}, or "{auto}"', {"most": MAX_THREADS, "auto": AUTO}
    )


ThreadsCount = Annotated[Annotated[int, Field(ge=1, le=MAX_THREADS)] | Literal["auto"], BeforeValidator(_check_threads)]


class AnalysisSettings(Settings):
    """The model, and how it runs."""

    bundle: str = Field(
        default="accurate",
        min_length=1,
        description="Name of a shipped bundle, or a bundle's folder; auto is the most accurate shipped one that this "
        "computer is fast enough for.",
    )
    head: Path | None = Field(
        default=None, description="Folder of a head that judges in place of the bundle's own classes; none by default."
    )
    cells_bundle: str | None = Field(
        default=None,
        min_length=1,
        description="Name or folder of a bundle of the kind 'cells', which types the cells beside 'bundle'; none by "
        "default.",
    )
    threads_count: ThreadsCount = Field(
        default_factory=_default_threads,
        description="Number of processor cores that one frame may use; auto is as few as target_ms needs. Default: 1, "
        "and auto if the bundle is.",
    )
    target_ms: float = Field(
        default=15.0,
        gt=0,
        le=10_000,
        description="What auto chooses for: 95 % of the readings take no longer than this, in milliseconds.",
    )
    edgetpu: Literal["auto", "required", "off"] = Field(
        default="auto",
        description="Whether a Coral Edge TPU runs the bundle's model: auto where one is plugged in and the bundle has "
        "a model for it; required: the same, but health is degraded as long as none does; off: never.",
    )
    edgetpu_library: str = Field(
        default=LIBRARY, min_length=1, description="Name or path of the library that drives the Edge TPU."
    )
    edgetpu_deadline_ms: float = Field(
        default=DEADLINE_MS,
        ge=1,
        le=10_000,
        description="How long the Edge TPU may take for a picture before the processor judges it instead.",
    )
    max_image_megapixels: float = Field(
        default=50, gt=0, le=1000, description="Larger images are refused before they are decoded."
    )

    @field_validator("bundle", "cells_bundle")
    @classmethod
    def _refuse_home_of_bundle(cls, bundle: str | None) -> str | None:
        if bundle is not None:
            refuse_home(Path(bundle))
        return bundle
