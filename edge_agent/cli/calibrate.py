"""``edge-agent calibrate``: measures the size of a pixel, and says what to change about the light."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from edge_agent.calibration.calibrator import DEFAULT_DIVISION_UM, Calibrator
from edge_agent.calibration.record import keep_calibration
from edge_agent.cameras import CameraPhase, CameraState, CameraSupervisor, Frame, make_camera
from edge_agent.cli.arguments import expand_path
from edge_agent.cli.atomic_file import replace_file
from edge_agent.cli.config_document import ConfigDocument
from edge_agent.cli.file_readings import UnreadFile, path_frames
from edge_agent.cli.state_folder import ConfigOption
from edge_agent.cli.terminal import (
    EXIT_FAILED,
    EXIT_SOME_UNREAD,
    NOTICE,
    errors,
    output,
    set_up_logging,
    write_json_line,
)
from edge_agent.config import Config, config_error, find_errors, load_config, system_config
from edge_agent.contracts import MAX_CALIBRATION_FRAMES, Calibration, CalibrationMethod, ErrorReport, Verdict
from edge_agent.errors import CameraAbsent, ConfigError, EdgeAgentError, FileUnusable, ImageMissing
from edge_agent.vision.decode import DEFAULT_MAX_PIXELS

SETTLING_FRAMES = 5
"""Frames of a live camera that are left out first: exposure and white balance may still be settling."""

_COLOURS = {Verdict.OK: "green", Verdict.ADJUST: "yellow", Verdict.UNCLEAR: "red"}


def calibrate(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Images, or folders of them, as the camera took them; without any, the configured camera is used.",
            metavar="[PATH...]",
            parser=expand_path,
        ),
    ] = None,
    config: ConfigOption = None,
    micrometer: Annotated[
        bool, typer.Option("--micrometer", help="A stage micrometer lies under the microscope, not a thin smear.")
    ] = False,
    division_um: Annotated[
        float, typer.Option(min=0.001, max=10_000, help="Distance of the micrometer's neighbouring lines.")
    ] = DEFAULT_DIVISION_UM,
    frames: Annotated[
        int, typer.Option(min=1, max=MAX_CALIBRATION_FRAMES, help="Number of frames to take from the camera.")
    ] = 5,
    write: Annotated[bool, typer.Option("--write", help="Write the size of a pixel into the configuration.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Measure the size of a pixel and check the light, by a thin smear or a stage micrometer.

    Exits with 1 if the size of a pixel could not be measured, and with 3 if a frame could not be read.
    """
    set_up_logging("error")
    config = config or system_config()
    if config is None and (write or not paths):
        raise ConfigError("There is no configuration.", remedy="Name one with --config, or run 'edge-agent setup'.")
    settings = None if config is None else load_config(config)
    calibrator = Calibrator(
        CalibrationMethod.MICROMETER if micrometer else CalibrationMethod.SMEAR,
        division_um=division_um,
        configured_um_per_pixel=None if settings is None else settings.camera.um_per_pixel,
        max_pixels=DEFAULT_MAX_PIXELS if settings is None else round(settings.analysis.max_image_megapixels * 1e6),
    )
    unread: list[UnreadFile] = []
    if paths:
        _measure_files(calibrator, paths, unread)
    elif settings is not None:
        _measure_camera(calibrator, settings, frames, unread)
    found = _finish(calibrator, unread)
    if as_json:
        write_json_line(found.model_dump_json())
    else:
        _print(found)
    if settings is not None and (write or not paths):
        _keep(settings.state.folder, found)
    if found.scale is None:
        raise typer.Exit(EXIT_FAILED)
    if write and config is not None:
        _write(config, found.scale.um_per_pixel, quiet=as_json)
    elif not as_json:
        output.print(f"For section [camera] of agent.toml (--write adds it): {found.setting}", markup=False)
    if unread:
        raise typer.Exit(EXIT_SOME_UNREAD)


def _measure_files(calibrator: Calibrator, paths: list[Path], unread: list[UnreadFile]) -> None:
    for each in path_frames(paths, unread.append):
        skipped = calibrator.add(each.frame)
        if skipped is not None:
            unread.append(UnreadFile(each.name, ErrorReport.from_error(skipped)))


def _measure_camera(calibrator: Calibrator, settings: Config, count: int, unread: list[UnreadFile]) -> None:
    for number, frame in enumerate(_camera_frames(settings, count), 1):
        skipped = calibrator.add(frame)
        if skipped is not None:
            unread.append(UnreadFile(f"frame {number}", ErrorReport.from_error(skipped)))


def _camera_frames(settings: Config, count: int) -> Iterator[Frame]:
    """At most ``count`` frames. Raises the camera's error if there is none."""
    stop = threading.Event()
    problems: list[EdgeAgentError] = []

    def changed(state: CameraState) -> None:
        if state.phase is CameraPhase.LOST:
            # One attempt is enough here; the agent itself keeps trying.
            stop.set()
            if state.error is not None:
                problems.append(state.error)

    supervisor = CameraSupervisor(lambda: make_camera(settings.camera), settings.capture, stop, changed)
    given = 0
    frames = supervisor.frames()
    try:
        for seen, frame in enumerate(frames):
            if supervisor.live and seen < SETTLING_FRAMES:
                continue
            yield frame
            given += 1
            if given == count:
                return
    finally:
        stop.set()
        frames.close()  # type: ignore[attr-defined]  # a generator, declared as an iterator
    if problems and not given:
        # A camera can be opened by one program only, and the agent is the likeliest other one.
        error = problems[0]
        raise type(error)(
            error.message,
            remedy=f"{error.remedy} If the agent is running, it has the camera: send it the command 'calibrate', or "
            "stop it first (sudo systemctl stop leukoscope).",
        )
    if not given:
        raise CameraAbsent(f"Camera {settings.camera.id} delivered no frame.")


def _print(found: Calibration) -> None:
    table = Table(
        "check",
        "verdict",
        "what was found",
        "what to do",
        title=f"{found.frames_count} frame{'' if found.frames_count == 1 else 's'} of "
        f"{found.frame_width_px} x {found.frame_height_px} px, {found.method}",
        caption=NOTICE,
    )
    for check in found.checks:
        table.add_row(
            check.name.replace("_", " "),
            Text(check.verdict, style=_COLOURS[check.verdict]),
            Text(check.finding),
            Text(check.next_step),
        )
    output.print(table)


def _finish(calibrator: Calibrator, unread: list[UnreadFile]) -> Calibration:
    """Name what could not be read, and sum up the rest. Raises ``ImageError`` if there is none."""
    if unread:
        errors.print(f"{len(unread)} not read:", style="red")
        for item in unread:
            errors.print(f"  {item.name}: {item.error.code}: {item.error.message}", markup=False)
    if not calibrator.frames_count and not calibrator.frames_skipped_count:
        raise ImageMissing("There was no picture to measure.")
    return calibrator.finish()


def _keep(folder: Path, found: Calibration) -> None:
    """For 'doctor'. Not created here: the agent's user could not write to a folder that root creates."""
    if not folder.is_dir():
        return
    try:
        keep_calibration(folder, found)
    except FileUnusable as error:
        errors.print(f"The calibration was not kept: {error.message}", markup=False, style="yellow")


def _write(path: Path, um_per_pixel: float, *, quiet: bool) -> None:
    """Change the one line. Raises ``ConfigError``; the file is then as it was."""
    document = ConfigDocument.read(path)
    before = document.get("camera", "um_per_pixel")
    document.set(("camera", "um_per_pixel"), um_per_pixel)
    problems = find_errors(document.values)
    if problems:
        raise config_error(path, document.text, problems)
    replace_file(path, document.text.encode(), keep_before=True)
    if not quiet:
        was = "" if before is None else f" (before: {before:g})"
        output.print(
            f"Written to {path}: um_per_pixel = {um_per_pixel!r}{was}. A running agent reads it after: "
            "sudo systemctl reload leukoscope",
            markup=False,
        )
