"""The collection of kept frames and their labels."""

from __future__ import annotations

from edge_agent.errors.base import EdgeAgentError


class CollectionError(EdgeAgentError):
    """The collection's folder cannot be read or written. Frames are not kept and counted; readings go on."""

    code = "collection_failed"
    remedy = "Check that collection.folder exists, that the agent may write to it, and that its disk works."


class CollectionFull(CollectionError):
    """The collection has reached its limit, and all its frames are labelled. New frames are not kept and counted."""

    code = "collection_full"
    remedy = "Export the collection and delete it, or raise collection.max_mib and collection.max_frames_count."


class CollectionBusy(CollectionError):
    """Frames came faster than the disk took them, so this one was not kept."""

    code = "collection_busy"
    remedy = "Try again; keep fewer frames or use a faster card if it happens often."


class CollectionEmpty(CollectionError):
    """There is nothing to export."""

    code = "collection_empty"
    remedy = "Label fields on the microscope page first, or export the unlabelled ones."


class FrameNotKept(CollectionError):
    """The frame is not in the collection, or too old to be kept on request."""

    code = "frame_not_kept"
    remedy = "Choose one of the last few readings, or a frame that is in the collection."


class LabelInvalid(CollectionError):
    """There is no such label set, label or queue, or nothing to undo."""

    code = "label_invalid"
    remedy = "Load the page again; the label sets are those of collection.label_sets in agent.toml."
