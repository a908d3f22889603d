"""A head: a linear classifier with its own familiarity, fitted at a site on the features of a bundle.

The bundle's network stays as it is. A head replaces only the answers of the network's last layer: labels, thresholds
and familiarity are those of the site.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from packaging.version import Version
from pydantic import ValidationError

import edge_agent
from edge_agent.contracts import HeadIdentity, HeadManifest, Signature
from edge_agent.errors import HeadError, HeadMismatch, HeadMissing
from edge_agent.inference.arrays import read_arrays
from edge_agent.inference.bundle import MODEL, Bundle
from edge_agent.inference.familiarity import Familiarity
from edge_agent.inference.features import FEATURES
from edge_agent.inference.model_files import (
    MAX_FILE_BYTES,
    MAX_MANIFEST_BYTES,
    FileRefused,
    read_file,
    read_signature,
)
from edge_agent.inference.signature import Trust, verify_signature

HEAD_MANIFEST = "head.json"
HEAD_ARRAYS = "head.npz"
_NAMES = ("weights", "bias", "familiarity_mean", "familiarity_whitening", "golden_logits", "golden_unfamiliarity")


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """A verified head.

    The logits of features x are ``weights @ x + bias``; they are divided by the temperature.
    """

    folder: Path
    manifest: HeadManifest
    sha256: str
    """SHA-256 of ``head.json``."""
    signature: Signature
    weights: NDArray[np.float32]
    """(classes, features)."""
    bias: NDArray[np.float32]
    """(classes,)."""
    familiarity: Familiarity
    """Familiarity by the first features: all those that have a weight in the distance."""
    golden_logits: NDArray[np.float32]
    """(n, classes): the logits of the bundle's golden fields."""
    golden_unfamiliarity: NDArray[np.float32]
    """(n,): the unfamiliarity scores of the same fields."""

    @property
    def identity(self) -> HeadIdentity:
        """The head's identity, as in every message."""
        manifest = self.manifest
        return HeadIdentity(name=manifest.name, version=manifest.version, sha256=self.sha256, signature=self.signature)

    def logits(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits (..., classes) of features (..., f)."""
        return np.asarray(features @ self.weights.T + self.bias, np.float32)

    def unfamiliarity(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Distances (...) of features (..., f) from those that the head was fitted to."""
        return self.familiarity.distances(features[..., : len(self.familiarity.mean)])


@dataclass(frozen=True, slots=True)
class HeadFolder:
    """A folder with a head whose files have been verified, but not yet against its bundle."""

    folder: Path
    manifest: HeadManifest
    sha256: str
    """SHA-256 of ``head.json``."""
    signature: Signature
    arrays: bytes = field(repr=False)
    """Content of ``head.npz``."""


def open_head(folder: Path, trust: Trust | None = None) -> HeadFolder:
    """Read and verify the files of the head in ``folder``. Without ``trust`` no signature is checked.

    Raises ``HeadMissing``, ``HeadError`` if it is damaged or needs a newer agent, and as ``verify_signature``.
    """
    missing = HeadMissing(f"There is no head in '{folder}'.")
    content = _read(folder, HEAD_MANIFEST, MAX_MANIFEST_BYTES, missing)
    vouched = Signature.UNSIGNED
    if trust is not None:
        try:
            signature = read_signature(folder)
        except FileRefused as error:
            raise HeadError(f"{folder}: {error}.") from error
        except OSError as error:
            raise missing from error
        # Verify the signature before parsing the content.
        vouched = verify_signature(content, signature, trust, f"Head '{folder.name}'")
    manifest = _parse(content, folder)
    arrays = b""
    for file, sha256 in manifest.files.items():
        data = _read(folder, file, MAX_FILE_BYTES, HeadError(f"Head '{manifest.name}' is missing {file}."))
        if hashlib.sha256(data).hexdigest() != sha256:
            raise HeadError(f"Head '{manifest.name}': {file} is not the file it was made with.")
        if file == HEAD_ARRAYS:
            arrays = data
    return HeadFolder(folder, manifest, hashlib.sha256(content).hexdigest(), vouched, arrays)


def load_head(folder: Path, bundle: Bundle, channels_count: int, trust: Trust | None = None) -> Head:
    """Load and verify the head in ``folder`` for ``bundle``, whose middle map has ``channels_count`` channels.

    Raises the errors of ``open_head``, and ``HeadMismatch`` if it is for another bundle or has other shapes.
    """
    opened = open_head(folder, trust)
    manifest = opened.manifest
    name = manifest.name
    if manifest.parent.sha256 != bundle.manifest.files[MODEL]:
        raise HeadMismatch(
            f"Head '{name}' was fitted on the bundle {manifest.parent.name} {manifest.parent.version}, whose model is "
            f"not that of {bundle.manifest.name} {bundle.manifest.version}."
        )
    arrays = _read_arrays(opened.arrays, manifest, channels_count)
    return Head(
        folder,
        manifest,
        opened.sha256,
        opened.signature,
        arrays["weights"],
        arrays["bias"],
        _familiarity(arrays["familiarity_mean"], arrays["familiarity_whitening"]),
        arrays["golden_logits"],
        arrays["golden_unfamiliarity"],
    )


def _familiarity(mean: NDArray[np.float32], whitening: NDArray[np.float32]) -> Familiarity:
    """Drop the last features if they have no weight: fetching zeros from memory takes longer than computing."""
    weighty = np.flatnonzero(whitening.any(axis=0) | whitening.any(axis=1))
    count = int(weighty[-1]) + 1 if len(weighty) else len(mean)
    return Familiarity(mean[:count], np.ascontiguousarray(whitening[:count, :count]))


def _parse(content: bytes, folder: Path) -> HeadManifest:
    try:
        manifest = HeadManifest.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole file"
        raise HeadError(f"{folder / HEAD_MANIFEST}: {where}: {first['msg']}.") from error
    # A pre-release has the features of its release.
    if Version(manifest.min_agent_version) > Version(Version(edge_agent.__version__).base_version):
        raise HeadError(
            f"Head '{manifest.name}' needs agent {manifest.min_agent_version}; this is {edge_agent.__version__}.",
            remedy="Update the agent, or fit the head again with this version.",
        )
    return manifest


def _read_arrays(content: bytes, manifest: HeadManifest, channels_count: int) -> dict[str, NDArray[np.float32]]:
    name = manifest.name
    kind = FEATURES.get(manifest.features)
    if kind is None:
        raise HeadMismatch(
            f"Head '{name}' needs features '{manifest.features}', unknown to this agent.", remedy="Update the agent."
        )
    try:
        arrays = read_arrays(content, _NAMES)
    except ValueError as error:
        raise HeadError(f"Head '{name}': {HEAD_ARRAYS} cannot be read: {error}.") from error
    size, classes = kind.size(channels_count), len(manifest.labels)
    cases = len(arrays["golden_unfamiliarity"]) if arrays["golden_unfamiliarity"].ndim == 1 else 0
    shapes = ((classes, size), (classes,), (size,), (size, size), (cases, classes), (cases,))
    for array_name, shape in zip(_NAMES, shapes, strict=True):
        array = arrays[array_name]
        if array.shape != shape or array.dtype != np.float32 or cases == 0:
            raise HeadMismatch(f"Head '{name}': {array_name} is {array.dtype} {array.shape}, not float32 {shape}.")
        if not np.isfinite(array).all():
            raise HeadMismatch(f"Head '{name}': {array_name} has numbers that are not finite.")
    return arrays


def _read(folder: Path, name: str, max_bytes: int, missing: HeadError) -> bytes:
    """Content of a file. Raises ``missing``, or ``HeadError`` if it is a link or larger than ``max_bytes``."""
    try:
        return read_file(folder, name, max_bytes)
    except FileRefused as error:
        raise HeadError(f"{folder}: {error}.") from error
    except (OSError, ValueError) as error:  # ValueError: a name that a file cannot have
        raise missing from error
