"""Viewers see the newest frame at their own pace; while nobody looks, nothing is done."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import simplejpeg
from uuid_utils.compat import uuid7

from edge_agent.cameras import Encoded, Frame
from edge_agent.cameras.frame import frame_now
from edge_agent.vision.decode import decode_image
from edge_agent.web.device import Problem
from edge_agent.web.live import pixels
from edge_agent.web.live.hub import LiveHub, TooManyViewers, Viewer
from edge_agent.web.live.messages import View
from tests.unit.web.live.fakes import PATIENCE_S, LiveDevice, grey_frame, jpeg_frame, parts

Box = queue.Queue[bytes]


@pytest.fixture
def device() -> LiveDevice:
    return LiveDevice()


@pytest.fixture
def hub(device: LiveDevice) -> Iterator[LiveHub]:
    hub = LiveHub(device, interval_s=0)
    yield hub
    hub.stop()


class Counts:
    decoded = 0
    compressed = 0


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Counts:
    found = Counts()

    def decode(*args: Any, **kwargs: Any) -> Any:
        found.decoded += 1
        return decode_image(*args, **kwargs)

    def compress(*args: Any, **kwargs: Any) -> Any:
        found.compressed += 1
        return encode_jpeg(*args, **kwargs)

    encode_jpeg = simplejpeg.encode_jpeg
    monkeypatch.setattr(pixels, "decode_image", decode)
    monkeypatch.setattr(simplejpeg, "encode_jpeg", compress)
    return found


def looking(hub: LiveHub, view: View | None = None) -> tuple[Viewer, Box]:
    """A viewer who has asked, and the box in which their pictures arrive."""
    box: Box = queue.Queue()
    viewer = hub.join(box.put)
    viewer.ask(view or View())
    return viewer, box


def level(box: Box) -> int:
    """Mean grey level of the next picture."""
    return round(float(parts(box.get(timeout=PATIENCE_S))[1].mean()))


def test_nothing_is_asked_of_the_device_until_a_viewer_asks(device: LiveDevice, hub: LiveHub, counts: Counts) -> None:
    box: Box = queue.Queue()
    viewer = hub.join(box.put)
    while not hub._changed._waiters and device.looked_on.empty():  # type: ignore[attr-defined]  # private
        """Wait until the hub waits for a viewer to ask, which nothing else shows."""
    assert device.looked_on.empty()
    device.show(grey_frame(10))
    viewer.ask(View())
    device.show_from(lambda: grey_frame(10))
    assert (counts.decoded, counts.compressed) == (0, 0)
    device.show(grey_frame(100))
    assert level(box) == 100
    # Frames that pass while the viewer draws are not even examined.
    for _ in range(5):
        device.show(grey_frame(50))
    viewer.leave()
    device.looked_away.get(timeout=PATIENCE_S)
    assert counts.compressed == 1
    assert box.empty()


def test_viewers_share_one_decoding_and_one_compression(device: LiveDevice, hub: LiveHub, counts: Counts) -> None:
    boxes = [looking(hub, View(max_width_px=80))[1] for _ in range(3)]
    zoomed = looking(hub, View((0.0, 0.0, 0.5, 0.5), 640))[1]
    device.show_from(lambda: grey_frame(10))
    device.show(jpeg_frame(np.full((960, 1280, 3), 90, np.uint8)))
    messages = [box.get(timeout=PATIENCE_S) for box in boxes]
    # One object, so there is one copy in memory.
    assert len({id(message) for message in messages}) == 1
    assert parts(zoomed.get(timeout=PATIENCE_S))[0]["region"] == [0, 0, 0.5, 0.5]
    assert (counts.decoded, counts.compressed) == (1, 2)


def test_a_frame_is_not_decoded_while_the_analysis_is_busy_with_another(
    monkeypatch: pytest.MonkeyPatch, counts: Counts
) -> None:
    class Busy(LiveDevice):
        glances = 0

        @property
        def analysing(self) -> bool:
            self.glances += 1
            assert counts.decoded == 0
            return self.glances <= 5

    monkeypatch.setattr("edge_agent.web.live.hub.GIVE_WAY_S", PATIENCE_S)
    device = Busy()
    hub = LiveHub(device, interval_s=0)
    _, box = looking(hub)
    device.show_from(lambda: grey_frame(10))
    device.show(jpeg_frame(np.full((480, 640, 3), 90, np.uint8)))
    box.get(timeout=PATIENCE_S)
    hub.stop()
    assert (device.glances, counts.decoded) == (6, 1)


def test_the_picture_moves_even_if_the_analysis_is_always_busy(device: LiveDevice, hub: LiveHub) -> None:
    device.busy = True
    _, box = looking(hub)
    device.show_from(lambda: grey_frame(10))
    device.show(grey_frame(100))
    assert level(box) == 100


def test_a_slow_viewer_gets_the_newest_frame_and_none_of_those_missed(device: LiveDevice, hub: LiveHub) -> None:
    viewer, box = looking(hub)
    device.show_from(lambda: grey_frame(10))
    device.show(grey_frame(20))
    assert level(box) == 20
    for shade in (30, 40, 50):
        device.show(grey_frame(shade))
    viewer.ask(View())
    assert level(box) == 50
    assert box.empty()


def test_a_frame_is_not_shown_twice_but_another_part_of_it_is(device: LiveDevice, hub: LiveHub) -> None:
    viewer, box = looking(hub)
    device.show_from(lambda: grey_frame(10))
    device.show(grey_frame(20))
    first = parts(box.get(timeout=PATIENCE_S))[0]
    viewer.ask(View())
    viewer.ask(View((0.5, 0.5, 0.5, 0.5)))
    second = parts(box.get(timeout=PATIENCE_S))[0]
    assert (second["id"], second["region"]) == (first["id"], [0.5, 0.5, 0.5, 0.5])


def test_a_viewer_who_comes_later_sees_the_frame_that_is_shown(
    device: LiveDevice, hub: LiveHub, counts: Counts
) -> None:
    _, box = looking(hub)
    device.show_from(lambda: grey_frame(10))
    device.show(grey_frame(20))
    level(box)
    _, late = looking(hub)
    assert level(late) == 20
    assert counts.compressed == 1


def test_a_device_that_pauses_is_said_to_be_paused_and_shown_again_when_it_resumes(
    device: LiveDevice, hub: LiveHub
) -> None:
    viewer, box = looking(hub)
    device.show_from(lambda: grey_frame(10))
    device.show(grey_frame(20))
    level(box)
    viewer.ask(View())
    device.pause()
    for _ in range(2):
        device.refusals.get(timeout=PATIENCE_S)
    assert (hub.absence.state, hub.absence.code) == ("paused", "agent_paused")
    _, late = looking(hub)
    # A frame from before the pause is never shown as live.
    device.resume()
    device.show_from(lambda: grey_frame(10))
    # Requested after some time without a frame.
    device.states.get(timeout=PATIENCE_S)
    assert late.empty()
    device.show(grey_frame(30))
    assert (level(box), level(late)) == (30, 30)
    assert hub.absence.state == "waiting"


def test_a_reload_goes_unnoticed(device: LiveDevice, hub: LiveHub) -> None:
    _, box = looking(hub)
    before = device.show_from(lambda: grey_frame(10))
    device.reload()
    assert device.show_from(lambda: grey_frame(10)) is not before
    device.show(grey_frame(20))
    assert level(box) == 20
    assert device.refusals.empty()


def test_a_lost_camera_is_said_with_its_error(device: LiveDevice, hub: LiveHub) -> None:
    device.problems = (Problem(part="camera", code="camera_lost", message="Unplugged.", remedy="Plug it in."),)
    looking(hub)
    for _ in range(2):
        device.states.get(timeout=PATIENCE_S)
    assert hub.absence.state == "camera_lost"
    assert (hub.absence.code, hub.absence.remedy) == ("camera_lost", "Plug it in.")


def test_a_camera_that_opens_is_waited_for(device: LiveDevice, hub: LiveHub) -> None:
    device.opening = True
    looking(hub)
    for _ in range(2):
        device.states.get(timeout=PATIENCE_S)
    assert (hub.absence.state, hub.absence.code) == ("waiting", None)
    assert "opened" in hub.absence.message


def test_when_the_last_viewer_leaves_the_device_is_left_alone(device: LiveDevice, hub: LiveHub) -> None:
    one, box = looking(hub)
    other, _ = looking(hub)
    request = device.show_from(lambda: grey_frame(10))
    device.show(grey_frame(20))
    level(box)
    thread = hub._thread
    assert thread is not None
    one.leave()
    assert thread.is_alive()
    other.leave()
    assert device.looked_away.get(timeout=PATIENCE_S) is request
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    # The next viewer sees frames again.
    _, box = looking(hub)
    device.show_from(lambda: grey_frame(10))
    device.show(grey_frame(30))
    assert level(box) == 30


@pytest.mark.parametrize("damage", [b"not a picture", b"\xff\xd8\xff\xe0 cut short"])
def test_a_frame_that_cannot_be_decoded_is_skipped_and_counted(device: LiveDevice, hub: LiveHub, damage: bytes) -> None:
    viewer, box = looking(hub)
    device.show_from(lambda: grey_frame(10))
    device.show(frame_now("camera0", Encoded(damage)))
    # Until the hub has taken it, a newer one would replace it.
    while (hub.absence.code or "") == "":
        device.show(frame_now("camera0", Encoded(damage)))
    assert hub.absence.code == "image_unreadable"
    device.show(grey_frame(20))
    header, _ = parts(box.get(timeout=PATIENCE_S))
    assert header["skipped_count"] >= 1
    assert viewer.waits is False


def test_damage_that_only_a_finer_decoding_finds_is_skipped_too(
    device: LiveDevice, hub: LiveHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> bytes:
        raise MemoryError

    viewer, box = looking(hub)
    device.show_from(lambda: grey_frame(10))
    with monkeypatch.context() as patched:
        patched.setattr(simplejpeg, "encode_jpeg", fail)
        while hub.absence.code is None:
            device.show(grey_frame(20))
    device.show(grey_frame(30))
    header, _ = parts(box.get(timeout=PATIENCE_S))
    assert header["skipped_count"] >= 1
    assert viewer.waits is False


def test_no_more_than_the_allowed_number_of_viewers_look(device: LiveDevice) -> None:
    hub = LiveHub(device, viewers_max=2)
    viewers = [hub.join(lambda _: None) for _ in range(2)]
    with pytest.raises(TooManyViewers):
        hub.join(lambda _: None)
    viewers[0].leave()
    hub.join(lambda _: None)
    hub.stop()


class ReadingOf:
    """The parts of a reading that the hub uses."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.id = uuid7()


def smear(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.asarray(np.kron(rng.integers(40, 220, (12, 16, 3)), np.ones((20, 20, 1))), np.uint8)


def noisy(seed: int, noise: int) -> Frame:
    rng = np.random.default_rng(noise)
    return jpeg_frame(np.clip(smear(seed) + rng.normal(0, 3, (240, 320, 3)), 0, 255).astype(np.uint8))


def test_the_frame_of_a_reading_is_not_decoded_again_if_it_was_shown(
    device: LiveDevice, hub: LiveHub, counts: Counts
) -> None:
    viewer, box = looking(hub)
    device.show_from(lambda: noisy(1, 0))
    read = ReadingOf(noisy(1, 1))
    device.show(read.frame)
    box.get(timeout=PATIENCE_S)
    hub.update(read, read)  # type: ignore[arg-type]  # parts of one
    viewer.ask(View())
    device.show(noisy(1, 2))
    assert parts(box.get(timeout=PATIENCE_S))[0]["reading"] == str(read.id)
    assert counts.decoded == 2


def test_the_header_names_the_latest_reading_while_its_field_is_shown(device: LiveDevice, hub: LiveHub) -> None:
    viewer, box = looking(hub)
    device.show_from(lambda: noisy(1, 0))

    def shown(frame: Frame) -> object:
        device.show(frame)
        reading = parts(box.get(timeout=PATIENCE_S))[0]["reading"]
        viewer.ask(View())
        return reading

    assert shown(noisy(1, 1)) is None
    read = ReadingOf(noisy(1, 2))
    hub.update(read, read)  # type: ignore[arg-type]  # parts of one
    assert shown(read.frame) == str(read.id)
    assert shown(noisy(1, 3)) == str(read.id)
    assert shown(noisy(2, 4)) is None
    unreadable = ReadingOf(frame_now("camera0", Encoded(b"damaged")))
    hub.update(unreadable, unreadable)  # type: ignore[arg-type]  # parts of one
    assert shown(noisy(1, 5)) is None
