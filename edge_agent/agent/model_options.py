"""The models that can be chosen on the microscope page."""

from __future__ import annotations

from edge_agent.config import Config
from edge_agent.contracts import HeadManifest, Manifest
from edge_agent.errors import EdgeAgentError
from edge_agent.inference import load_bundle
from edge_agent.inference.bundle import MODEL
from edge_agent.inference.head import open_head
from edge_agent.inference.proof import unproven_reasons
from edge_agent.rollout import InstalledModel, ModelKind, ModelStore
from edge_agent.web.device import HeadOption, ModelOption


def model_options(config: Config, store: ModelStore) -> tuple[ModelOption, ...]:
    """The bundles that can be chosen, each with its heads: the configured one, those that ship, and those installed.

    What does not verify is left out. Reads every file of every bundle and head.
    """
    installed = store.installed()
    bundles = [*_configured_bundle(config, installed), *(each for each in installed if each.kind is ModelKind.BUNDLE)]
    # The configured one first.
    bundles.sort(key=lambda each: each.reference != config.analysis.bundle)
    heads = [*_configured_head(config), *(each for each in installed if each.kind is ModelKind.HEAD)]
    return tuple(_option(config, bundle, heads) for bundle in bundles)


def _configured_bundle(config: Config, installed: tuple[InstalledModel, ...]) -> list[InstalledModel]:
    name = config.analysis.bundle
    if any(each.reference == name for each in installed):
        return []
    try:
        found = load_bundle(name, config.models.trust())
    except EdgeAgentError:
        return []
    sha256 = found.manifest.files[MODEL]
    return [InstalledModel(ModelKind.BUNDLE, name, found.folder, found.manifest, found.sha256, sha256, found.signature)]


def _configured_head(config: Config) -> list[InstalledModel]:
    folder = config.analysis.head
    if folder is None:
        return []
    try:
        found = open_head(folder, config.models.trust())
    except EdgeAgentError:
        return []
    parent = found.manifest.parent.sha256
    return [InstalledModel(ModelKind.HEAD, str(folder), folder, found.manifest, found.sha256, parent, found.signature)]


def _option(config: Config, bundle: InstalledModel, heads: list[InstalledModel]) -> ModelOption:
    manifest = bundle.manifest
    return ModelOption(
        name=manifest.name,
        version=manifest.version,
        reference=bundle.reference,
        demonstration=manifest.demonstration,
        provisional=_is_provisional(config, manifest),
        signature=bundle.signature,
        heads=tuple(
            HeadOption(
                name=each.manifest.name,
                version=each.manifest.version,
                reference=each.reference,
                demonstration=each.manifest.demonstration or manifest.demonstration,
                provisional=_is_provisional(config, each.manifest),
                signature=each.signature,
            )
            for each in heads
            if each.model_sha256 == bundle.model_sha256
        ),
    )


def _is_provisional(config: Config, manifest: Manifest | HeadManifest) -> bool:
    return bool(unproven_reasons(manifest.labels, manifest.evidence, config.proof))
