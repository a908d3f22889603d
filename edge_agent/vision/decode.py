"""Decodes image files to RGB arrays, and refuses those that must not or cannot be decoded."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.TiffImagePlugin import BITSPERSAMPLE, TiffImageFile

from edge_agent.errors import ImageError, ImageTooLarge, ImageUnsupported
from edge_agent.vision.jpeg import START_OF_IMAGE, decode_jpeg

# The caller's limit is checked against every header before a pixel is decoded. Pillow's own limit would refuse images
# below a limit that was raised on purpose.
Image.MAX_IMAGE_PIXELS = None

DEFAULT_MAX_PIXELS = 50_000_000
REDUCTIONS = (8, 4, 2, 1)

_TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_FORMATS_BUT_JPEG = ("PNG", "BMP", "TIFF", "WEBP")
# What Pillow's readers raise for damaged files, although only the first two are documented.
_PILLOW_ERRORS = (OSError, SyntaxError, EOFError, IndexError, KeyError, TypeError, ValueError, struct.error)
# 8 bytes of signature, 8 of the IHDR chunk's head, 4 of width, 4 of height.
_PNG_BIT_DEPTH_OFFSET = 24
_PLAIN_MODES = ("RGB", "L", "1", "P")
_WHY_NOT = {
    "CMYK": "it is CMYK, made for print",
    "RGBA": "it is partly transparent",
    "LA": "it is partly transparent",
    "PA": "it is partly transparent",
    "I;16": "it has 16 bits per channel",
    "I;16B": "it has 16 bits per channel",
    "I": "it has more than 8 bits per channel",
    "F": "its pixels are floating-point numbers",
}


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """The declared size of an image file, and whether it has an alpha channel."""

    width_px: int
    height_px: int
    has_alpha: bool


def read_header(data: bytes, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> ImageHeader:
    """Read the declared size and kind without decoding a pixel.

    Raises ``ImageTooLarge`` beyond ``max_pixels``, ``ImageUnsupported`` unless it is 8-bit RGB or greyscale,
    ``ImageError`` if it is not an image.
    """
    if not data:
        raise ImageError("The image is empty (0 bytes).")
    try:
        with _warnings_ignored(data), _open(data) as image:
            width, height = image.size
            mode = image.mode
            bits = _bits_per_channel(image, data)
    except _PILLOW_ERRORS as error:
        raise ImageError(f"The file cannot be read as an image ({len(data)} bytes).") from error
    if width * height > max_pixels:
        raise ImageTooLarge(
            f"The image has {width} x {height} px ({width * height / 1e6:.4g} megapixels); "
            f"the limit is {max_pixels / 1e6:g} megapixels."
        )
    if bits > 8:
        raise ImageUnsupported(f"The image is not 8-bit RGB: it has {bits} bits per channel.")
    has_alpha = mode in {"RGBA", "LA", "PA"}
    if mode not in _PLAIN_MODES and not has_alpha:
        raise ImageUnsupported(f"The image is not 8-bit RGB: {_WHY_NOT.get(mode, f'its mode is {mode}')}.")
    return ImageHeader(width, height, has_alpha)


@contextmanager
def _warnings_ignored(data: bytes) -> Iterator[None]:
    """Ignore warnings about damaged metadata, which is not used."""
    if data.startswith(START_OF_IMAGE):
        # Pillow gives none for a JPEG's header. ``catch_warnings`` acts on the whole process, and several threads read
        # the JPEGs of a live camera.
        yield
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _open(data: bytes) -> Image.Image:
    if data.startswith(START_OF_IMAGE):
        # ``Image.open`` would also read the index of additional images from a phone, and fail if that is damaged.
        return JpegImageFile(io.BytesIO(data))
    return Image.open(io.BytesIO(data), formats=_FORMATS_BUT_JPEG)


def _bits_per_channel(image: Image.Image, data: bytes) -> int:
    """Bits as declared in the file, since Pillow shows 16-bit colour as mode RGB. 8 for formats that have only 8."""
    if isinstance(image, TiffImageFile):
        return max(int(bits) for bits in image.tag_v2.get(BITSPERSAMPLE, (8,)))
    if image.format == "PNG":
        return data[_PNG_BIT_DEPTH_OFFSET]
    return 8


def decode_image(
    data: bytes,
    *,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    reduction: int = 1,
    header: ImageHeader | None = None,
) -> NDArray[np.uint8]:
    """Decode an image file to uint8 RGB of shape (h / reduction, w / reduction, 3): rounded up for a JPEG.

    ``reduction`` is 1, 2, 4 or 8; a JPEG is then decoded at that scale, which takes a fraction of the time. Greyscale
    becomes three equal channels. EXIF orientation is ignored: a smear has no right way up. Pass ``header`` if
    ``read_header`` has been called on the same bytes.

    Raises ``ImageError`` and its subclasses like ``read_header``, for real transparency, and for data that is cut short
    or damaged. Damage is detected if the format has a checksum (PNG) or the decoder fails (see ``decode_jpeg``); a
    changed byte in an uncompressed format is not.
    """
    header = header or read_header(data, max_pixels=max_pixels)
    if data.startswith(START_OF_IMAGE):
        array = decode_jpeg(data, height_px=header.height_px, width_px=header.width_px, reduction=reduction)
    else:
        array = _decode_other(data, header, reduction)
    for decoded_px, declared_px in zip(array.shape, (header.height_px, header.width_px), strict=False):
        if abs(decoded_px * reduction - declared_px) >= reduction:
            raise ImageError(
                f"The image does not have the declared size: {array.shape[1]} x {array.shape[0]} px at a scale of "
                f"1/{reduction}, not {header.width_px} x {header.height_px} px."
            )
    return array


def _decode_other(data: bytes, header: ImageHeader, reduction: int) -> NDArray[np.uint8]:
    if data.startswith(_TIFF_SIGNATURES):
        _check_tiff(data)
    buffer = np.frombuffer(data, np.uint8)
    try:
        if header.has_alpha:
            return _decode_opaque(buffer, reduction)
        flags = cv2.IMREAD_COLOR_RGB if reduction == 1 else _REDUCED_RGB[reduction]
        array = cv2.imdecode(buffer, flags | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        raise ImageError(f"The image cannot be decoded ({len(data)} bytes).") from error
    if array is None:
        raise _damaged(len(data))
    return np.asarray(array, dtype=np.uint8)


# OpenCV names only the BGR variants of the reduced flags; the RGB bit replaces the BGR bit.
_REDUCED_RGB = {
    2: cv2.IMREAD_REDUCED_COLOR_2 - cv2.IMREAD_COLOR_BGR + cv2.IMREAD_COLOR_RGB,
    4: cv2.IMREAD_REDUCED_COLOR_4 - cv2.IMREAD_COLOR_BGR + cv2.IMREAD_COLOR_RGB,
    8: cv2.IMREAD_REDUCED_COLOR_8 - cv2.IMREAD_COLOR_BGR + cv2.IMREAD_COLOR_RGB,
}


def _check_tiff(data: bytes) -> None:
    """Raise ``ImageError`` for what libtiff reports and OpenCV ignores: strips that cannot be decoded."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=("TIFF",)) as image:
                image.load()
    except _PILLOW_ERRORS as error:
        raise _damaged(len(data)) from error


def _damaged(size_bytes: int) -> ImageError:
    return ImageError(f"The image is damaged or cut short ({size_bytes} bytes).")


def _decode_opaque(buffer: NDArray[np.uint8], reduction: int) -> NDArray[np.uint8]:
    array = cv2.imdecode(buffer, cv2.IMREAD_UNCHANGED)
    if array is None:
        raise _damaged(buffer.size)
    if array.ndim != 3 or array.shape[2] != 4:
        raise ImageUnsupported("The image is not 8-bit RGB: its transparency cannot be read.")
    if array[..., 3].min() < 255:
        raise ImageUnsupported("The image is not 8-bit RGB: it is partly transparent.")
    rgb = cv2.cvtColor(array, cv2.COLOR_BGRA2RGB)
    if reduction > 1:
        rgb = cv2.resize(rgb, None, fx=1 / reduction, fy=1 / reduction, interpolation=cv2.INTER_AREA)
    return np.asarray(rgb, dtype=np.uint8)
