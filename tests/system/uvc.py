"""A USB microscope camera that exists in software only, for the kernel's own UVC driver to find.

It speaks USB/IP with ``vhci-hcd`` over a pair of sockets, so neither network nor hardware is needed: the kernel sees a
new device on a port of a USB host, loads ``uvcvideo``, and udev makes ``/dev/video0`` and its name in
``/dev/v4l/by-id``. Pictures are sent as MJPEG over a bulk endpoint. Starting this program plugs the camera in; when it
ends, for whatever reason, the camera is unplugged.

It runs inside the box under test, on the distribution's Python, with only the standard library.

    uvc.py PICTURE.jpg [PICTURE.jpg ...]

Layouts are those of the USB 2.0 specification, chapter 9; of "USB Device Class Definition for Video Devices" 1.0; and
of the kernel's documentation of the USB/IP protocol.
"""

from __future__ import annotations

import argparse
import os
import select
import socket
import struct
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

VHCI = Path("/sys/devices/platform/vhci_hcd.0")
VENDOR_ID, PRODUCT_ID = 0x1D6B, 0x0102
SPEED_HIGH = 3
PORT_FREE = 4
"""Value in the column ``sta`` of vhci's table."""

MAX_PAYLOAD_BYTES = 16384
BULK_ENDPOINT = 0x81
STREAMING_INTERFACE = 1

TYPE_MASK, TYPE_STANDARD = 0x60, 0x00
"""Bits of ``bmRequestType``."""
DEVICE_TO_HOST = 0x80
CLASS_REQUESTS_TO_INTERFACE = {0x21, 0xA1}
PROBE_AND_COMMIT = {1, 2}
READ_AND_WRITE = b"\x03"

# USB/IP: a header of 20 bytes in network order, and 28 that depend on the command.
HEADER = struct.Struct(">IIIII")
SUBMIT = struct.Struct(">IiIII8s")
UNLINK = struct.Struct(">I24x")
SUBMIT_REPLY = struct.Struct(">IIIIIiIIII8x")
UNLINK_REPLY = struct.Struct(">IIIIIi24x")
COMMAND_SUBMIT, COMMAND_UNLINK, REPLY_SUBMIT, REPLY_UNLINK = 1, 2, 3, 4
STALLED, CONNECTION_RESET = -32, -104
DEVICE_ID = 0x10002


class Standard(IntEnum):
    """Values of ``bRequest`` from chapter 9."""

    GET_STATUS = 0
    CLEAR_FEATURE = 1
    GET_DESCRIPTOR = 6
    GET_CONFIGURATION = 8
    GET_INTERFACE = 10


class Kind(IntEnum):
    """Values of ``bDescriptorType``."""

    DEVICE = 1
    CONFIGURATION = 2
    STRING = 3
    INTERFACE = 4
    ENDPOINT = 5
    QUALIFIER = 6
    ASSOCIATION = 11
    CLASS = 0x24


class Video(IntEnum):
    """Values of ``bRequest`` for a video streaming interface."""

    SET_CUR = 0x01
    GET_CUR = 0x81
    GET_MIN = 0x82
    GET_MAX = 0x83
    GET_RES = 0x84
    GET_LEN = 0x85
    GET_INFO = 0x86
    GET_DEF = 0x87


SETUP = struct.Struct("<BBHHH")
NEGOTIATION = struct.Struct("<HBBIHHHHHII")
"""bmHint, format, frame, interval, key frame and P frame rate, quality, window, delay, frame and payload bytes."""

JPEG_START, JPEG_COMMENT = b"\xff\xd8", b"\xff\xfe"
JPEG_FRAME_HEADERS = range(0xC0, 0xC3)

STRINGS = {1: "Leukoscope", 2: "Simulated microscope camera", 3: "SIM0001"}


@dataclass(frozen=True, slots=True)
class Mode:
    """The one mode that the camera offers."""

    width_px: int
    height_px: int
    rate_hz: float
    max_frame_bytes: int

    @property
    def interval(self) -> int:
        """Time from frame to frame, in UVC's unit of 100 ns."""
        return round(1e7 / self.rate_hz)


def jpeg_size(picture: bytes) -> tuple[int, int]:
    """(width, height) of a baseline or progressive JPEG. Raises ``ValueError`` for anything else."""
    at = len(JPEG_START)
    while picture.startswith(JPEG_START) and at + 9 <= len(picture):
        marker, length = picture[at + 1], int.from_bytes(picture[at + 2 : at + 4], "big")
        if marker in JPEG_FRAME_HEADERS:
            height, width = struct.unpack_from(">HH", picture, at + 5)
            return width, height
        at += 2 + length
    raise ValueError("not a JPEG with a frame header")


def numbered(picture: bytes, number: int) -> bytes:
    """The same picture with its number in a comment: no two frames of a live camera have the same bytes."""
    text = f"frame {number}".encode()
    return JPEG_START + JPEG_COMMENT + struct.pack(">H", 2 + len(text)) + text + picture[len(JPEG_START) :]


def _descriptor(kind: Kind, body: bytes) -> bytes:
    return bytes([2 + len(body), kind]) + body


def _interface(number: int, endpoints: int, subclass: int) -> bytes:
    return _descriptor(Kind.INTERFACE, bytes([number, 0, endpoints, 0x0E, subclass, 0, 0]))


def device_descriptor() -> bytes:
    """A composite device with an interface association, as video devices are."""
    ids = struct.pack("<HHH", VENDOR_ID, PRODUCT_ID, 0x0100)
    return _descriptor(Kind.DEVICE, struct.pack("<HBBBB", 0x0200, 0xEF, 2, 1, 64) + ids + bytes([1, 2, 3, 1]))


def qualifier_descriptor() -> bytes:
    """The device at the other speed: the same."""
    return _descriptor(Kind.QUALIFIER, struct.pack("<HBBBBBB", 0x0200, 0xEF, 2, 1, 64, 1, 0))


def string_descriptor(index: int) -> bytes:
    """A string in UTF-16; index 0 is the list of languages, which is US English."""
    return _descriptor(
        Kind.STRING, struct.pack("<H", 0x0409) if index == 0 else STRINGS.get(index, "").encode("utf-16-le")
    )


def configuration_descriptor(mode: Mode) -> bytes:
    """Everything about the device's one configuration: a camera terminal, an output terminal, one MJPEG mode."""
    camera = _descriptor(Kind.CLASS, struct.pack("<BBHBBHHHBBBB", 2, 1, 0x0201, 0, 0, 0, 0, 0, 3, 0, 0, 0))
    output = _descriptor(Kind.CLASS, struct.pack("<BBHBBB", 3, 2, 0x0101, 0, 1, 0))
    control_bytes = 13 + len(camera) + len(output)
    control = _descriptor(
        Kind.CLASS, struct.pack("<BHHIBB", 1, 0x0100, control_bytes, 48_000_000, 1, STREAMING_INTERFACE)
    )
    encoding = _descriptor(Kind.CLASS, bytes([6, 1, 1, 1, 1, 0, 0, 0, 0]))
    bits_a_second = min(int(mode.max_frame_bytes * 8 * mode.rate_hz), 0xFFFFFFFF)
    size = _descriptor(
        Kind.CLASS,
        struct.pack(
            "<BBBHHIIIIBI",
            *(7, 1, 0, mode.width_px, mode.height_px, bits_a_second, bits_a_second),
            *(mode.max_frame_bytes, mode.interval, 1, mode.interval),
        ),
    )
    colours = _descriptor(Kind.CLASS, bytes([0x0D, 1, 1, 4]))
    streaming_bytes = 14 + len(encoding) + len(size) + len(colours)
    streaming = _descriptor(
        Kind.CLASS, struct.pack("<BBHBBBBBBBB", 1, 1, streaming_bytes, BULK_ENDPOINT, 0, 2, 0, 0, 0, 1, 0)
    )
    body = b"".join(
        [
            _descriptor(Kind.ASSOCIATION, bytes([0, 2, 0x0E, 3, 0, 0])),
            _interface(0, 0, 1) + control + camera + output,
            _interface(STREAMING_INTERFACE, 1, 2) + streaming + encoding + size + colours,
            _descriptor(Kind.ENDPOINT, struct.pack("<BBHB", BULK_ENDPOINT, 2, 512, 0)),
        ]
    )
    return _descriptor(Kind.CONFIGURATION, struct.pack("<HBBBBB", 9 + len(body), 2, 1, 0, 0x80, 250)) + body


@dataclass(slots=True)
class Stream:
    """Cuts pictures into the payloads of the bulk endpoint, at the pace of the mode."""

    pictures: Sequence[bytes]
    rate_hz: float
    _number: int = 0
    _rest: bytes = b""
    _toggle: int = 0
    _due_s: float = 0.0

    def restart(self) -> None:
        """Start with a whole frame at once: the host has set the stream up anew."""
        self._rest = b""
        self._due_s = time.monotonic()

    def wait_s(self) -> float:
        """Time until there is something to send. A frame that has begun is sent without a pause."""
        return 0.0 if self._rest else max(0.0, self._due_s - time.monotonic())

    def payload(self, most_bytes: int) -> bytes:
        """The next piece with its header: the frame's toggle bit, and whether the frame ends here."""
        if not self._rest:
            self._rest = numbered(self.pictures[self._number % len(self.pictures)], self._number)
        room = min(most_bytes, MAX_PAYLOAD_BYTES) - 2
        piece, self._rest = self._rest[:room], self._rest[room:]
        ends = not self._rest
        header = bytes([2, 0x80 | self._toggle | (0x02 if ends else 0)])
        if ends:
            self._toggle ^= 1
            self._number += 1
            # If the host was slow, keep the pace from now on instead of catching up in a burst.
            now_s = time.monotonic()
            self._due_s = max(self._due_s + 1 / self.rate_hz, now_s)
        return header + piece


@dataclass(slots=True)
class Camera:
    """Answers control requests; the pictures are sent by ``stream``."""

    mode: Mode
    stream: Stream

    def control(self, setup: bytes) -> bytes | None:
        """The answer to a request on endpoint 0, empty for a request that only sets; None stalls the endpoint.

        The host's data are never needed, because there is only one mode.
        """
        kind, request, value, index, length = SETUP.unpack(setup)
        if kind in CLASS_REQUESTS_TO_INTERFACE:
            found = self._streaming(request, value >> 8) if index & 0xFF == STREAMING_INTERFACE else None
        elif kind & TYPE_MASK == TYPE_STANDARD:
            found = self._standard(kind, request, value)
        else:
            found = None
        return None if found is None else found[:length]

    def _standard(self, kind: int, request: int, value: int) -> bytes | None:
        if request == Standard.GET_DESCRIPTOR and kind & DEVICE_TO_HOST:
            return self._describe(value >> 8, value & 0xFF)
        if request == Standard.CLEAR_FEATURE:
            # Clearing the endpoint's halt is how the host stops a bulk stream.
            self.stream.restart()
        answers: dict[int, bytes] = {
            Standard.GET_STATUS: b"\0\0",
            Standard.GET_CONFIGURATION: b"\1",
            Standard.GET_INTERFACE: b"\0",
        }
        return answers.get(request, b"")

    def _describe(self, kind: int, index: int) -> bytes | None:
        match kind:
            case Kind.DEVICE:
                return device_descriptor()
            case Kind.CONFIGURATION:
                return configuration_descriptor(self.mode)
            case Kind.STRING:
                return string_descriptor(index)
            case Kind.QUALIFIER:
                return qualifier_descriptor()
        return None

    def _streaming(self, request: int, selector: int) -> bytes | None:
        """Probe and commit: whatever the host proposes, the result is the one mode."""
        if selector not in PROBE_AND_COMMIT:
            return None
        match request:
            case Video.SET_CUR:
                self.stream.restart()
                return b""
            case Video.GET_CUR | Video.GET_MIN | Video.GET_MAX | Video.GET_RES | Video.GET_DEF:
                mode = self.mode
                return NEGOTIATION.pack(1, 1, 1, mode.interval, 0, 0, 0, 0, 0, mode.max_frame_bytes, MAX_PAYLOAD_BYTES)
            case Video.GET_LEN:
                return struct.pack("<H", NEGOTIATION.size)
            case Video.GET_INFO:
                return READ_AND_WRITE
        return None


class Cable:
    """Serves a camera over a socket to a USB/IP host, until the host disconnects."""

    def __init__(self, camera: Camera, end: socket.socket) -> None:
        self._camera = camera
        self._end = end
        self._waiting: deque[tuple[int, int]] = deque()
        """Sequence number and size of the bulk transfers that wait for a picture."""

    def serve(self) -> None:
        """Serve requests. Raises ``EOFError`` when the other end is closed."""
        while True:
            timeout_s = self._camera.stream.wait_s() if self._waiting else None
            readable, _, _ = select.select([self._end], [], [], timeout_s)
            if readable:
                self._take()
            elif self._waiting:
                sequence, length = self._waiting.popleft()
                self._reply(sequence, self._camera.stream.payload(length))

    def _take(self) -> None:
        command, sequence, _, to_host, endpoint = HEADER.unpack(self._receive(HEADER.size))
        body = self._receive(SUBMIT.size)
        if command == COMMAND_UNLINK:
            self._unlink(sequence, UNLINK.unpack(body)[0])
            return
        if command != COMMAND_SUBMIT:
            raise ValueError(f"USB/IP command {command} is not known")
        _, length, _, _, _, setup = SUBMIT.unpack(body)
        data = self._receive(length) if not to_host and length > 0 else b""
        if endpoint:
            self._waiting.append((sequence, length))
            return
        answer = self._camera.control(setup)
        if answer is None:
            self._reply(sequence, b"", status=STALLED)
        elif to_host:
            self._reply(sequence, answer)
        else:
            self._reply(sequence, b"", taken=len(data))

    def _unlink(self, sequence: int, victim: int) -> None:
        found = [waiting for waiting in self._waiting if waiting[0] == victim]
        for waiting in found:
            self._waiting.remove(waiting)
        status = CONNECTION_RESET if found else 0
        self._end.sendall(UNLINK_REPLY.pack(REPLY_UNLINK, sequence, 0, 0, 0, status))

    def _reply(self, sequence: int, data: bytes, *, status: int = 0, taken: int | None = None) -> None:
        actual = len(data) if taken is None else taken
        self._end.sendall(SUBMIT_REPLY.pack(REPLY_SUBMIT, sequence, 0, 0, 0, status, actual, 0, 0, 0) + data)

    def _receive(self, size: int) -> bytes:
        got = bytearray()
        while len(got) < size:
            piece = self._end.recv(size - len(got))
            if not piece:
                raise EOFError
            got += piece
        return bytes(got)


def plug_in(end: socket.socket) -> int:
    """Give the kernel one end of the cable; returns the number of the camera's port. Needs root."""
    subprocess.run(["modprobe", "vhci-hcd"], check=True)
    for line in (VHCI / "status").read_text().splitlines()[1:]:
        hub, port, state, *_ = line.split()
        if hub == "hs" and int(state) == PORT_FREE:
            attach = os.open(VHCI / "attach", os.O_WRONLY)
            try:
                os.write(attach, f"{int(port)} {end.fileno()} {DEVICE_ID} {SPEED_HIGH}".encode())
            finally:
                os.close(attach)
            return int(port)
    raise RuntimeError("vhci-hcd has no free high-speed port")


def camera_of(pictures: Sequence[bytes], rate_hz: float) -> Camera:
    """A camera that shows the pictures in turn. Raises ``ValueError`` unless all are JPEGs of one size."""
    sizes = {jpeg_size(picture) for picture in pictures}
    if len(sizes) != 1:
        raise ValueError(f"pictures of one size are needed, not of {sorted(sizes)}")
    width, height = sizes.pop()
    # The comment with the number takes a few more bytes.
    most = max(width * height * 2, *(len(picture) + 64 for picture in pictures))
    return Camera(Mode(width, height, rate_hz, most), Stream(pictures, rate_hz))


def main() -> None:
    """Plug the camera in and serve it."""
    parser = argparse.ArgumentParser(description="A simulated USB microscope camera. Ending it pulls the plug.")
    parser.add_argument("pictures", nargs="+", type=Path, metavar="PICTURE.jpg")
    parser.add_argument("--rate-hz", type=float, default=10.0)
    arguments = parser.parse_args()
    camera = camera_of([path.read_bytes() for path in arguments.pictures], arguments.rate_hz)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    port = plug_in(theirs)
    # The kernel keeps its own hold on the socket; with ours closed, the end of this process unplugs the cable.
    theirs.close()
    sys.stderr.write(f"plugged into port {port}: {camera.mode}\n")
    try:
        Cable(camera, ours).serve()
    except EOFError:
        sys.exit("the host let go of the camera")


if __name__ == "__main__":
    main()
