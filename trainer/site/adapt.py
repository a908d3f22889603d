"""'trainer adapt': from labelled pictures of a site to a head with its figures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge_agent.contracts.head import HeadManifest
from trainer.site.cross_validation import CrossValidation
from trainer.site.examples import Examples
from trainer.site.features import SiteFeatures


@dataclass(frozen=True, slots=True)
class AdaptOptions:
    """What is to be fitted, to what, and where it goes."""

    bundle: str
    """Name of a shipped bundle, or a bundle's folder."""
    data: Path
    """Folder of class folders, such as a collection's export."""
    name: str
    out: Path
    """New folder of the head."""
    version: str = "1.0.0"
    description: str | None = None
    """Path of a description; None for the folder's own ``dataset.toml``."""
    table: Path | None = None
    foreign: tuple[Path, ...] = ()
    """Folders of pictures that must be refused."""
    report: Path | None = None
    """Folder for the report and the contact sheet of mistakes."""
    cache: Path | None = None
    """Folder that keeps features by picture and bundle."""
    quick: bool = False
    """Only the head and its accuracy: without the record, so that it is provisional."""
    threads: int = 1
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Adaptation:
    """A head that was fitted, and everything its figures were measured from."""

    examples: Examples
    features: SiteFeatures
    cross_validation: CrossValidation
    manifest: HeadManifest
    lacking: tuple[str, ...]
    """What the record lacks for the head to be used, each as a sentence; empty if it may be used."""


def adapt(options: AdaptOptions) -> Adaptation:
    """Read, measure, cross-validate, fit, write and verify. Raises ``TrainerError`` or ``BundleError``."""
    raise NotImplementedError(options)
