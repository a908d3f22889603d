"""Removes the metadata of a JPEG: who took it, where, and with what. The pixels stay as they are.

The segments have the format of ITU-T T.81, annex B.
"""

from __future__ import annotations

from edge_agent.vision.jpeg import START_OF_IMAGE

_END_OF_IMAGE = b"\xff\xd9"
_MARKER = 0xFF
_STUFFED = 0x00
_RESTARTS = range(0xD0, 0xD8)
_STANDALONE = {0x01, *_RESTARTS}
_SOS, _EOI, _JFIF, _ADOBE, _COMMENT = 0xDA, 0xD9, 0xE0, 0xEE, 0xFE
_APPLICATION = range(0xE0, 0xF0)
_JFIF_BYTES, _ADOBE_BYTES = 14, 12
"""Length of what these two segments say about the pixels: density, and the transform of the colours."""


def strip_metadata(data: bytes) -> bytes:
    """The same compressed picture without EXIF, XMP, ICC profile, comments, thumbnails and anything after its end.

    Of the application segments only the heads of JFIF and Adobe stay, since decoders take the colours from them. Raises
    ``ValueError`` if ``data`` does not have the form of a whole JPEG.
    """
    if not data.startswith(START_OF_IMAGE):
        raise ValueError("not a JPEG")
    kept = bytearray(START_OF_IMAGE)
    at = len(START_OF_IMAGE)
    while True:
        at, marker = _next_marker(data, at)
        if marker == _EOI:
            return bytes(kept + _END_OF_IMAGE)
        if marker in _STANDALONE:
            kept += bytes((_MARKER, marker))
            continue
        end = at + int.from_bytes(data[at : at + 2], "big")
        if end < at + 2 or end > len(data):
            raise ValueError("a segment is cut short")
        content = _harmless(marker, data[at + 2 : end])
        if content is not None:
            kept += bytes((_MARKER, marker)) + (len(content) + 2).to_bytes(2, "big") + content
        at = end
        if marker == _SOS:
            end = _end_of_scan(data, at)
            kept += data[at:end]
            at = end


def _next_marker(data: bytes, at: int) -> tuple[int, int]:
    """The marker at or after ``at``, and the offset just after it. Fill bytes before the marker are skipped."""
    if data[at : at + 1] != bytes((_MARKER,)):
        raise ValueError("no marker where one is due")
    while at < len(data) and data[at] == _MARKER:
        at += 1
    if at >= len(data) or data[at] == _STUFFED:
        raise ValueError("no marker where one is due")
    return at + 1, data[at]


def _harmless(marker: int, content: bytes) -> bytes | None:
    """The part of a segment that may stay; None if nothing may."""
    if marker == _JFIF and content.startswith(b"JFIF\0") and len(content) >= _JFIF_BYTES:
        # Without its thumbnail.
        return content[: _JFIF_BYTES - 2] + b"\0\0"
    if marker == _ADOBE and content.startswith(b"Adobe") and len(content) >= _ADOBE_BYTES:
        return content[:_ADOBE_BYTES]
    if marker == _COMMENT or marker in _APPLICATION:
        return None
    return content


def _end_of_scan(data: bytes, at: int) -> int:
    """The end of the entropy-coded data from ``at`` on: the next marker that is not a restart."""
    while True:
        at = data.find(_MARKER, at)
        if at < 0 or at + 1 >= len(data):
            raise ValueError("the picture is cut short")
        if data[at + 1] == _MARKER:
            at += 1
        elif data[at + 1] == _STUFFED or data[at + 1] in _RESTARTS:
            at += 2
        else:
            return at
