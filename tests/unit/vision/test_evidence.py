from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from edge_agent.vision.evidence import locate_evidence

MAPS = arrays(np.float32, (7, 7, 4), elements=st.floats(-50, 50, width=32))


@given(map_=MAPS, class_index=st.integers(0, 3))
def test_evidence_is_finite_and_never_negative(map_: NDArray[np.float32], class_index: int) -> None:
    evidence = locate_evidence(map_, class_index, (112, 224))
    assert evidence.shape == (112, 224)
    assert np.isfinite(evidence).all()
    assert (evidence >= 0).all()


@given(values=arrays(np.float32, (4,), elements=st.floats(-50, 50, width=32)), class_index=st.integers(0, 3))
def test_a_map_that_is_the_same_everywhere_locates_nothing(values: NDArray[np.float32], class_index: int) -> None:
    evidence = locate_evidence(np.broadcast_to(values, (7, 7, 4)), class_index, (224, 224))
    assert evidence.max() < 1e-3


def test_what_all_classes_share_is_no_evidence() -> None:
    """It changes no probability."""
    map_ = np.zeros((7, 7, 4), np.float32)
    map_[2, 5, 1] = 8
    shared = map_ + np.random.default_rng(1).uniform(-20, 20, (7, 7, 1)).astype(np.float32)
    np.testing.assert_allclose(
        locate_evidence(shared, 1, (224, 224)), locate_evidence(map_, 1, (224, 224)), rtol=1e-3, atol=1e-3
    )


def test_evidence_peaks_at_the_centre_of_its_part_and_ends_with_the_next() -> None:
    map_ = np.zeros((7, 7, 4), np.float32)
    map_[2, 5, 1] = 8
    evidence = locate_evidence(map_, 1, (224, 224))
    rows, columns = np.nonzero(evidence == evidence.max())
    assert (rows.mean() + 0.5, columns.mean() + 0.5) == (2.5 * 32, 5.5 * 32)
    rows, columns = np.nonzero(evidence)
    assert rows.min() >= 1.5 * 32 - 1
    assert rows.max() <= 3.5 * 32
    assert columns.min() >= 4.5 * 32 - 1


def test_it_is_measured_in_averages_of_the_field() -> None:
    map_ = np.zeros((7, 7, 2), np.float32)
    map_[..., 0] = 4
    map_[:, :3, 0] = 8
    map_[:, 3, 0] = 6
    evidence = locate_evidence(map_, 0, (224, 224))
    np.testing.assert_allclose(evidence[:, :64], 8 / 6 - 1, rtol=1e-5)
    assert (evidence[:, 160:] == 0).all()
    np.testing.assert_allclose(locate_evidence(5 * map_, 0, (224, 224)), evidence, atol=1e-5)


def test_a_class_that_the_field_does_not_speak_for_has_no_evidence() -> None:
    map_ = np.zeros((7, 7, 4), np.float32)
    map_[..., 0] = -1
    map_[3, 3, 0] = 5
    assert not locate_evidence(map_, 0, (224, 224)).any()
