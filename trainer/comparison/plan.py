"""The plan of a comparison."""

from __future__ import annotations

from pydantic import Field

from edge_agent.settings import Settings

LITE0 = "EfficientNet-Lite0"
"""Trained and converted as MobileNetV2 is."""
FROZEN_ARCHITECTURES = ("EfficientNetB0", "NASNetMobile", "VGG16")
"""Networks that are compared frozen, with a linear head."""
OTHER_ARCHITECTURES = (LITE0, *FROZEN_ARCHITECTURES)


class Plan(Settings):
    """``plan.json``: what is compared on what."""

    split_sha256: str = Field(description="SHA-256 of the split's file, which contains the images' hashes.")
    weights: dict[float, str] = Field(description="ImageNet weights of MobileNetV2 by alpha.")
    preprocessings: tuple[str, ...] = Field(
        description="Of the widest network; the first one is also used for the others and for the ensemble."
    )
    variants: int
    epochs: int
    others: dict[str, str] = Field(description="Weights of other architectures by name.")
    seed: int
