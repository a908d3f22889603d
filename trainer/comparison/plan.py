"""What a comparison compares, and resuming an unfinished one."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pydantic import Field, ValidationError

from edge_agent.settings import Settings
from trainer.data.split import read_split
from trainer.errors import RunError
from trainer.files import make_folder, write_json

PLAN = "plan.json"
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


def hash_of_split(split: Path) -> str:
    """sha256 of a split's file. Raises ``DataError``."""
    read_split(split)
    return hashlib.sha256(split.read_bytes()).hexdigest()


def start_or_resume(out: Path, plan: Plan) -> None:
    """Begin in ``out``, or resume the same plan there. Raises ``RunError`` for another plan."""
    path = out / PLAN
    if not path.exists():
        make_folder(out)
        write_json(path, plan)
        return
    try:
        begun = Plan.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise RunError(f"{path} cannot be read.", remedy="Name another --out.") from error
    if begun != plan:
        raise RunError(
            f"{out} contains a comparison with other options or another split.",
            remedy="Give the same options to resume it, name another --out, or remove it.",
        )
