"""A whole device in QEMU: it boots, takes commands over ssh, and loses its power.

By default it runs without hardware virtualisation, which may be present and yet not work inside another virtual
machine. ``LEUKOSCOPE_QEMU_ACCEL=kvm`` uses it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from edge_agent.cli.local_broker import LOOPBACK, free_port
from tests.system.image import READY, SHARE_TAG, Image
from tests.system.screen import Screen

BOOT_PATIENCE_S = 1200.0
COMMAND_PATIENCE_S = 900.0
MAX_PANICS = 3
KERNEL_OPTIONS = " ".join(
    (
        *("root=/dev/vda", "rw", "console=ttyS0", "panic=5"),
        # Each character on the console stops the emulated processor, and so do the guards of a real processor's
        # secrets.
        *("loglevel=4", "systemd.show_status=no", "mitigations=off", "no5lvl"),
        # Waits for LVM, which does not exist here.
        "systemd.mask=e2scrub_reap.service",
    )
)
ACCELERATION_VARIABLE = "LEUKOSCOPE_QEMU_ACCEL"

_SOFTWARE = "tcg,thread=multi,tb-size=512"
_SSH_FAILED = 255


class BoxError(AssertionError):
    """The box does not do what a test needs; the message contains its last console output."""


class Box:
    """One machine with its own disk, over a base that is never written to. Use it from one thread."""

    def __init__(self, image: Image, folder: Path, *, base: Path | None = None, drive: str | None = None) -> None:
        """``base``: a qcow2 disk to start from, instead of the image's own.

        ``drive``: QEMU's name for a disk that is not the box's own; it is used as it is.
        """
        self._image = image
        self.disk = folder / "disk.qcow2"
        self._drive = drive or f"file={self.disk},format=qcow2"
        self.share = folder / "share"
        self.screen = Screen(folder / "screen.log")
        # A socket's path may have 107 characters, which a test's own folder can use up.
        self._control_folder = tempfile.TemporaryDirectory(prefix="box-")
        self._control = Path(self._control_folder.name) / "ssh"
        self.panics_count = 0
        self._ssh_port, self.broker_port = free_port(), free_port()
        self._machine: subprocess.Popen[str] | None = None
        self._line: subprocess.Popen[bytes] | None = None
        self.share.mkdir(parents=True)
        if drive is None:
            below, form = (image.disk, "raw") if base is None else (base, "qcow2")
            _run("qemu-img", "create", "-q", "-f", "qcow2", "-b", str(below.resolve()), "-F", form, str(self.disk))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cut_power()
        self._control_folder.cleanup()

    def switch_on(self, *, clock: datetime | None = None) -> None:
        """Turn the power on and return at once. ``clock``: the time of its clock chip, by default the time here."""
        acceleration = os.environ.get(ACCELERATION_VARIABLE, _SOFTWARE)
        network = f"user,id=net,restrict=on,hostfwd=tcp:{LOOPBACK}:{self._ssh_port}-:22"
        network += f",hostfwd=tcp:{LOOPBACK}:{self.broker_port}-:1883"
        base = "utc" if clock is None else clock.strftime("%Y-%m-%dT%H:%M:%S")
        self._machine = subprocess.Popen(
            [
                "qemu-system-x86_64",
                *("-machine", "q35", "-accel", acceleration, "-cpu", "max", "-smp", "2", "-m", "2048"),
                *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-rtc", f"base={base}"),
                *("-kernel", str(self._image.kernel), "-initrd", str(self._image.initrd)),
                *("-append", KERNEL_OPTIONS),
                *("-drive", f"{self._drive},if=virtio,cache=writeback"),
                *("-netdev", network, "-device", "virtio-net-pci,netdev=net,romfile="),
                *("-virtfs", f"local,path={self.share},mount_tag={SHARE_TAG},security_model=none,readonly=on"),
                *("-device", "virtio-rng-pci", "-serial", "stdio"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        self.screen.follow(self._machine)

    def wait_until_up(self) -> None:
        """Wait until its services are up and ssh works. Raises ``BoxError``."""
        if not self.screen.wait_for(READY, BOOT_PATIENCE_S):
            raise BoxError(f"the box does not come up:\n{self.screen.tail()}")
        self._dial()

    def boot(self, *, clock: datetime | None = None) -> float:
        """Switch on and wait; returns the seconds that the boot took.

        The emulated processor now and then trips over code that another one is just changing, as a kernel does while it
        starts. That is no fault of the device under test: the box is switched on again, and the panic counted.
        """
        while True:
            began_s = time.monotonic()
            self.switch_on(clock=clock)
            try:
                self.wait_until_up()
            except BoxError:
                if not self.screen.has("Kernel panic") or self.panics_count == MAX_PANICS:
                    raise
                self.panics_count += 1
                self.cut_power()
            else:
                return time.monotonic() - began_s

    def _dial(self) -> None:
        """Open one connection for all commands: a handshake for each would take the emulated processor seconds."""
        deadline_s = time.monotonic() + BOOT_PATIENCE_S
        while time.monotonic() < deadline_s:
            self._hang_up()
            self._line = subprocess.Popen(
                [*self._ssh_command(), "-o", "ControlMaster=yes", "-N", *self._destination()],
                stdin=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            while self._line.poll() is None and time.monotonic() < deadline_s:
                if self._control.exists():
                    return
                # Only this file shows that the master is running.
                time.sleep(0.05)
        raise BoxError(f"the box answers no ssh:\n{self.screen.tail()}")

    def _hang_up(self) -> None:
        if self._line is not None:
            self._line.kill()
            self._line.wait()
            self._line = None
        self._control.unlink(missing_ok=True)

    def _ssh_command(self) -> list[str]:
        options = {
            "ControlPath": self._control,
            "StrictHostKeyChecking": "no",
            "UserKnownHostsFile": "/dev/null",
            "LogLevel": "ERROR",
            "BatchMode": "yes",
            "ConnectTimeout": 60,
            "IdentitiesOnly": "yes",
        }
        return [
            "ssh",
            "-F",
            "none",
            "-i",
            str(self._image.key),
            *(f"-o{key}={value}" for key, value in options.items()),
        ]

    def _destination(self) -> list[str]:
        return ["-p", str(self._ssh_port), f"root@{LOOPBACK}"]

    def ssh(
        self, command: str, *, check: bool = True, patience_s: float = COMMAND_PATIENCE_S, typed: str | None = None
    ) -> str:
        """What a shell command prints in the box. Raises ``BoxError`` if it fails and ``check`` is set."""
        done = subprocess.run(
            [*self._ssh_command(), "-o", "ControlMaster=no", *self._destination(), command],
            input=typed or "",
            capture_output=True,
            text=True,
            errors="replace",
            timeout=patience_s,
            check=False,
        )
        if done.returncode == _SSH_FAILED or (check and done.returncode):
            raise BoxError(f"'{command}' ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def python(self, program: str, *arguments: str) -> Any:
        """The output of a program for the box's own Python, read as JSON."""
        return json.loads(self.ssh(" ".join(["python3", "-", *arguments]), typed=program))

    def follow(self, program: str) -> subprocess.Popen[str]:
        """Start a program for the box's own Python. The caller reads its output; it ends when the box loses power."""
        path = self.copy_text(program, "followed.py")
        return subprocess.Popen(
            [*self._ssh_command(), "-o", "ControlMaster=no", *self._destination(), f"python3 {path}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def lend_port(self, port: int, lent: int) -> None:
        """Let programs in the box reach a port of this machine as their own, until the power is cut."""
        _run(*self._ssh_command(), "-O", "forward", "-R", f"{LOOPBACK}:{port}:{LOOPBACK}:{lent}", *self._destination())

    def copy(self, path: Path, name: str | None = None) -> str:
        """Put a file where the box can read it; returns its path there."""
        name = name or path.name
        shutil.copyfile(path, self.share / name)
        return f"/host/{name}"

    def copy_text(self, text: str, name: str) -> str:
        """Like ``copy``, from a string."""
        (self.share / name).write_text(text)
        return f"/host/{name}"

    def journal(self, unit: str, lines: int = 60) -> str:
        """The last lines of a unit's journal."""
        return self.ssh(f"journalctl --no-pager -o short-monotonic -n {lines} -u {unit}", check=False)

    def cut_power(self) -> None:
        """Cut the power at once: what had not reached the disk is lost. Also ends the box's helpers."""
        if self._machine is not None:
            self._machine.kill()
            self._machine.wait()
            self._machine = None
        self._hang_up()
        self.screen.wait_until_dark()

    def shut_down(self) -> None:
        """Shut down in order. Raises ``BoxError`` if the box does not stop."""
        if self._machine is None:
            return
        self.ssh("systemctl poweroff --no-block")
        try:
            self._machine.wait(COMMAND_PATIENCE_S)
        except subprocess.TimeoutExpired:
            raise BoxError(f"the box does not shut down:\n{self.screen.tail()}") from None
        finally:
            self.cut_power()


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BoxError(f"{command[0]} ended with {done.returncode}: {done.stderr}")
