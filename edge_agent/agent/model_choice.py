"""Which of the installed bundles is used: the configured one, or one that a person chose on the device."""

from __future__ import annotations

from pydantic import BaseModel

from edge_agent.config import Config
from edge_agent.contracts import EventKind
from edge_agent.errors import BundleError, ModelUnknown, StateEntryInvalid
from edge_agent.events.recorder import EventRecorder
from edge_agent.inference import load_bundle
from edge_agent.inference.bundle import shipped_bundles
from edge_agent.inference.proof import unproven_reasons
from edge_agent.spool import Spool, read_state_entry
from edge_agent.web.device import ModelOption

STATE_KEY = "model-choice"


class _Choice(BaseModel):
    configured: str
    """``analysis.bundle`` when the choice was made: another value there is a newer decision, which counts."""
    chosen: str


class ModelChoice:
    """The choice, as durable as the results."""

    def __init__(self, spool: Spool, events: EventRecorder) -> None:
        self._spool = spool
        self._events = events

    def apply(self, config: Config) -> Config:
        """``config`` with the chosen bundle, or unchanged if none was chosen for it."""
        choice = read_state_entry(self._spool, STATE_KEY, _Choice.model_validate_json, on_invalid=self._record_invalid)
        if choice is None or choice.configured != config.analysis.bundle:
            return config
        return with_bundle(config, choice.chosen)

    def keep(self, configured: str, chosen: str) -> None:
        """Use ``chosen`` from now on, as long as ``configured`` is what the configuration names."""
        entry = None if chosen == configured else _Choice(configured=configured, chosen=chosen)
        value = None if entry is None else entry.model_dump_json().encode()
        self._spool.write_state_entries({STATE_KEY: value})

    def forget(self, error: BundleError) -> None:
        """The chosen bundle can no longer be used."""
        self._spool.write_state_entries({STATE_KEY: None})
        self._events.record(
            EventKind.STATE_IGNORED,
            "The chosen bundle cannot be used; the configured one is.",
            code=error.code,
            problem=error.message,
        )

    def _record_invalid(self, error: StateEntryInvalid) -> None:
        self._events.record(
            EventKind.STATE_IGNORED,
            "The choice of a bundle could not be restored; the configured one is used.",
            code=error.code,
            problem=error.message,
        )


def with_bundle(config: Config, bundle: str) -> Config:
    """``config`` with another bundle."""
    return config.model_copy(update={"analysis": config.analysis.model_copy(update={"bundle": bundle})})


def installed_models(config: Config) -> tuple[ModelOption, ...]:
    """The bundles that can be chosen: the shipped ones, and the configured one. Those that do not verify are left out.

    Reads every file of every bundle.
    """
    found = []
    for name in dict.fromkeys([config.analysis.bundle, *shipped_bundles()]):
        try:
            manifest = load_bundle(name).manifest
        except BundleError:
            continue
        found.append(
            ModelOption(
                name=name,
                version=manifest.version,
                demonstration=manifest.demonstration,
                provisional=bool(unproven_reasons(manifest.labels, manifest.evidence, config.proof)),
            )
        )
    return tuple(found)


def require_installed(config: Config, name: str) -> None:
    """Raises ``ModelUnknown`` unless ``name`` can be chosen: a command must not make the device read any folder."""
    known = [config.analysis.bundle, *shipped_bundles()]
    if name not in known:
        raise ModelUnknown(f"There is no bundle of that name; installed: {', '.join(dict.fromkeys(known))}.")
