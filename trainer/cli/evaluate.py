"""``trainer evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trainer.cli.options import DataOption, FiguresOption, ForeignOption, JsonOption, SeedOption
from trainer.cli.output import results
from trainer.data.split import Part
from trainer.evaluation.options import DRAWS, EvaluationOptions


def evaluate(
    bundle: Annotated[str, typer.Option(help="Name of a shipped bundle, or a bundle's folder.")],
    data: DataOption,
    split: Annotated[Path, typer.Option(help="Split (CSV), such as the manifest.csv of the run.")],
    part: Annotated[Part, typer.Option(help="Part of the split to measure on.")] = Part.TEST,
    foreign: ForeignOption = None,
    draws: Annotated[int, typer.Option(min=1, help="Random shifts of each image, with --shifts.")] = DRAWS,
    out: FiguresOption = None,
    seed: SeedOption = 0,
    *,
    shifts: Annotated[
        bool, typer.Option("--shifts", help="Measure also under shifts of light, colour, focus and scale.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Measure a bundle on images that it was not trained on, through the int8 file and the agent's analyzer."""
    from trainer.evaluation.evaluate import evaluate as evaluate_bundle
    from trainer.files import check_output_folder, write_json
    from trainer.reports.evaluation_tables import show_evaluation

    if out is not None:
        from trainer.reports import plots

        check_output_folder(out)
    options = EvaluationOptions(shifts=shifts, draws=draws, foreign=tuple(foreign or ()), seed=seed)
    evaluation = evaluate_bundle(bundle, data, split, part, options)
    if out is not None:
        plots.save(plots.evaluation_plots(evaluation), out)
        write_json(out / "evaluation.json", evaluation)
    if as_json:
        typer.echo(evaluation.model_dump_json(indent=2))
    else:
        show_evaluation(evaluation, results())
