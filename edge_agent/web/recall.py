"""Recalls readings from before the start of the device, from the frames that its collection kept."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from edge_agent.collection.collection import Collection
from edge_agent.errors import EdgeAgentError
from edge_agent.vision.decode import decode_image
from edge_agent.web.history import KEPT_COUNT, ShownReading
from edge_agent.web.pictures import ReadingPicture, picture_of_frame


def recall(collection: Collection | None) -> Iterator[ShownReading]:
    """The newest kept readings, the oldest of them first, with the whole frame as their picture.

    A frame that was removed meanwhile, or cannot be decoded, is shown without a picture.
    """
    if collection is None:
        return
    try:
        kept = collection.recent(KEPT_COUNT)
    except EdgeAgentError:
        # The collection's own error says why, and the device shows it.
        return
    for frame in reversed(kept):
        yield ShownReading(frame.result, _picture(collection, frame.result.id), (), recalled=True)


def _picture(collection: Collection, item: UUID) -> ReadingPicture | None:
    try:
        rgb = decode_image(collection.picture(item))
    except EdgeAgentError:
        return None
    return picture_of_frame(rgb)
