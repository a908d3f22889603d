"""What a comparison compares on what, and going on with an unfinished one."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pydantic import Field, ValidationError

from edge_agent.settings import Settings
from trainer.data.split import read_split
from trainer.errors import RunError
from trainer.files import write_json

PLAN = "plan.json"


class Plan(Settings):
    """``plan.json``: what is compared on what."""

    split_sha256: str = Field(description="Of the split's file, which holds the images' own hashes.")
    weights: dict[float, str] = Field(description="ImageNet weights of MobileNetV2 by alpha.")
    preprocessings: tuple[str, ...] = Field(
        description="By which the widest is trained; the first one also for the others and for the ensemble."
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
    """Begin in ``out``, or go on with the same plan there."""
    path = out / PLAN
    if not path.exists():
        out.mkdir(parents=True, exist_ok=True)
        write_json(path, plan)
        return
    try:
        begun = Plan.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise RunError(f"{path} cannot be read: {error}.", remedy="Name another --out.") from error
    if begun != plan:
        raise RunError(
            f"{out} holds a comparison with other options or another split.",
            remedy="Give the same options to go on with it, name another --out, or remove it.",
        )
