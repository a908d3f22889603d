"""``edge-agent collection``: frames that were kept on the device, and their labels."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from edge_agent.adaptation.adaptation import CACHE
from edge_agent.adaptation.adaptation import FOLDER as ADAPTATION_FOLDER
from edge_agent.analysis.settings import AUTO
from edge_agent.cli.arguments import expand_path
from edge_agent.cli.model_in_use import with_model_in_use
from edge_agent.cli.state_folder import ConfigOption
from edge_agent.cli.terminal import EXIT_SOME_UNREAD, errors, output, write_json_line
from edge_agent.collection.collection import FOLDER, Collection
from edge_agent.config import Config, load_config, system_config
from edge_agent.contracts import Label, Topics
from edge_agent.errors import ConfigError
from edge_agent.inference.auto_bundles import AUTO_BUNDLES
from edge_agent.inference.bundle import load_bundle

collection = typer.Typer(
    help="Show, export or delete the frames that were kept on this device, and bring labels back.",
    no_args_is_help=True,
)

SetOption = Annotated[str, typer.Option("--set", help="The label set.", metavar="NAME")]


@collection.command()
def status(
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show how many frames are kept and labelled. The agent may be running."""
    opened = open_collection(config)
    state = opened.state()
    if as_json:
        write_json_line(state.to_json().decode())
        return
    output.print(f"{opened.folder}", markup=False)
    output.print(f"  keep       {state.keep}", markup=False)
    output.print(f"  consent    {state.consent or 'none is recorded'}", markup=False)
    size = f"{state.size_bytes / 2**20:.1f} of {state.max_bytes / 2**20:.0f} MiB"
    output.print(f"  frames     {state.frames_count} of {state.max_frames_count}, {size}", markup=False)
    if state.unreadable_count:
        output.print(f"  unreadable {state.unreadable_count} records or lines of labels", markup=False)
    for each in state.sets:
        output.print(f"  set {each.name}", markup=False)
        output.print(f"    {'unlabelled':<20} {each.unlabelled_count}", markup=False)
        for label in each.labels:
            output.print(f"    {label.code:<20} {label.labelled_count}", markup=False)
        output.print(f"    {'not usable':<20} {each.not_usable_count}", markup=False)
        output.print(f"    {'for a second look':<20} {each.disputed_count}", markup=False)


@collection.command()
def export(
    set_name: SetOption,
    out: Annotated[
        Path, typer.Option(help="New folder, or new file that ends with .zip.", metavar="PATH", parser=expand_path)
    ],
    config: ConfigOption = None,
    unlabelled: Annotated[
        bool, typer.Option("--unlabelled", help="The frames without a label instead, to be labelled elsewhere.")
    ] = False,
) -> None:
    """Write the labelled frames for the trainer: a folder per label, manifest.csv and dataset.toml.

    The agent may be running. Exits with 3 if a frame was damaged and left out.
    """
    done = open_collection(config).export(set_name, out, unlabelled=unlabelled)
    for code, count in done.counts.items():
        output.print(f"{count:>7} {code}", markup=False)
    output.print(f"{done.pictures_count} frames exported to {out}.", markup=False)
    if done.left_out_count:
        why = "labelled already" if unlabelled else "not labelled, not usable, or waiting for a second look"
        errors.print(f"{done.left_out_count} frames were left out: {why}.", markup=False)
    if not unlabelled and len(done.counts) < 2:
        errors.print("The trainer needs frames of at least two labels.", style="yellow")
    if not unlabelled and not done.has_specimens:
        errors.print(
            "No frame names its specimen, so frames of one person may be in several parts of a split.", style="yellow"
        )
    if done.damaged:
        errors.print(f"{len(done.damaged)} damaged frames were left out:", markup=False)
        for each in done.damaged:
            errors.print(f"  {each}", markup=False)
        raise typer.Exit(EXIT_SOME_UNREAD)


@collection.command(name="import")
def import_labels(
    file: Annotated[
        Path,
        typer.Argument(
            help="A manifest.csv with labels, a labels.jsonl, or a zip file with them.",
            metavar="FILE",
            parser=expand_path,
        ),
    ],
    config: ConfigOption = None,
    set_name: Annotated[
        str | None, typer.Option("--set", help="The label set of rows that do not name one.", metavar="NAME")
    ] = None,
) -> None:
    """Take labels that were given elsewhere. The agent may be running, and importing a file twice changes nothing.

    Exits with 3 if rows were left out: they cannot be read, or their frame is not in this collection.
    """
    done = open_collection(config).import_labels(file, set_name)
    output.print(f"{done.added_count} labels imported, {done.known_count} were known.", markup=False)
    if done.empty_count:
        errors.print(f"{done.empty_count} rows have no label.", markup=False)
    if done.unknown:
        errors.print(f"{len(done.unknown)} frames are not in this collection, so their labels were left out:")
        for each in done.unknown:
            errors.print(f"  {each}", markup=False)
    if done.bad_rows:
        errors.print(f"{len(done.bad_rows)} rows were left out:")
        for row in done.bad_rows:
            errors.print(f"  {row.where}: {row.why}", markup=False)
    if done.unknown or done.bad_rows:
        raise typer.Exit(EXIT_SOME_UNREAD)


@collection.command()
def delete(
    config: ConfigOption = None,
    specimen: Annotated[str | None, typer.Option(help="Only the frames of this specimen.", metavar="ID")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Delete all kept frames with their labels, or the frames of one specimen. The agent may be running."""
    opened = open_collection(config)
    state = _settings(config).state.folder
    if not yes:
        what = "all kept frames and labels" if specimen is None else f"the kept frames of the specimen {specimen}"
        typer.confirm(f"Delete {what} in {opened.folder}?", abort=True)
    count = opened.delete(specimen)
    # What is kept for the next fit of a head shows a little of each frame.
    shutil.rmtree(state / ADAPTATION_FOLDER / CACHE, ignore_errors=True)
    output.print(f"{count} frames deleted.")


def open_collection(config: Path | None) -> Collection:
    """The device's collection.

    Raises ``ConfigError``, or what ``with_model_in_use`` and ``load_bundle`` do where the bundle's labels are needed.
    """
    settings = _settings(config)
    labels = () if settings.collection.label_sets else _bundle_labels(settings)
    topics = Topics(settings.device.site, settings.device.id)
    return Collection(
        settings.collection,
        settings.state.folder / FOLDER,
        lambda: labels,
        lambda: topics,
        beside_agent=True,
    )


def _bundle_labels(settings: Config) -> tuple[Label, ...]:
    """As the agent offers them: those of the bundle in use, not of its head, which has only those that people gave."""
    bundle = with_model_in_use(settings).analysis.bundle
    # All that 'auto' chooses from have the same ones.
    return load_bundle(AUTO_BUNDLES[0] if bundle == AUTO else bundle, settings.models.trust()).manifest.labels


def _settings(config: Path | None) -> Config:
    config = config or system_config()
    if config is None:
        raise ConfigError("There is no configuration of a device.", remedy="Name one with --config.")
    return load_config(config)
