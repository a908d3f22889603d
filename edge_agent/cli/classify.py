"""``edge-agent classify``: judge images, folders and videos that are already there."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column, Table
from uuid_utils.compat import uuid7

from edge_agent.analysis.analyzer import Analyzer
from edge_agent.analysis.results import ResultMaker
from edge_agent.cameras.camera import Camera
from edge_agent.cameras.files import FolderCamera, list_images
from edge_agent.cameras.frame import Frame
from edge_agent.cameras.settings import FolderSettings, VideoSettings
from edge_agent.cameras.video import VideoCamera
from edge_agent.cli.arguments import expand_path
from edge_agent.cli.terminal import EXIT_SOME_UNREAD, NOTICE, errors, output, set_up_logging, write_json_line
from edge_agent.contracts import Outcome, Result
from edge_agent.errors import CameraError, ConfigError, EndOfFrames
from edge_agent.inference import Classifier, load_bundle
from edge_agent.vision.settings import QualityLimits

VIDEO_SUFFIXES = frozenset({".avi", ".m4v", ".mjpeg", ".mjpg", ".mkv", ".mov", ".mp4", ".mpg", ".webm"})

CAMERA = "file"


@dataclass(frozen=True, slots=True)
class Unread:
    """A path that could not be read, and why."""

    path: str
    error: str


def count_frames(paths: list[Path]) -> int | None:
    """How many readings ``paths`` will give; None where a video makes that unknown."""
    if any(_is_video(path) for path in paths):
        return None
    return sum(len(list_images(path)) if path.is_dir() else 1 for path in paths)


def classify_paths(paths: list[Path], analyzer: Analyzer, on_unread: Callable[[Unread], None]) -> Iterator[Result]:
    """One result per image or video frame, in the order of ``paths``; ``source`` is the file's path.

    What cannot be read is told to ``on_unread``; where there is a frame to speak of, a ``failed`` result comes too.
    """
    maker = ResultMaker("this-computer", uuid7())
    for path in paths:
        camera = _camera_for(path)
        try:
            for frame in _frames(camera):
                result = maker.make(analyzer.analyse(frame))
                if result.outcome is Outcome.FAILED and result.error is not None:
                    on_unread(Unread(result.source or str(path), f"{result.error.code}: {result.error.message}"))
                yield result
        except CameraError as error:
            on_unread(Unread(str(path), f"{error.code}: {error.message}"))


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES


def _camera_for(path: Path) -> Camera:
    if _is_video(path):
        return VideoCamera(VideoSettings(kind="video", id=CAMERA, path=path))
    return FolderCamera(FolderSettings(kind="folder", id=CAMERA, path=path))


def _frames(camera: Camera) -> Iterator[Frame]:
    try:
        camera.open()
        while True:
            yield camera.read()
    except EndOfFrames:
        return
    finally:
        camera.close()


def classify(
    paths: Annotated[
        list[Path], typer.Argument(help="Images, folders of images, and videos.", metavar="PATH...", parser=expand_path)
    ],
    bundle: Annotated[str, typer.Option(help="Name of a shipped bundle, or a bundle's folder.")] = "accurate",
    style: Annotated[str, typer.Option("--format", help="json (one result message per line) or table.")] = "json",
    um_per_pixel: Annotated[
        float | None, typer.Option(min=0.001, help="Size of the images' pixels in the specimen, if known.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, max=64, help="Threads of the TFLite runtime.")] = 1,
) -> None:
    """Judge images, folders and videos. Exits with 3 if some of them could not be read."""
    if style not in {"json", "table"}:
        raise ConfigError(f"--format {style}: there is no such format.", remedy="Use json or table.")

    set_up_logging("error")
    classifier = Classifier(load_bundle(bundle), threads=threads)
    classifier.verify_golden()
    analyzer = Analyzer(classifier, QualityLimits(), um_per_pixel=um_per_pixel)
    unread: list[Unread] = []
    results: list[Result] = []
    with _progress() as progress:
        task = progress.add_task("Classifying", total=count_frames(paths))
        for result in classify_paths(paths, analyzer, unread.append):
            if style == "json":
                write_json_line(result.model_dump_json())
            else:
                results.append(result)
            progress.advance(task)
    sys.stdout.flush()
    if style == "table":
        output.print(_results_table(results))
    if unread:
        errors.print(f"{len(unread)} not read:", style="red")
        for item in unread:
            errors.print(f"  {item.path}: {item.error}", markup=False)
        raise typer.Exit(EXIT_SOME_UNREAD)


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


def _results_table(results: list[Result]) -> Table:
    folder = os.path.commonpath([Path(result.source or "").parent for result in results]) if results else ""
    columns = [Column(name, no_wrap=True) for name in ("outcome", "label", "sure %", "malignant %", "nuclei", "ms")]
    table = Table(Column("source", overflow="fold"), *columns, title=folder, caption=NOTICE)
    for result in results:
        why = result.reason or (result.error.code if result.error else None)
        sure = result.decision.confidence_ratio if result.decision is not None else None
        table.add_row(
            os.path.relpath(result.source or "", folder or "."),
            result.outcome if why is None else f"{result.outcome} ({why})",
            result.label or "",
            "" if sure is None else f"{100 * sure:.1f}",
            "" if result.malignant_ratio is None else f"{100 * result.malignant_ratio:.1f}",
            "" if result.nuclei is None else str(result.nuclei.count),
            f"{result.latency_ms['total']:.1f}",
        )
    return table
