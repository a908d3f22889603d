"""``edge-agent bundle compare``: judges the same images, folders and videos with two models."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Column, Table
from rich.text import Text

from edge_agent.analysis.analyzer import Analyzer
from edge_agent.analysis.reading import Reading
from edge_agent.cli.arguments import expand_path
from edge_agent.cli.file_readings import UnreadFile, path_frames
from edge_agent.cli.terminal import EXIT_SOME_UNREAD, NOTICE, errors, output, set_up_logging, write_json_line
from edge_agent.contracts import AgreementFigures, ErrorReport, ModelIdentity, Outcome, Percentiles
from edge_agent.inference import Classifier, load_bundle
from edge_agent.shadow.comparison import Comparison, percentiles
from edge_agent.vision.settings import QualityLimits


@dataclass(frozen=True, slots=True)
class ComparedFile:
    """What two models say of one picture."""

    name: str
    """For display."""
    first: Reading
    second: Reading
    agrees: bool | None
    """None if neither could judge it."""


def compare(
    first: Annotated[str, typer.Argument(help="Name of an installed bundle, or a bundle's folder.", metavar="A")],
    second: Annotated[
        str, typer.Argument(help="The one to compare it with; the same one if a head differs.", metavar="B")
    ],
    paths: Annotated[
        list[Path], typer.Argument(help="Images, folders of images, and videos.", metavar="PATH...", parser=expand_path)
    ],
    first_head: Annotated[
        Path | None, typer.Option("--head-a", help="A head's folder, which judges for A.", parser=expand_path)
    ] = None,
    second_head: Annotated[
        Path | None, typer.Option("--head-b", help="A head's folder, which judges for B.", parser=expand_path)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object in place of tables.")] = False,
) -> None:
    """Judge the same pictures with two models, and show where they differ. Exits with 3 if any could not be read.

    Agreement is not accuracy: where two models differ, either may be wrong.
    """
    set_up_logging("error")
    analyzers = _load(first, first_head), _load(second, second_head)
    comparison = Comparison()
    unread: list[UnreadFile] = []
    latencies_ms: tuple[list[float], list[float]] = ([], [])
    differing: list[ComparedFile] = []
    for each in compare_paths(paths, analyzers, comparison, unread.append):
        if each.agrees is None:
            # Rejected before the network: it took no time.
            continue
        for samples_ms, reading in zip(latencies_ms, (each.first, each.second), strict=True):
            samples_ms.append(reading.latency_ms["total"])
        if not each.agrees:
            differing.append(each)
    figures = comparison.figures()
    models = analyzers[0].model, analyzers[1].model
    latency_ms = percentiles(latencies_ms[0]), percentiles(latencies_ms[1])
    if as_json:
        write_json_line(json.dumps(_document(models, figures, latency_ms, differing, unread)))
    else:
        _print_tables(models, figures, latency_ms, differing)
    sys.stdout.flush()
    if unread:
        errors.print(f"{len(unread)} not read:", style="red")
        for item in unread:
            errors.print(f"  {item.name}: {item.error.code}: {item.error.message}", markup=False)
        raise typer.Exit(EXIT_SOME_UNREAD)


def compare_paths(
    paths: list[Path],
    analyzers: tuple[Analyzer, Analyzer],
    comparison: Comparison,
    on_unread: Callable[[UnreadFile], None],
) -> Iterator[ComparedFile]:
    """What both say of every picture that can be read, in the order of ``paths``; each pair is added to ``comparison``.

    What cannot be read or is left out is passed to ``on_unread``. Never raises because of a path's content.
    """
    for each in path_frames(paths, on_unread):
        first, second = (analyzer.analyse(each.frame) for analyzer in analyzers)
        failed = [reading for reading in (first, second) if reading.outcome is Outcome.FAILED]
        if failed:
            error = failed[0].error
            if error is not None:
                on_unread(UnreadFile(each.name, error))
            continue
        yield ComparedFile(each.name, first, second, comparison.add(first, second))


def _load(bundle: str, head: Path | None) -> Analyzer:
    classifier = Classifier(load_bundle(bundle), head=head)
    classifier.verify_golden()
    return Analyzer(classifier, QualityLimits())


def _model_name(model: ModelIdentity) -> str:
    if model.head is None:
        return f"{model.name} {model.version}"
    return f"{model.head.name} {model.head.version} on {model.name} {model.version}"


def _answer(reading: Reading) -> str:
    return reading.label or f"{reading.outcome} ({reading.reason})"


def _print_tables(
    models: tuple[ModelIdentity, ModelIdentity],
    figures: AgreementFigures,
    latency_ms: tuple[Percentiles | None, Percentiles | None],
    differing: Sequence[ComparedFile],
) -> None:
    table = Table(Column(""), Column("A"), Column("B"), caption=NOTICE)
    table.add_row("model", *(Text(_model_name(model)) for model in models))
    table.add_row("no label", str(figures.active_refused_count), str(figures.candidate_refused_count))
    reasons = dict.fromkeys([*figures.active_refusals_count, *figures.candidate_refusals_count])
    for reason in reasons:
        counts = figures.active_refusals_count.get(reason, 0), figures.candidate_refusals_count.get(reason, 0)
        table.add_row(f"  {reason}", *(str(count) for count in counts))
    table.add_row("median ms", *("" if each is None else f"{each.p50_ms:.1f}" for each in latency_ms))
    table.add_row("95 % within ms", *("" if each is None else f"{each.p95_ms:.1f}" for each in latency_ms))
    output.print(table)
    output.print(_agreement(figures))
    if figures.labels_comparable is False:
        output.print("They do not tell the same labels apart, so only whether each gives a label is compared.")
    if figures.unfit_count:
        output.print(f"Neither could judge {figures.unfit_count} more, such as empty or blurred ones.")
    if differing:
        files = Table(Column("they differ on", overflow="fold"), Column("A"), Column("B"))
        for each in differing:
            files.add_row(Text(each.name), _answer(each.first), _answer(each.second))
        output.print(files)


def _agreement(figures: AgreementFigures) -> str:
    if figures.agreement_ratio is None:
        return "There was nothing to compare."
    return (
        f"They agree on {figures.agreeing_count} of {figures.compared_count} pictures: {figures.agreement_ratio:.1%} "
        f"(between {figures.agreement_low_ratio:.1%} and {figures.agreement_high_ratio:.1%}, if every picture is of "
        "another field)."
    )


def _document(
    models: tuple[ModelIdentity, ModelIdentity],
    figures: AgreementFigures,
    latency_ms: tuple[Percentiles | None, Percentiles | None],
    differing: Sequence[ComparedFile],
    unread: Sequence[UnreadFile],
) -> dict[str, object]:
    """As the tables; in ``agreement`` A is the active model and B the candidate."""
    sides = zip(models, latency_ms, strict=True)
    first, second = (
        {
            "model": model.model_dump(mode="json"),
            "latency_ms": None if latency is None else latency.model_dump(mode="json"),
        }
        for model, latency in sides
    )
    return {
        "use": "research-only",
        "a": first,
        "b": second,
        "agreement": figures.model_dump(mode="json"),
        "differing": [{"name": each.name, "a": _said(each.first), "b": _said(each.second)} for each in differing],
        "unread": [{"name": item.name, "error": _report(item.error)} for item in unread],
    }


def _said(reading: Reading) -> dict[str, object]:
    return {"outcome": reading.outcome, "reason": reading.reason, "label": reading.label}


def _report(error: ErrorReport) -> dict[str, object]:
    return error.model_dump(mode="json")
