from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from edge_agent.cameras import supervisor as supervisor_module
from edge_agent.cameras.camera import Camera
from edge_agent.cameras.frame import Encoded, Frame, Pixels, frame_now
from edge_agent.cameras.settings import CapturePolicy
from edge_agent.cameras.supervisor import CameraPhase, CameraState, CameraSupervisor
from edge_agent.errors import CameraAbsent, CameraLost, CameraStalled, CameraTimeout, ImageError
from edge_agent.testing.cameras import CameraShelf, Hang, ScriptedCamera, plain_frame

POLICY: dict[str, Any] = {
    "deadline_s": 20,
    "reopen_initial_s": 0.001,
    "reopen_max_s": 0.004,
    "identical_frames_max": 3,
}


class RecordedStop(threading.Event):
    """A stop whose waits are recorded and take no time."""

    def __init__(self) -> None:
        super().__init__()
        self.waits_s: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits_s.append(timeout or 0)
        return self.is_set()


class Watched:
    """A supervisor on scripted cameras, and all of its reports."""

    def __init__(self, make: Callable[[], Camera], **policy: Any) -> None:
        self.states: list[CameraState] = []
        self.stop = RecordedStop()
        self.supervisor = CameraSupervisor(make, CapturePolicy(**POLICY | policy), self.stop, self.states.append)
        self.frames: Iterator[Frame] = self.supervisor.frames()

    def take(self, count: int) -> list[str | None]:
        return [next(self.frames).source for _ in range(count)]

    def rest(self) -> list[str | None]:
        return [frame.source for frame in self.frames]

    @property
    def phases(self) -> list[CameraPhase]:
        return [state.phase for state in self.states]

    @property
    def errors(self) -> list[type | None]:
        return [type(state.error) for state in self.states if state.error]


class InlineWorker:
    """Reads only when asked, so that the frames of a live camera are certain."""

    live = True
    superseded_count = 0

    def __init__(self, make: Callable[[], Camera]) -> None:
        self._camera = make()

    def start(self) -> None:
        self._camera.open()

    def opened(self, timeout_s: float) -> bool:
        return True

    def ready(self, timeout_s: float) -> bool:
        return True

    def take(self) -> Frame:
        return self._camera.read()

    def end(self, grace_s: float) -> list[threading.Thread]:
        self._camera.close()
        return []


@pytest.fixture
def inline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor_module, "CameraWorker", InlineWorker)


@pytest.fixture
def hangs() -> Iterator[list[Hang]]:
    made = [Hang() for _ in range(8)]
    yield made
    for hang in made:
        hang.release.set()


def levels(*numbers: int) -> list[Frame]:
    return [plain_frame(number) for number in numbers]


def sources(*numbers: int) -> list[str]:
    return [f"level={number}" for number in numbers]


def folder(*steps: Frame | BaseException | Hang) -> ScriptedCamera:
    """A camera that is not live, so that every frame counts and the order is certain."""
    return ScriptedCamera(steps, live=False)


def test_a_file_gives_every_frame_in_order_and_ends() -> None:
    camera = folder(*levels(*range(50)))
    watched = Watched(CameraShelf([camera]))
    assert watched.rest() == sources(*range(50))
    assert watched.phases == [CameraPhase.OPENING, CameraPhase.STREAMING]
    assert camera.closed.is_set()
    assert watched.supervisor.counters.frames_count == 50


def test_identical_pictures_of_files_are_all_handed_on() -> None:
    watched = Watched(CameraShelf([folder(*levels(*[7] * 20))]))
    assert watched.rest() == sources(*[7] * 20)
    assert watched.supervisor.counters.identical_count == 0


def test_a_file_is_read_one_frame_ahead_at_most() -> None:
    third_read = threading.Event()

    class Folder(ScriptedCamera):
        def read(self) -> Frame:
            if self.reads_count == 2:
                third_read.set()
            return super().read()

    camera = Folder(levels(*range(9)), live=False)
    watched = Watched(CameraShelf([camera]))
    watched.take(1)
    worker = watched.supervisor._worker
    assert worker is not None
    assert worker.ready(20)
    # The second frame waits: until somebody takes it, the third is not read.
    assert not third_read.wait(0.1)
    watched.take(1)
    assert third_read.wait(20)
    watched.frames.close()  # type: ignore[attr-defined]


def test_a_vanished_camera_is_reopened() -> None:
    shelf = CameraShelf([folder(*levels(1), CameraLost("unplugged")), folder(*levels(2))])
    watched = Watched(shelf)
    assert watched.rest() == sources(1, 2)
    assert watched.phases == [
        CameraPhase.OPENING,
        CameraPhase.STREAMING,
        CameraPhase.LOST,
        CameraPhase.OPENING,
        CameraPhase.STREAMING,
    ]
    assert watched.errors == [CameraLost]
    assert all(isinstance(camera, ScriptedCamera) and camera.closed.is_set() for camera in shelf.made)
    assert watched.supervisor.counters.reopened_count == 1


def test_a_camera_that_does_not_open_is_tried_again() -> None:
    absent = ScriptedCamera(on_open=CameraAbsent("not there"))
    watched = Watched(CameraShelf([absent, folder(*levels(1))]))
    assert watched.rest() == sources(1)
    assert watched.errors == [CameraAbsent]
    assert absent.closed.is_set()


def test_the_wait_grows_to_its_bound_and_starts_anew_after_a_good_frame() -> None:
    def lost() -> ScriptedCamera:
        return folder(CameraLost("gone"))

    cameras = [lost(), lost(), lost(), lost(), folder(*levels(1), CameraLost("gone")), folder()]
    watched = Watched(CameraShelf(cameras))
    assert watched.rest() == sources(1)
    assert watched.stop.waits_s == [0.001, 0.002, 0.004, 0.004, 0.001]


def test_a_camera_that_was_plugged_in_is_looked_for_at_once() -> None:
    shelf = CameraShelf([ScriptedCamera(on_open=CameraAbsent("not there")), folder(*levels(1))])

    def wake_when_lost(state: CameraState) -> None:
        if state.phase is CameraPhase.LOST:
            threading.Timer(0.05, patient.wake).start()

    policy = CapturePolicy(**POLICY | {"reopen_initial_s": 600, "reopen_max_s": 3600})
    patient = CameraSupervisor(shelf, policy, threading.Event(), wake_when_lost)
    assert [frame.source for frame in patient.frames()] == sources(1)


def test_one_that_was_plugged_in_and_is_not_ready_yet_is_tried_again_soon() -> None:
    absent = [ScriptedCamera(on_open=CameraAbsent("not there")) for _ in range(5)]
    stop = RecordedStop()
    lost: list[CameraState] = []

    def wake_at_the_fourth_loss(state: CameraState) -> None:
        if state.phase is CameraPhase.LOST:
            lost.append(state)
            if len(lost) == 4:
                patient.wake()

    patient = CameraSupervisor(
        CameraShelf([*absent, folder(*levels(1))]), CapturePolicy(**POLICY), stop, wake_at_the_fourth_loss
    )
    assert [frame.source for frame in patient.frames()] == sources(1)
    assert stop.waits_s == [0.001, 0.002, 0.004, 0.001]


def test_stop_ends_the_wait_for_the_next_try() -> None:
    stop = threading.Event()
    states: list[CameraState] = []

    def stop_when_lost(state: CameraState) -> None:
        states.append(state)
        if state.phase is CameraPhase.LOST:
            stop.set()

    policy = CapturePolicy(**POLICY | {"reopen_initial_s": 600, "reopen_max_s": 3600})
    patient = CameraSupervisor(CameraShelf([]), policy, stop, stop_when_lost)
    assert list(patient.frames()) == []
    assert [state.phase for state in states] == [CameraPhase.OPENING, CameraPhase.LOST]


def test_stop_ends_the_wait_for_a_frame_and_closes_the_camera() -> None:
    silent = ScriptedCamera()
    watched = Watched(CameraShelf([silent]), deadline_s=600)
    threading.Timer(0.05, watched.stop.set).start()
    assert watched.rest() == []
    assert silent.closed.wait(20)


def test_leaving_the_iterator_closes_the_camera() -> None:
    camera = ScriptedCamera(levels(1))
    watched = Watched(CameraShelf([camera]))
    watched.take(1)
    watched.frames.close()  # type: ignore[attr-defined]
    assert camera.closed.is_set()
    assert watched.supervisor._abandoned == []


@pytest.mark.parametrize("where", ["open", "read", "make"])
def test_a_camera_that_hangs_is_left_behind_and_a_new_one_opened(where: str, hangs: list[Hang]) -> None:
    hang = hangs[0]
    hanging = ScriptedCamera([hang] if where == "read" else [], on_open=hang if where == "open" else None)
    shelf = CameraShelf([hanging, folder(*levels(1))])

    def make() -> Camera:
        if where == "make" and not hang.entered.is_set():
            hang.run()
        return shelf()

    watched = Watched(make, deadline_s=0.05)
    if where == "make":
        shelf = CameraShelf([folder(*levels(1))])
    assert watched.rest() == sources(1)
    assert watched.errors == [CameraTimeout]
    assert hang.entered.is_set()


def test_a_frame_that_an_abandoned_camera_gives_later_is_discarded(hangs: list[Hang]) -> None:
    late = ScriptedCamera([hangs[0], *levels(99)])
    watched = Watched(CameraShelf([late, folder(*levels(1, 2))]), deadline_s=0.05)
    first = watched.take(1)
    (abandoned,) = watched.supervisor._abandoned
    hangs[0].release.set()
    abandoned.join(20)
    assert not abandoned.is_alive()
    assert [*first, *watched.rest()] == sources(1, 2)
    assert late.reads_count == 1


def test_too_many_hanging_cameras_ask_for_a_restart(hangs: list[Hang]) -> None:
    cameras = [ScriptedCamera([hang]) for hang in hangs]
    watched = Watched(CameraShelf(cameras), deadline_s=0.05)
    with pytest.raises(CameraTimeout, match="must be restarted"):
        watched.rest()
    assert [hang.entered.is_set() for hang in hangs] == [True] * 4 + [False] * 4


def test_hanging_cameras_that_came_free_do_not_count(hangs: list[Hang]) -> None:
    cameras = [ScriptedCamera([hang]) for hang in hangs]

    def free(state: CameraState) -> None:
        if state.phase is CameraPhase.LOST:
            for hang in hangs:
                if hang.entered.is_set():
                    hang.release.set()
            for thread in watched.supervisor._abandoned:
                thread.join(20)

    watched = Watched(CameraShelf([*cameras, folder(*levels(1))]), deadline_s=0.05)
    watched.supervisor._on_state = free
    assert watched.rest() == sources(1)


def test_a_camera_whose_close_hangs_does_not_hang_the_supervisor(hangs: list[Hang]) -> None:
    class Stuck(ScriptedCamera):
        def close(self) -> None:
            hangs[0].run()

    watched = Watched(CameraShelf([Stuck([hangs[1]]), folder(*levels(1))]), deadline_s=0.05)
    assert watched.rest() == sources(1)


def test_a_live_frame_like_the_one_before_is_dropped_and_counted(inline: None) -> None:
    camera = ScriptedCamera(levels(1, 1, 2, 2, 2, 3))
    watched = Watched(CameraShelf([camera]))
    assert watched.take(3) == sources(1, 2, 3)
    assert watched.supervisor.counters.identical_count == 3
    watched.frames.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", [Encoded, Pixels])
def test_a_camera_that_repeats_itself_is_stalled_and_reopened(inline: None, kind: type) -> None:
    def frame(level: int) -> Frame:
        data = Encoded(bytes([level]) * 9)
        return frame_now("camera0", data, source=f"level={level}") if kind is Encoded else plain_frame(level)

    stalled = ScriptedCamera([frame(1) for _ in range(10)])
    watched = Watched(CameraShelf([stalled, ScriptedCamera([frame(2)])]))
    assert watched.take(2) == sources(1, 2)
    assert watched.errors == [CameraStalled]
    assert watched.supervisor.counters.identical_count == 3
    watched.frames.close()  # type: ignore[attr-defined]


def test_a_camera_that_comes_back_with_its_last_picture_has_not_come_back(inline: None) -> None:
    cameras = [ScriptedCamera(levels(*[1] * 10)) for _ in range(3)]
    watched = Watched(CameraShelf([*cameras, ScriptedCamera(levels(2))]))
    assert watched.take(2) == sources(1, 2)
    assert watched.errors == [CameraStalled] * 3
    assert watched.stop.waits_s == [0.001, 0.002, 0.004]
    watched.frames.close()  # type: ignore[attr-defined]


def test_of_a_live_camera_the_newest_frame_wins_and_the_others_are_counted(hangs: list[Hang]) -> None:
    all_given = threading.Event()

    class Fast(ScriptedCamera):
        def read(self) -> Frame:
            if self.reads_count == 10:
                all_given.set()
            return super().read()

    watched = Watched(CameraShelf([Fast([*levels(0), hangs[0], *levels(*range(1, 10))])]))
    assert watched.take(1) == sources(0)
    hangs[0].release.set()
    assert all_given.wait(20)
    assert watched.take(1) == sources(9)
    counters = watched.supervisor.counters
    assert (counters.frames_count, counters.superseded_count) == (2, 8)
    watched.frames.close()  # type: ignore[attr-defined]
    assert watched.supervisor.counters.superseded_count == 8


def test_a_live_frame_that_came_before_the_failure_is_handed_on() -> None:
    watched = Watched(CameraShelf([ScriptedCamera([*levels(1), CameraLost("gone")]), folder()]))
    assert watched.rest() == sources(1)


def test_a_frame_with_an_error_in_the_pictures_place_passes(inline: None) -> None:
    broken = frame_now("camera0", ImageError("cut off"), source="broken")
    watched = Watched(CameraShelf([ScriptedCamera([broken, broken, *levels(1)])]))
    assert watched.take(3) == ["broken", "broken", "level=1"]
    watched.frames.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("where", ["make", "open", "read"])
def test_a_bug_in_a_camera_is_raised_and_not_hidden_by_reopening(where: str) -> None:
    bug = ZeroDivisionError("a bug")
    camera = ScriptedCamera([bug] if where == "read" else [], on_open=bug if where == "open" else None)

    def make() -> Camera:
        if where == "make":
            raise bug
        return camera

    watched = Watched(make)
    with pytest.raises(ZeroDivisionError):
        watched.rest()
    assert watched.phases == [CameraPhase.OPENING]


def test_frames_differ_by_any_pixel(inline: None) -> None:
    first, second = levels(1, 1)
    assert isinstance(second.image, Pixels)
    changed = second.image.array.copy()
    changed[3, 3, 2] += 1
    second = frame_now("camera0", Pixels(changed, second.image.order), source="changed")
    watched = Watched(CameraShelf([ScriptedCamera([first, second])]))
    assert watched.take(2) == ["level=1", "changed"]
    watched.frames.close()  # type: ignore[attr-defined]


def test_a_view_that_is_not_contiguous_is_compared_too(inline: None) -> None:
    rng = np.random.default_rng(0)
    wide = rng.integers(0, 255, (4, 8, 3), np.uint8)
    view = Pixels(wide[:, ::2], plain_frame(0).image.order)  # type: ignore[union-attr]
    frames = [frame_now("camera0", view, source="view") for _ in range(2)]
    watched = Watched(CameraShelf([ScriptedCamera([*frames, *levels(1)])]))
    assert watched.take(2) == ["view", "level=1"]
    watched.frames.close()  # type: ignore[attr-defined]
