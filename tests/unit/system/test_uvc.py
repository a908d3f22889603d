from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from tests.system import uvc

GET_DEVICE = uvc.SETUP.pack(0x80, 6, 0x0100, 0, 18)
GET_CONFIGURATION = uvc.SETUP.pack(0x80, 6, 0x0200, 0, 4096)


def picture(level: int, width: int = 64, height: int = 48) -> bytes:
    done, encoded = cv2.imencode(".jpg", np.full((height, width, 3), level, np.uint8))
    assert done
    return encoded.tobytes()


class Host:
    """The kernel's side of the cable."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._sequence = 0

    def submit(self, endpoint: int, length: int, setup: bytes = bytes(8), *, to_host: bool = True) -> int:
        self._sequence += 1
        header = uvc.HEADER.pack(uvc.COMMAND_SUBMIT, self._sequence, uvc.DEVICE_ID, int(to_host), endpoint)
        self._end.sendall(header + uvc.SUBMIT.pack(0, length, 0, 0, 0, setup))
        return self._sequence

    def unlink(self, victim: int) -> None:
        self._sequence += 1
        header = uvc.HEADER.pack(uvc.COMMAND_UNLINK, self._sequence, uvc.DEVICE_ID, 0, 0)
        self._end.sendall(header + uvc.UNLINK.pack(victim))

    def reply(self) -> tuple[int, int, bytes]:
        """Sequence number, status and data of the reply."""
        header = self._end.recv(48, socket.MSG_WAITALL)
        command, sequence, _, _, _, status, actual = struct.unpack_from(">IIIIIiI", header)
        data = self._end.recv(actual, socket.MSG_WAITALL) if command == uvc.REPLY_SUBMIT and actual else b""
        return sequence, status, data

    def control(self, setup: bytes) -> tuple[int, bytes]:
        self.submit(0, 4096, setup)
        return self.reply()[1:]

    def frame(self) -> bytes:
        """One frame, put together from its payloads."""
        whole = b""
        while True:
            self.submit(1, uvc.MAX_PAYLOAD_BYTES)
            _, status, data = self.reply()
            assert status == 0
            assert data[0] == 2
            whole += data[2:]
            if data[1] & 0x02:
                return whole


@pytest.fixture
def host() -> Iterator[Host]:
    ours, theirs = socket.socketpair()

    def serve() -> None:
        # Pictures may still be on their way when the test ends.
        with contextlib.suppress(EOFError, ConnectionError):
            uvc.Cable(uvc.camera_of([picture(50), picture(200)], rate_hz=100), theirs).serve()

    thread = threading.Thread(target=serve)
    thread.start()
    yield Host(ours)
    ours.close()
    thread.join(10)
    theirs.close()


def test_each_descriptor_has_the_length_that_it_says(host: Host) -> None:
    status, device = host.control(GET_DEVICE)
    assert (status, len(device), device[0]) == (0, 18, 18)
    _, configuration = host.control(GET_CONFIGURATION)
    assert struct.unpack_from("<H", configuration, 2)[0] == len(configuration)
    at = 0
    while at < len(configuration):
        assert configuration[at] >= 2
        at += configuration[at]
    assert at == len(configuration)


def test_what_the_camera_does_not_know_is_refused(host: Host) -> None:
    status, _ = host.control(uvc.SETUP.pack(0xA1, uvc.Video.GET_CUR, 0x0100, 0, 26))
    assert status == uvc.STALLED


def test_frames_come_whole_in_turn_and_never_twice_the_same(host: Host) -> None:
    frames = [host.frame() for _ in range(4)]
    assert len(set(frames)) == 4
    decoded = [cv2.imdecode(np.frombuffer(frame, np.uint8), cv2.IMREAD_GRAYSCALE) for frame in frames]
    assert [round(float(np.mean(pixels))) for pixels in decoded if pixels is not None] == [50, 200, 50, 200]


def test_a_transfer_that_waits_can_be_taken_back(host: Host) -> None:
    host.frame()
    waiting = host.submit(1, uvc.MAX_PAYLOAD_BYTES)
    host.unlink(waiting)
    sequence, status, _ = host.reply()
    # Withdrawn, unless the picture was faster.
    assert (sequence, status) in {(waiting + 1, uvc.CONNECTION_RESET), (waiting, 0)}


def test_pictures_of_several_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="one size"):
        uvc.camera_of([picture(1), picture(1, width=32)], rate_hz=1)
