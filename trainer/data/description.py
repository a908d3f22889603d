"""Describes a data set: its classes and where it comes from, as ``dataset.toml`` says.

The bundle's labels and cards are written from this, so that the meaning of a class is written only once.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from edge_agent.contracts.manifest import Label, Slug, TrainingField
from edge_agent.inference.geometry import field_geometry
from edge_agent.settings import Settings
from edge_agent.vision.field import Geometry
from trainer.data.toml_lines import line_of
from trainer.errors import DataError
from trainer.spec import INPUT_SIZE_PX

FILE_NAME = "dataset.toml"


class ClassFolder(Settings):
    """One class: a folder of images."""

    folder: str = Field(min_length=1, description="Name of the folder below the data folder.")
    code: Slug = Field(description="Code of the class in messages.")
    display_name: str = Field(min_length=1, description="Name of the class for people.")
    meaning: str = Field(min_length=1, description="What the data mean by this class.")
    malignant: bool

    @property
    def label(self) -> Label:
        """The class as a bundle names it."""
        return Label(
            code=self.code,
            display_name=self.display_name,
            meaning=self.meaning,
            malignant=self.malignant,
        )


class Description(Settings):
    """A whole ``dataset.toml``. The order of the classes is the order of the model's outputs."""

    name: str = Field(min_length=1)
    source: str = Field(min_length=1, description="Who made the images, of what, and where they are published.")
    licence: str = Field(min_length=1)
    limits: str = Field(min_length=1, description="What a model trained on them cannot know; printed on its card.")
    synthetic: bool = Field(description="True if these are not real smears; the bundle is then a demonstration.")
    um_per_pixel: float | None = Field(default=None, gt=0, description="Height of a pixel at 224 px in the specimen.")
    um_per_pixel_source: str = Field(default="unknown", description="How um_per_pixel was found.")
    field: TrainingField | None = Field(
        default=None, description="What of a camera's picture the images show; without it they are centre squares."
    )
    table: str | None = Field(
        default=None,
        min_length=1,
        description="Name of a table in the data folder that lists the images, such as manifest.csv; --table overrides "
        "it. Without either, every file of the class folders is an image.",
    )
    classes: tuple[ClassFolder, ...]

    @model_validator(mode="after")
    def _distinct(self) -> Description:
        if problems := list(_class_problems([each.model_dump() for each in self.classes])):
            raise ValueError("; ".join(text for _, text in problems))
        return self

    @property
    def geometry(self) -> Geometry:
        """How a field is cut from an image that does not have the input's size."""
        return field_geometry(self.field, INPUT_SIZE_PX)

    @property
    def codes(self) -> tuple[str, ...]:
        """The classes' codes in the order of the model's outputs."""
        return tuple(each.code for each in self.classes)


def load_description(name_or_path: str | None, data: Path) -> Description:
    """Load a shipped description (such as "all4"), the one at that path, or ``dataset.toml`` in the data folder.

    Raises a ``DataError`` that lists every error with its line.
    """
    if name_or_path is None:
        if not data.is_dir():
            raise DataError(f"there is no data folder {data}.", remedy="Check --data.")
        path = data / FILE_NAME
        remedy = f"Write {FILE_NAME} (see trainer/datasets/all4.toml), or name one with --description."
    else:
        shipped = resources.files("trainer") / "datasets" / f"{name_or_path}.toml"
        path = Path(str(shipped)) if shipped.is_file() else Path(name_or_path)
        remedy = "Name a shipped description, such as all4, or the path of a file."
    try:
        text = path.read_text(encoding="utf-8-sig")
        content = tomllib.loads(text)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}).", remedy=remedy) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not TOML: {error}.", remedy="Correct the named line.") from error
    try:
        return Description.model_validate(content)
    except ValidationError as error:
        problems = sorted((line_of(text, where) or 1, explanation) for where, explanation in _problems(error, content))
        raise DataError(
            "\n".join(
                [
                    f"{path} has {len(problems)} error{'s' if len(problems) > 1 else ''}:",
                    *(f"  line {line}: {explanation}" for line, explanation in problems),
                ]
            ),
            remedy="Correct these lines. The shipped trainer/datasets/all4.toml is an example.",
        ) from error


Location = tuple[str | int, ...]


def _problems(error: ValidationError, content: dict[str, Any]) -> Iterator[tuple[Location, str]]:
    """The place and the text of each error: all of them, not only those that pydantic finds in its first pass."""
    for each in error.errors(include_url=False):
        # What the validator of the whole description finds is reported below, with its places.
        if each["loc"]:
            yield each["loc"], _explain(each)
    classes = content.get("classes")
    if isinstance(classes, list) and all(isinstance(each, dict) for each in classes):
        yield from _class_problems(classes)


_KEYS = {"": Description.model_fields, "classes": ClassFolder.model_fields, "field": TrainingField.model_fields}
"""The keys of the file itself, and of its tables."""


def _explain(problem: ErrorDetails) -> str:
    """One error in words."""
    key = ".".join(str(part + 1) if isinstance(part, int) else part for part in problem["loc"])
    if problem["type"] == "missing":
        return f"{key} is missing."
    if problem["type"] == "extra_forbidden":
        known = _KEYS[str(problem["loc"][0]) if len(problem["loc"]) > 1 else ""]
        close = get_close_matches(str(problem["loc"][-1]), list(known), n=1)
        return f"{key} is not a known key{f'; did you mean {close[0]}?' if close else '.'}"
    if problem["type"] == "string_pattern_mismatch":
        return f"{key}: {problem['input']!r} is not allowed; use lower-case letters, digits and single hyphens."
    return f"{key}: {problem['msg'][:1].lower()}{problem['msg'][1:]}."


def _class_problems(classes: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Location, str]]:
    """Problems between classes that are valid by themselves."""
    if len(classes) < 2:
        yield ("classes", 0), "a classifier needs at least two classes."
    for attribute in ("folder", "code"):
        first_with: dict[str, int] = {}
        for index, each in enumerate(classes):
            value = each.get(attribute)
            if isinstance(value, str) and (first := first_with.setdefault(value, index)) != index:
                yield (
                    ("classes", index, attribute),
                    f"classes {first + 1} and {index + 1} share a {attribute}: {value}.",
                )
