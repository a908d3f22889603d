from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import TypeAdapter, ValidationError

from edge_agent.cameras import CameraSettings, make_camera
from edge_agent.cameras.settings import SmearLabel
from edge_agent.cameras.smear import SMEAR_LABELS
from edge_agent.contracts.topics import topic_segment

ADAPTER: TypeAdapter[CameraSettings] = TypeAdapter(CameraSettings)
MINIMAL: dict[str, dict[str, Any]] = {
    "synthetic": {},
    "folder": {"path": "slides"},
    "video": {"path": "slide.mp4"},
    "stream": {"url": "rtsp://user:secret@scope.example/live"},
    "v4l2": {},
    "picamera": {},
}


@pytest.mark.parametrize("kind", MINIMAL)
def test_every_kind_makes_a_camera_that_touches_nothing_yet(kind: str) -> None:
    settings = ADAPTER.validate_python({"kind": kind, "id": "bench-2"} | MINIMAL[kind])
    camera = make_camera(settings)
    assert camera.id == topic_segment("bench-2")
    assert camera.live is (kind not in {"folder", "video"})
    camera.close()


@pytest.mark.parametrize("kind", MINIMAL)
def test_every_field_is_described(kind: str) -> None:
    settings = ADAPTER.validate_python({"kind": kind} | MINIMAL[kind])
    assert all(field.description for field in type(settings).model_fields.values())


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "webcam"},
        {"kind": "synthetic", "id": "Camera 0"},
        {"kind": "synthetic", "labels": ()},
        {"kind": "synthetic", "labels": ("mature-b",)},
        {"kind": "synthetic", "colour": "red"},
        {"kind": "folder"},
        {"kind": "stream", "url": "file:///etc/passwd"},
        {"kind": "stream", "url": "concat:a|b"},
        {"kind": "stream", "url": "rtsp://"},
        {"kind": "folder", "path": "rtsp://user:secret@scope.example/live"},
        {"kind": "video", "path": "http://scope.example/slide.mp4"},
        {"kind": "video", "path": "slide\0.mp4"},
        {"kind": "v4l2", "device": "video0"},
        {"kind": "picamera", "exposure_us": 5000},
        {"kind": "picamera", "analogue_gain_ratio": 2.0},
    ],
)
def test_what_cannot_be_meant_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ADAPTER.validate_python(wrong)


def test_the_labels_of_the_settings_are_those_that_can_be_drawn() -> None:
    assert get_args(SmearLabel) == SMEAR_LABELS


def test_paths_stay_as_they_were_written() -> None:
    settings = ADAPTER.validate_python({"kind": "folder", "path": "slides"})
    assert getattr(settings, "path", None) == Path("slides")
