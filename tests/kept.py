"""Collections with readings that nobody had to make, for tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from uuid_utils.compat import uuid7

from edge_agent.analysis.reading import Reading
from edge_agent.analysis.results import ResultMaker
from edge_agent.cameras.frame import ColourOrder, Encoded, Frame, Pixels, frame_now
from edge_agent.collection.collection import Collection
from edge_agent.collection.keeper import OnEvent
from edge_agent.collection.kept_frame import KeptFrame
from edge_agent.collection.picture import make_picture
from edge_agent.collection.settings import CollectionSettings, Keep
from edge_agent.contracts import (
    ErrorReport,
    EventKind,
    Label,
    ModelIdentity,
    Outcome,
    Reason,
    Result,
    SpecimenField,
    Topics,
)
from edge_agent.errors import ImageError

MODEL = ModelIdentity(name="demo", version="1.0.0", sha256="0" * 64, preprocessing="rgb@1", runtime="none")
LABELS = tuple(
    Label(code=code, display_name=f"The {code}", meaning=f"Fields that are {code}.", malignant=code != "benign")
    for code in ("benign", "early-pre-b", "pre-b", "pro-b")
)
TOPICS = Topics("clinic", "scope-1")
CONSENT = "Ethics board of the North Clinic, 2026-11-02: fields for training, without names."


def pixels(seed: int = 0, size_px: tuple[int, int] = (24, 32)) -> NDArray[np.uint8]:
    """Noise that differs by its seed, uint8 RGB (h, w, 3)."""
    return np.random.default_rng(seed).integers(0, 256, (*size_px, 3), np.uint8)


@dataclass
class Readings:
    """Makes readings of one session."""

    results: ResultMaker = field(default_factory=lambda: ResultMaker("clinic-a", "scope-1", uuid7()))
    count: int = 0

    def make(
        self,
        image: Pixels | Encoded | ImageError | None = None,
        *,
        outcome: Outcome = Outcome.CLASSIFIED,
        label: str | None = None,
        specimen: SpecimenField | None = None,
        source: str | None = "patient-doe/field7.jpg",
    ) -> tuple[Result, Reading]:
        self.count += 1
        frame: Frame = frame_now("camera0", image or Pixels(pixels(self.count), ColourOrder.RGB), source=source)
        reading = Reading(
            frame=frame,
            outcome=outcome,
            model=MODEL,
            provisional=False,
            demonstration=True,
            latency_ms={"total": 1.0},
            label=label,
            malignant=None if label is None else label != "benign",
            reason=Reason.UNFAMILIAR if outcome in {Outcome.ABSTAINED, Outcome.REJECTED} else None,
            error=ErrorReport.from_error(ImageError("broken.")) if outcome is Outcome.FAILED else None,
        )
        return self.results.make(reading, specimen), reading


def make_record(
    readings: Readings,
    *,
    label: str | None = None,
    specimen: SpecimenField | None = None,
    kept_at: datetime | None = None,
    image: Pixels | Encoded | None = None,
) -> tuple[KeptFrame, bytes]:
    """A record and its picture."""
    result, reading = readings.make(image, label=label, specimen=specimen)
    picture, about = make_picture(reading.frame, max_pixels=10**7)
    record = KeptFrame(
        kept_at=kept_at or datetime.now(UTC),
        keep=Keep.ALL,
        synthetic=False,
        picture=about,
        result=result.model_copy(update={"source": None}),
    )
    return record, picture


@dataclass
class Recorded:
    """Events as they would be recorded."""

    events: list[tuple[EventKind, str | None]] = field(default_factory=list)

    def __call__(self, kind: EventKind, _message: str, code: str | None) -> None:
        self.events.append((kind, code))


def make_collection(
    folder: Path,
    *,
    on_event: OnEvent = lambda _kind, _message, _code: None,
    labels: Callable[[], tuple[Label, ...]] = lambda: LABELS,
    beside_agent: bool = False,
    **settings: Any,
) -> Collection:
    return Collection(
        CollectionSettings.model_validate({"keep": "all", "consent": CONSENT, **settings}),
        folder,
        labels,
        lambda: TOPICS,
        on_event=on_event,
        beside_agent=beside_agent,
    )


@contextmanager
def collecting(
    folder: Path, *, on_event: OnEvent = lambda _kind, _message, _code: None, **settings: Any
) -> Iterator[Collection]:
    """A collection that keeps frames inside the block."""
    collection = make_collection(folder, on_event=on_event, **settings)
    collection.start()
    try:
        yield collection
    finally:
        collection.stop()


def fill(folder: Path, count: int, readings: Readings | None = None, **reading: Any) -> list[UUID]:
    """Keep this many frames, one after the other; their ids."""
    made = readings or Readings()
    ids = []
    for _ in range(count):
        # Stopped after each, so that none is dropped.
        with collecting(folder) as collection:
            result, each = made.make(**reading)
            collection.offer(result, each)
        ids.append(result.id)
    return ids
