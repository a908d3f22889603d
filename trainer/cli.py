"""'trainer': from class folders to a bundle that the agent can use."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from edge_agent.errors import EdgeAgentError
from edge_agent.vision.preprocessing import DENOISERS, PREPROCESSINGS
from trainer.evaluation import Evaluation
from trainer.evaluation import evaluate as evaluate_bundle
from trainer.metrics import Figures
from trainer.progress import console
from trainer.run import TrainOptions
from trainer.spec import ALPHAS, IMAGENET
from trainer.split import Part
from trainer.synthesis import synthesise

EXIT_ERROR = 2

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
    variants: Annotated[int, typer.Option(min=1, help="Augmented variants of each training image.")] = 4,
    split: Annotated[Path | None, typer.Option(help="Use this split (CSV) again instead of making one.")] = None,
) -> None:
    """Train a head on frozen ImageNet features and write the run."""
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
    accuracy = _percent(figures.accuracy_ratio)
    console.print(f"Bundle written to {out}. Accuracy on {figures.images_count} test images: {accuracy}.")


@app.command()
def evaluate(
    bundle: Annotated[str, typer.Option(help="A shipped bundle's name, or a folder.")],
    data: DataOption,
    split: Annotated[Path, typer.Option(help="manifest.csv of the run.")],
    part: Annotated[Part, typer.Option(help="Which images to judge.")] = Part.TEST,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Measure a bundle on images that it was not trained on, through the int8 file and the agent's classifier."""
    evaluation = evaluate_bundle(bundle, data, split, part)
    if as_json:
        typer.echo(evaluation.model_dump_json(indent=2))
    else:
        _show(evaluation)


def _show(evaluation: Evaluation) -> None:
    stdout = Console()
    figures = evaluation.figures
    low, high = figures.accuracy_interval_ratio
    stdout.print(f"{evaluation.bundle} on {figures.images_count} images ({evaluation.part})", highlight=False)
    stdout.print(_class_table(figures), _confusion_table(figures))
    rows: list[tuple[str, str]] = [
        ("accuracy", f"{_percent(figures.accuracy_ratio)} (95 %: {_percent(low)} to {_percent(high)})"),
        ("malignant recall", _percent(figures.malignant_recall_ratio)),
        ("malignant specificity", _percent(figures.malignant_specificity_ratio)),
        ("abstained", _percent(figures.abstained_ratio)),
        ("accuracy where not abstained", _percent(figures.answered_accuracy_ratio)),
        ("expected calibration error", _percent(figures.expected_calibration_error_ratio)),
    ]
    if parity := evaluation.parity:
        rows += [
            ("float network's accuracy", _percent(parity.float_accuracy_ratio)),
            ("float and int8 agree", _percent(parity.agreement_ratio)),
            (
                "mean, largest difference of logits",
                f"{parity.mean_logit_difference:.3f}, {parity.max_logit_difference:.3f}",
            ),
        ]
    for what, value in rows:
        stdout.print(f"{what:36}{value}", highlight=False)


def _class_table(figures: Figures) -> Table:
    table = Table("class", "images", "precision", "recall", "F1")
    for each in figures.classes:
        ratios = each.precision_ratio, each.recall_ratio, each.f1_ratio
        table.add_row(each.code, str(each.images_count), *map(_percent, ratios))
    return table


def _confusion_table(figures: Figures) -> Table:
    table = Table("truth", *(f"as {each.code}" for each in figures.classes))
    for each, row in zip(figures.classes, figures.confusion, strict=True):
        table.add_row(each.code, *map(str, row))
    return table


def _percent(ratio: float | None) -> str:
    return "-" if ratio is None else f"{100 * ratio:.2f} %"


if __name__ == "__main__":
    main()
