"""What a data set is: its classes and where it comes from, as ``dataset.toml`` says it.

The bundle's labels and card are written from this, so that nobody has to retype what a class means.
"""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path

from pydantic import Field, ValidationError, model_validator

from edge_agent.contracts.manifest import Label, Slug
from edge_agent.settings import Settings
from trainer.errors import DataError

FILE_NAME = "dataset.toml"


class ClassFolder(Settings):
    """One class: a folder of images."""

    folder: str = Field(min_length=1, description="Name of the folder below the data folder.")
    code: Slug = Field(description="What messages carry.")
    display_name: str = Field(min_length=1, description="What people read.")
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
    synthetic: bool = Field(description="True if these are no real smears: the bundle is then a demonstration.")
    um_per_pixel: float | None = Field(default=None, gt=0, description="Physical size of a pixel at 224 px.")
    um_per_pixel_source: str = Field(default="unknown", description="How um_per_pixel was found.")
    classes: tuple[ClassFolder, ...]

    @model_validator(mode="after")
    def _distinct(self) -> Description:
        if len(self.classes) < 2:
            raise ValueError("a classifier needs at least two classes")
        for attribute in ("folder", "code"):
            names = [getattr(each, attribute) for each in self.classes]
            if len(set(names)) != len(names):
                raise ValueError(f"two classes share a {attribute}: {names}")
        return self

    @property
    def codes(self) -> tuple[str, ...]:
        """The classes' codes in the order of the model's outputs."""
        return tuple(each.code for each in self.classes)


def load_description(name_or_path: str | None, data: Path) -> Description:
    """The description named (shipped, such as "all4"), of that path, or ``dataset.toml`` in the data folder.

    Raises ``DataError``.
    """
    if name_or_path is None:
        path = data / FILE_NAME
        remedy = f"Write {FILE_NAME} (see trainer/datasets/all4.toml), or name one by --description."
    else:
        shipped = resources.files("trainer") / "datasets" / f"{name_or_path}.toml"
        path = Path(str(shipped)) if shipped.is_file() else Path(name_or_path)
        remedy = "Name a shipped description, such as all4, or the path of a file."
    try:
        return Description.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}).", remedy=remedy) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not TOML: {error}.", remedy="Correct the named line.") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise DataError(f"{path}: {where}: {first['msg']}.", remedy="Correct the named key.") from error
