from __future__ import annotations

import numpy as np
import pytest

from tests.unit.trainer.site.site_data import make_examples, make_features, make_validation
from trainer.evaluation.foreign import ForeignFigures
from trainer.site.refusals import foreign_refusals, own_refusals


def test_own_pictures_are_refused_in_the_order_of_the_device_and_counted_once() -> None:
    validation = make_validation(
        np.array([(0.9, 0.1), (0.9, 0.1), (0.55, 0.45), (0.55, 0.45), (0.9, 0.1)]),
        unfamiliarity=np.array([1.0, 9.0, 1.0, 9.0, 9.0]),
        min_confidence_ratio=0.6,
    )
    features = make_features(5, reasons=(None, None, None, None, "blurred"))
    found = own_refusals(make_examples(np.zeros(5, np.int64)), features, validation)
    assert found.reasons == {"unfamiliar": 2, "low_confidence": 1, "blurred": 1}
    assert (found.images_count, found.refused_count, found.refused_ratio) == (5, 4, 0.8)
    assert found.refused_interval_ratio == pytest.approx((0.3755, 0.9638), abs=0.001)


def test_none_refused_still_has_an_interval() -> None:
    validation = make_validation(np.tile((0.9, 0.1), (20, 1)))
    found = own_refusals(make_examples(np.zeros(20, np.int64)), make_features(20), validation)
    assert found.refused_ratio == 0
    assert found.refused_interval_ratio[0] == 0
    assert found.refused_interval_ratio[1] == pytest.approx(0.161, abs=0.001)


def test_pictures_of_others_are_counted_with_those_that_got_a_label() -> None:
    measured = ForeignFigures(
        folder="others",
        images_count=10,
        unreadable=("broken.jpg",),
        refused_ratio=0.9,
        refused_interval_ratio=(0.5, 1.0),
        refusals={"unfamiliar": 7, "blurred": 2},
        answered_labels={"benign": 1},
    )
    (found,) = foreign_refusals([measured])
    assert (found.name, found.images_count, found.refused_count, found.unreadable_count) == ("others", 10, 9, 1)
    assert found.reasons == {"unfamiliar": 7, "blurred": 2}
