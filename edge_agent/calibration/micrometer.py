"""Measures how many pixels a division of a stage micrometer has: evenly spaced parallel lines at any angle."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.errors import ScaleUnreadable

MAX_SIDE_PX = 1024
"""A larger frame is scaled down; if its lines are then too narrow, its centre is measured at full size."""

MIN_SIDE_PX = 64
MIN_PERIOD_PX = 9.5
"""Lines closer than half of this are not resolved, and two of them could be taken for one."""
MIN_LINES = 5
"""Fewer lines do not show that their distances are equal."""

_MIN_CONTRAST_PCT = 2.0
_MIN_COHERENCE = 0.25
"""Share of the edges that run in one direction: 1 for a ruler, near 0 for cells or noise."""

_MIN_CORRELATION = 0.3
_FINER = 4
"""Steps per pixel."""

_MAX_FINER_CORRELATION = 0.15
_MIN_ALTERNATING = 8
"""Fewest lines; among fewer, a single long line would decide."""

_ALTERNATION_RATIO = 1.1
_MAX_UNEVENNESS = 0.08
"""Largest deviation of lines from equal distances, in divisions."""

_REMEDY = (
    "Focus on the lines of the stage micrometer, let them fill the picture with at least five divisions, and keep "
    "everything else out of it."
)

Profile = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Divisions:
    """The distance of neighbouring lines, in pixels of the frame."""

    period_px: float
    low_px: float
    high_px: float
    """``low_px`` to ``high_px`` contains the true distance about 19 times in 20."""
    lines_count: int
    angle_deg: float
    """Direction across the lines, in degrees from the rows of the frame, 0 to below 180."""


def measure_divisions(rgb: NDArray[np.uint8]) -> Divisions:
    """Measure the lines in a uint8 RGB (h, w, 3) frame.

    The direction is that of the structure tensor (J. Bigün and G. Granlund, 1987), refined so that the profile across
    the lines is sharpest; the distance is the first peak of the profile's autocorrelation, refined by a straight line
    through the numbered places of the lines. Raises ``ScaleUnreadable`` if there are no such lines.
    """
    height, width = rgb.shape[:2]
    if min(height, width) < MIN_SIDE_PX:
        raise ScaleUnreadable(
            f"The picture has only {width} x {height} px.", remedy="Use the camera's full resolution."
        )
    grey = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    scale = max(1.0, max(height, width) / MAX_SIDE_PX)
    if scale == 1.0:
        return _measure(grey, 1.0)
    small_size = round(width / scale), round(height / scale)
    # Rounding may change the proportions by a pixel in a thousand, in only one direction.
    small = np.asarray(cv2.resize(grey, small_size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    try:
        return _measure(small, scale)
    except ScaleUnreadable as coarse:
        top, left = max(0, (height - MAX_SIDE_PX) // 2), max(0, (width - MAX_SIDE_PX) // 2)
        centre = grey[top : top + MAX_SIDE_PX, left : left + MAX_SIDE_PX]
        try:
            return _measure(np.ascontiguousarray(centre), 1.0)
        except ScaleUnreadable:
            raise coarse from None


def _measure(grey: NDArray[np.uint8], scale: float) -> Divisions:
    """``scale`` is the size of a pixel of ``grey`` in pixels of the frame."""
    relief = _flatten(grey)
    angle = _direction(relief)
    angle = _refine(relief, angle)
    profile = _profile(relief, angle)
    period = _first_period(profile)
    places, heights = _lines(profile, period)
    _require_finest(profile, period, heights)
    numbers = np.round((places - places[0]) / period)
    for _ in range(3):
        # A period that is slightly off would number distant lines wrongly, so numbering follows the fit.
        slope, start = np.polyfit(numbers, places, 1)
        numbers = np.round((places - start) / slope)
    residuals = places - (slope * numbers + start)
    unevenness = 1.4826 * float(np.median(np.abs(residuals))) / slope
    present = len(set(numbers.tolist())) / (numbers.max() - numbers.min() + 1)
    if unevenness > _MAX_UNEVENNESS or present < 0.7 or abs(slope / period - 1) > 0.15:
        raise ScaleUnreadable("The lines in the picture are not evenly spaced.", remedy=_REMEDY)
    kept = np.abs(residuals) <= max(3 * unevenness * slope, 0.5)
    slope, start = np.polyfit(numbers[kept], places[kept], 1)
    half = _half_width(numbers[kept], places[kept], slope, start)
    return Divisions(
        period_px=float(slope * scale),
        low_px=float((slope - half) * scale),
        high_px=float((slope + half) * scale),
        lines_count=int(kept.sum()),
        angle_deg=math.degrees(angle) % 180.0,
    )


def _flatten(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The picture relative to its surroundings, so that uneven light leaves no trace; 0 on average."""
    levels = cv2.GaussianBlur(grey, (0, 0), 1.0).astype(np.float32)
    surroundings = cv2.blur(levels, (max(levels.shape) // 4 | 1,) * 2, borderType=cv2.BORDER_REFLECT)
    relief = levels / np.maximum(surroundings, 1.0) - 1.0
    contrast_pct = 100 * float(relief.std())
    if contrast_pct < _MIN_CONTRAST_PCT:
        raise ScaleUnreadable("There are no lines in the picture: it has hardly any contrast.", remedy=_REMEDY)
    # Dirt is darker than any line and must not outweigh them.
    limit = 3 * float(relief.std())
    return np.asarray(np.clip(relief, -limit, limit), dtype=np.float32)


def _direction(relief: NDArray[np.float32]) -> float:
    """The angle across the lines in radians, from the structure tensor. Raises ``ScaleUnreadable`` if there is none."""
    smooth = cv2.GaussianBlur(relief, (0, 0), 1.5)
    along_x, along_y = cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
    xx, yy, xy = (float((a * b).mean()) for a, b in ((along_x, along_x), (along_y, along_y), (along_x, along_y)))
    coherence = math.hypot(xx - yy, 2 * xy) / max(xx + yy, 1e-12)
    if coherence < _MIN_COHERENCE:
        raise ScaleUnreadable("There are no parallel lines in the picture.", remedy=_REMEDY)
    return 0.5 * math.atan2(2 * xy, xx - yy)


def _refine(relief: NDArray[np.float32], angle: float) -> float:
    """The angle near ``angle`` for which the profile across the lines has the most contrast."""
    for step in (math.radians(0.5), math.radians(0.1), math.radians(0.02)):
        angles = angle + step * np.arange(-6, 7)
        angle = float(angles[int(np.argmax([_profile(relief, each).var() for each in angles]))])
    return angle


def _profile(relief: NDArray[np.float32], angle: float) -> Profile:
    """Mean of the picture along the lines, for each pixel across them. Ends with few pixels are left out."""
    height, width = relief.shape
    across = (np.arange(width, dtype=np.float32) * math.cos(angle))[None, :] + (
        np.arange(height, dtype=np.float32) * math.sin(angle)
    )[:, None]
    across -= across.min()
    whole = across.astype(np.int32)
    part = (across - whole).ravel()
    bins, weights = whole.ravel(), relief.ravel()
    size = int(bins.max()) + 2
    # Each pixel is shared between the two nearest bins, which keeps the places of lines exact below a pixel.
    count = np.bincount(bins, 1 - part, size) + np.bincount(bins + 1, part, size)
    total = np.bincount(bins, weights * (1 - part), size) + np.bincount(bins + 1, weights * part, size)
    enough = np.flatnonzero(count >= 0.25 * min(height, width))
    inside = slice(int(enough[0]), int(enough[-1]) + 1)
    return np.asarray(total[inside] / np.maximum(count[inside], 1e-6), dtype=np.float64)


def _first_period(profile: Profile) -> float:
    """The shortest distance at which the profile repeats itself. Raises ``ScaleUnreadable`` if it does not."""
    centred = profile - profile.mean()
    size = len(centred)
    spectrum = np.fft.rfft(centred, 2 * size)
    # Finer than a pixel: lines 4.5 px apart repeat at 9 px, but neither at 4 nor at 5.
    correlation = np.fft.irfft(np.abs(spectrum) ** 2, 2 * size * _FINER)[: size * _FINER]
    # Correct for the smaller overlap at large distances.
    correlation = correlation / np.maximum(size - np.arange(size * _FINER) / _FINER, 1)
    correlation = correlation[: size * _FINER // (MIN_LINES - 1)] / max(correlation[0], 1e-12)
    inner = correlation[1:-1]
    peaks = 1 + np.flatnonzero((inner > correlation[:-2]) & (inner >= correlation[2:]))
    # Neighbouring pixels resemble each other at distance 0 already.
    below = np.flatnonzero(correlation < 0.1)
    peaks = peaks[peaks > below[0]] if below.size else peaks[:0]
    if not peaks.size or correlation[peaks].max() < _MIN_CORRELATION:
        raise ScaleUnreadable("The picture has no lines at equal distances.", remedy=_REMEDY)
    # Longer lines at every fifth and tenth division make those distances repeat better than a single one.
    first = int(peaks[np.flatnonzero(correlation[peaks] >= 0.5 * correlation[peaks].max())[0]])
    if correlation[peaks[peaks < first]].max(initial=0.0) > _MAX_FINER_CORRELATION:
        raise _too_fine()
    period = (first + _vertex(correlation[first - 1 : first + 2])) / _FINER
    if period < MIN_PERIOD_PX:
        raise ScaleUnreadable(
            f"The lines are only {period:.1f} px apart, too close to be measured.",
            remedy="Use a micrometer with wider divisions, a higher magnification or the camera's full resolution.",
        )
    return period


def _require_finest(profile: Profile, period: float, heights: Profile) -> None:
    """Raise ``ScaleUnreadable`` if these are the long lines of a micrometer whose short ones are not resolved."""
    odd, even = heights[1::2], heights[::2]
    # Every fifth line is long and every tenth longer: if only those are seen, they alternate.
    alternate = len(heights) >= _MIN_ALTERNATING and any(
        np.quantile(longer, 0.2) > _ALTERNATION_RATIO * np.quantile(shorter, 0.8)
        for longer, shorter in ((odd, even), (even, odd))
    )
    if alternate or any(_is_divided(profile, period, parts) for parts in (2, 4, 5, 10)):
        raise _too_fine()


def _too_fine() -> ScaleUnreadable:
    return ScaleUnreadable(
        "There seem to be finer lines than can be measured.",
        remedy="Focus on the lines, and use a higher magnification or the camera's full resolution.",
    )


def _is_divided(profile: Profile, period: float, parts: int) -> bool:
    """Whether finer lines divide ``period``: that harmonic is then much stronger than its neighbours."""
    window = np.hanning(len(profile))
    phase = 2j * np.pi * np.arange(len(profile)) / period
    centred = (profile - profile.mean()) * window

    def strength(harmonic: int) -> float:
        return float(abs((centred * np.exp(-harmonic * phase)).sum()))

    neighbours = strength(1) if parts == 2 else max(strength(parts - 1), strength(parts + 1))
    # Lines as wide as their gaps have odd harmonics only, which fall off as 1 / n.
    return parts < period / 2 and strength(parts) > max(1.5 * neighbours, 1.2 / parts * strength(1))


def _lines(profile: Profile, period: float) -> tuple[Profile, Profile]:
    """Positions of the lines, in pixels along the profile, and their darkness. Raises ``ScaleUnreadable`` if few."""
    smooth = cv2.GaussianBlur(-profile[None, :], (0, 0), max(0.7, 0.08 * period))
    dark = np.asarray(smooth, dtype=np.float64).ravel()
    reach = max(1, int(0.35 * period))
    size = 2 * reach + 1
    highest = cv2.dilate(dark[None, :], np.ones((1, size), np.uint8)).ravel()
    places = np.flatnonzero(dark == highest)
    places = places[(places > reach) & (places < len(dark) - 1 - reach)]
    heights = dark[places] - cv2.erode(dark[None, :], np.ones((1, 2 * int(period) + 1), np.uint8)).ravel()[places]
    if places.size:
        clear = heights >= 0.35 * np.median(heights)
        places, heights = places[clear], heights[clear]
    if len(places) < MIN_LINES:
        raise ScaleUnreadable(
            f"Only {len(places)} lines of equal distance are in the picture; {MIN_LINES} are needed.", remedy=_REMEDY
        )
    return np.array([place + _vertex(dark[place - 1 : place + 2]) for place in places.tolist()]), heights


def _vertex(three: Profile) -> float:
    """Position of the peak of the parabola through three neighbouring values, relative to the middle one."""
    left, middle, right = three.tolist()
    curvature = left - 2 * middle + right
    return 0.0 if curvature >= 0 else float(np.clip(0.5 * (left - right) / curvature, -0.5, 0.5))


def _half_width(numbers: Profile, places: Profile, slope: float, start: float) -> float:
    """Half the width of the interval: three standard errors of the fit, or half of the difference of its two halves.

    The halves differ where the lens distorts or the micrometer is tilted, which the standard error does not show.
    """
    residuals = places - (slope * numbers + start)
    spread = float(((numbers - numbers.mean()) ** 2).sum())
    error = math.sqrt(float((residuals**2).sum()) / max(len(places) - 2, 1) / spread)
    middle = len(places) // 2
    halves = [
        float(np.polyfit(numbers[part], places[part], 1)[0])
        for part in (slice(None, middle + 1), slice(middle, None))
        if len(numbers[part]) >= 3
    ]
    apart = abs(halves[0] - halves[1]) / 2 if len(halves) == 2 else 0.0
    # Nothing is measured better than a thousandth here: resizing alone rounds the picture's sides.
    return max(3 * error, apart, 0.001 * slope)
