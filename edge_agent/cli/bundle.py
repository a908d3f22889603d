"""``edge-agent bundle``: the bundles and heads on this device, and which of them is used."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from edge_agent.atomic_file import replace_file
from edge_agent.cli.arguments import expand_path
from edge_agent.cli.compare_models import compare
from edge_agent.cli.state_folder import ConfigOption
from edge_agent.cli.terminal import errors, output, write_json_line
from edge_agent.config import Config, load_config, system_config
from edge_agent.contracts import BundleKind, HeadManifest
from edge_agent.errors import ConfigError, ModelStoreError, StateEntryInvalid
from edge_agent.inference import Classifier, load_bundle
from edge_agent.inference.bundle import MANIFEST, require_kinds
from edge_agent.inference.head import HEAD_MANIFEST
from edge_agent.inference.proof import DEFAULT_PROOF, ProofLimits, unproven_reasons
from edge_agent.inference.signature import SIGNATURE
from edge_agent.rollout import Activation, Active, Choice, InstalledModel, ModelKind, ModelSettings, ModelStore
from edge_agent.rollout.archive import pack as pack_folder
from edge_agent.rollout.archive import unpack
from edge_agent.rollout.store import FOLDER
from edge_agent.spool.settings import default_state_folder

NOTICED_S = 5
"""A running agent looks for a change so often; see ``HealthMonitor``."""

bundle = typer.Typer(
    help="Show, verify, install and activate bundles and heads, and go back to the one before.", no_args_is_help=True
)

ReferenceArgument = Annotated[str, typer.Argument(help="NAME, or NAME@VERSION.", metavar="NAME")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
HeadFlag = Annotated[bool, typer.Option("--head", help="NAME is that of a head.")]


@dataclass(frozen=True, slots=True)
class _Device:
    """What is on this device."""

    store: ModelStore
    activation: Activation
    settings: ModelSettings
    proof: ProofLimits
    configured: Choice | None
    """None without a configuration."""
    cells_bundle: str | None
    """The bundle that the configuration lets judge the cells, beside the chosen one."""

    @classmethod
    def open(cls, path: Path | None) -> _Device:
        path = path or system_config()
        config: Config | None = None if path is None else load_config(path)
        settings = ModelSettings() if config is None else config.models
        folder = (default_state_folder() if config is None else config.state.folder) / FOLDER
        return cls(
            ModelStore(folder, settings),
            Activation(folder),
            settings,
            DEFAULT_PROOF if config is None else config.proof,
            None if config is None else Choice.of(config.analysis.bundle, config.analysis.head),
            None if config is None else config.analysis.cells_bundle,
        )

    def require_configured(self) -> Choice:
        """What the configuration names. Raises ``ConfigError``."""
        if self.configured is None:
            raise ConfigError("There is no configuration of a device.", remedy="Name one with --config.")
        return self.configured

    def active(self) -> Active | None:
        """What was activated for this configuration."""
        if self.configured is None:
            return None
        try:
            found = self.activation.read()
        except StateEntryInvalid as error:
            errors.print(f"{error.message} The configured model is used.", markup=False, style="yellow")
            return None
        return found if found is not None and found.configured == self.configured else None

    def chosen(self) -> Choice | None:
        """What is used."""
        active = self.active()
        return self.configured if active is None else active.chosen


bundle.command()(compare)


@bundle.command(name="list")
def list_models(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show the bundles and heads that can be used here, and which are. The agent may be running."""
    device = _Device.open(config)
    active, chosen = device.active(), device.chosen()
    installed, damaged = device.store.installed(), device.store.damaged()
    if as_json:
        document = {
            "folder": str(device.store.folder),
            "chosen": None if chosen is None else chosen.model_dump(),
            "active": None if active is None else active.model_dump(mode="json"),
            "models": [_facts(device, each) for each in installed],
            "damaged": [
                {"kind": each.kind, "folder": str(each.folder), "code": each.error.code, "message": each.error.message}
                for each in damaged
            ],
        }
        write_json_line(json.dumps(document))
        return
    table = Table("", "kind", "name", "version", "signature", "notes", box=None, pad_edge=False)
    for each in installed:
        used = chosen is not None and each.reference in {chosen.bundle, chosen.head}
        manifest = each.manifest
        table.add_row(
            "*" if used else "", each.kind, each.reference, manifest.version, each.signature, _notes(device, each)
        )
    output.print(table)
    if chosen is not None:
        output.print(f"\n* in use: {chosen}", markup=False)
    if active is not None:
        _explain(active)
    for damage in damaged:
        errors.print(f"{damage.folder} cannot be used: {damage.error.message}", markup=False, style="yellow")


@bundle.command()
def show(
    reference: ReferenceArgument, config: ConfigOption = None, head: HeadFlag = False, as_json: JsonOption = False
) -> None:
    """Show what a bundle or head tells apart, what it was proven on, and who vouches for it."""
    device = _Device.open(config)
    found = device.store.find(_kind(head=head), reference)
    if as_json:
        facts = _facts(device, found) | {"manifest": found.manifest.model_dump(mode="json")}
        write_json_line(json.dumps(facts))
        return
    manifest = found.manifest
    output.print(f"{found.kind} {manifest.name} {manifest.version}", markup=False)
    output.print(f"  folder     {found.folder}", markup=False)
    output.print(f"  signature  {found.signature}", markup=False)
    output.print(f"  sha256     {found.sha256}", markup=False)
    if isinstance(manifest, HeadManifest):
        output.print(f"  fits       {manifest.parent.name} {manifest.parent.version}", markup=False)
    output.print(f"  made       {manifest.created_at:%Y-%m-%d}", markup=False)
    output.print(f"  trained on {manifest.training.images_count} images of {manifest.training.dataset}", markup=False)
    for label in manifest.labels:
        kind = "malignant" if label.malignant else "not malignant"
        output.print(f"  label      {label.code} ({label.display_name}, {kind})", markup=False)
    reasons = unproven_reasons(manifest.labels, manifest.evidence, device.proof)
    if manifest.demonstration:
        output.print("  DEMONSTRATION: it was not trained on real smears.", markup=False)
    output.print("  PROVISIONAL: it gives no answers." if reasons else "  proven: its answers are given", markup=False)
    for reason in reasons:
        output.print(f"    {reason}", markup=False)


@bundle.command()
def verify(
    source: Annotated[
        Path, typer.Argument(help="Folder or zip file of a bundle or head.", metavar="PATH", parser=expand_path)
    ],
    config: ConfigOption = None,
) -> None:
    """Check a folder or zip file without installing it: signature, every file, and golden outputs on this machine."""
    device = _Device.open(config)
    if source.is_dir():
        _say_verified(device.store.verify(source))
        return
    with tempfile.TemporaryDirectory() as folder:
        max_bytes = round(device.settings.max_archive_mib * 2**20)
        unpack(source, Path(folder), max_bytes=max_bytes, on_size=lambda _bytes: None)
        _say_verified(device.store.verify(Path(folder)))


@bundle.command()
def install(
    source: Annotated[
        Path, typer.Argument(help="Folder or zip file of a bundle or head.", metavar="PATH", parser=expand_path)
    ],
    config: ConfigOption = None,
) -> None:
    """Verify a bundle or head and copy it into the state folder. It is not used before it is activated."""
    found = _Device.open(config).store.install(source)
    _say_verified(found)
    option = "--head " if found.kind is ModelKind.HEAD else ""
    output.print(f"Installed. To use it: edge-agent bundle activate {option}{found.reference}", markup=False)


@bundle.command()
def activate(
    reference: Annotated[str | None, typer.Argument(help="Bundle: NAME, or NAME@VERSION.", metavar="NAME")] = None,
    config: ConfigOption = None,
    head: Annotated[
        str | None,
        typer.Option(help="Head that judges in place of the bundle's own classes: NAME, or NAME@VERSION."),
    ] = None,
) -> None:
    """Use an installed bundle, or a head with its bundle, from now on, until the configuration names another.

    A running agent takes it within seconds and misses no frame. It is on trial first: if it fails, the one before is
    used again.
    """
    device = _Device.open(config)
    configured = device.require_configured()
    found_head = None if head is None else device.store.find(ModelKind.HEAD, head)
    if reference is not None:
        found = device.store.find(ModelKind.BUNDLE, reference)
    elif found_head is not None and isinstance(found_head.manifest, HeadManifest):
        found = device.store.bundle_of(found_head.manifest)
    else:
        raise ConfigError("Nothing to activate was named.", remedy="Name a bundle, or a head with --head.")
    trust = device.settings.trust()
    place = device.store.locate(ModelKind.BUNDLE, found.reference)
    head_folder = None if found_head is None else found_head.folder
    deciding = load_bundle(place, trust)
    if device.cells_bundle is not None:
        require_kinds(deciding.manifest, load_bundle(device.cells_bundle, trust).manifest)
    Classifier(deciding, head=head_folder, trust=trust).verify_golden()
    choice = Choice(bundle=found.reference, head=None if found_head is None else found_head.reference)
    active = device.activation.activate(choice, configured)
    output.print(f"Activated: {active.chosen}. A running agent uses it within {NOTICED_S} seconds.", markup=False)
    if active.trial is not None:
        output.print(
            f"It is on trial for {device.settings.trial_minutes:g} minutes of running; if it fails, "
            f"{active.previous or active.configured} is used again.",
            markup=False,
        )


@bundle.command()
def rollback(config: ConfigOption = None) -> None:
    """Use the model again that was used before. A running agent takes it within seconds."""
    device = _Device.open(config)
    active = device.activation.roll_back(device.require_configured())
    output.print(f"Rolled back to: {active.chosen}. A running agent uses it within {NOTICED_S} seconds.", markup=False)


@bundle.command()
def remove(reference: ReferenceArgument, config: ConfigOption = None, head: HeadFlag = False) -> None:
    """Delete an installed bundle or head that is neither used nor what a roll-back would return to."""
    device = _Device.open(config)
    found = device.store.find(_kind(head=head), reference)
    active = device.active()
    choices = [device.chosen(), None if active is None else active.previous]
    in_use = [name for each in choices if each is not None for name in (each.bundle, each.head) if name is not None]
    device.store.remove(found, in_use)
    output.print(f"{found.kind} {found.reference} was removed.", markup=False)


@bundle.command()
def pack(
    folder: Annotated[Path, typer.Argument(help="Folder of a bundle or head.", metavar="FOLDER", parser=expand_path)],
    out: Annotated[Path, typer.Option(help="Zip file to write.", metavar="FILE", parser=expand_path)],
    config: ConfigOption = None,
) -> None:
    """Verify a bundle or head and write it as one zip file, which devices install. The same files give the same zip."""
    found = _Device.open(config).store.verify(folder)
    manifest = MANIFEST if found.kind is ModelKind.BUNDLE else HEAD_MANIFEST
    signature = [SIGNATURE] if (folder / SIGNATURE).exists() else []
    content = pack_folder(folder, (manifest, *found.manifest.files, *signature))
    try:
        replace_file(out, content)
    except (OSError, RuntimeError) as error:
        raise ModelStoreError(
            f"{out} cannot be written: {error}.", remedy="Give a path that can be written."
        ) from error
    _say_verified(found)
    output.print(f"{out} has {len(content)} bytes.", markup=False)


def _kind(*, head: bool) -> ModelKind:
    return ModelKind.HEAD if head else ModelKind.BUNDLE


def _say_verified(found: InstalledModel) -> None:
    manifest = found.manifest
    output.print(
        f"{found.kind} {manifest.name} {manifest.version}: every file and its golden outputs are right; "
        f"signature: {found.signature}.",
        markup=False,
    )


def _facts(device: _Device, each: InstalledModel) -> dict[str, Any]:
    manifest = each.manifest
    return {
        "kind": each.kind,
        "reference": each.reference,
        "name": manifest.name,
        "version": manifest.version,
        "folder": str(each.folder),
        "sha256": each.sha256,
        "model_sha256": each.model_sha256,
        "signature": each.signature,
        "judges": None if isinstance(manifest, HeadManifest) else manifest.kind,
        "demonstration": manifest.demonstration,
        "unproven_reasons": list(unproven_reasons(manifest.labels, manifest.evidence, device.proof)),
    }


def _notes(device: _Device, each: InstalledModel) -> str:
    manifest = each.manifest
    notes = []
    if isinstance(manifest, HeadManifest):
        notes.append(f"for {manifest.parent.name} {manifest.parent.version}")
    elif manifest.kind is BundleKind.CELLS:
        notes.append("judges cells")
    if manifest.demonstration:
        notes.append("demonstration")
    if unproven_reasons(manifest.labels, manifest.evidence, device.proof):
        notes.append("provisional")
    return ", ".join(notes)


def _explain(active: Active) -> None:
    if active.trial is not None:
        output.print(
            f"  on trial since {active.trial.since:%Y-%m-%d %H:%M} UTC; before it: "
            f"{active.previous or active.configured}",
            markup=False,
        )
    elif active.previous is not None:
        output.print(f"  before it: {active.previous}", markup=False)
    given_up = active.rolled_back
    if given_up is not None:
        why = given_up.reason if given_up.message is None else f"{given_up.reason}: {given_up.message}"
        output.print(f"  given up on {given_up.at:%Y-%m-%d %H:%M} UTC: {given_up.choice} ({why})", markup=False)
