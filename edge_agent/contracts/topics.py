"""The topic tree: ``leukoscope/v1/{site}/{device}/...``. No patient or specimen id is ever part of a topic."""

from __future__ import annotations

import re
from dataclasses import dataclass

_SEGMENT = re.compile(r"[a-z0-9-]+")


def topic_segment(value: str) -> str:
    """``value``, if it may be one segment of a topic; ``ValueError`` otherwise."""
    if not _SEGMENT.fullmatch(value):
        raise ValueError(f"{value!r} may only have lower-case letters, digits and '-'")
    return value


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one device."""

    site: str
    device: str

    def __post_init__(self) -> None:
        topic_segment(self.site)
        topic_segment(self.device)

    @property
    def prefix(self) -> str:
        """Prefix under which alone this device publishes."""
        return f"leukoscope/v1/{self.site}/{self.device}"

    @property
    def status(self) -> str:
        """Retained; last will."""
        return f"{self.prefix}/status"

    @property
    def info(self) -> str:
        """Retained."""
        return f"{self.prefix}/info"

    def result(self, camera: str) -> str:
        """One message per reading of ``camera``."""
        return f"{self.prefix}/result/{topic_segment(camera)}"
