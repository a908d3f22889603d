"""A network of its own: a hub, and hosts that can be cut off from it. It is not visible from outside."""

from __future__ import annotations

import ctypes
import itertools
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

SUBNET = "10.119.7"
"""Used only inside the namespaces that are made here."""
_HUB_ADDRESS = f"{SUBNET}.1"
_CLONE_NEWNET = 0x40000000
_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class Host:
    """A network namespace with one address."""

    name: str
    namespace: str
    address: str


@dataclass(frozen=True, slots=True)
class Network:
    """A network with a hub, in which the clients run."""

    hub: str
    hosts: tuple[Host, ...]

    def cut(self, host: Host) -> None:
        """Cut a host off, as a pulled cable does: packets vanish, connections stay open."""
        _ip("-n", self.hub, "link", "set", host.name, "nomaster")

    def heal(self, host: Host) -> None:
        """Connect the host again."""
        _ip("-n", self.hub, "link", "set", host.name, "master", "bridge")


def inside(namespace: str, command: Sequence[str]) -> list[str]:
    """The command line that runs ``command`` in a namespace, as the same process."""
    return ["ip", "netns", "exec", namespace, *command]


@contextmanager
def entered(namespace: str) -> Iterator[None]:
    """Put sockets that this thread makes meanwhile into the namespace, and those of the threads that it starts."""
    with Path("/proc/thread-self/ns/net").open() as before, Path("/run/netns", namespace).open() as wanted:
        _set_namespace(wanted.fileno())
        try:
            yield
        finally:
            _set_namespace(before.fileno())


@contextmanager
def network(names: Sequence[str]) -> Iterator[Network]:
    """Hosts of these names, with a bridge between them. Needs root. Raises ``CalledProcessError``."""
    prefix = f"leuko-{os.getpid()}-{next(_numbers)}"
    hub = f"{prefix}-hub"
    with ExitStack() as closing:
        _add_namespace(hub, closing)
        _ip("-n", hub, "link", "add", "bridge", "type", "bridge")
        _ip("-n", hub, "address", "add", f"{_HUB_ADDRESS}/24", "dev", "bridge")
        _ip("-n", hub, "link", "set", "bridge", "up")
        hosts = []
        for number, name in enumerate(names, 11):
            host = Host(name, f"{prefix}-{name}", f"{SUBNET}.{number}")
            _add_namespace(host.namespace, closing)
            _ip("-n", hub, "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", host.namespace)
            _ip("-n", hub, "link", "set", name, "master", "bridge", "up")
            _ip("-n", host.namespace, "address", "add", f"{host.address}/24", "dev", "eth0")
            _ip("-n", host.namespace, "link", "set", "eth0", "up")
            hosts.append(host)
        yield Network(hub, tuple(hosts))


def _add_namespace(name: str, closing: ExitStack) -> None:
    _ip("netns", "add", name)
    closing.callback(_ip, "netns", "delete", name)
    _ip("-n", name, "link", "set", "lo", "up")


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def _set_namespace(descriptor: int) -> None:
    # os.setns is new in Python 3.12.
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
