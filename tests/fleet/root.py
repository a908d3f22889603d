"""A small Debian with RabbitMQ, to use as a root folder. It is made once and kept in the user's cache.

RabbitMQ in Debian bookworm itself is too old for MQTT 5.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import platformdirs

from tests.system.apt import find_mirror, transport_options

SUITE = "trixie"
PACKAGES = ("rabbitmq-server",)
MAX_BUILD_S = 900


def why_not() -> str | None:
    """What is missing to run a cluster, in one line."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    tools = {"ip": "iproute2", "chroot": "coreutils", "mmdebstrap": "mmdebstrap", "arch-test": "arch-test"}
    missing = sorted({package for tool, package in tools.items() if shutil.which(tool) is None})
    if missing:
        return f"not installed: {' '.join(missing)}"
    if not _folder().exists() and find_mirror() is None:
        return "this machine's own apt sources name no Debian mirror to build the root folder from"
    return None


def rabbitmq_root() -> Path:
    """The root folder from the cache, or a new one, which takes half a minute. Raises ``OSError``."""
    folder = _folder()
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".build-", dir=folder.parent) as work:
            # Moved in one step: an interrupted build leaves nothing that looks finished.
            _build(Path(work) / "root").rename(folder)
    return folder


def version(root: Path) -> str:
    """Version of RabbitMQ in the root folder."""
    servers = sorted((root / "usr/lib/rabbitmq/lib").glob("rabbitmq_server-*"))
    return servers[-1].name.partition("-")[2]


def _folder() -> Path:
    recipe = hashlib.sha256(Path(__file__).read_bytes())
    return platformdirs.user_cache_path("leukoscope") / "fleet" / f"rabbitmq-{SUITE}-{recipe.hexdigest()[:16]}"


def _build(root: Path) -> Path:
    mirror = find_mirror()
    if mirror is None:
        raise OSError("there is no Debian mirror in this machine's apt sources")
    options = {"APT::Install-Recommends": "false", **transport_options()}
    done = subprocess.run(
        [
            "mmdebstrap",
            "--variant=minbase",
            "--mode=root",
            "--format=directory",
            "--quiet",
            *(f'--aptopt={name} "{value}"' for name, value in options.items()),
            f"--include={','.join(PACKAGES)}",
            SUITE,
            str(root),
            mirror.line(SUITE),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=MAX_BUILD_S,
    )
    if done.returncode:
        raise OSError(f"mmdebstrap ended with {done.returncode}: {done.stderr[-2000:]}")
    # The archive's address is useless inside, and should not be kept.
    (root / "etc/apt/sources.list").unlink(missing_ok=True)
    return root
