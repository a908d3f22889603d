"""'trainer': from class folders to a bundle that the agent can use."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from edge_agent.errors import EdgeAgentError
from edge_agent.vision.preprocessing import DENOISERS, PREPROCESSINGS
from trainer.audit import audit as audit_dataset
from trainer.dataset import Unreadable, read_dataset
from trainer.description import load_description
from trainer.evaluation import Wanted
from trainer.evaluation import evaluate as evaluate_bundle
from trainer.prepare import Disjoint, Prepared, Shares
from trainer.prepare import prepare as prepare_split
from trainer.probe import cached_features
from trainer.probe import probe as probe_features
from trainer.progress import console
from trainer.run import TrainOptions, write_json
from trainer.shifts import DRAWS
from trainer.spec import ALPHAS, IMAGENET
from trainer.split import Part, parse_split, twins_count
from trainer.synthesis import synthesise
from trainer.tables import percent, show_audit, show_evaluation, show_probe

EXIT_LEAK = 1
EXIT_ERROR = 2
FILE_WIDTH = 160

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; what a user can mend becomes one line on stderr and exit 2."""
    # TensorFlow's notices of its own start would hide what the trainer says.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        app(arguments)
    except EdgeAgentError as error:
        console.print(f"error {error.code}: {error.message}", style="red", markup=False, soft_wrap=True)
        console.print(error.advice, markup=False, soft_wrap=True)
        sys.exit(EXIT_ERROR)


def _one_of(choices: Iterable[object]) -> Callable[[str], str]:
    names = [str(choice) for choice in choices]

    def check(value: str) -> str:
        if value not in names:
            raise typer.BadParameter(f"'{value}' is not one of {', '.join(names)}.")
        return value

    return check


DataOption = Annotated[Path, typer.Option("--data", help="Folder with one folder of images per class.")]
DescriptionOption = Annotated[
    str | None, typer.Option(help="What the data are: all4, cnmc, or a file. Default: dataset.toml in the data.")
]
TableOption = Annotated[
    Path | None, typer.Option(help="CSV of path (relative to it), label and, where known, group, in place of folders.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
SeedOption = Annotated[int, typer.Option(min=0, help="The same seed gives the same figures.")]
FiguresOption = Annotated[Path | None, typer.Option("--out", help="Folder for the JSON and figures as PNG.")]


@app.command()
def synth(
    out: Annotated[Path, typer.Option(help="New folder for the class folders.")],
    per_class: Annotated[int, typer.Option(min=3, help="Images per class.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="The same seed draws the same images.")] = 1,
) -> None:
    """Draw a data set of synthetic smears."""
    description = synthesise(out, per_class, seed)
    console.print(f"Drew {per_class} images of each of {len(description.classes)} classes into {out}.")


@app.command()
def prepare(  # noqa: PLR0913, PLR0917 - a command's options are its parameters
    data: DataOption,
    out: Annotated[Path, typer.Option(help="New CSV file for the split.")],
    description: DescriptionOption = None,
    table: TableOption = None,
    disjoint: Annotated[
        Disjoint | None,
        typer.Option(
            help="What is kept on one side beside twins: groups (the default where the table has them), clusters of "
            "stain and light, or nothing more."
        ),
    ] = None,
    test_share: Annotated[float, typer.Option(min=0.01, max=0.4, help="Share of the images kept for the test.")] = 0.1,
    validation_share: Annotated[float, typer.Option(min=0.01, max=0.4, help="Share kept to choose by.")] = 0.1,
    clusters: Annotated[int, typer.Option(min=3, help="Clusters of stain per class, with --disjoint stains.")] = 12,
    seed: SeedOption = 1,
) -> None:
    """Split a data set into training, validation and test, once, for 'trainer train --split'."""
    prepared = prepare_split(
        data,
        load_description(description, data),
        out,
        table=table,
        disjoint=disjoint,
        shares=Shares(test=test_share, validation=validation_share),
        clusters_per_class=clusters,
        seed=seed,
    )
    _report_unreadable(prepared.unreadable)
    _report_split(prepared)
    console.print(f"Split written to {out}.")


@app.command()
def audit(
    data: DataOption,
    description: DescriptionOption = None,
    table: TableOption = None,
    split: Annotated[Path | None, typer.Option(help="Split (CSV) to look for leaks in.")] = None,
    out: FiguresOption = None,
    seed: SeedOption = 0,
    *,
    as_json: JsonOption = False,
) -> None:
    """Measure how much of the label can be told without a cell; exit 1 if twins or groups cross the split."""
    described = load_description(description, data)
    dataset = read_dataset(data, described, table)
    _report_unreadable(dataset.unreadable)
    assignments = None if split is None else parse_split(split)
    found = audit_dataset(data, dataset, described.name, split=assignments, seed=seed)
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
    else:
        show_audit(found, _stdout())
    if out is not None:
        # Matplotlib takes a second to import.
        from trainer import plots  # noqa: PLC0415 - matplotlib, which only figures need

        plots.save({"clues": plots.clues(found)}, out)
        write_json(out / "audit.json", found)
    if found.leaks:
        raise typer.Exit(EXIT_LEAK)


@app.command()
def train(  # noqa: PLR0913, PLR0917 - a command's options are its parameters
    data: DataOption,
    out: Annotated[Path, typer.Option(help="New folder for the run.")],
    weights: Annotated[str, typer.Option(help=f"ImageNet weights: an .npz file, or '{IMAGENET}' to download them.")],
    description: Annotated[
        str | None, typer.Option(help="What the data are: all4, or a file. Default: dataset.toml in the data.")
    ] = None,
    alpha: Annotated[
        str, typer.Option(callback=_one_of(ALPHAS), help=f"Width of MobileNetV2: {', '.join(map(str, ALPHAS))}.")
    ] = "1.0",
    preprocessing: Annotated[
        str, typer.Option(callback=_one_of(PREPROCESSINGS), help=f"{', '.join(PREPROCESSINGS)}.")
    ] = "rgb@1",
    denoise: Annotated[str, typer.Option(callback=_one_of(DENOISERS), help=f"{', '.join(DENOISERS)}.")] = "median3",
    seed: Annotated[int, typer.Option(min=0, help="Of split, augmentation and training.")] = 1,
    test_share: Annotated[float, typer.Option(min=0.01, max=0.4, help="Share of the images kept for the test.")] = 0.1,
    validation_share: Annotated[float, typer.Option(min=0.01, max=0.4, help="Share kept to choose by.")] = 0.1,
    variants: Annotated[int, typer.Option(min=1, help="Augmented variants of each training image.")] = 12,
    epochs: Annotated[int, typer.Option(min=0, help="At most so many for the last layers; 0: the head alone.")] = 24,
    teacher: Annotated[Path | None, typer.Option(help="Finished run whose network is to be imitated.")] = None,
    split: Annotated[Path | None, typer.Option(help="Use this split (CSV) again instead of making one.")] = None,
) -> None:
    """Train a network and write the run: a head on frozen ImageNet features, then the last layers with it.

    Killed or out of disk, the same command goes on from the last epoch.
    """
    # Keras and TensorFlow take seconds to import, which '--help' and 'synth' need not wait for.
    from trainer.training import train as train_run  # noqa: PLC0415

    train_run(
        TrainOptions(
            data=data.as_posix(),
            out=out.as_posix(),
            description=description,
            alpha=float(alpha),
            weights=weights,
            preprocessing=preprocessing,
            denoise=denoise,
            seed=seed,
            test_share=test_share,
            validation_share=validation_share,
            variants=variants,
            epochs=epochs,
            teacher=teacher.as_posix() if teacher else None,
            split=split.as_posix() if split else None,
        )
    )


@app.command()
def quantize(
    run: Annotated[Path, typer.Option(help="Folder that 'trainer train' wrote.")],
    data: DataOption,
    out: Annotated[Path, typer.Option(help="New folder for the bundle.")],
    name: Annotated[str, typer.Option(help="Name of the bundle: [a-z0-9-]+.")],
    version: Annotated[str, typer.Option(help="Version of the bundle, such as 0.1.0.")],
) -> None:
    """Make a bundle: int8 model, golden vectors, card and manifest.

    A bundle is a demonstration if the run's data set says that it is synthetic.
    """
    from trainer.quantization import BundleIdentity  # noqa: PLC0415
    from trainer.quantization import quantize as quantize_run  # noqa: PLC0415

    figures = quantize_run(run, data, out, BundleIdentity(name=name, version=version))
    accuracy = percent(figures.accuracy_ratio)
    console.print(f"Bundle written to {out}. Accuracy on {figures.images_count} test images: {accuracy}.")


@app.command()
def evaluate(  # noqa: PLR0913 - a command's options are its parameters
    bundle: Annotated[str, typer.Option(help="A shipped bundle's name, or a folder.")],
    data: DataOption,
    split: Annotated[Path, typer.Option(help="manifest.csv of the run.")],
    part: Annotated[Part, typer.Option(help="Which images to judge.")] = Part.TEST,
    foreign: Annotated[
        list[Path] | None, typer.Option(help="Folder of images that must be refused. May be given several times.")
    ] = None,
    draws: Annotated[int, typer.Option(min=1, help="Random shifts of each image, with --shifts.")] = DRAWS,
    out: FiguresOption = None,
    seed: SeedOption = 0,
    *,
    shifts: Annotated[
        bool, typer.Option("--shifts", help="Also under shifts of light, colour, focus and scale.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Measure a bundle on images that it was not trained on, through the int8 file and the agent's analyzer."""
    wanted = Wanted(shifts=shifts, draws=draws, foreign=tuple(foreign or ()), seed=seed)
    evaluation = evaluate_bundle(bundle, data, split, part, wanted)
    if as_json:
        typer.echo(evaluation.model_dump_json(indent=2))
    else:
        show_evaluation(evaluation, _stdout())
    if out is not None:
        # Matplotlib takes a second to import.
        from trainer import plots  # noqa: PLC0415 - matplotlib, which only figures need

        figures = evaluation.figures
        drawn = {
            "confusion": plots.confusion(figures),
            "reliability": plots.reliability(figures),
            "risk-coverage": plots.risk_coverage(figures),
        }
        if evaluation.shifts is not None:
            drawn["shifts"] = plots.shifts(evaluation.shifts)
        plots.save(drawn, out)
        write_json(out / "evaluation.json", evaluation)


@app.command()
def probe(
    data: DataOption,
    table: Annotated[Path, typer.Option(help="CSV of path (relative to it), label and group: the subject.")],
    weights: Annotated[str, typer.Option(help=f"ImageNet weights: an .npz file, or '{IMAGENET}' to download them.")],
    out: Annotated[Path, typer.Option(help="Folder for the features, which are kept, and the JSON.")],
    description: DescriptionOption = None,
    alpha: Annotated[
        str, typer.Option(callback=_one_of(ALPHAS), help=f"Width of MobileNetV2: {', '.join(map(str, ALPHAS))}.")
    ] = "1.0",
    seed: SeedOption = 0,
    *,
    as_json: JsonOption = False,
) -> None:
    """Measure by how much a random split flatters a classifier, on data whose subjects are known."""
    described = load_description(description, data)
    dataset = read_dataset(data, described, table)
    _report_unreadable(dataset.unreadable)
    found = probe_features(cached_features(dataset, weights, float(alpha), out), dataset, described, seed=seed)
    write_json(out / "probe.json", found)
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
    else:
        show_probe(found, _stdout())


def _stdout() -> Console:
    """As wide as the terminal; in a file, wide enough for the tables."""
    stdout = Console()
    return stdout if stdout.is_terminal else Console(width=FILE_WIDTH)


def _report_unreadable(unreadable: Sequence[Unreadable]) -> None:
    for each in unreadable:
        console.print(f"skipped {each.path}: {each.reason}", markup=False)
    if unreadable:
        console.print(f"{len(unreadable)} file(s) skipped: they are no readable images.")


def _report_split(prepared: Prepared) -> None:
    counts = Counter((each.file.label, each.part) for each in prepared.assignments)
    table = Table("class", *Part)
    for label in sorted({each.file.label for each in prepared.assignments}):
        table.add_row(label, *(str(counts[label, part]) for part in Part))
    _stdout().print(table)
    console.print(f"{twins_count(prepared.assignments)} images have a twin; twins are on one side.")
    if prepared.disjoint is Disjoint.TWINS:
        console.print("No groups were kept apart: images of one person may be on both sides.", style="yellow")


if __name__ == "__main__":
    main()
