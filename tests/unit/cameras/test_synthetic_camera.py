from __future__ import annotations

import threading
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from edge_agent.cameras.frame import ColourOrder, Frame, Pixels
from edge_agent.cameras.settings import SyntheticSettings
from edge_agent.cameras.synthetic import Fault, SyntheticCamera
from edge_agent.errors import CameraLost

SMALL: dict[str, Any] = {
    "kind": "synthetic",
    "width_px": 96,
    "height_px": 64,
    "frame_rate_hz": 1000,
    "frames_per_field_count": 4,
    "bad_fields_ratio": 0,
}


def read(count: int, **changes: Any) -> list[Frame]:
    camera = SyntheticCamera(SyntheticSettings.model_validate(SMALL | changes))
    camera.open()
    try:
        return [camera.read() for _ in range(count)]
    finally:
        camera.close()


def array(frame: Frame) -> np.ndarray:
    assert isinstance(frame.image, Pixels)
    assert frame.image.order is ColourOrder.RGB
    return frame.image.array


def difference(first: Frame, second: Frame) -> float:
    return float(np.abs(array(first).astype(int) - array(second).astype(int)).mean())


def test_it_rests_on_a_field_and_then_moves_to_the_next() -> None:
    frames = read(12)
    changes = [difference(a, b) for a, b in pairwise(frames)]
    moves = [number for number, change in enumerate(changes, start=1) if change > 6]
    assert moves == [4, 8]


def test_no_two_frames_in_a_row_are_the_same() -> None:
    frames = read(200, frames_per_field_count=200)
    assert all(difference(a, b) > 0 for a, b in pairwise(frames))


def test_the_seed_decides_what_is_seen() -> None:
    assert all(difference(a, b) == 0 for a, b in zip(read(6), read(6), strict=True))
    assert difference(read(1, seed=1)[0], read(1, seed=2)[0]) > 6


def test_a_frame_carries_its_truth_and_its_size() -> None:
    frame = read(1, labels=("pro-b",), id="bench-1")[0]
    assert frame.source == "synthetic:pro-b"
    assert frame.camera == "bench-1"
    assert (frame.settings.height_px, frame.settings.width_px) == (64, 96)
    assert array(frame).shape == (64, 96, 3)


def test_another_stain_has_the_same_fields_in_other_colours() -> None:
    usual, blue = read(1, frames_per_field_count=1)[0], read(1, frames_per_field_count=1, stain="blue")[0]
    assert usual.source == blue.source
    assert difference(usual, blue) > 6


def test_bad_fields_come_by_the_configured_share_and_say_so() -> None:
    frames = read(200, bad_fields_ratio=0.25, frames_per_field_count=1, labels=("pre-b",))
    sources = [frame.source for frame in frames]
    assert set(sources) == {"synthetic:pre-b", *(f"synthetic:pre-b:{fault}" for fault in Fault)}
    assert 0.15 < sum(source != "synthetic:pre-b" for source in sources) / len(sources) < 0.35


def test_each_fault_looks_like_what_it_says() -> None:
    frames = read(120, bad_fields_ratio=0.7, frames_per_field_count=1, labels=("pre-b",))
    by_source = {str(frame.source).removeprefix("synthetic:pre-b"): array(frame) for frame in frames}
    assert (by_source[":over-exposed"] >= 253).mean() > 0.2
    assert (by_source[""] >= 253).mean() < 0.05
    assert by_source[":empty"].min() > 180
    edges = {source: np.abs(np.diff(image[..., 1].astype(int))).max() for source, image in by_source.items()}
    assert edges[":blurred"] < 0.5 * edges[""]


def test_close_ends_a_read_that_waits_for_its_time() -> None:
    camera = SyntheticCamera(SyntheticSettings.model_validate(SMALL | {"frame_rate_hz": 0.001}))
    camera.open()
    camera.read()
    failures: list[BaseException] = []

    def wait_for_the_next() -> None:
        try:
            camera.read()
        except CameraLost as error:
            failures.append(error)

    reader = threading.Thread(target=wait_for_the_next, daemon=True)
    reader.start()
    camera.close()
    camera.close()
    reader.join(timeout=20)
    assert not reader.is_alive()
    assert len(failures) == 1


def test_a_closed_camera_gives_nothing() -> None:
    camera = SyntheticCamera(SyntheticSettings.model_validate(SMALL))
    camera.open()
    camera.close()
    with pytest.raises(CameraLost):
        camera.read()


def test_a_focus_sweep_goes_away_and_back_and_says_so() -> None:
    frames = read(10, frames_per_field_count=5, focus_sweep_um=2, labels=("pre-b",))
    sources = [f"synthetic:pre-b:focus-{blur_um:.2f}um" for blur_um in (0, 1, 2, 1, 0)]
    assert [frame.source for frame in frames] == 2 * sources
    edges = [float(np.abs(np.diff(array(frame).astype(int), axis=1)).mean()) for frame in frames]
    for field in (edges[:5], edges[5:]):
        assert field[0] > field[1] > field[2] < field[3] < field[4]


def test_the_sharp_end_of_a_sweep_is_what_is_drawn_without_one() -> None:
    swept, still = (read(9, frames_per_field_count=9, focus_sweep_um=sweep_um) for sweep_um in (2, 0))
    assert difference(swept[0], still[0]) == difference(swept[8], still[8]) == 0
    assert difference(swept[4], still[4]) > 1


def test_a_field_of_one_frame_is_sharp_in_a_sweep() -> None:
    assert [frame.source for frame in read(2, frames_per_field_count=1, focus_sweep_um=2, labels=("pre-b",))] == [
        "synthetic:pre-b:focus-0.00um"
    ] * 2
