"""One line of the file of labels."""

from __future__ import annotations

from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field, ValidationError, model_validator

from edge_agent.collection.settings import SKIP
from edge_agent.contracts.base import Contract, UtcTime
from edge_agent.contracts.manifest import Slug

Answer = Literal["not_usable"] | Slug
"""A label's code, ``skip``, or ``not_usable``."""
By = Annotated[str, Field(pattern=r"^[a-z0-9]+([_-][a-z0-9]+)*$", max_length=64)]


class LabelEntry(Contract):
    """An answer to a set's question about a frame, or the undoing of one. Never changed once it is written."""

    id: UUID = Field(description="UUIDv7 or chosen by the sender; an entry that is sent twice counts once.")
    at: UtcTime
    by: By = Field(description="The role of the person, never a name.")
    item: UUID = Field(description="Id of the kept frame, which is its reading's.")
    set: Slug = Field(description="Name of the label set.")
    label: Answer | None = Field(default=None, description="A label's code, not_usable or skip; null to undo.")
    undoes: UUID | None = Field(default=None, description="The entry that does not count any more.")

    @model_validator(mode="after")
    def _either(self) -> Self:
        if (self.label is None) == (self.undoes is None):
            raise ValueError("has either a label or the entry that it undoes")
        return self

    @property
    def is_opinion(self) -> bool:
        """Whether the entry says what the frame shows, or that this cannot be said."""
        return self.label not in {None, SKIP}


def parse_entry(line: bytes) -> LabelEntry | None:
    """The entry in a line; None if the line is not an entry."""
    try:
        return LabelEntry.model_validate_json(line)
    except ValidationError:
        return None
