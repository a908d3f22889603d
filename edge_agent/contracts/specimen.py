"""What is under the microscope, identified by an opaque id."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from edge_agent.contracts.base import UUID_PATTERN, OpenContract, whole_number

# Written so that JSON Schema (ECMA 262) and Python read them alike; "$" alone lets a newline follow in Python.
_CODE = r"^[A-Za-z0-9]+(-[A-Za-z0-9]+)*$(?!\n)"
_DIGIT = r"[0-9]"
# In the schema one pattern: of two, a generator of models makes one that asks for both at the same place.
_CODE_WITH_DIGIT = _CODE.replace("^", "^(?=[A-Za-z-]*[0-9])")
_WORD = r"[A-Za-z]{4}"
_NUMBER = r"[0-9](-?[0-9]){4}"
_DATE = (
    r"(^|[^0-9])((19|20)[0-9]{2}-[0-9]{1,2}-[0-9]{1,2}|[0-9]{1,2}-[0-9]{1,2}-([0-9]{2}){1,2}"
    r"|(19|20)[0-9]{2}-?[01][0-9]-?[0-3][0-9])(?![0-9])"
)

_PUBLISHED: dict[str, Any] = {
    "anyOf": [
        {"pattern": UUID_PATTERN},
        {
            "allOf": [
                {"pattern": _CODE_WITH_DIGIT},
                *({"not": {"pattern": pattern}} for pattern in (_WORD, _NUMBER, _DATE)),
            ]
        },
    ]
}


def opaque_id(value: str) -> str:
    """``value``, if it may identify a specimen outside the clinic; ``ValueError`` if it might identify a patient.

    A UUID, or a code of letters, digits and single hyphens in which no four letters (a name), no five digits (a
    record number) and no date stand together, such as ``S-7K3F-92QX``.
    """
    if re.search(UUID_PATTERN, value):
        return value
    if not re.search(_CODE, value):
        raise ValueError("may only have letters, digits and single '-' between them")
    if not re.search(_DIGIT, value):
        raise ValueError("looks like a name: use a code with digits, such as S-7K3F-92QX")
    if re.search(_DATE, value):
        raise ValueError("looks like a date: use a code such as S-7K3F-92QX")
    if re.search(_WORD, value):
        raise ValueError("looks like a name: use a code without words, such as S-7K3F-92QX")
    if re.search(_NUMBER, value):
        raise ValueError("looks like a record number: use a code such as S-7K3F-92QX")
    return value


SpecimenId = Annotated[
    str, Field(strict=True, min_length=4, max_length=36, json_schema_extra=_PUBLISHED), AfterValidator(opaque_id)
]
"""Says nothing about a patient. Only the clinic's own records connect it to a person."""

SlideNumber = Annotated[int, Field(strict=True, ge=1, le=999), BeforeValidator(whole_number)]
"""Number of a slide of a specimen."""

FieldsCount = Annotated[int, Field(strict=True, ge=1, le=999), BeforeValidator(whole_number)]
"""Number of fields that a person wishes to have judged."""


class Specimen(OpenContract):
    """A slide under examination."""

    id: SpecimenId
    slide: SlideNumber = Field(description="Number of the slide of this specimen.")


class SpecimenField(Specimen):
    """Where on a specimen a reading belongs."""

    field: int = Field(ge=1, description="Number of the reading within this slide.")
    repeats_field: int | None = Field(
        default=None,
        ge=1,
        description="Number of the reading that already counted this field; null if this one counts, or the field is "
        "not judged. The report counts a repeated field once.",
    )
