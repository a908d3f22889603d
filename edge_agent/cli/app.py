"""``edge-agent``: the commands of the device."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import tempfile
import threading
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column, Table

from edge_agent import __version__
from edge_agent.cli.audit import audit
from edge_agent.cli.spool import spool
from edge_agent.cli.terminal import errors, output, print_error
from edge_agent.config import SYSTEM_CONFIG, Config, DeviceSettings, load_config, system_config
from edge_agent.contracts import Result
from edge_agent.daemon.signals import SignalQueue
from edge_agent.errors import ConfigError, EdgeAgentError, WebMissing
from edge_agent.web.settings import WebSettings

NOTICE = "Research use only. Not a medical device; no result may be used for diagnosis."

EXIT_FAILED, EXIT_USAGE, EXIT_SOME_UNREAD = 1, 2, 3

app = typer.Typer(
    help=f"Leukoscope's edge agent: from a camera on a microscope to readings over MQTT. {NOTICE}",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

log = logging.getLogger("edge_agent")

app.add_typer(spool, name="spool")
app.add_typer(audit, name="audit")


def main() -> None:
    """Run a command. What a user can cause ends in one clear error, never in a traceback."""
    try:
        app()
    except ConfigError as error:
        print_error(error)
        sys.exit(EXIT_USAGE)
    except EdgeAgentError as error:
        print_error(error)
        sys.exit(EXIT_FAILED)
    except BrokenPipeError:
        # Whoever read our output has seen enough; Python must not complain when it closes it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_FAILED)


def _set_up_logging(level: str) -> None:
    logging.basicConfig(level=level.upper(), format="%(asctime)s %(levelname)-7s %(message)s", force=True)


def _version(value: bool) -> None:  # noqa: FBT001 - Typer's way of an option that acts at once
    if value:
        output.print(f"leukoscope {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


@app.command()
def run(
    config: Annotated[Path, typer.Option("--config", help="The agent.toml to run by.", metavar="FILE")],
    safe_mode: Annotated[
        bool,
        typer.Option(
            "--safe-mode",
            help="Where the agent cannot start, stay connected and say why, instead of ending. For a service.",
        ),
    ] = False,
) -> None:
    """Run the agent until SIGTERM.

    SIGHUP reads the configuration again, SIGUSR1 asks for a reading, SIGUSR2 looks for the camera at once.
    """
    signals = SignalQueue()
    from edge_agent.daemon.journald import make_log_handler  # noqa: PLC0415 - as above
    from edge_agent.daemon.notify import make_notifier  # noqa: PLC0415 - as above
    from edge_agent.daemon.service import Service  # noqa: PLC0415 - OpenCV and the runtime, which 'check-config' does without

    logging.basicConfig(level=logging.INFO, handlers=[make_log_handler()], force=True)
    log.info("leukoscope %s. %s", __version__, NOTICE)
    Service(config, signals, make_notifier(), _set_level, safe_mode).run()


def _set_level(level: str) -> None:
    logging.getLogger().setLevel(level.upper())


@app.command()
def demo(
    frames: Annotated[
        Path | None, typer.Option(help="Folder with images to judge instead of drawn ones.", metavar="PATH")
    ] = None,
    count: Annotated[int | None, typer.Option(min=1, help="End after so many readings.")] = None,
    bundle: Annotated[
        str | None, typer.Option(help="Bundle to judge with: 'demo' for drawn frames, 'accurate' or 'fast' for yours.")
    ] = None,
    broker: Annotated[
        str | None, typer.Option(help="Use this broker instead of starting one.", metavar="HOST:PORT")
    ] = None,
    interval_s: Annotated[float, typer.Option(min=0, help="Seconds between two readings.")] = 0.25,
) -> None:
    """Start a broker and an agent on this machine and show what arrives, until interrupted."""
    from edge_agent.cli import demo as demonstration  # noqa: PLC0415 - what other commands do without
    from edge_agent.cli.local_broker import LOOPBACK, free_port, local_broker  # noqa: PLC0415 - what other commands do without
    from edge_agent.daemon.service import make_microscope_page  # noqa: PLC0415 - what other commands do without
    from edge_agent.mqtt import MqttSettings  # noqa: PLC0415 - as above

    _set_up_logging("warning")
    output.print(f"Leukoscope {__version__}. {NOTICE}", style="bold")
    stop = threading.Event()

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, interrupt)

    try:
        view = make_microscope_page(WebSettings(enabled=True, port=free_port()))
    except WebMissing:
        view = None

    def play(mqtt: MqttSettings, broker_name: str, state: Path) -> None:
        config = demonstration.demo_config(frames, bundle, mqtt=mqtt, interval_s=interval_s, state=state)
        source = "drawn smears (they mean nothing clinically)" if frames is None else str(frames)
        output.print(
            f"Frames: {source}. Bundle: {config.analysis.bundle}. Broker: {broker_name} at {mqtt.host}:{mqtt.port}."
        )
        output.print(f"To watch from another terminal: {demonstration.subscribe_command(mqtt)}", markup=False)
        if view is not None:
            output.print(f"To see the fields: {view.address}")
        output.print()
        made, received = demonstration.run_demo(
            config,
            count=count,
            stop=stop,
            show=lambda result: output.print(demonstration.describe(result), markup=False),
            view=view,
        )
        output.print(f"\n{made} readings made, {received} received back from the broker.")
        if count is not None and not stop.is_set() and received < count:
            raise typer.Exit(EXIT_FAILED)

    if broker is not None:
        host, separator, port = broker.rpartition(":")
        if not separator or not host or not port.isdecimal() or not 1 <= int(port) <= 65535:
            raise ConfigError(f"--broker {broker}: needs HOST:PORT.", remedy="For example --broker 127.0.0.1:1883.")
        with tempfile.TemporaryDirectory(prefix="leukoscope-demo-") as state:
            play(MqttSettings(host=host, port=int(port)), "yours", Path(state))
    else:
        port_number = free_port()
        with tempfile.TemporaryDirectory(prefix="leukoscope-demo-") as state, local_broker(port_number) as local:
            play(MqttSettings(host=LOOPBACK, port=port_number, version=local.version), local.name, Path(state))


@app.command()
def classify(
    paths: Annotated[list[Path], typer.Argument(help="Images, folders of images, and videos.", metavar="PATH...")],
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
    from edge_agent.analysis.analyzer import Analyzer  # noqa: PLC0415 - what other commands do without
    from edge_agent.cli.classify import Unread, classify_paths, count_frames  # noqa: PLC0415 - what other commands do without
    from edge_agent.inference import Classifier, load_bundle  # noqa: PLC0415 - what other commands do without
    from edge_agent.vision.quality import QualityLimits  # noqa: PLC0415 - what other commands do without

    _set_up_logging("error")
    classifier = Classifier(load_bundle(bundle), threads=threads)
    classifier.verify_golden()
    analyzer = Analyzer(classifier, QualityLimits(), um_per_pixel=um_per_pixel)
    unread: list[Unread] = []
    results: list[Result] = []
    with _progress() as progress:
        task = progress.add_task("Classifying", total=count_frames(paths))
        for result in classify_paths(paths, analyzer, unread.append):
            if style == "json":
                sys.stdout.write(result.model_dump_json() + "\n")
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


@app.command()
def setup(
    config: Annotated[Path, typer.Option("--config", help="The agent.toml to write.", metavar="FILE")] = (
        SYSTEM_CONFIG
    ),
    try_out: Annotated[bool, typer.Option("--doctor/--no-doctor", help="Try everything out afterwards.")] = True,
) -> None:
    """Ask for site, device, broker and camera, write the configuration, and try it out."""
    from edge_agent.cli.setup import Setup, restart_service  # noqa: PLC0415 - what other commands do without

    output.print(f"Leukoscope {__version__}. {NOTICE}", style="bold")
    output.print("An empty answer takes what stands in brackets. Ctrl+C ends without a change.")

    def say(line: str) -> None:
        output.print(line, markup=False)

    Setup(_ask, say, config, config.parent / "credentials").run()
    restart_service(say)
    if try_out:
        doctor(config)


def _ask(question: str, default: str | None, *, secret: bool = False) -> str:
    answer: str = typer.prompt(question, default=default, hide_input=secret, show_default=not secret and bool(default))
    return answer


@app.command("check-config")
def check_config(
    file: Annotated[Path, typer.Argument(help="The agent.toml to check.", metavar="FILE")],
) -> None:
    """Check a configuration. Exits with 2 and names line, key and remedy if it is wrong."""
    mqtt = load_config(file).mqtt
    mqtt.password()
    if mqtt.tls is not None:
        mqtt.tls.context()
    output.print(f"{file}: ok", markup=False)


@app.command()
def doctor(
    config: Annotated[
        Path | None, typer.Option("--config", help="The agent.toml to go by; else the device's own.", metavar="FILE")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per check.")] = False,
) -> None:
    """Try runtime, bundle, camera, broker, disk and clock, and say what to do. Exits with 1 if anything is wrong."""
    from edge_agent.cli.doctor import Finding, examine  # noqa: PLC0415 - what other commands do without

    _set_up_logging("error")
    config = config or system_config()
    settings = load_config(config) if config is not None else _bare_config()
    findings: list[Finding] = []
    for finding in examine(settings):
        findings.append(finding)
        if as_json:
            record = {"check": finding.check, "code": finding.code, "detail": finding.detail, "remedy": finding.remedy}
            sys.stdout.write(json.dumps(record) + "\n")
            continue
        mark = "[green]ok  [/green]" if finding.ok else "[red]FAIL[/red]"
        code = "" if finding.ok else f"{finding.code}: "
        output.print(f"{mark} {finding.check:<8} ", end="")
        output.print(f"{code}{finding.detail} {finding.remedy}".rstrip(), markup=False)
    if not all(finding.ok for finding in findings):
        raise typer.Exit(EXIT_FAILED)


def _bare_config() -> Config:
    """What a device would run with nothing but a USB camera and a broker on the same machine."""
    return Config.model_validate({"device": DeviceSettings(site="local", id="local"), "camera": {"kind": "v4l2"}})


@app.command()
def schema(
    out: Annotated[Path, typer.Option("--out", help="Folder to write into; made if needed.", metavar="DIR")],
) -> None:
    """Write the contract: JSON Schemas of all messages and of the configuration, AsyncAPI, error codes."""
    from edge_agent.cli.schema import write_contract  # noqa: PLC0415 - most of the agent, for a topic or two

    try:
        for path in write_contract(out):
            output.print(str(path), markup=False)
    except OSError as error:
        raise ConfigError(f"{out} cannot be written: {error.strerror}.", remedy="Give another folder.") from error
