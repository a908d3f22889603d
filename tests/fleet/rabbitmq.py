"""A cluster of RabbitMQ nodes, each in its own namespace, with the shipped configuration."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.fleet.network import Host, Network, entered, inside, network

SHIPPED = Path(__file__).parents[2] / "deploy" / "rabbitmq"
PORT = 1883
TLS_PORT = 8883
BROKER_NAME = "broker.example.org"
CLIENTS = ("north-clinic/scope-1", "dashboard")
START_DEADLINE_S = 120.0
STOP_DEADLINE_S = 30.0
_LOOK_S = 0.2

_PLACES = {"etc": "/etc/rabbitmq", "data": "/var/lib/rabbitmq", "log": "/var/log/rabbitmq"}
"""The paths at which a node finds its own folders."""

TRIAL = """
mqtt.listeners.tcp.default = 1883
mqtt.allow_anonymous = true
anonymous_login_user = fleet
anonymous_login_pass = fleet
default_user = fleet
default_pass = fleet
"""
"""Added to the shipped settings, for clients without a certificate. Nobody else is in this network."""

_COOKIE = "only-for-this-test"


@dataclass(slots=True)
class Node:
    """One node, which may be killed and started again with the contents of its disk."""

    host: Host
    root: Path
    folder: Path
    """The node's configuration, data and log."""
    peers: Sequence[Host]
    _closing: ExitStack = field(default_factory=ExitStack)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Process id of its Erlang machine."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start the node; ``wait`` waits until it serves."""
        self._run(["epmd"])
        self._process = self._run(["/usr/lib/rabbitmq/bin/rabbitmq-server"])

    def kill(self) -> None:
        """End the node at once, as a power cut does."""
        if self._process is not None:
            self._process.kill()
        self._closing.close()
        self._process = None

    def stop(self) -> None:
        """End the node in order if possible, else kill it."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_DEADLINE_S)
        self.kill()

    def ctl(self, *arguments: str, timeout_s: float = START_DEADLINE_S) -> str:
        """The output of ``rabbitmqctl``. Raises ``CalledProcessError``."""
        command = self._command(["/usr/lib/rabbitmq/bin/rabbitmqctl", "--quiet", *arguments])
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=timeout_s).stdout

    def run_script(self, script: Path, *arguments: str) -> None:
        """Run a shell script beside the node, where ``rabbitmqctl`` is. Raises ``CalledProcessError``."""
        command = self._command(["/bin/sh", "-s", "--", *arguments])
        subprocess.run(command, input=script.read_bytes(), check=True, capture_output=True, timeout=START_DEADLINE_S)

    def log(self) -> str:
        """The node's logs."""
        return "".join(path.read_text(errors="replace") for path in sorted((self.folder / "log").glob("*.log")))

    def _run(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        output = self._closing.enter_context((self.folder / "output.log").open("ab"))
        # The node ends with this process, however that ends.
        guarded = ["setpriv", "--pdeathsig", "KILL", *self._command(command)]
        process = subprocess.Popen(
            guarded, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
        self._closing.callback(process.wait)
        self._closing.callback(process.kill)
        return process

    def _command(self, command: Sequence[str]) -> list[str]:
        """The command line that runs ``command`` as the same process in the node's network, root folder and folders."""
        environment = {
            "HOME": "/var/lib/rabbitmq",
            "PATH": "/usr/lib/rabbitmq/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG": "C.UTF-8",
            "ERL_EPMD_ADDRESS": self.host.address,
            "RABBITMQ_NODENAME": f"rabbit@{self.host.name}",
            # Keeps it in the foreground, as this process, and without a shell of its own.
            "NOTIFY_SOCKET": "/nowhere",
        }
        places = [f'mount --bind "$1/{name}" "$2{place}"' for name, place in _PLACES.items()]
        places += [f'mount --bind "/{name}" "$2/{name}"' for name in ("proc", "dev")]
        script = f"""{" && ".join(places)} && root="$2" && shift 2 && exec chroot "$root" /usr/bin/env -i "$@\""""
        settings = [f"{name}={value}" for name, value in environment.items()]
        return inside(
            self.host.namespace,
            ["sh", "-c", script, "node", str(self.folder), str(self.root), *settings, *command],
        )


@dataclass(frozen=True, slots=True)
class Cluster:
    """Nodes that know each other."""

    network: Network
    nodes: tuple[Node, ...]

    def wait(self, nodes: Sequence[Node] | None = None) -> None:
        """Wait until these nodes serve MQTT and see all running nodes. Raises ``TimeoutError``."""
        until = time.monotonic() + START_DEADLINE_S
        for node in self.nodes if nodes is None else nodes:
            while not self.answers(node):
                if time.monotonic() > until:
                    raise TimeoutError(f"{node.host.name} does not answer: {node.log()[-2000:]}")
                time.sleep(_LOOK_S)

    def answers(self, node: Node) -> bool:
        """Whether a client at the hub can connect."""
        with entered(self.network.hub):
            return _connects(node.host.address)


@contextmanager
def cluster(root: Path, folder: Path, *, extra: str = TRIAL, count: int = 3) -> Iterator[Cluster]:
    """A running cluster. ``extra`` are lines for ``rabbitmq.conf``."""
    names = [f"mq{number}" for number in range(1, count + 1)]
    with network(names) as net, ExitStack() as closing:
        nodes = []
        certificates = _make_certificates(folder / "certificates")
        for host in net.hosts:
            place = folder / host.name
            _furnish(place, net.hosts, extra, certificates)
            node = Node(host, root, place, net.hosts)
            closing.callback(node.kill)
            nodes.append(node)
        (root / "etc/hosts").write_text(
            "127.0.0.1 localhost\n" + "".join(f"{host.address} {host.name}\n" for host in net.hosts)
        )
        for node in nodes:
            node.start()
        found = Cluster(net, tuple(nodes))
        found.wait()
        yield found


def _furnish(place: Path, hosts: Sequence[Host], extra: str, certificates: Path) -> None:
    etc = place / "etc"
    (etc / "conf.d").mkdir(parents=True)
    for name in ("rabbitmq.conf", "enabled_plugins", "advanced.config"):
        shutil.copy(SHIPPED / name, etc)
    if "listeners.tcp.default" in extra:
        # 'none' cannot be undone in another file.
        shipped = (SHIPPED / "rabbitmq.conf").read_text()
        (etc / "rabbitmq.conf").write_text(shipped.replace("\nmqtt.listeners.tcp = none\n", "\n"))
    shutil.copytree(certificates, etc / "leukoscope")
    peers = "".join(
        f"cluster_formation.classic_config.nodes.{number} = rabbit@{host.name}\n"
        for number, host in enumerate(hosts, 1)
    )
    (etc / "conf.d" / "20-cluster.conf").write_text(f"{peers}{extra}")
    for name in ("data", "log"):
        (place / name).mkdir()
    cookie = place / "data" / ".erlang.cookie"
    cookie.write_text(_COOKIE)
    cookie.chmod(0o400)


def _make_certificates(folder: Path) -> Path:
    """Make the certificates of a broker of this name and of three clients."""
    script = SHIPPED.parent / "mosquitto" / "make-trial-certificates"
    command = [str(script), str(folder), BROKER_NAME, *CLIENTS]
    subprocess.run(command, check=True, capture_output=True)
    return folder


def _connects(address: str) -> bool:
    try:
        socket.create_connection((address, PORT), timeout=1).close()
    except OSError:
        return False
    return True
