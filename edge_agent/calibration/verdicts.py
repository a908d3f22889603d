"""Interprets the figures of a calibration, and says what to change."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge_agent.calibration.illumination import Illumination
from edge_agent.contracts import CalibrationCheck, CalibrationMethod, MeasuredLight, MeasuredScale, Verdict
from edge_agent.errors import EdgeAgentError

LEVEL_PCT = (60.0, 96.0)
"""Good level of the background. Below it noise grows, above it the background is about to clip."""

DARK_LEVEL_PCT = 20.0
"""Below this, colour and evenness are mostly noise."""

MAX_CLIPPED_PCT = 5.0
MAX_COLOUR_CAST_DELTA_E = 6.0
"""A tint that a person begins to see on a whole background."""

MAX_FALLOFF_PCT = 15.0
_OFF_CENTRE_PCT = 50.0


def scale_check(
    scale: MeasuredScale | EdgeAgentError, method: CalibrationMethod, configured: float | None, division_um: float
) -> CalibrationCheck:
    """``configured`` is the configured size of a pixel in micrometres, None if there is none."""
    if isinstance(scale, EdgeAgentError):
        return CalibrationCheck(name="scale", verdict=Verdict.UNCLEAR, finding=scale.message, next_step=scale.remedy)
    marks = f"{scale.marks_count} red cells"
    if method is CalibrationMethod.MICROMETER:
        # A person can see in the picture whether these are the finest lines.
        marks = f"{scale.marks_count} lines {division_um / scale.um_per_pixel:.1f} px ({division_um:g} µm) apart"
    finding = (
        f"A pixel is {scale.um_per_pixel:g} µm wide ({scale.um_per_pixel_low:g} to {scale.um_per_pixel_high:g} µm), "
        f"by {marks}."
    )
    if configured is None:
        return CalibrationCheck(
            name="scale",
            verdict=Verdict.ADJUST,
            finding=f"{finding} None is configured.",
            next_step=f"Set um_per_pixel = {scale.um_per_pixel!r} in section [camera] of agent.toml.",
        )
    if not scale.um_per_pixel_low <= configured <= scale.um_per_pixel_high:
        return CalibrationCheck(
            name="scale",
            verdict=Verdict.ADJUST,
            finding=f"{finding} Configured are {configured:g} µm.",
            next_step=f"If objective and camera are the usual ones, set um_per_pixel = {scale.um_per_pixel!r} in "
            "section [camera] of agent.toml.",
        )
    return CalibrationCheck(
        name="scale", verdict=Verdict.OK, finding=f"{finding} The configured {configured:g} µm fits.", next_step=""
    )


def light_of(frames: Sequence[Illumination]) -> MeasuredLight:
    """Medians over the frames, of which there is at least one."""

    def median(name: str) -> float:
        return round(float(np.median([getattr(each, name) for each in frames])), 2)

    clipped = median("clipped_pct")
    levels = {name: float(np.median([getattr(each, name) for each in frames])) for name in _CHANNELS}
    measurable = clipped <= MAX_CLIPPED_PCT and min(levels.values()) >= DARK_LEVEL_PCT
    return MeasuredLight(
        frames_count=len(frames),
        background_pct=median("background_pct"),
        red_pct=round(levels["red_pct"], 2),
        green_pct=round(levels["green_pct"], 2),
        blue_pct=round(levels["blue_pct"], 2),
        clipped_pct=clipped,
        colour_cast_delta_e=round(float(np.hypot(median("a_star"), median("b_star"))), 2),
        red_gain_change_pct=_gain_change_pct(levels["red_pct"], levels["green_pct"]) if measurable else None,
        blue_gain_change_pct=_gain_change_pct(levels["blue_pct"], levels["green_pct"]) if measurable else None,
        falloff_pct=median("falloff_pct"),
    )


_CHANNELS = ("red_pct", "green_pct", "blue_pct")


def _gain_change_pct(level_pct: float, wanted_pct: float) -> float:
    """By how much a gain must change: a gain acts on light, and levels are its sRGB form (IEC 61966-2-1)."""
    return round(100 * (_light(wanted_pct) / _light(level_pct) - 1), 1)


def _light(level_pct: float) -> float:
    level = level_pct / 100
    return float(level / 12.92 if level <= 0.04045 else ((level + 0.055) / 1.055) ** 2.4)


def light_checks(
    light: MeasuredLight | EdgeAgentError, centre_offset_pct: float = 0.0
) -> tuple[CalibrationCheck, CalibrationCheck, CalibrationCheck]:
    """Exposure, white balance and evenness."""
    if isinstance(light, EdgeAgentError):
        exposure, balance, evenness = (
            CalibrationCheck(name=name, verdict=Verdict.UNCLEAR, finding=light.message, next_step=light.remedy)
            for name in ("exposure", "white_balance", "evenness")
        )
        return exposure, balance, evenness
    exposure = _exposure(light)
    if light.clipped_pct > MAX_CLIPPED_PCT or _level(light) < DARK_LEVEL_PCT:
        why = "too bright" if light.clipped_pct > MAX_CLIPPED_PCT else "too dark"
        balance, evenness = (
            CalibrationCheck(
                name=name,
                verdict=Verdict.UNCLEAR,
                finding=f"The background is {why} to tell.",
                next_step="Correct the exposure, and calibrate again.",
            )
            for name in ("white_balance", "evenness")
        )
        return exposure, balance, evenness
    return exposure, _white_balance(light), _evenness(light, centre_offset_pct)


def _level(light: MeasuredLight) -> float:
    return max(light.red_pct, light.green_pct, light.blue_pct)


def _exposure(light: MeasuredLight) -> CalibrationCheck:
    level = f"The background is at {_level(light):.0f} % of the largest level"
    if light.clipped_pct > MAX_CLIPPED_PCT:
        return CalibrationCheck(
            name="exposure",
            verdict=Verdict.ADJUST,
            finding=f"{level}, and {light.clipped_pct:.0f} % of its brightest part is clipped.",
            next_step="Turn the lamp down or shorten the exposure, until the background is at 75 to 90 %.",
        )
    if not LEVEL_PCT[0] <= _level(light) <= LEVEL_PCT[1]:
        how = (
            "Turn the lamp up or lengthen the exposure"
            if _level(light) < LEVEL_PCT[0]
            else "Turn the lamp down or shorten the exposure a little"
        )
        return CalibrationCheck(
            name="exposure",
            verdict=Verdict.ADJUST,
            finding=f"{level}.",
            next_step=f"{how}, until the background is at 75 to 90 %.",
        )
    return CalibrationCheck(name="exposure", verdict=Verdict.OK, finding=f"{level}.", next_step="")


def _white_balance(light: MeasuredLight) -> CalibrationCheck:
    ratios = [
        f"{name} is {abs(100 * (level / light.green_pct - 1)):.0f} % {'above' if level > light.green_pct else 'below'}"
        for name, level in (("red", light.red_pct), ("blue", light.blue_pct))
        if light.green_pct > 0 and abs(level / light.green_pct - 1) >= 0.005
    ]
    against = f"{' and '.join(ratios)} green" if ratios else "all channels are equal"
    finding = f"In the background {against} (ΔE {light.colour_cast_delta_e:.0f} from grey)."
    if light.colour_cast_delta_e <= MAX_COLOUR_CAST_DELTA_E:
        return CalibrationCheck(name="white_balance", verdict=Verdict.OK, finding=finding, next_step="")
    changes = [
        f"{'raise' if change > 0 else 'lower'} {name} by about {abs(change):.0f} %"
        for name, change in (("red", light.red_gain_change_pct), ("blue", light.blue_gain_change_pct))
        if change is not None and abs(change) >= 2
    ]
    by_hand = f", or {' and '.join(changes)} in the camera's gains" if changes else ""
    return CalibrationCheck(
        name="white_balance",
        verdict=Verdict.ADJUST,
        finding=finding,
        next_step=f"Set the white balance on an empty part of the slide{by_hand}.",
    )


def _evenness(light: MeasuredLight, centre_offset_pct: float) -> CalibrationCheck:
    finding = f"The darkest corner is {light.falloff_pct:.0f} % darker than the brightest part."
    if light.falloff_pct <= MAX_FALLOFF_PCT:
        return CalibrationCheck(name="evenness", verdict=Verdict.OK, finding=finding, next_step="")
    next_step = (
        "Centre the lamp and the condenser: the brightest part is far from the centre."
        if centre_offset_pct > _OFF_CENTRE_PCT
        else "Open the field diaphragm, set the height of the condenser, and check the camera's adapter."
    )
    return CalibrationCheck(name="evenness", verdict=Verdict.ADJUST, finding=finding, next_step=next_step)
