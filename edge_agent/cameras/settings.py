"""The section ``[camera]``, one class for each ``kind``, and ``[capture]``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, PlainSerializer, model_validator
from pydantic_core import PydanticCustomError

from edge_agent.cameras.file_names import printable_name
from edge_agent.cameras.secret_url import SecretUrl
from edge_agent.cameras.smear import DEFAULT_UM_PER_PIXEL
from edge_agent.contracts.manifest import Slug
from edge_agent.settings import Settings

SmearLabel = Literal["benign", "early-pre-b", "pre-b", "pro-b"]
SmearStain = Literal["wright-giemsa", "blue"]


class _CameraSettings(Settings):
    """Settings of every camera."""

    id: Slug = Field(default="camera0", description="Name of the camera: one segment of its topics.")
    um_per_pixel: float | None = Field(
        default=None,
        gt=0,
        le=100,
        description="Size of one pixel of the captured frame in the specimen, in micrometres; null if unknown.",
    )


class SyntheticSettings(_CameraSettings):
    """Drawn smears, for demonstrations and tests. They mean nothing clinically."""

    kind: Literal["synthetic"] = Field(description="Drawn smears.")
    um_per_pixel: float = Field(
        default=DEFAULT_UM_PER_PIXEL, gt=0.02, le=5, description="Physical scale of the drawing, in micrometres."
    )
    labels: tuple[SmearLabel, ...] = Field(
        default=("benign", "early-pre-b", "pre-b", "pro-b"),
        min_length=1,
        description="Labels to draw, in random order.",
    )
    stain: SmearStain = Field(
        default="wright-giemsa",
        description="blue is another stain, of which no bundle knows anything: for learning how a head is fitted.",
    )
    seed: int = Field(default=0, ge=0, description="The same seed draws the same fields.")
    width_px: int = Field(default=640, ge=32, le=8192, description="Width of the frame.")
    height_px: int = Field(default=480, ge=32, le=8192, description="Height of the frame.")
    frame_rate_hz: float = Field(default=10.0, gt=0, le=1000, description="Frames a second.")
    frames_per_field_count: int = Field(
        default=20, ge=1, le=1_000_000, description="Number of frames for which the stage rests on a field."
    )
    bad_fields_ratio: float = Field(
        default=0.1, ge=0, le=1, description="Share of fields that are blurred, empty or over-exposed."
    )
    focus_sweep_um: float = Field(
        default=0.0,
        ge=0,
        le=20,
        description="While the stage rests on a field, the focus moves away by so much blur and back again; 0 leaves "
        "it sharp.",
    )


def _file_path(path: object) -> object:
    if isinstance(path, str | Path) and re.match(r"[A-Za-z][A-Za-z0-9+.\-]+:/", str(path)):
        # Never the address itself: it may carry a password.
        raise PydanticCustomError(
            "file_path", 'Needs a path on this device; for an address use url with kind = "stream"'
        )
    if isinstance(path, str) and "\0" in path:
        raise PydanticCustomError("file_path", "Contains a zero byte, which a path cannot have")
    return path


_FilePath = Annotated[
    Path, BeforeValidator(_file_path), PlainSerializer(printable_name, return_type=str, when_used="json")
]


class FolderSettings(_CameraSettings):
    """The images of a folder, or one image."""

    kind: Literal["folder"] = Field(description="Images from files.")
    path: _FilePath = Field(description="Folder, read with all its subfolders in the order of the names; or one file.")
    loop: bool = Field(default=False, description="Whether to start again after the last image.")
    max_file_mib: float = Field(default=64.0, gt=0, le=4096, description="Largest file that is read, in MiB.")


class VideoSettings(_CameraSettings):
    """A video file."""

    kind: Literal["video"] = Field(description="A video file.")
    path: _FilePath = Field(description="The file.")


class StreamSettings(_CameraSettings):
    """A network stream."""

    kind: Literal["stream"] = Field(description="A network stream.")
    url: SecretUrl = Field(
        description="Address, with user and password if needed; only scheme, host and port are ever shown."
    )
    open_timeout_s: float = Field(
        default=4.0, gt=0, le=300, description="Longest wait for the stream to begin; below capture.deadline_s."
    )
    read_timeout_s: float = Field(
        default=4.0, gt=0, le=300, description="Longest wait for data; below capture.deadline_s."
    )


class V4L2Settings(_CameraSettings):
    """A USB camera. Controls that are null stay as the driver sets them."""

    kind: Literal["v4l2"] = Field(description="A USB camera.")
    device: str = Field(
        default="auto",
        pattern=r"^(auto|/dev/.+)$",
        description="Path below /dev/v4l/by-id/ (which does not change), /dev/videoN, or auto for the only camera.",
    )
    width_px: int = Field(default=1280, ge=32, le=16384, description="Requested width.")
    height_px: int = Field(default=960, ge=32, le=16384, description="Requested height.")
    frame_rate_hz: float = Field(default=10.0, gt=0, le=1000, description="Requested frames per second.")
    exposure_us: float | None = Field(
        default=None, ge=100, le=10_000_000, description="Fixed exposure time; null leaves it automatic."
    )
    gain_steps: int | None = Field(default=None, ge=0, description="Fixed gain in the driver's own steps.")
    white_balance_k: float | None = Field(
        default=None, ge=1000, le=20_000, description="Fixed white balance; null leaves it automatic."
    )


class PiCameraSettings(_CameraSettings):
    """A camera on the Raspberry Pi's camera connector."""

    kind: Literal["picamera"] = Field(description="A Raspberry Pi camera.")
    index: int = Field(
        default=0, ge=0, le=15, description="Number of the camera in the output of 'rpicam-hello --list-cameras'."
    )
    width_px: int = Field(default=1280, ge=64, le=16384, description="Width of the frame, scaled by the ISP.")
    height_px: int = Field(default=960, ge=64, le=16384, description="Height of the frame, scaled by the ISP.")
    frame_rate_hz: float = Field(default=10.0, gt=0, le=1000, description="Frames a second.")
    exposure_us: int | None = Field(
        default=None, ge=1, le=200_000_000, description="Fixed exposure time; null leaves it automatic."
    )
    analogue_gain_ratio: float | None = Field(
        default=None, ge=1, le=64, description="Fixed sensor gain; null leaves it automatic."
    )
    colour_gains_ratio: tuple[Annotated[float, Field(gt=0, le=32)], Annotated[float, Field(gt=0, le=32)]] | None = (
        Field(default=None, description="Fixed white balance, red and blue; null leaves it automatic.")
    )
    wait_timeout_s: float = Field(
        default=4.0, gt=0, le=300, description="Longest wait for a frame; below capture.deadline_s."
    )

    @model_validator(mode="after")
    def _exposure_is_fixed_whole(self) -> Self:
        # If only one of them is fixed, the other drifts, and the brightness with it.
        if (self.exposure_us is None) != (self.analogue_gain_ratio is None):
            raise ValueError("needs exposure_us and analogue_gain_ratio together, or neither")
        return self


CameraSettings = Annotated[
    SyntheticSettings | FolderSettings | VideoSettings | StreamSettings | V4L2Settings | PiCameraSettings,
    Field(discriminator="kind"),
]
"""Any camera."""


class CapturePolicy(Settings):
    """How long the agent waits for a camera."""

    ordered: ClassVar = (("reopen_initial_s", "reopen_max_s"),)

    deadline_s: float = Field(
        default=5.0, gt=0, le=600, description="Longest wait for a camera to open or to deliver a frame."
    )
    reopen_initial_s: float = Field(
        default=0.5, gt=0, le=600, description="Wait before a failed camera is opened again; doubles each time."
    )
    reopen_max_s: float = Field(default=30.0, gt=0, le=3600, description="Longest such wait.")
    identical_frames_max: int = Field(
        default=5,
        ge=1,
        le=1000,
        description="Number of identical frames in a row after which a live camera counts as stuck.",
    )
