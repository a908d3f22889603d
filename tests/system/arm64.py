"""An arm64 Debian in a folder, run by QEMU's emulation of single programs: far lighter than a whole machine.

It shows that the package installs there and that its libraries give the same results. It has no kernel of its own, so
neither systemd nor a camera runs in it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.system.apt import find_mirror, transport_options
from tests.system.image import SUITE, Tell, cache_folder

PACKAGES = ("systemd", "udev", "python3", "python3-systemd", "debconf", "libgcc-s1", "libstdc++6")
MAX_BUILD_S = 3600
PATIENCE_S = 1800

_BINFMT = Path("/proc/sys/fs/binfmt_misc/qemu-aarch64")

# Of a Raspberry Pi 4. LiteRT reads the processor's features there, and aborts if they are of another architecture.
_CPUINFO = "".join(
    f"processor\t: {number}\nBogoMIPS\t: 108.00\nFeatures\t: fp asimd evtstrm crc32 cpuid\nCPU implementer\t: 0x41\n"
    "CPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: 0xd08\nCPU revision\t: 3\n\n"
    for number in range(2)
)

_RUN = """
set -e
mount -t proc proc "$ROOT/proc"
mount --bind "$CPUINFO" "$ROOT/proc/cpuinfo"
exec chroot "$ROOT" "$@"
"""


def why_not() -> str | None:
    """What is missing, in one line."""
    if os.geteuid() != 0:
        return "a folder with another system in it needs root"
    if shutil.which("mmdebstrap") is None:
        return "not installed: mmdebstrap"
    if not _BINFMT.exists():
        return "arm64 programs do not run here (apt-get install qemu-user-static binfmt-support)"
    if not _cached().exists() and find_mirror() is None:
        return "this machine's own apt sources name no Debian mirror"
    return None


def build_root(tell: Tell) -> Path:
    """A tar archive of the system, from the cache or made anew. Raises ``CalledProcessError``."""
    cached = _cached()
    if not cached.exists():
        mirror = find_mirror()
        if mirror is None:
            raise OSError("there is no Debian mirror in this machine's apt sources")
        cached.parent.mkdir(parents=True, exist_ok=True)
        tell(f"building an arm64 Debian {SUITE}, emulated (twenty minutes or more, once)")
        options = {"APT::Install-Recommends": "false", **transport_options()}
        new = cached.with_suffix(".new.tar")
        subprocess.run(
            [
                *("mmdebstrap", "--quiet", "--variant=minbase", "--mode=root", "--architectures=arm64", "--format=tar"),
                *(f'--aptopt={name} "{value}"' for name, value in options.items()),
                f"--include={','.join(PACKAGES)}",
                *(SUITE, str(new), mirror.line(SUITE)),
            ],
            check=True,
            timeout=MAX_BUILD_S,
        )
        new.replace(cached)
    return cached


def _cached() -> Path:
    key = hashlib.sha256(" ".join((SUITE, *PACKAGES)).encode()).hexdigest()[:16]
    return cache_folder() / f"arm64-{key}.tar"


class Root:
    """A copy of the system that may be changed."""

    def __init__(self, tar: Path, folder: Path) -> None:
        self.folder = folder / "root"
        self.folder.mkdir()
        self._cpuinfo = folder / "cpuinfo"
        self._cpuinfo.write_text(_CPUINFO)
        subprocess.run(["tar", "-xf", str(tar), "-C", str(self.folder)], check=True)

    def run(self, *command: str) -> str:
        """The output of a command in this system. Raises ``AssertionError`` with its output if it fails."""
        done = subprocess.run(
            ["unshare", "--mount", "--fork", "--kill-child", "sh", "-c", _RUN, "sh", *command],
            env={
                "ROOT": str(self.folder),
                "CPUINFO": str(self._cpuinfo),
                "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                "DEBIAN_FRONTEND": "noninteractive",
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_S,
        )
        assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        return done.stdout


def temporary_folder() -> tempfile.TemporaryDirectory[str]:
    """A temporary folder for a ``Root``."""
    return tempfile.TemporaryDirectory(prefix="arm64-")
