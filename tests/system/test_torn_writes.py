"""Power cuts on a disk that forgets and tears unflushed writes: what the agent had committed before them must last.

A message counts as committed once another program in the box has read it from the spool and told the host. The broker
is on the host and loses nothing: what it has acknowledged is delivered. The guest's own timing differs from run to run,
so a seed repeats the waits and the fates of the first, second, third write in a cache, but not the very same cut.
"""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import pytest

from edge_agent.cli.local_broker import free_port, run_mosquitto
from tests.system.box import Box
from tests.system.committed import CommittedMessages
from tests.system.device import STATE_FOLDER, Device
from tests.system.disk import ForgetfulDisk, why_not
from tests.system.image import Image, Tell
from tests.system.run import RUN_VARIABLE, SEED_VARIABLE, skip_unless_asked
from tests.system.timing import Clock
from tests.system.watch import PATIENCE_S, Watch

skip_unless_asked()
pytestmark = [pytest.mark.system, pytest.mark.timeout(4 * 3600)]

MQTT_PORT = 1883
COMMITTED_AT_LEAST = 5
"""Messages committed in each run between two cuts, at least."""
MAX_WAIT_S = 5.0

SPOOL_CODE = "/opt/leukoscope/lib/python3.13/site-packages/edge_agent/spool/file.py"

# Overwrites a file in place, past the kernel's own cache, so that only the disk can lose it.
_OVERWRITE = """\
import mmap, os, sys
path, letter, sync = sys.argv[1:]
block = mmap.mmap(-1, 16384)
block.write(letter.encode() * len(block))
file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_DIRECT)
for number in range(64):
    os.pwritev(file, [block], number * len(block))
os.preadv(file, [block], 0)
if sync == "sync":
    os.fsync(file)
print('"' + chr(block[0]) + '"')
"""
SECTOR_BYTES = 512
FILE_SECTORS_COUNT = 64 * 16384 // SECTOR_BYTES

# One letter for each sector: its content, if all of it is the same letter.
_SECTORS = """\
import json, sys
content = open(sys.argv[1], "rb").read()
sectors = [content[at:at + 512] for at in range(0, len(content), 512)]
print(json.dumps("".join(chr(each[0]) if len(set(each)) == 1 else "?" for each in sectors)))
"""


@dataclass
class Bench:
    """A device on a forgetful disk, with its broker and its subscriber outside."""

    device: Device
    disk: ForgetfulDisk
    broker_port: int
    committed: set[UUID] = field(default_factory=set)
    recoveries_count: int = 0
    """Boots at which the file system was repaired from its journal."""

    def boot(self, *, broker: bool) -> None:
        """``broker``: whether the agent reaches a broker."""
        box = self.device.box
        box.boot()
        said = box.ssh("dmesg")
        self.recoveries_count += "EXT4-fs (vda): recovery complete" in said
        assert "EXT4-fs error" not in said, said
        if broker:
            box.lend_port(MQTT_PORT, self.broker_port)

    def prepare(self, command: str) -> None:
        """Boot, leave the box without a broker of its own, run a command, and sync everything to the disk."""
        self.boot(broker=False)
        self.device.box.ssh(f"systemctl disable --now mosquitto; {command}; sync")

    def cut_after(self, wait_s: float, *, at_a_write: bool) -> Counter[str]:
        """Let the agent commit some messages, wait ``wait_s`` longer, and cut. Returns what the disk lost.

        ``at_a_write``: whether to cut at a moment when something is not yet flushed.
        """
        before = frozenset(self.committed)
        with CommittedMessages(self.device.box) as heard:
            heard.wait(lambda ids: len(ids - before) >= COMMITTED_AT_LEAST, PATIENCE_S)
            # The random moment is the point: there is no event to wait for.
            time.sleep(wait_s)
            if not at_a_write:
                lost = self.cut()
            else:
                with self.disk.fuse():
                    lost = Counter(self.disk.cuts(0)[-1])
                    self.device.box.cut_power()
        # Messages that are heard of after the cut were told before it.
        self.committed |= heard.ids()
        return lost

    def cut(self) -> Counter[str]:
        """Cut the power. Returns what the disk lost."""
        return self._end(self.device.box.cut_power)

    def shut_down(self) -> Counter[str]:
        """Shut down in order. Returns what the disk lost."""
        return self._end(self.device.box.shut_down)

    def _end(self, end: Callable[[], None]) -> Counter[str]:
        before = len(self.disk.cuts(0))
        end()
        return Counter(self.disk.cuts(before + 1)[-1])

    def lost(self) -> set[UUID]:
        """Messages that were committed and are neither delivered nor waiting. Stops the agent."""
        waiting = self.device.settle().waiting
        return self.committed - self.device.watch.ids() - waiting


@pytest.fixture
def seed(tell: Tell) -> int:
    """The seed of the waits and of the disk's losses; it is printed, so that a run can be repeated."""
    chosen = int(os.environ.get(SEED_VARIABLE) or random.SystemRandom().randrange(10**6))
    tell(f"seed {chosen} (repeat with {SEED_VARIABLE}={chosen})")
    return chosen


@pytest.fixture
def torn_cuts_count() -> int:
    """How often the power is cut."""
    return 10 if os.environ.get(RUN_VARIABLE) == "long" else 2


@pytest.fixture
def bench(image: Image, device_disk: Path, mosquitto: str, box_folder: Path, seed: int) -> Iterator[Bench]:
    """A bench that is switched off."""
    reason = why_not()
    if reason is not None:
        pytest.skip(f"no disk that forgets: {reason}")
    port = free_port()
    with ExitStack() as stack:
        stack.enter_context(
            run_mosquitto(mosquitto, port, extra_configuration="allow_anonymous true\nmax_queued_messages 0")
        )
        disk = stack.enter_context(ForgetfulDisk(device_disk, box_folder / "disk", seed))
        box = stack.enter_context(Box(image, box_folder / "box", drive=disk.drive))
        watch = stack.enter_context(Watch(port))
        assert watch.connected.wait(PATIENCE_S)
        # A new broker does not know the subscriber yet.
        watch.forgotten_count = 0
        yield Bench(Device(box, watch), disk, port)


def test_control_the_disk_forgets_what_was_not_flushed(bench: Bench, clock: Clock) -> None:
    box = bench.device.box
    # Any sync flushes the whole disk, and the file system would sync every five seconds.
    bench.prepare("systemctl stop leukoscope camera; mount -o remount,commit=300 /")
    for path in ("/root/flushed", "/root/unflushed"):
        assert box.python(_OVERWRITE, path, "a", "sync") == "a"
    box.ssh("sync")
    assert box.python(_OVERWRITE, "/root/flushed", "b", "sync") == "b"
    # The running disk returns what was written, flushed or not.
    assert box.python(_OVERWRITE, "/root/unflushed", "b", "no") == "b"
    lost = bench.cut()
    bench.boot(broker=False)
    assert box.python(_SECTORS, "/root/flushed") == "b" * FILE_SECTORS_COUNT
    sectors = Counter(box.python(_SECTORS, "/root/unflushed"))
    clock.note("writes forgotten", lost["forgotten"])
    clock.note("writes torn", lost["torn"])
    clock.note("sectors old", sectors["a"])
    clock.note("sectors new", sectors["b"])
    assert sectors.keys() == {"a", "b"}
    assert lost["forgotten"]
    assert lost["torn"]


def test_control_a_spool_without_sync_is_found_out(bench: Bench, clock: Clock) -> None:
    bench.prepare(f"sed -i 's/synchronous=FULL/synchronous=OFF/' {SPOOL_CODE} && systemctl restart leukoscope")
    # Time for messages after the last sync of the preparation.
    bench.cut_after(10, at_a_write=False)
    bench.boot(broker=True)
    bench.device.watch.results(COMMITTED_AT_LEAST, since_s=0)
    lost = bench.lost()
    clock.note("committed", len(bench.committed))
    clock.note("lost", len(lost))
    assert lost


def test_torn_writes_lose_nothing_committed(bench: Bench, torn_cuts_count: int, seed: int, clock: Clock) -> None:
    """Each cut comes while the disk has something in its cache.

    At half of them the broker is there, and messages are being delivered and deleted; at the others they pile up.
    """
    rng = random.Random(seed)
    bench.prepare("systemctl restart leukoscope")
    lost: Counter[str] = Counter()
    for cut in range(torn_cuts_count):
        if cut % 2:
            bench.device.box.lend_port(MQTT_PORT, bench.broker_port)
        lost += bench.cut_after(rng.uniform(0, MAX_WAIT_S), at_a_write=True)
        bench.boot(broker=False)
    bench.device.box.lend_port(MQTT_PORT, bench.broker_port)
    began_s = time.monotonic()
    bench.device.watch.results(COMMITTED_AT_LEAST, since_s=began_s)
    while (
        bench.committed - bench.device.watch.ids() or len(bench.device.spool().waiting) > COMMITTED_AT_LEAST
    ) and time.monotonic() < began_s + PATIENCE_S:
        time.sleep(0.2)
    missing = bench.lost()
    for what in ("flushes", "unflushed", "kept", "torn", "forgotten"):
        clock.note(what, lost[what])
    clock.note("seed", seed)
    clock.note("cuts", torn_cuts_count)
    clock.note("recoveries", bench.recoveries_count)
    clock.note("committed", len(bench.committed))
    clock.note("lost", len(missing))
    clock.note("repeats", bench.device.watch.repeats_count())
    assert not missing
    bench.device.assert_nothing_lost()
    assert lost["forgotten"]
    # A damaged spool would have been set aside under a name like this.
    assert not bench.device.box.ssh(f"find {STATE_FOLDER} -name '*.corrupt-*'")
    assert not bench.shut_down()["unflushed"]
    checked = subprocess.run(["e2fsck", "-f", "-n", str(bench.disk.file)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
