"""Creates the agent's parts from a configuration."""

from __future__ import annotations

from collections.abc import Callable

from edge_agent.analysis.analyzer import Analyzer
from edge_agent.config import Config
from edge_agent.errors import ConfigError
from edge_agent.inference import Classifier, load_bundle
from edge_agent.spool import MemorySpool, Spool, SpoolLimits, SqliteSpool

APPEARANCE_INTERVAL_S = 2.0
"""Between two fields whose appearance is measured, to notice drift. It takes a tenth of a reading's time: less than a
hundredth of all time even on a slow board that reads without a pause."""


def make_analyzer(config: Config) -> Analyzer:
    """Load, verify and test the configured bundle and head, and the cells bundle beside them if there is one.

    Neither bundle nor threads may be ``auto``; see ``SpeedTests``. Raises ``BundleError``, ``RuntimeMissing``,
    ``SigningMissing``.
    """
    classifier = make_classifier(config)
    classifier.verify_golden()
    cells = make_cells_classifier(config)
    if cells is not None:
        cells.verify_golden()
    return assemble(config, classifier, cells)


def assemble(config: Config, classifier: Classifier, cells: Classifier | None) -> Analyzer:
    """The analyzer of what was loaded. Raises ``BundleWrongKind``."""
    return Analyzer(
        classifier,
        config.quality,
        cells=cells,
        um_per_pixel=config.camera.um_per_pixel,
        max_pixels=round(config.analysis.max_image_megapixels * 1e6),
        proof=config.proof,
        appearance_interval_s=APPEARANCE_INTERVAL_S,
    )


def make_classifier(config: Config) -> Classifier:
    """Load and verify the configured bundle and head. Raises as ``make_analyzer`` does."""
    settings = config.analysis
    trust = config.models.trust()
    bundle = load_bundle(settings.bundle, trust)
    return Classifier(bundle, head=settings.head, threads=_threads_count(config), trust=trust)


def make_cells_classifier(config: Config) -> Classifier | None:
    """The cells bundle beside; None if none is configured. Raises as ``make_analyzer`` does."""
    settings = config.analysis
    if settings.cells_bundle is None:
        return None
    return Classifier(load_bundle(settings.cells_bundle, config.models.trust()), threads=_threads_count(config))


def _threads_count(config: Config) -> int:
    count = config.analysis.threads_count
    if isinstance(count, str):
        raise ConfigError(f"analysis.threads_count is {count!r}, which has not been resolved.")
    return count


def open_spool(config: Config, on_change: Callable[[], None], on_failure: Callable[[BaseException], None]) -> Spool:
    """The configured spool; the callbacks are those of ``SqliteSpool``. Raises ``SpoolError``."""
    settings = config.spool
    max_bytes = round(settings.max_mib * 2**20)
    if settings.storage == "memory":
        return MemorySpool(max_bytes)
    limits = SpoolLimits(
        max_bytes=max_bytes,
        max_age_s=settings.max_age_days * 86400,
        when_full=settings.when_full,
        commit_delay_s=settings.commit_delay_s,
    )
    return SqliteSpool(config.state.folder, limits, on_change=on_change, on_failure=on_failure)
