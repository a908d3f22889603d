"""The plan of a cross-validation: what it trains, and on what."""

from __future__ import annotations

from pydantic import Field

from edge_agent.settings import Settings


class Recipe(Settings):
    """How the model of each fold is trained. The defaults are the recipe of the shipped bundle ``accurate``."""

    weights: str = Field(description="ImageNet weights of MobileNetV2.")
    alpha: float = 1.0
    preprocessing: str = "rgb@1"
    denoise: str = "median3"
    variants: int = 10
    epochs: int = 24
    teachers: int = Field(default=2, ge=0, description="Networks of successive seeds that teach the model together.")
    teacher_variants: int = 16
    teacher_epochs: int = 20


class Plan(Settings):
    """``plan.json``."""

    split_sha256: str = Field(description="SHA-256 of the split's file: which images there are, and which are alike.")
    folds: int = Field(ge=3)
    seed: int
    recipe: Recipe
