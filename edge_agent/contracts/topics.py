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
        """Prefix of all topics of this device. Elsewhere it only announces itself, to Home Assistant where it shall."""
        return f"leukoscope/v1/{self.site}/{self.device}"

    @property
    def status(self) -> str:
        """Retained; last will."""
        return f"{self.prefix}/status"

    @property
    def info(self) -> str:
        """Retained."""
        return f"{self.prefix}/info"

    @property
    def health(self) -> str:
        """Retained."""
        return f"{self.prefix}/health"

    @property
    def last(self) -> str:
        """Retained; the newest result, as it was published."""
        return f"{self.prefix}/last"

    @property
    def specimen(self) -> str:
        """Retained; the slide that is being read."""
        return f"{self.prefix}/specimen"

    @property
    def metrics(self) -> str:
        """QoS 0."""
        return f"{self.prefix}/metrics"

    @property
    def event(self) -> str:
        """Spooled."""
        return f"{self.prefix}/event"

    @property
    def report(self) -> str:
        """Spooled; one message per finished specimen."""
        return f"{self.prefix}/report"

    @property
    def model_desired(self) -> str:
        """Retained; set by an operator."""
        return f"{self.prefix}/model/desired"

    @property
    def model_reported(self) -> str:
        """Retained."""
        return f"{self.prefix}/model/reported"

    @property
    def commands(self) -> str:
        """Filter for all commands to this device."""
        return f"{self.prefix}/command/+"

    @property
    def answers(self) -> str:
        """Prefix of all topics that answers may go to."""
        return f"{self.prefix}/answer/"

    def result(self, camera: str) -> str:
        """One message per reading of ``camera``."""
        return f"{self.prefix}/result/{topic_segment(camera)}"
