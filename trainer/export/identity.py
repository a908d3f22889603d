"""The name and version of a bundle or head, as its manifest allows them."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from typing import Literal

from pydantic import ValidationError, create_model

from edge_agent.contracts import Manifest
from trainer.errors import DataError

# The manifest's own constraints, so that the two cannot differ.
_Allowed = create_model(
    "_Allowed",
    name=(str, copy(Manifest.model_fields["name"])),
    version=(str, copy(Manifest.model_fields["version"])),
)
_HINTS = {
    "name": "use up to 64 lower-case letters, digits and single hyphens, such as 'my-laboratory'",
    "version": "use three numbers, such as 1.0.0",
}


@dataclass(frozen=True, slots=True)
class BundleIdentity:
    """The name and version of a bundle or head. Raises ``DataError`` for values that a manifest does not allow."""

    name: str
    version: str
    kind: Literal["bundle", "head"] = "bundle"

    def __post_init__(self) -> None:
        try:
            _Allowed(name=self.name, version=self.version)
        except ValidationError as error:
            wrong = [str(each["loc"][0]) for each in error.errors()]
            raise DataError(
                "; ".join(
                    f"'{getattr(self, each)}' is not a {each} for a {self.kind}: {_HINTS[each]}" for each in wrong
                )
                + ".",
                remedy=f"Correct {' and '.join(f'--{each}' for each in wrong)}.",
            ) from error
