"""The pictures of a reading."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from uuid_utils.compat import uuid7

from edge_agent.analysis.analyzer import Analyzer
from edge_agent.analysis.results import ResultMaker
from edge_agent.cameras.frame import ColourOrder, Encoded, Pixels, frame_now
from edge_agent.cameras.smear import draw_smear
from edge_agent.inference import Classifier, load_bundle
from edge_agent.vision.decode import read_header
from edge_agent.vision.settings import QualityLimits
from edge_agent.web.pictures import LONG_SIDE_PX, ReadingPicture, make_picture

Array = NDArray[np.uint8]


@pytest.fixture(scope="module")
def analyzer() -> Analyzer:
    return Analyzer(Classifier(load_bundle("accurate")), QualityLimits())


def picture_of(analyzer: Analyzer, image: Pixels | Encoded) -> ReadingPicture:
    reading = analyzer.analyse(frame_now("camera0", image))
    found = make_picture(ResultMaker("clinic-a", "scope-1", uuid7()).make(reading), reading)
    assert found is not None
    return found


def decoded(data: bytes) -> Array:
    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert found is not None
    return np.asarray(found, np.uint8)


@pytest.fixture(scope="module")
def wide() -> Array:
    """A frame of 16:9 with a red mark in the middle of its left quarter, which a field of 4:3 does not show whole."""
    rgb, _ = draw_smear(np.random.default_rng(5), "pre-b", size_px=(720, 1280))
    rgb[300:420, 300:420] = 255, 0, 0
    return rgb


def red_box(rgb: Array) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of the red area, as shares of the picture."""
    rows, columns = np.nonzero((rgb[..., 0] > 200) & (rgb[..., 1] < 80) & (rgb[..., 2] < 80))
    height, width = rgb.shape[:2]
    return columns.min() / width, rows.min() / height, (columns.max() + 1) / width, (rows.max() + 1) / height


@pytest.mark.parametrize("kind", ["pixels", "bgr", "jpeg"])
def test_the_picture_shows_the_part_of_the_frame_that_was_read(analyzer: Analyzer, wide: Array, kind: str) -> None:
    bgr = cv2.cvtColor(wide, cv2.COLOR_RGB2BGR)
    image: Pixels | Encoded
    match kind:
        case "pixels":
            image = Pixels(wide, ColourOrder.RGB)
        case "bgr":
            image = Pixels(np.asarray(bgr, np.uint8), ColourOrder.BGR)
        case _:
            image = Encoded(cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes())
    found = picture_of(analyzer, image)
    left, top, width, height = found.region
    assert (top, height) == (0, 1)
    assert width == pytest.approx(720 * 4 / 3 / 1280)
    assert left == pytest.approx((1 - width) / 2)
    shown = decoded(found.jpeg)
    assert shown.shape[1] == LONG_SIDE_PX
    assert shown.shape == (found.height_px, found.width_px, 3)
    want = ((300 / 1280 - left) / width, 300 / 720, (420 / 1280 - left) / width, 420 / 720)
    assert red_box(shown) == pytest.approx(want, abs=0.02)
    assert red_box(decoded(found.thumbnail)) == pytest.approx(want, abs=0.04)


def test_a_frame_that_is_higher_than_wide_is_shown_as_it_was_read(analyzer: Analyzer, wide: Array) -> None:
    upright = np.ascontiguousarray(np.rot90(wide))
    turned = picture_of(analyzer, Pixels(upright, ColourOrder.RGB))
    assert turned.turned
    assert turned.width_px > turned.height_px
    reference = decoded(picture_of(analyzer, Pixels(wide, ColourOrder.RGB)).jpeg).astype(int)
    assert np.abs(decoded(turned.jpeg).astype(int) - reference).mean() < 3


def test_the_layers_lie_on_the_nuclei_of_the_picture(analyzer: Analyzer, wide: Array) -> None:
    found = picture_of(analyzer, Pixels(wide, ColourOrder.RGB))
    layer = cv2.imdecode(np.frombuffer(found.nuclei_png, np.uint8), cv2.IMREAD_UNCHANGED)
    assert layer is not None
    assert layer.shape == (found.height_px, found.width_px, 4)
    contours, _ = cv2.findContours(np.asarray(layer[..., 3]), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    inside = cv2.drawContours(np.zeros(layer.shape[:2], np.uint8), contours, -1, (1,), cv2.FILLED).astype(bool)
    green = decoded(found.jpeg)[..., 1]
    assert inside.any()
    assert green[inside].mean() < green[~inside].mean() - 20, "nuclei absorb green"


def test_an_image_of_the_models_size_is_shown_in_its_true_proportions(analyzer: Analyzer) -> None:
    smear, _ = draw_smear(np.random.default_rng(3), "pre-b")
    found = picture_of(analyzer, Pixels(smear, ColourOrder.RGB))
    assert (found.width_px, found.height_px) == (640, 480)
    assert found.region == (0, 0, 1, 1)


def test_only_a_label_is_explained() -> None:
    demo = Analyzer(Classifier(load_bundle("demo")), QualityLimits())
    smear, _ = draw_smear(np.random.default_rng(3), "pre-b")
    found = picture_of(demo, Pixels(smear, ColourOrder.RGB))
    evidence = found.evidence_png()
    assert found.explained
    assert evidence is not None
    assert cv2.imdecode(np.frombuffer(evidence, np.uint8), cv2.IMREAD_UNCHANGED) is not None
    black = picture_of(demo, Pixels(np.zeros((480, 640, 3), np.uint8), ColourOrder.RGB))
    assert not black.explained
    assert black.evidence_png() is None


def test_a_failed_reading_has_no_picture(analyzer: Analyzer) -> None:
    reading = analyzer.analyse(frame_now("camera0", Encoded(b"broken")))
    assert make_picture(ResultMaker("clinic-a", "scope-1", uuid7()).make(reading), reading) is None


def test_a_frame_too_large_to_be_decoded_once_more_is_shown_from_the_models_input(
    analyzer: Analyzer, wide: Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded = Encoded(cv2.imencode(".jpg", cv2.cvtColor(wide, cv2.COLOR_RGB2BGR))[1].tobytes())
    reading = analyzer.analyse(frame_now("camera0", encoded))
    assert read_header.__kwdefaults__ is not None
    monkeypatch.setitem(read_header.__kwdefaults__, "max_pixels", 1000)
    found = make_picture(ResultMaker("clinic-a", "scope-1", uuid7()).make(reading), reading)
    assert found is not None
    assert (found.width_px, found.height_px) == (640, 480)
    assert found.region[2] == pytest.approx(0.75)
    assert decoded(found.jpeg).shape == (480, 640, 3)
