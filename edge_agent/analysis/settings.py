"""Section ``[analysis]``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from edge_agent.inference.edgetpu.options import DEADLINE_MS, LIBRARY
from edge_agent.settings import Settings, refuse_home


class AnalysisSettings(Settings):
    """The model, and how it runs."""

    bundle: str = Field(default="accurate", min_length=1, description="Name of a shipped bundle, or a bundle's folder.")
    head: Path | None = Field(
        default=None, description="Folder of a head that judges in place of the bundle's own classes; none by default."
    )
    cells_bundle: str | None = Field(
        default=None,
        min_length=1,
        description="Name or folder of a bundle of the kind 'cells', which types the cells beside 'bundle'; none by "
        "default.",
    )
    threads_count: int = Field(default=1, ge=1, le=64, description="Number of threads of the TFLite runtime.")
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
