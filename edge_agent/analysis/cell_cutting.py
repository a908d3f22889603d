"""Cuts the cells of a field out of its frame, at the size that a cells bundle was trained on."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.analysis.extraction import ExtractedField
from edge_agent.analysis.reading import CutCell, FieldAnalysis
from edge_agent.cameras.frame import ColourOrder, Encoded, Pixels
from edge_agent.contracts import MAX_CELLS, Reason
from edge_agent.contracts.manifest import CellWindows
from edge_agent.vision.cell_windows import cut_window, reduce_areas
from edge_agent.vision.decode import REDUCTIONS, ImageHeader, decode_image
from edge_agent.vision.field import MAX_UPSCALING
from edge_agent.vision.red_cells import DIAMETER_UM

MAX_DECODED_PX = 2560 * 1920
"""Largest area of a frame that is decoded again for its cells: 15 MB as an array."""

ENOUGH_ENLARGED = 1.25
"""A window that has to be enlarged no more than this is not worth decoding the frame again."""


def cut_cells(
    extracted: ExtractedField, analysis: FieldAnalysis, windows: CellWindows, side_px: int
) -> tuple[CutCell, ...]:
    """The windows of ``side_px`` around the nuclei of a field, in the order of its nuclei; at most ``MAX_CELLS``.

    They are cut from the frame, not from the view, which may have fewer pixels than the windows need. A compressed
    frame that was decoded too coarsely is decoded again. Raises ``ImageError`` if damage shows then.
    """
    nuclei = analysis.segmentation.nuclei[:MAX_CELLS]
    height, width = analysis.segmentation.mask.shape
    found: list[CutCell] = [Reason.CELL_CUT if each.is_cut(height, width) else None for each in nuclei]
    chosen = [at for at, each in enumerate(found) if each is None][: windows.max_cells_count]
    scale = _um_per_pixel(extracted, analysis)
    refusal = _unfit(extracted, scale, windows, side_px)
    if refusal is not None or scale is None or not chosen:
        return tuple(refusal if at in chosen else each for at, each in enumerate(found))
    picture, order, reduction, to_reduce = _picture(extracted, scale, windows.window_um / side_px)
    view = extracted.view
    high = windows.window_um / (scale * reduction)
    size_px = high / view.pixel_aspect, high
    if len(chosen) * math.prod(size_px) * to_reduce**2 > picture.shape[0] * picture.shape[1]:
        # Reduce once for all windows, which may overlap.
        picture, to_reduce = reduce_areas(picture, to_reduce), 1
    for at in chosen:
        x, y = nuclei[at].centre_px
        y_px, x_px = view.to_frame(y, x)
        centre_px = x_px / reduction, y_px / reduction
        window = cut_window(picture, centre_px, size_px, side_px, reduction=to_reduce)
        if order is ColourOrder.BGR:
            window = np.asarray(cv2.cvtColor(window, cv2.COLOR_BGR2RGB), np.uint8)
        found[at] = window
    return tuple(found)


def fine_reduction(header: ImageHeader, um_per_pixel: float, wanted_um_per_pixel: float) -> int:
    """The largest scale-down at decoding that leaves windows fine enough, or the least that is allowed."""
    return _fine(_allowed(header), um_per_pixel, wanted_um_per_pixel)


def usual_reduction(header: ImageHeader, coarse: int) -> int:
    """The scale-down at decoding of a frame of unknown scale; ``coarse`` is the one that is enough to find its nuclei.

    Half of ``coarse`` is what windows need behind most objectives. Decoding once, a little finer, takes half the time
    of decoding twice; if the result is still too coarse, ``cut_cells`` decodes again.
    """
    return max(coarse // 2, min(_allowed(header)))


def _allowed(header: ImageHeader) -> list[int]:
    """The scale-downs that leave no more pixels than may be decoded for cells; the largest there is if none does."""
    pixels = header.height_px * header.width_px
    return [each for each in REDUCTIONS if pixels <= MAX_DECODED_PX * each * each] or [REDUCTIONS[0]]


def _fine(reductions: Sequence[int], um_per_pixel: float, wanted_um_per_pixel: float) -> int:
    """The largest of the reductions that leaves windows fine enough, or the smallest one."""
    fine = (each for each in reductions if um_per_pixel * each <= ENOUGH_ENLARGED * wanted_um_per_pixel)
    return max(fine, default=min(reductions))


def _um_per_pixel(extracted: ExtractedField, analysis: FieldAnalysis) -> float | None:
    """The size of a pixel of the frame; None if nothing is known about it.

    Where red cells lie in clumps, as in most fields that are full of blasts, their size is only guessed. A guess is no
    scale to measure by, but it is good enough for windows: their scale varied more in training than the guess errs.
    """
    known, guess_px = analysis.scale.um_per_pixel, analysis.red_cells.guess_px
    if known is not None or guess_px is None:
        return known
    return DIAMETER_UM / (guess_px * extracted.view.frame_px_per_px)


def _unfit(extracted: ExtractedField, scale: float | None, windows: CellWindows, side_px: int) -> Reason | None:
    """Why no window can be cut from this frame at the right size."""
    if scale is None:
        return Reason.SCALE_UNKNOWN
    frame_side_px = windows.window_um / scale
    if frame_side_px * MAX_UPSCALING < side_px:
        return Reason.FIELD_TOO_SMALL
    window = extracted.view.window
    # This also bounds the work, whatever scale was configured.
    return Reason.CELL_CUT if frame_side_px > min(window.height_px, window.width_px) else None


def _picture(
    extracted: ExtractedField, um_per_pixel: float, wanted_um_per_pixel: float
) -> tuple[NDArray[np.uint8], ColourOrder, int, int]:
    """The frame as uint8 (h, w, 3), its colour order, and the scale-down of its windows: in total, and still to do.

    The windows stay fine enough if possible. Scaling by whole pixels, of all of a frame or of each window, takes a
    fraction of the time of scaling by parts of pixels.
    """
    image, decoded = extracted.frame.image, extracted.decoded
    if isinstance(image, Pixels):
        reduction = _fine(REDUCTIONS, um_per_pixel, wanted_um_per_pixel)
        return image.array, image.order, reduction, reduction
    if decoded is None or not isinstance(image, Encoded):
        raise TypeError("the field of a compressed frame was extracted without keeping what was decoded")
    reduction = fine_reduction(decoded.header, um_per_pixel, wanted_um_per_pixel)
    if reduction >= decoded.reduction:
        return decoded.rgb, ColourOrder.RGB, decoded.reduction, 1
    return decode_image(image.data, reduction=reduction, header=decoded.header), ColourOrder.RGB, reduction, 1
