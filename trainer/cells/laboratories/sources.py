"""Describes the laboratories whose cells are available and what their class names mean, as in ``sources.toml``."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterator
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from edge_agent.contracts.manifest import Slug
from edge_agent.settings import Settings
from trainer.data.toml_lines import line_of
from trainer.errors import DataError

SHIPPED = Path(__file__).with_name("sources.toml")


class Meaning(StrEnum):
    """What is known of a cell. The order of the types is the order of a bundle's outputs."""

    BLAST = "blast"
    LYMPHOCYTE = "lymphocyte"
    MONOCYTE = "monocyte"
    NEUTROPHIL = "neutrophil"
    EOSINOPHIL = "eosinophil"
    BASOPHIL = "basophil"
    IMMATURE_GRANULOCYTE = "immature-granulocyte"
    ERYTHROBLAST = "erythroblast"
    SMUDGE = "smudge"
    NOT_BLAST = "not-blast"
    """Not a blast; the type is unknown."""
    NOT_A_CELL = "not-a-cell"
    """Nothing with a nucleus, such as a platelet: must be refused."""
    LEFT_OUT = "left-out"


TYPES: tuple[Meaning, ...] = tuple(
    each for each in Meaning if each not in {Meaning.NOT_BLAST, Meaning.NOT_A_CELL, Meaning.LEFT_OUT}
)
"""The types that a cells bundle tells apart, in the order of its outputs."""


class Groups(StrEnum):
    """What the column ``group`` of a manifest holds."""

    PATIENTS = "patients"
    UNKNOWN = "unknown"


class Use(StrEnum):
    """What a laboratory's cells may be used for."""

    TRAINING = "training"
    TESTING = "testing"
    """Nothing is trained, tuned or chosen with them."""


def _inside(path: str) -> str:
    if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
        raise ValueError("must be a path inside the data folder")
    return path


InnerPath = Annotated[str, Field(min_length=1), AfterValidator(_inside)]


class Laboratory(Settings):
    """One laboratory: some rows of a manifest, pictures of single cells at one scale."""

    code: Slug = Field(description="Its name in figures and folders.")
    name: str = Field(min_length=1, description="Its name for people, and what it has.")
    manifest: InnerPath = Field(description="The CSV with the columns path, label and, if patients are known, group.")
    images: InnerPath = Field(description="The folder that the manifest's paths are relative to.")
    path_prefix: InnerPath = Field(description="What the paths of its rows begin with: a manifest may list several.")
    side_um: float = Field(gt=5, lt=500, description="How much the shorter side of a picture shows.")
    scale_source: str = Field(min_length=1, description="How side_um was found.")
    licence: str = Field(min_length=1)
    groups: Groups
    use: Use


class Sources(Settings):
    """A whole ``sources.toml``."""

    laboratories: tuple[Laboratory, ...] = Field(min_length=1)
    classes: dict[str, Meaning] = Field(min_length=1)

    @model_validator(mode="after")
    def _distinct(self) -> Sources:
        counts = Counter(each.code for each in self.laboratories)
        if twice := sorted(code for code, count in counts.items() if count > 1):
            raise ValueError(f"two laboratories have the code {', '.join(twice)}")
        return self

    def laboratory(self, code: str) -> Laboratory:
        """The laboratory with that code. Raises ``DataError`` if there is none."""
        for each in self.laboratories:
            if each.code == code:
                return each
        known = ", ".join(each.code for each in self.laboratories)
        raise DataError(f"there is no laboratory {code}.", remedy=f"Name one of {known}.")


def load_sources(path: Path = SHIPPED) -> Sources:
    """Read a ``sources.toml``. Raises a ``DataError`` that lists every error with its line."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        content = tomllib.loads(text)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}).", remedy="Check its path.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not TOML: {error}.", remedy="Correct the named line.") from error
    try:
        return Sources.model_validate(content)
    except ValidationError as error:
        problems = sorted(_problems(error, text))
        raise DataError(
            "\n".join(
                [
                    f"{path} has {len(problems)} error{'s' if len(problems) > 1 else ''}:",
                    *(f"  line {line}: {explanation}" for line, explanation in problems),
                ]
            ),
            remedy="Correct these lines. The shipped trainer/cells/laboratories/sources.toml is an example.",
        ) from error


def _problems(error: ValidationError, text: str) -> Iterator[tuple[int, str]]:
    for each in error.errors(include_url=False):
        yield line_of(text, each["loc"]) or 1, _explain(each)


def _explain(problem: ErrorDetails) -> str:
    """One error in words."""
    key = ".".join(str(part + 1) if isinstance(part, int) else part for part in problem["loc"])
    if problem["type"] == "missing":
        return f"{key} is missing."
    if problem["type"] == "extra_forbidden":
        known = Laboratory.model_fields if len(problem["loc"]) > 1 else Sources.model_fields
        close = get_close_matches(str(problem["loc"][-1]), list(known), n=1)
        return f"{key} is not a known key{f'; did you mean {close[0]}?' if close else '.'}"
    message = problem["msg"].removeprefix("Value error, ")
    explanation = f"{message[:1].lower()}{message[1:]}."
    return f"{key}: {explanation}" if key else explanation
