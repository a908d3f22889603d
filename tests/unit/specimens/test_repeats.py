from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.specimens import repeats
from edge_agent.specimens.repeats import MIN_CORRELATION, Picture, SeenFields, correlation, recognisable
from tests.slides import SIDE_PX, draw_slide, look_at

QUARTER = SIDE_PX // 4


def picture(seed: int, down_px: int = 0, right_px: int = 0, *, exposure: int = 0) -> Picture:
    found = recognisable(look_at(draw_slide(seed), down_px, right_px, seed=exposure))
    assert found is not None
    return found


@pytest.mark.parametrize(("down", "right"), [(0, 0), (QUARTER, 0), (0, QUARTER), (QUARTER, QUARTER), (17, 5)])
def test_a_field_is_found_again_though_the_stage_came_back_beside_it(down: int, right: int) -> None:
    seen = SeenFields([(seed, picture(seed)) for seed in range(1, 6)])
    assert seen.find(picture(3, down, right, exposure=9)) == 3


@given(st.integers(0, QUARTER), st.integers(0, QUARTER), st.integers(0, QUARTER), st.integers(0, QUARTER))
def test_the_direction_of_the_shift_does_not_matter(up: int, left: int, down: int, right: int) -> None:
    one, other = picture(1, up, left), picture(1, down, right, exposure=2)
    assert correlation(one, other) > MIN_CORRELATION
    assert correlation(other, one) > MIN_CORRELATION


def test_another_field_of_the_same_slide_is_new() -> None:
    pictures = [picture(seed) for seed in range(20)]
    for number, each in enumerate(pictures):
        others = SeenFields((other, pictures[other]) for other in range(20) if other != number)
        assert others.find(each) is None


def test_the_lamp_alone_makes_no_two_fields_alike() -> None:
    lamp = np.linspace(0.3, 1, SIDE_PX)[None, :, None] * np.linspace(0.3, 1, SIDE_PX)[:, None, None]
    one, other = (recognisable((look_at(draw_slide(seed)) * lamp).astype(np.uint8)) for seed in (1, 2))
    assert one is not None
    assert other is not None
    assert SeenFields([(1, one)]).find(other) is None


@pytest.mark.parametrize("level", [0, 128, 255])
def test_an_empty_field_is_never_a_repeat(level: int) -> None:
    rng = np.random.default_rng(1)
    noisy = np.clip(level + rng.normal(0, 2, (SIDE_PX, SIDE_PX, 3)), 0, 255).astype(np.uint8)
    assert recognisable(noisy) is None
    assert recognisable(np.full((SIDE_PX, SIDE_PX, 3), level, np.uint8)) is None


def test_a_slide_without_fields_repeats_none() -> None:
    assert SeenFields().find(picture(1)) is None


def test_the_oldest_field_is_forgotten_for_a_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeats, "KEPT_COUNT", 3)
    seen = SeenFields()
    pictures = [picture(seed) for seed in range(4)]
    surplus = []
    for number, each in enumerate(pictures):
        surplus.append(seen.surplus)
        seen.add(number, each)
    assert surplus == [None, None, None, 0]
    assert seen.find(pictures[0]) is None
    assert [seen.find(each) for each in pictures[1:]] == [1, 2, 3]
