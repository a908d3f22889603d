"""Windows lie on the cells of the frame, at one physical size, however the frame arrives and whatever its scale."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from edge_agent.analysis import cell_cutting
from edge_agent.analysis.analyzer import Analyzer
from edge_agent.analysis.cell_cutting import cut_cells, usual_reduction
from edge_agent.analysis.extraction import ExtractedField
from edge_agent.analysis.reading import FieldAnalysis, PendingReading
from edge_agent.analysis.scale import describe_scale
from edge_agent.cameras.frame import ColourOrder, Encoded, Frame, Pixels, frame_now
from edge_agent.cameras.smear import draw_smear
from edge_agent.contracts import Reason
from edge_agent.contracts.manifest import CellWindows
from edge_agent.inference import Classifier, load_bundle
from edge_agent.vision.decode import ImageHeader, decode_image
from edge_agent.vision.red_cells import DIAMETER_UM, RedCells
from edge_agent.vision.settings import QualityLimits
from tests.cells import WINDOW_UM, make_cells_bundle

Array = NDArray[np.uint8]
WINDOWS = CellWindows(window_um=WINDOW_UM, max_cells_count=64)
SIDE_PX = 96
UM_PER_PIXEL = 0.1


@pytest.fixture(scope="module")
def picture() -> Array:
    """A drawn frame, uint8 RGB (900, 1200, 3), of 120 x 90 µm."""
    return draw_smear(np.random.default_rng(3), "pre-b", size_px=(900, 1200), um_per_pixel=UM_PER_PIXEL)[0]


@pytest.fixture(scope="module")
def analyzer(tmp_path_factory: pytest.TempPathFactory) -> Analyzer:
    folder = make_cells_bundle(tmp_path_factory.mktemp("bundles") / "cells")
    return Analyzer(Classifier(load_bundle(folder)), QualityLimits(), um_per_pixel=UM_PER_PIXEL)


@pytest.fixture(scope="module")
def unscaled(analyzer: Analyzer) -> Analyzer:
    """An analyzer that has to measure the scale."""
    return Analyzer(analyzer._classifier, QualityLimits())


def rgb(array: Array) -> Frame:
    return frame_now("camera0", Pixels(np.ascontiguousarray(array), ColourOrder.RGB))


def encoded(array: Array, kind: str) -> Frame:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, kind, quality=97, subsampling=0)
    return frame_now("camera0", Encoded(buffer.getvalue()))


def prepare(analyzer: Analyzer, frame: Frame) -> tuple[ExtractedField, FieldAnalysis]:
    prepared = analyzer.prepare(analyzer.extract(frame))
    assert isinstance(prepared, PendingReading)
    return prepared.extracted, prepared.analysis


def windows_of(analyzer: Analyzer, frame: Frame) -> dict[tuple[int, int], Array]:
    """The windows by their nucleus' centre in the frame, in pixels."""
    extracted, analysis = prepare(analyzer, frame)
    cells = cut_cells(extracted, analysis, WINDOWS, SIDE_PX)
    found = {}
    for nucleus, cell in zip(analysis.segmentation.nuclei, cells, strict=True):
        if isinstance(cell, np.ndarray):
            y, x = extracted.view.to_frame(*reversed(nucleus.centre_px))
            found[round(y), round(x)] = cell
    return found


def square(picture: Array, centre: tuple[int, int]) -> Array:
    """The same part of the frame by simple slicing and averaging, mirrored beyond its edge."""
    half = round(WINDOW_UM / UM_PER_PIXEL / 2)
    wide = np.pad(picture, ((half, half), (half, half), (0, 0)), mode="reflect")
    part = wide[centre[0] : centre[0] + 2 * half, centre[1] : centre[1] + 2 * half]
    return np.asarray(cv2.resize(part, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA), np.uint8)


def differ(one: Array, other: Array) -> float:
    """Mean absolute difference in levels of 255."""
    return float(np.abs(one.astype(np.int16) - other).mean())


def test_a_window_is_the_part_of_the_frame_around_its_nucleus(analyzer: Analyzer, picture: Array) -> None:
    found = windows_of(analyzer, rgb(picture))
    assert len(found) >= 5
    for centre, window in found.items():
        assert window.shape == (SIDE_PX, SIDE_PX, 3)
        assert differ(window, square(picture, centre)) < 3
        # The nucleus, which absorbs red light, lies in the middle, and the picture's edge around it is paler.
        assert window[40:56, 40:56, 0].mean() < window[..., 0].mean()


@pytest.mark.parametrize("kind", ["BGR", "PNG", "JPEG"])
def test_the_windows_are_the_same_however_the_frame_arrives(analyzer: Analyzer, picture: Array, kind: str) -> None:
    if kind == "BGR":
        frame = frame_now("camera0", Pixels(np.ascontiguousarray(picture[..., ::-1]), ColourOrder.BGR))
    else:
        frame = encoded(picture, kind)
    # The pixels from which a field was decoded would not be fine enough: the frame has more.
    found = windows_of(analyzer, frame)
    assert len(found) >= 5
    for centre, window in found.items():
        assert differ(window, square(picture, centre)) < 4


def test_an_upright_frame_has_its_windows_where_its_cells_are(analyzer: Analyzer, picture: Array) -> None:
    upright = np.ascontiguousarray(np.rot90(picture))
    found = windows_of(analyzer, rgb(upright))
    assert len(found) >= 5
    assert all(differ(window, square(upright, centre)) < 3 for centre, window in found.items())


def test_a_compressed_frame_is_decoded_again_only_if_its_windows_need_it(
    unscaled: Analyzer, picture: Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    extracted, analysis = prepare(unscaled, encoded(picture, "JPEG"))
    decoded: list[int] = []

    def count(data: bytes, *, reduction: int, header: ImageHeader) -> Array:
        decoded.append(reduction)
        return decode_image(data, reduction=reduction, header=header)

    monkeypatch.setattr(cell_cutting, "decode_image", count)
    # 0.1 µm per pixel and 24 µm on 96 px: half the resolution, at which it was decoded, is enough.
    cut_cells(extracted, analysis, WINDOWS, SIDE_PX)
    assert decoded == []
    cut_cells(extracted, analysis, WINDOWS, 2 * SIDE_PX)
    assert decoded == [1]
    monkeypatch.setattr(cell_cutting, "MAX_DECODED_PX", 1000)
    assert any(each is not None for each in cut_cells(extracted, analysis, WINDOWS, 2 * SIDE_PX))
    assert decoded == [1], "a frame that is too large to be decoded again is cut as it is"


def test_with_a_known_scale_a_frame_is_decoded_once_as_finely_as_its_cells_need(
    analyzer: Analyzer, unscaled: Analyzer, picture: Array
) -> None:
    frame = encoded(picture, "JPEG")
    coarse, fine = (prepare(each, frame)[0].decoded for each in (unscaled, analyzer))
    assert coarse is not None
    assert fine is not None
    # The input of this bundle has 224 px for 24 µm.
    assert (coarse.reduction, fine.reduction) == (2, 1)


@pytest.mark.parametrize(
    ("height_px", "width_px", "coarse", "expected"),
    [(960, 1280, 4, 2), (480, 640, 2, 1), (240, 320, 1, 1), (1920, 2560, 8, 4), (12000, 16000, 8, 8)],
)
def test_a_frame_of_unknown_scale_is_decoded_twice_as_finely_unless_it_is_huge(
    height_px: int, width_px: int, coarse: int, expected: int
) -> None:
    header = ImageHeader(width_px, height_px, has_alpha=False)
    assert usual_reduction(header, coarse) == expected


def test_no_more_cells_than_the_bundle_allows_are_looked_at(analyzer: Analyzer, picture: Array) -> None:
    extracted, analysis = prepare(analyzer, rgb(picture))
    height, width = analysis.segmentation.mask.shape
    few = cut_cells(extracted, analysis, CellWindows(window_um=WINDOW_UM, max_cells_count=3), SIDE_PX)
    whole = [at for at, each in enumerate(analysis.segmentation.nuclei) if not each.is_cut(height, width)]
    assert [at for at, cell in enumerate(few) if isinstance(cell, np.ndarray)] == whole[:3]
    assert all(few[at] is None for at in whole[3:])


def test_a_nucleus_at_the_edge_is_refused(analyzer: Analyzer, picture: Array) -> None:
    extracted, analysis = prepare(analyzer, rgb(picture))
    height, width = analysis.segmentation.mask.shape
    cells = cut_cells(extracted, analysis, WINDOWS, SIDE_PX)
    cut = [each.is_cut(height, width) for each in analysis.segmentation.nuclei]
    assert any(cut)
    assert [cell is Reason.CELL_CUT for cell in cells] == cut


def scaled(
    extracted: ExtractedField, analysis: FieldAnalysis, scale: float | None, red_cells: RedCells
) -> FieldAnalysis:
    """The field as if its scale were configured, and its red cells were others."""
    known = describe_scale(red_cells, extracted.view.frame_px_per_px, scale)
    return FieldAnalysis(analysis.segmentation, red_cells, analysis.nuclei_mask, analysis.quality, known)


def test_a_guess_by_clumped_red_cells_is_scale_enough(analyzer: Analyzer, picture: Array) -> None:
    extracted, analysis = prepare(analyzer, rgb(picture))
    diameter_px = DIAMETER_UM / UM_PER_PIXEL / extracted.view.frame_px_per_px
    guessed = scaled(extracted, analysis, None, RedCells(guess_px=diameter_px))
    assert guessed.scale.um_per_pixel is None
    for one, other in zip(
        cut_cells(extracted, guessed, WINDOWS, SIDE_PX), cut_cells(extracted, analysis, WINDOWS, SIDE_PX), strict=True
    ):
        assert one is other or (isinstance(one, np.ndarray) and isinstance(other, np.ndarray) and (one == other).all())


@settings(max_examples=40, deadline=None)
@given(scale=st.one_of(st.none(), st.floats(1e-6, 1e6)), kind=st.sampled_from(["RGB", "JPEG"]))
def test_any_scale_gives_windows_or_the_reason_why_not(
    analyzer: Analyzer, picture: Array, scale: float | None, kind: str
) -> None:
    extracted, analysis = prepare(analyzer, rgb(picture) if kind == "RGB" else encoded(picture, kind))
    found = scaled(extracted, analysis, scale, RedCells())
    side_um = WINDOW_UM / SIDE_PX
    cells = [each for each in cut_cells(extracted, found, WINDOWS, SIDE_PX) if each is not Reason.CELL_CUT]
    if scale is None:
        assert set(cells) == {Reason.SCALE_UNKNOWN}
    elif scale > 2 * side_um:
        assert set(cells) == {Reason.FIELD_TOO_SMALL}
    elif WINDOW_UM / scale > 900:
        assert cells == []
    else:
        assert cells
        assert all(isinstance(each, np.ndarray) and each.shape == (SIDE_PX, SIDE_PX, 3) for each in cells)
