"""``edge-agent demo``: the whole path from frames to a broker and back, on one machine."""

from __future__ import annotations

import contextlib
import json
import queue
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import paho.mqtt.client as mqtt
import typer
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from pydantic import ValidationError

from edge_agent import __version__
from edge_agent.acquisition.settings import TriggerSettings
from edge_agent.agent import Agent, PageDevice
from edge_agent.analysis.settings import AnalysisSettings
from edge_agent.cameras.image_files import list_images
from edge_agent.cameras.settings import CameraSettings, FolderSettings, SyntheticSettings
from edge_agent.cli.arguments import expand_path
from edge_agent.cli.local_broker import LOOPBACK, free_port, local_broker
from edge_agent.cli.terminal import EXIT_FAILED, NOTICE, output, set_up_logging
from edge_agent.config import Config, DeviceSettings, explain
from edge_agent.contracts import Outcome, Result, Topics, explain_reason
from edge_agent.daemon.service import make_microscope_page
from edge_agent.errors import BrokerUnreachable, CameraAbsent, ConfigError, WebMissing
from edge_agent.mqtt import MqttSettings
from edge_agent.spool import SpoolSettings, StateSettings
from edge_agent.web.settings import WebSettings

if TYPE_CHECKING:
    from edge_agent.web.server import MicroscopePage

SITE, DEVICE = "demo", "this-computer"
ARRIVAL_DEADLINE_S = 10.0


def demo_config(
    frames: Path | None, bundle: str | None, *, mqtt: MqttSettings, interval_s: float, state: Path
) -> Config:
    """The demonstration's configuration: ``frames`` from disk with a real bundle, else drawn ones with ``demo``.

    ``state`` is a folder for the audit log.
    Raises ``CameraAbsent`` if ``frames`` has none.
    """
    camera: CameraSettings
    if frames is not None and not (frames.is_file() or list_images(frames)):
        # A device waits for its camera, but here the path is probably mistyped.
        raise CameraAbsent(f"There are no images in {frames}.", remedy="Use a folder with images, or one image.")
    if frames is None:
        camera = SyntheticSettings(kind="synthetic", id="synthetic")
    else:
        camera = FolderSettings(kind="folder", id="folder", path=frames, loop=True)
    return Config(
        device=DeviceSettings(site=SITE, id=DEVICE),
        camera=camera,
        trigger=TriggerSettings(mode="continuous", interval_s=interval_s),
        analysis=AnalysisSettings(bundle=bundle or ("demo" if frames is None else "accurate")),
        mqtt=mqtt,
        # A demonstration leaves nothing behind.
        spool=SpoolSettings(storage="memory"),
        state=StateSettings(folder=state),
    )


def subscribe_command(mqtt_settings: MqttSettings) -> str:
    """The command that shows the same messages in another terminal."""
    return f"mosquitto_sub -h {mqtt_settings.host} -p {mqtt_settings.port} -t 'leukoscope/#' -v"


class Listener:
    """A subscriber to the demonstration's results, which proves that they went through the broker."""

    def __init__(self, host: str, port: int) -> None:
        self._payloads: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._subscribed = threading.Event()
        # 3.1.1, which the embedded broker supports too.
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id="leukoscope-demo", protocol=MQTTProtocolVersion.MQTTv311
        )
        topic = f"{Topics(SITE, DEVICE).prefix}/result/+"
        self._client.on_connect = lambda client, *_: client.subscribe(topic, qos=1)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = lambda _client, _data, message: self._payloads.put(bytes(message.payload))
        try:
            self._client.connect(host, port)
        except OSError as error:
            raise BrokerUnreachable(f"{host}:{port} does not answer.") from error
        self._client.loop_start()
        if not self._subscribed.wait(ARRIVAL_DEADLINE_S):
            raise BrokerUnreachable(f"The broker at {host}:{port} does not let the demonstration subscribe.")

    def next(self, timeout_s: float) -> Result | None:
        """The next result from the broker, validated against the contract; None if none arrived in time."""
        try:
            return Result.model_validate(json.loads(self._payloads.get(timeout=timeout_s)))
        except queue.Empty:
            return None

    def close(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()


def run_demo(
    config: Config,
    *,
    count: int | None,
    stop: threading.Event,
    show: Callable[[Result], None],
    view: MicroscopePage | None = None,
) -> tuple[int, int]:
    """Run the agent and show each result as the broker delivers it, until ``count`` or ``stop``.

    ``view``, if any, shows each reading. Returns the number of readings made, and of results received.
    """
    listener = Listener(config.mqtt.host, config.mqtt.port)
    agent = Agent(config, max_readings=count, on_result=view.update if view is not None else None)
    received = 0
    try:
        if view is not None:
            view.start(PageDevice(agent))
        agent.start()
        while not stop.is_set() and (count is None or received < count):
            finished = agent.wait(0)
            result = listener.next(ARRIVAL_DEADLINE_S if finished else 0.2)
            if result is not None:
                received += 1
                show(result)
            elif finished:
                break
    finally:
        agent.stop()
        listener.close()
        if view is not None:
            view.stop()
    return agent.counts.readings_count, received


class Narrator:
    """Describes results in lines for a person; a reason's words follow where it first appears."""

    def __init__(self) -> None:
        self._explained: set[str] = set()

    def describe(self, result: Result) -> str:
        """One line, or two."""
        reason = result.reason
        if reason is None or reason in self._explained:
            return describe(result)
        self._explained.add(reason)
        return f"{describe(result)}\n      {explain_reason(reason)}"


def describe(result: Result) -> str:
    """One line for a person."""
    head = f"#{result.seq:<4} "
    match result.outcome:
        case Outcome.CLASSIFIED if result.probabilities and result.label:
            what = f"{result.label:<12} {100 * result.probabilities[result.label]:5.1f} %"
        case Outcome.FAILED if result.error:
            what = f"failed       {result.error.code}"
        case _:
            what = f"{result.outcome:<12} {result.reason}"
    malignant = "" if result.malignant_ratio is None else f"malignant {100 * result.malignant_ratio:5.1f} %"
    nuclei = "" if result.nuclei is None else f"{result.nuclei.count:3d} nuclei"
    return f"{head}{what:<30} {malignant:<18} {nuclei:<11} {result.latency_ms['total']:6.1f} ms  {result.source or ''}"


def demo(
    frames: Annotated[
        Path | None,
        typer.Option(help="Folder with images to judge instead of drawn smears.", metavar="PATH", parser=expand_path),
    ] = None,
    count: Annotated[int | None, typer.Option(min=1, help="Stop after this many readings.")] = None,
    bundle: Annotated[
        str | None, typer.Option(help="Bundle to judge with: 'demo' for drawn frames, 'accurate' or 'fast' for yours.")
    ] = None,
    broker: Annotated[
        str | None, typer.Option(help="Use this broker instead of starting one.", metavar="HOST:PORT")
    ] = None,
    interval_s: Annotated[float, typer.Option(min=0, help="Seconds between two readings.")] = 0.25,
) -> None:
    """Start a broker and an agent on this machine and show what arrives, until interrupted."""
    set_up_logging("warning")
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
        with _explained_options():
            config = demo_config(frames, bundle, mqtt=mqtt, interval_s=interval_s, state=state)
        source = "drawn smears (they mean nothing clinically)" if frames is None else str(frames)
        output.print(
            f"Frames: {source}. Bundle: {config.analysis.bundle}. Broker: {broker_name} at {mqtt.host}:{mqtt.port}.",
            markup=False,
        )
        output.print(f"To watch from another terminal: {subscribe_command(mqtt)}", markup=False)
        if view is not None:
            output.print(f"To see the fields: {view.address}")
        output.print()
        narrator = Narrator()
        made, received = run_demo(
            config,
            count=count,
            stop=stop,
            show=lambda result: output.print(narrator.describe(result), markup=False),
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
            with _explained_options():
                settings = MqttSettings(host=host.strip("[]"), port=int(port))
            play(settings, "yours", Path(state))
    else:
        port_number = free_port()
        with tempfile.TemporaryDirectory(prefix="leukoscope-demo-") as state, local_broker(port_number) as local:
            play(MqttSettings(host=LOOPBACK, port=port_number, version=local.version), local.name, Path(state))


@contextlib.contextmanager
def _explained_options() -> Iterator[None]:
    """Raises ``ConfigError`` for an option that the configuration's rules refuse."""
    try:
        yield
    except ValidationError as error:
        reasons = "; ".join(explain(problem) for problem in error.errors())
        raise ConfigError(
            f"{reasons}.", remedy="Use another value; 'edge-agent demo --help' lists the options."
        ) from error
