"""The bundles and heads that are installed on this device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_agent.contracts import HeadManifest, Manifest, Signature
from edge_agent.contracts.rollout import ModelKind
from edge_agent.errors import EdgeAgentError
from edge_agent.rollout.settings import ModelSettings, Origin

FOLDER = "models"
"""Of the state folder."""


@dataclass(frozen=True, slots=True)
class InstalledModel:
    """A bundle or head that can be used on this device."""

    kind: ModelKind
    reference: str
    """What activates it: the name of a shipped bundle, else NAME@VERSION."""
    folder: Path
    manifest: Manifest | HeadManifest
    sha256: str
    """Of manifest.json or head.json, which name the hash of every other file."""
    model_sha256: str
    """Of model.tflite: the bundle's own, or of the bundle that the head fits."""
    signature: Signature


@dataclass(frozen=True, slots=True)
class DamagedModel:
    """A folder in the place of an installed model that cannot be used."""

    kind: ModelKind
    folder: Path
    error: EdgeAgentError


class ModelStore:
    """``models/bundles`` and ``models/heads`` of the state folder, with one folder NAME-VERSION for each.

    The agent and commands use it at the same time without waiting for each other: a model appears by one rename, and
    nothing in its folder changes afterwards. The methods raise ``ModelStoreError`` if the folder cannot be used.
    """

    def __init__(self, folder: Path, settings: ModelSettings) -> None:
        """``folder`` is ``FOLDER`` in the state folder; it need not exist."""

    def installed(self) -> tuple[InstalledModel, ...]:
        """Shipped bundles, then installed bundles and heads, each by name and version. Reads every file."""
        raise NotImplementedError

    def damaged(self) -> tuple[DamagedModel, ...]:
        """What is in the store and cannot be used, and why."""
        raise NotImplementedError

    def find(self, kind: ModelKind, reference: str) -> InstalledModel:
        """The model that NAME or NAME@VERSION means.

        A NAME without a version is the shipped bundle of that name, else the newest installed one. Raises
        ``ModelUnknown``, or the ``BundleError`` for which it cannot be used.
        """
        raise NotImplementedError

    def install(self, source: Path, origin: Origin = Origin.LOCAL) -> InstalledModel:
        """Install the bundle or head in a folder or zip file, once it has been verified; nothing is activated.

        It is copied into a temporary folder here, verified there down to its golden outputs, written to the disk, and
        appears by one rename. If it is installed already, nothing happens. Raises ``ModelArchiveInvalid``,
        ``BundleError``, ``ModelConflict`` for other content of the same name and version, ``ModelStoreFull``,
        ``DiskLow``, ``DiskFull``, ``RuntimeMissing``.
        """
        raise NotImplementedError

    def remove(self, model: InstalledModel, in_use: Sequence[str]) -> None:
        """Delete an installed model. Raises ``ModelInUse`` for references ``in_use`` and for shipped bundles."""
        raise NotImplementedError

    def clean(self) -> int:
        """Delete what killed installations left, at the start of the agent. Returns how many there were."""
        raise NotImplementedError
