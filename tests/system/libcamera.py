"""The parts that the box needs besides its image to drive its camera through libcamera and picamera2.

They are gathered once into the user's cache: libcamera and its libraries from Debian; picamera2, and those of its
imports that Debian lacks, from PyPI; and a kernel module that stands in for the firmware of a real USB host
(``fwnode.c``). The box itself has no network, and compiling in it would take long.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from tests.system.apt import find_mirror, transport_options
from tests.system.box import Box
from tests.system.image import MAX_BUILD_S, SUITE, Image, Tell, cache_folder

PACKAGES = ("python3-libcamera", "python3-pil", "python3-prctl", "python3-jsonschema", "python3-tqdm")
# picamera2 itself is pure Python. It is not in Debian, and neither are the others.
WHEELS = ("picamera2==0.3.38", "piexif==1.1.3", "simplejpeg==1.9.0", "videodev2==0.0.4")
PYTHON = "3.13"
PLATFORMS = ("any", "manylinux2014_x86_64", "manylinux_2_17_x86_64", "manylinux_2_28_x86_64")
DIST_PACKAGES = "/usr/lib/python3/dist-packages"
"""The folder of the distribution's own python3-picamera2 on a Pi."""

MODULE = "fwnode"

# picamera2 imports these, but needs them only for a preview on a screen and for files with raw pictures.
STUBS = {
    "pykms.py": 'class _Names(type):\n    """Each pixel format is its own name."""\n\n'
    "    def __getattr__(cls, name):\n        return name\n\n\nclass PixelFormat(metaclass=_Names):\n    pass\n",
    "pidng/__init__.py": "",
    "pidng/camdefs.py": "class Picamera2Camera:\n    pass\n",
    "pidng/core.py": "class PICAM2DNG:\n    pass\n",
}

INSTALL_PATIENCE_S = 1800.0

_SOURCE = Path(__file__).with_name(f"{MODULE}.c")
_KERNEL = re.compile(r"^Package: linux-image-(\d\S+)$", re.MULTILINE)


class NotToBeHad(Exception):
    """Something cannot be fetched or built here; the message says what, in one line."""


@dataclass(frozen=True, slots=True)
class Parts:
    """A folder with all parts."""

    folder: Path

    @property
    def packages(self) -> Path:
        """Folder of Debian packages that install without any others."""
        return self.folder / "debs"

    @property
    def python(self) -> Path:
        """Tar archive for ``DIST_PACKAGES``."""
        return self.folder / "python.tar"

    @property
    def module(self) -> Path:
        """The kernel module, for the kernel of the image that it was made for."""
        return self.folder / f"{MODULE}.ko"


def gather(image: Image, tell: Tell) -> Parts:
    """All parts, from the cache or made anew. Raises ``NotToBeHad``."""
    recipe = hashlib.sha256(image.folder.name.encode())
    for path in (Path(__file__), _SOURCE):
        recipe.update(path.read_bytes())
    folder = cache_folder() / f"libcamera-{recipe.hexdigest()[:16]}"
    if not folder.exists():
        if os.geteuid() != 0:
            raise NotToBeHad("building the kernel module needs root, and there is none in the cache")
        mirror = find_mirror()
        if mirror is None:
            raise NotToBeHad("this machine's own apt sources name no Debian mirror")
        with tempfile.TemporaryDirectory(prefix=".libcamera-", dir=cache_folder()) as work:
            parts = Parts(Path(work) / "parts")
            parts.folder.mkdir()
            status = _packages_of(image, Path(work))
            tell("fetching libcamera and picamera2, building the module of the simulated firmware (a minute, once)")
            _fetch_packages(parts, status, mirror.line(SUITE), Path(work) / "apt")
            _fetch_python(parts, Path(work) / "python")
            _build_module(parts, status, mirror.line(SUITE), Path(work) / MODULE)
            parts.folder.rename(folder)
    return Parts(folder)


def install(box: Box, parts: Parts) -> None:
    """Install all parts in a running box, for all of its Pythons, and give its camera the firmware node.

    The node and the buffers' names are gone after the next boot.
    """
    shutil.copytree(parts.packages, box.share / "debs")
    box.ssh("DEBIAN_FRONTEND=noninteractive dpkg -i /host/debs/*.deb", patience_s=INSTALL_PATIENCE_S)
    box.ssh(f"tar -C {DIST_PACKAGES} -xf {box.copy(parts.python)}")
    box.ssh(f"modprobe vhci-hcd && insmod {box.copy(parts.module)}")
    # As in Raspberry Pi OS: picamera2 takes its buffers from here, and may do so as a member of the group video.
    box.ssh("ln -sfn system /dev/dma_heap/linux,cma && chgrp video /dev/dma_heap/* && chmod 660 /dev/dma_heap/*")


def _packages_of(image: Image, work: Path) -> Path:
    """The image's own list of installed packages, read from its unmounted disk."""
    status = work / "status"
    _run("debugfs", "-R", f"dump /var/lib/dpkg/status {status}", str(image.disk))
    if not status.exists():
        raise NotToBeHad("the image's list of packages cannot be read")
    return status


def _fetch_packages(parts: Parts, status: Path, source: str, apt: Path) -> None:
    """Let this machine's apt fetch what it would fetch for a machine with that list of packages."""
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (apt / folder).mkdir(parents=True)
    (apt / "sources.list").write_text(f"{source}\n")
    options = {
        "Dir::Etc::SourceList": apt / "sources.list",
        "Dir::Etc::SourceParts": "-",
        "Dir::State": apt / "state",
        "Dir::State::Status": status,
        "Dir::Cache": apt / "cache",
        "APT::Architecture": "amd64",
        "APT::Install-Recommends": "false",
        # apt's own user could not read in this folder.
        "APT::Sandbox::User": "root",
    }
    get = ("apt-get", "-q", "-y", *(f"-o{name}={value}" for name, value in options.items()))
    _run(*get, "update")
    _run(*get, "--download-only", "install", *PACKAGES)
    parts.packages.mkdir()
    for path in (apt / "cache" / "archives").glob("*.deb"):
        shutil.move(path, parts.packages)


def _fetch_python(parts: Parts, work: Path) -> None:
    wheels, tree = work / "wheels", work / "tree"
    _run(
        *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"),
        *(f"--python-version={PYTHON}", *(f"--platform={name}" for name in PLATFORMS), f"--dest={wheels}", *WHEELS),
    )
    for wheel in wheels.glob("*.whl"):
        with zipfile.ZipFile(wheel) as packed:
            packed.extractall(tree)
    for name, text in STUBS.items():
        (tree / name).parent.mkdir(exist_ok=True)
        (tree / name).write_text(text)
    _run("tar", "-C", str(tree), "--owner=0", "--group=0", "--mode=u=rwX,go=rX", "-cf", str(parts.python), ".")


def _build_module(parts: Parts, status: Path, source: str, work: Path) -> None:
    """Build the module in the image's own Debian: the tools of its kernel's headers do not run on an older one."""
    found = _KERNEL.search(status.read_text())
    if found is None:
        raise NotToBeHad("the image has no kernel")
    headers = f"linux-headers-{found[1]}"
    work.mkdir()
    shutil.copy(_SOURCE, work)
    (work / "Makefile").write_text(f"obj-m := {MODULE}.o\n")
    options = {"APT::Install-Recommends": "false", **transport_options()}
    _run(
        *("mmdebstrap", "--variant=apt", "--mode=root", "--format=null", "--quiet"),
        *(f'--aptopt={name} "{value}"' for name, value in options.items()),
        f"--include=make,{headers}",
        f"--customize-hook=copy-in {shlex.quote(str(work))} /",
        f'--customize-hook=chroot "$1" make -C /usr/src/{headers} M=/{work.name} modules',
        f"--customize-hook=copy-out /{work.name}/{MODULE}.ko {shlex.quote(str(parts.folder))}",
        *(SUITE, "-", source),
    )


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=MAX_BUILD_S)
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise NotToBeHad(f"{Path(command[0]).name} ended with {done.returncode}: {' '.join(last)}")
