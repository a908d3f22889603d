"""Connects the fitting of heads with the device that it happens on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from packaging.version import Version

from edge_agent.adaptation.adaptation import FOLDER, Adaptation, Surroundings
from edge_agent.adaptation.fit_process import FitCancelled
from edge_agent.adaptation.installer import InstallEnded, install_apart
from edge_agent.agent.model_control import ModelControl
from edge_agent.collection.collection import Collection
from edge_agent.config import Config
from edge_agent.errors import ModelUnknown, UnsignedRefused
from edge_agent.events.recorder import EventRecorder
from edge_agent.rollout import ModelKind, ModelSettings, ModelStore


class OwnHeads:
    """The store of installed models, as far as fitting needs it."""

    def __init__(self, store: Callable[[], ModelStore], settings: Callable[[], ModelSettings]) -> None:
        """Both are others after a reload."""
        self._store = store
        self._settings = settings

    def require_allowed(self) -> None:
        """Raise ``UnsignedRefused`` if the configuration wants a signature, which a device cannot give."""
        if self._settings().unsigned == "never":
            raise UnsignedRefused(
                "A head that is fitted here has no signature, and models.unsigned is 'never'.",
                remedy="Export the labelled frames, and sign a head at a desk: 'trainer adapt --sign'.",
            )

    def next_version(self, name: str) -> str:
        """The version after the newest one that is installed."""
        try:
            place = self._store().locate(ModelKind.HEAD, name)
        except ModelUnknown:
            return "1.0.0"
        newest = Version(str(place).rpartition("-")[2])
        return f"{newest.major}.{newest.minor}.{newest.micro + 1}"

    def install_own(self, folder: Path) -> None:
        """Install the head in ``folder``. Raises ``AdaptationError`` or ``FitCancelled``."""
        try:
            install_apart(folder, self._store().folder, self._settings())
        except InstallEnded as error:
            raise FitCancelled from error


def make_adaptation(
    at_start: Config,
    config: Callable[[], Config],
    collection: Collection,
    models: ModelControl,
    events: EventRecorder,
) -> Adaptation:
    """What fits heads to the frames of ``collection``, not started.

    Its own settings and its folder are those ``at_start``; all else is of the ``config`` in force.
    """
    return Adaptation(
        at_start.adaptation,
        at_start.state.folder / FOLDER,
        collection,
        Surroundings(
            bundle=lambda: models.apply(config()).analysis.bundle,
            bundle_name=lambda: models.analyzer.model.name,
            reference=lambda: models.bundle_reference,
            proof=lambda: config().proof,
            site=lambda: config().device.site,
        ),
        OwnHeads(lambda: models.store, lambda: config().models),
        on_event=lambda kind, message, code: events.record(kind, message, code=code),
    )
