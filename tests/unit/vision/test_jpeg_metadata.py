"""A picture leaves the device without the metadata about who took it, where, and with what."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from PIL.ExifTags import IFD, Base

from edge_agent.vision.decode import decode_image
from edge_agent.vision.jpeg_metadata import strip_metadata

SECRETS = (b"Owner Ada", b"SN-4711", b"Patient Doe", b"thumbnail", b"a film after the picture")


def photograph(array: NDArray[np.uint8], **options: object) -> bytes:
    """Save an array as a phone would."""
    exif = Image.Exif()
    exif[Base.Artist] = "Owner Ada"
    exif.get_ifd(IFD.Exif)[Base.BodySerialNumber] = "SN-4711"
    file = io.BytesIO()
    Image.fromarray(array).save(
        file, "JPEG", quality=90, exif=exif, comment=b"Patient Doe", icc_profile=b"profile of SN-4711", **options
    )
    data = file.getvalue()
    xmp = b"http://ns.adobe.com/xap/1.0/\0<x>Patient Doe</x>"
    jfxx = b"JFXX\0\x10thumbnail"
    extra = b"".join(
        b"\xff" + bytes((marker,)) + (len(content) + 2).to_bytes(2, "big") + content
        for marker, content in ((0xE1, xmp), (0xE0, jfxx), (0xEC, b"Ducky SN-4711"))
    )
    return data[:2] + extra + data[2:] + b"a film after the picture"


@pytest.mark.parametrize(
    "options",
    [{}, {"progressive": True}, {"subsampling": 0}, {"restart_marker_blocks": 3}, {"keep_rgb": True}],
    ids=str,
)
def test_the_pixels_stay_and_nothing_else(smear: NDArray[np.uint8], options: dict[str, object]) -> None:
    data = photograph(smear, **options)
    assert all(secret in data for secret in SECRETS)
    stripped = strip_metadata(data)
    assert not [secret for secret in SECRETS if secret in stripped]
    assert np.array_equal(decode_image(stripped), decode_image(data))
    with Image.open(io.BytesIO(stripped)) as image:
        assert not image.getexif()
        assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density", "adobe", "adobe_transform"} | {
            "progressive",
            "progression",
        }


def test_grey_and_adobe_pictures_keep_their_colours(smear: NDArray[np.uint8]) -> None:
    for image in (Image.fromarray(smear).convert("L"), Image.fromarray(smear)):
        file = io.BytesIO()
        image.save(file, "JPEG", comment=b"Patient Doe")
        stripped = strip_metadata(file.getvalue())
        assert np.array_equal(decode_image(stripped), decode_image(file.getvalue()))


def test_a_thumbnail_within_the_jfif_header_is_removed(smear: NDArray[np.uint8]) -> None:
    file = io.BytesIO()
    Image.fromarray(smear).save(file, "JPEG")
    plain = file.getvalue()
    assert plain[6:11] == b"JFIF\0"
    data = plain[:4] + (16 + 12).to_bytes(2, "big") + plain[6:18] + b"\x02\x02" + b"thumbnail123" + plain[20:]
    assert strip_metadata(data) == strip_metadata(plain)


def test_what_was_stripped_once_stays_as_it_is(smear: NDArray[np.uint8]) -> None:
    once = strip_metadata(photograph(smear))
    assert strip_metadata(once) == once


def test_fill_bytes_before_a_marker_are_allowed(smear: NDArray[np.uint8]) -> None:
    file = io.BytesIO()
    Image.fromarray(smear).save(file, "JPEG")
    plain = file.getvalue()
    assert strip_metadata(plain[:2] + b"\xff\xff" + plain[2:-2] + b"\xff\xff\xff" + plain[-1:])[-2:] == b"\xff\xd9"


@pytest.fixture(scope="module")
def picture() -> bytes:
    array = np.random.default_rng(1).integers(0, 255, (16, 16, 3), np.uint8)
    return photograph(array)[: -len(SECRETS[-1])]


@given(st.data())
def test_a_picture_that_is_cut_short_is_refused(picture: bytes, data: st.DataObject) -> None:
    length = data.draw(st.integers(0, len(picture) - 1))
    with pytest.raises(ValueError, match=r"JPEG|marker|short"):
        strip_metadata(picture[:length])


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_become_a_whole_jpeg(tail: bytes) -> None:
    try:
        stripped = strip_metadata(b"\xff\xd8" + tail)
    except ValueError:
        return
    assert stripped.startswith(b"\xff\xd8")
    assert stripped.endswith(b"\xff\xd9")
