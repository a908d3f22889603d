"""What the analyzer extracts from a frame, by the geometry in the bundle's manifest."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge_agent.analysis.analyzer import Analyzer
from edge_agent.analysis.extraction import ExtractedField
from edge_agent.cameras.frame import ColourOrder, Encoded, Frame, Pixels, frame_now
from edge_agent.cameras.smear import draw_smear
from edge_agent.contracts import Nuclei, Reason, ScaleSource
from edge_agent.contracts.manifest import TrainingField
from edge_agent.inference import Classifier, load_bundle
from edge_agent.vision.field import Geometry, cut_field
from edge_agent.vision.settings import QualityLimits

Array = NDArray[np.uint8]

STRETCHED = TrainingField(aspect_width=4, aspect_height=3, fit="stretch", chroma="half")
CROPPED = TrainingField(aspect_width=4, aspect_height=3, fit="crop")
LIMITS = QualityLimits(min_focus_score=0)


def analyzer(field: TrainingField | None, *, um_per_pixel: float | None = None) -> Analyzer:
    """The analyzer of the demonstration, as if its training images had been made like ``field``."""
    bundle = load_bundle("demo")
    changed = bundle.manifest.model_copy(update={"field": field})
    return Analyzer(Classifier(replace(bundle, manifest=changed)), LIMITS, um_per_pixel=um_per_pixel)


def rgb(array: Array) -> Frame:
    return frame_now("camera0", Pixels(np.ascontiguousarray(array), ColourOrder.RGB))


def extracted(judge: Analyzer, frame: Frame) -> ExtractedField:
    found = judge.extract(frame)
    assert isinstance(found, ExtractedField)
    return found


def nuclei(judge: Analyzer, frame: Frame) -> Nuclei:
    found = judge.analyse(frame).nuclei
    assert found is not None
    return found


@pytest.fixture(scope="module")
def smear() -> Array:
    """A drawn field whose nuclei are apart, so that they are the same at every size."""
    return draw_smear(np.random.default_rng(1), "early-pre-b", size_px=(224, 224))[0]


@pytest.fixture(scope="module")
def wide(smear: Array) -> Array:
    """A camera's picture of 640 x 480 px; the drawn field is its squeezed version."""
    return np.asarray(cv2.resize(smear, (640, 480), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


@pytest.mark.parametrize("field", [None, CROPPED])
def test_a_bundle_that_was_trained_on_centre_squares_sees_them(wide: Array, field: TrainingField | None) -> None:
    assert (extracted(analyzer(field), rgb(wide)).rgb == cut_field(wide, Geometry(224))).all()


def test_a_bundle_that_was_trained_on_stretched_pictures_sees_the_whole_of_one(wide: Array, smear: Array) -> None:
    found = extracted(analyzer(STRETCHED), rgb(wide)).rgb
    assert (found == cut_field(wide, Geometry(224, 4, 3, half_chroma=True))).all()
    assert np.abs(found.astype(int) - smear).mean() < 6


@pytest.mark.parametrize("name", ["accurate", "fast"])
def test_the_shipped_bundles_name_the_geometry_of_their_data(name: str) -> None:
    assert load_bundle(name).manifest.field == STRETCHED


def test_the_demonstration_is_of_squares() -> None:
    assert load_bundle("demo").manifest.field is None


@pytest.mark.parametrize("order", list(ColourOrder))
def test_field_and_view_are_rgb_however_the_frame_arrives(wide: Array, order: ColourOrder) -> None:
    array = wide if order is ColourOrder.RGB else np.ascontiguousarray(wide[..., ::-1])
    found = extracted(analyzer(STRETCHED), frame_now("camera0", Pixels(array, order)))
    expected = extracted(analyzer(STRETCHED), rgb(wide))
    assert (found.rgb == expected.rgb).all()
    assert (found.view.rgb == expected.view.rgb).all()
    assert found.view.rgb.shape == (240, 320, 3)


def test_a_jpeg_gives_the_same_window_as_its_pixels(wide: Array) -> None:
    jpeg = frame_now("camera0", Encoded(cv2.imencode(".jpg", wide[..., ::-1])[1].tobytes()))
    found, expected = extracted(analyzer(STRETCHED), jpeg), extracted(analyzer(STRETCHED), rgb(wide))
    assert found.view.window == expected.view.window
    assert found.view.rgb.shape == expected.view.rgb.shape
    assert np.abs(found.rgb.astype(int) - expected.rgb).mean() < 3
    assert np.abs(found.view.rgb.astype(int) - expected.view.rgb).mean() < 4


def test_an_image_of_the_inputs_size_reads_the_same_whatever_the_geometry(smear: Array) -> None:
    squares, stretched = (analyzer(field).analyse(rgb(smear)) for field in (None, STRETCHED))
    assert stretched.explanation is not None
    assert (stretched.explanation.field == smear).all()
    assert squares.probabilities == stretched.probabilities


def test_areas_count_the_pixels_of_the_frame_and_not_of_the_field(wide: Array, smear: Array) -> None:
    of_field = nuclei(analyzer(None), rgb(smear)).median_area_px
    of_squeezed = nuclei(analyzer(STRETCHED), rgb(smear)).median_area_px
    of_frame = nuclei(analyzer(STRETCHED), rgb(wide)).median_area_px
    assert of_field is not None
    assert of_squeezed == pytest.approx(of_field * 4 / 3, abs=1e-3)
    assert of_frame == pytest.approx(of_field * 640 * 480 / 224**2, rel=0.1)


def test_areas_in_um2_are_those_of_the_cameras_scale(wide: Array, smear: Array) -> None:
    scale = load_bundle("demo").manifest.um_per_pixel
    assert scale is not None
    camera_um_per_pixel = scale * 224 / 480
    judge = analyzer(STRETCHED, um_per_pixel=camera_um_per_pixel)
    found = nuclei(judge, rgb(wide))
    assert found.median_area_px is not None
    assert found.median_area_um2 == pytest.approx(found.median_area_px * camera_um_per_pixel**2, abs=1e-3)
    # A field that was made from the same picture has the same cells, of the same size.
    ready = nuclei(judge, rgb(smear))
    assert ready.median_area_um2 == pytest.approx(found.median_area_um2, rel=0.1)
    estimated = analyzer(STRETCHED).analyse(rgb(wide))
    assert estimated.scale is not None
    assert estimated.scale.source is ScaleSource.ESTIMATED
    assert estimated.scale.um_per_pixel == pytest.approx(camera_um_per_pixel, rel=0.2)
    assert estimated.nuclei is not None
    assert estimated.nuclei.median_area_um2 is not None


def test_a_frame_that_is_high_enough_but_not_wide_enough_is_too_small(wide: Array) -> None:
    scale = load_bundle("demo").manifest.um_per_pixel
    assert scale is not None
    judge = analyzer(STRETCHED, um_per_pixel=scale * 224 / 480)
    assert judge.analyse(rgb(wide[:, :600])).reason is Reason.FIELD_TOO_SMALL
    assert judge.analyse(rgb(wide)).reason is not Reason.FIELD_TOO_SMALL


def test_without_red_cells_the_scale_is_unknown(wide: Array) -> None:
    blank = analyzer(STRETCHED).analyse(rgb(np.full_like(wide, 230))).scale
    assert blank is not None
    assert (blank.source, blank.um_per_pixel) == (ScaleSource.UNKNOWN, None)
