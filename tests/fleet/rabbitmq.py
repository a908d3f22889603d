"""A cluster of RabbitMQ nodes, each in a namespace of its own, with the configuration that ships."""

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
from tests.fleet.root import MOUNTPOINT

SHIPPED = Path(__file__).parents[2] / "deploy" / "rabbitmq"
PORT = 1883
START_DEADLINE_S = 120.0
STOP_DEADLINE_S = 30.0
_LOOK_S = 0.2

_COOKIE = "only-for-this-test"


@dataclass(slots=True)
class Node:
    """One node, which may be killed and started again with what is on its disk."""

    host: Host
    root: Path
    folder: Path
    """Its configuration, data and log."""
    peers: Sequence[Host]
    _closing: ExitStack = field(default_factory=ExitStack)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Of its Erlang machine."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start it; ``wait`` waits until it serves."""
        self._run(["epmd"])
        self._process = self._run(["/usr/lib/rabbitmq/bin/rabbitmq-server"])

    def kill(self) -> None:
        """End it at once, as a power cut does."""
        if self._process is not None:
            self._process.kill()
        self._closing.close()
        self._process = None

    def stop(self) -> None:
        """End it in order, as far as it lets itself."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_DEADLINE_S)
        self.kill()

    def ctl(self, *arguments: str, timeout_s: float = START_DEADLINE_S) -> str:
        """What ``rabbitmqctl`` prints. Raises ``CalledProcessError``."""
        command = self._command(["/usr/lib/rabbitmq/bin/rabbitmqctl", "--quiet", *arguments])
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=timeout_s).stdout

    def log(self) -> str:
        """What it has said."""
        return "".join(path.read_text(errors="replace") for path in sorted((self.folder / "log").glob("*.log")))

    def _run(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        output = self._closing.enter_context((self.folder / "output.log").open("ab"))
        process = subprocess.Popen(
            self._command(command), stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
        self._closing.callback(process.wait)
        self._closing.callback(process.kill)
        return process

    def _command(self, command: Sequence[str]) -> list[str]:
        """As the same process, in the node's network, with its own folder in the common root folder."""
        environment = {
            "HOME": f"/{MOUNTPOINT}",
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG": "C.UTF-8",
            "ERL_EPMD_ADDRESS": self.host.address,
            "RABBITMQ_NODENAME": f"rabbit@{self.host.name}",
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILES": f"/{MOUNTPOINT}/conf.d",
            "RABBITMQ_ADVANCED_CONFIG_FILE": f"/{MOUNTPOINT}/advanced.config",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"/{MOUNTPOINT}/enabled_plugins",
            "RABBITMQ_MNESIA_BASE": f"/{MOUNTPOINT}/data",
            "RABBITMQ_LOG_BASE": f"/{MOUNTPOINT}/log",
            # It runs in the foreground, as this process, and without a shell of its own.
            "NOTIFY_SOCKET": "/nowhere",
        }
        script = (
            'mount --bind "$1" "$2/mnt" && mount --bind /proc "$2/proc" && mount --bind /dev "$2/dev" && '
            'root="$2" && shift 2 && exec chroot "$root" /usr/bin/env -i "$@"'
        )
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
        """Until these nodes serve MQTT and see all that run. Raises ``TimeoutError``."""
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
def cluster(root: Path, folder: Path, *, extra: str = "", count: int = 3) -> Iterator[Cluster]:
    """A cluster that runs. ``extra`` are lines for ``rabbitmq.conf``."""
    names = [f"mq{number}" for number in range(1, count + 1)]
    with network(names) as net, ExitStack() as closing:
        nodes = []
        for host in net.hosts:
            place = folder / host.name
            _furnish(place, net.hosts, extra)
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


def _furnish(place: Path, hosts: Sequence[Host], extra: str) -> None:
    (place / "conf.d").mkdir(parents=True)
    (place / "log").mkdir()
    shutil.copy(SHIPPED / "rabbitmq.conf", place / "conf.d" / "10-leukoscope.conf")
    shutil.copy(SHIPPED / "enabled_plugins", place / "enabled_plugins")
    shutil.copy(SHIPPED / "advanced.config", place / "advanced.config")
    peers = "".join(
        f"cluster_formation.classic_config.nodes.{number} = rabbit@{host.name}\n"
        for number, host in enumerate(hosts, 1)
    )
    (place / "conf.d" / "20-cluster.conf").write_text(f"{peers}{extra}\n")
    cookie = place / ".erlang.cookie"
    cookie.write_text(_COOKIE)
    cookie.chmod(0o400)


def _connects(address: str) -> bool:
    try:
        socket.create_connection((address, PORT), timeout=1).close()
    except OSError:
        return False
    return True
