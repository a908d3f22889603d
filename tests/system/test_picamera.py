"""The package with the real picamera2 over the real libcamera, inside the unit's sandbox.

The camera is the one on the USB, which libcamera drives with its own ``uvcvideo`` handler: functions that only a Pi's
sensor and ISP have (exposure, gain, colour gains, scaling) are not tested here.
"""

from __future__ import annotations

from uuid import UUID

import pytest

from tests.system.configurations import PICAMERA_CONFIGURATION
from tests.system.device import Device
from tests.system.image import Image, Tell
from tests.system.libcamera import NotToBeHad, Parts, gather, install
from tests.system.run import skip_unless_asked
from tests.system.timing import Clock

skip_unless_asked()
pytestmark = [pytest.mark.system, pytest.mark.timeout(4 * 3600)]

RESULTS_COUNT = 10


@pytest.fixture
def parts(image: Image, tell: Tell) -> Parts:
    """The parts of picamera2 for the box."""
    try:
        return gather(image, tell)
    except NotToBeHad as error:
        pytest.skip(f"picamera2 not tried: {error}")


def test_picamera(parts: Parts, device: Device, clock: Clock) -> None:
    device.box.boot()
    device.box.ssh("systemctl stop leukoscope")
    with clock.time("libcamera installed"):
        install(device.box, parts)
    device.configure(PICAMERA_CONFIGURATION)
    with clock.time("from the start to a result") as began_s:
        device.box.ssh("systemctl start leukoscope")
        # This is libcamera's name for the camera's format; V4L2's name differs.
        result = device.watch.wait(
            "result through picamera2",
            lambda seen: seen.kind == "result" and seen.body["capture"]["pixel_format"] == "MJPEG",
            since_s=began_s,
        )
    device.watch.results(RESULTS_COUNT, since_s=result.at_s)
    session = UUID(result.body["session"])
    bodies = device.watch.results_of(session)
    assert not [body for body in bodies if body["outcome"] == "failed"]
    assert {(body["capture"]["width_px"], body["capture"]["height_px"]) for body in bodies} == {(1280, 960)}
    assert device.health(since_s=began_s, camera=True)
    assert device.unit("NRestarts")["NRestarts"] == "0"
    device.assert_nothing_lost()
