"""Section ``[analysis]``."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator

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
    max_image_megapixels: float = Field(
        default=50, gt=0, le=1000, description="Larger images are refused before they are decoded."
    )

    @field_validator("bundle", "cells_bundle")
    @classmethod
    def _refuse_home_of_bundle(cls, bundle: str | None) -> str | None:
        if bundle is not None:
            refuse_home(Path(bundle))
        return bundle
