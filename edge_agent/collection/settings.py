"""Section ``[collection]``."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Self

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from edge_agent.contracts.manifest import Slug
from edge_agent.settings import Settings

NOT_USABLE = "not_usable"
"""The answer that a field cannot be labelled. No label can have its underscore."""
SKIP = "skip"
"""The answer of a person who leaves a field to others."""


class Keep(StrEnum):
    """Which frames are kept."""

    NOTHING = "nothing"
    REFUSED = "refused"
    ALL = "all"
    EVERY_NTH = "every_nth"
    ON_REQUEST = "on_request"


class LabelChoice(Settings):
    """One label of a set."""

    code: Slug = Field(description="Short name, also the name of the folder in an export.")
    name: str = Field(min_length=1, max_length=80, description="Name for people.")
    meaning: str = Field(default="", max_length=500, description="When it is to be chosen. Default: its name.")
    malignant: bool = Field(description="Whether it is malignant. A model trained with these labels repeats it.")

    @field_validator("code")
    @classmethod
    def _not_taken(cls, value: str) -> str:
        if value == SKIP:
            raise ValueError(f"'{SKIP}' is always on the page, so no label can have this code; choose another one")
        return value


class LabelSet(Settings):
    """A question and its possible answers. "Not usable" and "skip" are always possible."""

    name: Slug = Field(description="Short name of the set.")
    question: str = Field(default="", max_length=200, description="What the page asks. Default: what the field shows.")
    labels: tuple[LabelChoice, ...] = Field(min_length=1, max_length=36, description="In the order of their keys.")

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        _refuse_repeated("labels", "code", [each.code for each in self.labels])
        return self

    @cached_property
    def codes(self) -> tuple[str, ...]:
        """The codes of the labels."""
        return tuple(each.code for each in self.labels)


class CollectionSettings(Settings):
    """Which frames are kept on the device, where and for how long, and how they are labelled."""

    keep: Keep = Field(
        default=Keep.NOTHING,
        description="refused: frames that were abstained from or rejected; all; every_nth: one reading in "
        "every_nth_count; on_request: those chosen on the microscope page. Frames that cannot be read are never kept.",
    )
    every_nth_count: int = Field(default=20, ge=1, le=1_000_000, description="For keep = 'every_nth'.")
    consent: str = Field(
        default="",
        max_length=1000,
        description="Who agreed that frames are kept, when and for what. Needed to keep any; part of every export. "
        "Never a patient's name.",
    )
    folder: Path | None = Field(
        default=None, description="For this collection alone. Default: 'collection' in the state folder."
    )
    max_mib: float = Field(default=2048, gt=0, le=1_048_576, description="Size of the kept frames at most.")
    max_age_days: float = Field(
        default=365, gt=0, le=36_500, description="Frames older than this are deleted, also labelled ones."
    )
    max_frames_count: int = Field(default=10_000, ge=1, le=1_000_000, description="Number of kept frames at most.")
    label_sets: list[LabelSet] = Field(
        default=[], description="What people are asked of each frame. Default: one set with the bundle's labels."
    )

    @model_validator(mode="after")
    def _agreed(self) -> Self:
        if self.keep is not Keep.NOTHING and not self.consent.strip():
            raise PydanticCustomError(
                "consent_missing",
                "is missing, but keep is '{keep}'; write who agreed that frames are kept, or set keep to 'nothing'",
                {"keys": ("consent",), "keep": self.keep.value},
            )
        return self

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        _refuse_repeated("label_sets", "name", [each.name for each in self.label_sets])
        return self


def _refuse_repeated(key: str, attribute: str, values: list[str]) -> None:
    repeated = [value for value, count in Counter(values).items() if count > 1]
    if repeated:
        raise PydanticCustomError(
            "repeated",
            "two of them have the {attribute} '{value}'; rename one",
            {"keys": (key,), "attribute": attribute, "value": repeated[0]},
        )
