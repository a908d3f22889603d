"""Base of all settings in ``agent.toml``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, field_validator, model_validator
from pydantic_core import PydanticCustomError


class Settings(BaseModel):
    """Closed and immutable: an unknown key is an error, and a reload creates new settings.

    Every field of a subclass has a unit in its name, a description and, where one is safe, a default.
    Each package keeps the settings of what it owns; ``edge_agent.config`` only puts them together.
    ``min_x`` may not be above ``max_x``, and no path may begin with ``~`` or have a null character.
    """

    # The input may be a password in the wrong place, so errors never repeat it.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True)

    ordered: ClassVar[tuple[tuple[str, str], ...]] = ()
    """More pairs of fields of which the first must not be above the second."""

    @field_validator("*", mode="after")
    @classmethod
    def _check_path(cls, value: Any) -> Any:  # noqa: ANN401 - any field
        if isinstance(value, Path):
            refuse_home(value)
            if "\0" in str(value):
                # Whoever opens it would get an error that is none of the system's.
                raise ValueError("has a null character, which the name of a file cannot have; correct the path")
        return value

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        named = type(self).model_fields
        bounds = ((name, f"max_{name.removeprefix('min_')}") for name in named if name.startswith("min_"))
        for lower, upper in (*bounds, *self.ordered):
            if upper in named and getattr(self, lower) > getattr(self, upper):
                raise PydanticCustomError(
                    "out_of_order",
                    "{low} is above {upper} ({high}); lower it, or raise {upper}",
                    {"keys": (lower,), "low": getattr(self, lower), "upper": upper, "high": getattr(self, upper)},
                )
        return self


def refuse_home(path: Path) -> None:
    """Raise ``ValueError`` for a path below ``~``: each user has another home folder."""
    if not str(path).startswith("~"):
        return
    try:
        example = f", such as {path.expanduser()}"
    except RuntimeError:
        example = ""
    raise ValueError(f"'~' is another folder for each user, so it is not used here; write the path in full{example}")
