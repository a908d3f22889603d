"""The harness itself, without the package: a system that boots, a broker, and a camera that the kernel accepts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.system.box import Box
from tests.system.device import install_camera
from tests.system.image import Image
from tests.system.run import skip_unless_asked
from tests.system.timing import Clock
from tests.system.watch import Watch

skip_unless_asked()
pytestmark = [pytest.mark.system, pytest.mark.timeout(3600)]


@pytest.fixture
def bare_box(image: Image, box_folder: Path) -> Iterator[Box]:
    with Box(image, box_folder) as box:
        yield box


def test_a_box_boots_and_sees_the_pictures_of_its_camera(bare_box: Box, clock: Clock) -> None:
    clock.note("boot s", bare_box.boot())
    with Watch(bare_box.broker_port) as watch:
        assert watch.connected.wait(60)
    install_camera(bare_box)
    bare_box.ssh("udevadm wait --timeout=60 /dev/video0")
    assert "-video-index0" in bare_box.ssh("ls /dev/v4l/by-id")
    bare_box.ssh(
        "v4l2-ctl -d /dev/video0 --set-fmt-video=width=1280,height=960,pixelformat=MJPG "
        "--stream-mmap --stream-count=4 --stream-to=/root/frames"
    )
    raw = bytes.fromhex(bare_box.ssh("od -An -v -tx1 /root/frames"))
    starts = [at for at in range(len(raw)) if raw.startswith(b"\xff\xd8\xff\xfe", at)]
    assert len(starts) >= 3
    sources = [_decoded((bare_box.share / f"{number}.jpg").read_bytes()) for number in range(4)]
    for start, end in zip(starts, [*starts[1:], len(raw)], strict=True):
        picture = _decoded(raw[start:end])
        assert any(np.array_equal(picture, source) for source in sources)


def _decoded(jpeg: bytes) -> NDArray[Any]:
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    return picture
