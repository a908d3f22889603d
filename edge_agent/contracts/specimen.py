"""What is under the microscope, by an opaque id."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from edge_agent.contracts.base import Contract

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_CODE = re.compile(r"[A-Za-z0-9]+(-[A-Za-z0-9]+)*")
_WORD = re.compile(r"[A-Za-z]{4}")
_NUMBER = re.compile(r"[0-9]{5}")
_DATE = re.compile(
    r"(?<![0-9])(?:(?:19|20)[0-9]{2}-[0-9]{1,2}-[0-9]{1,2}|[0-9]{1,2}-[0-9]{1,2}-(?:[0-9]{2}){1,2}"
    r"|(?:19|20)[0-9]{2}-?[01][0-9]-?[0-3][0-9])(?![0-9])"
)


def opaque_id(value: str) -> str:
    """``value``, if it may name a specimen outside the clinic; ``ValueError`` if it may tell who a patient is.

    A UUID, or a code of letters, digits and single hyphens in which no four letters (a name), no five digits (a
    record number) and no date stand together, such as ``S-7K3F-92QX``.
    """
    if _UUID.fullmatch(value):
        return value
    if not _CODE.fullmatch(value):
        raise ValueError("may only have letters, digits and single '-' between them")
    if not any(character.isdigit() for character in value):
        raise ValueError("looks like a name: use a code with digits, such as S-7K3F-92QX")
    if _DATE.search(value):
        raise ValueError("looks like a date: use a code such as S-7K3F-92QX")
    if _WORD.search(value):
        raise ValueError("looks like a name: use a code without words, such as S-7K3F-92QX")
    if _NUMBER.search(value.replace("-", "")):
        raise ValueError("looks like a record number: use a code such as S-7K3F-92QX")
    return value


SpecimenId = Annotated[str, Field(min_length=4, max_length=36), AfterValidator(opaque_id)]
"""Says nothing of a patient. Only the clinic's own records know whose it is."""


class Specimen(Contract):
    """A slide under examination."""

    id: SpecimenId
    slide: int = Field(ge=1, le=999, description="Number of the slide of this specimen.")


class SpecimenField(Specimen):
    """Where on a specimen a reading belongs."""

    field: int = Field(ge=1, description="Counts the readings of this slide.")
