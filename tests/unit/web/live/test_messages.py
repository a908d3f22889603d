"""A viewer's message is a request, or results in one clear error."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.errors import RequestInvalid
from edge_agent.web.live.messages import MAX_WIDTH_PX, View, read_request


def test_a_request_names_region_and_width() -> None:
    assert read_request('{"next": true, "region": [0.25, 0, 0.5, 1], "max_width_px": 640}') == View(
        (0.25, 0, 0.5, 1), 640
    )


def test_what_is_left_out_is_everything() -> None:
    assert read_request('{"next": true}') == View((0, 0, 1, 1), MAX_WIDTH_PX)


def test_a_screen_with_more_pixels_gets_the_largest_picture() -> None:
    assert read_request('{"next": true, "max_width_px": 3840}').max_width_px == MAX_WIDTH_PX


def test_sums_that_a_browser_rounded_are_accepted() -> None:
    assert 0.1 + 0.2 + 0.7 > 1 - 1e-12
    read_request(json.dumps({"next": True, "region": [0.1 + 0.2, 0.1, 0.7, 0.9]}))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Invalid JSON"),
        ("next", "Invalid JSON"),
        ("[" * 2000, "Invalid JSON"),
        ("[]", "object"),
        ("{}", "next: Field required"),
        ('{"next": false}', "next: "),
        ('{"next": true, "other": 1}', "other: "),
        ('{"next": true, "region": [0, 0, 1]}', "region.3: "),
        ('{"next": true, "region": [0, 0, 0, 1]}', "region.2: "),
        ('{"next": true, "region": [-0.1, 0, 1, 1]}', "region.0: "),
        ('{"next": true, "region": [NaN, 0, 1, 1]}', "region.0: "),
        ('{"next": true, "region": [0.5, 0, 0.6, 1]}', "beyond the frame"),
        ('{"next": true, "region": [0, 0.5, 1, 0.6]}', "beyond the frame"),
        ('{"next": true, "region": ["0", 0, 1, 1]}', "region.0: "),
        ('{"next": true, "max_width_px": 15}', "max_width_px: "),
        ('{"next": true, "max_width_px": 1e9}', "max_width_px: "),
        ('{"next": true, "max_width_px": 640.5}', "max_width_px: "),
    ],
)
def test_anything_else_is_refused_with_its_reason(text: str, reason: str) -> None:
    with pytest.raises(RequestInvalid, match=reason):
        read_request(text)


_NUMBERS = st.one_of(st.floats(), st.integers(), st.booleans(), st.none(), st.text(max_size=3))
_REQUESTS = st.fixed_dictionaries(
    {}, optional={"next": st.one_of(st.just(True), _NUMBERS), "region": st.lists(_NUMBERS), "max_width_px": _NUMBERS}
)


@given(st.one_of(st.text(), _REQUESTS.map(json.dumps)))
def test_whatever_is_sent_is_a_view_inside_the_frame_or_refused(text: str) -> None:
    try:
        view = read_request(text)
    except RequestInvalid:
        return
    x, y, width, height = view.region
    assert 0 <= x <= 1
    assert 0 <= y <= 1
    assert 0 < width <= 1 - x + 1e-6
    assert 0 < height <= 1 - y + 1e-6
    assert 16 <= view.max_width_px <= MAX_WIDTH_PX
