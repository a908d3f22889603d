"""The result of several frames together, what is skipped, and what is reported about it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_agent.calibration.calibrator import Calibrator
from edge_agent.calibration.record import FILE, keep_calibration, last_calibration
from edge_agent.calibration.scales import FrameScale, combine
from edge_agent.cameras import ColourOrder, Encoded, Frame, Pixels
from edge_agent.cameras.frame import frame_now
from edge_agent.cameras.smear import draw_smear
from edge_agent.contracts import Calibration, CalibrationMethod, Verdict
from edge_agent.errors import FileUnusable, ImageError, ScaleUnreadable
from tests.unit.calibration.drawings import draw_ruler


def frame(rgb: NDArray[np.uint8], order: ColourOrder = ColourOrder.RGB) -> Frame:
    return frame_now(
        "camera0", Pixels(np.ascontiguousarray(rgb if order is ColourOrder.RGB else rgb[..., ::-1]), order)
    )


def verdicts(found: Calibration) -> dict[str, Verdict]:
    return {check.name: check.verdict for check in found.checks}


def test_frames_of_a_micrometer_give_the_size_of_a_pixel() -> None:
    calibrator = Calibrator(CalibrationMethod.MICROMETER, division_um=20)
    for seed in range(3):
        assert calibrator.add(frame(draw_ruler(40, 30, seed=seed))) is None
    found = calibrator.finish()
    assert found.scale is not None
    assert found.scale.um_per_pixel == pytest.approx(0.5, rel=0.005)
    # A stage at rest shows the same lines three times.
    assert found.scale.marks_count < 20
    assert found.setting == f"um_per_pixel = {found.scale.um_per_pixel}"


def test_red_cells_of_a_known_size_give_the_size_of_a_pixel() -> None:
    calibrator = Calibrator(CalibrationMethod.SMEAR)
    for seed in range(4):
        rgb, _ = draw_smear(np.random.default_rng(seed), "benign", size_px=(480, 640), um_per_pixel=0.2)
        calibrator.add(frame(rgb))
    found = calibrator.finish()
    assert found.scale is not None, found.checks
    assert found.scale.um_per_pixel_low <= 0.2 <= found.scale.um_per_pixel_high


def test_a_bad_frame_is_counted_and_does_not_stop_the_rest() -> None:
    calibrator = Calibrator(CalibrationMethod.MICROMETER)
    assert calibrator.add(frame(draw_ruler(40, 30))) is None
    assert calibrator.add(frame_now("camera0", Encoded(b"broken"))) is not None
    assert calibrator.add(frame_now("camera0", ImageError("gone"))) is not None
    smaller = calibrator.add(frame(draw_ruler(40, 30, size_px=(200, 300))))
    assert smaller is not None
    assert "300 x 200 px" in smaller.message
    found = calibrator.finish()
    assert (found.frames_count, found.frames_skipped_count) == (1, 3)
    assert found.scale is not None


def test_without_a_readable_frame_there_is_its_error() -> None:
    calibrator = Calibrator(CalibrationMethod.SMEAR)
    calibrator.add(frame_now("camera0", Encoded(b"broken")))
    with pytest.raises(ImageError, match="cannot be read"):
        calibrator.finish()


@pytest.mark.parametrize("method", list(CalibrationMethod))
@pytest.mark.parametrize("level", [0, 128, 255])
def test_one_colour_gets_a_reason_and_no_scale(method: CalibrationMethod, level: int) -> None:
    calibrator = Calibrator(method)
    calibrator.add(frame(np.full((300, 400, 3), level, np.uint8)))
    found = calibrator.finish()
    assert found.scale is None
    assert found.setting is None
    assert verdicts(found)["scale"] is Verdict.UNCLEAR
    assert verdicts(found)["exposure"] is Verdict.ADJUST
    assert all(check.next_step for check in found.checks if check.verdict is not Verdict.OK)
    if level != 128:
        # Too dark or clipped: something that looks grey and even may be neither.
        assert verdicts(found)["white_balance"] is verdicts(found)["evenness"] is Verdict.UNCLEAR


def test_a_tint_is_told_for_the_channel_that_has_it_in_either_order_of_colours() -> None:
    reddish = np.full((300, 400, 3), (210, 180, 180), np.uint8)
    for order in ColourOrder:
        calibrator = Calibrator(CalibrationMethod.SMEAR)
        calibrator.add(frame(reddish, order))
        found = calibrator.finish()
        balance = found.checks[2]
        assert balance.verdict is Verdict.ADJUST
        assert "red is 17 % above green" in balance.finding
        assert "lower red by about 29 %" in balance.next_step
        assert "blue" not in balance.finding + balance.next_step


def test_light_that_falls_off_is_told_with_its_share() -> None:
    calibrator = Calibrator(CalibrationMethod.MICROMETER)
    calibrator.add(frame(draw_ruler(40, 30, unevenness=0.4)))
    evenness = calibrator.finish().checks[3]
    assert evenness.verdict is Verdict.ADJUST
    assert "condenser" in evenness.next_step


@pytest.mark.parametrize(("configured", "verdict"), [(None, "adjust"), (0.25, "ok"), (0.3, "adjust")])
def test_a_configured_scale_is_compared(configured: float | None, verdict: str) -> None:
    calibrator = Calibrator(CalibrationMethod.MICROMETER, configured_um_per_pixel=configured)
    calibrator.add(frame(draw_ruler(40, 30)))
    assert calibrator.finish().checks[0].verdict == verdict


def scale(value: float, count: int = 10, field: int = 0) -> FrameScale:
    return FrameScale(value, 0.9 * value, 1.1 * value, count, field)


def test_the_median_of_frames_counts_marks_of_a_field_once_and_leaves_out_one_that_differs() -> None:
    found = combine([scale(0.10), scale(0.11, 12), scale(0.12, 20, 1), scale(0.3, 40, 2)], tolerance=0.15)
    assert (found.um_per_pixel, found.frames_count, found.marks_count) == (0.11, 3, 32)
    assert found.um_per_pixel_low <= 0.099
    assert found.um_per_pixel_high >= 0.12


def test_more_frames_do_not_make_the_interval_narrower() -> None:
    one, many = combine([scale(0.1)], tolerance=0.15), combine([scale(0.1)] * 20, tolerance=0.15)
    assert (one.um_per_pixel_low, one.um_per_pixel_high) == (many.um_per_pixel_low, many.um_per_pixel_high)


@pytest.mark.parametrize("values", [(), (0.1, 0.2), (0.1, 0.2, 0.4)])
def test_frames_that_disagree_give_no_number(values: tuple[float, ...]) -> None:
    with pytest.raises(ScaleUnreadable):
        combine([scale(value) for value in values], tolerance=0.15)


def test_the_last_calibration_is_kept_and_a_damaged_one_has_a_clear_error(tmp_path: Path) -> None:
    assert last_calibration(tmp_path) is None
    for period in (40, 20):
        calibrator = Calibrator(CalibrationMethod.MICROMETER)
        calibrator.add(frame(draw_ruler(period, 30)))
        found = calibrator.finish()
        keep_calibration(tmp_path, found)
        kept = last_calibration(tmp_path)
        assert kept is not None
        assert kept.scale == found.scale
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
    (tmp_path / FILE).write_bytes(b"{}")
    with pytest.raises(FileUnusable):
        last_calibration(tmp_path)
    with pytest.raises(FileUnusable):
        keep_calibration(tmp_path / "absent", found)
