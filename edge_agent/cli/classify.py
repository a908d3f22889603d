"""``edge-agent classify``: judges images, folders and videos."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from edge_agent.analysis.analyzer import Analyzer
from edge_agent.analysis.cell_analyzer import CellAnalyzer
from edge_agent.analysis.cell_scale import configured_scale
from edge_agent.cli.arguments import expand_path
from edge_agent.cli.file_readings import (
    FileReading,
    UnreadFile,
    classify_paths,
    count_frames,
    find_cell_scale,
    spread_frames,
)
from edge_agent.cli.results_table import differences_line, reasons_legend, results_table, scale_warning
from edge_agent.cli.terminal import (
    EXIT_INTERRUPTED,
    EXIT_SOME_UNREAD,
    errors,
    output,
    set_up_logging,
    write_json_line,
)
from edge_agent.errors import ConfigError
from edge_agent.inference import Classifier, load_bundle
from edge_agent.vision.settings import QualityLimits


def classify(
    paths: Annotated[
        list[Path], typer.Argument(help="Images, folders of images, and videos.", metavar="PATH...", parser=expand_path)
    ],
    bundle: Annotated[str, typer.Option(help="Name of a shipped bundle, or a bundle's folder.")] = "accurate",
    head: Annotated[
        Path | None,
        typer.Option(help="A head's folder: it judges in place of the bundle's own classes.", parser=expand_path),
    ] = None,
    style: Annotated[str, typer.Option("--format", help="json (one result message per line) or table.")] = "json",
    um_per_pixel: Annotated[
        float | None, typer.Option(min=0.001, max=100, help="Size of the images' pixels in the specimen, if known.")
    ] = None,
    as_cell: Annotated[
        bool, typer.Option("--as-cell", help="Each image shows one cell; needs a bundle of the kind 'cells'.")
    ] = False,
    threads: Annotated[int, typer.Option(min=1, max=64, help="Threads of the TFLite runtime.")] = 1,
) -> None:
    """Judge images, folders and videos. Exits with 3 if anything could not be read."""
    if style not in {"json", "table"}:
        raise ConfigError(f"--format {style}: unknown format.", remedy="Use json or table.")

    set_up_logging("error")
    classifier = Classifier(load_bundle(bundle), head=head, threads=threads)
    classifier.verify_golden()
    analyzer: Analyzer | CellAnalyzer = (
        _make_cell_analyzer(classifier, um_per_pixel, paths)
        if as_cell
        else Analyzer(classifier, QualityLimits(), um_per_pixel=um_per_pixel)
    )
    _say_if_provisional(analyzer)
    unread: list[UnreadFile] = []
    readings: list[FileReading] = []
    interrupted = False
    with _progress() as progress:
        task = progress.add_task("Classifying", total=count_frames(paths))
        try:
            for reading in classify_paths(paths, analyzer, unread.append):
                if style == "json":
                    write_json_line(reading.result.model_dump_json())
                else:
                    readings.append(reading)
                progress.advance(task)
        except KeyboardInterrupt:
            # Show what was read so far.
            interrupted = True
    sys.stdout.flush()
    if style == "table":
        _print_table(readings)
    if unread:
        errors.print(f"{len(unread)} not read:", style="red")
        for item in unread:
            errors.print(f"  {item.name}: {item.error.code}: {item.error.message}", markup=False)
    if interrupted:
        raise typer.Exit(EXIT_INTERRUPTED)
    if unread:
        raise typer.Exit(EXIT_SOME_UNREAD)


def _make_cell_analyzer(classifier: Classifier, um_per_pixel: float | None, paths: list[Path]) -> CellAnalyzer:
    # First, as it refuses a bundle of the wrong kind.
    analyzer = CellAnalyzer(classifier)
    analyzer.scale = find_cell_scale(paths) if um_per_pixel is None else configured_scale(um_per_pixel)
    errors.print(analyzer.scale.describe(), markup=False, highlight=False, soft_wrap=True)
    analyzer.find_blast_offset(spread_frames(paths))
    shifted = analyzer.blast_offset.describe()
    if shifted is not None:
        errors.print(shifted, markup=False, highlight=False, soft_wrap=True)
    return analyzer


def _say_if_provisional(analyzer: Analyzer | CellAnalyzer) -> None:
    if not analyzer.provisional:
        return
    head = analyzer.model.head
    judge = f"Bundle '{analyzer.model.name}'" if head is None else f"Head '{head.name}'"
    errors.print(f"{judge} is provisional: it gives no labels.", style="yellow", markup=False)
    for reason in analyzer.unproven_reasons:
        errors.print(f"  {reason}", markup=False)


def _print_table(readings: list[FileReading]) -> None:
    output.print(results_table(readings))
    legend = reasons_legend(reading.result for reading in readings)
    if legend.row_count:
        output.print()
        output.print(legend)
    differences = differences_line(reading.result for reading in readings)
    if differences is not None:
        output.print(differences, markup=False, highlight=False)
    warning = scale_warning(reading.result for reading in readings)
    if warning is not None:
        errors.print(warning, style="yellow", highlight=False)


def _progress() -> Progress:
    """On a terminal only; results go to standard output, the bar to standard error."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=errors,
        transient=True,
        disable=not sys.stderr.isatty(),
    )
