"""One image."""

from __future__ import annotations

from edge_agent.errors.base import EdgeAgentError


class ImageError(EdgeAgentError):
    """An image is damaged, cut short, or not an image at all. Its reading is ``failed``; the agent keeps running."""

    code = "image_unreadable"
    remedy = (
        "Open the file in an image viewer and copy it again if it is damaged. For a camera, check its cable and "
        "connection."
    )


class ImageMissing(ImageError):
    """There is no such file or folder, or no image in it."""

    code = "image_missing"
    remedy = "Check the path."


class ImageTooLarge(ImageError):
    """The image declares more pixels than ``analysis.max_image_megapixels``; it was refused before decoding."""

    code = "image_too_large"
    remedy = "Use a smaller image, or raise analysis.max_image_megapixels if you trust where the image comes from."


class ImageUnsupported(ImageError):
    """The image is readable but is not 8-bit RGB or greyscale, so its colours would have to be guessed."""

    code = "image_unsupported"
    remedy = "Convert it to 8-bit RGB without transparency."


class ScaleUnreadable(EdgeAgentError):
    """The scale of the pictures cannot be measured from what they show."""

    code = "scale_unreadable"
    remedy = "Focus on a thin part of a smear with single red cells, or on a stage micrometer, and try again."


class BackgroundMissing(EdgeAgentError):
    """A picture is packed with cells, so that its light cannot be measured."""

    code = "background_missing"
    remedy = "Move to a thinner part of the smear, or to an empty part of the slide."
