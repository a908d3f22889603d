"""Fitting heads with a program that stands in for the trainer, for tests."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import UUID

from edge_agent.adaptation.adaptation import Adaptation, Surroundings
from edge_agent.adaptation.settings import AdaptationSettings
from edge_agent.adaptation.state import AdaptationState
from edge_agent.collection.collection import Collection
from edge_agent.contracts import EventKind
from edge_agent.errors import EdgeAgentError
from edge_agent.inference.proof import ProofLimits
from tests.kept import fill, make_collection
from tests.mqtt import PATIENCE_S

SIX_EACH: Mapping[str, int] = MappingProxyType({"benign": 6, "pre-b": 6})
FAKE_TRAINER = Path(__file__).with_name("fake_trainer.py")


@dataclass
class KnownHeads:
    """Takes heads, or refuses them with ``error``, or before they are fitted with ``refusal``."""

    installed: list[str] = field(default_factory=list)
    error: EdgeAgentError | None = None
    refusal: EdgeAgentError | None = None

    def require_allowed(self) -> None:
        if self.refusal is not None:
            raise self.refusal

    def next_version(self, name: str) -> str:
        return f"1.0.{len(self.installed)}"

    def install_own(self, folder: Path) -> None:
        if self.error is not None:
            raise self.error
        assert (folder / "head.json").is_file()
        self.installed.append(folder.name)


@dataclass
class Teaching:
    """An adaptation and everything around it."""

    adaptation: Adaptation
    collection: Collection
    spare: UUID
    """A kept frame without a label."""
    folder: Path
    heads: KnownHeads
    events: list[tuple[EventKind, str, str | None]]
    changed: threading.Condition
    bundle: list[str]
    """The name of the one in use is the last."""

    def until(self, reached: Callable[[AdaptationState], bool]) -> AdaptationState:
        """Wait for a state. Progress has no event of its own, so it is asked for again and again."""
        for _ in range(round(PATIENCE_S / 0.02)):
            state = self.adaptation.state()
            if reached(state):
                return state
            with self.changed:
                self.changed.wait(0.02)
        raise AssertionError(f"it stays {self.adaptation.state()}")

    def until_ended(self) -> AdaptationState:
        return self.until(lambda state: state.state not in {"idle", "running"})


@contextmanager
def teaching(
    folder: Path, mode: str = "good", *, counts: Mapping[str, int] = SIX_EACH, **settings: Any
) -> Iterator[Teaching]:
    """Six labelled frames of each of two classes, and a program that behaves as ``mode`` says."""
    kept = folder / "collection"
    labels = [code for code, count in counts.items() for _ in range(count)]
    *items, spare = fill(kept, len(labels) + 1)
    collection = make_collection(kept)
    for item, code in zip(items, labels, strict=True):
        collection.label(item, "classes", code, by="work")
    heads, events, changed, bundle = KnownHeads(), [], threading.Condition(), ["demo"]

    def on_event(kind: EventKind, message: str, code: str | None) -> None:
        events.append((kind, message, code))
        with changed:
            changed.notify_all()

    adaptation = Adaptation(
        AdaptationSettings.model_validate(settings),
        folder / "adaptation",
        collection,
        Surroundings(
            bundle=lambda: bundle[-1],
            bundle_name=lambda: bundle[-1],
            reference=lambda: bundle[-1],
            proof=lambda: ProofLimits(min_images_count=10),
            site=lambda: "clinic",
        ),
        heads,
        on_event=on_event,
        program=[sys.executable, str(FAKE_TRAINER), mode],
    )
    adaptation.start()
    found = Teaching(adaptation, collection, spare, folder / "adaptation", heads, events, changed, bundle)
    try:
        yield found
    finally:
        adaptation.stop()
