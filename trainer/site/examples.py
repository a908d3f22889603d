"""The labelled pictures of a site, and which of them belong together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge_agent.contracts.manifest import Label
from trainer.data.dataset import ImageFile, Unreadable, hash_of_hashes
from trainer.data.description import Description

Grouping = Literal["specimen", "near-duplicate-and-time"]
"""What makes a group, as ``head.json`` names it."""


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """n labelled pictures that can be read, in the order of the listing."""

    folder: Path
    """The folder to which the files' paths are relative."""
    description: Description
    """The description; its classes are the head's labels, in this order."""
    files: tuple[ImageFile, ...]
    """(n,)."""
    labels: NDArray[np.int64]
    """(n,): index of the picture's class in ``description.classes``."""
    groups: NDArray[np.int64]
    """(n,): pictures with the same number stay on one side of every division."""
    grouping: Grouping
    """What makes a group: a specimen, if every picture names one."""
    captured_at: tuple[datetime | None, ...]
    """(n,): from the table or the picture's own EXIF; None if neither says. The time of a file is not used."""
    cameras: tuple[str | None, ...]
    """(n,): the device of the table, or the make and model of the picture's EXIF; None if neither says."""
    sizes_px: NDArray[np.int64]
    """(n, 2): width and height of the picture as it was stored."""
    enlarged: NDArray[np.bool_]
    """(n,): pictures smaller than a field, which were enlarged to a field. The device itself refuses such frames."""
    unreadable: tuple[Unreadable, ...]
    """Files that were skipped."""

    @property
    def codes(self) -> tuple[str, ...]:
        """Codes of the c classes."""
        return self.description.codes

    @property
    def label_set(self) -> tuple[Label, ...]:
        """The c classes as a head names them."""
        return tuple(each.label for each in self.description.classes)

    @property
    def class_counts(self) -> NDArray[np.int64]:
        """(c,): the number of pictures of each class."""
        return np.bincount(self.labels, minlength=len(self.codes))

    @property
    def groups_count(self) -> int:
        """Number of groups."""
        return len(np.unique(self.groups))

    @property
    def specimens_count(self) -> int | None:
        """Number of specimens; None unless every picture names one."""
        return len({file.group for file in self.files}) if self.grouping == "specimen" else None

    @property
    def sha256(self) -> str:
        """SHA-256 of the sorted list of the pictures' SHA-256."""
        return hash_of_hashes(file.sha256 for file in self.files)

    def take(self, indices: NDArray[np.intp] | NDArray[np.int64]) -> Examples:
        """Only the pictures with these indices, int (m,); classes and ``unreadable`` stay as they are."""
        chosen = indices.tolist()
        return replace(
            self,
            files=tuple(self.files[index] for index in chosen),
            labels=self.labels[indices],
            groups=self.groups[indices],
            captured_at=tuple(self.captured_at[index] for index in chosen),
            cameras=tuple(self.cameras[index] for index in chosen),
            sizes_px=self.sizes_px[indices],
            enlarged=self.enlarged[indices],
        )
