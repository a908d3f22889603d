"""An incomplete image is never judged, and no complete image is refused."""

from __future__ import annotations

import io
import re
import warnings
from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from edge_agent.cameras.smear import draw_smear
from edge_agent.errors import ImageError, ImageTooLarge
from edge_agent.vision.decode import ImageHeader, decode_image, read_header

Array = NDArray[np.uint8]

END = b"\xff\xd9"
SMEAR, _ = draw_smear(np.random.default_rng(7), "pre-b", size_px=(96, 128))


def jpeg(array: Array = SMEAR, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def tiff(compression: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(SMEAR).save(buffer, "TIFF", compression=compression)
    return buffer.getvalue()


KINDS = {
    "baseline": jpeg(),
    "progressive": jpeg(progressive=True),
    "no subsampling": jpeg(subsampling=0, quality=95),
    "grey": jpeg(np.ascontiguousarray(SMEAR[..., 0])),
    "restart markers": jpeg(restart_marker_blocks=4),
}
SCAN = {name: data.index(b"\xff\xda") + 14 for name, data in KINDS.items()}
"""Offset by which the entropy-coded data of each has certainly begun."""

kinds = st.sampled_from(list(KINDS))
reductions = st.sampled_from([1, 2, 4, 8])


@given(kinds, reductions, st.data())
def test_a_jpeg_cut_at_any_byte_is_refused(kind: str, reduction: int, data: st.DataObject) -> None:
    whole = KINDS[kind]
    kept = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(ImageError):
        decode_image(whole[:kept], reduction=reduction)


@given(st.sampled_from(["baseline", "no subsampling", "grey", "restart markers"]), reductions, st.data())
def test_an_end_marker_does_not_make_a_cut_jpeg_whole(kind: str, reduction: int, data: st.DataObject) -> None:
    whole = KINDS[kind]
    # A file cut in the last few bytes may have all its blocks. A progressive JPEG may end after any of its scans.
    kept = data.draw(st.integers(SCAN[kind], len(whole) - 32))
    with pytest.raises(ImageError, match="damaged or cut short"):
        decode_image(whole[:kept] + END, reduction=reduction)


@given(kinds, reductions, st.binary(max_size=300))
def test_whatever_follows_the_end_of_a_jpeg_is_ignored(kind: str, reduction: int, appended: bytes) -> None:
    whole = KINDS[kind]
    assert (decode_image(whole + appended, reduction=reduction) == decode_image(whole, reduction=reduction)).all()


@pytest.mark.parametrize(
    "appended",
    [
        b"\0\0\0\x18ftypmp42" + bytes(range(256)) * 4000,
        jpeg(SMEAR[:32, :32]),
        bytes(100_000),
        b"\xff" * 5000,
        jpeg()[:200],
    ],
    ids=["a film of a megabyte", "a second image", "zeros", "fill bytes", "a second image cut short"],
)
@pytest.mark.parametrize("kind", KINDS)
def test_a_phones_and_a_cameras_additions_are_no_damage(kind: str, appended: bytes) -> None:
    assert (decode_image(KINDS[kind] + appended) == decode_image(KINDS[kind])).all()


def several_images() -> bytes:
    """A multi-picture file, as phones and stereo cameras write it: an index in the first image, others behind it."""
    buffer = io.BytesIO()
    Image.fromarray(SMEAR).save(buffer, "MPO", save_all=True, append_images=[Image.fromarray(SMEAR[:48, :64])])
    return buffer.getvalue()


def test_the_first_of_several_images_is_read() -> None:
    data = several_images()
    assert b"MPF\0" in data
    assert decode_image(data).shape == SMEAR.shape


@given(st.binary(min_size=60, max_size=60))
def test_a_damaged_index_of_further_images_is_no_damage_to_the_first(index: bytes) -> None:
    data = several_images()
    at = data.index(b"MPF\0") + 4
    assert decode_image(data[:at] + index + data[at + len(index) :]).shape == SMEAR.shape


@pytest.mark.parametrize("kind", ["PNG", "BMP", "WEBP", "TIFF"])
@pytest.mark.parametrize("appended", [bytes(5000), bytes(range(256)) * 20], ids=["zeros", "all bytes"])
def test_whatever_follows_another_format_is_ignored(kind: str, appended: bytes) -> None:
    buffer = io.BytesIO()
    Image.fromarray(SMEAR).save(buffer, kind)
    assert (decode_image(buffer.getvalue() + appended) == decode_image(buffer.getvalue())).all()


@pytest.mark.parametrize("size", [256, 512])
@pytest.mark.parametrize("fill", ["nothing", "zeros", "ones", "noise"])
def test_a_jpeg_with_a_hole_or_with_rubbish_inside_is_refused(fill: str, size: int) -> None:
    """Not every time: by chance, what is left may be a valid JPEG that ends where it should."""
    field, _ = draw_smear(np.random.default_rng(7), "pre-b", size_px=(480, 640))
    whole = jpeg(field)
    middle = {
        "nothing": b"",
        "zeros": bytes(size),
        "ones": b"\xff" * size,
        "noise": np.random.default_rng(1).bytes(size),
    }
    places = np.linspace(whole.index(b"\xff\xda") + 14, len(whole) - size - 32, 60).astype(int)
    refused = 0
    for at in places:
        try:
            decode_image(whole[:at] + middle[fill] + whole[at + size :], reduction=2)
        except ImageError:
            refused += 1
    assert refused >= 0.95 * len(places)


def test_the_upper_half_of_one_image_on_the_lower_half_of_another_is_refused() -> None:
    other, _ = draw_smear(np.random.default_rng(8), "benign", size_px=SMEAR.shape[:2])
    one, two = jpeg(), jpeg(other)
    torn = one[: len(one) // 2] + two[len(two) // 2 :]
    with pytest.raises(ImageError, match="damaged or cut short"):
        decode_image(torn)


def with_surplus_bytes(whole: bytes, surplus: bytes) -> bytes:
    """A JPEG like the frames of Logitech's C270: a few bytes too many before each restart marker."""
    scan = whole.index(b"\xff\xda")
    borders = [0, *(scan + found.start() for found in re.finditer(rb"\xff[\xd0-\xd7]", whole[scan:])), len(whole) - 2]
    parts = [whole[begin:end] for begin, end in pairwise(borders)]
    return surplus.join(parts) + whole[-2:]


@pytest.mark.parametrize("surplus", [b"\0", b"\0\1", b"\x55\xaa"])
def test_the_surplus_bytes_of_some_webcams_are_no_damage(surplus: bytes) -> None:
    whole = jpeg(SMEAR, restart_marker_rows=1)
    padded = with_surplus_bytes(whole, surplus)
    assert padded != whole
    assert (decode_image(padded) == decode_image(whole)).all()


@pytest.mark.parametrize("reduction", [1, 2, 4, 8])
@pytest.mark.parametrize("kind", KINDS)
def test_whole_jpegs_have_the_pixels_that_opencv_gives_them(kind: str, reduction: int) -> None:
    """Bundles were trained, and their limits set, on OpenCV's."""
    flags = {
        1: cv2.IMREAD_COLOR,
        2: cv2.IMREAD_REDUCED_COLOR_2,
        4: cv2.IMREAD_REDUCED_COLOR_4,
        8: cv2.IMREAD_REDUCED_COLOR_8,
    }
    bgr = cv2.imdecode(np.frombuffer(KINDS[kind], np.uint8), flags[reduction])
    assert bgr is not None
    assert (decode_image(KINDS[kind], reduction=reduction) == bgr[..., ::-1]).all()


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("size", [(96, 130), (98, 128), (192, 256), (48, 64)])
def test_an_image_that_is_not_of_the_declared_size_is_refused(kind: str, size: tuple[int, int]) -> None:
    """Where its field lies was worked out on the declared size."""
    buffer = io.BytesIO()
    Image.fromarray(SMEAR).save(buffer, kind)
    with pytest.raises(ImageError, match="declared size"):
        decode_image(buffer.getvalue(), header=ImageHeader(width_px=size[1], height_px=size[0], has_alpha=False))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "BMP"])
def test_odd_sizes_are_whole_at_every_reduction(kind: str) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(SMEAR[:93, :127])).save(buffer, kind)
    for reduction in (1, 2, 4, 8):
        height, width = decode_image(buffer.getvalue(), reduction=reduction).shape[:2]
        assert (height, width) in {(93 // reduction, 127 // reduction), (-(-93 // reduction), -(-127 // reduction))}


def test_a_tiff_whose_strips_do_not_decode_is_refused() -> None:
    whole = tiff("tiff_lzw")
    for at in range(1000, len(whole) - 2000, 1777):
        with pytest.raises(ImageError, match="damaged or cut short"):
            decode_image(whole[:at] + bytes(400) + whole[at + 400 :])


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_a_whole_tiff_is_read_as_it_was_written(compression: str) -> None:
    assert (decode_image(tiff(compression)) == SMEAR).all()


def huge(megapixels: int) -> bytes:
    """A PNG of a few kilobytes with this many pixels."""
    buffer = io.BytesIO()
    Image.new("1", (10_000, megapixels * 100)).save(buffer, "PNG")
    return buffer.getvalue()


def test_the_limit_of_the_caller_is_the_only_one() -> None:
    """Pillow's own limits, 89 megapixels for a warning and 179 for an error, lie below what may be configured."""
    data = huge(200)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        header = read_header(data, max_pixels=200_000_000)
        assert header.width_px * header.height_px == 200_000_000
        with pytest.raises(
            ImageTooLarge, match=r"10000 x 20000 px \(200 megapixels\); the limit is 150 megapixels"
        ) as e:
            read_header(data, max_pixels=150_000_000)
    assert "analysis.max_image_megapixels" in e.value.remedy
