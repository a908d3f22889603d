"""The model that the agent uses: the configured one, unless another was activated since."""

from __future__ import annotations

from pathlib import Path

from edge_agent.config import Config
from edge_agent.rollout import Activation, Choice, ModelKind, ModelStore
from edge_agent.rollout.store import FOLDER


def with_model_in_use(config: Config) -> Config:
    """``config`` as if it named the bundle and head that were activated for it. Nothing is loaded.

    Raises ``StateEntryInvalid``, ``ModelUnknown``, ``ModelStoreError``.
    """
    folder = config.state.folder / FOLDER
    configured = Choice.of(config.analysis.bundle, config.analysis.head)
    chosen = Activation(folder).chosen(configured)
    if chosen == configured:
        return config
    store = ModelStore(folder, config.models)
    bundle, head = config.analysis.bundle, config.analysis.head
    if chosen.bundle != configured.bundle:
        bundle = str(store.locate(ModelKind.BUNDLE, chosen.bundle))
    if chosen.head != configured.head:
        head = None if chosen.head is None else Path(store.locate(ModelKind.HEAD, chosen.head))
    return config.model_copy(update={"analysis": config.analysis.model_copy(update={"bundle": bundle, "head": head})})
