from __future__ import annotations

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from edge_agent.cameras.image_stack import pages_left_out
from edge_agent.errors import ImageError, ImageTooLarge, ImageUnsupported
from edge_agent.vision.decode import decode_image, read_header

Array = NDArray[np.uint8]


def encode(array: NDArray[np.generic], suffix: str, mode: str | None = None) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array, mode=None).convert(mode).save(buffer, suffix) if mode else Image.fromarray(array).save(
        buffer, suffix
    )
    return buffer.getvalue()


def png_bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that declares a huge size."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def jpeg_that_declares(width: int, height: int, smear: Array) -> bytes:
    """A small JPEG whose frame header is changed to declare another size."""
    data = bytearray(encode(smear, "JPEG"))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


@pytest.mark.parametrize("suffix", ["PNG", "BMP", "TIFF"])
def test_lossless_formats_come_out_as_they_went_in(suffix: str, smear: Array) -> None:
    assert (decode_image(encode(smear, suffix)) == smear).all()


def test_the_colour_order_is_rgb_at_every_reduction() -> None:
    card = np.zeros((256, 256, 3), np.uint8)
    card[:, :, 0] = 250
    data = encode(card, "JPEG")
    for reduction in (1, 2, 4, 8):
        array = decode_image(data, reduction=reduction)
        assert array.shape == (256 // reduction, 256 // reduction, 3)
        assert array[..., 0].min() > 240
        assert array[..., 2].max() < 10


def test_greyscale_and_palette_become_three_channels(smear: Array) -> None:
    assert decode_image(encode(smear, "PNG", "L")).shape == smear.shape
    assert decode_image(encode(smear, "PNG", "P")).shape == smear.shape


def test_orientation_tags_are_ignored(smear: Array) -> None:
    exif = Image.Exif()
    exif[274] = 6
    buffer = io.BytesIO()
    Image.fromarray(smear[:100]).save(buffer, "JPEG", exif=exif)
    assert decode_image(buffer.getvalue()).shape == (100, 224, 3)


@pytest.mark.parametrize("size", [(1, 1), (3, 2)])
def test_tiny_pictures_are_pictures(size: tuple[int, int]) -> None:
    assert decode_image(encode(np.zeros((*size, 3), np.uint8), "PNG")).shape == (*size, 3)


def test_a_bomb_is_refused_by_its_declared_size(smear: Array) -> None:
    for data in (png_bomb(60_000, 60_000), jpeg_that_declares(60_000, 60_000, smear)):
        with pytest.raises(ImageTooLarge, match="megapixels"):
            decode_image(data)


def test_the_limit_is_the_callers(smear: Array) -> None:
    data = encode(smear, "PNG")
    read_header(data, max_pixels=224 * 224)
    with pytest.raises(ImageTooLarge):
        read_header(data, max_pixels=224 * 224 - 1)


def test_what_is_not_8_bit_rgb_is_refused_by_name(smear: Array) -> None:
    wide = cv2.imencode(".png", smear.astype(np.uint16) * 257)[1].tobytes()
    wide_tiff = cv2.imencode(".tiff", smear.astype(np.uint16) * 257)[1].tobytes()
    wide_grey = cv2.imencode(".png", smear[..., 0].astype(np.uint16) * 257)[1].tobytes()
    for data in (wide, wide_tiff, wide_grey):
        with pytest.raises(ImageUnsupported, match="16 bits"):
            decode_image(data)
    with pytest.raises(ImageUnsupported, match="CMYK"):
        decode_image(encode(smear, "JPEG", "CMYK"))


def test_transparency_is_refused_unless_there_is_none(smear: Array) -> None:
    opaque = np.dstack([smear, np.full(smear.shape[:2], 255, np.uint8)])
    assert (decode_image(encode(opaque, "PNG")) == smear).all()
    glassy = opaque.copy()
    glassy[0, 0, 3] = 254
    with pytest.raises(ImageUnsupported, match="transparent"):
        decode_image(encode(glassy, "PNG"))


@pytest.mark.parametrize("suffix", ["JPEG", "PNG", "BMP", "TIFF", "WEBP"])
def test_a_picture_cut_off_anywhere_is_an_image_error(suffix: str, smear: Array) -> None:
    data = encode(smear, suffix)
    for kept in (0, 1, 10, 30, 100, len(data) // 2, len(data) * 9 // 10):
        with pytest.raises(ImageError):
            decode_image(data[:kept])


@given(st.binary(max_size=400))
def test_arbitrary_bytes_are_an_image_error_or_a_picture(data: bytes) -> None:
    try:
        array = decode_image(data)
    except ImageError:
        return
    assert array.dtype == np.uint8


@given(st.data())
def test_damage_never_escapes_as_another_error(data: st.DataObject) -> None:
    array = np.random.default_rng(3).integers(0, 255, (40, 40, 3), dtype=np.uint8)
    picture = bytearray(encode(array, data.draw(st.sampled_from(["JPEG", "PNG", "TIFF", "BMP", "WEBP"]))))
    for _ in range(data.draw(st.integers(1, 5))):
        picture[data.draw(st.integers(0, len(picture) - 1))] = data.draw(st.integers(0, 255))
    try:
        decode_image(bytes(picture), max_pixels=1_000_000)
    except ImageError:
        return


def test_reading_a_jpeg_does_not_touch_the_warnings_of_other_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[str] = []

    buffer = io.BytesIO()
    Image.new("RGB", (32, 24), (200, 180, 190)).save(buffer, "JPEG")
    with monkeypatch.context() as patch:
        patch.setattr("warnings.simplefilter", used.append)
        assert decode_image(buffer.getvalue()).shape == (24, 32, 3)
        assert pages_left_out(buffer.getvalue(), "1.jpg") is None
    assert used == []
