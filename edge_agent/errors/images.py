"""One picture."""

from __future__ import annotations

from edge_agent.errors.base import EdgeAgentError


class ImageError(EdgeAgentError):
    """The bytes of one picture cannot be read as a picture. Its reading is ``failed``; the agent goes on."""

    code = "image_unreadable"
    remedy = "Check that the file is complete and really is an image."


class ImageTooLarge(ImageError):
    """The picture declares more pixels than the limit; it was refused before decoding."""

    code = "image_too_large"
    remedy = "Send a smaller picture, or raise analysis.max_image_megapixels if you trust its origin."


class ImageUnsupported(ImageError):
    """The picture is readable but is not 8-bit RGB or greyscale, so its colours would have to be guessed."""

    code = "image_unsupported"
    remedy = "Convert it to 8-bit RGB without transparency."
