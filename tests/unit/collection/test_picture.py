from __future__ import annotations

import hashlib
import io

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from edge_agent.cameras.frame import ColourOrder, Encoded, Pixels, frame_now
from edge_agent.collection.picture import make_picture
from edge_agent.errors import ImageError
from edge_agent.vision.decode import decode_image


def encoded(array: NDArray[np.uint8], kind: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(array).save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize("order", ColourOrder)
def test_an_array_is_encoded_in_full_colour(smear: NDArray[np.uint8], order: ColourOrder) -> None:
    array = smear if order is ColourOrder.RGB else np.ascontiguousarray(smear[..., ::-1])
    data, about = make_picture(frame_now("camera0", Pixels(array, order)), max_pixels=10**7)
    error = np.abs(decode_image(data).astype(int) - smear)
    assert error.mean() < 2.5
    assert (about.width_px, about.height_px, about.size_bytes) == (224, 224, len(data))
    assert about.sha256 == hashlib.sha256(data).hexdigest()
    with Image.open(io.BytesIO(data)) as image:
        assert [component[1:3] for component in image.layer] == [(1, 1)] * 3  # type: ignore[attr-defined]  # not in Pillow's types


def test_a_view_of_an_array_is_encoded_too(smear: NDArray[np.uint8]) -> None:
    data, _ = make_picture(frame_now("camera0", Pixels(smear[:, ::-1], ColourOrder.RGB)), max_pixels=10**7)
    assert np.abs(decode_image(data).astype(int) - smear[:, ::-1]).mean() < 2.5


def test_the_exact_pixels_of_a_jpeg_stay(smear: NDArray[np.uint8]) -> None:
    original = encoded(smear, "JPEG")
    data, _ = make_picture(frame_now("camera0", Encoded(original)), max_pixels=10**7)
    assert np.array_equal(decode_image(data), decode_image(original))


def test_a_png_becomes_a_jpeg(smear: NDArray[np.uint8]) -> None:
    data, _ = make_picture(frame_now("camera0", Encoded(encoded(smear, "PNG"))), max_pixels=10**7)
    assert data.startswith(b"\xff\xd8")
    assert np.abs(decode_image(data).astype(int) - smear).mean() < 2.5


def test_a_jpeg_of_an_odd_form_is_encoded_again(smear: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_data: bytes) -> bytes:
        raise ValueError("odd")

    monkeypatch.setattr("edge_agent.collection.picture.strip_metadata", refuse)
    file = io.BytesIO()
    Image.fromarray(smear).save(file, "JPEG", comment=b"Patient Doe")
    data, _ = make_picture(frame_now("camera0", Encoded(file.getvalue())), max_pixels=10**7)
    assert b"Patient" not in data
    assert np.abs(decode_image(data).astype(int) - decode_image(file.getvalue())).mean() < 4


@pytest.mark.parametrize("image", [ImageError("gone."), Encoded(b"\xff\xd8\xff"), Encoded(b"text"), Encoded(b"")])
def test_what_cannot_be_read_is_not_kept(image: Encoded | ImageError) -> None:
    with pytest.raises(ImageError):
        make_picture(frame_now("camera0", image), max_pixels=10**7)


def test_grey_pictures_are_kept(smear: NDArray[np.uint8]) -> None:
    grey = np.asarray(cv2.cvtColor(smear, cv2.COLOR_RGB2GRAY), np.uint8)
    data, _ = make_picture(frame_now("camera0", Encoded(encoded(grey, "JPEG"))), max_pixels=10**7)
    assert decode_image(data).shape == (224, 224, 3)
