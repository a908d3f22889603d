"""The part of a frame, and its size and colours, as viewers asked for them, with its meters."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.cameras import ColourOrder, Encoded, Frame, Pixels
from edge_agent.cameras.frame import frame_now
from edge_agent.errors import ImageError
from edge_agent.web.live.frame import LiveFrame, frame_thumbnail
from edge_agent.web.live.messages import MAX_WIDTH_PX, View
from tests.unit.web.live.fakes import Array, jpeg_frame, jpeg_of, parts

RED, GREEN, BLUE, GREY = (200, 30, 30), (30, 200, 30), (30, 30, 200), (128, 128, 128)


def quarters(height: int = 480, width: int = 640) -> Array:
    """Red and green above blue and grey."""
    array = np.empty((height, width, 3), np.uint8)
    array[: height // 2, : width // 2], array[: height // 2, width // 2 :] = RED, GREEN
    array[height // 2 :, : width // 2], array[height // 2 :, width // 2 :] = BLUE, GREY
    return array


def rgb(array: Array) -> Frame:
    return frame_now("camera0", Pixels(array, ColourOrder.RGB))


def bgr(array: Array) -> Frame:
    return frame_now("camera0", Pixels(np.ascontiguousarray(array[..., ::-1]), ColourOrder.BGR))


def shown(frame: Frame, view: View, *, wanted_before: View | None = None) -> tuple[dict[str, Any], Array]:
    return parts(LiveFrame(frame, 7, [wanted_before or view]).message(view, reading=None, skipped_count=0))


KINDS = pytest.mark.parametrize("make", [rgb, bgr, jpeg_frame])


@KINDS
@pytest.mark.parametrize(
    ("region", "colour"),
    [((0, 0, 0.5, 0.5), RED), ((0.5, 0, 0.5, 0.5), GREEN), ((0, 0.5, 0.5, 0.5), BLUE), ((0.6, 0.6, 0.3, 0.3), GREY)],
)
@pytest.mark.parametrize("wanted_before", [None, View(max_width_px=40)])
def test_the_part_asked_for_is_shown_in_its_colours(
    make: object, region: tuple[float, float, float, float], colour: tuple[int, int, int], wanted_before: View | None
) -> None:
    assert callable(make)
    header, picture = shown(make(quarters()), View(region, 160), wanted_before=wanted_before)
    # The border of a half may blend with its neighbour.
    inside = picture[4:-4, 4:-4].reshape(-1, 3)
    assert np.abs(inside.astype(int) - colour).max() < 12
    assert header["region"] == list(region)
    assert picture.shape[1] == 160


@KINDS
@pytest.mark.parametrize("wanted_before", [None, View(max_width_px=40)])
def test_a_region_keeps_the_camera_s_own_pixels(make: object, wanted_before: View | None) -> None:
    assert callable(make)
    stripes = np.full((960, 1280, 3), 128, np.uint8)
    stripes[:, ::2] = 160
    # A quarter of the width at its native size: nothing was averaged.
    _, near = shown(make(stripes), View((0.25, 0.25, 0.25, 0.25), 320), wanted_before=wanted_before)
    _, far = shown(make(stripes), View(max_width_px=320))
    assert near.shape == far.shape == (240, 320, 3)
    assert near[..., 1].std() > 12
    assert far[..., 1].std() < 3


@pytest.mark.parametrize(
    ("size", "view", "expected"),
    [
        ((960, 1280), View(), (960, 1280)),
        ((480, 640), View(), (480, 640)),
        ((1200, 1600), View(), (960, 1280)),
        ((1600, 1200), View(), (1280, 960)),
        ((480, 640), View((0, 0, 1e-9, 1e-9)), (8, 8)),
        ((480, 640), View((1, 1, 1e-9, 1e-9)), (8, 8)),
        ((1, 1), View(), (1, 1)),
        ((2, 9000), View(max_width_px=100), (1, 100)),
    ],
)
def test_pictures_are_never_enlarged_and_bounded_both_ways(
    size: tuple[int, int], view: View, expected: tuple[int, int]
) -> None:
    header, picture = shown(rgb(np.full((*size, 3), 90, np.uint8)), view)
    assert picture.shape[:2] == expected
    assert (header["height_px"], header["width_px"]) == size


_SHARES = st.floats(0, 1, exclude_max=True)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 70), st.integers(1, 70), _SHARES, _SHARES, st.floats(1e-9, 1), st.floats(1e-9, 1), st.booleans())
def test_every_view_of_every_frame_is_a_picture(
    height: int, width: int, x: float, y: float, across: float, down: float, compressed: bool
) -> None:
    array = np.full((height, width, 3), 90, np.uint8)
    view = View((x, y, min(across, 1 - x), min(down, 1 - y)), 64)
    header, picture = shown(jpeg_frame(array) if compressed else rgb(array), view, wanted_before=View(max_width_px=16))
    left, top, wide, high = header["region"]
    assert 0 <= left <= left + wide <= 1 + 1e-9
    assert 0 <= top <= top + high <= 1 + 1e-9
    assert max(picture.shape[1], picture.shape[0] / MAX_WIDTH_PX) <= 64


def test_the_camera_s_own_jpeg_is_passed_on_where_nothing_has_to_change() -> None:
    frame = jpeg_frame(quarters())
    assert isinstance(frame.image, Encoded)
    whole = LiveFrame(frame, 1, [View()])
    assert jpeg_of(whole.message(View(), reading=None, skipped_count=0)) == frame.image.data
    assert jpeg_of(whole.message(View(max_width_px=320), reading=None, skipped_count=0)) != frame.image.data


@pytest.mark.parametrize("kind", ["without Huffman tables", "with EXIF", "PNG"])
def test_a_file_that_a_browser_might_show_otherwise_is_compressed_anew(kind: str) -> None:
    frame = jpeg_frame(quarters())
    assert isinstance(frame.image, Encoded)
    data = frame.image.data
    match kind:
        case "without Huffman tables":
            # As in motion JPEG: the standard tables are understood.
            data = without_segments(data, 0xC4)
        case "with EXIF":
            # Orientation 6: a browser would turn it.
            tiff = b"MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00\x00\x00\x00\x00"
            exif = b"Exif\x00\x00" + tiff
            data = data[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + data[2:]
        case _:
            data = cv2.imencode(".png", quarters()[..., ::-1])[1].tobytes()
    message = LiveFrame(frame_now("camera0", Encoded(data)), 1, [View()]).message(View(), reading=None, skipped_count=0)
    assert jpeg_of(message) != data
    assert b"Exif" not in message
    assert np.abs(parts(message)[1].astype(int) - quarters()).mean() < 2


def without_segments(jpeg: bytes, marker: int) -> bytes:
    kept, position = [jpeg[:2]], 2
    while jpeg[position + 1] != 0xDA:
        end = position + 2 + int.from_bytes(jpeg[position + 2 : position + 4], "big")
        if jpeg[position + 1] != marker:
            kept.append(jpeg[position:end])
        position = end
    return b"".join([*kept, jpeg[position:]])


@KINDS
def test_the_meters_are_those_of_the_whole_frame_whatever_is_looked_at(make: object) -> None:
    assert callable(make)
    array = np.full((480, 640, 3), 128, np.uint8)
    array[:120], array[360:] = 255, 0
    frame = make(array)
    headers = [shown(frame, view)[0] for view in (View(), View((0, 0.4, 0.2, 0.2)), View(max_width_px=16))]
    for header in headers:
        assert header["brightness_pct"] == pytest.approx(50, abs=1)
        assert header["clipped_bright_pct"] == pytest.approx(25, abs=1)
        assert header["clipped_dark_pct"] == pytest.approx(25, abs=1)
    assert len({header["focus_score"] for header in headers}) == 1


@KINDS
def test_a_thumbnail_is_the_same_however_fine_the_frame_was_decoded(make: object) -> None:
    assert callable(make)
    frame = make(np.random.default_rng(0).integers(0, 255, (960, 1280, 3), np.uint8))
    thumbnails = [LiveFrame(frame, 1, [view]).thumbnail for view in (View(), View(max_width_px=16))]
    thumbnails.append(frame_thumbnail(frame))
    assert np.ptp(np.stack(thumbnails).astype(int), axis=0).max() <= 3


def test_a_frame_without_a_picture_says_why() -> None:
    with pytest.raises(ImageError, match="no picture here"):
        LiveFrame(frame_now("camera0", ImageError("no picture here")), 1, [])
