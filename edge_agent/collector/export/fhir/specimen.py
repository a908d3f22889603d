"""The specimen by its opaque id, and the slide that was made of it. Neither identifies a person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from edge_agent.collector.export.fhir.codes import concept, markings
from edge_agent.collector.export.fhir.identity import derived_uuid, identifier, local_identifier, reference
from edge_agent.collector.export.fhir.narrative import narrative, plain_text


@dataclass(frozen=True, slots=True)
class Slide:
    """A slide of a specimen. Two sites may use the same id for different specimens."""

    site: str
    specimen: str
    number: int

    @property
    def name(self) -> str:
        """The slide's name within its site."""
        return f"{self.specimen}/{self.number}"

    @property
    def identity(self) -> UUID:
        """Identity of the slide's resource."""
        return derived_uuid("slide", self.site, self.specimen, self.number)

    @property
    def specimen_identity(self) -> UUID:
        """Identity of the specimen's resource."""
        return derived_uuid("specimen", self.site, self.specimen)


def specimens(slide: Slide) -> list[tuple[UUID, dict[str, Any]]]:
    """The specimen and the slide, each with its identity."""
    whole = {
        "resourceType": "Specimen",
        "meta": markings(demonstration=False, provisional=False),
        "text": narrative(f"Specimen {slide.specimen} of {slide.site}. The id says nothing about a person."),
        "identifier": [
            identifier(slide.specimen_identity),
            local_identifier("specimen", slide.site, plain_text(slide.specimen)),
        ],
    }
    part = {
        "resourceType": "Specimen",
        "meta": markings(demonstration=False, provisional=False),
        "text": narrative(f"Slide {slide.number} of the specimen {slide.specimen} of {slide.site}."),
        "identifier": [identifier(slide.identity), local_identifier("slide", slide.site, plain_text(slide.name))],
        "type": concept("blood-smear"),
        "parent": [reference(slide.specimen_identity)],
    }
    return [(slide.specimen_identity, whole), (slide.identity, part)]
