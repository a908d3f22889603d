"""Writes a head's folder, all or nothing, after the agent itself has loaded and verified it."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_agent.contracts.head import HeadManifest
from edge_agent.inference import Classifier, load_bundle
from edge_agent.inference.bundle import load_golden
from edge_agent.inference.familiarity import Familiarity
from edge_agent.inference.features import FEATURES
from edge_agent.inference.head import HEAD_MANIFEST
from trainer.errors import OutputUnwritable
from trainer.files import make_folder, replacing
from trainer.site.cross_validation import CrossValidation
from trainer.site.examples import Examples
from trainer.site.fitting import Linear

CARD, EXAMPLES = "card.md", "examples.csv"


@dataclass(frozen=True, slots=True, eq=False)
class FittedHead:
    """The arrays that a head computes with, as the agent loads them."""

    weights: NDArray[np.float32]
    """(c, f)."""
    bias: NDArray[np.float32]
    """(c,)."""
    familiarity: Familiarity

    @classmethod
    def of(cls, linear: Linear, familiarity: Familiarity) -> FittedHead:
        """Convert a fit to the precision in which the agent computes."""
        return cls(linear.weights.astype(np.float32), linear.bias.astype(np.float32), familiarity)

    def to_npz(self, classifier: Classifier, kind: str) -> bytes:
        """``head.npz``, with the head's outputs for the golden fields of the bundle of ``classifier``."""
        make = FEATURES[kind].make
        golden = load_golden(classifier.bundle)
        features = np.stack([make(image, classifier.run(image).middle_map) for image in golden.image])
        content = io.BytesIO()
        np.savez_compressed(
            content,
            allow_pickle=False,
            weights=self.weights,
            bias=self.bias,
            familiarity_mean=self.familiarity.mean,
            familiarity_whitening=self.familiarity.whitening,
            golden_logits=np.asarray(features @ self.weights.T + self.bias, np.float32),
            golden_unfamiliarity=np.asarray(self.familiarity.distances(features), np.float32),
        )
        return content.getvalue()


def examples_csv(examples: Examples, validation: CrossValidation) -> bytes:
    """``examples.csv``: hash and label of each picture, and the probability of its label while it was held out.

    It has no path and no specimen, because a head may leave the site.
    """
    text = io.StringIO(newline="")
    rows = csv.writer(text)
    rows.writerow(("sha256", "label", "fold", "held_out_label", "held_out_probability_ratio"))
    for index, file in enumerate(examples.files):
        probability = validation.probabilities[index, examples.labels[index]]
        named = examples.codes[int(validation.top[index])]
        rows.writerow((file.sha256, file.label, int(validation.folds[index]), named, f"{probability:.4f}"))
    return text.getvalue().encode()


def hashes(contents: Mapping[str, bytes]) -> dict[str, str]:
    """SHA-256 of each file, as ``head.json`` lists them."""
    return {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}


def check_new(out: Path) -> None:
    """Raise ``OutputUnwritable`` if ``out`` exists already, or if nothing can be written beside it."""
    if out.exists() or out.is_symlink():
        raise OutputUnwritable(
            f"{out} exists already.", remedy="Name a new folder with --out: heads are never changed."
        )
    nearest = next(path for path in out.absolute().parents if path.exists())
    if not (nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)):
        raise OutputUnwritable(f"nothing can be written to {nearest}.")


def write_head(out: Path, manifest: HeadManifest, contents: Mapping[str, bytes], bundle: str) -> None:
    """Write the files beside ``out``, load and verify them with the agent's own classifier, and rename the folder.

    Raises ``OutputUnwritable``, or ``BundleError`` if the agent would refuse the head.
    """
    check_new(out)
    make_folder(out.absolute().parent)
    try:
        draft = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.absolute().parent))
    except OSError as error:
        raise OutputUnwritable(f"{out} cannot be written ({error.strerror}).") from error
    try:
        _write_files(draft, manifest, contents)
        Classifier(load_bundle(bundle), head=draft).verify_golden()
        draft.chmod(0o755)
        draft.rename(out)
    except OSError as error:
        raise OutputUnwritable(f"{out} cannot be written ({error.strerror}).") from error
    finally:
        with suppress(OSError):
            shutil.rmtree(draft)


@contextmanager
def draft_head(manifest: HeadManifest, contents: Mapping[str, bytes]) -> Iterator[Path]:
    """A temporary folder of these files, by which the head is measured before its card is written."""
    with tempfile.TemporaryDirectory() as folder:
        _write_files(Path(folder), manifest, contents)
        yield Path(folder)


def _write_files(folder: Path, manifest: HeadManifest, contents: Mapping[str, bytes]) -> None:
    # The manifest is written last, so that an incomplete folder is no head.
    for name, content in {**contents, HEAD_MANIFEST: f"{manifest.model_dump_json(indent=2)}\n".encode()}.items():
        with replacing(folder / name) as file:
            file.write(content)
