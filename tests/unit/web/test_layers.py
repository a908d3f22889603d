"""The layers over a field: outlines and evidence."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from edge_agent.web.layers import STRONG_RATIO, draw_legend, outline_nuclei, tint, tint_evidence, to_png

Array = NDArray[np.uint8]
SIZE = 448, 448


def one_part(row: int, column: int) -> NDArray[np.float32]:
    """A map with evidence for class 2 in one of its 7 x 7 parts."""
    map_ = np.zeros((7, 7, 4), np.float32)
    map_[row, column, 2] = 3.0
    return map_


def test_a_nucleus_is_outlined_and_nothing_else_is_hidden() -> None:
    mask = np.zeros((224, 224), np.uint8)
    cv2.circle(mask, (60, 60), 20, (255,), -1)
    layer = outline_nuclei(mask, SIZE)
    rows, columns = np.nonzero(layer[..., 3])
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == pytest.approx((80, 160, 80, 160), abs=2)
    assert not layer[120, 120].any(), "the inside stays visible"


def test_the_mask_may_have_a_size_and_proportions_of_its_own() -> None:
    mask = np.zeros((240, 320), np.uint8)
    mask[60:120, 80:160] = 255
    rows, columns = np.nonzero(outline_nuclei(mask, SIZE)[..., 3])
    assert (rows.min(), rows.max()) == pytest.approx((112, 224), abs=2)
    assert (columns.min(), columns.max()) == pytest.approx((112, 224), abs=2)


def test_the_tint_is_yellow_where_the_map_is_high_and_nowhere_for_evidence_against() -> None:
    red, _, blue, opacity = tint_evidence(one_part(5, 5), 2, SIZE)[352, 352].astype(int)
    assert red > blue + 50
    assert opacity
    assert not tint_evidence(-one_part(5, 5), 2, SIZE)[..., 3].any()


@given(evidence=arrays(np.float32, (32, 32), elements=st.floats(0, 2, width=32) | st.just(0.0)))
def test_where_there_is_no_evidence_the_field_is_left_as_it_is(evidence: NDArray[np.float32]) -> None:
    assert not tint(evidence)[..., 3][evidence == 0].any()


@given(row=st.integers(0, 6), column=st.integers(0, 6))
def test_parts_without_evidence_have_no_tint(row: int, column: int) -> None:
    tinted = np.argwhere(tint_evidence(one_part(row, column), 2, SIZE)[..., 3])
    assert len(tinted)
    # Interpolation reaches from the part's centre to its neighbours' centres, 64 px each in the enlarged picture.
    assert (tinted.min(axis=0) >= 64 * np.array([row, column]) - 32).all()
    assert (tinted.max(axis=0) < 64 * np.array([row, column]) + 96).all()


@given(evidence=st.floats(0, 2 * STRONG_RATIO))
def test_the_tint_is_as_opaque_as_the_evidence_is_strong_up_to_the_end_of_the_scale(evidence: float) -> None:
    def hidden(level: float) -> float:
        return int(tint(np.full((1, 1), level, np.float32))[0, 0, 3]) / 255

    strongest = hidden(STRONG_RATIO)
    assert 0.3 < strongest < 0.5, "the field stays visible"
    assert hidden(evidence) == pytest.approx(strongest * min(evidence / STRONG_RATIO, 1), abs=0.01)


def test_the_tint_of_one_field_does_not_depend_on_its_own_maximum() -> None:
    """Otherwise a field that speaks evenly would look as telling as one with a single conspicuous cell."""
    faint = np.ones((7, 7, 4), np.float32)
    faint[..., 2] = 11
    strong = faint.copy()
    faint[1, 5, 2] *= 1.1
    strong[1, 5, 2] *= 2
    little, much = (int(tint_evidence(map_, 2, SIZE)[96, 352, 3]) for map_ in (faint, strong))
    assert 0 < little < much / 2


def test_the_legend_goes_from_no_tint_to_the_strongest() -> None:
    legend = draw_legend()
    assert not legend[:, 0, 3].any()
    assert (legend[:, -1] == tint(np.full((1, 1), STRONG_RATIO, np.float32))[0, 0]).all()
    assert (np.diff(legend[0, :, 3].astype(int)) >= 0).all()


def test_a_layer_keeps_its_colours_and_transparency_as_a_file() -> None:
    layer = np.zeros((8, 8, 4), np.uint8)
    layer[2:4, 2:4] = 220, 10, 30, 128
    decoded = cv2.imdecode(np.frombuffer(to_png(layer), np.uint8), cv2.IMREAD_UNCHANGED)
    assert decoded is not None
    assert (cv2.cvtColor(decoded, cv2.COLOR_BGRA2RGBA) == layer).all()
