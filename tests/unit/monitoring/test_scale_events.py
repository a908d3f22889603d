"""A configured scale that the red cells contradict is reported once, and a single odd field never."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from uuid_utils.compat import uuid7

from edge_agent.analysis.scale import describe_scale
from edge_agent.contracts import Event, EventKind, Scale, Topics
from edge_agent.events.recorder import EventRecorder
from edge_agent.monitoring.scale_events import MIN_COUNT, WINDOW_COUNT, ScaleEvents
from edge_agent.spool import MemorySpool
from edge_agent.vision.red_cells import RedCells


@pytest.fixture
def spool() -> MemorySpool:
    return MemorySpool(1_000_000)


@pytest.fixture
def scale_events(tmp_path: Path, spool: MemorySpool) -> Iterator[ScaleEvents]:
    events = EventRecorder(tmp_path, spool, Topics("clinic", "scope-1"), uuid7())
    yield ScaleEvents(events)
    events.close()


def scale(configured: float | None, diameter_px: float | None = 50.0) -> Scale:
    if diameter_px is None:
        return describe_scale(RedCells(), 1.0, configured)
    cells = RedCells(20, diameter_px, 0.9 * diameter_px, 1.1 * diameter_px, diameter_px)
    return describe_scale(cells, 1.0, configured)


def recorded(spool: MemorySpool) -> list[Event]:
    found = []
    while (message := spool.take(live=True)) is not None:
        found.append(Event.model_validate_json(message.payload))
    return found


AGREES, DISAGREES = scale(0.15), scale(0.3)


def test_lasting_disagreement_is_reported_once(scale_events: ScaleEvents, spool: MemorySpool) -> None:
    for _ in range(MIN_COUNT - 1):
        scale_events.add(DISAGREES)
    assert recorded(spool) == []
    for _ in range(3 * WINDOW_COUNT):
        scale_events.add(DISAGREES)
    [event] = recorded(spool)
    assert event.kind is EventKind.SCALE_DISAGREES
    assert event.details == {
        "um_per_pixel": 0.3,
        "estimated_um_per_pixel": 0.15,
        "readings_count": MIN_COUNT,
        "disagreeing_count": MIN_COUNT,
    }


def test_odd_fields_are_not_reported(scale_events: ScaleEvents, spool: MemorySpool) -> None:
    odd = scale(0.15, diameter_px=20)
    assert odd.disagrees
    for at in range(10 * WINDOW_COUNT):
        scale_events.add(odd if at % 3 == 0 else AGREES)
    assert recorded(spool) == []


@pytest.mark.parametrize("silent", [None, scale(None), scale(0.3, None)])
def test_what_has_not_both_scales_says_nothing(
    scale_events: ScaleEvents, spool: MemorySpool, silent: Scale | None
) -> None:
    for _ in range(2 * WINDOW_COUNT):
        scale_events.add(silent)
    assert recorded(spool) == []


def test_another_configured_scale_is_judged_afresh(scale_events: ScaleEvents, spool: MemorySpool) -> None:
    for configured in (0.3, 0.15, 0.4):
        for _ in range(MIN_COUNT):
            scale_events.add(scale(configured))
    assert [event.details["um_per_pixel"] for event in recorded(spool)] == [0.3, 0.4]
