"""The commands that make and measure models: train, quantize, bundle, evaluate, compare."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from edge_agent.vision.preprocessing import DENOISERS, PREPROCESSINGS
from trainer.cli.app import (
    AlphaOption,
    DataOption,
    DescriptionOption,
    FiguresOption,
    ForeignOption,
    JsonOption,
    SeedOption,
    TestShareOption,
    ValidationShareOption,
    WeightsOption,
    app,
    one_of,
    stdout,
)
from trainer.comparison.table import show_comparison
from trainer.data.split import Part
from trainer.evaluation.audit import read_audit
from trainer.evaluation.evaluate import EvaluationOptions
from trainer.evaluation.evaluate import evaluate as evaluate_bundle
from trainer.evaluation.shifts import DRAWS
from trainer.files import write_json
from trainer.progress import console
from trainer.reports.evaluation_tables import show_evaluation
from trainer.reports.formatting import percent
from trainer.spec import ALPHAS
from trainer.training.options import TrainOptions
from trainer.training.run import MODEL


@app.command()
def train(  # noqa: PLR0913, PLR0917 - a command's options are its parameters
    data: DataOption,
    out: Annotated[Path, typer.Option(help="New folder for the run.")],
    weights: WeightsOption,
    description: DescriptionOption = None,
    alpha: AlphaOption = "1.0",
    preprocessing: Annotated[
        str, typer.Option(callback=one_of(PREPROCESSINGS), help=f"{', '.join(PREPROCESSINGS)}.")
    ] = "rgb@1",
    denoise: Annotated[str, typer.Option(callback=one_of(DENOISERS), help=f"{', '.join(DENOISERS)}.")] = "median3",
    seed: Annotated[int, typer.Option(min=0, help="Of split, augmentation and training.")] = 1,
    test_share: TestShareOption = 0.1,
    validation_share: ValidationShareOption = 0.1,
    variants: Annotated[int, typer.Option(min=1, help="Augmented variants of each training image.")] = 16,
    epochs: Annotated[int, typer.Option(min=0, help="At most so many for the last layers; 0: the head alone.")] = 30,
    teacher: Annotated[
        list[Path] | None, typer.Option(help="Finished run whose network is to be imitated; several are averaged.")
    ] = None,
    split: Annotated[Path | None, typer.Option(help="Use this split (CSV) again instead of making one.")] = None,
) -> None:
    """Train a network and write the run: a head on frozen ImageNet features, then the last layers with it.

    Killed or out of disk, the same command goes on from the last epoch.
    """
    # Keras and TensorFlow take seconds to import, which '--help' and 'synth' need not wait for.
    from trainer.training.train import train as train_run  # noqa: PLC0415

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
            teacher=tuple(each.as_posix() for each in teacher or ()),
            split=split.as_posix() if split else None,
        )
    )


@app.command()
def quantize(
    run: Annotated[Path, typer.Option(help="Folder that 'trainer train' wrote.")],
    data: DataOption,
) -> None:
    """Convert a run to a full-integer TFLite file, and compile that for an Edge TPU where its compiler is installed."""
    # TensorFlow takes seconds to import.
    from trainer.export.quantization import quantize as quantize_run  # noqa: PLC0415

    found = quantize_run(run, data)
    operations = ", ".join(f"{name} {version}" for name, version in found.operations.items())
    console.print(f"{run / MODEL}: {found.model_bytes / 1e6:.2f} MB, ops and versions {operations}.", soft_wrap=True)
    if found.edge_tpu is None:
        console.print("edgetpu_compiler is not installed: held to what it is documented to take, not compiled.")
    else:
        console.print(f"edgetpu_compiler {found.edge_tpu.version}: all {found.edge_tpu.operations_count} ops mapped.")


@app.command()
def bundle(
    run: Annotated[Path, typer.Option(help="Folder that 'trainer train' and 'trainer quantize' wrote.")],
    data: DataOption,
    out: Annotated[Path, typer.Option(help="New folder for the bundle.")],
    name: Annotated[str, typer.Option(help="Name of the bundle: [a-z0-9-]+.")],
    version: Annotated[str, typer.Option(help="Version of the bundle, such as 0.1.0.")],
    audit: Annotated[Path | None, typer.Option(help="The audit.json of the data, to be told on the cards.")] = None,
    foreign: ForeignOption = None,
) -> None:
    """Make a bundle of a quantized run: thresholds, familiarity, golden vectors, cards and manifest.

    A bundle is a demonstration if the run's data set says that it is synthetic.
    """
    # Keras and TensorFlow take seconds to import.
    from trainer.export.bundle import bundle as make_bundle  # noqa: PLC0415
    from trainer.export.bundle_files import BundleIdentity  # noqa: PLC0415

    figures = make_bundle(
        run,
        data,
        out,
        BundleIdentity(name=name, version=version),
        audit=None if audit is None else read_audit(audit),
        foreign=tuple(foreign or ()),
    )
    accuracy = percent(figures.accuracy_ratio)
    console.print(f"Bundle written to {out}. Accuracy on {figures.images_count} test images: {accuracy}.")


@app.command()
def evaluate(  # noqa: PLR0913 - a command's options are its parameters
    bundle: Annotated[str, typer.Option(help="A shipped bundle's name, or a folder.")],
    data: DataOption,
    split: Annotated[Path, typer.Option(help="manifest.csv of the run.")],
    part: Annotated[Part, typer.Option(help="Which images to judge.")] = Part.TEST,
    foreign: ForeignOption = None,
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
    wanted = EvaluationOptions(shifts=shifts, draws=draws, foreign=tuple(foreign or ()), seed=seed)
    evaluation = evaluate_bundle(bundle, data, split, part, wanted)
    if as_json:
        typer.echo(evaluation.model_dump_json(indent=2))
    else:
        show_evaluation(evaluation, stdout())
    if out is not None:
        # Matplotlib takes a second to import.
        from trainer.reports import plots  # noqa: PLC0415 - matplotlib, which only figures need

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


def _all_known(values: list[str] | None) -> list[str] | None:
    return None if values is None else [one_of(PREPROCESSINGS)(value) for value in values]


@app.command()
def compare(  # noqa: PLR0913, PLR0917 - a command's options are its parameters
    data: DataOption,
    split: Annotated[Path, typer.Option(help="Split (CSV) of training, validation and test.")],
    weights: Annotated[
        list[str], typer.Option(help="ALPHA=FILE: ImageNet weights of MobileNetV2. May be given several times.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the runs and the table; a killed comparison goes on there.")],
    description: DescriptionOption = None,
    preprocessing: Annotated[
        list[str] | None, typer.Option(callback=_all_known, help="Default: all. The first one is the usual one.")
    ] = None,
    variants: Annotated[int, typer.Option(min=1, help="Augmented variants of each training image.")] = 4,
    epochs: Annotated[int, typer.Option(min=0, help="At most so many for each network.")] = 8,
    other: Annotated[
        list[str] | None,
        typer.Option(help="NAME=FILE, or NAME=imagenet: weights of EfficientNetB0, NASNetMobile or VGG16."),
    ] = None,
    bundle: Annotated[list[str] | None, typer.Option(help="A bundle to measure beside. Several times.")] = None,
    seed: SeedOption = 1,
    *,
    as_json: JsonOption = False,
) -> None:
    """Compare networks, preprocessings and baselines on one split, in one table."""
    # Keras and TensorFlow take seconds to import.
    from trainer.comparison.compare import compare as compare_all  # noqa: PLC0415
    from trainer.comparison.plan import Plan, hash_of_split  # noqa: PLC0415

    plan = Plan(
        split_sha256=hash_of_split(split),
        weights={float(one_of(ALPHAS)(alpha)): path for alpha, path in _pairs(weights, "--weights").items()},
        preprocessings=tuple(preprocessing or PREPROCESSINGS),
        variants=variants,
        epochs=epochs,
        others=_pairs(other or (), "--other"),
        seed=seed,
    )
    found = compare_all(data, description, split, out, plan, bundle or ())
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
    else:
        show_comparison(found, stdout())


def _pairs(values: Iterable[str], option: str) -> dict[str, str]:
    """NAME=VALUE as a dictionary."""
    pairs = [value.partition("=") for value in values]
    if wrong := [name for name, _, value in pairs if not (name and value)]:
        raise typer.BadParameter(f"'{wrong[0]}' is not of the form NAME=VALUE.", param_hint=option)
    return {name: value for name, _, value in pairs}
