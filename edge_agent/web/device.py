"""The device as the microscope page uses it, and the parts of its state that the page shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol
from uuid import UUID

from pydantic import Field

from edge_agent.acquisition.frame_requests import FrameRequest
from edge_agent.adaptation.adaptation import Adaptation
from edge_agent.collection.collection import Collection
from edge_agent.contracts import ShadowMetrics, Signature
from edge_agent.contracts.base import Contract, UtcTime
from edge_agent.mqtt import Request
from edge_agent.specimens.archive import ReportArchive
from edge_agent.specimens.tally import Tally


class Problem(Contract):
    """Something that a person should know of or act on."""

    part: str = Field(description="Part of the device: camera, broker, spool, disk, ...")
    code: str
    message: str
    remedy: str | None


class HeadOption(Contract):
    """A head that can be chosen with its bundle."""

    name: str
    version: str
    reference: str = Field(description="What 'select-model' takes as head.")
    demonstration: bool
    provisional: bool
    signature: Signature


class ModelOption(Contract):
    """A bundle that can be chosen."""

    name: str
    version: str
    reference: str = Field(description="What 'select-model' takes as model.")
    demonstration: bool
    provisional: bool
    signature: Signature = Signature.SHIPPED
    heads: tuple[HeadOption, ...] = Field(default=(), description="Heads that were fitted on it.")


class ModelInUse(Contract):
    """What is read with, by the references of the options."""

    bundle: str
    head: str | None = None
    on_trial: bool = Field(default=False, description="Whether it goes back to the one before if it fails.")


class ShadowState(Contract):
    """The candidate that judges beside the model in use, or the one that did last."""

    figures: ShadowMetrics
    end: str | None = Field(description="Why it judges no longer: stopped, enough, failed or in_use; else null.")
    last_failure: str | None = Field(description="What went wrong last, if it has ended.")


class DeviceState(Contract):
    """The device at one moment, for the banners of the page."""

    device: str
    site: str
    software: str
    session: UUID
    at: UtcTime = Field(description="The device's clock, against which the age of a reading is counted.")
    paused: bool
    streaming: bool = Field(description="Whether frames come from the camera.")
    safe_mode: bool
    problems: tuple[Problem, ...]
    trigger: str = Field(description="continuous, settled or triggered.")
    stale_after_s: float | None = Field(
        description="Age from which the latest reading counts as old; null where readings come on request only."
    )
    readings_count: int
    waiting_count: int = Field(description="Messages that wait for the broker.")
    model: str | None
    model_version: str | None
    demonstration: bool
    provisional: bool
    in_use: ModelInUse | None = Field(default=None, description="Null in safe mode.")
    models: tuple[ModelOption, ...] = Field(description="The bundles that can be chosen.")
    quality_limits: dict[str, float] = Field(description="The limits of [quality], by their settings' names.")
    shadow: ShadowState | None = Field(default=None, description="Null if nothing was compared.")
    slide: Tally | None = Field(description="The open slide.")


class Device(Protocol):
    """The running agent, or the safe mode of one that could not start. Any thread may call it."""

    @property
    def collection(self) -> Collection | None:
        """The kept frames and their labels; None in safe mode."""
        ...

    @property
    def adaptation(self) -> Adaptation | None:
        """Fits heads to frames that were labelled here; None in safe mode."""
        ...

    @property
    def reports(self) -> ReportArchive:
        """The reports of finished slides."""
        ...

    @property
    def analysing(self) -> bool:
        """Whether a frame is being analysed at this moment: work that only shows something can wait."""
        ...

    def state(self) -> DeviceState:
        """The state now."""
        ...

    def submit(self, request: Request, reply: Callable[[bytes], None], *, by: str) -> None:
        """Carry out a command that ``by`` sent; ``reply`` gets the answer's JSON once, in any thread."""
        ...

    def record_failed_logins(self, count: int) -> None:
        """Wrong passwords or tokens were tried ``count`` times."""
        ...

    def look_on(self) -> FrameRequest:
        """See the frames that pass from now on. Raises ``AgentPaused``."""
        ...

    def look_away(self, request: FrameRequest) -> None:
        """End ``request``."""
        ...
