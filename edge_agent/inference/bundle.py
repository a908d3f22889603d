"""Loads a bundle and verifies every file against its manifest."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from packaging.version import Version
from pydantic import ValidationError

import edge_agent
from edge_agent.contracts import BundleKind, Manifest, Signature
from edge_agent.errors import (
    BundleError,
    BundleFileMissing,
    BundleHashMismatch,
    BundleMissing,
    BundleUnsupported,
    BundleWrongKind,
)
from edge_agent.inference.arrays import read_arrays
from edge_agent.inference.model_files import (
    MAX_FOLDER_BYTES,
    MAX_MANIFEST_BYTES,
    FileRefused,
    max_bytes_of,
    read_file,
    read_signature,
)
from edge_agent.inference.signature import Trust, verify_signature
from edge_agent.vision.preprocessing import DENOISERS, PREPROCESSINGS, WINDOW_PREPROCESSINGS

MANIFEST = "manifest.json"
MODEL = "model.tflite"
EDGE_TPU_MODEL = "model_edgetpu.tflite"
"""The model as the Edge TPU's compiler translates it; few bundles have it."""
GOLDEN = "golden.npz"
OOD = "ood.npz"
CARD = "card.md"
_USED = (MODEL, EDGE_TPU_MODEL, GOLDEN, OOD)


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified folder with a model and everything needed to use and trust it."""

    folder: Path
    manifest: Manifest
    sha256: str
    """SHA-256 of ``manifest.json``."""
    signature: Signature
    contents: Mapping[str, bytes] = field(repr=False, compare=False)
    """Verified contents of the files that are used, by file name. The folder is not read again."""

    @property
    def model_path(self) -> Path:
        """The TFLite file."""
        return self.folder / MODEL


@dataclass(frozen=True, slots=True, eq=False)
class Golden:
    """Synthetic fields, and the model's outputs for them when the bundle was made."""

    field: NDArray[np.uint8]
    """(n, h, w, 3) RGB, before preprocessing."""
    image: NDArray[np.uint8]
    """(n, h, w, 3), after preprocessing."""
    logits: NDArray[np.float32]
    """(n, classes), dequantized."""
    unfamiliarity: NDArray[np.float32]
    """(n,), the unfamiliarity scores."""


def shipped_bundles() -> dict[str, Path]:
    """Name and folder of each bundle that comes with the agent."""
    models = Path(str(resources.files("edge_agent.models")))
    return {folder.parent.name: folder.parent for folder in sorted(models.glob(f"*/{MANIFEST}"))}


def load_bundle(name_or_folder: str | Path, trust: Trust | None = None) -> Bundle:
    """Load and verify a shipped bundle by its name, or any bundle by its folder.

    A ``Path`` is always a folder, even if it has the name of a shipped bundle. Without ``trust`` no signature is
    checked. Files that the manifest does not name are never read.

    Raises ``BundleMissing``, ``BundleFileMissing``, ``BundleHashMismatch``, ``BundleUnsupported`` (unknown
    preprocessing, agent too old), ``BundleError`` (an invalid manifest; a file that is a link or too large), and the
    errors of ``verify_signature``.
    """
    shipped = shipped_bundles()
    is_shipped = isinstance(name_or_folder, str) and name_or_folder in shipped
    folder = shipped[str(name_or_folder)] if is_shipped else Path(name_or_folder)
    try:
        text = read_file(folder, MANIFEST, MAX_MANIFEST_BYTES)
        signature = read_signature(folder)
    except FileRefused as error:
        raise BundleError(f"Bundle '{name_or_folder}': {error}.") from error
    except (OSError, ValueError) as error:  # ValueError: a name that a file cannot have
        raise BundleMissing(
            f"There is no bundle '{name_or_folder}' (shipped: {', '.join(shipped) or 'none'})."
        ) from error
    if is_shipped:
        vouched = Signature.SHIPPED
    elif trust is None:
        vouched = Signature.UNSIGNED
    else:
        # Verify the signature before parsing the content.
        vouched = verify_signature(text, signature, trust, f"Bundle '{folder.name}'")
    try:
        manifest = Manifest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole file"
        raise BundleError(f"{folder / MANIFEST}: {where}: {first['msg']}.") from error
    _check_supported(manifest)
    return Bundle(folder, manifest, hashlib.sha256(text).hexdigest(), vouched, _read_files(folder, manifest))


def require_kinds(deciding: Manifest, beside: Manifest) -> None:
    """Raise ``BundleWrongKind`` unless ``deciding`` judges whole fields and ``beside`` their cells."""
    if deciding.kind is BundleKind.CELLS:
        raise BundleWrongKind(
            f"Bundle '{deciding.name}' judges cells itself, so '{beside.name}' cannot do so beside it.",
            remedy="Leave out analysis.cells_bundle, or let a bundle that judges whole fields decide.",
        )
    if beside.kind is not BundleKind.CELLS:
        raise BundleWrongKind(f"Bundle '{beside.name}' judges whole fields, and no single cells.")


def _read_files(folder: Path, manifest: Manifest) -> dict[str, bytes]:
    """The files that are used, once all have been verified."""
    contents = {}
    left_bytes = MAX_FOLDER_BYTES
    for name, sha256 in manifest.files.items():
        try:
            content = read_file(folder, name, min(left_bytes, max_bytes_of(name)))
        except FileRefused as error:
            raise BundleError(f"Bundle '{manifest.name}': {error}.") from error
        except OSError as error:
            raise BundleFileMissing(f"Bundle '{manifest.name}' is missing {name}.") from error
        if hashlib.sha256(content).hexdigest() != sha256:
            raise BundleHashMismatch(f"Bundle '{manifest.name}': {name} is not the file it was made with.")
        left_bytes -= len(content)
        if name in _USED:
            contents[name] = content
    return contents


def _check_supported(manifest: Manifest) -> None:
    of_window = manifest.kind is BundleKind.CELLS and manifest.preprocessing.id in WINDOW_PREPROCESSINGS
    if manifest.preprocessing.id not in PREPROCESSINGS and not of_window:
        raise BundleUnsupported(
            f"Bundle '{manifest.name}' needs preprocessing '{manifest.preprocessing.id}', unknown to this agent."
        )
    if manifest.preprocessing.denoise not in DENOISERS:
        raise BundleUnsupported(
            f"Bundle '{manifest.name}' needs denoising '{manifest.preprocessing.denoise}', unknown to this agent."
        )
    try:
        oldest_agent = Version(manifest.min_agent_version)
    except ValueError as error:
        # InvalidVersion, or Python's own limit on the digits of a number.
        raise BundleUnsupported(
            f"Bundle '{manifest.name}' needs an agent whose version cannot be read: "
            f"{manifest.min_agent_version[:32]!r}."
        ) from error
    # A pre-release has the features of its release.
    if oldest_agent > Version(Version(edge_agent.__version__).base_version):
        raise BundleUnsupported(
            f"Bundle '{manifest.name}' needs agent {manifest.min_agent_version}; this is {edge_agent.__version__}."
        )


def load_golden(bundle: Bundle) -> Golden:
    """The golden vectors of a verified bundle. Raises ``BundleError`` if they are invalid."""
    try:
        golden = Golden(**read_arrays(bundle.contents[GOLDEN], ("field", "image", "logits", "unfamiliarity")))
    except ValueError as error:
        raise BundleError(f"Bundle '{bundle.manifest.name}': {GOLDEN} cannot be read: {error}.") from error
    size = (bundle.manifest.input.height_px, bundle.manifest.input.width_px, 3)
    count = golden.field.shape[0] if golden.field.ndim else 0
    if (
        count == 0
        or golden.field.shape != (count, *size)
        or golden.image.shape != (count, *size)
        or golden.logits.shape != (count, len(bundle.manifest.labels))
        or golden.unfamiliarity.shape != (count,)
        or golden.field.dtype != np.uint8
        or golden.image.dtype != np.uint8
    ):
        raise BundleError(f"Bundle '{bundle.manifest.name}': {GOLDEN} does not have the manifest's shapes.")
    # Any output would agree with one that is not a number.
    if not all(each.dtype.kind == "f" and np.isfinite(each).all() for each in (golden.logits, golden.unfamiliarity)):
        raise BundleError(f"Bundle '{bundle.manifest.name}': {GOLDEN} has outputs that are not finite numbers.")
    return golden
