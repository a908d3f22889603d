"""The disk of the box under test: Debian in an ext4 file, with its kernel and initrd beside it.

It is made once and kept in the user's cache, under a name that depends on the packages and this recipe. Making it needs
root, for a tree with other owners, but neither a loop device nor a mount.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from tests.system.apt import Mirror, find_mirror, transport_options

SUITE = "trixie"
PACKAGES = (
    "linux-image-amd64",
    "systemd",
    "systemd-sysv",
    # Finds no server here; from it, the agent can tell that nobody has set the clock.
    "systemd-timesyncd",
    "udev",
    "dbus",
    "kmod",
    "e2fsprogs",
    "iproute2",
    "procps",
    "python3",
    "python3-systemd",
    "mosquitto",
    "mosquitto-clients",
    "v4l-utils",
    "openssh-server",
    "adduser",
)
DISK_SIZE = "4G"
MAX_BUILD_S = 1800

SHARE_TAG = "host"
"""Tag of the host's folder that the box mounts at ``/host``, read-only."""

READY = "the box is ready"
"""Written by the box to its console once its services are up."""

_FILES = {
    "etc/hostname": "box\n",
    "etc/resolv.conf": "",
    "etc/fstab": f"{SHARE_TAG} /host 9p trans=virtio,version=9p2000.L,ro,nofail 0 0\n",
    # QEMU's own network always has this address; requesting it would only take time.
    "etc/systemd/network/box.network": "[Match]\nName=en*\n[Network]\nAddress=10.0.2.15/24\nGateway=10.0.2.2\n"
    "IPv6AcceptRA=no\n",
    "etc/ssh/sshd_config.d/box.conf": "PermitRootLogin prohibit-password\nUsePAM no\nUseDNS no\nMaxSessions 50\n",
    # As in deploy/mosquitto: what the broker has acknowledged is on its disk.
    "etc/mosquitto/conf.d/box.conf": "listener 1883\nallow_anonymous true\nautosave_interval 1\n"
    "autosave_on_changes true\nmax_queued_messages 0\n",
    "etc/systemd/journald.conf.d/box.conf": "[Journal]\nStorage=persistent\nSystemMaxUse=64M\n",
    "etc/systemd/system/box-ready.service": "[Unit]\nAfter=ssh.service systemd-networkd.service\nWants=ssh.service\n"
    f"[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo {READY} > /dev/ttyS0'\n",
}
_WANTED = {
    "box-ready.service": "/etc/systemd/system/box-ready.service",
    "systemd-networkd.service": "/usr/lib/systemd/system/systemd-networkd.service",
    "ssh.service": "/usr/lib/systemd/system/ssh.service",
    "systemd-timesyncd.service": "/usr/lib/systemd/system/systemd-timesyncd.service",
    "mosquitto.service": "/usr/lib/systemd/system/mosquitto.service",
}
_MASKED = ("apt-daily.timer", "apt-daily-upgrade.timer", "e2scrub_all.timer", "dpkg-db-backup.timer", "fstrim.timer")

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Image:
    """A folder with a bootable system."""

    folder: Path

    @property
    def disk(self) -> Path:
        """A raw ext4 file system, never written to after it was made."""
        return self.folder / "root.ext4"

    @property
    def kernel(self) -> Path:
        """The kernel, for QEMU along with ``initrd``."""
        return self.folder / "vmlinuz"

    @property
    def initrd(self) -> Path:
        """The initrd of ``kernel``."""
        return self.folder / "initrd.img"

    @property
    def key(self) -> Path:
        """Private key with which root can log in to the box."""
        return self.folder / "key"


def cache_folder() -> Path:
    """The folder that keeps images from run to run."""
    return platformdirs.user_cache_path("leukoscope") / "system-test"


def why_not() -> str | None:
    """What is missing to build and boot an image, in one line."""
    tools = {
        "qemu-system-x86_64": "qemu-system-x86",
        "qemu-img": "qemu-utils",
        "mmdebstrap": "mmdebstrap",
        "mke2fs": "e2fsprogs",
        "ssh": "openssh-client",
        "ssh-keygen": "openssh-client",
    }
    missing = sorted({package for tool, package in tools.items() if shutil.which(tool) is None})
    if missing:
        return f"not installed: {' '.join(missing)} (apt-get install --no-install-recommends ipxe-qemu ...)"
    if _folder().exists():
        return None
    if os.geteuid() != 0:
        return "building the disk image needs root, and there is none in the cache"
    if find_mirror() is None:
        return "this machine's own apt sources name no Debian mirror to build the disk image from"
    return None


def _folder() -> Path:
    recipe = hashlib.sha256()
    for path in (Path(__file__), Path(__file__).with_name("apt.py")):
        recipe.update(path.read_bytes())
    return cache_folder() / f"{SUITE}-{recipe.hexdigest()[:16]}"


def build_image(tell: Tell) -> Image:
    """The image from the cache, or a new one, which takes minutes. Raises ``CalledProcessError`` or ``OSError``."""
    folder = _folder()
    if not folder.exists():
        mirror = find_mirror()
        if mirror is None:
            raise OSError("there is no Debian mirror in this machine's apt sources")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".build-", dir=folder.parent) as work:
            _build(Path(work), mirror, tell)
            # Moved in one step: an interrupted build leaves nothing that looks finished.
            (Path(work) / "image").rename(folder)
    return Image(folder)


def _build(work: Path, mirror: Mirror, tell: Tell) -> None:
    image = work / "image"
    image.mkdir()
    tree = work / "tree"
    tell(f"building a Debian {SUITE} (two minutes or more, once)")
    options = {"APT::Install-Recommends": "false", **transport_options()}
    _run(
        "mmdebstrap",
        "--variant=minbase",
        "--mode=root",
        "--format=directory",
        "--quiet",
        *(f'--aptopt={name} "{value}"' for name, value in options.items()),
        f"--include={','.join(PACKAGES)}",
        SUITE,
        str(tree),
        mirror.line(SUITE),
    )
    _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "box", "-f", str(image / "key"))
    _furnish(tree, (image / "key.pub").read_text())
    for name in ("vmlinuz", "initrd.img"):
        shutil.copyfile(next((tree / "boot").glob(f"{name}-*")), image / name)
    tell("making its disk")
    # No blocks are reserved for root: a full disk is full for everybody.
    _run("mke2fs", "-q", "-t", "ext4", "-m", "0", "-d", str(tree), str(image / "root.ext4"), DISK_SIZE)


def _furnish(tree: Path, public_key: str) -> None:
    etc = tree / "etc"
    # systemd-resolved and the bootstrap leave a link that leads out of the tree.
    (etc / "resolv.conf").unlink(missing_ok=True)
    for name, content in _FILES.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    # With an identity, systemd does not take this for the first boot, and presets nothing.
    (etc / "machine-id").write_text(f"{uuid.uuid4().hex}\n")
    for path, target in _links(etc / "systemd" / "system"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.symlink_to(target)
    (tree / "host").mkdir(exist_ok=True)
    keys = tree / "root" / ".ssh"
    keys.mkdir(mode=0o700, exist_ok=True)
    (keys / "authorized_keys").write_text(public_key)
    (keys / "authorized_keys").chmod(0o600)


def _links(units: Path) -> Iterator[tuple[Path, str]]:
    for unit, target in _WANTED.items():
        yield units / "multi-user.target.wants" / unit, target
    for unit in _MASKED:
        yield units / unit, "/dev/null"


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=MAX_BUILD_S)
    if done.returncode:
        raise OSError(f"{command[0]} ended with {done.returncode}: {done.stderr[-2000:]}")
